/* SPDX-License-Identifier: Apache-2.0 */
/* What a damaged journal leaves: content whose row does not hold, or is gone. Nothing can tell what
 * it was meant for, so it goes to lost+found: it was acknowledged. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/parse.h"
#include "writeback/writeback_impl.h"

int wb_damaged_add(struct writeback *wb, uint64_t seq)
{
    uint64_t *more = realloc(wb->damaged, (wb->n_damaged + 1) * sizeof(*more));
    if (!more)
        return -ENOMEM;
    wb->damaged = more;
    wb->damaged[wb->n_damaged++] = seq;
    return 0;
}

/* data, or the file fd. */
static int keep(struct writeback *wb, const void *data, int fd, uint64_t size)
{
    struct writeback_lost lost = {.key = "",
                                  .base_etag = "",
                                  .reason = LOST_UNKNOWN,
                                  .time_ns = clock_realtime_ns(wb->clock),
                                  .size = size,
                                  .data = data,
                                  .fd = fd};
    return wb->opts.lost(wb->opts.ctx, &lost);
}

/* ---- rows ---- */

struct drop {
    struct journal_change change;
    uint64_t seq;
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done; /* protected by lock */
};

static void dropped(void *ctx, int result)
{
    struct drop *d = ctx;
    SCOPE_LOCK(&d->lock);
    d->done = true;
    pthread_cond_signal(&d->cond);
}

static void drop_row(struct writeback *wb, uint64_t seq)
{
    struct drop d = {
        .seq = seq, .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};
    d.change = (struct journal_change){.drops = &d.seq, .n_drops = 1, .done = dropped, .ctx = &d};
    if (journal_submit(wb->journal, &d.change) == 0) {
        pthread_mutex_lock(&d.lock);
        while (!d.done)
            pthread_cond_wait(&d.cond, &d.lock);
        pthread_mutex_unlock(&d.lock);
    }
    pthread_cond_destroy(&d.cond);
    pthread_mutex_destroy(&d.lock);
}

static bool salvage_row(struct writeback *wb, uint64_t seq)
{
    CLEANUP_FREE char *data = NULL;
    size_t size = 0;
    int r = wb->journal->ops->body_size(wb->journal, seq, &size);
    if (r == 0 && size) {
        data = malloc(size);
        r = data ? wb->journal->ops->body(wb->journal, seq, data, size) : -ENOMEM;
        if (r == 0)
            r = keep(wb, data, -1, size);
    }
    if (r < 0 && r != -ENOENT) {
        log_error("journal: the content of row %llu, which is damaged, stays there: %s",
                  (unsigned long long)seq, strerror(-r));
        return false;
    }
    log_error("journal: row %llu was damaged: an acknowledged change is lost%s",
              (unsigned long long)seq,
              size ? "; its content is in lost+found (pailctl lost list)" : "");
    drop_row(wb, seq);
    return true;
}

/* ---- files ---- */

static bool salvage_file(struct writeback *wb, const char *name)
{
    CLEANUP_FD int fd = openat(wb->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat st;
    int r = fd < 0 || fstat(fd, &st) < 0 ? -errno : 0;
    if (r == 0)
        r = keep(wb, NULL, fd, (uint64_t)st.st_size);
    if (r < 0) {
        log_error("'%s/%s', which no row of the journal names, stays there: %s", wb->dir, name,
                  strerror(-r));
        return false;
    }
    log_error(
        "'%s/%s', which no row of the journal names, is in lost+found now (pailctl lost list)",
        wb->dir, name);
    (void)unlinkat(wb->dir_fd, name, 0);
    return true;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Files that no change has: content whose row was never written, unless rows are missing. */
static bool sweep(struct writeback *wb, bool doubtful)
{
    CLEANUP_FREE uint64_t *needed = calloc(wb->n_ops + 1, sizeof(*needed));
    CLEANUP_DIR DIR *d = opendir(wb->dir);
    const struct dirent *e;
    const struct wb_op *op;
    bool all = true;
    size_t n = 0;
    if (!needed || !d)
        return false; /* then they stay until the next start */
    TAILQ_FOREACH (op, &wb->ops, all)
        if (op->body && op->body->file)
            needed[n++] = op->body->file;
    qsort(needed, n, sizeof(*needed), compare);
    while ((e = readdir(d))) {
        uint64_t number;
        if (parse_u64(e->d_name, &number) < 0 ||
            bsearch(&number, needed, n, sizeof(*needed), compare))
            continue;
        /* Its number must not be given again while it is there. */
        wb->next_seq = MAX(wb->next_seq, number + 1);
        if (doubtful) {
            all = salvage_file(wb, e->d_name) && all;
            continue;
        }
        log_debug("content of change %s, which was not acknowledged, is removed", e->d_name);
        (void)unlinkat(wb->dir_fd, e->d_name, 0);
    }
    return all;
}

void wb_salvage(struct writeback *wb)
{
    bool doubtful = wb->opts.doubtful || wb->n_damaged > 0;
    bool all = sweep(wb, doubtful);
    for (size_t i = 0; i < wb->n_damaged && all; i++)
        all = salvage_row(wb, wb->damaged[i]);
    if (all && doubtful && wb->opts.settled)
        wb->opts.settled(wb->opts.ctx);
}
