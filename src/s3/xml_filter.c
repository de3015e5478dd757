/* SPDX-License-Identifier: Apache-2.0 */
/* Two kinds of reference do not reach libxml2 as they come:
 *
 * Control characters. Keys may hold them. XML 1.0 cannot, not even as references, but servers write
 * them so ("&#x01;") wherever they repeat a key without percent-encoding, and the page as a whole
 * would be refused. Each one passes the parser as a stand-in instead.
 *
 * &quot;, two in every ETag. Outside of attributes the character itself means the same, and costs a
 * sixth of the time of parsing a page less. (In an attribute it would be an error, in a CDATA
 * section another text: S3 sends neither, and on_cdata refuses the latter.) */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
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

/* Puts what goes to the parser for one whole "&...;" to `to`; never longer than that. */
static char *pass_reference(struct xml_parser *p, const char *s, size_t len, char *to)
{
    unsigned long c;

    if (len == 6 && !memcmp(s, "&quot;", 6)) {
        *to++ = '"';
        return to;
    }
    c = s[1] == '#' ? reference_value(s, len) : 0;
    p->genuine = p->genuine || c > 0xfffff;
    if (c == 0 || c >= 0x20 || c == '\t' || c == '\n' || c == '\r') {
        memcpy(to, s, len);
        return to + len;
    }
    p->mapped = true;
    memcpy(to, STANDIN_UTF8, 3);
    to[3] = (char)(0x80 | c);
    return to + 4;
}

/* Copies [s, end) to `to`, references changed. One that the chunk cuts in two waits in p->held. */
static char *pass_references(struct xml_parser *p, const char *s, const char *end, char *to)
{
    while (s < end) {
        const char *amp = memchr(s, '&', (size_t)(end - s));
        size_t run = (size_t)((amp ? amp : end) - s);
        memcpy(to, s, run);
        to += run;
        s += run;
        if (!amp)
            break;
        size_t room = MIN((size_t)(end - s), (size_t)REFERENCE_MAX);
        const char *semicolon = memchr(s, ';', room);
        if (semicolon) {
            to = pass_reference(p, s, (size_t)(semicolon + 1 - s), to);
            s = semicolon + 1;
        } else if (room < REFERENCE_MAX) {
            memcpy(p->held, s, room);
            p->held_len = (unsigned)room;
            break;
        } else {
            *to++ = *s++; /* not a reference that XML or S3 knows; the parser will say so */
        }
    }
    return to;
}

int xml_filter(struct xml_parser *p, const char **s, size_t *len)
{
    const char *from = *s;
    const char *end = from + *len;
    size_t need = *len + REFERENCE_MAX;
    char *to;

    p->genuine = p->genuine || memchr(from, 0xf4, *len);
    if (p->held_len == 0 && !memchr(from, '&', *len))
        return 0;
    if (need > p->filtered_size) {
        char *grown = realloc(p->filtered, need);
        if (!grown)
            return xml_fail_memory(p);
        p->filtered = grown;
        p->filtered_size = need;
    }
    to = p->filtered;
    while (p->held_len > 0 && from < end) {
        p->held[p->held_len++] = *from;
        bool whole = *from++ == ';';
        if (!whole && p->held_len < REFERENCE_MAX)
            continue;
        if (whole) {
            to = pass_reference(p, p->held, p->held_len, to);
        } else {
            memcpy(to, p->held, p->held_len);
            to += p->held_len;
        }
        p->held_len = 0;
    }
    to = pass_references(p, from, end, to);
    if (p->mapped && p->genuine)
        return xml_fail(p, -EBADMSG, "the page holds both control characters and their stand-ins");
    *s = p->filtered;
    *len = (size_t)(to - p->filtered);
    return 0;
}
