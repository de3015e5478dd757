/* SPDX-License-Identifier: Apache-2.0 */
/* The order in which keys are looked for, and the providers that need no file.
 * https://boto3.amazonaws.com/v1/documentation/api/latest/guide/credentials.html */
#include <stdlib.h>
#include <string.h>

#include "aws/config.h"
#include "aws/credentials_providers.h"
#include "base/timefmt.h"

static bool is_set(const char *s)
{
    return s && *s;
}

/* The id and the token are sent in headers as they are, so nothing may be in them that ends a
 * header or is trimmed there. The usual cause is a line end that came along with a paste. */
static bool fits_into_header(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || (unsigned char)*s == 0x7f)
            return false;
    return true;
}

int aws_make_credentials(const char *access_key_id, const char *secret_access_key,
                         const char *session_token, int64_t expiry_ns, const char *provider,
                         const char *where, struct aws_credentials **ret, struct s3_error *reterr)
{
    if (!is_set(access_key_id) && !is_set(secret_access_key))
        return 0;
    if (!is_set(access_key_id))
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "%.300s: there is a secret access key but no access key id", where);
    if (!is_set(secret_access_key))
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "%.300s: there is an access key id but no secret access key", where);
    if (!fits_into_header(access_key_id) || !fits_into_header(secret_access_key) ||
        (session_token && !fits_into_header(session_token)))
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "%.300s: a key holds white space or a control character", where);
    if (aws_credentials_new(access_key_id, secret_access_key, session_token, expiry_ns, provider,
                            ret) < 0)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    return 1;
}

static int load_anonymous(const struct aws_config *config, struct clock *clock,
                          struct aws_credentials **ret, struct s3_error *reterr)
{
    if (!config->no_sign_request)
        return 0;
    if (aws_credentials_new_anonymous(ret) < 0)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    return 1;
}

static int load_arguments(const struct aws_config *config, struct clock *clock,
                          struct aws_credentials **ret, struct s3_error *reterr)
{
    return aws_make_credentials(config->access_key_id, config->secret_access_key,
                                config->session_token, AWS_CREDENTIALS_NO_EXPIRY, "arguments",
                                "the keys given as arguments", ret, reterr);
}

/* Not looked at when a profile is named by argument: who names one does not mean the keys that
 * happen to be exported. AWS_PROFILE does not switch it off (as in boto3). */
static int load_environment(const struct aws_config *config, struct clock *clock,
                            struct aws_credentials **ret, struct s3_error *reterr)
{
    const char *id, *secret, *token, *expires;
    int64_t expiry = AWS_CREDENTIALS_NO_EXPIRY;

    if (config->profile_explicit)
        return 0;
    id = config->getenv(config->getenv_ctx, "AWS_ACCESS_KEY_ID");
    secret = config->getenv(config->getenv_ctx, "AWS_SECRET_ACCESS_KEY");
    token = config->getenv(config->getenv_ctx, "AWS_SESSION_TOKEN");
    if (!is_set(token)) /* its name in boto 2 */
        token = config->getenv(config->getenv_ctx, "AWS_SECURITY_TOKEN");
    expires = config->getenv(config->getenv_ctx, "AWS_CREDENTIAL_EXPIRATION");
    if (is_set(id) && is_set(expires) && timefmt_parse_iso8601(expires, &expiry) < 0)
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "AWS_CREDENTIAL_EXPIRATION: '%.60s' is not a time like "
                            "2026-11-22T15:00:00Z",
                            expires);
    return aws_make_credentials(id, secret, token, expiry, "environment",
                                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", ret, reterr);
}

/* passwd_file stands where s3fs has it: when named, before the environment; its default places,
 * after everything that AWS' tools know.
 * To come, at the marked places: assume-role, web-identity, sso (1); process (2); container,
 * instance metadata (3). */
const struct aws_credentials_provider aws_credentials_chain[] = {
    {"anonymous", load_anonymous},
    {"arguments", load_arguments},
    {"passwd-file", aws_load_passwd_file},
    {"environment", load_environment},
    /* (1) */
    {"shared-file", aws_load_shared_file},
    /* (2) */
    {"config-file", aws_load_config_file},
    /* (3) */
    {"default-passwd-file", aws_load_default_passwd_file},
    {NULL, NULL},
};
