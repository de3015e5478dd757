/* SPDX-License-Identifier: Apache-2.0 */
/* The forms in which people write a bucket and a prefix. */
#include <errno.h>
#include <string.h>

#include "conf/conf.h"

#define PREFIX_MAX 1000 /* leaves room for a name: S3's keys have 1,024 bytes */

/* Wider than AWS' rules for new buckets: old ones and other servers have capitals, underscores and
 * up to 255 bytes. What is refused could not stand in a URL as it is. */
static bool is_bucket_name(const char *s, size_t len)
{
    if (len < 1 || len > 255 || s[0] == '.' || s[0] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '-' || c == '_'))
            return false;
    }
    return true;
}

static int make(const char *bucket, size_t bucket_len, const char *prefix, char **ret_bucket,
                char **ret_prefix, struct s3_error *reterr)
{
    size_t len = strlen(prefix);
    if (!is_bucket_name(bucket, bucket_len))
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "'%.*s' is not a bucket's name: letters, digits, '.', '-' and '_', up "
                            "to 255 bytes",
                            (int)MIN(bucket_len, (size_t)100), bucket);
    if (len > PREFIX_MAX)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "the prefix is longer than %u bytes",
                            PREFIX_MAX);
    for (const char *p = prefix; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return s3_error_set(reterr, S3_ERROR_CONFIG,
                                "the prefix has a control character in it");

    CLEANUP_FREE char *b = strndup(bucket, bucket_len);
    CLEANUP_FREE char *p = malloc(len + 2);
    if (!b || !p)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    memcpy(p, prefix, len + 1);
    if (len && p[len - 1] != '/')
        memcpy(p + len, "/", 2);
    *ret_bucket = TAKE_PTR(b);
    *ret_prefix = TAKE_PTR(p);
    return 0;
}

/* "BUCKET/PREFIX" after a scheme. */
static int make_from_path(const char *s, char **ret_bucket, char **ret_prefix,
                          struct s3_error *reterr)
{
    size_t len = strcspn(s, "/");
    return make(s, len, s[len] ? s + len + 1 : "", ret_bucket, ret_prefix, reterr);
}

/* arn:PARTITION:s3:REGION:ACCOUNT:RESOURCE; a bucket's has neither region nor account.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-arn-format.html */
static int parse_arn(const char *text, char **ret_bucket, char **ret_prefix,
                     struct s3_error *reterr)
{
    const char *part[6] = {text}; /* the last one is the rest */
    for (int i = 1; i < 6; i++) {
        const char *colon = strchr(part[i - 1], ':');
        if (!colon)
            return s3_error_set(reterr, S3_ERROR_CONFIG,
                                "'%.100s' is not the ARN of a bucket (arn:aws:s3:::BUCKET)", text);
        part[i] = colon + 1;
    }
    size_t service_len = (size_t)(part[3] - part[2] - 1);
    bool plain = service_len == 2 && strncmp(part[2], "s3", 2) == 0;
    if (!plain || *part[3] != ':' || *part[4] != ':' || strchr(part[5], ':'))
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "'%.100s': access points and other ARNs than a bucket's are not "
                            "supported yet; give the bucket (arn:aws:s3:::BUCKET)",
                            text);
    return make_from_path(part[5], ret_bucket, ret_prefix, reterr);
}

int conf_parse_source(const char *text, char **ret_bucket, char **ret_prefix,
                      struct s3_error *reterr)
{
    if (strncmp(text, "arn:", 4) == 0)
        return parse_arn(text, ret_bucket, ret_prefix, reterr);
    if (strncmp(text, "s3://", 5) == 0)
        return make_from_path(text + 5, ret_bucket, ret_prefix, reterr);
    if (strstr(text, "://"))
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "'%.100s': give BUCKET or s3://BUCKET/PREFIX/ here, and the server as "
                            "-o endpoint_url=...",
                            text);

    size_t len = strcspn(text, ":");
    const char *prefix = "";
    if (text[len]) {
        prefix = text + len + 1;
        if (*prefix == '/')
            prefix++;
    } else if (strchr(text, '/')) {
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "'%.100s': a prefix follows a colon (BUCKET:/PREFIX)", text);
    }
    return make(text, len, prefix, ret_bucket, ret_prefix, reterr);
}
