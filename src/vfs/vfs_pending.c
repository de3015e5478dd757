/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes that are to be stored. Changing them costs a copy of the object onto itself, and
 * programs change mode, owner and times one after the other, and often rename the file then. So a
 * change waits for a quiet second and is stored with those that followed; an upload or a rename
 * that comes first takes it along, fsync does not wait, and unlink drops it.
 *
 * The open_file of each such file, or directory, is in a queue, ordered by when it is due. Threads
 * that are made when there is work and end with the mount take from it. When the queue is full, who
 * changes something stores it himself. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "vfs/vfs_impl.h"

#define QUIET_NS NS_PER_S
/* Somebody keeps changing it: stored that often all the same. */
#define LONGEST_NS   (5 * NS_PER_S)
#define RETRY_MAX_NS (60 * NS_PER_S)
/* What may be lost, and must be stored at the end. */
#define PENDING_MAX 4096u

/* ---- the queue ---- */

static void insert_locked(struct vfs *v, struct open_file *of)
{
    struct open_file *p = TAILQ_LAST(&v->pending, pending_files);
    while (p && p->due_ns > of->due_ns)
        p = TAILQ_PREV(p, pending_files, by_due);
    if (p)
        TAILQ_INSERT_AFTER(&v->pending, p, of, by_due);
    else
        TAILQ_INSERT_HEAD(&v->pending, of, by_due);
    of->pending = true;
    v->n_pending++;
}

static void remove_locked(struct vfs *v, struct open_file *of)
{
    TAILQ_REMOVE(&v->pending, of, by_due);
    of->pending = false;
    v->n_pending--;
}

static void *store_thread(void *ctx);

/* One more thread when all are at work. Without any, whoever comes next stores what is due. */
static void wake_locked(struct vfs *v)
{
    if (!v->opts.background)
        return;
    if (v->n_idle == 0 && v->n_threads < VFS_ATTR_THREADS && !v->stopping &&
        pthread_create(&v->threads[v->n_threads], NULL, store_thread, v) == 0)
        v->n_threads++;
    pthread_cond_signal(&v->due);
}

void vfs_pending_wake_locked(struct vfs *v)
{
    wake_locked(v);
}

bool vfs_pending_add_locked(struct vfs *v, struct open_file *of)
{
    uint64_t now = vfs_now(v);
    if (v->stopping || v->opts.attrs_at_once || (!of->pending && v->n_pending >= PENDING_MAX))
        return false;
    if (of->pending) {
        remove_locked(v, of);
    } else {
        of->refs++;
        of->pending_since_ns = now;
        of->tries = 0;
    }
    uint64_t latest = vfs_after(of->pending_since_ns, LONGEST_NS);
    of->due_ns = MIN(vfs_after(now, QUIET_NS), MAX(latest, now));
    insert_locked(v, of);
    vfs_note_locked(v, of);
    wake_locked(v);
    return true;
}

/* ---- storing ---- */

static bool is_passing(const struct s3_error *err, int r)
{
    switch ((int)err->kind) {
    case S3_ERROR_NONE:
        return r == -ENOMEM;
    case S3_ERROR_THROTTLED:
    case S3_ERROR_SERVER:
    case S3_ERROR_BAD_RESPONSE:
    case S3_ERROR_CONNECT:
    case S3_ERROR_TLS:
    case S3_ERROR_TIMEOUT:
    case S3_ERROR_CANCELLED:
    case S3_ERROR_CONFLICT:
    case S3_ERROR_OUT_OF_MEMORY:
    case S3_ERROR_NO_CREDENTIALS:
    case S3_ERROR_EXPIRED_CREDENTIALS:
    case S3_ERROR_CLOCK_SKEW:
        return true;
    default:
        return false;
    }
}

static void log_failure_locked(struct vfs *v, const struct inode *i, const char *what, int r,
                               const struct s3_error *err)
{
    char key[COMPONENT_LENGTH_MAX + 1] = "", text[1024];
    if (i->kind == NODE_DIR ? vfs_marker_key_locked(v, i, key) < 0
                            : inode_key(i, COMPONENT_LENGTH_MAX, key) < 0)
        return;
    if (err->kind != S3_ERROR_NONE)
        (void)s3_error_describe(err, text, sizeof(text));
    log_error("mode, owner or times of '%s' %s: %s", key, what,
              err->kind != S3_ERROR_NONE ? text : strerror(-r));
}

/* What is shown comes from the store again. */
static void give_up_locked(struct vfs *v, struct open_file *of)
{
    struct inode *i = of->inode;
    of->attrs_dirty = false;
    vfs_default_attr_locked(v, i);
    i->attr_until_ns = 0;
    i->posix_until_ns = i->kind == NODE_DIR ? 0 : i->posix_until_ns;
    vfs_notify_inode(v, i);
}

void vfs_pending_conflict_locked(struct vfs *v, struct open_file *of)
{
    struct s3_error err = {0};
    log_failure_locked(v, of->inode, "were changed here and are lost", -ESTALE, &err);
    give_up_locked(v, of);
    of->inode->attrs_error = -ESTALE; /* the next fsync tells */
}

static void retry_locked(struct vfs *v, struct open_file *of)
{
    uint64_t pause = NS_PER_S;
    for (unsigned n = 0; n < of->tries && pause < RETRY_MAX_NS; n++)
        pause *= 2;
    of->tries++;
    if (of->pending)
        return;
    of->refs++;
    of->due_ns = vfs_after(vfs_now(v), MIN(pause, (uint64_t)RETRY_MAX_NS));
    insert_locked(v, of);
    wake_locked(v);
}

void vfs_pending_failed_locked(struct vfs *v, struct open_file *of, int r,
                               const struct s3_error *err)
{
    if (of->inode->unlinked || !of->attrs_dirty)
        return;
    if (is_passing(err, r))
        retry_locked(v, of);
    else
        give_up_locked(v, of);
}

/* Nobody is there to be told: the log is, and the next fsync. */
static void failed_alone_locked(struct vfs *v, struct open_file *of, int r,
                                const struct s3_error *err)
{
    bool passing = is_passing(err, r);
    if (!passing || of->tries == 0)
        log_failure_locked(
            v, of->inode,
            passing ? "could not be stored and are tried again" : "could not be stored", r, err);
    vfs_pending_failed_locked(v, of, r, err);
    if (!passing)
        of->inode->attrs_error = r;
}

/* of is out of the queue, with the reference that it had there. */
static void store_one_locked(struct vfs *v, struct open_file *of)
{
    struct s3_error err = {0};
    int r = 0;
    {
        VFS_GUARD(v, of->inode);
        vfs_open_file_begin_locked(v, of);
        if (of->inode->unlinked)
            of->attrs_dirty = false;
        /* An upload that is to come takes them along. */
        if (of->attrs_dirty && !vfs_upload_pending(of))
            r = vfs_store_attrs_locked(v, of, &err);
        if (r < 0)
            failed_alone_locked(v, of, r, &err);
        vfs_open_file_end_locked(v, of);
    }
    vfs_open_file_put_locked(v, of);
}

static bool store_due_locked(struct vfs *v)
{
    struct open_file *of = TAILQ_FIRST(&v->pending);
    if (!of || of->due_ns > vfs_now(v))
        return false;
    remove_locked(v, of);
    store_one_locked(v, of);
    return true;
}

/* When there is something to do next. */
static uint64_t due_locked(const struct vfs *v)
{
    const struct open_file *of = TAILQ_FIRST(&v->pending);
    return MIN(of ? of->due_ns : UINT64_MAX, v->idle_due_ns);
}

uint64_t vfs_tick(struct vfs *v, bool all)
{
    SCOPE_LOCK(&v->lock);
    if (all)
        vfs_pending_hurry_locked(v);
    while (store_due_locked(v) || vfs_idle_run_locked(v))
        continue;
    uint64_t due = due_locked(v), now = vfs_now(v);
    return due == UINT64_MAX ? due : due - MIN(due, now);
}

static void wait_locked(struct vfs *v)
{
    uint64_t due = due_locked(v);
    struct timespec until;
    v->n_idle++;
    if (due != UINT64_MAX) {
        uint64_t now = vfs_now(v), wait = due > now ? due - now : 0;
        clock_gettime(CLOCK_MONOTONIC, &until);
        wait += (uint64_t)until.tv_nsec;
        until.tv_sec += (time_t)(wait / (uint64_t)NS_PER_S);
        until.tv_nsec = (long)(wait % (uint64_t)NS_PER_S);
        pthread_cond_timedwait(&v->due, &v->lock, &until);
    } else {
        pthread_cond_wait(&v->due, &v->lock);
    }
    v->n_idle--;
}

static void *store_thread(void *ctx)
{
    struct vfs *v = ctx;
    SCOPE_LOCK(&v->lock);
    while (!v->stopping) {
        const struct open_file *of = TAILQ_FIRST(&v->pending);
        if (!of || of->due_ns > vfs_now(v)) {
            if (!vfs_idle_run_locked(v))
                wait_locked(v);
            continue;
        }
        /* Another one sees to what is due meanwhile. */
        if (TAILQ_NEXT(of, by_due) && TAILQ_NEXT(of, by_due)->due_ns <= vfs_now(v))
            wake_locked(v);
        (void)store_due_locked(v);
    }
    return NULL;
}

/* ---- the mount's life ---- */

void vfs_pending_init(struct vfs *v)
{
    pthread_condattr_t attr;
    TAILQ_INIT(&v->pending);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&v->due, &attr);
    pthread_condattr_destroy(&attr);
}

void vfs_pending_hurry_locked(struct vfs *v)
{
    struct open_file *of;
    uint64_t now = vfs_now(v);
    TAILQ_FOREACH (of, &v->pending, by_due)
        of->due_ns = MIN(of->due_ns, now);
    for (unsigned n = 0; n < VFS_ATTR_THREADS && n < v->n_pending; n++)
        wake_locked(v);
}

void vfs_pending_done(struct vfs *v)
{
    {
        SCOPE_LOCK(&v->lock);
        v->stopping = true;
        pthread_cond_broadcast(&v->due);
    }
    for (unsigned n = 0; n < v->n_threads; n++)
        pthread_join(v->threads[n], NULL);
    SCOPE_LOCK(&v->lock);
    struct open_file *of;
    while ((of = TAILQ_FIRST(&v->pending))) {
        remove_locked(v, of);
        vfs_open_file_put_locked(v, of);
    }
    pthread_cond_destroy(&v->due);
}
