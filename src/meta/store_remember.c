/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/store_remember.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/log.h"
#include "meta/attrs.h"
#include "meta/dir.h"
#include "meta/remember_own.h"

/* Rows of one transaction: a lookup may have to wait for it. */
#define GROUP_ROWS 256u
/* Rows wait that long for others, in the system's time: nobody waits for them. */
#define LINGER_NS (100 * NS_PER_MS)
/* Own changes that are asked for at a time: nobody waits for them. */
#define OWN_PARALLEL 16u
/* What was too young is asked for once more after that. */
#define OWN_AGAIN_NS (METADATA_RACY_NS + 2 * NS_PER_S)
/* Changes that are known of while a HEAD is under way. */
#define CHANGED_MAX 64u
/* A disk that has kept the thread for so long is not waited for. */
#define STUCK_NS ((uint64_t)NS_PER_S / 2)

/* A HEAD on its way: in the queue of lookups, then with the store. */
STAILQ_HEAD(lookups, lookup);
struct lookup {
    struct store_remember *m;
    const struct store_head_in *in;
    struct store_object *out;
    store_done_fn done;
    void *ctx;
    uint64_t sent_ns;   /* monotonic */
    uint64_t n_changed; /* m->n_changed then */
    STAILQ_ENTRY(lookup) link;
};

/* A change on its way. */
struct change {
    struct store_remember *m;
    enum store_op op;
    const void *in;
    store_done_fn done;
    void *ctx;
    uint64_t n_told; /* m->n_told when it was sent */
};

/* A HEAD of an own change. */
struct own_head {
    struct store_remember *m;
    char *key;
    bool again;
    uint64_t sent_ns;
    uint64_t n_changed;
    struct store_head_in in;
    struct store_object out;
};

struct pending_row {
    struct metadata_row row; /* owns key and object */
    STAILQ_ENTRY(pending_row) link;
};

struct gone_key {
    STAILQ_ENTRY(gone_key) link;
    char key[];
};

struct store_remember {
    struct store store; /* first */
    struct store *inner;
    struct metadata_db_options opts; /* owns its strings */
    uint64_t own_after_ns;
    atomic_uint_fast64_t used_ns; /* monotonic: the last request from above */
    struct clock *clock;
    struct metadata_db *db; /* the thread's */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* for the thread */
    pthread_cond_t idle; /* for store_remember_settle */
    /* protected by lock: */
    struct lookups lookups;
    STAILQ_HEAD(, pending_row) rows;
    STAILQ_HEAD(, gone_key) gone;
    size_t n_rows;
    size_t n_gone;
    struct remember_own *own;      /* NULL: own changes are not asked for */
    unsigned n_own;                /* HEADs of those under way */
    uint64_t n_told;               /* rows that HEADs told */
    uint64_t n_changed;            /* changes of ours that have ended */
    uint64_t changed[CHANGED_MAX]; /* hashes of their keys; a ring */
    bool ready;                    /* the database is open, or will not be */
    bool old;               /* there was one: until it is open it is taken for one with rows */
    bool busy;              /* the thread is at work */
    uint64_t busy_since_ns; /* with what it is at now */
    bool hurry;
    bool stop;
    struct store_remember_figures figures;
};

/* ---- what is remembered ---- */

static void row_free(struct pending_row *p)
{
    free((char *)(uintptr_t)p->row.key);
    store_object_done(&p->row.object);
    free(p);
}

static struct pending_row *row_new(const char *key, const struct store_object *o,
                                   int64_t observed_ns)
{
    struct pending_row *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    p->row.observed_ns = observed_ns;
    p->row.key = strdup(key);
    if (!p->row.key || store_object_copy(o, &p->row.object) < 0) {
        free((char *)(uintptr_t)p->row.key);
        free(p);
        return NULL;
    }
    return p;
}

/* The server's clock at the time of the request, or earlier: the answer may have been made at its
 * beginning and stamped at its end. */
static int64_t observed_at(const struct store_remember *m, uint64_t sent_ns,
                           const struct store_object *o)
{
    return o->date_ns - (int64_t)(clock_monotonic_ns(m->clock) - sent_ns);
}

static bool was_changed_locked(const struct store_remember *m, const char *key, uint64_t since)
{
    uint64_t hash = dir_key_hash(key);

    if (m->n_changed - since > CHANGED_MAX)
        return true;
    for (; since < m->n_changed; since++)
        if (m->changed[since % CHANGED_MAX] == hash)
            return true;
    return false;
}

/* What a HEAD of that time has told. */
static void remember(struct store_remember *m, const char *key, uint64_t sent_ns,
                     uint64_t n_changed, const struct store_object *o)
{
    int64_t observed = observed_at(m, sent_ns, o);

    /* This host's clock would not do for the server's: it may be minutes ahead. */
    if (!o->etag[0] || !o->date_ns || !metadata_is_settled(o->mtime_ns, observed))
        return;
    {
        SCOPE_LOCK(&m->lock);
        if (was_changed_locked(m, key, n_changed))
            return;
        if (m->figures.off || m->n_rows >= LIMIT_METADATA_QUEUE) {
            m->figures.dropped++;
            return;
        }
    }
    struct pending_row *p = row_new(key, o, observed);
    if (!p)
        return;
    SCOPE_LOCK(&m->lock);
    m->n_told++;
    STAILQ_INSERT_TAIL(&m->rows, p, link);
    if (++m->n_rows == 1 || m->n_rows == GROUP_ROWS)
        pthread_cond_signal(&m->wake);
}

static void drop_waiting_locked(struct store_remember *m, const char *key)
{
    struct pending_row *p = STAILQ_FIRST(&m->rows), *next;

    for (; p; p = next) {
        next = STAILQ_NEXT(p, link);
        if (strcmp(p->row.key, key) != 0)
            continue;
        STAILQ_REMOVE(&m->rows, p, pending_row, link);
        m->n_rows--;
        row_free(p);
    }
}

static void forget(struct store_remember *m, const char *key)
{
    {
        SCOPE_LOCK(&m->lock);
        drop_waiting_locked(m, key);
        /* A row of an old version is in nobody's way: it is told from the new one. */
        if (m->figures.off || (m->ready && !m->busy && m->figures.rows == 0) ||
            m->n_gone >= LIMIT_METADATA_QUEUE)
            return;
    }
    size_t len = strlen(key) + 1;
    struct gone_key *g = malloc(sizeof(*g) + len);
    if (!g)
        return;
    memcpy(g->key, key, len);
    SCOPE_LOCK(&m->lock);
    STAILQ_INSERT_TAIL(&m->gone, g, link);
    if (++m->n_gone == 1 || m->n_gone == GROUP_ROWS)
        pthread_cond_signal(&m->wake);
}

static void forget_changed(struct store_remember *m, enum store_op op, const void *in)
{
    const struct store_delete_many_in *many = in;

    if (op == STORE_PUT || op == STORE_COPY || op == STORE_DELETE || op == STORE_UPLOAD_COMPLETE)
        forget(m, store_in_key(op, in));
    if (op == STORE_DELETE_MANY)
        for (size_t i = 0; i < many->n_keys; i++)
            forget(m, many->keys[i]);
    if (!m->own_after_ns || (op != STORE_DELETE && op != STORE_DELETE_MANY))
        return;
    SCOPE_LOCK(&m->lock);
    if (m->own && op == STORE_DELETE)
        remember_own_gone(m->own, store_in_key(op, in));
    for (size_t i = 0; m->own && op == STORE_DELETE_MANY && i < many->n_keys; i++)
        remember_own_gone(m->own, many->keys[i]);
}

/* ---- own changes ---- */

static void see_mark(struct store_remember *m, const char *key, const struct store_object *o)
{
    if (!m->own_after_ns || !attrs_directory_flag(o->attrs.metadata, o->attrs.n_metadata))
        return;
    SCOPE_LOCK(&m->lock);
    if (m->own)
        remember_own_marked(m->own, key);
}

static void note_own(struct store_remember *m, enum store_op op, const void *in)
{
    uint64_t due_ns = clock_monotonic_ns(m->clock) + m->own_after_ns;
    const char *key = store_in_key(op, in);
    const struct store_copy_in *copy = op == STORE_COPY ? in : NULL;
    const struct store_attrs *attrs = copy && copy->replace_attrs ? &copy->attrs : NULL;
    bool metadata = op == STORE_UPLOAD_COMPLETE; /* told when it was begun */

    if (op == STORE_PUT)
        attrs = &((const struct store_put_in *)in)->attrs;
    SCOPE_LOCK(&m->lock);
    if (!m->own)
        return;
    if (attrs ? attrs_directory_flag(attrs->metadata, attrs->n_metadata)
              : copy && remember_own_is_marked(m->own, copy->source_key))
        remember_own_marked(m->own, key);
    metadata |= attrs && attrs->n_metadata > 0;
    bool first = remember_own_count(m->own) == 0;
    remember_own_changed(m->own, key, metadata, due_ns);
    if (first)
        pthread_cond_signal(&m->wake);
}

static void changed(void *ctx, int result, const struct s3_error *err)
{
    struct change *c = ctx;
    struct store_remember *m = c->m;
    uint64_t n_told;

    {
        SCOPE_LOCK(&m->lock);
        n_told = m->n_told;
        m->changed[m->n_changed++ % CHANGED_MAX] = dir_key_hash(store_in_key(c->op, c->in));
    }
    /* What a HEAD beside it has told may be of the version before, and LastModified may be the
     * beginning of the change: then nothing tells the two apart. */
    if (n_told != c->n_told)
        forget(m, store_in_key(c->op, c->in));
    if (result == 0)
        note_own(m, c->op, c->in);
    c->done(c->ctx, result, err);
    free(c);
}

static int submit_change(struct store_remember *m, enum store_op op, const void *in, void *out,
                         store_done_fn done, void *ctx)
{
    struct change *c = malloc(sizeof(*c));
    int r;

    if (!c) /* then it is not noted */
        return store_submit(m->inner, op, in, out, done, ctx);
    *c = (struct change){.m = m, .op = op, .in = in, .done = done, .ctx = ctx};
    {
        SCOPE_LOCK(&m->lock);
        c->n_told = m->n_told;
    }
    r = store_submit(m->inner, op, in, out, changed, c);
    if (r < 0)
        free(c);
    return r;
}

static void own_head_free(struct own_head *h)
{
    free(h->key);
    free(h);
}

static void own_headed(void *ctx, int result, const struct s3_error *err)
{
    struct own_head *h = ctx;
    struct store_remember *m = h->m;
    bool young = false;

    (void)err; /* it will be asked for when somebody wants it */
    if (result == 0) {
        young = h->out.date_ns &&
                !metadata_is_settled(h->out.mtime_ns, observed_at(m, h->sent_ns, &h->out));
        remember(m, h->key, h->sent_ns, h->n_changed, &h->out);
        store_object_done(&h->out);
    }
    pthread_mutex_lock(&m->lock);
    if (young && !h->again && m->own)
        remember_own_again(m->own, h->key, clock_monotonic_ns(m->clock) + OWN_AGAIN_NS);
    m->n_own--;
    pthread_cond_signal(&m->wake);
    pthread_mutex_unlock(&m->lock);
    own_head_free(h);
}

/* Until that may be asked for, in the clock's time; 0: now, UINT64_MAX: there is none. */
static uint64_t own_wait_ns_locked(const struct store_remember *m)
{
    uint64_t due_ns, now_ns, used_ns = atomic_load(&m->used_ns);

    if (!m->own || m->n_own >= OWN_PARALLEL || (due_ns = remember_own_due_ns(m->own)) == UINT64_MAX)
        return UINT64_MAX;
    due_ns = MAX(due_ns, used_ns + m->own_after_ns);
    now_ns = clock_monotonic_ns(m->clock);
    return due_ns > now_ns ? due_ns - now_ns : 0;
}

static void ask_own(struct store_remember *m)
{
    struct own_head *h = calloc(1, sizeof(*h));
    int r = -ENOMEM;

    pthread_mutex_lock(&m->lock);
    char *key = m->own
                    ? remember_own_take(m->own, clock_monotonic_ns(m->clock), h ? &h->again : NULL)
                    : NULL;
    if (h)
        h->n_changed = m->n_changed;
    m->n_own += h && key;
    m->figures.own += h && key;
    pthread_mutex_unlock(&m->lock);
    if (h && key) {
        h->m = m;
        h->key = key;
        h->in.key = key;
        h->sent_ns = clock_monotonic_ns(m->clock);
        r = store_submit(m->inner, STORE_HEAD, &h->in, &h->out, own_headed, h);
        if (r == 0)
            return;
        SCOPE_LOCK(&m->lock);
        m->n_own--;
    }
    free(key);
    free(h);
}

/* ---- a HEAD ---- */

static void headed(void *ctx, int result, const struct s3_error *err)
{
    struct lookup *l = ctx;

    if (result == 0 && l->out) {
        remember(l->m, l->in->key, l->sent_ns, l->n_changed, l->out);
        see_mark(l->m, l->in->key, l->out);
    }
    l->done(l->ctx, result, err);
    free(l);
}

static int pass_on(struct lookup *l)
{
    {
        SCOPE_LOCK(&l->m->lock);
        l->m->figures.asked++;
        l->n_changed = l->m->n_changed;
    }
    l->sent_ns = clock_monotonic_ns(l->m->clock);
    return store_submit(l->m->inner, STORE_HEAD, l->in, l->out, headed, l);
}

static void pass_on_queued(struct lookup *l)
{
    struct s3_error err = {0};
    int r = pass_on(l);

    if (r == 0)
        return;
    (void)s3_error_set(&err, S3_ERROR_OUT_OF_MEMORY, "no memory for the request");
    l->done(l->ctx, r, &err);
    free(l);
}

/* Whether the thread is kept by the disk: then the store is the faster one, for those that wait for
 * the thread already, too. */
static bool is_stuck(struct store_remember *m)
{
    struct lookups waiting = STAILQ_HEAD_INITIALIZER(waiting);
    struct lookup *l;

    {
        SCOPE_LOCK(&m->lock);
        if (!m->busy || clock_monotonic_ns(m->clock) - m->busy_since_ns < STUCK_NS)
            return false;
        STAILQ_CONCAT(&waiting, &m->lookups);
    }
    while ((l = STAILQ_FIRST(&waiting))) {
        STAILQ_REMOVE_HEAD(&waiting, link);
        pass_on_queued(l);
    }
    return true;
}

static int submit_head(struct store_remember *m, const struct store_head_in *in,
                       struct store_object *out, store_done_fn done, void *ctx)
{
    struct lookup *l = calloc(1, sizeof(*l));

    if (!l)
        return -ENOMEM;
    *l = (struct lookup){.m = m, .in = in, .out = out, .done = done, .ctx = ctx};
    bool stuck = in->known && is_stuck(m);
    if (!stuck) {
        SCOPE_LOCK(&m->lock);
        bool ask = in->known && !in->facts && (!m->ready || m->figures.rows > 0);
        if (ask && !m->stop) {
            STAILQ_INSERT_TAIL(&m->lookups, l, link);
            pthread_cond_signal(&m->wake);
            return 0;
        }
    }
    int r = pass_on(l);
    if (r < 0)
        free(l);
    return r;
}

static int remember_submit(struct store *s, enum store_op op, const void *in, void *out,
                           store_done_fn done, void *ctx)
{
    struct store_remember *m = CONTAINER_OF(s, struct store_remember, store);
    const struct store_head_in *head = in;

    if (m->own_after_ns)
        atomic_store(&m->used_ns, clock_monotonic_ns(m->clock));
    if (op == STORE_HEAD && out)
        return submit_head(m, head, out, done, ctx);
    forget_changed(m, op, in);
    if (op == STORE_PUT || op == STORE_COPY || op == STORE_UPLOAD_COMPLETE)
        return submit_change(m, op, in, out, done, ctx);
    return store_submit(m->inner, op, in, out, done, ctx);
}

/* ---- the thread ---- */

static void turn_off(struct store_remember *m, int why)
{
    log_warn("'%s/metadata.db' cannot be used: %s; attributes are asked for in this mount",
             m->opts.folder, strerror(-why));
    metadata_db_close(m->db);
    m->db = NULL;
    SCOPE_LOCK(&m->lock);
    m->figures.off = true;
    m->figures.rows = 0;
    remember_own_free(m->own);
    m->own = NULL;
}

static void look_up(struct store_remember *m, struct lookup *l)
{
    int r = m->db ? metadata_db_get(m->db, l->in->key, l->in->known, l->out) : 0;

    if (r < 0)
        turn_off(m, r);
    {
        SCOPE_LOCK(&m->lock);
        m->figures.found += r > 0;
    }
    if (r > 0) {
        see_mark(m, l->in->key, l->out);
        l->done(l->ctx, 0, NULL);
        free(l);
        return;
    }
    pass_on_queued(l);
}

/* Takes up to a group of what waits out of the queues. */
static void write_group(struct store_remember *m)
{
    struct metadata_row rows[GROUP_ROWS];
    struct pending_row *pending[GROUP_ROWS];
    const char *keys[GROUP_ROWS];
    struct gone_key *gone[GROUP_ROWS];
    size_t n_rows = 0, n_gone = 0;
    int r = 0;

    pthread_mutex_lock(&m->lock);
    while (n_gone < GROUP_ROWS && (gone[n_gone] = STAILQ_FIRST(&m->gone))) {
        STAILQ_REMOVE_HEAD(&m->gone, link);
        keys[n_gone] = gone[n_gone]->key;
        n_gone++;
        m->n_gone--;
    }
    while (n_rows < GROUP_ROWS && (pending[n_rows] = STAILQ_FIRST(&m->rows))) {
        STAILQ_REMOVE_HEAD(&m->rows, link);
        rows[n_rows] = pending[n_rows]->row;
        n_rows++;
        m->n_rows--;
    }
    pthread_mutex_unlock(&m->lock);
    if (m->db)
        r = metadata_db_write(m->db, rows, n_rows, keys, n_gone);
    if (r < 0)
        turn_off(m, r);
    for (size_t i = 0; i < n_rows; i++)
        row_free(pending[i]);
    for (size_t i = 0; i < n_gone; i++)
        free(gone[i]);
    if (m->db) {
        SCOPE_LOCK(&m->lock);
        m->figures.rows = metadata_db_rows(m->db);
    }
}

static struct timespec after(uint64_t ns)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += (time_t)(ns / (uint64_t)NS_PER_S);
    t.tv_nsec += (long)(ns % (uint64_t)NS_PER_S);
    if (t.tv_nsec >= NS_PER_S) {
        t.tv_nsec -= NS_PER_S;
        t.tv_sec++;
    }
    return t;
}

/* Until there is something to look up, a group to write, an own change to ask for, or the end. */
static void wait_for_work_locked(struct store_remember *m)
{
    struct timespec group = {0};
    bool lingered = false;

    m->busy = false;
    while (STAILQ_EMPTY(&m->lookups) && !m->stop) {
        size_t n = m->n_rows + m->n_gone;
        uint64_t own_ns = own_wait_ns_locked(m);

        if (n >= GROUP_ROWS || (n > 0 && (m->hurry || lingered)) || own_ns == 0)
            break;
        if (n > 0) {
            if (!group.tv_sec)
                group = after(LINGER_NS);
            lingered = pthread_cond_timedwait(&m->wake, &m->lock, &group) == ETIMEDOUT;
            continue;
        }
        group.tv_sec = 0;
        pthread_cond_broadcast(&m->idle);
        if (own_ns == UINT64_MAX) {
            pthread_cond_wait(&m->wake, &m->lock);
        } else {
            struct timespec own = after(own_ns);
            (void)pthread_cond_timedwait(&m->wake, &m->lock, &own);
        }
    }
    m->busy = true;
    m->busy_since_ns = clock_monotonic_ns(m->clock);
}

static void *run(void *arg)
{
    struct store_remember *m = arg;
    int r = metadata_db_open(&m->opts, &m->db);

    if (r < 0)
        turn_off(m, r);
    pthread_mutex_lock(&m->lock);
    m->ready = true;
    m->figures.rows = m->db ? metadata_db_rows(m->db) : 0;
    for (;;) {
        struct lookup *l;

        wait_for_work_locked(m);
        l = STAILQ_FIRST(&m->lookups);
        if (l)
            STAILQ_REMOVE_HEAD(&m->lookups, link);
        else if (m->stop && m->n_rows + m->n_gone == 0)
            break;
        bool group = m->n_rows + m->n_gone > 0 && (m->stop || own_wait_ns_locked(m) > 0);
        pthread_mutex_unlock(&m->lock);
        if (l)
            look_up(m, l);
        else if (group)
            write_group(m);
        else
            ask_own(m);
        pthread_mutex_lock(&m->lock);
    }
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

/* ---- life ---- */

static void done_opts(struct metadata_db_options *o)
{
    free((char *)(uintptr_t)o->folder);
    free((char *)(uintptr_t)o->endpoint);
    free((char *)(uintptr_t)o->bucket);
    free((char *)(uintptr_t)o->prefix);
}

static void free_all(struct store_remember *m)
{
    struct pending_row *p;
    struct gone_key *g;

    while ((p = STAILQ_FIRST(&m->rows))) {
        STAILQ_REMOVE_HEAD(&m->rows, link);
        row_free(p);
    }
    while ((g = STAILQ_FIRST(&m->gone))) {
        STAILQ_REMOVE_HEAD(&m->gone, link);
        free(g);
    }
    pthread_cond_destroy(&m->wake);
    pthread_cond_destroy(&m->idle);
    pthread_mutex_destroy(&m->lock);
    done_opts(&m->opts);
    remember_own_free(m->own);
    free(m);
}

static void remember_free(struct store *s)
{
    struct store_remember *m = CONTAINER_OF(s, struct store_remember, store);

    pthread_mutex_lock(&m->lock);
    m->stop = true;
    pthread_cond_signal(&m->wake);
    pthread_mutex_unlock(&m->lock);
    pthread_join(m->thread, NULL);
    store_free(m->inner); /* it may still complete something */
    metadata_db_close(m->db);
    free_all(m);
}

static bool is_there(const char *folder)
{
    CLEANUP_FREE char *path = NULL;

    return asprintf(&path, "%s/metadata.db", folder) > 0 && access(path, F_OK) == 0;
}

static const struct store_ops REMEMBER_OPS = {.submit = remember_submit, .free = remember_free};

int store_remember_new(struct store *inner, const struct store_remember_options *options,
                       struct store **ret)
{
    const struct metadata_db_options *opts = &options->db;
    struct store_remember *m = calloc(1, sizeof(*m));
    pthread_condattr_t monotonic;
    int r;

    if (!m)
        return -ENOMEM;
    m->store.ops = &REMEMBER_OPS;
    m->inner = inner;
    m->clock = opts->clock ? opts->clock : clock_system();
    m->opts = *opts;
    m->opts.folder = strdup(opts->folder);
    m->opts.endpoint = strdup(opts->endpoint);
    m->opts.bucket = strdup(opts->bucket);
    m->opts.prefix = strdup(opts->prefix);
    STAILQ_INIT(&m->lookups);
    STAILQ_INIT(&m->rows);
    STAILQ_INIT(&m->gone);
    pthread_mutex_init(&m->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&m->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&m->idle, NULL);
    r = m->opts.folder && m->opts.endpoint && m->opts.bucket && m->opts.prefix ? 0 : -ENOMEM;
    m->old = is_there(opts->folder);
    m->own_after_ns = options->own_after_ns;
    atomic_init(&m->used_ns, clock_monotonic_ns(m->clock));
    if (m->own_after_ns && !(m->own = remember_own_new(options->every)))
        r = -ENOMEM;
    m->busy = true; /* it opens the database */
    m->busy_since_ns = clock_monotonic_ns(m->clock);
    if (r == 0)
        r = -pthread_create(&m->thread, NULL, run, m);
    if (r < 0) {
        free_all(m);
        return r;
    }
    *ret = &m->store;
    return 0;
}

bool store_remember_has_rows(struct store *s)
{
    struct store_remember *m = CONTAINER_OF(s, struct store_remember, store);

    SCOPE_LOCK(&m->lock);
    return m->ready ? m->figures.rows > 0 : m->old;
}

void store_remember_get(struct store *s, struct store_remember_figures *ret)
{
    struct store_remember *m = CONTAINER_OF(s, struct store_remember, store);

    SCOPE_LOCK(&m->lock);
    *ret = m->figures;
    ret->waiting = m->own ? remember_own_count(m->own) : 0;
}

void store_remember_settle(struct store *s)
{
    struct store_remember *m = CONTAINER_OF(s, struct store_remember, store);

    SCOPE_LOCK(&m->lock);
    m->hurry = true;
    pthread_cond_signal(&m->wake);
    while (m->busy || m->n_rows + m->n_gone > 0 || m->n_own > 0 || own_wait_ns_locked(m) == 0 ||
           !STAILQ_EMPTY(&m->lookups))
        pthread_cond_wait(&m->idle, &m->lock);
    m->hurry = false;
}
