/* SPDX-License-Identifier: Apache-2.0 */
#include "base/encode.h"

#include <errno.h>
#include <string.h>

static const char HEX_LOWER[] = "0123456789abcdef";
static const char HEX_UPPER[] = "0123456789ABCDEF";
static const char BASE64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void encode_hex(const void *data, size_t len, char *out)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++) {
        *out++ = HEX_LOWER[p[i] >> 4];
        *out++ = HEX_LOWER[p[i] & 15];
    }
    *out = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int decode_hex(const char *hex, uint8_t *out, size_t out_size, size_t *ret_len)
{
    size_t len = strlen(hex);
    if (len % 2)
        return -EINVAL;
    if (len / 2 > out_size)
        return -E2BIG;
    for (size_t i = 0; i < len; i += 2) {
        int hi = hex_value(hex[i]), lo = hex_value(hex[i + 1]);
        if (hi < 0 || lo < 0)
            return -EINVAL;
        out[i / 2] = (uint8_t)(hi << 4 | lo);
    }
    *ret_len = len / 2;
    return 0;
}

void encode_base64(struct strbuf *sb, const void *data, size_t len)
{
    const uint8_t *p = data;
    if (len > SIZE_MAX / 2 || strbuf_reserve(sb, (len + 2) / 3 * 4) < 0) {
        strbuf_reserve(sb, SIZE_MAX); /* sets the error for an absurd length */
        return;
    }
    for (; len >= 3; p += 3, len -= 3) {
        char four[4] = {BASE64[p[0] >> 2], BASE64[(p[0] & 3) << 4 | p[1] >> 4],
                        BASE64[(p[1] & 15) << 2 | p[2] >> 6], BASE64[p[2] & 63]};
        strbuf_append(sb, four, 4);
    }
    if (len) {
        uint8_t second = len == 2 ? p[1] : 0;
        char four[4] = {BASE64[p[0] >> 2], BASE64[(p[0] & 3) << 4 | second >> 4],
                        len == 2 ? BASE64[(second & 15) << 2] : '=', '='};
        strbuf_append(sb, four, 4);
    }
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    if (c == '/')
        return 63;
    return -1;
}

int decode_base64(const char *s, uint8_t *out, size_t out_size, size_t *ret_len)
{
    size_t len = strlen(s);
    if (len % 4)
        return -EINVAL;
    size_t padding = 0;
    if (len && s[len - 1] == '=')
        padding = s[len - 2] == '=' ? 2 : 1;
    size_t digits = len - padding;
    size_t n = len / 4 * 3 - padding;
    if (n > out_size)
        return -E2BIG;

    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < digits; i++) {
        int v = base64_value(s[i]);
        if (v < 0)
            return -EINVAL;
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            *out++ = (uint8_t)(bits >> have);
        }
    }
    /* Bits that encode nothing must be zero, so that each value has one spelling. */
    if (bits & ((1u << have) - 1))
        return -EINVAL;
    *ret_len = n;
    return 0;
}

static bool is_unreserved(uint8_t c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void encode_percent(struct strbuf *sb, const void *data, size_t len, bool keep_slash)
{
    const uint8_t *p = data;
    for (size_t i = 0; i < len; i++) {
        /* Runs of plain bytes go in one piece. */
        size_t run = i;
        while (run < len && (is_unreserved(p[run]) || (keep_slash && p[run] == '/')))
            run++;
        if (run > i && strbuf_append(sb, p + i, run - i) < 0)
            return;
        i = run;
        if (i == len)
            return;
        char three[3] = {'%', HEX_UPPER[p[i] >> 4], HEX_UPPER[p[i] & 15]};
        if (strbuf_append(sb, three, 3) < 0)
            return;
    }
}

int decode_percent(const char *s, bool plus_is_space, char *out, size_t *ret_len)
{
    size_t n = 0;
    for (; *s; s++) {
        char c = *s;
        if (c == '%') {
            int hi = hex_value(s[1]);
            int lo = hi < 0 ? -1 : hex_value(s[2]);
            if (lo < 0)
                return -EINVAL;
            c = (char)(hi << 4 | lo);
            s += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        out[n++] = c;
    }
    out[n] = '\0';
    *ret_len = n;
    return 0;
}

bool utf8_valid(const void *data, size_t len)
{
    const uint8_t *p = data, *end = p + len;
    while (p < end) {
        uint8_t c = *p++;
        if (c < 0x80)
            continue;
        unsigned more;
        uint8_t lo = 0x80, hi = 0xbf; /* range of the second byte */
        if (c >= 0xc2 && c <= 0xdf) {
            more = 1;
        } else if (c >= 0xe0 && c <= 0xef) {
            more = 2;
            if (c == 0xe0)
                lo = 0xa0; /* overlong below */
            else if (c == 0xed)
                hi = 0x9f; /* surrogates above */
        } else if (c >= 0xf0 && c <= 0xf4) {
            more = 3;
            if (c == 0xf0)
                lo = 0x90;
            else if (c == 0xf4)
                hi = 0x8f; /* over U+10FFFF */
        } else {
            return false;
        }
        for (; more; more--, p++) {
            if (p == end || *p < lo || *p > hi)
                return false;
            lo = 0x80;
            hi = 0xbf;
        }
    }
    return true;
}
