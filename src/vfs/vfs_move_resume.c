/* SPDX-License-Identifier: Apache-2.0 */
/* A move that a crash has interrupted. Nothing is known any more of which versions were copied, so
 * both prefixes are gone through side by side, and only what is the same under both names goes: by
 * the page where the ETags say so, else one by one, when the contents have been compared. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vfs/vfs_move_impl.h"

#define COPIES 16u

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

/* There under both names, with one size and two ETags. */
struct doubt {
    char *key; /* the other's is the same below the other prefix; owned */
    uint64_t size;
    char etag[STORE_ETAG_SIZE];
    char other_etag[STORE_ETAG_SIZE];
};

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
    struct doubt *doubts; /* of one page; owned */
    size_t n_doubts;
    int denied; /* of the first that may not be read: the others go on */
    struct s3_error denied_error;
    bool root; /* the old prefix's own marker goes last */
    char root_etag[STORE_ETAG_SIZE];
};

struct copy_job {
    char *key; /* owned */
    struct store_copy_in in;
    struct store_version version;
    const struct store_entry *entry;
    bool doubtful;
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

/* Whether its content has to be looked at: one is a copy of the other, as far as sizes tell. */
static bool may_be_same(const struct resume *rs, const struct store_entry *e,
                        const struct store_entry *t)
{
    int64_t made_ns = MAX(e->mtime_ns, rs->until_ns - 2 * VFS_CLOCK_NS);
    return t->etag && strlen(e->etag) < STORE_ETAG_SIZE && strlen(t->etag) < STORE_ETAG_SIZE &&
           e->size == t->size && (rs->back || t->mtime_ns >= made_ns);
}

static int note_doubt(struct resume *rs, const struct store_entry *e, const struct store_entry *t)
{
    struct doubt *all = realloc(rs->doubts, (rs->n_doubts + 1) * sizeof(*all));
    if (!all)
        return -ENOMEM;
    rs->doubts = all;
    struct doubt *d = &all[rs->n_doubts];
    *d = (struct doubt){.key = strdup(e->key), .size = e->size};
    memcpy(d->etag, e->etag, strlen(e->etag) + 1);
    memcpy(d->other_etag, t->etag, strlen(t->etag) + 1);
    rs->n_doubts += d->key != NULL;
    return d->key ? 0 : -ENOMEM;
}

/* The same content. Of markers, which are empty, it is the same whatever they carry. */
static int settle_doubt(struct resume *rs, const struct doubt *d, struct s3_error *err)
{
    CLEANUP_FREE char *key = move_key(d->key, rs->from, rs->to);
    if (!key)
        return -ENOMEM;
    struct vfs_content here = {d->key, d->etag, d->size}, there = {key, d->other_etag, d->size};
    struct s3_error local = {0};
    int r = vfs_same_content(rs->v, &here, &there, rs->stop, &local);
    if (r > 0 && strcmp(d->key, rs->from) == 0) {
        rs->root = true;
        memcpy(rs->root_etag, d->etag, sizeof(rs->root_etag));
        return 0;
    }
    if (r > 0) {
        r = store_delete(rs->v->store, d->key, d->etag, &local);
        if (r == 0)
            return 0;
        if (local.kind == S3_ERROR_PRECONDITION)
            r = 0; /* replaced since */
    }
    if (r < 0 && local.kind == S3_ERROR_ACCESS_DENIED) {
        if (rs->denied == 0) {
            rs->denied = r;
            rs->denied_error = local;
        }
        return 0;
    }
    rs->left += r == 0;
    if (r < 0 && err)
        *err = local;
    return r;
}

/* When what is certain has been deleted: it may take long. */
static int settle_doubts(struct resume *rs, int r, struct s3_error *err)
{
    for (size_t i = 0; i < rs->n_doubts; i++) {
        if (r == 0)
            r = settle_doubt(rs, &rs->doubts[i], err);
        free(rs->doubts[i].key);
    }
    rs->n_doubts = 0;
    return r;
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
        if (e->mtime_ns > rs->until_ns || !e->etag || !e->etag[0])
            continue; /* stored since: it stays where it is */
        if (!(j->key = move_key(e->key, rs->from, rs->to))) {
            r = -ENOMEM;
            break;
        }
        int there = walk_to(&rs->walk, j->key, &t, err);
        if (there < 0) {
            r = there;
        } else if (there) {
            bool root = strcmp(e->key, rs->from) == 0 && e->size == 0 && t.size == 0;
            if (t.etag && strcmp(e->etag, t.etag) == 0)
                j->result = 0;
            else if (!root && !may_be_same(rs, e, &t))
                j->result = -EEXIST;
            else if ((r = note_doubt(rs, e, &t)) == 0)
                j->doubtful = true;
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
            if (strcmp(j->entry->key, rs->from) == 0) {
                rs->root = true;
                snprintf(rs->root_etag, sizeof(rs->root_etag), "%s", j->entry->etag);
            } else {
                move_batch_add(b, j->entry);
            }
        } else if (j->entry && !j->doubtful) {
            rs->left++;
        }
        free(j->key);
    }
    free(jobs);
    return r;
}

static int delete_root(struct resume *rs, struct s3_error *err)
{
    struct s3_error local = {0};
    int r = store_delete(rs->v->store, rs->from, rs->root_etag, &local);
    if (r < 0 && local.kind == S3_ERROR_PRECONDITION) {
        rs->left++;
        return 0;
    }
    if (r < 0 && err)
        *err = local;
    return r;
}

static int run(struct resume *rs, uint64_t *ret_left, struct s3_error *err)
{
    struct vfs *v = rs->v;
    const char *from = rs->from;
    rs->walk = (struct walk){.v = v, .cursor = {.prefix = rs->to}};
    struct move_cursor c = {.prefix = from};
    int r = move_deleter_init(&rs->deleter, v, from);
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
        r = settle_doubts(rs, r, err);
    }
    free(c.token);
    free(rs->doubts);
    free(rs->walk.cursor.token);
    store_page_done(&rs->walk.page);
    r = move_deleter_done(&rs->deleter, r, err);
    rs->left += rs->deleter.left;
    if (r == 0 && rs->denied < 0) {
        r = rs->denied;
        if (err)
            *err = rs->denied_error;
    }
    if (r == 0 && rs->root && rs->left == 0)
        r = delete_root(rs, err);
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
