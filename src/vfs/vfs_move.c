/* SPDX-License-Identifier: Apache-2.0 */
#include "vfs/vfs_move.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crash_point.h"
#include "base/log.h"
#include "store/store_limits.h"
#include "vfs/vfs_move_impl.h"

/* Copies under way. No bytes come here, and each takes a round trip at least. */
#define COPIES 64u
/* Copies that were refused and are looked at one by one; more of them end the move. */
#define REFUSED_MAX 1000u
#define PROGRESS_NS (10 * (uint64_t)NS_PER_S)

#define METADATA_BYTES_MAX (256u << 10)

/* ---- the set of what was copied ---- */

/* FNV-1a of both, never 0. */
uint64_t move_hash(char side, const char *key, const char *etag)
{
    uint64_t h = (14695981039346656037u ^ (unsigned char)side) * 1099511628211u;
    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * 1099511628211u;
    h = (h ^ 0xff) * 1099511628211u;
    for (; *etag; etag++)
        h = (h ^ (unsigned char)*etag) * 1099511628211u;
    h ^= h >> 32;
    return h ? h : 1;
}

static void set_put(struct move_set *s, uint64_t hash)
{
    size_t k = (size_t)hash & (s->size - 1);
    while (s->slots[k] && s->slots[k] != hash)
        k = (k + 1) & (s->size - 1);
    s->n += !s->slots[k];
    s->slots[k] = hash;
}

int move_set_add(struct move_set *s, uint64_t hash)
{
    if (s->n >= s->size / 2) {
        struct move_set bigger = {.size = s->size ? s->size * 2 : 256};
        bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
        if (!bigger.slots)
            return -ENOMEM;
        for (size_t i = 0; i < s->size; i++) {
            if (s->slots[i])
                set_put(&bigger, s->slots[i]);
        }
        free(s->slots);
        *s = bigger;
    }
    set_put(s, hash);
    return 0;
}

bool move_set_has(const struct move_set *s, uint64_t hash)
{
    if (s->size == 0)
        return false;
    size_t k = (size_t)hash & (s->size - 1);
    while (s->slots[k] && s->slots[k] != hash)
        k = (k + 1) & (s->size - 1);
    return s->slots[k] == hash;
}

/* ---- copies ---- */

struct mover;

struct item {
    struct page *page;
    const struct store_entry *entry; /* of the page */
    char *key;                       /* owned */
    const struct move_attrs *attrs;  /* of the page; NULL = as the source */
    struct store_copy_in in;
    struct store_version version;
};

struct page {
    struct mover *mover;
    struct store_page list;
    struct item *items;
    struct move_attrs *attrs; /* of each entry; NULL = all as their sources */
    size_t pending;           /* protected by the mover's lock */
};

/* A copy that did not succeed. */
struct refused {
    char *source; /* owned */
    char *key;    /* owned */
    char etag[STORE_ETAG_SIZE];
    uint64_t size;
    struct s3_error error;
};

struct mover {
    struct vfs *v;
    struct vfs_move *m;
    uint64_t next_progress_ns;
    pthread_mutex_t lock;
    /* protected by lock */
    struct move_set set;
    struct refused *refused;
    size_t n_refused;
    size_t n_redone;
    int result; /* a failure after which nothing more is sent */
    struct s3_error error;
    struct move_marks marks; /* its set and dirs too */
};

static void page_put(struct page *p)
{
    struct mover *mv = p->mover;
    pthread_mutex_lock(&mv->lock);
    bool last = --p->pending == 0;
    pthread_mutex_unlock(&mv->lock);
    if (!last)
        return;
    for (size_t i = 0; p->items && i < p->list.n_entries; i++)
        free(p->items[i].key);
    for (size_t i = 0; p->attrs && i < p->list.n_entries; i++)
        move_attrs_done(&p->attrs[i]);
    free(p->attrs);
    free(p->items);
    store_page_done(&p->list);
    free(p);
}

static int by_key(const void *key, const void *watch)
{
    return strcmp(key, ((const struct vfs_move_watch *)watch)->key);
}

static void note_copied_locked(struct mover *mv, const char *source, const char *etag,
                               const char *key, const struct store_version *version)
{
    struct vfs_move *m = mv->m;
    int r = move_set_add(&mv->set, move_hash('s', source, etag));
    if (r == 0)
        r = move_set_add(&mv->set, move_hash('t', key, version->etag));
    if (r == 0)
        r = move_set_add(&mv->set, move_hash('k', key, ""));
    if (r < 0 && mv->result == 0)
        mv->result = r;
    m->n++;
    m->marker_moved |= strcmp(source, m->from) == 0;
    struct vfs_move_watch *w =
        m->n_watch ? bsearch(source, m->watch, m->n_watch, sizeof(*m->watch), by_key) : NULL;
    if (w)
        memcpy(w->etag, version->etag, sizeof(w->etag));
}

static void fail_locked(struct mover *mv, int result, const struct s3_error *err)
{
    if (mv->result != 0)
        return;
    mv->result = result;
    if (err)
        mv->error = *err;
}

static bool is_refusal(const struct s3_error *err)
{
    return err && (err->kind == S3_ERROR_PRECONDITION || err->kind == S3_ERROR_NO_SUCH_KEY);
}

/* To be looked at when the others are done. */
static void note_refused_locked(struct mover *mv, const struct item *it, int result,
                                const struct s3_error *err)
{
    struct refused *all = NULL, *one;
    if (is_refusal(err) && mv->n_refused < REFUSED_MAX)
        all = realloc(mv->refused, (mv->n_refused + 1) * sizeof(*all));
    if (!all) {
        fail_locked(mv, result, err);
        return;
    }
    mv->refused = all;
    one = &all[mv->n_refused];
    *one = (struct refused){.source = strdup(it->entry->key),
                            .key = strdup(it->key),
                            .size = it->entry->size,
                            .error = *err};
    snprintf(one->etag, sizeof(one->etag), "%s", it->entry->etag);
    mv->n_refused++;
    if (!one->source || !one->key)
        fail_locked(mv, -ENOMEM, NULL);
}

static void item_done(void *ctx, int result, const struct s3_error *err)
{
    struct item *it = ctx;
    struct mover *mv = it->page->mover;
    pthread_mutex_lock(&mv->lock);
    if (result == 0)
        note_copied_locked(mv, it->entry->key, it->entry->etag, it->key, &it->version);
    if (result == 0 && it->attrs &&
        move_marks_note(&mv->marks, it->entry->key, it->attrs, &it->version) < 0)
        fail_locked(mv, -ENOMEM, NULL);
    if (result < 0)
        note_refused_locked(mv, it, result, err);
    pthread_mutex_unlock(&mv->lock);
    page_put(it->page);
}

static bool replaces_nothing(const struct mover *mv, const char *key)
{
    /* The marker of the new name may have been made just now, to claim it. */
    return strcmp(key, mv->m->to) != 0;
}

static int submit_item(struct mover *mv, struct fanout *f, struct item *it)
{
    const struct store_entry *e = it->entry;
    it->in = (struct store_copy_in){.source_key = e->key,
                                    .source_if_match = e->etag,
                                    .key = it->key,
                                    .if_absent = replaces_nothing(mv, it->key),
                                    .through = mv->m->through};
    const struct store_attrs *attrs = it->attrs ? it->attrs->attrs : NULL;
    it->in.replace_attrs = attrs != NULL;
    if (attrs)
        it->in.attrs = *attrs;
    if (e->size <= STORE_COPY_SIZE_MAX)
        return fanout_submit(f, STORE_COPY, &it->in, &it->version, item_done, it);
    struct vfs_copy c = {.source = e->key,
                         .if_match = e->etag,
                         .size = e->size,
                         .key = it->key,
                         .if_absent = it->in.if_absent,
                         .attrs = attrs};
    struct s3_error err = {0};
    int r = vfs_copy_object(mv->v, &c, &it->version, &err);
    item_done(it, r, &err);
    return 0;
}

static int load_attrs(struct mover *mv, struct page *p, struct s3_error *err)
{
    if (mv->marks.keeps != KNOWN_YES || p->list.n_entries == 0)
        return 0;
    p->attrs = calloc(p->list.n_entries, sizeof(*p->attrs));
    if (!p->attrs)
        return -ENOMEM;
    return move_attrs_load(mv->v, mv->m, &mv->marks, p->list.entries, p->attrs, p->list.n_entries,
                           err);
}

/* Markers come when all else is there. */
static int put_aside(struct mover *mv, struct page *p)
{
    size_t n = 0;
    int r = 0;
    for (size_t i = 0; mv->marks.keeps == KNOWN_YES && i < p->list.n_entries && r == 0; i++) {
        const struct store_entry *e = &p->list.entries[i];
        if (e->key[strlen(e->key) - 1] == '/')
            r = move_marks_defer(&mv->marks, e);
        else
            p->list.entries[n++] = *e;
    }
    if (mv->marks.keeps == KNOWN_YES)
        p->list.n_entries = n;
    return r;
}

/* Sends the copies of a page, which is the callee's from here on. */
static int copy_page(struct mover *mv, struct fanout *f, struct page *p, struct s3_error *err)
{
    int r = load_attrs(mv, p, err);
    p->items = calloc(p->list.n_entries, sizeof(*p->items));
    if (!p->items && p->list.n_entries > 0)
        r = -ENOMEM;
    for (size_t i = 0; r == 0 && i < p->list.n_entries; i++) {
        struct item *it = &p->items[i];
        *it = (struct item){
            .page = p, .entry = &p->list.entries[i], .attrs = p->attrs ? &p->attrs[i] : NULL};
        it->key = move_key(it->entry->key, mv->m->from, mv->m->to);
        if (!it->key)
            r = -ENOMEM;
        else if (strlen(it->key) > mv->v->opts.key_max)
            r = -ENAMETOOLONG;
        else if (!it->entry->etag || strlen(it->entry->etag) >= STORE_ETAG_SIZE)
            r = -EIO;
        pthread_mutex_lock(&mv->lock);
        if (r == 0)
            r = mv->result;
        if (r == 0)
            p->pending++;
        pthread_mutex_unlock(&mv->lock);
        if (r == 0 && (r = submit_item(mv, f, it)) < 0)
            page_put(p);
    }
    page_put(p);
    return r;
}

static void tell_progress(struct mover *mv)
{
    uint64_t now = vfs_now(mv->v);
    if (now < mv->next_progress_ns)
        return;
    mv->next_progress_ns = vfs_after(now, PROGRESS_NS);
    pthread_mutex_lock(&mv->lock);
    unsigned long long n = mv->m->n;
    pthread_mutex_unlock(&mv->lock);
    log_info("renaming '%s' to '%s': %llu objects copied so far", mv->m->from, mv->m->to, n);
}

/* What is there under the new name: 1 when it is ours, after all. */
static int look_at_target(struct mover *mv, const struct refused *one,
                          struct store_version *version, struct s3_error *err)
{
    struct store_object target;
    int r = store_head(mv->v->store, one->key, &target, err);
    if (r < 0)
        return r;
    /* An answer of ours that was lost, or somebody else's object. */
    bool ours = one->error.maybe_done && strcmp(target.etag, one->etag) == 0;
    *version = (struct store_version){.mtime_ns = target.mtime_ns};
    memcpy(version->etag, target.etag, sizeof(version->etag));
    store_object_done(&target);
    return ours ? 1 : -ENOTEMPTY;
}

static int copy_again(struct mover *mv, struct refused *one, const struct store_object *source,
                      struct store_version *version, struct s3_error *err)
{
    struct store_entry e = {.key = one->source, .mtime_ns = source->mtime_ns};
    struct move_attrs a = {.marker = one->source[strlen(one->source) - 1] == '/'};
    arena_init(&a.arena, METADATA_BYTES_MAX);
    int r = move_attrs_from(&mv->marks, &e, source, &a);
    struct vfs_copy c = {.source = one->source,
                         .if_match = one->etag,
                         .size = one->size,
                         .key = one->key,
                         .if_absent = replaces_nothing(mv, one->key),
                         .through = mv->m->through,
                         .attrs = a.attrs};
    if (r == 0)
        r = vfs_copy_object(mv->v, &c, version, err);
    if (r == 0)
        r = move_marks_note(&mv->marks, one->source, &a, version);
    move_attrs_done(&a);
    return r;
}

/* One that was refused: the source is another version by now, or gone, or the new key is there. */
static int redo(struct mover *mv, struct refused *one, struct s3_error *err)
{
    struct store_object source;
    struct s3_error local = {0};
    struct store_version version;
    int r = store_head(mv->v->store, one->source, &source, &local);
    if (r < 0 && local.kind == S3_ERROR_NO_SUCH_KEY)
        return 0; /* removed since it was listed */
    if (r == 0) {
        bool same = strcmp(source.etag, one->etag) == 0;
        memcpy(one->etag, source.etag, sizeof(one->etag));
        one->size = source.size;
        if (same && one->error.kind == S3_ERROR_PRECONDITION)
            r = look_at_target(mv, one, &version, &local);
        if (r == 0)
            r = copy_again(mv, one, &source, &version, &local);
        store_object_done(&source);
    }
    if (r < 0) {
        if (err)
            *err = local;
        return r;
    }
    pthread_mutex_lock(&mv->lock);
    note_copied_locked(mv, one->source, one->etag, one->key, &version);
    pthread_mutex_unlock(&mv->lock);
    return 0;
}

/* When all that was sent is answered. */
static int redo_refused(struct mover *mv, struct s3_error *err)
{
    int r = mv->result;
    if (r < 0 && err)
        *err = mv->error;
    for (; mv->n_redone < mv->n_refused && r == 0; mv->n_redone++)
        r = redo(mv, &mv->refused[mv->n_redone], err);
    return r < 0 ? r : mv->result;
}

static int copy_markers(struct mover *mv, struct fanout *f, struct s3_error *err)
{
    if (mv->marks.page.n_entries == 0)
        return 0;
    struct page *p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    *p = (struct page){.mover = mv, .pending = 1};
    p->list.entries = mv->marks.page.entries; /* in the arena of marks, which stays */
    p->list.n_entries = mv->marks.page.n_entries;
    return copy_page(mv, f, p, err);
}

/* Directories that have to be marked and have no marker. */
static int make_markers(struct mover *mv, struct s3_error *err)
{
    struct move_marks *k = &mv->marks;
    int r = 0;
    for (size_t i = 0; i < k->n_dirs && r == 0; i++) {
        struct store_version version;
        struct s3_error local = {0};
        CLEANUP_FREE char *key = move_key(k->dirs[i], mv->m->from, mv->m->to);
        if (!key)
            return -ENOMEM;
        if (move_set_has(&mv->set, move_hash('k', key, "")))
            continue; /* its marker was copied, with the mark */
        if (strcmp(key, mv->m->to) == 0) {
            mv->m->marks_itself = true;
            continue;
        }
        r = move_marker_put(mv->v, key, &version, &local);
        if (r == 0)
            note_copied_locked(mv, k->dirs[i], "", key, &version);
        else if (err)
            *err = local;
    }
    return r;
}

static int copy_all(struct mover *mv, struct s3_error *err)
{
    struct move_cursor c = {.prefix = mv->m->from};
    struct fanout *f;
    int r = fanout_new(mv->v->store, COPIES, &f);
    if (r < 0)
        return r;
    for (bool more = true; more && r == 0;) {
        struct page *p = calloc(1, sizeof(*p));
        if (!p) {
            r = -ENOMEM;
            break;
        }
        *p = (struct page){.mover = mv, .pending = 1};
        r = move_next_page(mv->v, &c, &p->list, err);
        more = r > 0;
        if (r > 0 && (r = move_marks_begin(mv->v, mv->m, &mv->marks, &p->list, err)) == 0)
            r = put_aside(mv, p);
        if (more && r == 0)
            r = copy_page(mv, f, p, err);
        else
            page_put(p);
        tell_progress(mv);
    }
    free(c.token);
    (void)fanout_wait(f, NULL);
    if (r == 0 || mv->result < 0)
        r = redo_refused(mv, err);
    if (r == 0)
        r = copy_markers(mv, f, err);
    (void)fanout_wait(f, NULL);
    fanout_free(f);
    if (r == 0 || mv->result < 0)
        r = redo_refused(mv, err);
    return r < 0 ? r : make_markers(mv, err);
}

/* Two hosts that rename to one name that is empty, or becomes so, each look after their copies are
 * there: one of them at least sees the other's, and takes its own away. The first page tells; what
 * programs lock with is small. */
static int check_alone(struct mover *mv, struct s3_error *err)
{
    struct move_cursor c = {.prefix = mv->m->to};
    struct store_page page = {0};
    int r = move_next_page(mv->v, &c, &page, err);
    bool have = r > 0;
    for (size_t i = 0; r > 0 && i < page.n_entries; i++) {
        const char *key = page.entries[i].key;
        if (strcmp(key, mv->m->to) != 0 && !move_set_has(&mv->set, move_hash('k', key, ""))) {
            s3_error_set(err, S3_ERROR_PRECONDITION, "'%s' was made meanwhile", key);
            r = -ENOTEMPTY;
        }
    }
    if (have)
        store_page_done(&page);
    free(c.token);
    return MIN(r, 0);
}

/* ---- deletes ---- */

/* Of one side all that still is what was copied, or what the copies made. The marker of the prefix
 * itself goes last: what an interruption leaves is a tree with its root. */
static int delete_side(struct mover *mv, const char *prefix, char side, bool keep_root,
                       struct s3_error *err)
{
    struct move_cursor c = {.prefix = prefix};
    struct move_deleter d;
    char root_etag[STORE_ETAG_SIZE] = "";
    int r = move_deleter_init(&d, mv->v, prefix);
    if (r < 0)
        return r;
    for (bool more = true; more && r == 0;) {
        struct move_batch *b = move_batch_new(&d);
        if (!b)
            r = -ENOMEM;
        else if ((r = move_next_page(mv->v, &c, &b->page, err)) <= 0)
            more = false;
        for (size_t i = 0; r > 0 && i < b->page.n_entries; i++) {
            const struct store_entry *e = &b->page.entries[i];
            if (!e->etag || !move_set_has(&mv->set, move_hash(side, e->key, e->etag)))
                continue;
            bool root = strcmp(e->key, prefix) == 0;
            if (root && keep_root)
                continue;
            /* One request for all, where it is all. */
            if (root && !(c.end && c.pages == 1))
                snprintf(root_etag, sizeof(root_etag), "%s", e->etag);
            else
                move_batch_add(b, e);
        }
        r = move_batch_send(b, r < 0 ? r : 0);
    }
    free(c.token);
    r = move_deleter_done(&d, r, err);
    if (r == 0 && root_etag[0]) {
        struct s3_error local = {0};
        r = store_delete(mv->v->store, prefix, root_etag, &local);
        if (r < 0 && is_refusal(&local))
            r = 0;
        else if (r < 0 && err)
            *err = local;
    }
    return r;
}

/* ---- all of it ---- */

int vfs_move_tree(struct vfs *v, struct vfs_move *m, struct s3_error *err)
{
    struct mover mv = {.v = v, .m = m, .next_progress_ns = vfs_after(vfs_now(v), PROGRESS_NS)};
    pthread_mutex_init(&mv.lock, NULL);
    int r = copy_all(&mv, err);
    if (r == 0)
        r = check_alone(&mv, err);
    CRASH_POINT("rename.copied");
    if (r == 0 && m->all_copied)
        r = m->all_copied(m->ctx);
    m->copied = r == 0;
    if (r == 0)
        r = delete_side(&mv, m->from, 's', false, err);
    else
        (void)delete_side(&mv, m->to, 't', m->marker_there, NULL);
    CRASH_POINT("rename.deleted");
    for (size_t i = 0; i < mv.n_refused; i++) {
        free(mv.refused[i].source);
        free(mv.refused[i].key);
    }
    free(mv.refused);
    move_marks_done(&mv.marks);
    free(mv.set.slots);
    pthread_mutex_destroy(&mv.lock);
    return r;
}
