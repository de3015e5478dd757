/* SPDX-License-Identifier: Apache-2.0 */
/* Signature Version 4, step by step as AWS describes it: canonical request -> string to sign ->
 * signing key -> signature. The header and the query form share all of them; only the parameters
 * and the place of the signature differ. */
#include "aws/sigv4.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "aws/credentials.h"
#include "base/attr.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/limits.h"
#include "base/timefmt.h"

#define ALGORITHM   "AWS4-HMAC-SHA256"
#define TERMINATOR  "aws4_request"
#define DATE_LEN    8 /* "20130524", the head of a basic timestamp */
#define EXPIRES_MAX 604800u

#define SHA256_HEX_SIZE (2 * DIGEST_SHA256_SIZE + 1)

/* A percent-encoded query is at most three times a URL, and headers come on top. */
#define CANONICAL_MAX (4u * LIMIT_URL + LIMIT_HEADER_BYTES)

/* ---- canonical query ---- */

struct encoded_param {
    size_t name; /* offsets into the buffer of encoded text, NUL-terminated there */
    size_t value;
    const char *base; /* the buffer, filled in when it no longer moves */
};

static int compare_params(const void *a, const void *b)
{
    const struct encoded_param *x = a;
    const struct encoded_param *y = b;
    int r = strcmp(x->base + x->name, y->base + y->name);

    return r ? r : strcmp(x->base + x->value, y->base + y->value);
}

/* Sorted by encoded name, then by encoded value; comparing "name=value" as a whole would put
 * "a-b=" before "a=". */
static int append_canonical_query(const struct sigv4_input *in, struct strbuf *ret)
{
    CLEANUP_STRBUF struct strbuf text = STRBUF_INIT(CANONICAL_MAX);
    CLEANUP_FREE struct encoded_param *sorted = NULL;

    if (in->n_params == 0)
        return 0;
    sorted = calloc(in->n_params, sizeof(*sorted));
    if (!sorted)
        return -ENOMEM;
    for (size_t i = 0; i < in->n_params; i++) {
        const struct sigv4_param *p = &in->params[i];

        sorted[i].name = text.len;
        encode_percent(&text, p->name, strlen(p->name), false);
        strbuf_append_char(&text, '\0');
        sorted[i].value = text.len;
        if (p->value)
            encode_percent(&text, p->value, strlen(p->value), false);
        strbuf_append_char(&text, '\0');
    }
    if (text.error)
        return text.error;
    for (size_t i = 0; i < in->n_params; i++)
        sorted[i].base = text.data;
    qsort(sorted, in->n_params, sizeof(*sorted), compare_params);
    for (size_t i = 0; i < in->n_params; i++) {
        if (i > 0)
            strbuf_append_char(ret, '&');
        strbuf_append_str(ret, text.data + sorted[i].name);
        strbuf_append_char(ret, '=');
        strbuf_append_str(ret, text.data + sorted[i].value);
    }
    return ret->error;
}

void sigv4_encode_query(const struct sigv4_param *params, size_t n_params, struct strbuf *ret)
{
    for (size_t i = 0; i < n_params; i++) {
        if (i > 0)
            strbuf_append_char(ret, '&');
        encode_percent(ret, params[i].name, strlen(params[i].name), false);
        strbuf_append_char(ret, '=');
        if (params[i].value)
            encode_percent(ret, params[i].value, strlen(params[i].value), false);
    }
}

/* ---- canonical headers ---- */

/* No locale: these are bytes of a protocol. */
static char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int compare_names(const char *a, const char *b)
{
    while (*a && ascii_lower(*a) == ascii_lower(*b)) {
        a++;
        b++;
    }
    return (unsigned char)ascii_lower(*a) - (unsigned char)ascii_lower(*b);
}

/* Same name: in the order given, because that is the order on the wire. */
static int compare_headers(const void *a, const void *b)
{
    const struct http_header *x = *(const struct http_header *const *)a;
    const struct http_header *y = *(const struct http_header *const *)b;
    int r = compare_names(x->name, y->name);

    return r ? r : (x > y) - (x < y);
}

static int sorted_headers(const struct sigv4_input *in, const struct http_header ***ret)
{
    const struct http_header **sorted = calloc(in->n_headers, sizeof(*sorted));

    if (!sorted)
        return -ENOMEM;
    for (size_t i = 0; i < in->n_headers; i++)
        sorted[i] = &in->headers[i];
    qsort(sorted, in->n_headers, sizeof(*sorted), compare_headers);
    *ret = sorted;
    return 0;
}

static void append_lower(struct strbuf *ret, const char *s)
{
    for (; *s; s++)
        strbuf_append_char(ret, ascii_lower(*s));
}

/* Outer white space goes, inner runs become one space. */
static void append_trimmed(struct strbuf *ret, const char *s)
{
    bool pending = false;
    bool any = false;

    while (*s) {
        size_t run = 0;

        if (is_space(*s)) {
            pending = any;
            s++;
            continue;
        }
        if (pending)
            strbuf_append_char(ret, ' ');
        pending = false;
        any = true;
        while (s[run] && !is_space(s[run]))
            run++;
        strbuf_append(ret, s, run);
        s += run;
    }
}

static bool same_name(const struct http_header *const *sorted, size_t i)
{
    return i > 0 && compare_names(sorted[i - 1]->name, sorted[i]->name) == 0;
}

static void append_canonical_headers(const struct http_header *const *sorted, size_t n,
                                     struct strbuf *ret)
{
    for (size_t i = 0; i < n; i++) {
        if (same_name(sorted, i)) {
            strbuf_append_char(ret, ',');
        } else {
            if (i > 0)
                strbuf_append_char(ret, '\n');
            append_lower(ret, sorted[i]->name);
            strbuf_append_char(ret, ':');
        }
        append_trimmed(ret, sorted[i]->value);
    }
    strbuf_append_char(ret, '\n');
}

static void append_signed_names(const struct http_header *const *sorted, size_t n,
                                struct strbuf *ret)
{
    for (size_t i = 0; i < n; i++) {
        if (same_name(sorted, i))
            continue;
        if (i > 0)
            strbuf_append_char(ret, ';');
        append_lower(ret, sorted[i]->name);
    }
}

/* ---- canonical path ---- */

/* RFC 3986 dot segments and empty segments go, then everything but '/' is encoded once more. S3
 * does neither: its keys may hold "//" and "..". */
static int append_normalized_path(const char *path, struct strbuf *ret)
{
    CLEANUP_STRBUF struct strbuf out = STRBUF_INIT(LIMIT_URL);
    const char *p = path;

    while (*p) {
        size_t len;

        while (*p == '/')
            p++;
        len = strcspn(p, "/");
        if (len == 0)
            break;
        if (len == 2 && p[0] == '.' && p[1] == '.') {
            while (out.len > 0 && out.data[out.len - 1] != '/')
                strbuf_truncate(&out, out.len - 1);
            if (out.len > 0)
                strbuf_truncate(&out, out.len - 1);
        } else if (!(len == 1 && p[0] == '.')) {
            strbuf_append_char(&out, '/');
            strbuf_append(&out, p, len);
        }
        p += len;
    }
    if (out.len == 0 || (*path && path[strlen(path) - 1] == '/'))
        strbuf_append_char(&out, '/');
    if (out.error)
        return out.error;
    encode_percent(ret, out.data, out.len, true);
    return ret->error;
}

int sigv4_canonical_request(const struct sigv4_input *in, struct strbuf *ret)
{
    CLEANUP_FREE const struct http_header **sorted = NULL;
    int r;

    if (in->n_headers == 0 || !in->payload_hash)
        return -EINVAL;
    r = sorted_headers(in, &sorted);
    if (r < 0)
        return r;
    strbuf_append_str(ret, http_method_name(in->method));
    strbuf_append_char(ret, '\n');
    if (in->normalize_path)
        r = append_normalized_path(in->path, ret);
    else
        r = strbuf_append_str(ret, in->path[0] ? in->path : "/");
    if (r < 0)
        return r;
    strbuf_append_char(ret, '\n');
    r = append_canonical_query(in, ret);
    if (r < 0)
        return r;
    strbuf_append_char(ret, '\n');
    append_canonical_headers(sorted, in->n_headers, ret);
    strbuf_append_char(ret, '\n');
    append_signed_names(sorted, in->n_headers, ret);
    strbuf_append_char(ret, '\n');
    strbuf_append_str(ret, in->payload_hash);
    return ret->error;
}

/* ---- string to sign ---- */

static void append_scope(const struct sigv4_input *in, const char *timestamp, struct strbuf *ret)
{
    strbuf_append(ret, timestamp, DATE_LEN);
    strbuf_append_char(ret, '/');
    strbuf_append_str(ret, in->region);
    strbuf_append_char(ret, '/');
    strbuf_append_str(ret, in->service);
    strbuf_append_str(ret, "/" TERMINATOR);
}

int sigv4_string_to_sign(const struct sigv4_input *in, const char *canonical_request, size_t len,
                         struct strbuf *ret)
{
    uint8_t hash[DIGEST_SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];
    char timestamp[TIMEFMT_BASIC_SIZE];
    int r;

    r = digest_buffer(DIGEST_SHA256, canonical_request, len, hash);
    if (r < 0)
        return r;
    encode_hex(hash, sizeof(hash), hex);
    timefmt_basic(in->time_ns, timestamp);
    strbuf_append_str(ret, ALGORITHM "\n");
    strbuf_append_str(ret, timestamp);
    strbuf_append_char(ret, '\n');
    append_scope(in, timestamp, ret);
    strbuf_append_char(ret, '\n');
    strbuf_append_str(ret, hex);
    return ret->error;
}

/* ---- signing key ---- */

/* A mount uses one key and one region, a region redirect a second one, midnight or a refresh of
 * the credentials the next; more are merely derived again. */
#define KEY_CACHE_SIZE 8

/* The secret is kept as a fingerprint, so that it is in memory no longer than its credentials. */
struct cached_key {
    uint8_t fingerprint[DIGEST_SHA256_SIZE];
    uint8_t key[DIGEST_SHA256_SIZE];
    bool used;
};

static pthread_mutex_t key_cache_lock = PTHREAD_MUTEX_INITIALIZER;
static struct cached_key key_cache[KEY_CACHE_SIZE]; /* protected by key_cache_lock */
static unsigned key_cache_next;                     /* protected by key_cache_lock */

/* NUL cannot occur inside the parts, so it keeps them apart. */
static int key_fingerprint(const char *secret, const char *date, const char *region,
                           const char *service, uint8_t out[DIGEST_SHA256_SIZE])
{
    struct iovec parts[] = {
        {(void *)secret, strlen(secret) + 1},
        {(void *)date, DATE_LEN},
        {(void *)region, strlen(region) + 1},
        {(void *)service, strlen(service) + 1},
    };

    return digest_iov(DIGEST_SHA256, parts, ARRAY_SIZE(parts), out);
}

static int derive_key(const char *secret, const char *date, const char *region, const char *service,
                      uint8_t out[DIGEST_SHA256_SIZE])
{
    size_t len = strlen("AWS4") + strlen(secret);
    CLEANUP_FREE char *start = malloc(len + 1);
    int r;

    if (!start)
        return -ENOMEM;
    snprintf(start, len + 1, "AWS4%s", secret);
    r = digest_hmac_sha256(start, len, date, DATE_LEN, out);
    explicit_bzero(start, len);
    if (r == 0)
        r = digest_hmac_sha256(out, DIGEST_SHA256_SIZE, region, strlen(region), out);
    if (r == 0)
        r = digest_hmac_sha256(out, DIGEST_SHA256_SIZE, service, strlen(service), out);
    if (r == 0)
        r = digest_hmac_sha256(out, DIGEST_SHA256_SIZE, TERMINATOR, strlen(TERMINATOR), out);
    return r;
}

static int signing_key(const struct sigv4_input *in, const char *date,
                       uint8_t out[DIGEST_SHA256_SIZE])
{
    const char *secret = in->credentials->secret_access_key;
    uint8_t fingerprint[DIGEST_SHA256_SIZE];
    int r;

    r = key_fingerprint(secret, date, in->region, in->service, fingerprint);
    if (r < 0)
        return r;
    {
        SCOPE_LOCK(&key_cache_lock);
        for (unsigned i = 0; i < KEY_CACHE_SIZE; i++) {
            struct cached_key *k = &key_cache[i];

            if (k->used && memcmp(k->fingerprint, fingerprint, sizeof(fingerprint)) == 0) {
                memcpy(out, k->key, sizeof(k->key));
                return 0;
            }
        }
    }
    r = derive_key(secret, date, in->region, in->service, out);
    if (r < 0)
        return r;
    {
        SCOPE_LOCK(&key_cache_lock);
        struct cached_key *k = &key_cache[key_cache_next];

        key_cache_next = (key_cache_next + 1) % KEY_CACHE_SIZE;
        memcpy(k->fingerprint, fingerprint, sizeof(k->fingerprint));
        memcpy(k->key, out, sizeof(k->key));
        k->used = true;
    }
    return 0;
}

void sigv4_forget_keys(void)
{
    SCOPE_LOCK(&key_cache_lock);
    explicit_bzero(key_cache, sizeof(key_cache));
    key_cache_next = 0;
}

/* ---- signature ---- */

static int append_signature(const struct sigv4_input *in, struct strbuf *ret)
{
    CLEANUP_STRBUF struct strbuf canonical = STRBUF_INIT(CANONICAL_MAX);
    CLEANUP_STRBUF struct strbuf to_sign = STRBUF_INIT(CANONICAL_MAX);
    char timestamp[TIMEFMT_BASIC_SIZE];
    uint8_t key[DIGEST_SHA256_SIZE];
    uint8_t signature[DIGEST_SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];
    int r;

    r = sigv4_canonical_request(in, &canonical);
    if (r < 0)
        return r;
    r = sigv4_string_to_sign(in, canonical.data, canonical.len, &to_sign);
    if (r < 0)
        return r;
    timefmt_basic(in->time_ns, timestamp);
    r = signing_key(in, timestamp, key);
    if (r == 0)
        r = digest_hmac_sha256(key, sizeof(key), to_sign.data, to_sign.len, signature);
    explicit_bzero(key, sizeof(key));
    if (r < 0)
        return r;
    encode_hex(signature, sizeof(signature), hex);
    return strbuf_append_str(ret, hex);
}

static bool can_sign(const struct sigv4_input *in)
{
    const struct aws_credentials *c = in->credentials;

    return c && !c->anonymous && c->access_key_id && c->secret_access_key && in->n_headers > 0;
}

int sigv4_authorization(const struct sigv4_input *in, struct strbuf *ret)
{
    CLEANUP_FREE const struct http_header **sorted = NULL;
    char timestamp[TIMEFMT_BASIC_SIZE];
    int r;

    if (!can_sign(in))
        return -EINVAL;
    r = sorted_headers(in, &sorted);
    if (r < 0)
        return r;
    timefmt_basic(in->time_ns, timestamp);
    strbuf_append_str(ret, ALGORITHM " Credential=");
    strbuf_append_str(ret, in->credentials->access_key_id);
    strbuf_append_char(ret, '/');
    append_scope(in, timestamp, ret);
    strbuf_append_str(ret, ", SignedHeaders=");
    append_signed_names(sorted, in->n_headers, ret);
    strbuf_append_str(ret, ", Signature=");
    return append_signature(in, ret);
}

int sigv4_presign_query(const struct sigv4_input *in, uint32_t expires_s, struct strbuf *ret)
{
    CLEANUP_STRBUF struct strbuf credential = STRBUF_INIT(LIMIT_HEADER_LINE);
    CLEANUP_STRBUF struct strbuf names = STRBUF_INIT(LIMIT_HEADER_LINE);
    CLEANUP_FREE const struct http_header **sorted = NULL;
    CLEANUP_FREE struct sigv4_param *params = NULL;
    struct sigv4_input query = *in;
    char timestamp[TIMEFMT_BASIC_SIZE];
    char expires[16];
    size_t n = in->n_params;
    int r;

    if (!can_sign(in) || expires_s < 1 || expires_s > EXPIRES_MAX)
        return -EINVAL;
    r = sorted_headers(in, &sorted);
    if (r < 0)
        return r;
    timefmt_basic(in->time_ns, timestamp);
    strbuf_append_str(&credential, in->credentials->access_key_id);
    strbuf_append_char(&credential, '/');
    append_scope(in, timestamp, &credential);
    append_signed_names(sorted, in->n_headers, &names);
    if (credential.error || names.error)
        return credential.error ? credential.error : names.error;
    snprintf(expires, sizeof(expires), "%u", expires_s);

    params = calloc(n + 6, sizeof(*params));
    if (!params)
        return -ENOMEM;
    if (n > 0)
        memcpy(params, in->params, n * sizeof(*params));
    params[n++] = (struct sigv4_param){"X-Amz-Algorithm", ALGORITHM};
    params[n++] = (struct sigv4_param){"X-Amz-Credential", credential.data};
    params[n++] = (struct sigv4_param){"X-Amz-Date", timestamp};
    params[n++] = (struct sigv4_param){"X-Amz-Expires", expires};
    if (in->credentials->session_token)
        params[n++] = (struct sigv4_param){"X-Amz-Security-Token", in->credentials->session_token};
    params[n++] = (struct sigv4_param){"X-Amz-SignedHeaders", names.data};

    query.params = params;
    query.n_params = n;
    if (!query.payload_hash)
        query.payload_hash = SIGV4_UNSIGNED_PAYLOAD;
    sigv4_encode_query(params, n, ret);
    strbuf_append_str(ret, "&X-Amz-Signature=");
    return append_signature(&query, ret);
}
