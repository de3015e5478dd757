/* SPDX-License-Identifier: Apache-2.0 */
#include "xmlout.h"

#include <string.h>

#include "base/timefmt.h"

void xml_begin(struct strbuf *sb, const char *name)
{
    strbuf_append_str(sb, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<");
    strbuf_append_str(sb, name);
    strbuf_append_str(sb, " xmlns=\"" S3_XMLNS "\">");
}

void xml_open(struct strbuf *sb, const char *name)
{
    strbuf_append_char(sb, '<');
    strbuf_append_str(sb, name);
    strbuf_append_char(sb, '>');
}

void xml_close(struct strbuf *sb, const char *name)
{
    strbuf_append(sb, "</", 2);
    strbuf_append_str(sb, name);
    strbuf_append_char(sb, '>');
}

static const char *escape_of(unsigned char c)
{
    switch (c) {
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '&':
        return "&amp;";
    case '"':
        return "&quot;";
    case '\r':
        return "&#13;";
    default:
        return NULL;
    }
}

static void append_escaped(struct strbuf *sb, const char *data, size_t len)
{
    size_t start = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)data[i];
        const char *escape = escape_of(c);

        if (!escape && (c >= 0x20 || c == '\n' || c == '\t'))
            continue;
        strbuf_append(sb, data + start, i - start);
        if (escape)
            strbuf_append_str(sb, escape);
        else
            strbuf_appendf(sb, "&#x%x;", c);
        start = i + 1;
    }
    strbuf_append(sb, data + start, len - start);
}

void xml_bytes(struct strbuf *sb, const char *name, const void *data, size_t len)
{
    xml_open(sb, name);
    append_escaped(sb, data, len);
    xml_close(sb, name);
}

void xml_text(struct strbuf *sb, const char *name, const char *text)
{
    xml_bytes(sb, name, text, strlen(text));
}

static void append_url(struct strbuf *sb, const unsigned char *p, size_t len)
{
    static const char hex[] = "0123456789ABCDEF";

    for (size_t i = 0; i < len; i++) {
        unsigned char c = p[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            strchr("-_.*/", c ? c : ' ')) {
            strbuf_append_char(sb, (char)c);
        } else if (c == ' ') {
            strbuf_append_char(sb, '+');
        } else {
            char out[3] = {'%', hex[c >> 4], hex[c & 15]};

            strbuf_append(sb, out, 3);
        }
    }
}

void xml_key(struct strbuf *sb, const char *name, const void *key, size_t len, bool url)
{
    if (!url) {
        xml_bytes(sb, name, key, len);
        return;
    }
    xml_open(sb, name);
    append_url(sb, key, len);
    xml_close(sb, name);
}

void xml_u64(struct strbuf *sb, const char *name, uint64_t v)
{
    char text[24], *p = text + sizeof(text);
    size_t len;

    do
        *--p = (char)('0' + v % 10);
    while (v /= 10);
    len = (size_t)(text + sizeof(text) - p);
    xml_open(sb, name);
    strbuf_append(sb, p, len);
    xml_close(sb, name);
}

void xml_bool(struct strbuf *sb, const char *name, bool v)
{
    xml_text(sb, name, v ? "true" : "false");
}

void xml_time(struct strbuf *sb, const char *name, int64_t ns)
{
    char text[TIMEFMT_ISO8601_SIZE];

    timefmt_iso8601(ns, text);
    xml_text(sb, name, text);
}

void xml_etag(struct strbuf *sb, const char *etag)
{
    strbuf_append_str(sb, "<ETag>&quot;");
    strbuf_append_str(sb, etag);
    strbuf_append_str(sb, "&quot;</ETag>");
}
