/* SPDX-License-Identifier: Apache-2.0 */
/* Host names are built only from a region and a bucket that were checked character by character:
 * both may come from a server's answer, and what they become is told the signature. */
#include "aws/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "http/http.h"

#define BUCKET_MIN     3
#define BUCKET_MAX     63
#define BUCKET_MAX_OLD 255 /* us-east-1 before 2018, and other servers in path style */
#define LABEL_MAX      63
#define HOST_MAX       253

struct partition {
    const char *prefix; /* of its regions' names */
    const char *name;
    const char *dns_suffix;
    bool fips;
};

/* First match wins, so "us-isob-" does not depend on a place behind "us-iso-": each ends in '-'. */
static const struct partition partitions[] = {
    {"cn-", "aws-cn", "amazonaws.com.cn", false},
    {"us-gov-", "aws-us-gov", "amazonaws.com", true},
    {"us-iso-", "aws-iso", "c2s.ic.gov", true},
    {"us-isob-", "aws-iso-b", "sc2s.sgov.gov", true},
    {"eu-isoe-", "aws-iso-e", "cloud.adc-e.uk", true},
    {"us-isof-", "aws-iso-f", "csp.hci.ic.gov", true},
    {"eusc-", "aws-eusc", "amazonaws.eu", true},
    {"", "aws", "amazonaws.com", true},
};

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z');
}

bool aws_region_valid(const char *region)
{
    size_t len = strlen(region);

    if (len < 1 || len > LABEL_MAX || region[0] == '-' || region[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_alnum(region[i]) && region[i] != '-')
            return false;
    return true;
}

/* "eu-west-1", "us-gov-east-1", "eusc-de-east-1": words of small letters joined by '-', then a
 * number. Regions that AWS opens later look like it too. */
static bool looks_like_aws_region(const char *region)
{
    const char *p = region;
    unsigned words = 0;

    if (!aws_region_valid(region))
        return false;
    while (is_lower(*p)) {
        while (is_lower(*p))
            p++;
        if (*p++ != '-')
            return false;
        words++;
    }
    if (words < 2 || !is_digit(*p))
        return false;
    while (is_digit(*p))
        p++;
    return *p == '\0';
}

static const struct partition *find_partition(const char *region)
{
    if (!looks_like_aws_region(region))
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(partitions); i++)
        if (strncmp(region, partitions[i].prefix, strlen(partitions[i].prefix)) == 0)
            return &partitions[i];
    return NULL;
}

const char *aws_region_dns_suffix(const char *region)
{
    const struct partition *p = find_partition(region);

    return p ? p->dns_suffix : NULL;
}

/* ---- bucket names ---- */

static bool is_ip_address(const char *host)
{
    unsigned char buf[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, host, buf) == 1 || strchr(host, ':') != NULL;
}

/* Every label begins and ends with a letter or digit. */
static bool labels_ok(const char *name)
{
    char before = '.';

    for (const char *p = name; *p; p++) {
        if (*p == '.' && (before == '.' || before == '-'))
            return false;
        if (*p == '-' && before == '.')
            return false;
        before = *p;
    }
    return before != '.' && before != '-';
}

/* NULL, or which rule is broken. */
static const char *dns_name_fault(const char *bucket)
{
    size_t len = strlen(bucket);

    if (len < BUCKET_MIN || len > BUCKET_MAX)
        return "it must be 3 to 63 characters long";
    for (size_t i = 0; i < len; i++)
        if (!is_lower(bucket[i]) && !is_digit(bucket[i]) && bucket[i] != '-' && bucket[i] != '.')
            return "it may hold small letters, digits, '-' and '.' only";
    if (!labels_ok(bucket))
        return "it must begin and end with a letter or digit, also on both sides of a '.'";
    if (is_ip_address(bucket))
        return "it must not look like an IP address";
    return NULL;
}

bool aws_bucket_name_is_dns(const char *bucket)
{
    return dns_name_fault(bucket) == NULL;
}

/* What other servers, and AWS for its oldest buckets, accept beyond the DNS rules. */
static bool is_old_style_name(const char *bucket)
{
    size_t len = strlen(bucket);

    if (len < BUCKET_MIN || len > BUCKET_MAX_OLD || !is_alnum(bucket[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        /* ':' separates tenant and bucket on Ceph */
        if (!is_alnum(bucket[i]) && !strchr("-._:", bucket[i]))
            return false;
    return true;
}

static bool ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s);
    size_t m = strlen(suffix);

    return n >= m && strcmp(s + n - m, suffix) == 0;
}

int aws_bucket_name_check(const char *bucket, struct s3_error *reterr)
{
    const char *fault = dns_name_fault(bucket);

    if (strncmp(bucket, "arn:", 4) == 0)
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "'%.200s': a bucket's name is needed here, not an ARN", bucket);
    if (fault && !is_old_style_name(bucket))
        return s3_error_set(reterr, S3_ERROR_CONFIG, "'%.200s' is not a bucket's name: %s", bucket,
                            fault);
    return 0;
}

/* ---- resolving ---- */

static bool fits_as_label(const char *bucket, const char *host, const char *scheme)
{
    if (!aws_bucket_name_is_dns(bucket) || is_ip_address(host))
        return false;
    /* A wildcard certificate covers one label. */
    if (strchr(bucket, '.') && strcmp(scheme, "https") == 0)
        return false;
    return strlen(bucket) + 1 + strlen(host) <= HOST_MAX;
}

/* An endpoint_url that names AWS itself ("https://s3.amazonaws.com", a VPC endpoint) is served
 * like AWS. */
static bool is_aws_host(const char *host)
{
    for (size_t i = 0; i < ARRAY_SIZE(partitions); i++) {
        size_t n = strlen(host);
        size_t m = strlen(partitions[i].dns_suffix);

        if (n > m && host[n - m - 1] == '.' && ends_with(host, partitions[i].dns_suffix))
            return true;
    }
    return false;
}

bool aws_endpoint_is_aws(const char *url)
{
    const char *p = strstr(url, "://");
    char host[HOST_MAX + 1];

    p = p ? p + 3 : url;
    (void)snprintf(host, sizeof(host), "%.*s", (int)strcspn(p, "/:?#"), p);
    return is_aws_host(host);
}

static bool use_path_style(const struct aws_config *config, const char *bucket, const char *host,
                           const char *scheme, bool custom)
{
    if (config->addressing_style == AWS_ADDRESSING_PATH)
        return true;
    if (config->addressing_style == AWS_ADDRESSING_AUTO && custom && !is_aws_host(host))
        return true;
    return !fits_as_label(bucket, host, scheme);
}

/* Puts host, port, path and bucket together. path is percent-encoded in whatever way; it is made
 * canonical, because the signature is over the canonical form. */
static int fill(const struct aws_config *config, const char *bucket, const struct http_url *url,
                struct aws_endpoint *e, struct s3_error *reterr)
{
    CLEANUP_STRBUF struct strbuf path = STRBUF_INIT(sizeof(e->base_path) - 1);
    bool v6 = strchr(url->host, ':') != NULL;
    unsigned scheme_port = strcmp(url->scheme, "https") == 0 ? 443 : 80;
    char decoded[sizeof(url->path)];
    char port[8] = "";
    size_t len;
    int n;

    e->path_style = !bucket || use_path_style(config, bucket, url->host, url->scheme, e->custom);
    /* The scheme's own port is left out, as HTTP clients leave it out of the Host header. */
    if (url->explicit_port && url->port != scheme_port)
        snprintf(port, sizeof(port), ":%u", url->port);
    n = snprintf(e->authority, sizeof(e->authority), "%s%s%s%s%s%s", e->path_style ? "" : bucket,
                 e->path_style ? "" : ".", v6 ? "[" : "", url->host, v6 ? "]" : "", port);
    if (n < 0 || (size_t)n >= sizeof(e->authority))
        return s3_error_set(reterr, S3_ERROR_CONFIG, "the endpoint's host name is too long");
    memcpy(e->scheme, url->scheme, sizeof(e->scheme));

    if (decode_percent(url->path, false, decoded, &len) < 0)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "endpoint_url: broken %%-escape in the path");
    while (len > 0 && decoded[len - 1] == '/')
        len--;
    encode_percent(&path, decoded, len, true);
    if (bucket && e->path_style) {
        strbuf_append_char(&path, '/');
        encode_percent(&path, bucket, strlen(bucket), false);
    }
    if (path.error)
        return path.error == -ENOMEM
                   ? s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory")
                   : s3_error_set(reterr, S3_ERROR_CONFIG, "endpoint_url: the path is too long");
    snprintf(e->base_path, sizeof(e->base_path), "%s", strbuf_str(&path));
    return 0;
}

static int resolve_custom(const struct aws_config *config, const char *bucket,
                          struct aws_endpoint *e, struct s3_error *reterr)
{
    struct http_url url;

    /* Said without quoting it, and before anything else does. */
    if (strchr(config->endpoint_url, '@'))
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "endpoint_url: there must be no user name or password in it");
    if (config->use_fips || config->use_dualstack)
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "%s cannot be combined with endpoint_url '%.200s'",
                            config->use_fips ? "use_fips_endpoint" : "use_dualstack_endpoint",
                            config->endpoint_url);
    if (http_url_parse(config->endpoint_url, &url) < 0)
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "endpoint_url '%.200s' is not understood: it should look like "
                            "https://host:port/path",
                            config->endpoint_url);
    e->custom = true;
    return fill(config, bucket, &url, e, reterr);
}

static int resolve_aws(const struct aws_config *config, const char *bucket, struct aws_endpoint *e,
                       struct s3_error *reterr)
{
    const struct partition *p = find_partition(e->region);
    struct http_url url = {.scheme = "https", .port = 443};

    if (!p)
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "'%s' is not a region of AWS (like eu-west-1); for another provider "
                            "give its endpoint_url",
                            e->region);
    if (config->use_fips && !p->fips)
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "use_fips_endpoint: there are no FIPS endpoints in region '%s'",
                            e->region);
    if (bucket && ends_with(bucket, "--x-s3"))
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "'%.200s': directory buckets are not supported yet", bucket);
    snprintf(url.host, sizeof(url.host), "s3%s%s.%s.%s", config->use_fips ? "-fips" : "",
             config->use_dualstack ? ".dualstack" : "", e->region, p->dns_suffix);
    return fill(config, bucket, &url, e, reterr);
}

int aws_endpoint_resolve(const struct aws_config *config, const char *bucket, const char *region,
                         struct aws_endpoint *ret, struct s3_error *reterr)
{
    struct aws_endpoint e = {0};
    int r;

    if (!region)
        region = config->region;
    if (!region || strcmp(region, "aws-global") == 0)
        region = AWS_DEFAULT_REGION;
    if (!aws_region_valid(region))
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "'%.100s' is not a region's name: letters, digits and '-' only",
                            region);
    snprintf(e.region, sizeof(e.region), "%s", region);
    if (bucket) {
        r = aws_bucket_name_check(bucket, reterr);
        if (r < 0)
            return r;
    }
    r = config->endpoint_url ? resolve_custom(config, bucket, &e, reterr)
                             : resolve_aws(config, bucket, &e, reterr);
    if (r < 0)
        return r;
    *ret = e;
    return 0;
}

bool aws_endpoint_is_loopback(const char *authority)
{
    char host[INET_ADDRSTRLEN];
    struct in_addr address;
    size_t len = strcspn(authority, ":/");

    if (strncmp(authority, "[::1]", 5) == 0)
        return strchr(":/", authority[5]) != NULL;
    if (len == strlen("localhost") && strncmp(authority, "localhost", len) == 0)
        return true;
    if (len >= sizeof(host))
        return false;
    (void)snprintf(host, sizeof(host), "%.*s", (int)len, authority);
    return inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}
