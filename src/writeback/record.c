/* SPDX-License-Identifier: Apache-2.0 */
#include "writeback/record.h"

#include <errno.h>
#include <string.h>

#include "base/crc.h"

#define RECORD_VERSION  1u
#define FLAG_KEEP_ATTRS 1u
#define FLAG_AFTER_ALL  2u
#define NO_STRING       UINT32_MAX

/* ---- writing: little endian, whatever the machine ---- */

static void put_int(struct strbuf *sb, uint64_t v, unsigned bytes)
{
    char b[8];
    for (unsigned i = 0; i < bytes; i++)
        b[i] = (char)(v >> (8 * i));
    (void)strbuf_append(sb, b, bytes);
}

/* With its NUL, so that a reader can point at it. */
static void put_string(struct strbuf *sb, const char *s)
{
    if (!s) {
        put_int(sb, NO_STRING, 4);
        return;
    }
    size_t len = strlen(s);
    put_int(sb, len, 4);
    (void)strbuf_append(sb, s, len + 1);
}

void wb_attrs_encode(struct strbuf *sb, const struct store_attrs *a)
{
    put_string(sb, a->content_type);
    put_string(sb, a->content_encoding);
    put_string(sb, a->content_disposition);
    put_string(sb, a->content_language);
    put_string(sb, a->cache_control);
    put_string(sb, a->storage_class);
    put_int(sb, a->n_metadata, 4);
    for (size_t i = 0; i < a->n_metadata; i++) {
        put_string(sb, a->metadata[i].name);
        put_string(sb, a->metadata[i].value);
    }
}

void wb_record_encode(struct strbuf *sb, const struct wb_record *r)
{
    size_t start = sb->len;
    put_int(sb, RECORD_VERSION, 1);
    put_int(sb, r->kind, 1);
    put_int(sb, r->cond, 1);
    put_int(sb, (r->keep_attrs ? FLAG_KEEP_ATTRS : 0) | (r->after_all ? FLAG_AFTER_ALL : 0), 1);
    put_int(sb, r->seq, 8);
    put_int(sb, r->size, 8);
    put_int(sb, (uint64_t)r->mtime_ns, 8);
    put_int(sb, r->body_file, 8);
    put_int(sb, r->source_seq, 8);
    put_string(sb, r->key);
    put_string(sb, r->etag);
    put_string(sb, r->if_match);
    put_string(sb, r->source_key);
    put_string(sb, r->source_etag);
    put_int(sb, r->attrs_len, 4);
    (void)strbuf_append(sb, r->attrs, r->attrs_len);
    if (!sb->error)
        put_int(sb, crc32c_update(0, sb->data + start, sb->len - start), 4);
}

/* ---- reading ---- */

struct cursor {
    const unsigned char *at, *end;
    bool broken;
};

static uint64_t get_int(struct cursor *c, unsigned bytes)
{
    uint64_t v = 0;
    if (c->broken || (size_t)(c->end - c->at) < bytes) {
        c->broken = true;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++)
        v |= (uint64_t)c->at[i] << (8 * i);
    c->at += bytes;
    return v;
}

static const char *get_string(struct cursor *c)
{
    uint64_t len = get_int(c, 4);
    if (c->broken || len == NO_STRING)
        return NULL;
    if (len >= (size_t)(c->end - c->at) || memchr(c->at, 0, len) || c->at[len]) {
        c->broken = true;
        return NULL;
    }
    const char *s = (const char *)c->at;
    c->at += len + 1;
    return s;
}

/* One that must be there. */
static const char *get_text(struct cursor *c)
{
    const char *s = get_string(c);
    if (!s)
        c->broken = true;
    return s;
}

static bool is_sound(const struct wb_record *r)
{
    if (r->kind < WB_PUT || r->kind > WB_DELETE || r->cond > WB_PREV || !r->seq || !*r->key)
        return false;
    if (strlen(r->etag) >= STORE_ETAG_SIZE || strlen(r->if_match) >= STORE_ETAG_SIZE ||
        strlen(r->source_etag) >= STORE_ETAG_SIZE)
        return false;
    if (r->kind == WB_COPY && (!*r->source_key || r->source_seq >= r->seq))
        return false;
    return r->cond != WB_ETAG || *r->if_match;
}

int wb_record_decode(const void *data, size_t len, struct wb_record *ret)
{
    struct cursor c = {.at = data, .end = (const unsigned char *)data + len};
    struct wb_record r = {0};
    if (len < 4)
        return -EBADMSG;
    struct cursor sum = {.at = c.end - 4, .end = c.end};
    c.end -= 4;
    if (crc32c_update(0, data, len - 4) != (uint32_t)get_int(&sum, 4))
        return -EBADMSG;
    if (get_int(&c, 1) != RECORD_VERSION)
        return -EBADMSG;
    r.kind = (enum wb_kind)get_int(&c, 1);
    r.cond = (enum wb_cond)get_int(&c, 1);
    uint64_t flags = get_int(&c, 1);
    r.keep_attrs = flags & FLAG_KEEP_ATTRS;
    r.after_all = flags & FLAG_AFTER_ALL;
    r.seq = get_int(&c, 8);
    r.size = get_int(&c, 8);
    r.mtime_ns = (int64_t)get_int(&c, 8);
    r.body_file = get_int(&c, 8);
    r.source_seq = get_int(&c, 8);
    r.key = get_text(&c);
    r.etag = get_text(&c);
    r.if_match = get_text(&c);
    r.source_key = get_text(&c);
    r.source_etag = get_text(&c);
    r.attrs_len = get_int(&c, 4);
    r.attrs = c.at;
    if (c.broken || r.attrs_len != (size_t)(c.end - c.at) || !is_sound(&r))
        return -EBADMSG;
    *ret = r;
    return 0;
}

int wb_attrs_decode(const void *data, size_t len, struct arena *a, struct store_attrs *ret)
{
    struct cursor c = {.at = data, .end = (const unsigned char *)data + len};
    struct store_attrs attrs = {0};
    if (!len) {
        *ret = attrs;
        return 0;
    }
    attrs.content_type = get_string(&c);
    attrs.content_encoding = get_string(&c);
    attrs.content_disposition = get_string(&c);
    attrs.content_language = get_string(&c);
    attrs.cache_control = get_string(&c);
    attrs.storage_class = get_string(&c);
    size_t n = get_int(&c, 4);
    if (c.broken || n > len / 8) /* two lengths each */
        return -EBADMSG;
    struct store_metadata *m = n ? arena_alloc(a, n * sizeof(*m)) : NULL;
    if (n && !m)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        m[i].name = get_text(&c);
        m[i].value = get_text(&c);
    }
    if (c.broken || c.at != c.end)
        return -EBADMSG;
    attrs.metadata = m;
    attrs.n_metadata = n;
    return store_attrs_copy(&attrs, a, ret);
}
