/* SPDX-License-Identifier: Apache-2.0 */
#include "auth.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/attr.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/parse.h"
#include "base/timefmt.h"
#include "request.h"
#include "route.h"
#include "xmlout.h"

#define ALGORITHM         "AWS4-HMAC-SHA256"
#define SKEW_MAX_NS       (15 * 60 * NS_PER_S)
#define EXPIRES_MAX       604800 /* a week */
#define CANONICAL_MAX     (256u << 10)
#define SIGNED_MAX        96
#define UNSIGNED          "UNSIGNED-PAYLOAD"
#define CREDENTIAL_HEADER "Credential="

/* What the client claims, from the header or the query. */
struct claim {
    char access_key[160];
    char date[9]; /* YYYYMMDD */
    char region[32];
    char signed_headers[2048];
    char signature[65];
    char amz_date[17];
    const char *token;
    int64_t time_ns;
};

struct pair {
    char *name, *value;
};

static bool copy_span(char *out, size_t size, const char *from, size_t len)
{
    if (len >= size)
        return false;
    memcpy(out, from, len);
    out[len] = '\0';
    return true;
}

/* KEY/YYYYMMDD/REGION/s3/aws4_request; the key itself may hold slashes. */
static bool parse_credential(const char *s, size_t len, struct claim *c)
{
    const char *end = s + len, *cut[4];
    unsigned found = 0;

    for (const char *p = end; p > s && found < 4; p--) {
        if (p[-1] == '/')
            cut[found++] = p - 1;
    }
    if (found < 4 || (size_t)(end - cut[0]) != 13 || memcmp(cut[0], "/aws4_request", 13) ||
        cut[0] - cut[1] != 3 || memcmp(cut[1], "/s3", 3) || cut[2] - cut[3] != 9)
        return false;
    return copy_span(c->region, sizeof(c->region), cut[2] + 1, (size_t)(cut[1] - cut[2] - 1)) &&
           copy_span(c->date, sizeof(c->date), cut[3] + 1, 8) &&
           copy_span(c->access_key, sizeof(c->access_key), s, (size_t)(cut[3] - s));
}

static bool malformed(struct request *r, const char *why)
{
    reply_error_message(r, ERR_AUTH_HEADER_MALFORMED, "The authorization header is malformed; %s",
                        why);
    return false;
}

static bool parse_header_claim(struct request *r, const char *header, struct claim *c)
{
    const char *p = header + strlen(ALGORITHM), *date;
    bool have_credential = false;

    while (*p) {
        size_t len;

        p += strspn(p, " ,");
        len = strcspn(p, ",");
        while (len && p[len - 1] == ' ')
            len--;
        if (!strncmp(p, CREDENTIAL_HEADER, 11)) {
            have_credential = true;
            if (!parse_credential(p + 11, len - 11, c))
                return malformed(r, "the Credential is mal-formed; expecting "
                                    "\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".");
        } else if (!strncmp(p, "SignedHeaders=", 14)) {
            if (!copy_span(c->signed_headers, sizeof(c->signed_headers), p + 14, len - 14))
                return malformed(r, "SignedHeaders is too long.");
        } else if (!strncmp(p, "Signature=", 10)) {
            if (!copy_span(c->signature, sizeof(c->signature), p + 10, len - 10))
                return malformed(r, "the Signature is too long.");
        }
        p += len;
        p += strspn(p, " ");
        if (*p && *p != ',')
            return malformed(r, "it has an unknown part.");
    }
    if (!have_credential || !c->signed_headers[0] || !c->signature[0])
        return malformed(r, "it needs Credential, SignedHeaders and Signature.");
    date = request_header(r, "x-amz-date");
    if (date) {
        if (timefmt_parse_basic(date, &c->time_ns) < 0)
            date = NULL;
    } else {
        date = request_header(r, "Date");
        if (date && timefmt_parse_http(date, &c->time_ns) < 0 &&
            timefmt_parse_basic(date, &c->time_ns) < 0)
            date = NULL;
    }
    if (!date) {
        reply_error_message(r, ERR_ACCESS_DENIED,
                            "AWS authentication requires a valid Date or x-amz-date header");
        return false;
    }
    timefmt_basic(c->time_ns, c->amz_date);
    c->token = request_header(r, "x-amz-security-token");
    return true;
}

static bool query_error(struct request *r, const char *why)
{
    reply_error_message(r, ERR_AUTH_QUERY, "%s", why);
    return false;
}

static bool parse_query_claim(struct request *r, struct claim *c)
{
    const char *credential = request_param_value(r, "X-Amz-Credential");
    const char *date = request_param_value(r, "X-Amz-Date");
    const char *expires = request_param_value(r, "X-Amz-Expires");
    const char *headers = request_param_value(r, "X-Amz-SignedHeaders");
    const char *signature = request_param_value(r, "X-Amz-Signature");
    const char *algorithm = request_param_value(r, "X-Amz-Algorithm");
    uint64_t seconds;

    if (!credential || !date || !expires || !headers || !signature)
        return query_error(r, "Query-string authentication version 4 requires the "
                              "X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, "
                              "X-Amz-SignedHeaders, and X-Amz-Expires parameters.");
    if (strcmp(algorithm, ALGORITHM))
        return query_error(r, "X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\"");
    if (!parse_credential(credential, strlen(credential), c))
        return query_error(r, "Error parsing the X-Amz-Credential parameter; the Credential is "
                              "mal-formed; expecting "
                              "\"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\".");
    if (timefmt_parse_basic(date, &c->time_ns) < 0)
        return query_error(r, "X-Amz-Date must be in the ISO8601 Long Format "
                              "\"yyyyMMdd'T'HHmmss'Z'\"");
    if (parse_u64(expires, &seconds) < 0)
        return query_error(r, "X-Amz-Expires should be a number");
    if (seconds > EXPIRES_MAX)
        return query_error(r, "X-Amz-Expires must be less than a week (in seconds); that is, the "
                              "given X-Amz-Expires must be less than 604800 seconds");
    if (!copy_span(c->signed_headers, sizeof(c->signed_headers), headers, strlen(headers)) ||
        !copy_span(c->signature, sizeof(c->signature), signature, strlen(signature)))
        return query_error(r, "a parameter is too long");
    timefmt_basic(c->time_ns, c->amz_date);
    c->token = request_param_value(r, "X-Amz-Security-Token");
    if (c->time_ns - SKEW_MAX_NS > r->now_ns) {
        reply_error_message(r, ERR_ACCESS_DENIED, "Request is not yet valid");
        return false;
    }
    if (c->time_ns + (int64_t)seconds * NS_PER_S < r->now_ns) {
        char extra[160], at[TIMEFMT_ISO8601_SIZE], now[TIMEFMT_ISO8601_SIZE];

        timefmt_iso8601(c->time_ns + (int64_t)seconds * NS_PER_S, at);
        timefmt_iso8601(r->now_ns, now);
        snprintf(extra, sizeof(extra),
                 "<X-Amz-Expires>%llu</X-Amz-Expires><Expires>%s</Expires>"
                 "<ServerTime>%s</ServerTime>",
                 (unsigned long long)seconds, at, now);
        reply_error_extra(r, ERR_ACCESS_DENIED, "Request has expired", extra);
        return false;
    }
    return true;
}

static bool take_payload_mode(struct request *r)
{
    static const struct {
        const char *value;
        enum auth_payload mode;
    } modes[] = {
        {UNSIGNED, AUTH_PAYLOAD_UNSIGNED},
        {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", AUTH_PAYLOAD_CHUNKS},
        {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", AUTH_PAYLOAD_CHUNKS_TRAILER},
        {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", AUTH_PAYLOAD_UNSIGNED_TRAILER},
    };
    struct auth *a = &r->auth;
    const char *value = request_header(r, "x-amz-content-sha256");

    if (!value && a->presigned)
        value = request_param_value(r, "X-Amz-Content-Sha256");
    if (!value && a->presigned)
        value = UNSIGNED;
    if (!value) {
        reply_error_message(r, ERR_INVALID_REQUEST,
                            "Missing required header for this request: x-amz-content-sha256");
        return false;
    }
    snprintf(a->payload_sha256, sizeof(a->payload_sha256), "%s", value);
    for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
        if (!strcmp(value, modes[i].value)) {
            a->payload = modes[i].mode;
            return true;
        }
    }
    if (strlen(value) != 64 || strspn(value, "0123456789abcdefABCDEF") != 64) {
        reply_error_message(r, ERR_INVALID_ARGUMENT,
                            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, "
                            "STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
                            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, "
                            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.");
        return false;
    }
    a->payload = AUTH_PAYLOAD_SHA256;
    return true;
}

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int c = strcmp(x->name, y->name);

    return c ? c : strcmp(x->value, y->value);
}

static char *encoded(const char *data, size_t len)
{
    struct strbuf sb = STRBUF_INIT(CANONICAL_MAX);
    char *s;

    encode_percent(&sb, data, len, false);
    s = sb.len || sb.error ? strbuf_take(&sb) : strdup("");
    strbuf_done(&sb);
    return s;
}

static void append_query(const struct request *r, struct strbuf *sb)
{
    struct pair pairs[REQUEST_PARAMS_MAX];
    unsigned n = 0;

    for (unsigned i = 0; i < r->n_params; i++) {
        const struct param *p = &r->params[i];

        if (r->auth.presigned && !strcmp(p->name, "X-Amz-Signature"))
            continue;
        pairs[n].name = encoded(p->name, p->name_len);
        pairs[n].value = encoded(p->value, p->value_len);
        if (!pairs[n].name || !pairs[n].value)
            sb->error = -ENOMEM;
        n++;
    }
    if (!sb->error)
        qsort(pairs, n, sizeof(pairs[0]), compare_pairs);
    for (unsigned i = 0; i < n; i++) {
        if (!sb->error)
            strbuf_appendf(sb, "%s%s=%s", i ? "&" : "", pairs[i].name, pairs[i].value);
        free(pairs[i].name);
        free(pairs[i].value);
    }
}

struct header_walk {
    const char *name;
    size_t name_len;
    struct strbuf *out;
    unsigned found;
};

/* Values of one header, joined by commas; runs of spaces become one. */
static enum MHD_Result append_value(void *cls, enum MHD_ValueKind kind, const char *key,
                                    const char *value)
{
    struct header_walk *w = cls;
    bool space = false;

    (void)kind;
    if (strlen(key) != w->name_len || strncasecmp(key, w->name, w->name_len))
        return MHD_YES;
    if (w->found++)
        strbuf_append_char(w->out, ',');
    for (const char *p = value ? value + strspn(value, " ") : ""; *p; p++) {
        if (*p == ' ') {
            space = true;
            continue;
        }
        if (space)
            strbuf_append_char(w->out, ' ');
        space = false;
        strbuf_append_char(w->out, *p);
    }
    return MHD_YES;
}

/* Headers in the order given, which must be sorted. False: a signed header is not there. */
static bool append_headers(const struct request *r, const struct claim *c, struct strbuf *sb)
{
    for (const char *p = c->signed_headers; *p;) {
        struct header_walk w = {p, strcspn(p, ";"), sb, 0};

        strbuf_append(sb, p, w.name_len);
        strbuf_append_char(sb, ':');
        MHD_get_connection_values(r->mhd, MHD_HEADER_KIND, append_value, &w);
        strbuf_append_char(sb, '\n');
        if (!w.found)
            return false;
        p += w.name_len;
        p += *p == ';';
    }
    return true;
}

static bool is_signed(const struct claim *c, const char *name)
{
    size_t len = strlen(name);

    for (const char *p = c->signed_headers; *p;) {
        size_t n = strcspn(p, ";");

        if (n == len && !strncasecmp(p, name, len))
            return true;
        p += n;
        p += *p == ';';
    }
    return false;
}

struct unsigned_walk {
    const struct claim *claim;
    char missing[128];
};

/* Every x-amz-* header of the request must be signed. */
static enum MHD_Result check_header_signed(void *cls, enum MHD_ValueKind kind, const char *key,
                                           const char *value)
{
    struct unsigned_walk *w = cls;

    (void)kind;
    (void)value;
    if (!strncasecmp(key, "x-amz-", 6) && strcasecmp(key, "x-amz-content-sha256") &&
        !is_signed(w->claim, key)) {
        snprintf(w->missing, sizeof(w->missing), "%s", key);
        return MHD_NO;
    }
    return MHD_YES;
}

static bool headers_are_signed(struct request *r, const struct claim *c)
{
    struct unsigned_walk w = {.claim = c};
    char extra[256];

    if (!is_signed(c, "host")) {
        reply_error(r, ERR_MISSING_SECURITY_HEADER);
        return false;
    }
    MHD_get_connection_values(r->mhd, MHD_HEADER_KIND, check_header_signed, &w);
    if (!w.missing[0])
        return true;
    for (char *p = w.missing; *p; p++)
        *p = (char)(isalnum((unsigned char)*p) ? tolower((unsigned char)*p) : '-');
    snprintf(extra, sizeof(extra), "<HeadersNotSigned>%s</HeadersNotSigned>", w.missing);
    reply_error_extra(r, ERR_ACCESS_DENIED,
                      "There were headers present in the request which were not signed", extra);
    return false;
}

/* The last key derived by this thread: nearly every request uses the same one. */
static __thread struct {
    char id[64], secret[128], date[9], region[32];
    uint8_t key[32];
} last_key;

static int derive_key(const struct s3d_key *k, const struct claim *c, uint8_t key[32])
{
    char start[160];
    int r;

    if (!strcmp(last_key.secret, k->secret) && !strcmp(last_key.date, c->date) &&
        !strcmp(last_key.region, c->region)) {
        memcpy(key, last_key.key, 32);
        return 0;
    }
    snprintf(start, sizeof(start), "AWS4%s", k->secret);
    r = digest_hmac_sha256(start, strlen(start), c->date, 8, key);
    if (r == 0)
        r = digest_hmac_sha256(key, 32, c->region, strlen(c->region), key);
    if (r == 0)
        r = digest_hmac_sha256(key, 32, "s3", 2, key);
    if (r == 0)
        r = digest_hmac_sha256(key, 32, "aws4_request", 12, key);
    if (r == 0) {
        snprintf(last_key.secret, sizeof(last_key.secret), "%s", k->secret);
        snprintf(last_key.date, sizeof(last_key.date), "%s", c->date);
        snprintf(last_key.region, sizeof(last_key.region), "%s", c->region);
        memcpy(last_key.key, key, 32);
    }
    return r;
}

/* S3 shows what it signed, which is how clients find their mistake. */
static void reply_mismatch(struct request *r, const struct claim *c, const char *canonical,
                           const char *to_sign)
{
    struct strbuf sb = STRBUF_INIT(CANONICAL_MAX * 8);

    xml_text(&sb, "AWSAccessKeyId", c->access_key);
    xml_text(&sb, "StringToSign", to_sign);
    xml_text(&sb, "SignatureProvided", c->signature);
    xml_text(&sb, "CanonicalRequest", canonical);
    reply_error_extra(r, ERR_SIGNATURE_MISMATCH, NULL, strbuf_str(&sb));
    strbuf_done(&sb);
}

static bool check_signature(struct request *r, const struct claim *c, const struct s3d_key *k)
{
    struct strbuf canonical = STRBUF_INIT(CANONICAL_MAX);
    struct auth *a = &r->auth;
    uint8_t raw[DIGEST_SHA256_SIZE];
    char hex[65], to_sign[512];
    bool ok = false, complete;

    strbuf_appendf(&canonical, "%s\n", r->method);
    encode_percent(&canonical, r->decoded_path, r->decoded_len, true);
    strbuf_append_char(&canonical, '\n');
    append_query(r, &canonical);
    strbuf_append_char(&canonical, '\n');
    complete = append_headers(r, c, &canonical);
    strbuf_appendf(&canonical, "\n%s\n%s", c->signed_headers, a->payload_sha256);
    if (canonical.error || digest_buffer(DIGEST_SHA256, canonical.data, canonical.len, raw) < 0 ||
        derive_key(k, c, a->signing_key) < 0) {
        reply_failure(r, ENOMEM, "signature");
        strbuf_done(&canonical);
        return false;
    }
    encode_hex(raw, sizeof(raw), hex);
    snprintf(a->scope, sizeof(a->scope), "%s/%s/s3/aws4_request", c->date, c->region);
    snprintf(a->amz_date, sizeof(a->amz_date), "%s", c->amz_date);
    snprintf(to_sign, sizeof(to_sign), ALGORITHM "\n%s\n%s\n%s", c->amz_date, a->scope, hex);
    if (digest_hmac_sha256(a->signing_key, 32, to_sign, strlen(to_sign), raw) < 0) {
        reply_failure(r, EIO, "signature");
    } else {
        encode_hex(raw, sizeof(raw), a->signature);
        ok = complete && strlen(c->signature) == 64 && digest_equal(a->signature, c->signature, 64);
        if (!ok)
            reply_mismatch(r, c, strbuf_str(&canonical), to_sign);
    }
    strbuf_done(&canonical);
    return ok;
}

static const struct s3d_key *find_key(const struct request *r, const struct claim *c)
{
    for (unsigned i = 0; i < r->s->config.n_keys; i++) {
        if (!strcmp(r->s->config.keys[i].id, c->access_key))
            return &r->s->config.keys[i];
    }
    return NULL;
}

static bool check_anonymous(struct request *r)
{
    r->auth.anonymous = true;
    r->auth.payload = AUTH_PAYLOAD_UNSIGNED;
    for (unsigned i = 0; i < r->s->config.n_anonymous; i++) {
        if ((r->route->flags & ROUTE_READ) && !strcmp(r->s->config.anonymous[i], r->bucket_name))
            return true;
    }
    reply_error(r, ERR_ACCESS_DENIED);
    return false;
}

static bool check_skew(struct request *r, const struct claim *c)
{
    char extra[256], now[TIMEFMT_ISO8601_SIZE];

    if (r->auth.presigned ||
        (c->time_ns <= r->now_ns + SKEW_MAX_NS && c->time_ns >= r->now_ns - SKEW_MAX_NS))
        return true;
    timefmt_iso8601(r->now_ns, now);
    snprintf(extra, sizeof(extra),
             "<RequestTime>%s</RequestTime><ServerTime>%s</ServerTime>"
             "<MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>",
             c->amz_date, now);
    reply_error_extra(r, ERR_REQUEST_TIME_SKEWED, NULL, extra);
    return false;
}

bool auth_check(struct request *r)
{
    const char *header = request_header(r, "Authorization");
    const struct s3d_key *k;
    struct claim c = {0};

    if (!header && !request_param(r, "X-Amz-Algorithm"))
        return check_anonymous(r);
    if (header && request_param(r, "X-Amz-Algorithm")) {
        reply_error_message(r, ERR_INVALID_ARGUMENT,
                            "Only one auth mechanism allowed; only the X-Amz-Algorithm query "
                            "parameter, Signature query string parameter or the Authorization "
                            "header should be specified");
        return false;
    }
    r->auth.presigned = !header;
    if (header && strncmp(header, ALGORITHM, strlen(ALGORITHM))) {
        if (!strncmp(header, "AWS ", 4))
            reply_error_message(r, ERR_INVALID_REQUEST,
                                "The authorization mechanism you have provided is not supported. "
                                "Please use AWS4-HMAC-SHA256.");
        else
            reply_error_message(r, ERR_INVALID_ARGUMENT, "Unsupported Authorization Type");
        return false;
    }
    if (!(header ? parse_header_claim(r, header, &c) : parse_query_claim(r, &c)))
        return false;
    k = find_key(r, &c);
    if (!k) {
        char extra[400];
        struct strbuf sb = STRBUF_INIT(sizeof(extra) - 1);

        xml_text(&sb, "AWSAccessKeyId", c.access_key);
        reply_error_extra(r, ERR_INVALID_ACCESS_KEY, NULL, sb.error ? NULL : strbuf_str(&sb));
        strbuf_done(&sb);
        return false;
    }
    if (k->token ? !c.token || strcmp(k->token, c.token) : c.token != NULL) {
        reply_error(r, ERR_INVALID_TOKEN);
        return false;
    }
    if (!check_skew(r, &c) || !take_payload_mode(r) || !headers_are_signed(r, &c))
        return false;
    if (strncmp(c.date, c.amz_date, 8)) {
        if (r->auth.presigned)
            return query_error(r, "Invalid credential date. This date is not the same as "
                                  "X-Amz-Date.");
        return malformed(r, "Invalid credential date. Date is not the same as X-Amz-Date.");
    }
    snprintf(r->auth.region, sizeof(r->auth.region), "%s", c.region);
    return check_signature(r, &c, k);
}

static bool wrong_region(struct request *r, const char *expected)
{
    char extra[96], message[256];

    snprintf(extra, sizeof(extra), "<Region>%s</Region>", expected);
    if (r->auth.presigned) {
        snprintf(message, sizeof(message),
                 "Error parsing the X-Amz-Credential parameter; the region '%s' is wrong; "
                 "expecting '%s'",
                 r->auth.region, expected);
        reply_error_extra(r, ERR_AUTH_QUERY, message, extra);
    } else {
        snprintf(message, sizeof(message),
                 "The authorization header is malformed; the region '%s' is wrong; expecting '%s'",
                 r->auth.region, expected);
        reply_error_extra(r, ERR_AUTH_HEADER_MALFORMED, message, extra);
    }
    if (r->bucket)
        reply_header(r, "x-amz-bucket-region", expected);
    return false;
}

bool auth_check_region(struct request *r)
{
    const struct s3d_config *cf = &r->s->config;
    const char *endpoint = r->host_region[0] ? r->host_region : cf->regions[0];
    struct strbuf sb = STRBUF_INIT(1024);

    if (r->auth.anonymous)
        return true;
    if (!r->bucket) {
        /* ListBuckets and CreateBucket: any region that exists here, unless the host names one. */
        for (unsigned i = 0; i < cf->n_regions; i++) {
            if (!strcmp(cf->regions[i], r->auth.region) &&
                (!r->host_region[0] || !strcmp(r->host_region, r->auth.region)))
                return true;
        }
        return wrong_region(r, endpoint);
    }
    /* One port serves all regions: a host that names no region takes the bucket's too. */
    if (!strcmp(r->auth.region, r->bucket->region) &&
        (!r->host_region[0] || !strcmp(r->host_region, r->bucket->region)))
        return true;
    if (strcmp(r->auth.region, endpoint))
        return wrong_region(r, r->host_region[0] ? endpoint : r->bucket->region);
    xml_text(&sb, "Endpoint", r->host);
    xml_text(&sb, "Bucket", r->bucket->name);
    reply_error_extra(r, ERR_PERMANENT_REDIRECT, NULL, strbuf_str(&sb));
    reply_header(r, "x-amz-bucket-region", r->bucket->region);
    strbuf_done(&sb);
    return false;
}
