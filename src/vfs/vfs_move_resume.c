/* SPDX-License-Identifier: Apache-2.0 */
/* A move that a crash has interrupted. Nothing is known any more of which versions were copied, so
 * both prefixes are gone through side by side, and only what is the same under both names goes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/vfs_move_impl.h"

#define COPIES 16u

bool vfs_is_copy(const char *etag, uint64_t size, int64_t mtime_ns, const char *copy_etag,
                 uint64_t copy_size, int64_t copy_mtime_ns)
{
    if (!etag || !copy_etag || size != copy_size)
        return false;
    /* That of an object made of parts is not that of its copy. */
    return strcmp(etag, copy_etag) == 0 || (strchr(etag, '-') && copy_mtime_ns >= mtime_ns);
}

/* ---- the keys under the new prefix, one after the other ---- */

struct walk {
    struct vfs *v;
    struct move_cursor cursor;
    struct store_page page;
    size_t at;
    bool ended;
};

/* The entry of that key; 1, 0 when there is none. The keys are asked for in their order. */
static int walk_to(struct walk *w, const char *key, struct store_entry *ret, struct s3_error *err)
{
    while (!w->ended) {
        for (; w->at < w->page.n_entries; w->at++) {
            int order = strcmp(w->page.entries[w->at].key, key);
            if (order > 0)
                return 0;
            if (order == 0) {
                *ret = w->page.entries[w->at];
                return 1;
            }
        }
        store_page_done(&w->page);
        w->page = (struct store_page){0};
        w->at = 0;
        int r = move_next_page(w->v, &w->cursor, &w->page, err);
        if (r < 0)
            return r;
        w->ended = r == 0;
    }
    return 0;
}

/* ---- one page of the old prefix ---- */

struct resume {
    struct vfs *v;
    const char *from;
    const char *to;
    bool deleting;
    bool back;               /* the copies may be those under the old prefix */
    const atomic_bool *stop; /* NULL = nobody stops it */
    int64_t until_ns;
    struct walk walk;
    struct move_deleter deleter;
    uint64_t left;
    bool root; /* the old prefix's own marker goes last */
};

struct copy_job {
    char *key; /* owned */
    struct store_copy_in in;
    struct store_version version;
    const struct store_entry *entry;
    struct store_entry target; /* what is there; only while the walk's page lives */
    bool there;
    bool same;
    int result;
    struct s3_error error;
};

static void copy_done(void *ctx, int result, const struct s3_error *err)
{
    struct copy_job *j = ctx;
    j->result = result;
    if (result < 0 && err)
        j->error = *err;
}

static int copy_missing(struct resume *rs, struct fanout *f, struct copy_job *j)
{
    const struct store_entry *e = j->entry;
    if (e->size > STORE_COPY_SIZE_MAX) {
        struct vfs_copy c = {.source = e->key,
                             .if_match = e->etag,
                             .size = e->size,
                             .key = j->key,
                             .if_absent = true};
        j->result = vfs_copy_object(rs->v, &c, &j->version, &j->error);
        return 0;
    }
    j->in = (struct store_copy_in){
        .source_key = e->key, .source_if_match = e->etag, .key = j->key, .if_absent = true};
    return fanout_submit(f, STORE_COPY, &j->in, &j->version, copy_done, j);
}

static bool is_same(const struct resume *rs, const struct store_entry *e,
                    const struct store_entry *t)
{
    int64_t made_ns = MAX(e->mtime_ns, rs->until_ns - 2 * VFS_CLOCK_NS);
    return vfs_is_copy(e->etag, e->size, made_ns, t->etag, t->size, t->mtime_ns) ||
           (rs->back && vfs_is_copy(t->etag, t->size, t->mtime_ns, e->etag, e->size, e->mtime_ns));
}

/* Finds out what is under the new name of each key, and copies what is not there. */
static int compare_page(struct resume *rs, const struct store_page *page, struct copy_job *jobs,
                        struct s3_error *err)
{
    struct fanout *f;
    int r = fanout_new(rs->v->store, COPIES, &f);
    if (r < 0)
        return r;
    for (size_t i = 0; i < page->n_entries && r == 0; i++) {
        struct copy_job *j = &jobs[i];
        const struct store_entry *e = &page->entries[i];
        struct store_entry t;
        *j = (struct copy_job){.entry = e, .result = -ENOENT};
        if (e->mtime_ns > rs->until_ns || !e->etag)
            continue; /* stored since: it stays where it is */
        if (!(j->key = move_key(e->key, rs->from, rs->to))) {
            r = -ENOMEM;
            break;
        }
        int there = walk_to(&rs->walk, j->key, &t, err);
        if (there < 0) {
            r = there;
        } else if (there) {
            /* The markers are equal whatever they carry. */
            bool root = strcmp(e->key, rs->from) == 0;
            j->there = true;
            j->result = root || is_same(rs, e, &t) ? 0 : -EEXIST;
        } else if (!rs->deleting) {
            r = copy_missing(rs, f, j);
        }
    }
    (void)fanout_wait(f, NULL);
    fanout_free(f);
    return r;
}

static int resume_page(struct resume *rs, struct move_batch *b, struct s3_error *err)
{
    struct copy_job *jobs = calloc(b->page.n_entries + 1, sizeof(*jobs));
    if (!jobs)
        return -ENOMEM;
    int r = compare_page(rs, &b->page, jobs, err);
    for (size_t i = 0; i < b->page.n_entries; i++) {
        struct copy_job *j = &jobs[i];
        bool refused = j->error.kind == S3_ERROR_PRECONDITION ||
                       j->error.kind == S3_ERROR_NO_SUCH_KEY || j->error.kind == S3_ERROR_NONE;
        if (r == 0 && j->result < 0 && !refused) {
            r = j->result;
            if (err)
                *err = j->error;
        }
        if (r == 0 && j->entry && j->result == 0) {
            if (strcmp(j->entry->key, rs->from) == 0)
                rs->root = true;
            else
                b->keys[b->n++] = j->entry->key;
        } else if (j->entry) {
            rs->left++;
        }
        free(j->key);
    }
    free(jobs);
    return r;
}

static int run(struct resume *rs, uint64_t *ret_left, struct s3_error *err)
{
    struct vfs *v = rs->v;
    const char *from = rs->from;
    rs->walk = (struct walk){.v = v, .cursor = {.prefix = rs->to}};
    struct move_cursor c = {.prefix = from};
    int r = move_deleter_init(&rs->deleter, v);
    if (r < 0)
        return r;
    for (bool more = true; more && r == 0;) {
        if (rs->stop && atomic_load(rs->stop)) {
            r = -ECANCELED;
            break;
        }
        struct move_batch *b = move_batch_new(&rs->deleter);
        if (!b)
            r = -ENOMEM;
        else if ((r = move_next_page(v, &c, &b->page, err)) <= 0)
            more = false;
        else
            r = resume_page(rs, b, err);
        r = move_batch_send(b, r);
    }
    free(c.token);
    free(rs->walk.cursor.token);
    store_page_done(&rs->walk.page);
    r = move_deleter_done(&rs->deleter, r, err);
    if (r == 0 && rs->root && rs->left == 0)
        r = store_delete(v->store, from, NULL, err);
    *ret_left = rs->left;
    return r;
}

int vfs_move_resume(struct vfs *v, const char *from, const char *to, bool deleting,
                    int64_t begun_ns, uint64_t *ret_left, struct s3_error *err)
{
    struct resume rs = {.v = v,
                        .from = from,
                        .to = to,
                        .deleting = deleting,
                        .stop = v->recover_stop,
                        .until_ns = begun_ns + VFS_CLOCK_NS};
    return run(&rs, ret_left, err);
}

int vfs_move_undo(struct vfs *v, const char *from, const char *to, bool deleting, int64_t now_ns,
                  const atomic_bool *stop, uint64_t *ret_left, struct s3_error *err)
{
    struct resume rs = {.v = v,
                        .from = from,
                        .to = to,
                        .deleting = deleting,
                        .back = true,
                        .stop = stop,
                        .until_ns = now_ns + VFS_CLOCK_NS};
    return run(&rs, ret_left, err);
}
