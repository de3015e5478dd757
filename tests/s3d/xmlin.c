/* SPDX-License-Identifier: Apache-2.0 */
#include "xmlin.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void xmlin_init(struct xmlin *x, const void *data, size_t len)
{
    memset(x, 0, sizeof(*x));
    x->p = data;
    x->end = x->p + len;
    if (len >= 3 && !memcmp(x->p, "\xef\xbb\xbf", 3))
        x->p += 3;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == ':' || (unsigned char)c >= 0x80;
}

static void skip_space(struct xmlin *x)
{
    while (x->p < x->end && is_space(*x->p))
        x->p++;
}

static bool skip_past(struct xmlin *x, const char *mark)
{
    const char *at = memmem(x->p, (size_t)(x->end - x->p), mark, strlen(mark));

    if (!at)
        return false;
    x->p = at + strlen(mark);
    return true;
}

static bool add_text(struct xmlin *x, const char *data, size_t len)
{
    if (len > XMLIN_TEXT_MAX - x->text_len)
        return false;
    memcpy(x->text + x->text_len, data, len);
    x->text_len += len;
    x->text[x->text_len] = '\0';
    return true;
}

static bool add_code_point(struct xmlin *x, unsigned long c)
{
    char out[4];
    size_t n;

    if (c == 0 || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return false;
    if (c < 0x80) {
        out[0] = (char)c;
        n = 1;
    } else if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        n = 2;
    } else if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        n = 3;
    } else {
        out[0] = (char)(0xf0 | c >> 18);
        out[1] = (char)(0x80 | (c >> 12 & 0x3f));
        out[2] = (char)(0x80 | (c >> 6 & 0x3f));
        out[3] = (char)(0x80 | (c & 0x3f));
        n = 4;
    }
    return add_text(x, out, n);
}

/* At '&'. */
static bool read_reference(struct xmlin *x)
{
    static const struct {
        const char *name;
        char c;
    } entities[] = {{"lt", '<'}, {"gt", '>'}, {"amp", '&'}, {"quot", '"'}, {"apos", '\''}};
    char name[12];
    size_t len = 0;

    for (x->p++; x->p < x->end && *x->p != ';'; x->p++) {
        if (len == sizeof(name) - 1)
            return false;
        name[len++] = *x->p;
    }
    if (x->p == x->end || !len)
        return false;
    name[len] = '\0';
    x->p++;
    if (name[0] == '#') {
        bool hex = name[1] == 'x';
        const char *digits = name + (hex ? 2 : 1);
        char *stop;

        if (!*digits || strspn(digits, "0123456789abcdefABCDEF") != strlen(digits))
            return false;
        return add_code_point(x, strtoul(digits, &stop, hex ? 16 : 10)) && !*stop;
    }
    for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
        if (!strcmp(name, entities[i].name))
            return add_text(x, &entities[i].c, 1);
    }
    return false;
}

static bool read_name(struct xmlin *x, char out[XMLIN_NAME_MAX])
{
    const char *start = x->p;
    size_t len;

    while (x->p < x->end && is_name_char(*x->p))
        x->p++;
    len = (size_t)(x->p - start);
    if (!len || len >= XMLIN_NAME_MAX)
        return false;
    memcpy(out, start, len);
    out[len] = '\0';
    return true;
}

static bool skip_attributes(struct xmlin *x)
{
    char name[XMLIN_NAME_MAX];

    for (;;) {
        const char *before = x->p;
        char quote;

        skip_space(x);
        if (x->p == x->end)
            return false;
        if (*x->p == '>' || *x->p == '/')
            return true;
        if (x->p == before || !read_name(x, name))
            return false;
        skip_space(x);
        if (x->p == x->end || *x->p++ != '=')
            return false;
        skip_space(x);
        if (x->p == x->end || (*x->p != '"' && *x->p != '\''))
            return false;
        quote = *x->p++;
        while (x->p < x->end && *x->p != quote && *x->p != '<')
            x->p++;
        if (x->p == x->end || *x->p++ != quote)
            return false;
    }
}

static void set_name(struct xmlin *x, const char *qualified)
{
    const char *colon = strrchr(qualified, ':');

    memmove(x->name, colon ? colon + 1 : qualified, strlen(colon ? colon + 1 : qualified) + 1);
}

static enum xmlin_event close_element(struct xmlin *x)
{
    set_name(x, x->names[x->depth]);
    x->closed = true;
    return XMLIN_CLOSE;
}

/* Behind '<' of a start tag. */
static enum xmlin_event open_element(struct xmlin *x)
{
    if (x->depth == XMLIN_DEPTH || (x->depth == 0 && x->seen_root))
        return XMLIN_ERROR;
    if (!read_name(x, x->names[x->depth + 1]) || !skip_attributes(x))
        return XMLIN_ERROR;
    if (*x->p == '/') {
        x->p++;
        x->pending_close = true;
    }
    if (x->p == x->end || *x->p++ != '>')
        return XMLIN_ERROR;
    x->depth++;
    x->seen_root = true;
    x->text_len = 0;
    x->text[0] = '\0';
    set_name(x, x->names[x->depth]);
    return XMLIN_OPEN;
}

static enum xmlin_event end_element(struct xmlin *x)
{
    char name[XMLIN_NAME_MAX];

    if (!x->depth || !read_name(x, name))
        return XMLIN_ERROR;
    skip_space(x);
    if (x->p == x->end || *x->p++ != '>' || strcmp(name, x->names[x->depth]))
        return XMLIN_ERROR;
    return close_element(x);
}

/* Comments, processing instructions, CDATA. 1: skipped or taken, 0: not one, -1: broken. */
static int read_special(struct xmlin *x)
{
    size_t left = (size_t)(x->end - x->p);

    if (left >= 2 && x->p[1] == '?')
        return skip_past(x, "?>") ? 1 : -1;
    if (left >= 4 && !memcmp(x->p, "<!--", 4))
        return skip_past(x, "-->") ? 1 : -1;
    if (left >= 9 && !memcmp(x->p, "<![CDATA[", 9)) {
        const char *start = x->p + 9;

        if (!x->depth || !skip_past(x, "]]>"))
            return -1;
        return add_text(x, start, (size_t)(x->p - 3 - start)) ? 1 : -1;
    }
    return left >= 2 && x->p[1] == '!' ? -1 : 0;
}

enum xmlin_event xmlin_next(struct xmlin *x)
{
    if (x->closed) {
        x->closed = false;
        x->depth--;
        x->text_len = 0;
        x->text[0] = '\0';
    }
    if (x->pending_close) {
        x->pending_close = false;
        return close_element(x);
    }
    while (x->p < x->end) {
        if (*x->p == '<') {
            int special = read_special(x);

            if (special < 0)
                return XMLIN_ERROR;
            if (special)
                continue;
            x->p++;
            if (x->p < x->end && *x->p == '/') {
                x->p++;
                return end_element(x);
            }
            return open_element(x);
        }
        if (*x->p == '&') {
            if (!x->depth || !read_reference(x))
                return XMLIN_ERROR;
            continue;
        }
        if (x->depth ? !add_text(x, x->p, 1) : !is_space(*x->p))
            return XMLIN_ERROR;
        x->p++;
    }
    return x->depth || !x->seen_root ? XMLIN_ERROR : XMLIN_END;
}
