/* SPDX-License-Identifier: Apache-2.0 */
/* The pages of a walk that follow, asked for while the program still goes through the last one:
 * when two pages in a row were those of the same walk. Of a large tree several are asked for at a
 * time, in stretches of its keys (meta/ranges.h says which); each is kept as it came until somebody
 * wants a directory that is in it (vfs_walk.c). One walk at a time.
 *
 * Nobody fetches by himself: who misses a directory sends what is to be sent, and takes what has
 * come meanwhile. So a program that goes slowly has few pages ahead of it, which do not get too old
 * to be of use. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meta/ranges.h"
#include "vfs/vfs_impl.h"

/* Pages under way and here that nobody has wanted yet. */
#define AHEAD_MAX 64u
/* Answers that are waited for until a directory is asked for by itself. */
#define WAITS_MAX 3u
/* Directories in a row that had to be. */
#define MISSES_MAX 8u
/* What has not been wanted for so long is not kept, however long it would be believed. */
#define IDLE_MAX_NS (600 * (uint64_t)NS_PER_S)

struct ahead_page {
    char *after;  /* key */
    size_t bytes; /* of the page, counted as a listing's */
    uint64_t start_ns;
    uint64_t n_changes; /* walk.n_changes at the start */
    struct store_page page;
};

struct ahead_call {
    struct vfs_walk_ahead *ahead;
    size_t id;
    unsigned number; /* of its requests */
    bool running;
    bool came; /* to be taken */
    int result;
    struct store_list_in in;
    struct ahead_page p;
};

/* Protected by vfs.lock; page and result of a call while it does not run. */
struct vfs_walk_ahead {
    struct vfs *vfs;
    unsigned refs; /* of the walk, of each call that runs, of who uses it */
    char *base;
    size_t base_len;
    struct ranges *ranges;
    uint64_t taken_ns; /* the last page was */
    uint64_t asked_ns; /* a directory was, the last time */
    unsigned room;     /* pages ahead that the program's pace allows */
    unsigned misses;
    unsigned asked; /* running, or came and not taken yet */
    unsigned n_kept;
    struct ahead_page kept[AHEAD_MAX];
    unsigned n;
    struct ahead_call calls[];
};

static void page_done(struct vfs *v, struct ahead_page *p)
{
    v->listing_bytes -= p->bytes;
    store_page_done(&p->page);
    free(p->after);
    *p = (struct ahead_page){0};
}

static void unref(struct vfs_walk_ahead *a)
{
    if (--a->refs > 0)
        return;
    for (unsigned i = 0; i < a->n_kept; i++)
        page_done(a->vfs, &a->kept[i]);
    for (unsigned i = 0; i < a->n; i++)
        page_done(a->vfs, &a->calls[i].p);
    ranges_free(a->ranges);
    free(a->base);
    free(a);
}

/* A walk that has not come to another directory until then has ended, or its pages are too old. */
static uint64_t idle_from(const struct vfs_walk_ahead *a)
{
    return vfs_after(a->asked_ns, MIN(a->vfs->opts.metadata_ttl_ns, IDLE_MAX_NS));
}

void vfs_walk_ahead_expire_locked(struct vfs *v)
{
    if (v->walk.ahead && vfs_now(v) >= idle_from(v->walk.ahead))
        vfs_walk_ahead_drop_locked(v);
    else if (v->walk.ahead)
        vfs_idle_note_locked(v, idle_from(v->walk.ahead));
}

void vfs_walk_ahead_drop_locked(struct vfs *v)
{
    struct vfs_walk_ahead *a = v->walk.ahead;
    v->walk.ahead = NULL;
    if (a)
        unref(a);
}

/* ---- requests ---- */

static void ended_locked(struct ahead_call *c, int result)
{
    struct vfs_walk_ahead *a = c->ahead;
    struct vfs *v = a->vfs;
    c->running = false;
    c->came = true;
    c->result = result;
    if (result < 0)
        c->p.page = (struct store_page){0};
    c->p.bytes = c->p.page.arena.used;
    v->listing_bytes += c->p.bytes;
    unref(a);
    v->n_list_calls--;
    pthread_cond_broadcast(&v->changed);
}

static void on_page(void *ctx, int result, const struct s3_error *err)
{
    struct ahead_call *c = ctx;
    struct vfs *v = c->ahead->vfs;
    (void)err; /* who wants the page asks again */
    SCOPE_LOCK(&v->lock);
    ended_locked(c, result);
}

static bool send_one_locked(struct vfs_walk_ahead *a, struct ahead_call *c,
                            const struct range_request *q)
{
    struct vfs *v = a->vfs;
    size_t len = strlen(q->after);
    char *after = malloc(a->base_len + len + 1);
    if (!after) {
        ranges_failed(a->ranges, q->id);
        return false;
    }
    memcpy(after, a->base, a->base_len);
    memcpy(after + a->base_len, q->after, len + 1);
    c->ahead = a;
    c->id = q->id;
    c->number++;
    c->p =
        (struct ahead_page){.after = after, .start_ns = vfs_now(v), .n_changes = v->walk.n_changes};
    c->in = (struct store_list_in){.prefix = a->base, .start_after = after};
    c->running = true;
    a->asked++;
    a->refs++;
    v->n_list_calls++;
    pthread_mutex_unlock(&v->lock);
    int r = store_submit(v->store, STORE_LIST, &c->in, &c->p.page, on_page, c);
    pthread_mutex_lock(&v->lock);
    if (r < 0)
        ended_locked(c, r);
    return r == 0;
}

/* The caller has a reference. */
static void send_locked(struct vfs_walk_ahead *a)
{
    struct range_request q;
    for (unsigned i = 0; i < a->n && a->n_kept + a->asked < a->room; i++) {
        struct ahead_call *c = &a->calls[i];
        if (c->running || c->came)
            continue;
        if (a->vfs->walk.ahead != a || !ranges_next(a->ranges, a->n, &q) ||
            !send_one_locked(a, c, &q))
            return;
    }
}

/* ---- what came ---- */

/* The keys at the end of the page that begin with these bytes. */
static size_t tail(const struct store_page *page, const char *prefix, size_t len)
{
    size_t n = 0;
    while (n < page->n_entries &&
           strncmp(page->entries[page->n_entries - 1 - n].key, prefix, len) == 0)
        n++;
    return n;
}

/* After what the stretch goes on: a small directory across the page's end is told whole by the page
 * that begins with it. False where there is no use in it: in the middle of a large one. */
static bool resume_of(const struct vfs_walk_ahead *a, const struct store_page *page,
                      char after[COMPONENT_LENGTH_MAX + 2])
{
    bool dirs = false;
    for (size_t i = 0; i < page->n_entries && !dirs; i++)
        dirs = strchr(page->entries[i].key + a->base_len, '/') != NULL;
    if (!dirs)
        return false;
    const char *last = page->entries[page->n_entries - 1].key, *p = last + a->base_len;
    if (!strchr(p, '/')) {
        (void)snprintf(after, COMPONENT_LENGTH_MAX + 2, "%s", p);
        return true;
    }
    while ((p = strchr(p, '/'))) {
        size_t len = (size_t)(++p - last);
        if (tail(page, last, len) < page->n_entries / 2) {
            char key[COMPONENT_LENGTH_MAX + 2];
            (void)snprintf(key, sizeof(key), "%.*s", (int)len, last);
            if (vfs_walk_before(key, after) < 0)
                return false;
            memmove(after, after + a->base_len, strlen(after + a->base_len) + 1);
            return true;
        }
    }
    return false;
}

/* Whether the page is what was asked for. */
static bool is_in_order(const struct vfs_walk_ahead *a, const struct store_page *page)
{
    for (size_t i = 0; i < page->n_entries; i++) {
        if (strncmp(page->entries[i].key, a->base, a->base_len) != 0)
            return false;
    }
    return page->n_prefixes == 0;
}

static bool take_in(struct vfs_walk_ahead *a, struct ahead_call *c)
{
    char resume[COMPONENT_LENGTH_MAX + 2];
    bool use = false;
    c->came = false;
    a->asked--;
    if (c->result < 0 || !is_in_order(a, &c->p.page)) {
        ranges_failed(a->ranges, c->id);
        page_done(a->vfs, &c->p);
        return false;
    }
    int r = ranges_answer(a->ranges, c->id, &c->p.page, &use);
    if (r == 0)
        r = ranges_resume(a->ranges, c->id, resume_of(a, &c->p.page, resume) ? resume : NULL);
    if (r < 0 || !use || ranges_distrusted(a->ranges)) {
        page_done(a->vfs, &c->p);
        return false;
    }
    assert(a->n_kept < AHEAD_MAX);
    a->kept[a->n_kept++] = c->p;
    c->p = (struct ahead_page){0};
    return true;
}

/* False when the walk goes on without what is ahead. */
static bool collect(struct vfs_walk_ahead *a)
{
    for (unsigned i = 0; i < a->n; i++) {
        if (a->calls[i].came && !take_in(a, &a->calls[i]))
            return false;
    }
    return true;
}

static struct ahead_page take_out(struct vfs_walk_ahead *a, unsigned i)
{
    struct ahead_page p = a->kept[i];
    a->kept[i] = a->kept[--a->n_kept];
    a->kept[a->n_kept] = (struct ahead_page){0};
    return p;
}

static void drop_old_locked(struct vfs_walk_ahead *a)
{
    struct vfs *v = a->vfs;
    for (unsigned i = 0; i < a->n_kept;) {
        const struct ahead_page *k = &a->kept[i];
        if (v->walk.n_changes - k->n_changes <= VFS_WALK_CHANGES &&
            vfs_now(v) < vfs_after(k->start_ns, v->opts.metadata_ttl_ns)) {
            i++;
            continue;
        }
        struct ahead_page old = take_out(a, i);
        page_done(v, &old);
    }
}

/* Whether all of the directory, or the beginning of a large one, is in the page. */
static bool has(const struct ahead_page *k, const char *prefix)
{
    const struct store_page *page = &k->page;
    size_t len = strlen(prefix);
    if (strcmp(k->after, prefix) >= 0)
        return false;
    if (!page->next_token)
        return true;
    const char *last = page->n_entries > 0 ? page->entries[page->n_entries - 1].key : "";
    return strncmp(last, prefix, len) == 0 ? tail(page, prefix, len) >= page->n_entries / 2
                                           : strcmp(last, prefix) > 0;
}

/* ---- front door ---- */

void vfs_walk_ahead_begin_locked(struct vfs *v, const char *base, const struct store_page *page,
                                 const char *resume)
{
    unsigned n = MAX(v->opts.parallel, 1u);
    struct vfs_walk_ahead *a = calloc(1, sizeof(*a) + n * sizeof(a->calls[0]));
    vfs_walk_ahead_drop_locked(v);
    if (!a)
        return;
    *a = (struct vfs_walk_ahead){.vfs = v,
                                 .refs = 1,
                                 .base = strdup(base),
                                 .base_len = strlen(base),
                                 .taken_ns = vfs_now(v),
                                 .asked_ns = vfs_now(v),
                                 .room = AHEAD_MAX,
                                 .n = n};
    if (!a->base || ranges_new_deep(base, page, &a->ranges) < 0 ||
        ranges_resume(a->ranges, 0, resume) < 0) {
        unref(a);
        return;
    }
    v->walk.ahead = a;
    vfs_idle_note_locked(v, idle_from(a));
    a->refs++;
    send_locked(a);
    unref(a);
}

/* The request whose page is likely to have the directory: the last one that begins before it. */
static struct ahead_call *call_for(struct vfs_walk_ahead *a, const char *prefix)
{
    struct ahead_call *best = NULL;
    for (unsigned i = 0; i < a->n; i++) {
        struct ahead_call *c = &a->calls[i];
        if (c->running && strcmp(c->p.after, prefix) < 0 &&
            (!best || strcmp(c->p.after, best->p.after) > 0))
            best = c;
    }
    return best;
}

/* How many pages the program goes through while a page is a quarter of its time old. */
static void set_pace_locked(struct vfs_walk_ahead *a)
{
    struct vfs *v = a->vfs;
    uint64_t now = vfs_now(v), took = now - a->taken_ns;
    uint64_t pages = took > 0 ? v->opts.metadata_ttl_ns / 4 / took : AHEAD_MAX;
    a->room = (unsigned)MAX(MIN(pages, (uint64_t)AHEAD_MAX), (uint64_t)1);
    a->taken_ns = now;
    a->misses = 0;
}

static bool take_locked(struct vfs_walk_ahead *a, const char *prefix, struct ahead_page *ret)
{
    struct vfs *v = a->vfs;
    a->asked_ns = vfs_now(v);
    for (unsigned waits = 0; v->walk.ahead == a; waits++) {
        if (!collect(a)) {
            v->walk.off |= ranges_distrusted(a->ranges);
            vfs_walk_ahead_drop_locked(v);
            return false;
        }
        drop_old_locked(a);
        for (unsigned i = 0; i < a->n_kept; i++) {
            if (!has(&a->kept[i], prefix))
                continue;
            *ret = take_out(a, i);
            set_pace_locked(a);
            send_locked(a);
            return true;
        }
        send_locked(a);
        struct ahead_call *c = v->walk.ahead == a ? call_for(a, prefix) : NULL;
        if (!c || waits == WAITS_MAX)
            break;
        unsigned number = c->number;
        while (c->running && c->number == number && v->walk.ahead == a)
            pthread_cond_wait(&v->changed, &v->lock);
    }
    if (v->walk.ahead == a && ++a->misses > MISSES_MAX)
        vfs_walk_ahead_drop_locked(v);
    return false;
}

size_t vfs_walk_ahead_base_locked(const struct vfs *v, const char *prefix)
{
    const struct vfs_walk_ahead *a = v->walk.ahead;
    return a && strncmp(prefix, a->base, a->base_len) == 0 && prefix[a->base_len] ? a->base_len
                                                                                  : VFS_NO_WALK;
}

bool vfs_walk_ahead_take_locked(struct vfs *v, const char *prefix,
                                char after[COMPONENT_LENGTH_MAX + 2], struct store_page *page,
                                uint64_t *start_ns, uint64_t *n_changes)
{
    struct vfs_walk_ahead *a = v->walk.ahead;
    struct ahead_page p;
    if (vfs_walk_ahead_base_locked(v, prefix) == VFS_NO_WALK)
        return false;
    a->refs++;
    bool found = take_locked(a, prefix, &p);
    unref(a);
    if (!found)
        return false;
    (void)snprintf(after, COMPONENT_LENGTH_MAX + 2, "%s", p.after);
    *page = p.page;
    *start_ns = p.start_ns;
    *n_changes = p.n_changes;
    v->listing_bytes -= p.bytes; /* the caller makes listings of it */
    free(p.after);
    return true;
}
