/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/encode.h"
#include "s3/xml.h"

/* By name where there is one: small servers take XML apart by search and replace, and know no
 * numbers. */
static const char *escape(unsigned char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\r': /* a bare one would arrive as LF */
        return "&#13;";
    default:
        return NULL;
    }
}

int xml_write_element(struct strbuf *sb, const char *name, const char *text)
{
    size_t start = sb->len;
    size_t len = strlen(text);

    if (!utf8_valid(text, len))
        return -EILSEQ;
    (void)strbuf_appendf(sb, "<%s>", name);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        /* U+FFFE and U+FFFF are the only characters from U+E000 on that XML leaves out. */
        bool noncharacter =
            c == 0xef && (unsigned char)text[i + 1] == 0xbf && (unsigned char)text[i + 2] >= 0xbe;
        if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || noncharacter) {
            strbuf_truncate(sb, start);
            return -EILSEQ;
        }
        const char *escaped = escape(c);
        if (escaped)
            (void)strbuf_append(sb, escaped, strlen(escaped));
        else
            (void)strbuf_append_char(sb, (char)c);
    }
    (void)strbuf_appendf(sb, "</%s>", name);
    return sb->error;
}
