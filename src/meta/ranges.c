/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/ranges.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"

#define POSITIONS  64u /* of a name that are looked at */
#define RANGES_MAX 512u
/* The part of all requests that may be in vain. */
#define WASTE_MAX 0.3
/* Shorter listings are not worth it. */
#define PAGES_MIN 4u
/* A stretch that is expected to end within this many pages more is let alone. */
#define REST_MIN 1.5

/* The bytes that names have at one position, and those that are likely beside them. */
struct alphabet {
    uint8_t set[32]; /* bits */
    bool end;        /* names end there */
    uint16_t n;
    uint8_t bytes[256]; /* ascending */
};

struct range {
    char *pos;   /* known up to and with that name */
    char *end;   /* goes up to and with that name; NULL = to the end */
    char *token; /* that goes on after pos; NULL = none */
    double step; /* what a page covers, of all names as 1 */
    bool named;  /* a page has told a name */
    bool asked;  /* a request is under way */
    bool over;
};

struct ranges {
    size_t prefix_len;
    struct range *list; /* the first one is that of the token */
    size_t n;
    size_t alloc;
    struct dir_gap *gaps;
    unsigned pages; /* that came */
    unsigned asked;
    double waste; /* of those pages: what another one tells too */
    bool plain;   /* the server is not trusted */
    bool deep;    /* '/' is a letter like any other */
    struct alphabet at[POSITIONS];
};

/* ---- names as numbers ---- */

static bool has(const struct alphabet *a, unsigned char c)
{
    return a->set[c / 8] & (1u << (c % 8));
}

static void add(struct alphabet *a, unsigned char c)
{
    if (has(a, c))
        return;
    a->set[c / 8] |= (uint8_t)(1u << (c % 8));
    size_t i = a->n++;
    for (; i > 0 && a->bytes[i - 1] > c; i--)
        a->bytes[i] = a->bytes[i - 1];
    a->bytes[i] = c;
}

static void add_class(struct alphabet *a, unsigned char from, unsigned char to)
{
    for (unsigned c = from; c <= to; c++)
        add(a, (unsigned char)c);
}

static bool is_end(const struct ranges *r, char c)
{
    return !c || (c == '/' && !r->deep);
}

static unsigned count(const struct alphabet *a, unsigned char from, unsigned char to)
{
    unsigned n = 0;
    for (unsigned c = from; c <= to; c++)
        n += has(a, (unsigned char)c);
    return n;
}

/* A sorted page shows the first letters of what is to come: where there is a digit there will be
 * others, and so on. */
static void complete_class(struct alphabet *a)
{
    unsigned digits = count(a, '0', '9'), lower = count(a, 'a', 'z'), upper = count(a, 'A', 'Z');
    bool hex = digits > 1 && lower == count(a, 'a', 'f') && upper == count(a, 'A', 'F');
    if (digits > 0)
        add_class(a, '0', '9');
    if (lower > 1 || (hex && lower > 0))
        add_class(a, 'a', hex ? 'f' : 'z');
    if (upper > 1 || (hex && upper > 0))
        add_class(a, 'A', hex ? 'F' : 'Z');
}

static void learn(struct ranges *r, const char *name)
{
    size_t i = 0;
    for (; i < POSITIONS && !is_end(r, name[i]); i++) {
        if (!has(&r->at[i], (unsigned char)name[i])) {
            add(&r->at[i], (unsigned char)name[i]);
            complete_class(&r->at[i]);
        }
    }
    if (i < POSITIONS)
        r->at[i].end = true;
}

/* The share of all names that sort before it, if they were spread evenly. */
static double value(const struct ranges *r, const char *name)
{
    double v = 0, weight = 1;
    for (size_t i = 0; i < POSITIONS && weight > 1e-15; i++) {
        const struct alphabet *a = &r->at[i];
        unsigned base = a->n + a->end, digit = 0;
        unsigned char c = (unsigned char)name[i];
        if (base == 0)
            break;
        while (digit < a->n && a->bytes[digit] < c)
            digit++;
        bool ends = is_end(r, name[i]);
        bool known = !ends && digit < a->n && a->bytes[digit] == c;
        digit += ends ? 0 : a->end;
        weight /= base;
        v += weight * digit;
        if (!known)
            break;
    }
    return v;
}

/* Cuts what is no whole UTF-8 sequence: servers take only text. Nor is anything from U+E000 on a
 * place to split at: servers that order by UTF-16 have what is beyond U+FFFF before that, so that
 * some names would be on neither side of it. */
static void cut_to_text(char *s)
{
    size_t i = 0;
    while (s[i]) {
        unsigned char c = (unsigned char)s[i];
        size_t len = c < 0x80 ? 1 : c >= 0xc2 && c < 0xe0 ? 2 : c >= 0xe0 && c < 0xee ? 3 : 0;
        size_t have = 1;
        while (have < len && ((unsigned char)s[i + have] & 0xc0) == 0x80)
            have++;
        /* Overlong forms and surrogates are no text either. */
        unsigned char d = len > 1 ? (unsigned char)s[i + 1] : 0;
        bool bad = (c == 0xe0 && d < 0xa0) || (c == 0xed && d > 0x9f);
        if (len == 0 || have < len || bad || c < 0x20 || c == 0x7f)
            break;
        i += len;
    }
    s[i] = '\0';
}

/* A short name of about that value. */
static void name_at(const struct ranges *r, double v, double precision, char out[POSITIONS + 1])
{
    double weight = 1;
    size_t n = 0;
    for (; n < POSITIONS && weight > precision; n++) {
        const struct alphabet *a = &r->at[n];
        unsigned base = a->n + a->end;
        if (base == 0)
            break;
        double scaled = v * base;
        unsigned digit = scaled < base ? (unsigned)scaled : base - 1;
        v = scaled - digit;
        weight /= base;
        if (a->end && digit == 0)
            break;
        out[n] = (char)a->bytes[digit - a->end];
    }
    out[n] = '\0';
    cut_to_text(out);
    /* A directory begins before its '/'. */
    for (n = strlen(out); n > 0 && out[n - 1] == '/'; n--)
        out[n - 1] = '\0';
}

/* ---- life ---- */

static void range_done(struct range *g)
{
    free(g->pos);
    free(g->end);
    free(g->token);
}

void ranges_free(struct ranges *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->n; i++)
        range_done(&r->list[i]);
    free(r->list);
    free(r->gaps);
    free(r);
}

static int grow(struct ranges *r)
{
    if (r->n < r->alloc)
        return 0;
    size_t alloc = r->alloc ? r->alloc * 2 : 8;
    struct range *list = realloc(r->list, alloc * sizeof(*list));
    if (!list)
        return -ENOMEM;
    r->list = list;
    struct dir_gap *gaps = realloc(r->gaps, alloc * sizeof(*gaps));
    if (!gaps)
        return -ENOMEM;
    r->gaps = gaps;
    r->alloc = alloc;
    return 0;
}

/* ---- pages ---- */

static bool ascends(const struct store_page *page)
{
    for (size_t i = 1; i < page->n_entries; i++) {
        if (strcmp(page->entries[i - 1].key, page->entries[i].key) >= 0)
            return false;
    }
    for (size_t i = 1; i < page->n_prefixes; i++) {
        if (strcmp(page->prefixes[i - 1], page->prefixes[i]) >= 0)
            return false;
    }
    return true;
}

/* First and last name of a page, NULL when it has none. */
static void look(const struct ranges *r, const struct store_page *page, const char **first,
                 const char **last)
{
    const char *a = page->n_entries > 0 ? page->entries[0].key : NULL;
    const char *b = page->n_prefixes > 0 ? page->prefixes[0] : NULL;
    *first = !a || (b && strcmp(b, a) < 0) ? b : a;
    a = page->n_entries > 0 ? page->entries[page->n_entries - 1].key : NULL;
    b = page->n_prefixes > 0 ? page->prefixes[page->n_prefixes - 1] : NULL;
    *last = !a || (b && strcmp(b, a) > 0) ? b : a;
    if (*first) {
        *first += r->prefix_len;
        *last += r->prefix_len;
    }
}

static void learn_page(struct ranges *r, const struct store_page *page)
{
    for (size_t i = 0; i < page->n_entries; i++)
        learn(r, page->entries[i].key + r->prefix_len);
    for (size_t i = 0; i < page->n_prefixes; i++)
        learn(r, page->prefixes[i] + r->prefix_len);
}

static int make(const char *prefix, const struct store_page *first, bool deep, struct ranges **ret)
{
    struct ranges *r = calloc(1, sizeof(*r));
    const char *from = NULL, *last = NULL;
    if (!r)
        return -ENOMEM;
    r->prefix_len = strlen(prefix);
    r->deep = deep;
    r->pages = 1;
    r->plain = !ascends(first);
    look(r, first, &from, &last);
    learn_page(r, first);
    if (grow(r) < 0) {
        ranges_free(r);
        return -ENOMEM;
    }
    r->list[0] = (struct range){.pos = strdup(last ? last : ""), .named = last != NULL};
    r->n = 1;
    if (first->next_token)
        r->list[0].token = strdup(first->next_token);
    if (!r->list[0].pos || (first->next_token && !r->list[0].token)) {
        ranges_free(r);
        return -ENOMEM;
    }
    if (last)
        r->list[0].step = value(r, last) - value(r, from);
    *ret = r;
    return 0;
}

int ranges_new(const char *prefix, const struct store_page *first, struct ranges **ret)
{
    return make(prefix, first, false, ret);
}

int ranges_new_deep(const char *prefix, const struct store_page *first, struct ranges **ret)
{
    return make(prefix, first, true, ret);
}

/* Only the stretch with the token, to the end. */
static void go_plain(struct ranges *r)
{
    r->plain = true;
    for (size_t i = 1; i < r->n; i++)
        r->list[i].over = true;
    free(r->list[0].end);
    r->list[0].end = NULL;
    r->list[0].over = !r->list[0].token && !r->list[0].asked;
}

/* How much of the page is told by the stretch above, too: all, when it is empty. */
static double overlap(const struct ranges *r, const struct store_page *page, const char *end)
{
    size_t n = page->n_entries + page->n_prefixes, over = 0;
    for (size_t i = page->n_entries; end && i > 0; i--, over++) {
        if (strcmp(page->entries[i - 1].key + r->prefix_len, end) <= 0)
            break;
    }
    for (size_t i = page->n_prefixes; end && i > 0; i--, over++) {
        if (strcmp(page->prefixes[i - 1] + r->prefix_len, end) <= 0)
            break;
    }
    return n > 0 ? (double)over / (double)n : 1;
}

int ranges_answer(struct ranges *r, size_t id, const struct store_page *page, bool *ret_use)
{
    struct range *g = &r->list[id];
    const char *first, *last;
    look(r, page, &first, &last);
    char *token = page->next_token ? strdup(page->next_token) : NULL;
    char *pos = last ? strdup(last) : NULL;
    if ((page->next_token && !token) || (last && !pos)) {
        free(token);
        free(pos);
        ranges_failed(r, id);
        return -ENOMEM;
    }
    g->asked = false;
    r->asked--;
    *ret_use = !r->plain || id == 0;
    /* The directory's own object has no name, and comes first of all. */
    bool begins = first && !*first && !*g->pos && !g->named;
    bool trusted = !r->plain && ascends(page) && (!first || begins || strcmp(first, g->pos) > 0);
    g->named |= first != NULL;
    free(g->token);
    g->token = token;
    r->pages++;
    if (trusted)
        r->waste += overlap(r, page, g->end);
    if (pos) {
        if (trusted) {
            learn_page(r, page);
            g->step = value(r, pos) - value(r, g->pos);
        }
        free(g->pos);
        g->pos = pos;
    }
    g->over = !g->token || (g->end && strcmp(g->pos, g->end) >= 0);
    if (!trusted)
        go_plain(r);
    return 0;
}

int ranges_resume(struct ranges *r, size_t id, const char *name)
{
    struct range *g = &r->list[id];
    if (!g->token)
        return 0; /* that was the list's end */
    char *pos = name ? strdup(name) : NULL;
    if (name && !pos)
        return -ENOMEM;
    free(g->token);
    g->token = NULL;
    g->over = !name || (g->end && strcmp(name, g->end) >= 0);
    if (name) {
        free(g->pos);
        g->pos = pos;
    }
    return 0;
}

void ranges_failed(struct ranges *r, size_t id)
{
    r->list[id].asked = false;
    r->asked--;
}

/* ---- what to ask for ---- */

/* How many pages the stretch is expected to have beyond the one under way; *ret_at: where to split
 * it, as a value. */
static double rest(const struct ranges *r, const struct range *g, double *ret_at)
{
    double from = value(r, g->pos) + g->step, pages;
    if (g->over || g->step <= 0)
        return 0;
    if (g->end) {
        double to = value(r, g->end);
        *ret_at = from + (to - from) / 2;
        return (to - from) / g->step;
    }
    /* Where the names end nobody knows: as many again as there were. */
    pages = r->pages;
    if (from + g->step * pages > 1)
        pages = (1 - from) / g->step / 2;
    *ret_at = from + g->step * pages;
    return 2 * pages;
}

/* Each split that is not decided yet, and one more, may turn out to have been in vain. */
static bool may_split(const struct ranges *r)
{
    double waste = r->waste;
    for (size_t i = 0; i < r->n; i++)
        waste += r->list[i].end && !r->list[i].over;
    return !r->plain && r->n < RANGES_MAX && r->pages >= PAGES_MIN &&
           waste + 1 <= (r->pages + r->asked - waste) * WASTE_MAX;
}

static bool split(struct ranges *r)
{
    char name[POSITIONS + 1];
    double most = REST_MIN, where = 0;
    struct range *best = NULL;
    if (!may_split(r) || grow(r) < 0)
        return false;
    for (size_t i = 0; i < r->n; i++) {
        double at = 0, pages = rest(r, &r->list[i], &at);
        if (pages > most) {
            most = pages;
            where = at;
            best = &r->list[i];
        }
    }
    if (!best)
        return false;
    name_at(r, where, best->step / 4, name);
    if (strcmp(name, best->pos) <= 0 || (best->end && strcmp(name, best->end) >= 0))
        return false;
    char *end = strdup(name);
    struct range upper = {.pos = strdup(name), .end = best->end, .step = best->step};
    if (!end || !upper.pos) {
        free(end);
        free(upper.pos);
        return false;
    }
    best->end = end;
    r->list[r->n++] = upper;
    return true;
}

bool ranges_next(struct ranges *r, unsigned limit, struct range_request *ret)
{
    if (r->asked >= limit)
        return false;
    for (int tries = 0; tries < 2; tries++) {
        for (size_t i = 0; i < r->n; i++) {
            struct range *g = &r->list[i];
            if (g->over || g->asked)
                continue;
            g->asked = true;
            r->asked++;
            *ret = (struct range_request){.id = i, .token = g->token, .after = g->pos};
            return true;
        }
        if (!split(r))
            return false;
    }
    return false;
}

size_t ranges_gaps(struct ranges *r, const struct dir_gap **ret)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n; i++) {
        if (!r->list[i].over)
            r->gaps[n++] = (struct dir_gap){.from = r->list[i].pos, .to = r->list[i].end};
    }
    *ret = r->gaps;
    return n;
}

bool ranges_distrusted(const struct ranges *r)
{
    return r->plain;
}
