/* SPDX-License-Identifier: Apache-2.0 */
/* URLs as far as endpoints and messages need them (RFC 3986): the authority is taken apart, the
 * path is kept as written. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "http/http_answer.h"

static bool host_char_ok(unsigned char c, bool literal)
{
    if (isalnum(c) || c == '.')
        return true;
    /* An IPv6 literal may carry a zone: [fe80::1%25eth0]. */
    return literal ? c == ':' || c == '%' : c == '-' || c == '_';
}

static int copy_host(const char *s, size_t len, bool literal, struct http_url *u)
{
    if (len == 0 || len >= sizeof(u->host))
        return -EINVAL;
    for (size_t i = 0; i < len; i++) {
        if (!host_char_ok((unsigned char)s[i], literal))
            return -EINVAL;
        u->host[i] = (char)tolower((unsigned char)s[i]);
    }
    u->host[len] = '\0';
    return 0;
}

static int copy_port(const char *s, size_t len, struct http_url *u)
{
    char digits[6];
    uint64_t port;

    /* parse_u64 would take these too, but only digits are a port. */
    if (len == 0 || len >= sizeof(digits) || strspn(s, "0123456789") < len)
        return -EINVAL;
    memcpy(digits, s, len);
    digits[len] = '\0';
    if (parse_u64(digits, &port) < 0 || port == 0 || port > UINT16_MAX)
        return -EINVAL;
    u->port = (uint16_t)port;
    u->explicit_port = true;
    return 0;
}

/* Takes scheme and authority; *ret_rest is what follows them. User info is -EINVAL. */
static int parse_origin(const char *url, struct http_url *u, const char **ret_rest)
{
    *u = (struct http_url){0};
    if (strncasecmp(url, "http://", 7) == 0) {
        memcpy(u->scheme, "http", 5);
        u->port = 80;
        url += 7;
    } else if (strncasecmp(url, "https://", 8) == 0) {
        memcpy(u->scheme, "https", 6);
        u->port = 443;
        url += 8;
    } else {
        return -EINVAL;
    }

    size_t len = strcspn(url, "/?#");
    if (memchr(url, '@', len))
        return -EINVAL;
    *ret_rest = url + len;

    const char *end;
    int r;
    if (url[0] == '[') {
        end = memchr(url, ']', len);
        if (!end)
            return -EINVAL;
        r = copy_host(url + 1, (size_t)(end - url - 1), true, u);
        end++;
    } else {
        end = memchr(url, ':', len);
        if (!end)
            end = url + len;
        r = copy_host(url, (size_t)(end - url), false, u);
    }
    if (r < 0)
        return r;
    if (end == url + len)
        return 0;
    if (*end != ':')
        return -EINVAL;
    return copy_port(end + 1, (size_t)(url + len - end - 1), u);
}

int http_url_parse(const char *url, struct http_url *ret)
{
    struct http_url u;
    const char *path;

    int r = parse_origin(url, &u, &path);
    if (r < 0)
        return r;
    for (const unsigned char *p = (const unsigned char *)path; *p; p++)
        if (*p <= ' ' || *p == 0x7f || *p == '?' || *p == '#')
            return -EINVAL;
    size_t len = strlen(path);
    while (len > 0 && path[len - 1] == '/')
        len--;
    if (len >= sizeof(u.path))
        return -EINVAL;
    memcpy(u.path, path, len);
    u.path[len] = '\0';
    *ret = u;
    return 0;
}

int http_url_origin(const char *url, struct http_url *ret)
{
    const char *rest;

    return parse_origin(url, ret, &rest);
}

const char *http_url_where(const char *url, char *buf, size_t size)
{
    struct http_url u;
    const char *rest;

    if (parse_origin(url, &u, &rest) < 0)
        snprintf(buf, size, "the server");
    else if (strchr(u.host, ':'))
        snprintf(buf, size, "[%s]:%u", u.host, (unsigned)u.port);
    else
        snprintf(buf, size, "%s:%u", u.host, (unsigned)u.port);
    return buf;
}
