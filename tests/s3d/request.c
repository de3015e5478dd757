/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a request apart: host, bucket, key, query. MHD's own unescaping and splitting is not
 * used: keys must come out byte for byte. */
#include "request.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/encode.h"
#include "base/parse.h"

const char *request_header(const struct request *r, const char *name)
{
    return MHD_lookup_connection_value(r->mhd, MHD_HEADER_KIND, name);
}

const struct param *request_param(const struct request *r, const char *name)
{
    for (unsigned i = 0; i < r->n_params; i++) {
        if (!strcmp(r->params[i].name, name))
            return &r->params[i];
    }
    return NULL;
}

const char *request_param_value(const struct request *r, const char *name)
{
    const struct param *p = request_param(r, name);

    return p ? p->value : NULL;
}

bool request_param_number(struct request *r, const char *name, uint64_t fallback, uint64_t *ret)
{
    const char *value = request_param_value(r, name);

    *ret = fallback;
    if (!value || !*value)
        return true;
    if (parse_u64(value, ret) == 0 && *ret <= INT32_MAX)
        return true;
    reply_error_message(r, ERR_INVALID_ARGUMENT,
                        "Provided %s not an integer or within integer range", name);
    return false;
}

const char *etag_strip(const char *s, char *buf, size_t size)
{
    size_t len;

    if (!strncmp(s, "W/", 2))
        s += 2;
    len = strlen(s);
    if (len >= 2 && s[0] == '"' && s[len - 1] == '"') {
        s++;
        len -= 2;
    }
    snprintf(buf, size, "%.*s", (int)(len < size ? len : size - 1), s);
    return buf;
}

static bool parse_query(struct request *r, char *query)
{
    char *save = NULL;

    for (char *piece = strtok_r(query, "&", &save); piece; piece = strtok_r(NULL, "&", &save)) {
        struct param *p = &r->params[r->n_params];
        char *eq = strchr(piece, '=');

        if (r->n_params == REQUEST_PARAMS_MAX)
            return false;
        if (eq)
            *eq = '\0';
        p->name = piece;
        p->value = eq ? eq + 1 : piece + strlen(piece);
        if (decode_percent(p->name, true, p->name, &p->name_len) < 0 ||
            (eq && decode_percent(p->value, true, p->value, &p->value_len) < 0))
            return false;
        p->name[p->name_len] = '\0';
        p->value[p->value_len] = '\0';
        r->n_params++;
    }
    return true;
}

/* "name", "name:port", "[v6]:port" -> name in lower case. */
static void parse_host(struct request *r)
{
    const char *host = request_header(r, "Host");
    size_t len = 0;

    if (!host)
        return;
    if (host[0] == '[') {
        const char *end = strchr(host, ']');

        len = end ? (size_t)(end - host) + 1 : strlen(host);
    } else {
        len = strcspn(host, ":");
    }
    if (len >= sizeof(r->host))
        len = sizeof(r->host) - 1;
    for (size_t i = 0; i < len; i++)
        r->host[i] = (char)tolower((unsigned char)host[i]);
    if (len && r->host[len - 1] == '.')
        len--;
    r->host[len] = '\0';
}

static void take_bucket(struct request *r, const char *name, size_t len)
{
    r->virtual_host = true;
    snprintf(r->bucket_name, sizeof(r->bucket_name), "%.*s", (int)len, name);
}

/* s3.DOMAIN, s3.REGION.DOMAIN: path style. BUCKET.s3[.REGION].DOMAIN and BUCKET.DOMAIN: virtual
 * host style. */
static void apply_host(struct request *r)
{
    size_t host_len = strlen(r->host);

    for (unsigned i = 0; i < r->s->config.n_domains; i++) {
        const char *domain = r->s->config.domains[i], *mark;
        size_t domain_len = strlen(domain), rest;

        if (host_len <= domain_len + 1 || r->host[host_len - domain_len - 1] != '.' ||
            strcmp(r->host + host_len - domain_len, domain))
            continue;
        rest = host_len - domain_len - 1;
        if (!strncmp(r->host, "s3.", 3) && rest >= 2) {
            if (rest > 3)
                snprintf(r->host_region, sizeof(r->host_region), "%.*s", (int)(rest - 3),
                         r->host + 3);
            return;
        }
        mark = strstr(r->host, ".s3.");
        if (mark && mark + 3 <= r->host + rest) {
            const char *region = mark + 4;

            take_bucket(r, r->host, (size_t)(mark - r->host));
            if (region < r->host + rest)
                snprintf(r->host_region, sizeof(r->host_region), "%.*s",
                         (int)(r->host + rest - region), region);
        } else {
            take_bucket(r, r->host, rest);
        }
        return;
    }
}

static bool parse_path(struct request *r)
{
    size_t len = strlen(r->path), bucket_len = 0;
    const char *key = r->path, *slash;

    r->decoded_path = malloc(len + 1);
    if (!r->decoded_path)
        return false;
    if (decode_percent(r->path, false, r->decoded_path, &r->decoded_len) < 0)
        return false;
    r->decoded_path[r->decoded_len] = '\0';
    if (r->decoded_path[0] != '/')
        return false;
    key = r->decoded_path + 1;
    if (!r->virtual_host) {
        slash = strchr(r->path + 1, '/');
        bucket_len = slash ? (size_t)(slash - r->path - 1) : strlen(r->path + 1);
        if (bucket_len) {
            char *name = strndup(r->path + 1, bucket_len);
            size_t decoded = 0;

            if (!name)
                return false;
            if (decode_percent(name, false, name, &decoded) < 0 || decoded > 255 ||
                memchr(name, '\0', decoded)) {
                free(name);
                return false;
            }
            memcpy(r->bucket_name, name, decoded);
            r->bucket_name[decoded] = '\0';
            free(name);
            key += decoded + (slash ? 1 : 0);
        } else if (slash) {
            return false;
        }
    }
    r->key_len = r->decoded_len - (size_t)(key - r->decoded_path);
    r->key = r->key_len ? key : NULL;
    return true;
}

void request_parse(struct request *r)
{
    const char *value;
    char *query;

    r->path = r->uri;
    if (!strncasecmp(r->path, "http://", 7) || !strncasecmp(r->path, "https://", 8)) {
        char *slash = strchr(strchr(r->path, ':') + 3, '/');

        r->path = slash ? slash : r->uri + strlen(r->uri);
    }
    query = strchr(r->path, '?');
    if (query)
        *query++ = '\0';
    r->head = !strcmp(r->method, "HEAD");
    value = request_header(r, "Content-Length");
    if (value)
        r->has_length = parse_u64(value, &r->content_length) == 0;
    value = request_header(r, "Transfer-Encoding");
    r->chunked = value && !strcasecmp(value, "chunked");
    value = request_header(r, "Expect");
    r->expects_continue = value && !strcasecmp(value, "100-continue");
    parse_host(r);
    apply_host(r);
    if ((query && !parse_query(r, query)) || !parse_path(r)) {
        reply_error(r, ERR_INVALID_URI);
        return;
    }
    r->control = !r->virtual_host && !strcmp(r->bucket_name, "_s3d");
    if (r->key && r->key_len > STORE_KEY_MAX) {
        char extra[96];

        snprintf(extra, sizeof(extra), "<Size>%zu</Size><MaxSizeAllowed>%d</MaxSizeAllowed>",
                 r->key_len, STORE_KEY_MAX);
        reply_error_extra(r, ERR_KEY_TOO_LONG, NULL, extra);
    } else if (r->key && r->s->config.strict_utf8 && !utf8_valid(r->key, r->key_len)) {
        reply_error(r, ERR_INVALID_URI);
    }
}

void request_free(struct request *r)
{
    if (!r)
        return;
    body_drop(r);
    reply_clear(r);
    strbuf_done(&r->reply.body);
    free(r->decoded_path);
    free(r->uri);
    free(r);
}
