/* SPDX-License-Identifier: Apache-2.0 */
/* From the text of an element to a field of the output, and the arrays of items. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/timefmt.h"
#include "s3/types.h"
#include "s3/xml_priv.h"

void *xml_array_append(struct xml_parser *p, const struct xml_element *e)
{
    struct xml_array *a = NULL;

    for (unsigned i = 0; i < XML_ARRAYS_MAX && !a; i++) {
        /* Two elements may fill one array: <Version> and <DeleteMarker>. */
        const struct xml_element *other = p->arrays[i].element;
        if (!other || other == e || (other->offset == e->offset && other->size == e->size))
            a = &p->arrays[i];
    }
    if (!a) {
        (void)xml_fail(p, -EBADMSG, "the schema has too many arrays");
        return NULL;
    }
    a->element = a->element ? a->element : e;
    if (a->n == a->cap) {
        size_t cap = a->cap ? a->cap * 2 : 256;
        char *items = realloc(a->items, cap * e->size);
        if (!items) {
            (void)xml_fail_memory(p);
            return NULL;
        }
        a->items = items;
        a->cap = cap;
    }
    char *item = a->items + a->n++ * e->size;
    memset(item, 0, e->size);
    return item;
}

static const char *trimmed_etag(const char *s, size_t *len, bool *add_quotes)
{
    *add_quotes = *len > 0 && s[0] != '"' && !(s[0] == 'W' && *len > 1 && s[1] == '/');
    return s;
}

static int parse_number(const char *s, size_t len, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;

    if (len == 0 || len > 20)
        return -EBADMSG;
    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned char)s[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, digit, &v) || v > max)
            return -EBADMSG;
    }
    *ret = v;
    return 0;
}

static int store_text(struct xml_parser *p, const char *s, size_t len, bool etag, const char **ret)
{
    bool quote = false;
    char *copy;

    if (etag)
        s = trimmed_etag(s, &len, &quote);
    if (!quote) {
        copy = arena_strndup(p->arena, s, len);
        if (!copy)
            return xml_fail_memory(p);
    } else {
        copy = arena_alloc(p->arena, len + 3);
        if (!copy)
            return xml_fail_memory(p);
        copy[0] = '"';
        memcpy(copy + 1, s, len);
        copy[len + 1] = '"';
    }
    *ret = copy;
    return 0;
}

static int store_chars(const char *s, size_t len, bool etag, char *field, size_t size)
{
    bool quote = false;

    if (etag)
        s = trimmed_etag(s, &len, &quote);
    if (len + (quote ? 2 : 0) >= size)
        return -EBADMSG;
    (void)snprintf(field, size, quote ? "\"%.*s\"" : "%.*s", (int)len, s);
    return 0;
}

static int parse_time(const char *s, size_t len, int64_t *ret)
{
    if (len == 0) {
        *ret = 0;
        return 0;
    }
    return timefmt_parse_iso8601(s, ret) ? -EBADMSG : 0;
}

static int parse_xml_bool(const char *s, bool *ret)
{
    if (!strcmp(s, "true") || !strcmp(s, "1"))
        *ret = true;
    else if (!strcmp(s, "false") || !strcmp(s, "0"))
        *ret = false;
    else
        return -EBADMSG;
    return 0;
}

/* Turns stand-ins back into what the server meant. */
static void restore_bytes(struct xml_parser *p)
{
    char *from = p->text.data;
    char *end = from + p->text.len;
    char *to;

    if (!p->mapped || !p->text.len)
        return;
    to = from;
    while (from < end) {
        if (end - from >= 4 && !memcmp(from, "\xf4\x8f", 2) && (unsigned char)from[2] >= 0xbc) {
            *to++ = (char)((from[2] & 3) << 6 | (from[3] & 0x3f));
            from += 4;
        } else {
            *to++ = *from++;
        }
    }
    strbuf_truncate(&p->text, (size_t)(to - p->text.data));
}

int xml_store_value(struct xml_parser *p, const struct xml_element *e, char *base)
{
    restore_bytes(p);
    const char *s = strbuf_str(&p->text);
    size_t len = p->text.len;
    char *field = base + e->offset;
    uint64_t number;
    int r = 0;

    if (memchr(s, 0, len)) /* XML cannot hold it; the parser refuses it before us */
        return xml_fail(p, -EBADMSG, "<%s> holds a NUL byte", e->name);
    switch ((enum xml_kind)e->kind) {
    case XML_TEXT:
    case XML_ETAG:
        return store_text(p, s, len, e->kind == XML_ETAG, (const char **)(void *)field);
    case XML_STRING_LIST: {
        const char **item = xml_array_append(p, e);
        return item ? store_text(p, s, len, false, item) : p->error;
    }
    case XML_CHARS:
    case XML_ETAG_CHARS:
        r = store_chars(s, len, e->kind == XML_ETAG_CHARS, field, e->size);
        break;
    case XML_CHECKSUM: {
        struct s3_checksum *sum = (struct s3_checksum *)(void *)field;
        r = store_chars(s, len, false, sum->value, sizeof(sum->value));
        if (!r)
            sum->algo = (enum s3_checksum_algo)e->aux;
        break;
    }
    case XML_U32:
        r = parse_number(s, len, UINT32_MAX, &number);
        if (!r)
            *(uint32_t *)(void *)field = (uint32_t)number;
        break;
    case XML_U64:
        r = parse_number(s, len, UINT64_MAX, &number);
        if (!r)
            *(uint64_t *)(void *)field = number;
        break;
    case XML_BOOL:
        r = parse_xml_bool(s, (bool *)(void *)field);
        break;
    case XML_TIME:
        r = parse_time(s, len, (int64_t *)(void *)field);
        break;
    case XML_VERSIONING:
        if (!strcmp(s, "Enabled"))
            *(enum s3_versioning *)(void *)field = S3_VERSIONING_ENABLED;
        else if (!strcmp(s, "Suspended"))
            *(enum s3_versioning *)(void *)field = S3_VERSIONING_SUSPENDED;
        else
            r = -EBADMSG;
        break;
    case XML_URL_ENCODED:
        if (!strcmp(s, "url"))
            p->url_encoded = true;
        else if (len > 0)
            r = -EBADMSG;
        break;
    case XML_GROUP:
    case XML_LIST:
        break;
    }
    if (r)
        return xml_fail(p, -EBADMSG, "<%s> has the impossible value '%.60s'", e->name, s);
    return 0;
}
