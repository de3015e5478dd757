/* SPDX-License-Identifier: Apache-2.0 */
/* The writer thread and its queue. */
#include "meta/state.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "meta/state_impl.h"
#include "meta/state_wal.h"

/* Jobs in one transaction: bounds what a failed one has to repeat. */
#define GROUP_MAX 512u

struct state {
    struct state_options opts; /* its strings are owned */
    struct clock *clock;
    int64_t *first_ids; /* by row of state_tables; constant */

    atomic_bool begun_anew;

    /* the writer thread's */
    sqlite3 *db; /* NULL: the database was lost and could not be begun anew */
    struct state_wal *wal;

    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct state_job *head, **tail; /* protected by lock, like all below */
    bool ending;
    struct state_stats stats;
};

/* ---- transactions, on the writer thread ---- */

static int run_one(struct state *st, struct state_job *job)
{
    int r = state_exec(st->db, "SAVEPOINT job", "");

    if (r < 0)
        return r;
    r = job->run(st->db, job->ctx);
    /* Some failures (disk full) undo the whole transaction; then there is no savepoint. */
    if (r < 0 && !sqlite3_get_autocommit(st->db))
        (void)state_exec(st->db, "ROLLBACK TO job", "");
    if (!sqlite3_get_autocommit(st->db)) {
        int released = state_exec(st->db, "RELEASE job", "");

        r = r < 0 ? r : released;
    }
    return r;
}

/* 0: each job->result holds. Else nothing of the group is in the database. */
static int run_group(struct state *st, struct state_job *first, const struct state_job *end)
{
    int r = state_exec(st->db, "BEGIN", "");

    for (struct state_job *job = first; r == 0 && job != end; job = job->next) {
        job->result = run_one(st, job);
        if (sqlite3_get_autocommit(st->db) || job->result == -EUCLEAN)
            r = job->result < 0 ? job->result : -EIO;
    }
    CRASH_POINT("state.commit.before");
    if (r == 0)
        r = state_exec(st->db, "COMMIT", "");
    CRASH_POINT("state.commit.after");
    if (r < 0 && !sqlite3_get_autocommit(st->db))
        (void)state_exec(st->db, "ROLLBACK", "");
    return r;
}

static void restart(struct state *st)
{
    struct s3_error err = {0};

    atomic_store(&st->begun_anew, true);
    state_wal_forget(TAKE_PTR(st->wal));
    if (state_db_restart(st->opts.path, &st->opts, st->clock, &st->db, &err) < 0)
        log_error("no local state from here on: %s", err.message);
    else
        (void)state_wal_watch(st->db, st->opts.path, &st->wal);
}

static int run_alone(struct state *st, struct state_job *job)
{
    int r = -EIO;

    for (int attempt = 0; st->db && attempt < 2; attempt++) {
        r = run_group(st, job, job->next);
        if (r == 0)
            return job->result;
        if (r != -EUCLEAN)
            break;
        restart(st);
    }
    return r;
}

/* What the submitters get to see. */
static int outward(int r)
{
    return r == -EUCLEAN || r == -EPROTO || r == -EBUSY || r == -EROFS ? -EIO : r;
}

static unsigned run_jobs(struct state *st, struct state_job *first, const struct state_job *end)
{
    int r = st->db ? run_group(st, first, end) : -EIO;
    unsigned n = 0;

    for (struct state_job *job = first; job != end; job = job->next, n++) {
        if (r < 0)
            job->result = run_alone(st, job);
    }
    return n;
}

static void *writer_main(void *arg)
{
    struct state *st = arg;

    pthread_mutex_lock(&st->lock);
    for (;;) {
        struct state_job *first = st->head, *end = first;
        unsigned n = 0;

        if (!first) {
            if (st->ending)
                break;
            pthread_cond_wait(&st->work, &st->lock);
            continue;
        }
        while (end && n < GROUP_MAX) {
            end = end->next;
            n++;
        }
        st->head = end;
        if (!end)
            st->tail = &st->head;
        pthread_mutex_unlock(&st->lock);

        n = run_jobs(st, first, end);
        pthread_mutex_lock(&st->lock);
        st->stats.jobs += n;
        st->stats.commits++;
        pthread_mutex_unlock(&st->lock);
        while (first != end) {
            struct state_job *next = first->next;

            first->done(first->ctx, outward(first->result));
            first = next;
        }
        pthread_mutex_lock(&st->lock);
    }
    pthread_mutex_unlock(&st->lock);
    return NULL;
}

/* ---- jobs ---- */

void state_submit(struct state *st, struct state_job *job)
{
    job->result = 0;
    job->next = NULL;
    SCOPE_LOCK(&st->lock);
    *st->tail = job;
    st->tail = &job->next;
    pthread_cond_signal(&st->work);
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    bool done;
    int result;
    int (*run)(struct sqlite3 *db, void *ctx);
    void *ctx;
};

static int waiter_run(struct sqlite3 *db, void *ctx)
{
    struct waiter *w = ctx;

    return w->run(db, w->ctx);
}

static void waiter_done(void *ctx, int result)
{
    struct waiter *w = ctx;

    SCOPE_LOCK(&w->lock);
    w->done = true;
    w->result = result;
    pthread_cond_signal(&w->cond);
}

int state_write(struct state *st, int (*run)(struct sqlite3 *db, void *ctx), void *ctx)
{
    struct waiter w = {.lock = PTHREAD_MUTEX_INITIALIZER,
                       .cond = PTHREAD_COND_INITIALIZER,
                       .run = run,
                       .ctx = ctx};
    struct state_job job = {.run = waiter_run, .done = waiter_done, .ctx = &w};

    state_submit(st, &job);
    pthread_mutex_lock(&w.lock);
    while (!w.done)
        pthread_cond_wait(&w.cond, &w.lock);
    pthread_mutex_unlock(&w.lock);
    pthread_cond_destroy(&w.cond);
    pthread_mutex_destroy(&w.lock);
    return w.result;
}

/* ---- life ---- */

static void free_options(struct state_options *o)
{
    free((char *)o->path);
    free((char *)o->endpoint);
    free((char *)o->bucket);
    free((char *)o->prefix);
}

static int copy_options(const struct state_options *from, struct state_options *to)
{
    to->path = strdup(from->path);
    to->endpoint = strdup(from->endpoint);
    to->bucket = strdup(from->bucket);
    to->prefix = strdup(from->prefix);
    return to->path && to->endpoint && to->bucket && to->prefix ? 0 : -ENOMEM;
}

int state_open(const struct state_options *opts, struct state **ret, struct s3_error *err)
{
    struct state *st = calloc(1, sizeof(*st));
    int r;

    if (!st)
        return -ENOMEM;
    pthread_mutex_init(&st->lock, NULL);
    pthread_cond_init(&st->work, NULL);
    st->tail = &st->head;
    st->clock = opts->clock ? opts->clock : clock_system();
    st->first_ids = calloc(state_n_tables, sizeof(*st->first_ids));
    r = st->first_ids ? copy_options(opts, &st->opts) : -ENOMEM;
    if (r == 0)
        r = state_db_open(st->opts.path, &st->opts, st->clock, &st->db, st->first_ids, err);
    atomic_init(&st->begun_anew, r == 1);
    if (r >= 0)
        r = state_wal_watch(st->db, st->opts.path, &st->wal);
    if (r >= 0) {
        r = -pthread_create(&st->thread, NULL, writer_main, st);
        st->started = r == 0;
    }
    if (r < 0) {
        state_close(st);
        return r;
    }
    *ret = st;
    return 0;
}

void state_close(struct state *st)
{
    if (!st)
        return;
    if (st->started) {
        pthread_mutex_lock(&st->lock);
        st->ending = true;
        pthread_cond_signal(&st->work);
        pthread_mutex_unlock(&st->lock);
        pthread_join(st->thread, NULL);
    }
    state_wal_forget(st->wal);
    sqlite3_close(st->db);
    free_options(&st->opts);
    free(st->first_ids);
    pthread_cond_destroy(&st->work);
    pthread_mutex_destroy(&st->lock);
    free(st);
}

static int look_unfinished(struct sqlite3 *db, void *ctx)
{
    bool *found = ctx;
    int r = 0;

    *found = false;
    for (size_t i = 0; r == 0 && i < state_n_tables; i++) {
        CLEANUP_STMT sqlite3_stmt *stmt = NULL;

        if (!state_tables[i].unfinished)
            continue;
        r = state_prepare(db, &stmt, state_tables[i].unfinished, "");
        if (r == 0)
            r = state_step(stmt);
        if (r == 1) {
            *found = true;
            return 0;
        }
    }
    return r;
}

bool state_unfinished(struct state *st)
{
    bool found = true;

    return state_write(st, look_unfinished, &found) < 0 || found;
}

const char *state_path(struct state *st)
{
    return st->opts.path;
}

bool state_begun_anew(struct state *st)
{
    return atomic_load(&st->begun_anew);
}

bool state_doubtful(struct state *st)
{
    CLEANUP_FREE char *path = state_file(st->opts.path, STATE_DOUBTFUL);

    return !path || access(path, F_OK) == 0;
}

void state_settled(struct state *st)
{
    CLEANUP_FREE char *path = state_file(st->opts.path, STATE_DOUBTFUL);

    if (path && unlink(path) < 0 && errno != ENOENT)
        log_warn("'%s': %s", path, strerror(errno));
}

struct clock *state_clock(struct state *st)
{
    return st->clock;
}

int64_t state_first_id(struct state *st, const char *table)
{
    for (size_t i = 0; i < state_n_tables; i++) {
        if (strcmp(state_tables[i].name, table) == 0)
            return st->first_ids[i];
    }
    return 0;
}

static int count_aside(struct sqlite3 *db, void *ctx)
{
    return state_query_int(db, "SELECT count(*) FROM aside", ctx);
}

void state_stats(struct state *st, struct state_stats *ret)
{
    int64_t aside = 0;

    (void)state_write(st, count_aside, &aside);
    SCOPE_LOCK(&st->lock);
    *ret = st->stats;
    ret->rows_aside = (uint64_t)aside;
}
