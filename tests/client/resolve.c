/* SPDX-License-Identifier: Apache-2.0 */
/* Prints what the environment and the files of $HOME resolve to, for comparison with another
 * implementation (test_session_botocore.py).
 *     resolve [PROFILE]      one line "name=value" each, or "error=..." alone */
#include <stdio.h>

#include "aws/config.h"
#include "aws/credentials.h"

static const char *text(const char *s)
{
    return s ? s : "";
}

static void print_credentials(const struct aws_config *config)
{
    struct aws_credentials_source *source = NULL;
    struct aws_credentials *keys = NULL;
    struct s3_error error = {0};

    if (aws_credentials_source_new(config, NULL, clock_system(), &source) < 0)
        return;
    if (aws_credentials_source_get(source, &keys, &error) < 0) {
        printf("credentials=%s\n", s3_error_kind_name(error.kind));
    } else {
        printf("credentials=%s\nid=%s\nsecret=%s\ntoken=%s\n", keys->provider,
               text(keys->access_key_id), text(keys->secret_access_key), text(keys->session_token));
    }
    aws_credentials_unref(keys);
    aws_credentials_source_free(source);
}

int main(int argc, char **argv)
{
    static const char *const styles[] = {"auto", "path", "virtual"};
    struct aws_config_args args = {.path_style = -1, .profile = argc > 1 ? argv[1] : NULL};
    struct aws_config *config = NULL;
    struct s3_error error = {0};

    if (aws_config_load(&args, &config, &error) < 0) {
        printf("error=%s\n", error.message);
        return 0;
    }
    printf("profile=%s\nregion=%s\nendpoint=%s\nca_bundle=%s\naddressing=%s\nattempts=%d\n"
           "dualstack=%d\nfips=%d\n",
           config->profile, text(config->region), text(config->endpoint_url),
           text(config->ca_bundle), styles[config->addressing_style], config->max_attempts,
           config->use_dualstack, config->use_fips);
    print_credentials(config);
    aws_config_free(config);
    return 0;
}
