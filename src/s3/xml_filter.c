/* SPDX-License-Identifier: Apache-2.0 */
/* What does not reach libxml2 as it came:
 *
 * What XML 1.0 cannot hold and keys can: control characters, U+FFFE and U+FFFF, bytes that are no
 * UTF-8. Servers write such keys all the same wherever they repeat one without percent-encoding (a
 * page's <Prefix>, a token), as they are or as references ("&#x01;"), and the page as a whole would
 * be refused, so that one odd key would hide a directory. Each such byte passes the parser as a
 * stand-in instead, and so do the bytes of what looks like a stand-in by itself.
 *
 * &quot;, two in every ETag. Outside of attributes the character itself means the same, and costs a
 * sixth of the time of parsing a page less. (In an attribute it would be an error, in a CDATA
 * section another text: S3 sends neither, and on_cdata refuses the latter.) */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/encode.h"
#include "s3/xml_priv.h"

/* The code point of "&#...;", or 0 when it is not one. */
static unsigned long reference_value(const char *s, size_t len)
{
    char digits[REFERENCE_MAX + 1];
    bool hex = len > 3 && s[2] == 'x';
    size_t start = hex ? 3 : 2;
    char *end = NULL;
    unsigned long v;

    if (len <= start + 1)
        return 0;
    memcpy(digits, s + start, len - start - 1);
    digits[len - start - 1] = '\0';
    v = strtoul(digits, &end, hex ? 16 : 10);
    return *end ? 0 : v;
}

static char *stand_in(struct xml_parser *p, const char *s, size_t len, char *to)
{
    p->mapped = true;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];
        *to++ = (char)0xf4;
        *to++ = (char)0x8f;
        *to++ = (char)(0xbc | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3f));
    }
    return to;
}

static bool is_control(unsigned long c)
{
    return c > 0 && c < 0x20 && c != '\t' && c != '\n' && c != '\r';
}

/* Characters of three or four bytes that XML does not have, or that are stand-ins. */
static bool is_taken(unsigned long c)
{
    return c == 0xfffe || c == 0xffff || (c >= STANDIN_FIRST && c <= 0x10ffff);
}

/* Puts what goes to the parser for one whole "&...;" to `to`. */
static char *pass_reference(struct xml_parser *p, const char *s, size_t len, char *to)
{
    char utf8[4];
    unsigned long c;
    size_t n = 1;

    if (len == 6 && !memcmp(s, "&quot;", 6)) {
        *to++ = '"';
        return to;
    }
    c = s[1] == '#' ? reference_value(s, len) : 0;
    if (!is_control(c) && !is_taken(c)) {
        memcpy(to, s, len);
        return to + len;
    }
    if (c < 0x20) {
        utf8[0] = (char)c;
    } else if (c < 0x10000) {
        utf8[0] = (char)(0xe0 | c >> 12);
        utf8[1] = (char)(0x80 | (c >> 6 & 0x3f));
        utf8[2] = (char)(0x80 | (c & 0x3f));
        n = 3;
    } else {
        utf8[0] = (char)(0xf0 | c >> 18);
        utf8[1] = (char)(0x80 | (c >> 12 & 0x3f));
        utf8[2] = (char)(0x80 | (c >> 6 & 0x3f));
        utf8[3] = (char)(0x80 | (c & 0x3f));
        n = 4;
    }
    return stand_in(p, utf8, n, to);
}

/* Bytes of the UTF-8 sequence that begins so; 0 when none does. */
static size_t sequence_length(unsigned char c)
{
    return c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
}

static char *pass_sequence(struct xml_parser *p, const char *s, size_t len, char *to, size_t *used)
{
    const unsigned char *u = (const unsigned char *)s;
    size_t n = sequence_length(*u), have = 1;

    while (have < MIN(n, len) && (u[have] & 0xc0) == 0x80)
        have++;
    if (have < n && have == len) {
        *used = 0;
        return to;
    }
    *used = 1;
    if (have < n || n == 0 || !utf8_valid(s, n))
        return stand_in(p, s, 1, to);
    *used = n;
    if (!memcmp(s, "\xef\xbf\xbe", MIN(n, 3u)) || !memcmp(s, "\xef\xbf\xbf", MIN(n, 3u)) ||
        (n == 4 && u[0] == 0xf4 && u[1] == 0x8f && u[2] >= 0xbc))
        return stand_in(p, s, n, to);
    memcpy(to, s, n);
    return to + n;
}

/* One reference, character or byte of [s, s + len); *used = 0 when the rest of it is to come. */
static char *pass_one(struct xml_parser *p, const char *s, size_t len, char *to, size_t *used)
{
    unsigned char c = (unsigned char)*s;

    if (c >= 0x80)
        return pass_sequence(p, s, len, to, used);
    *used = 1;
    if (c == '&') {
        size_t room = MIN(len, (size_t)REFERENCE_MAX);
        const char *semicolon = memchr(s, ';', room);
        if (semicolon) {
            *used = (size_t)(semicolon + 1 - s);
            return pass_reference(p, s, *used, to);
        }
        if (room < REFERENCE_MAX) {
            *used = 0;
            return to;
        }
        /* Not a reference that XML or S3 knows; the parser will say so. */
    }
    if (is_control(c))
        return stand_in(p, s, 1, to);
    *to = (char)c;
    return to + 1;
}

/* Bytes at the beginning that pass as they are: printable ASCII but '&', and the line's ends. */
static size_t plain_length(const char *s, size_t len)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    size_t i = 0;

    for (;;) {
        uint64_t w;
        for (; len - i >= sizeof(w); i += sizeof(w)) {
            memcpy(&w, s + i, sizeof(w));
            uint64_t amp = w ^ ones * '&';
            if ((w | (w - ones * 0x20) | (amp - ones)) & tops)
                break;
        }
        size_t stop = MIN(len, i + sizeof(w));
        for (; i < stop; i++) {
            unsigned char c = (unsigned char)s[i];
            if (c >= 0x80 || c == '&' || is_control(c))
                return i;
        }
        if (i == len)
            return i;
    }
}

int xml_filter(struct xml_parser *p, const char **s, size_t *len)
{
    const char *from = *s;
    const char *end = from + *len;
    size_t used, run = plain_length(from, *len);
    char *to;

    if (p->held_len == 0 && run == *len)
        return 0;
    /* A byte's stand-in has four. */
    size_t need = 4 * (*len + REFERENCE_MAX);
    if (need > p->filtered_size) {
        char *grown = realloc(p->filtered, need);
        if (!grown)
            return xml_fail_memory(p);
        p->filtered = grown;
        p->filtered_size = need;
    }
    to = p->filtered;
    while (p->held_len > 0 && from < end) {
        p->held[p->held_len++] = *from++;
        do {
            to = pass_one(p, p->held, p->held_len, to, &used);
            p->held_len -= (unsigned)used;
            memmove(p->held, p->held + used, p->held_len);
        } while (used > 0 && p->held_len > 0);
    }
    while (from < end) {
        run = plain_length(from, (size_t)(end - from));
        memcpy(to, from, run);
        to += run;
        from += run;
        if (from == end)
            break;
        to = pass_one(p, from, (size_t)(end - from), to, &used);
        from += used;
        if (used == 0) {
            p->held_len = (unsigned)(end - from);
            memcpy(p->held, from, p->held_len);
            break;
        }
    }
    *s = p->filtered;
    *len = (size_t)(to - p->filtered);
    return 0;
}
