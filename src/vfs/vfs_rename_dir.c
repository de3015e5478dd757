/* SPDX-License-Identifier: Apache-2.0 */
/* rename of a directory: every key below it is copied, in parallel, and only when all copies are
 * there the old keys are deleted, each on condition that it is still the version that was copied.
 * A failure before that takes the copies away again; one after it leaves both names. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_limits.h"
#include "vfs/vfs_impl.h"

struct move {
    char *source; /* owned */
    char *key;    /* owned */
    uint64_t size;
    char etag[STORE_ETAG_SIZE];
    struct store_copy_in copy;
    struct store_version version;
    struct store_delete_in removal;
    bool copied;
    int result;
    struct s3_error *error; /* owned; of the failure */
};

struct moves {
    struct move *items; /* in the order of their keys */
    size_t n;
    size_t alloc;
    bool copied; /* all of them: from here on the new names are kept, whatever fails */
};

static void moves_done(struct moves *m)
{
    for (size_t i = 0; i < m->n; i++) {
        free(m->items[i].source);
        free(m->items[i].key);
        free(m->items[i].error);
    }
    free(m->items);
}

static int add_move(struct moves *m, const struct store_entry *e, const char *from, const char *to,
                    size_t key_max)
{
    size_t from_len = strlen(from), to_len = strlen(to), len = strlen(e->key);
    if (len < from_len || memcmp(e->key, from, from_len) != 0 || !e->etag ||
        strlen(e->etag) >= STORE_ETAG_SIZE)
        return -EIO;
    if (to_len + len - from_len > key_max)
        return -ENAMETOOLONG;
    if (m->n == m->alloc) {
        size_t alloc = m->alloc ? m->alloc * 2 : 64;
        struct move *p = realloc(m->items, alloc * sizeof(*p));
        if (!p)
            return -ENOMEM;
        m->items = p;
        m->alloc = alloc;
    }
    struct move *it = &m->items[m->n];
    *it = (struct move){
        .source = strdup(e->key), .key = malloc(to_len + len - from_len + 1), .size = e->size};
    m->n++;
    if (!it->source || !it->key)
        return -ENOMEM;
    memcpy(it->key, to, to_len);
    memcpy(it->key + to_len, e->key + from_len, len - from_len + 1);
    memcpy(it->etag, e->etag, strlen(e->etag) + 1);
    return 0;
}

static int list_tree(struct vfs *v, const char *from, const char *to, struct moves *m,
                     struct s3_error *err)
{
    CLEANUP_FREE char *token = NULL;
    bool more = true;
    int r = 0;
    while (more && r == 0) {
        struct store_page page = {0};
        struct store_list_in in = {.prefix = from, .token = token};
        if ((r = store_list(v->store, &in, &page, err)) < 0)
            return r;
        for (size_t i = 0; i < page.n_entries && r == 0; i++)
            r = add_move(m, &page.entries[i], from, to, v->opts.key_max);
        more = page.next_token != NULL;
        free(token);
        token = more ? strdup(page.next_token) : NULL;
        store_page_done(&page);
        if (more && !token && r == 0)
            r = -ENOMEM;
    }
    return r;
}

static void move_done(void *ctx, int result, const struct s3_error *err)
{
    struct move *m = ctx;
    m->result = result;
    m->copied |= result == 0;
    if (result < 0 && err && (m->error = malloc(sizeof(*err))))
        *m->error = *err;
}

/* The first failure of a round of requests, and the error that goes with it. */
static int first_failure(const struct moves *m, int submitted, struct s3_error *err)
{
    for (size_t i = 0; i < m->n; i++) {
        if (m->items[i].result == 0)
            continue;
        if (err && m->items[i].error)
            *err = *m->items[i].error;
        return m->items[i].result;
    }
    return submitted;
}

static int copy_all(struct vfs *v, struct moves *m, struct s3_error *err)
{
    struct fanout *f;
    int r = fanout_new(v->store, v->opts.parallel, &f);
    if (r < 0)
        return r;
    for (size_t i = 0; i < m->n && r == 0; i++) {
        struct move *it = &m->items[i];
        if (it->size > STORE_COPY_SIZE_MAX) {
            struct vfs_copy c = {
                .source = it->source, .if_match = it->etag, .size = it->size, .key = it->key};
            struct s3_error local = {0};
            move_done(it, vfs_copy_object(v, &c, &it->version, &local), &local);
            r = it->result;
            continue;
        }
        it->copy = (struct store_copy_in){
            .source_key = it->source, .source_if_match = it->etag, .key = it->key};
        r = fanout_submit(f, STORE_COPY, &it->copy, &it->version, move_done, it);
    }
    (void)fanout_wait(f, NULL);
    fanout_free(f);
    return first_failure(m, r, err);
}

/* Deletes one side of all that were copied: the sources, or the copies after a failure. */
static int delete_all(struct vfs *v, struct moves *m, bool copies, struct s3_error *err)
{
    struct fanout *f;
    int r = fanout_new(v->store, v->opts.parallel, &f);
    if (r < 0)
        return r;
    /* Deepest first and the directory's own marker last, so that what is left after an
     * interruption is still a tree with its root. */
    for (size_t i = m->n; i-- > 0 && r == 0;) {
        struct move *it = &m->items[i];
        if (!it->copied)
            continue;
        it->removal = (struct store_delete_in){.key = copies ? it->key : it->source,
                                               .if_match = copies ? it->version.etag : it->etag};
        r = fanout_submit(f, STORE_DELETE, &it->removal, NULL, move_done, it);
    }
    (void)fanout_wait(f, NULL);
    fanout_free(f);
    for (size_t i = 0; i < m->n; i++) {
        struct move *it = &m->items[i];
        /* Replaced since it was copied: as if it had been written after the rename; or gone. */
        if (it->result < 0 && it->error &&
            (it->error->kind == S3_ERROR_PRECONDITION || it->error->kind == S3_ERROR_NO_SUCH_KEY))
            it->result = 0;
    }
    return first_failure(m, r, err);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(((const struct move *)a)->key, ((const struct move *)b)->key);
}

/* keep_marker: the new name was a directory with a marker before, and stays one whatever happens.
 */
static int move_tree(struct vfs *v, struct moves *m, const char *from, const char *to,
                     bool keep_marker, struct s3_error *err)
{
    int r = list_tree(v, from, to, m, err);
    if (m->n > 0)
        qsort(m->items, m->n, sizeof(*m->items), compare_keys);
    if (r == 0)
        r = copy_all(v, m, err);
    if (r < 0) {
        for (size_t i = 0; i < m->n; i++) {
            m->items[i].result = 0;
            if (keep_marker && strcmp(m->items[i].key, to) == 0)
                m->items[i].copied = false;
        }
        (void)delete_all(v, m, true, NULL);
        return r;
    }
    m->copied = true;
    return delete_all(v, m, false, err);
}

/* ---- what is open below ---- */

static bool is_below(const struct open_file *of, const struct inode *dir)
{
    return inode_is_under(of->inode, dir) && of->inode != dir;
}

static int commit_one_locked(struct vfs *v, struct open_file *of, struct s3_error *err)
{
    of->refs++;
    vfs_open_file_begin_locked(v, of);
    int r = vfs_commit_locked(v, of, err);
    vfs_open_file_end_locked(v, of);
    vfs_open_file_put_locked(v, of);
    return r;
}

/* Everything written below the directory is stored under its old key. */
static int commit_below_locked(struct vfs *v, struct inode *dir, struct s3_error *err)
{
    struct open_file *of = TAILQ_FIRST(&v->open_files);
    int r = 0;
    if (of)
        of->refs++;
    while (of) {
        if (r == 0 && is_below(of, dir))
            r = commit_one_locked(v, of, err);
        struct open_file *next = TAILQ_NEXT(of, link);
        if (next)
            next->refs++;
        vfs_open_file_put_locked(v, of);
        of = next;
    }
    return r;
}

static int by_key(const void *key, const void *item)
{
    return strcmp(key, ((const struct move *)item)->key);
}

/* Their next commits go to the new keys. */
static int follow_below_locked(struct vfs *v, struct inode *dir, const struct moves *m)
{
    struct open_file *of = TAILQ_FIRST(&v->open_files);
    int r = 0;
    if (of)
        of->refs++;
    while (of) {
        char key[COMPONENT_LENGTH_MAX + 1];
        const struct move *it = NULL;
        if (is_below(of, dir) && of->writer && inode_key(of->inode, v->opts.key_max, key) == 0 &&
            m->n > 0)
            it = bsearch(key, m->items, m->n, sizeof(*m->items), by_key);
        if (it) {
            pthread_mutex_unlock(&v->lock);
            int set = writer_set_key(of->writer, it->key, it->version.etag);
            pthread_mutex_lock(&v->lock);
            memcpy(of->inode->attr.etag, it->version.etag, sizeof(it->version.etag));
            if (r == 0)
                r = set;
        }
        struct open_file *next = TAILQ_NEXT(of, link);
        if (next)
            next->refs++;
        vfs_open_file_put_locked(v, of);
        of = next;
    }
    return r;
}

/* What is cached of the files below is of objects that are no longer there. */
static void expire_below_locked(struct vfs *v, struct inode *dir)
{
    for (size_t b = 0; b < v->inodes.n_buckets; b++) {
        for (struct inode *i = v->inodes.by_ino[b]; i; i = i->next_by_ino) {
            if (i == dir || !inode_is_under(i, dir))
                continue;
            i->changes++;
            if (i->kind == NODE_FILE && !i->open)
                i->attr_until_ns = 0;
            vfs_listing_drop_locked(v, i);
            i->marker = KNOWN_NOT;
            i->marker_own = false;
        }
    }
    vfs_listing_drop_locked(v, dir);
    dir->changes++;
}

/* ---- the directory ---- */

static int prepare_locked(struct vfs *v, struct inode *i, struct inode *dir, struct inode *target,
                          bool *ret_marker, struct s3_error *err)
{
    int r = 0;
    *ret_marker = false;
    if (target)
        r = vfs_check_empty_locked(v, target, ret_marker, err);
    if (r == 0)
        r = commit_below_locked(v, i, err);
    if (r == 0 && i->open)
        r = commit_one_locked(v, i->open, err);
    if (r == 0)
        r = vfs_rename_mark_locked(v, dir, i, err);
    if (r == 0 && i->parent && i->parent != dir)
        r = vfs_keep_dir_locked(v, i->parent, err);
    return r;
}

/* A marker made on condition: of two hosts that rename to the same new name, one wins. Its time of
 * change is that of the rename, and nobody else's. */
static int claim_locked(struct vfs *v, struct inode *i, const char *key, struct s3_error *err)
{
    CLEANUP_ARENA struct arena arena = ARENA_INIT(16 << 10);
    struct store_put_in in = {.key = key, .if_absent = true};
    struct store_version version;
    struct s3_error local = {0};
    i->attr.ctime_ns = clock_realtime_ns(v->clock);
    int r = vfs_posix_metadata_locked(v, i, false, NULL, &arena, &in.attrs);
    if (r < 0)
        return r;
    pthread_mutex_unlock(&v->lock);
    r = store_put(v->store, &in, &version, &local);
    if (r < 0 && vfs_posix_is_own(v, key, &in.attrs, &local, &version))
        r = 0;
    pthread_mutex_lock(&v->lock);
    if (r < 0 && err)
        *err = local;
    return r < 0 && local.kind == S3_ERROR_PRECONDITION ? -EEXIST : r;
}

static int rename_dir_locked(struct vfs *v, struct inode *i, struct inode *dir,
                             const char *component, const char *key, struct inode *target,
                             bool noreplace, struct s3_error *err)
{
    char from[COMPONENT_LENGTH_MAX + 1];
    struct moves m = {0};
    bool marker;
    int r = inode_key(i, COMPONENT_LENGTH_MAX, from);
    if (r == 0)
        r = prepare_locked(v, i, dir, target, &marker, err);
    if (r == 0 && noreplace)
        r = claim_locked(v, i, key, err);
    if (r < 0)
        return r;

    pthread_mutex_unlock(&v->lock);
    r = move_tree(v, &m, from, key, marker, err);
    /* Once all is copied the old marker may be gone: then the new one is the only one. */
    if (r < 0 && noreplace && !m.copied)
        (void)store_delete(v->store, key, NULL, NULL);
    pthread_mutex_lock(&v->lock);
    if (r == 0) {
        if (target)
            vfs_forget_name_locked(v, target);
        r = vfs_rename_inode_locked(v, i, dir, component);
    }
    /* Also after a failure: which keys are where is for the store to tell. */
    expire_below_locked(v, i);
    if (r == 0) {
        i->marker = noreplace || marker || (m.n > 0 && strcmp(m.items[0].key, key) == 0) ? KNOWN_YES
                                                                                         : KNOWN_NO;
        i->marker_own = false;
        r = follow_below_locked(v, i, &m);
        /* Nothing below it and no marker: it must not vanish by being renamed. */
        if (r == 0 && m.n == 0 && i->marker != KNOWN_YES)
            r = vfs_marker_write_locked(v, i, false, err);
    }
    moves_done(&m);
    return r;
}

int vfs_rename_dir_locked(struct vfs *v, struct inode *i, struct inode *dir, const char *component,
                          const char *key, struct inode *target, bool noreplace,
                          struct s3_error *err)
{
    const struct inode *parent = i->parent;
    vfs_move_begin_locked(v, i);
    /* Somebody may have renamed or removed it while this one waited. */
    int r = i->parent && i->parent == parent ? 0 : -ENOENT;
    if (r == 0)
        r = rename_dir_locked(v, i, dir, component, key, target, noreplace, err);
    vfs_move_end_locked(v, i);
    return r;
}
