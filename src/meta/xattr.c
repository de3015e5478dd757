/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/xattr.h"

#include <errno.h>
#include <string.h>

#include "base/attr.h"
#include "base/encode.h"

/* ---- reading ---- */

struct parser {
    const char *p; /* NUL-terminated */
    struct arena *arena;
    bool no_memory;
};

static void skip_space(struct parser *ps)
{
    ps->p += strspn(ps->p, " \t\r\n");
}

static bool take(struct parser *ps, char c)
{
    skip_space(ps);
    if (*ps->p != c)
        return false;
    ps->p++;
    return true;
}

static char *put_utf8(char *out, unsigned code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xC0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3F));
    } else {
        *out++ = (char)(0xE0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3F));
        *out++ = (char)(0x80 | (code & 0x3F));
    }
    return out;
}

/* The four digits of \uXXXX. A surrogate becomes three bytes that are no UTF-8: it still is a
 * name of its own. */
static bool take_code(struct parser *ps, char **out)
{
    char digits[5] = "";
    uint8_t bytes[2];
    size_t len = strnlen(ps->p, 4);
    memcpy(digits, ps->p, len);
    if (decode_hex(digits, bytes, sizeof(bytes), &len) < 0 || len != 2)
        return false;
    ps->p += 4;
    unsigned code = (unsigned)bytes[0] << 8 | bytes[1];
    if (code == 0)
        return false; /* no name has a NUL */
    *out = put_utf8(*out, code);
    return true;
}

static bool take_escape(struct parser *ps, char **out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = *ps->p;
    if (c == '\0')
        return false;
    ps->p++;
    if (c == 'u')
        return take_code(ps, out);
    const char *at = strchr(from, c);
    if (!at)
        return false;
    *(*out)++ = to[at - from];
    return true;
}

/* A string with its quotes; NULL when there is none or it does not end. */
static char *take_string(struct parser *ps)
{
    if (!take(ps, '"'))
        return NULL;
    char *text = arena_alloc(ps->arena, strlen(ps->p) + 1), *out = text; /* never longer */
    if (!text) {
        ps->no_memory = true;
        return NULL;
    }
    while (*ps->p != '"') {
        if (*ps->p == '\0')
            return NULL;
        if (*ps->p != '\\')
            *out++ = *ps->p++;
        else if (ps->p++, !take_escape(ps, &out))
            return NULL;
    }
    ps->p++;
    *out = '\0';
    return text;
}

static void add(struct parser *ps, struct xattr_list *list, const char *name, const char *value)
{
    size_t room = strlen(value) + 1, size;
    if (*name == '\0' || strlen(name) > XATTR_NAME_LENGTH_MAX || xattrs_find(list, name))
        return;
    uint8_t *bytes = arena_alloc(ps->arena, room);
    if (!bytes) {
        ps->no_memory = true;
        return;
    }
    if (decode_base64(value, bytes, room, &size) < 0)
        return;
    if (list->n == XATTRS_MAX) {
        list->cut = true;
        return;
    }
    list->items[list->n++] = (struct xattr){.name = name, .value = bytes, .size = size};
}

/* name : value. False when nothing after it can be understood. */
static bool take_member(struct parser *ps, struct xattr_list *list)
{
    const char *name = take_string(ps);
    if (!name || !take(ps, ':'))
        return false;
    skip_space(ps);
    if (*ps->p != '"') {
        ps->p += strcspn(ps->p, ",}"); /* a number, null */
        return true;
    }
    const char *value = take_string(ps);
    if (value)
        add(ps, list, name, value);
    return value != NULL;
}

int xattrs_decode(const char *encoded, struct arena *arena, struct xattr_list *ret)
{
    size_t len;
    *ret = (struct xattr_list){.n = 0};
    if (!encoded)
        return 0;
    char *json = arena_strdup(arena, encoded);
    if (!json)
        return -ENOMEM;
    if (decode_percent(encoded, false, json, &len) < 0 || strlen(json) != len)
        return 0;
    struct parser ps = {.p = json, .arena = arena};
    if (take(&ps, '{')) {
        while (!take(&ps, '}') && take_member(&ps, ret) && take(&ps, ','))
            ;
    }
    return ps.no_memory ? -ENOMEM : 0;
}

/* ---- writing ---- */

static void put_string(struct strbuf *sb, const char *s)
{
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            strbuf_appendf(sb, "\\%c", c);
        else if (c < 0x20)
            strbuf_appendf(sb, "\\u%04x", c);
        else
            strbuf_append_char(sb, (char)c);
    }
}

void xattrs_encode(const struct xattr_list *list, struct strbuf *sb)
{
    CLEANUP_STRBUF struct strbuf json = STRBUF_INIT(sb->max);
    if (list->n == 0)
        return;
    for (size_t i = 0; i < list->n; i++) {
        strbuf_append_str(&json, i == 0 ? "{\"" : ",\"");
        put_string(&json, list->items[i].name);
        strbuf_append_str(&json, "\":\"");
        encode_base64(&json, list->items[i].value, list->items[i].size);
        strbuf_append_str(&json, "\"");
    }
    strbuf_append_str(&json, "}");
    if (json.error && !sb->error)
        sb->error = json.error;
    encode_percent(sb, strbuf_str(&json), json.len, false);
}

struct xattr *xattrs_find(struct xattr_list *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->items[i].name, name) == 0)
            return &list->items[i];
    }
    return NULL;
}
