/* SPDX-License-Identifier: Apache-2.0 */
/* LIST: pages of the store with what is pending merged in, in the order of the keys.
 *
 * A page of ours consumes one page of the store, or a part of it when what is merged in does not
 * fit; it goes on behind what was shown, either with the store's token or with StartAfter. Our
 * token holds both: see make_token.
 *
 * What was sent while the store made its page may be missing in it, and is not pending any more
 * when it arrives: changes that end while a listing is under way stay as ghosts until it is over.
 *
 * A prefix stands for keys that were not told: where some below it are to be removed, and none is
 * to be made, the store is asked for one that stays. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "store/store_limits.h"
#include "writeback/writeback_impl.h"

#define COUNT_MAX 1000u /* pending keys that are counted, to ask for the right number */

struct wb_list {
    struct wb_call *call;
    TAILQ_ENTRY(wb_list) link;
    uint64_t stamp;
    const char *prefix;
    uint32_t max;
    /* Shown up to here: a key, or all that begins with a prefix. Owned; NULL = nothing yet. */
    char *pos;
    bool pos_is_prefix;
    char *token; /* the store's, for its next page; owned; NULL = by StartAfter */
    struct store_list_in in;
    struct store_page page; /* the store's */
    struct store_page out;
    bool *vanished; /* of page.prefixes */
    unsigned probes;
    int probe_result; /* protected by wb->lock */
    struct s3_error probe_err;
};

struct probe {
    struct wb_list *l;
    size_t index; /* of the prefix */
    struct store_list_in in;
    struct store_page page;
    char *token;
};

uint64_t wb_list_oldest_locked(const struct writeback *wb)
{
    const struct wb_list *l = TAILQ_FIRST(&wb->lists);
    return l ? l->stamp : UINT64_MAX;
}

static bool begins_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* What a key is like to this listing: NULL = as the store has it. */
static const struct wb_op *view_locked(const struct wb_list *l, const struct key_node *n)
{
    const struct wb_key *k = CONTAINER_OF(n, struct wb_key, node);
    const struct wb_op *v = wb_visible_locked(k);
    if (!v && k->ghost && k->ghost->ghost_stamp > l->stamp)
        v = k->ghost;
    return v;
}

static const struct wb_op *view_of_locked(const struct wb_list *l, const char *key)
{
    const struct key_node *n = key_table_find(&l->call->wb->keys, key);
    return n ? view_locked(l, n) : NULL;
}

/* The first key that does not begin with prefix: its last byte, which is '/', one up. */
static struct key_node *behind_prefix_locked(const struct writeback *wb, const char *prefix)
{
    char next[STORE_KEY_MAX + 1];
    size_t len = strlen(prefix);
    if (len > STORE_KEY_MAX)
        return NULL;
    memcpy(next, prefix, len + 1);
    next[len - 1]++;
    return key_table_from(&wb->keys, next, 0);
}

static struct key_node *first_pending_locked(const struct wb_list *l)
{
    const struct writeback *wb = l->call->wb;
    const struct store_list_in *in = l->call->in;
    const struct key_node *least = key_table_from(&wb->keys, l->prefix, 0);
    struct key_node *n = NULL;
    if (!l->pos)
        n = in->start_after && strcmp(in->start_after, l->prefix) >= 0
                ? key_table_from(&wb->keys, in->start_after, 1)
                : key_table_from(&wb->keys, l->prefix, 0);
    else if (l->pos_is_prefix)
        n = behind_prefix_locked(wb, l->pos);
    else
        n = key_table_from(&wb->keys, l->pos, 1);
    return least && n && begins_with(n->key, l->prefix) ? n : NULL;
}

static struct key_node *next_pending_locked(const struct wb_list *l, const struct key_node *n)
{
    struct key_node *next = key_table_from(&l->call->wb->keys, n->key, 1);
    return next && begins_with(next->key, l->prefix) ? next : NULL;
}

/* ---- tokens: 'k' or 'p', the length of the position, ':', the position, the store's token ---- */

static int make_token(struct wb_list *l, struct store_page *page, const char *inner)
{
    size_t len = l->pos ? strlen(l->pos) : 0, size = len + strlen(inner) + 32;
    char *token = arena_alloc(&page->arena, size);
    if (!token)
        return -ENOMEM;
    (void)snprintf(token, size, "%c%zu:%s%s", l->pos_is_prefix ? 'p' : 'k', len,
                   l->pos ? l->pos : "", inner);
    page->next_token = token;
    return 0;
}

static int take_token(struct wb_list *l, const char *token)
{
    char *end = NULL;
    if (token[0] != 'k' && token[0] != 'p')
        return -EINVAL;
    unsigned long len = strtoul(token + 1, &end, 10);
    if (end == token + 1 || *end != ':' || len > strlen(end + 1))
        return -EINVAL;
    l->pos_is_prefix = token[0] == 'p';
    l->pos = len ? strndup(end + 1, len) : NULL;
    if (len && !l->pos)
        return -ENOMEM;
    const char *inner = end + 1 + len;
    l->token = *inner ? strdup(inner) : NULL;
    return *inner && !l->token ? -ENOMEM : 0;
}

/* ---- the end ---- */

static void list_end(struct wb_list *l, int result, const struct s3_error *err)
{
    struct wb_call *c = l->call;
    struct writeback *wb = c->wb;
    store_page_done(&l->page);
    if (result == 0)
        *(struct store_page *)c->out = l->out;
    else
        store_page_done(&l->out);
    free(l->pos);
    free(l->token);
    free(l->vanished);
    pthread_mutex_lock(&wb->lock);
    TAILQ_REMOVE(&wb->lists, l, link);
    wb_ghosts_locked(wb);
    wb_finish_locked(c, result, err);
    wb_unlock(wb);
    free(l);
}

static void list_fail(struct wb_list *l, int result)
{
    struct s3_error err;
    if (result == -ENOMEM)
        result = wb_no_memory(&err);
    else
        result = s3_error_set(&err, S3_ERROR_INVALID, "not a token of ours");
    list_end(l, result, &err);
}

/* ---- merging ---- */

static int set_pos(struct wb_list *l, const char *pos, bool is_prefix)
{
    char *copy = strdup(pos);
    if (!copy)
        return -ENOMEM;
    free(l->pos);
    l->pos = copy;
    l->pos_is_prefix = is_prefix;
    return 0;
}

static bool shown(const struct wb_list *l, const char *item)
{
    return l->pos && strcmp(item, l->pos) <= 0;
}

static int emit_prefix(struct wb_list *l, const char *prefix, size_t len)
{
    const char *p = arena_strndup(&l->out.arena, prefix, len);
    if (!p)
        return -ENOMEM;
    l->out.prefixes[l->out.n_prefixes++] = p;
    return set_pos(l, p, true);
}

static int emit_entry(struct wb_list *l, const struct store_entry *e)
{
    struct store_entry *to = &l->out.entries[l->out.n_entries];
    *to = *e;
    to->key = arena_strdup(&l->out.arena, e->key);
    to->etag = arena_strdup(&l->out.arena, e->etag);
    to->storage_class = arena_strdup(&l->out.arena, e->storage_class);
    if (!to->key || (e->etag && !to->etag) || (e->storage_class && !to->storage_class))
        return -ENOMEM;
    l->out.n_entries++;
    return set_pos(l, e->key, false);
}

static void announce_locked(struct writeback *wb, struct store_entry *e)
{
    const struct alias *a = alias_find(wb->aliases, e->key);
    if (a && e->etag && strcmp(a->real, e->etag) == 0) {
        e->etag = a->announced;
        e->mtime_ns = a->mtime_ns;
    }
}

static int emit_pending_locked(struct wb_list *l, const struct wb_op *v)
{
    struct store_object o;
    if (wb_object_locked(v, &o))
        return -ENOMEM;
    struct store_entry e = {.key = v->key->key,
                            .size = o.size,
                            .mtime_ns = o.mtime_ns,
                            .etag = o.etag,
                            .storage_class =
                                o.attrs.storage_class ? o.attrs.storage_class : "STANDARD"};
    int r = emit_entry(l, &e);
    store_object_done(&o);
    return r;
}

/* The next thing that is pending and there: its node, and how many bytes of the key are shown (the
 * rest is rolled up). */
struct pending {
    struct key_node *node;
    size_t len;
};

static void find_pending_locked(const struct wb_list *l, struct key_node *n, struct pending *ret)
{
    const struct store_list_in *in = l->call->in;
    const struct wb_op *v = NULL;
    while (n && (!(v = view_locked(l, n)) || v->kind == WB_DELETE))
        n = next_pending_locked(l, n);
    const char *slash = n && in->delimited ? strchr(n->key + strlen(l->prefix), '/') : NULL;
    *ret = (struct pending){n, slash ? (size_t)(slash - n->key) + 1 : 0};
}

/* Compares what is shown of a pending key with an item of the store. */
static int compare(const struct pending *p, const char *item)
{
    if (!p->len)
        return strcmp(p->node->key, item);
    int c = strncmp(p->node->key, item, p->len);
    return c ? c : item[p->len] ? -1 : 0;
}

/* 0 = the page is used up, 1 = there is more than fits, or -ENOMEM. */
static int merge_locked(struct wb_list *l)
{
    struct writeback *wb = l->call->wb;
    const struct store_page *page = &l->page;
    size_t e = 0, p = 0;
    const char *bound = NULL;
    if (page->next_token) {
        if (page->n_entries)
            bound = page->entries[page->n_entries - 1].key;
        const char *last = page->n_prefixes ? page->prefixes[page->n_prefixes - 1] : NULL;
        if (!bound || (last && strcmp(last, bound) > 0))
            bound = last;
        if (!bound)
            return 0; /* an empty page that is not the last */
    }
    struct pending next;
    find_pending_locked(l, first_pending_locked(l), &next);
    for (;;) {
        while (e < page->n_entries &&
               (shown(l, page->entries[e].key) || view_of_locked(l, page->entries[e].key)))
            e++; /* what is pending for it is told in its place, or nothing is */
        while (p < page->n_prefixes && (shown(l, page->prefixes[p]) || l->vanished[p]))
            p++;
        const char *entry = e < page->n_entries ? page->entries[e].key : NULL;
        const char *prefix = p < page->n_prefixes ? page->prefixes[p] : NULL;
        const char *item = !entry || (prefix && strcmp(prefix, entry) < 0) ? prefix : entry;
        bool pending = next.node && (!bound || compare(&next, bound) <= 0) &&
                       (!item || compare(&next, item) <= 0);
        int r;
        if (!pending && !item)
            return bound ? set_pos(l, bound,
                                   bound[strlen(bound) - 1] == '/' && page->n_prefixes &&
                                       bound == page->prefixes[page->n_prefixes - 1])
                         : 0;
        if (l->out.n_entries + l->out.n_prefixes == l->max)
            return 1;
        if (pending && next.len) {
            r = emit_prefix(l, next.node->key, next.len);
            if (r == 0)
                find_pending_locked(l, first_pending_locked(l), &next);
        } else if (pending) {
            r = emit_pending_locked(l, view_locked(l, next.node));
            if (r == 0)
                find_pending_locked(l, next_pending_locked(l, next.node), &next);
        } else if (item == prefix) {
            r = emit_prefix(l, prefix, strlen(prefix));
            if (r == 0)
                find_pending_locked(l, first_pending_locked(l), &next);
        } else {
            struct store_entry copy = page->entries[e];
            announce_locked(wb, &copy);
            r = emit_entry(l, &copy);
        }
        if (r < 0)
            return r;
    }
}

static void fetch(struct wb_list *l);

static void merge(struct wb_list *l)
{
    struct writeback *wb = l->call->wb;
    const struct store_list_in *in = l->call->in;
    pthread_mutex_lock(&wb->lock);
    int r = merge_locked(l);
    pthread_mutex_unlock(&wb->lock);
    size_t n = l->out.n_entries + l->out.n_prefixes;
    if (r < 0) {
        list_fail(l, r);
        return;
    }
    if (r == 1) {
        r = make_token(l, &l->out, "");
    } else if (l->page.next_token && (in->max_keys ? n < l->max : n == 0)) {
        free(l->token);
        l->token = strdup(l->page.next_token);
        if (!l->token) {
            list_fail(l, -ENOMEM);
            return;
        }
        fetch(l);
        return;
    } else if (l->page.next_token) {
        r = make_token(l, &l->out, l->page.next_token);
    }
    if (r < 0)
        list_fail(l, r);
    else
        list_end(l, 0, NULL);
}

/* ---- prefixes that may be gone ---- */

/* The listing begins within the prefix: what is before that does not count. */
static const char *after_within(const struct wb_list *l, const char *prefix)
{
    const struct store_list_in *in = l->call->in;
    return !in->token && in->start_after && begins_with(in->start_after, prefix) ? in->start_after
                                                                                 : NULL;
}

/* How many keys below it are to be removed; 0 when one is to be made, for then it stays. */
static uint32_t removals_locked(const struct wb_list *l, const char *prefix)
{
    uint32_t n = 0;
    const char *after = after_within(l, prefix);
    struct key_node *k = key_table_from(&l->call->wb->keys, after ? after : prefix, after != NULL);
    for (; k && begins_with(k->key, prefix); k = key_table_from(&l->call->wb->keys, k->key, 1)) {
        const struct wb_op *v = view_locked(l, k);
        if (v && v->kind != WB_DELETE)
            return 0;
        n += v != NULL;
    }
    return n;
}

static void probe_send(struct probe *p);

static void probe_end(struct probe *p, int result, const struct s3_error *err)
{
    struct wb_list *l = p->l;
    struct writeback *wb = l->call->wb;
    free(p->token);
    free(p);
    pthread_mutex_lock(&wb->lock);
    if (result < 0 && !l->probe_result) {
        l->probe_result = result;
        if (err)
            l->probe_err = *err;
    }
    bool last = --l->probes == 0;
    pthread_mutex_unlock(&wb->lock);
    if (!last)
        return;
    if (l->probe_result)
        list_end(l, l->probe_result, &l->probe_err);
    else
        merge(l);
}

static void probed(void *ctx, int result, const struct s3_error *err)
{
    struct probe *p = ctx;
    struct wb_list *l = p->l;
    struct writeback *wb = l->call->wb;
    bool stays = false;
    if (result < 0) {
        probe_end(p, result, err);
        return;
    }
    pthread_mutex_lock(&wb->lock);
    for (size_t i = 0; i < p->page.n_entries && !stays; i++) {
        const struct wb_op *v = view_of_locked(l, p->page.entries[i].key);
        stays = !v || v->kind != WB_DELETE;
    }
    pthread_mutex_unlock(&wb->lock);
    free(p->token);
    p->token = p->page.next_token && !stays ? strdup(p->page.next_token) : NULL;
    bool more = p->page.next_token && !stays;
    store_page_done(&p->page);
    if (more && !p->token) {
        struct s3_error e;
        probe_end(p, wb_no_memory(&e), &e);
    } else if (more) {
        p->in.token = p->token;
        p->in.start_after = NULL;
        probe_send(p);
    } else {
        l->vanished[p->index] = !stays;
        probe_end(p, 0, NULL);
    }
}

static void probe_send(struct probe *p)
{
    struct s3_error err;
    int r = store_submit(p->l->call->wb->inner, STORE_LIST, &p->in, &p->page, probed, p);
    if (r < 0)
        probe_end(p, wb_no_memory(&err), &err);
}

/* Starts the probes; the merging goes on when the last has ended. */
static int probe_prefixes(struct wb_list *l)
{
    struct writeback *wb = l->call->wb;
    size_t n = l->page.n_prefixes, n_probes = 0;
    free(l->vanished);
    l->vanished = calloc(n + 1, sizeof(*l->vanished));
    CLEANUP_FREE struct probe **probes = calloc(n + 1, sizeof(struct probe *));
    int r = l->vanished && probes ? 0 : -ENOMEM;
    pthread_mutex_lock(&wb->lock);
    for (size_t i = 0; i < n && r == 0; i++) {
        uint32_t count =
            shown(l, l->page.prefixes[i]) ? 0 : removals_locked(l, l->page.prefixes[i]);
        struct probe *p = count ? calloc(1, sizeof(*p)) : NULL;
        if (!count)
            continue;
        r = p ? 0 : -ENOMEM;
        if (p) {
            p->l = l;
            p->index = i;
            p->in = (struct store_list_in){.prefix = l->page.prefixes[i],
                                           .start_after = after_within(l, l->page.prefixes[i]),
                                           .max_keys = MIN(count + 1, STORE_LIST_MAX)};
            probes[n_probes++] = p;
        }
    }
    pthread_mutex_unlock(&wb->lock);
    if (r < 0) {
        while (n_probes)
            free(probes[--n_probes]);
        return r;
    }
    l->probe_result = 0;
    l->probes = (unsigned)n_probes + 1;
    for (size_t i = 0; i < n_probes; i++)
        probe_send(probes[i]);
    /* The one that was counted too many, so that none ends it all before. */
    pthread_mutex_lock(&wb->lock);
    bool last = --l->probes == 0;
    pthread_mutex_unlock(&wb->lock);
    if (last && l->probe_result)
        list_end(l, l->probe_result, &l->probe_err);
    else if (last)
        merge(l);
    return 0;
}

/* ---- the store's pages ---- */

/* Nothing pending below the prefix: the store's page is ours, but for announced names. */
static bool untouched_locked(const struct wb_list *l)
{
    const struct key_node *n = key_table_from(&l->call->wb->keys, l->prefix, 0);
    return !n || !begins_with(n->key, l->prefix);
}

static int whole_page_locked(struct wb_list *l)
{
    struct store_page *page = &l->page;
    struct writeback *wb = l->call->wb;
    for (size_t i = 0; i < page->n_entries; i++) {
        struct store_entry *e = &page->entries[i];
        const char *before = e->etag;
        announce_locked(wb, e);
        if (e->etag != before && !(e->etag = arena_strdup(&page->arena, e->etag)))
            return -ENOMEM;
    }
    return 0;
}

static int finish_whole(struct wb_list *l)
{
    struct store_page *page = &l->page;
    if (page->next_token) {
        const char *last = page->n_entries ? page->entries[page->n_entries - 1].key : NULL;
        const char *prefix = page->n_prefixes ? page->prefixes[page->n_prefixes - 1] : NULL;
        bool is_prefix = prefix && (!last || strcmp(prefix, last) > 0);
        if ((last || prefix) && set_pos(l, is_prefix ? prefix : last, is_prefix))
            return -ENOMEM;
        if (make_token(l, page, page->next_token))
            return -ENOMEM;
    }
    store_page_done(&l->out);
    l->out = *page;
    l->page = (struct store_page){0};
    return 0;
}

static void fetched(void *ctx, int result, const struct s3_error *err)
{
    struct wb_list *l = ctx;
    struct writeback *wb = l->call->wb;
    if (result < 0) {
        l->page = (struct store_page){0};
        list_end(l, result, err);
        return;
    }
    pthread_mutex_lock(&wb->lock);
    bool whole = untouched_locked(l) && !l->out.n_entries && !l->out.n_prefixes &&
                 (!l->pos || l->token) && l->page.n_entries + l->page.n_prefixes <= l->max;
    int r = whole ? whole_page_locked(l) : 0;
    pthread_mutex_unlock(&wb->lock);
    if (r == 0 && whole) {
        r = finish_whole(l);
        if (r == 0)
            list_end(l, 0, NULL);
    } else if (r == 0) {
        r = probe_prefixes(l);
    }
    if (r < 0)
        list_fail(l, r);
}

/* So many that the page is about full with what is merged in. */
static uint32_t ask_locked(const struct wb_list *l)
{
    uint32_t present = 0, removed = 0, n = 0;
    struct key_node *k = first_pending_locked(l);
    for (; k && n < COUNT_MAX; k = next_pending_locked(l, k), n++) {
        const struct wb_op *v = view_locked(l, k);
        present += v && v->kind != WB_DELETE;
        removed += v && v->kind == WB_DELETE;
    }
    uint32_t ask = l->max - MIN(present, l->max / 2) + removed;
    return MIN(ask, STORE_LIST_MAX);
}

static void fetch(struct wb_list *l)
{
    struct writeback *wb = l->call->wb;
    const struct store_list_in *in = l->call->in;
    struct s3_error err;
    store_page_done(&l->page);
    l->in = (struct store_list_in){.prefix = l->prefix, .delimited = in->delimited};
    l->in.token = l->token;
    if (!l->token)
        l->in.start_after = l->pos ? l->pos : in->start_after;
    pthread_mutex_lock(&wb->lock);
    /* An untouched page of the usual size is asked for as usual. */
    l->in.max_keys = in->max_keys || !untouched_locked(l) ? ask_locked(l) : 0;
    pthread_mutex_unlock(&wb->lock);
    int r = store_submit(wb->inner, STORE_LIST, &l->in, &l->page, fetched, l);
    if (r < 0)
        fetched(l, wb_no_memory(&err), &err);
}

void wb_list(struct wb_call *c)
{
    struct writeback *wb = c->wb;
    const struct store_list_in *in = c->in;
    struct s3_error err;
    struct wb_list *l = calloc(1, sizeof(*l));
    if (!l) {
        wb_finish(c, wb_no_memory(&err), &err);
        return;
    }
    l->call = c;
    l->prefix = in->prefix ? in->prefix : "";
    l->max = in->max_keys ? MIN(in->max_keys, STORE_LIST_MAX) : STORE_LIST_MAX;
    arena_init(&l->out.arena, LIMIT_PAGE_STRINGS);
    l->out.entries = arena_alloc(&l->out.arena, l->max * sizeof(*l->out.entries));
    l->out.prefixes = arena_alloc(&l->out.arena, l->max * sizeof(*l->out.prefixes));
    pthread_mutex_lock(&wb->lock);
    l->stamp = ++wb->stamp;
    TAILQ_INSERT_TAIL(&wb->lists, l, link);
    pthread_mutex_unlock(&wb->lock);
    int r = l->out.entries && l->out.prefixes ? 0 : -ENOMEM;
    if (r == 0 && in->token)
        r = take_token(l, in->token);
    if (r < 0)
        list_fail(l, r);
    else
        fetch(l);
}
