/* SPDX-License-Identifier: Apache-2.0 */
/* The driver. Its whole position is (tokens, skip): the tokens ask for the page to be read next,
 * skip counts the items of it that were delivered already (only after a resume, or when max_items
 * cut the page). A failed step changes neither, so trying again asks for the same page. */
#include "s3/paginator.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "base/encode.h"
#include "base/parse.h"

/* Two keys of 1,024 bytes, every byte percent-encoded, fit four times over. */
#define RESUME_TOKEN_MAX (32u << 10)
#define RESUME_VERSION   "p1"

struct s3_paginator {
    struct s3_client *client; /* reference */
    const struct s3_paginator_def *def;
    void *in;  /* our shallow copy of the caller's input */
    void *out; /* the current page */
    bool has_page;
    bool list_end;  /* the server said that nothing follows */
    bool limit_end; /* max_items were delivered */
    uint32_t page_size;
    uint64_t max_items;
    uint64_t delivered;
    unsigned pages;

    char *tokens[S3_PAGINATOR_TOKENS]; /* owned; both NULL = the list's beginning */
    uint64_t skip;

    /* Brent's cycle detection: a token kept from an earlier page. Any loop of tokens, however
     * long, meets it after at most about three times its length. */
    char *kept[S3_PAGINATOR_TOKENS];
    unsigned kept_age;
    unsigned kept_until;
};

static const char *or_null(const char *s)
{
    return s && *s ? s : NULL;
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_tokens(char *const a[S3_PAGINATOR_TOKENS],
                        const char *const b[S3_PAGINATOR_TOKENS])
{
    return a[0] && same_text(a[0], b[0]) && same_text(a[1], b[1]);
}

static void tokens_clear(char *t[S3_PAGINATOR_TOKENS])
{
    for (size_t i = 0; i < S3_PAGINATOR_TOKENS; i++) {
        free(t[i]);
        t[i] = NULL;
    }
}

/* All or nothing; the old content of dst is not released. */
static int tokens_copy(char *dst[S3_PAGINATOR_TOKENS], const char *const src[S3_PAGINATOR_TOKENS])
{
    char *copy[S3_PAGINATOR_TOKENS] = {NULL};
    for (size_t i = 0; i < S3_PAGINATOR_TOKENS; i++) {
        if (!src[i])
            continue;
        copy[i] = strdup(src[i]);
        if (!copy[i]) {
            tokens_clear(copy);
            return -ENOMEM;
        }
    }
    memcpy(dst, copy, sizeof(copy));
    return 0;
}

static void page_release(struct s3_paginator *p)
{
    if (!p->has_page)
        return;
    p->def->out_done(p->out);
    memset(p->out, 0, p->def->out_size);
    p->has_page = false;
}

/* ---- resume tokens: "p1:ListParts:SKIP:TOKEN:TOKEN:CRC" ----
 * Fields are percent-encoded, so ':' separates; an absent token is empty. The CRC32 of what stands
 * before it finds a token that was cut or edited, which would silently list something else. */

static int resume_parse(struct s3_paginator *p, const char *text)
{
    const char *tail = strrchr(text, ':');
    uint64_t crc;
    if (!tail || strlen(text) > RESUME_TOKEN_MAX || parse_u64_base(tail + 1, 16, &crc) < 0 ||
        crc != crc32_update(0, text, (size_t)(tail - text)))
        return -EINVAL;

    CLEANUP_FREE char *copy = strndup(text, (size_t)(tail - text));
    if (!copy)
        return -ENOMEM;
    char *field[3 + S3_PAGINATOR_TOKENS];
    char *rest = copy;
    for (size_t i = 0; i < ARRAY_SIZE(field); i++) {
        field[i] = strsep(&rest, ":");
        if (!field[i])
            return -EINVAL;
    }
    uint64_t skip;
    if (rest || strcmp(field[0], RESUME_VERSION) != 0 ||
        strcmp(field[1], s3_op_name(p->def->op)) != 0 || parse_u64(field[2], &skip) < 0)
        return -EINVAL;

    const char *tokens[S3_PAGINATOR_TOKENS];
    for (size_t i = 0; i < S3_PAGINATOR_TOKENS; i++) {
        char *f = field[3 + i];
        size_t len;
        if (decode_percent(f, false, f, &len) < 0 || strlen(f) != len)
            return -EINVAL;
        tokens[i] = or_null(f);
    }
    if (!tokens[0] && tokens[1])
        return -EINVAL;
    if (tokens[0] && p->def->set_tokens(p->in, tokens) < 0)
        return -EINVAL;
    int r = tokens_copy(p->tokens, tokens);
    if (r < 0)
        return r;
    p->skip = skip;
    return 0;
}

char *s3_paginator_resume_token(const struct s3_paginator *p)
{
    if (p->list_end)
        return NULL;
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(RESUME_TOKEN_MAX);
    strbuf_appendf(&sb, RESUME_VERSION ":%s:%" PRIu64, s3_op_name(p->def->op), p->skip);
    for (size_t i = 0; i < S3_PAGINATOR_TOKENS; i++) {
        strbuf_append_char(&sb, ':');
        if (p->tokens[i])
            encode_percent(&sb, p->tokens[i], strlen(p->tokens[i]), false);
    }
    strbuf_appendf(&sb, ":%08" PRIx32, crc32_update(0, strbuf_str(&sb), sb.len));
    return strbuf_take(&sb);
}

/* ---- life ---- */

int s3_paginator_new(struct s3_client *client, const struct s3_paginator_def *def, const void *in,
                     const struct s3_paginator_options *opts, struct s3_paginator **ret,
                     struct s3_error *reterr)
{
    static const struct s3_paginator_options none;
    if (!opts)
        opts = &none;

    struct s3_paginator *p = calloc(1, sizeof(*p));
    if (!p)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    p->client = s3_client_ref(client);
    p->def = def;
    p->page_size = MIN(opts->page_size, def->max_page_size);
    p->max_items = opts->max_items;
    p->kept_until = 1;
    p->in = malloc(def->in_size);
    p->out = calloc(1, def->out_size);
    int r = -ENOMEM;
    if (p->in && p->out) {
        memcpy(p->in, in, def->in_size);
        r = opts->resume_token ? resume_parse(p, opts->resume_token) : 0;
    }
    if (r < 0) {
        s3_paginator_free(p);
        if (r == -ENOMEM)
            return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "the resume token is damaged or was not made by %s",
                            s3_op_name(def->op));
    }
    if (p->page_size)
        def->set_page_size(p->in, p->page_size);
    *ret = p;
    return 0;
}

void s3_paginator_free(struct s3_paginator *p)
{
    if (!p)
        return;
    page_release(p);
    tokens_clear(p->tokens);
    tokens_clear(p->kept);
    free(p->in);
    free(p->out);
    s3_client_unref(p->client);
    free(p);
}

/* ---- one step ---- */

static int bad_page(const struct s3_paginator *p, const char *what, struct s3_error *reterr)
{
    int r =
        s3_error_set(reterr, S3_ERROR_BAD_RESPONSE, "page %u of the list %s", p->pages + 1, what);
    if (reterr)
        snprintf(reterr->operation, sizeof(reterr->operation), "%s", s3_op_name(p->def->op));
    return r;
}

/* Checks where the page says that the list goes on. *ret_more tells whether it does. */
static int next_tokens(const struct s3_paginator *p, const char *next[S3_PAGINATOR_TOKENS],
                       char *number, bool *ret_more, struct s3_error *reterr)
{
    const struct s3_paginator_def *def = p->def;
    def->get_tokens(p->out, next, number);
    for (size_t i = 0; i < S3_PAGINATOR_TOKENS; i++)
        next[i] = or_null(next[i]);

    bool more = def->is_truncated ? def->is_truncated(p->out) : next[0] != NULL;
    if (more && !next[0])
        return bad_page(p, "is said to be incomplete but has no token for the next", reterr);
    if (more && (same_tokens(p->tokens, next) || same_tokens(p->kept, next)))
        return bad_page(p, "repeats a token, so the list would never end", reterr);
    *ret_more = more;
    return 0;
}

/* Moves the position behind the page. Nothing is changed when memory is out. */
static int advance(struct s3_paginator *p, const char *const next[S3_PAGINATOR_TOKENS])
{
    char *tokens[S3_PAGINATOR_TOKENS];
    char *kept[S3_PAGINATOR_TOKENS];
    int r = tokens_copy(tokens, next);
    if (r < 0)
        return r;
    if (p->kept_age + 1 == p->kept_until) {
        r = tokens_copy(kept, next);
        if (r < 0) {
            tokens_clear(tokens);
            return r;
        }
        tokens_clear(p->kept);
        memcpy(p->kept, kept, sizeof(kept));
        p->kept_age = 0;
        p->kept_until *= 2;
    } else {
        p->kept_age++;
    }
    tokens_clear(p->tokens);
    memcpy(p->tokens, tokens, sizeof(tokens));
    return 0;
}

/* Takes the fetched page in: cuts it and moves the position. */
static int take_page(struct s3_paginator *p, struct s3_error *reterr)
{
    const struct s3_paginator_def *def = p->def;
    const char *next[S3_PAGINATOR_TOKENS] = {NULL};
    char number[S3_PAGINATOR_NUMBER_SIZE];
    bool more = false;
    int r = next_tokens(p, next, number, &more, reterr);
    if (r < 0)
        return r;

    size_t total = def->item_count(p->out);
    size_t first = (size_t)MIN(p->skip, (uint64_t)total);
    size_t count = total - first;
    if (p->max_items)
        count = (size_t)MIN((uint64_t)count, p->max_items - p->delivered);
    bool cut = first + count < total;

    if (cut) {
        p->skip = first + count;
    } else if (more) {
        r = advance(p, next);
        if (r < 0)
            return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
        /* The rest, when the pages are smaller now than when the token was made. */
        p->skip -= first;
    } else {
        p->list_end = true;
    }
    if (first > 0 || cut)
        def->cut(p->out, first, count);
    p->delivered += count;
    if (p->max_items && p->delivered == p->max_items)
        p->limit_end = true;
    p->pages++;
    return 0;
}

int s3_paginator_next(struct s3_paginator *p, const void **ret_page, struct s3_error *reterr)
{
    page_release(p);
    if (p->list_end || p->limit_end)
        return 0;

    if (p->tokens[0] && p->def->set_tokens(p->in, (const char *const *)p->tokens) < 0)
        return bad_page(p, "has a token that is not a number", reterr);
    int r = s3_client_call(p->client, p->def->op, p->in, p->out, reterr);
    if (r < 0) {
        memset(p->out, 0, p->def->out_size);
        return r;
    }
    p->has_page = true;
    r = take_page(p, reterr);
    if (r < 0) {
        page_release(p);
        return r;
    }
    if (ret_page)
        *ret_page = p->out;
    return 1;
}

size_t s3_paginator_item_count(const struct s3_paginator *p)
{
    return p->has_page ? p->def->item_count(p->out) : 0;
}

const void *s3_paginator_item_at(const struct s3_paginator *p, size_t index)
{
    return index < s3_paginator_item_count(p) ? p->def->item_at(p->out, index) : NULL;
}

unsigned s3_paginator_pages(const struct s3_paginator *p)
{
    return p->pages;
}
