/* SPDX-License-Identifier: Apache-2.0 */
/* What a session knows before it talks to anyone: arguments, environment and profile files merged
 * in boto3's order. One table (config.c) maps each setting to its argument, environment variables
 * and profile keys.
 * https://boto3.amazonaws.com/v1/documentation/api/latest/guide/configuration.html
 * Paths become absolute ("~/" is the home folder), because a daemon leaves its working directory
 * and reads credentials again later. The files' contents are not kept: there are secrets in them.
 * Life: aws_config_load -> fields are read -> aws_config_free. Immutable in between. */
#ifndef PAILFS_AWS_CONFIG_H
#define PAILFS_AWS_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

/* Given by the caller; NULL / 0 / false = not given. All copied. */
struct aws_config_args {
    const char *access_key_id;
    const char *secret_access_key;
    const char *session_token;
    const char *profile;
    const char *region;
    const char *endpoint_url;
    const char *ca_bundle;
    const char *passwd_file; /* s3fs' format; also read from the default places when nothing else */
    const char *bucket;      /* for passwd_file lines "bucket:KEY:SECRET" */
    bool no_sign_request;
    int path_style;   /* 1 path, 0 virtual host, -1 not given */
    int max_attempts; /* 0 = not given */
    /* Tests give their own; NULL = getenv. */
    const char *(*getenv)(void *ctx, const char *name);
    void *getenv_ctx;
};

struct aws_config {
    /* owned strings, NULL = not set anywhere */
    char *access_key_id; /* from arguments only; the chain looks at the rest */
    char *secret_access_key;
    char *session_token;
    char *profile;         /* never NULL: "default" when nothing names one */
    bool profile_explicit; /* named by argument: then the environment's keys are not used */
    char *region;
    char *endpoint_url;
    char *ca_bundle;
    char *passwd_file;
    char *home_passwd_file; /* "$HOME/.passwd-s3fs", whether it exists or not */
    char *bucket;
    char *credentials_path; /* AWS_SHARED_CREDENTIALS_FILE or ~/.aws/credentials */
    char *config_path;      /* AWS_CONFIG_FILE or ~/.aws/config */
    bool no_sign_request;
    int addressing_style; /* enum aws_addressing */
    bool use_dualstack;
    bool use_fips;
    int max_attempts;             /* 0 = default */
    uint64_t multipart_threshold; /* s3 = block; 0 = not set; bytes */
    uint64_t multipart_chunksize;
    const char *(*getenv)(void *ctx, const char *name);
    void *getenv_ctx;
};

enum aws_addressing { AWS_ADDRESSING_AUTO, AWS_ADDRESSING_PATH, AWS_ADDRESSING_VIRTUAL };

/* A named profile that does not exist, an unreadable or malformed file (with its line) and
 * values that make no sense are S3_ERROR_CONFIG. */
int aws_config_load(const struct aws_config_args *args, struct aws_config **ret,
                    struct s3_error *reterr);
void aws_config_free(struct aws_config *c);

#endif
