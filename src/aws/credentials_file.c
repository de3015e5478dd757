/* SPDX-License-Identifier: Apache-2.0 */
/* Keys from ~/.aws/credentials and ~/.aws/config. The files are read anew at every load, so that
 * keys which another tool renews there are picked up when the old ones have expired. */
#include "aws/config.h"
#include "aws/credentials_providers.h"
#include "aws/profile.h"
#include "base/cleanup.h"

DEFINE_CLEANUP(cleanup_profile, struct aws_profile_file *, aws_profile_free)

static int load_from(const struct aws_config *config, enum aws_profile_kind kind, const char *path,
                     const char *provider, struct aws_credentials **ret, struct s3_error *reterr)
{
    CLEANUP(cleanup_profile) struct aws_profile_file *f = NULL;
    const char *token;
    char where[512];
    int r;

    if (aws_profile_new(&f) < 0)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    r = aws_profile_read(f, kind, path, reterr);
    if (r < 0)
        return r;
    token = aws_profile_get(f, config->profile, NULL, "aws_session_token");
    if (!token || !*token) /* its name in boto 2 */
        token = aws_profile_get(f, config->profile, NULL, "aws_security_token");
    snprintf(where, sizeof(where), "%.200s, profile '%.80s'", path, config->profile);
    return aws_make_credentials(aws_profile_get(f, config->profile, NULL, "aws_access_key_id"),
                                aws_profile_get(f, config->profile, NULL, "aws_secret_access_key"),
                                token, AWS_CREDENTIALS_NO_EXPIRY, provider, where, ret, reterr);
}

int aws_load_shared_file(const struct aws_config *config, struct clock *clock,
                         struct aws_credentials **ret, struct s3_error *reterr)
{
    return load_from(config, AWS_PROFILE_CREDENTIALS, config->credentials_path, "shared-file", ret,
                     reterr);
}

int aws_load_config_file(const struct aws_config *config, struct clock *clock,
                         struct aws_credentials **ret, struct s3_error *reterr)
{
    return load_from(config, AWS_PROFILE_CONFIG, config->config_path, "config-file", ret, reterr);
}
