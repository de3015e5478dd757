/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc_fail.h"
#include "aws/config.h"
#include "aws_world.h"
#include "base/attr.h"
#include "base/cleanup.h"

DEFINE_CLEANUP(cleanup_config, struct aws_config *, aws_config_free)

#define CLEANUP_CONFIG CLEANUP(cleanup_config)

static void assert_refused(struct aws_world *w, const char *part_of_message)
{
    struct aws_config *c = NULL;
    struct s3_error error = {0};

    if (aws_config_load(&w->args, &c, &error) >= 0) {
        aws_config_free(c);
        fail_msg("not refused; expected: %s", part_of_message);
    }
    assert_null(c);
    assert_int_equal(error.kind, S3_ERROR_CONFIG);
    if (!strstr(error.message, part_of_message))
        fail_msg("'%s' does not say '%s'", error.message, part_of_message);
}

/* ---- nothing given ---- */

static void test_empty_world(void **state)
{
    struct aws_world *w = *state;
    CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);
    char path[128];

    assert_string_equal(c->profile, "default");
    assert_false(c->profile_explicit);
    assert_null(c->region);
    assert_null(c->endpoint_url);
    assert_null(c->ca_bundle);
    assert_null(c->passwd_file);
    assert_int_equal(c->addressing_style, AWS_ADDRESSING_AUTO);
    assert_int_equal(c->max_attempts, 0);
    assert_int_equal(c->multipart_threshold, 0);
    assert_false(c->use_fips || c->use_dualstack || c->no_sign_request);
    snprintf(path, sizeof(path), "%s/.aws/credentials", w->home);
    assert_string_equal(c->credentials_path, path);
    snprintf(path, sizeof(path), "%s/.aws/config", w->home);
    assert_string_equal(c->config_path, path);
    snprintf(path, sizeof(path), "%s/.passwd-s3fs", w->home);
    assert_string_equal(c->home_passwd_file, path);
}

/* systemd and mount(8) start programs without HOME. */
static void test_no_home(void **state)
{
    struct aws_world *w = *state;

    aws_world_put_env(w, "HOME", "");
    /* whoever runs the tests may have files of his own */
    aws_world_put_env(w, "AWS_CONFIG_FILE", "/dev/null");
    aws_world_put_env(w, "AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);

    const struct passwd *pw = getpwuid(geteuid());
    char path[4096];

    snprintf(path, sizeof(path), "%s/.passwd-s3fs", pw ? pw->pw_dir : "");
    if (pw)
        assert_string_equal(c->home_passwd_file, path);
    else
        assert_null(c->home_passwd_file);
}

static void test_real_environment(void **state)
{
    struct aws_world *w = *state;

    w->args.getenv = NULL;
    assert_int_equal(setenv("HOME", w->home, 1), 0);
    assert_int_equal(setenv("AWS_REGION", "xx-real-1", 1), 0);
    unsetenv("AWS_PROFILE");
    unsetenv("AWS_CONFIG_FILE");
    unsetenv("AWS_SHARED_CREDENTIALS_FILE");
    CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);

    assert_string_equal(c->region, "xx-real-1");
    unsetenv("AWS_REGION");
}

/* ---- files and profiles ---- */

static void test_files(void **state)
{
    struct aws_world *w = *state;

    aws_world_put_file(w, ".aws/config", 0600,
                       "[default]\nregion = r-config\nca_bundle = /ca\n"
                       "[profile x]\nregion = r-x\n");
    aws_world_put_file(w, ".aws/credentials", 0600, "[default]\nregion = r-credentials\n");
    {
        CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);

        assert_string_equal(c->region, "r-credentials");
        assert_string_equal(c->ca_bundle, "/ca");
    }
    aws_world_put_env(w, "AWS_DEFAULT_PROFILE", "x");
    {
        CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);

        assert_string_equal(c->profile, "x");
        assert_false(c->profile_explicit);
        assert_string_equal(c->region, "r-x");
        assert_null(c->ca_bundle);
    }
    aws_world_put_env(w, "AWS_PROFILE", "default");
    {
        CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);

        assert_string_equal(c->profile, "default");
        assert_false(c->profile_explicit);
    }
    w->args.profile = "x";
    {
        CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);

        assert_string_equal(c->profile, "x");
        assert_true(c->profile_explicit);
        assert_string_equal(c->region, "r-x");
    }
}

static void test_other_places(void **state)
{
    struct aws_world *w = *state;

    aws_world_put_file(w, "other", 0600, "[default]\nregion = other\n");
    aws_world_put_env(w, "AWS_CONFIG_FILE", "~/other");
    aws_world_put_env(w, "AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);

    assert_string_equal(c->region, "other");
    assert_string_equal(c->credentials_path, "/dev/null");
}

/* A daemon leaves its working directory and reads some of these later. */
static void test_paths_become_absolute(void **state)
{
    struct aws_world *w = *state;
    char before[PATH_MAX], expected[PATH_MAX + 100];

    assert_non_null(getcwd(before, sizeof(before)));
    aws_world_put_file(w, "other", 0600, "[default]\nca_bundle = ~/ca\n");
    aws_world_put_env(w, "AWS_CONFIG_FILE", "other");
    aws_world_put_env(w, "AWS_SHARED_CREDENTIALS_FILE", "no/such");
    w->args.passwd_file = "passwd";
    assert_int_equal(chdir(w->home), 0);
    CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);
    assert_int_equal(chdir(before), 0);

    snprintf(expected, sizeof(expected), "%s/other", w->home);
    assert_string_equal(c->config_path, expected);
    snprintf(expected, sizeof(expected), "%s/no/such", w->home);
    assert_string_equal(c->credentials_path, expected);
    snprintf(expected, sizeof(expected), "%s/passwd", w->home);
    assert_string_equal(c->passwd_file, expected);
    snprintf(expected, sizeof(expected), "%s/ca", w->home);
    assert_string_equal(c->ca_bundle, expected);
}

static void test_profile_that_does_not_exist(void **state)
{
    struct aws_world *w = *state;

    aws_world_put_file(w, ".aws/config", 0600, "[profile y]\n");
    w->args.profile = "x";
    assert_refused(w, "profile 'x' (given as an option) is neither in ");
    assert_refused(w, "/.aws/config");
    w->args.profile = NULL;
    aws_world_put_env(w, "AWS_PROFILE", "z");
    assert_refused(w, "profile 'z' (named by AWS_PROFILE)");
    w->args.profile = "y";
    aws_config_free(aws_world_config(w));
    w->args.profile = "default";
    aws_config_free(aws_world_config(w));
}

static void test_malformed_file(void **state)
{
    struct aws_world *w = *state;

    aws_world_put_file(w, ".aws/config", 0600, "[default]\nregion\n");
    assert_refused(w, "/.aws/config:2: ");
}

static void test_path_too_long(void **state)
{
    struct aws_world *w = *state;
    char *path = malloc(5001);

    memset(path, 'x', 5000);
    path[5000] = '\0';
    aws_world_put_env(w, "AWS_CONFIG_FILE", path);
    assert_refused(w, "is too long");
    free(path);
}

/* ---- precedence, setting by setting ---- */

#define CONFIG_TEXT                                                                                \
    "[default]\nregion = r-file\nendpoint_url = http://file\nca_bundle = /file\n"                  \
    "max_attempts = 7\nretry_mode = legacy\nuse_dualstack_endpoint = true\n"                       \
    "use_fips_endpoint = TRUE\ns3 =\n  addressing_style = path\n  multipart_threshold = 64MB\n"    \
    "  multipart_chunksize = 16777216\n"

static void test_everything_from_the_file(void **state)
{
    struct aws_world *w = *state;

    aws_world_put_file(w, ".aws/config", 0600, CONFIG_TEXT);
    CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);

    assert_string_equal(c->region, "r-file");
    assert_string_equal(c->endpoint_url, "http://file");
    assert_string_equal(c->ca_bundle, "/file");
    assert_int_equal(c->max_attempts, 7);
    assert_true(c->use_dualstack);
    assert_true(c->use_fips);
    assert_int_equal(c->addressing_style, AWS_ADDRESSING_PATH);
    assert_int_equal(c->multipart_threshold, 64 * MIB);
    assert_int_equal(c->multipart_chunksize, 16 * MIB);
}

static void test_environment_over_file(void **state)
{
    struct aws_world *w = *state;

    aws_world_put_file(w, ".aws/config", 0600, CONFIG_TEXT);
    aws_world_put_env(w, "AWS_DEFAULT_REGION", "r-env");
    aws_world_put_env(w, "AWS_ENDPOINT_URL", "http://env");
    aws_world_put_env(w, "AWS_CA_BUNDLE", "/env");
    aws_world_put_env(w, "AWS_MAX_ATTEMPTS", "3");
    aws_world_put_env(w, "AWS_RETRY_MODE", "adaptive");
    aws_world_put_env(w, "AWS_USE_DUALSTACK_ENDPOINT", "false");
    aws_world_put_env(w, "AWS_USE_FIPS_ENDPOINT", "False");
    CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);

    assert_string_equal(c->region, "r-env");
    assert_string_equal(c->endpoint_url, "http://env");
    assert_string_equal(c->ca_bundle, "/env");
    assert_int_equal(c->max_attempts, 3);
    assert_false(c->use_dualstack);
    assert_false(c->use_fips);
}

static void test_arguments_over_environment(void **state)
{
    struct aws_world *w = *state;

    aws_world_put_file(w, ".aws/config", 0600, CONFIG_TEXT);
    aws_world_put_env(w, "AWS_REGION", "r-env");
    aws_world_put_env(w, "AWS_ENDPOINT_URL_S3", "http://env");
    aws_world_put_env(w, "AWS_CA_BUNDLE", "/env");
    aws_world_put_env(w, "AWS_MAX_ATTEMPTS", "3");
    w->args.region = "r-arg";
    w->args.endpoint_url = "http://arg";
    w->args.ca_bundle = "/arg";
    w->args.max_attempts = 9;
    w->args.path_style = 0;
    w->args.access_key_id = "A";
    w->args.secret_access_key = "S";
    w->args.session_token = "T";
    w->args.passwd_file = "/pw";
    w->args.bucket = "b";
    w->args.no_sign_request = true;
    CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);

    assert_string_equal(c->region, "r-arg");
    assert_string_equal(c->endpoint_url, "http://arg");
    assert_string_equal(c->ca_bundle, "/arg");
    assert_int_equal(c->max_attempts, 9);
    assert_int_equal(c->addressing_style, AWS_ADDRESSING_VIRTUAL);
    assert_string_equal(c->access_key_id, "A");
    assert_string_equal(c->secret_access_key, "S");
    assert_string_equal(c->session_token, "T");
    assert_string_equal(c->passwd_file, "/pw");
    assert_string_equal(c->bucket, "b");
    assert_true(c->no_sign_request);
}

static void test_path_style_argument(void **state)
{
    struct aws_world *w = *state;

    aws_world_put_file(w, ".aws/config", 0600, "[default]\ns3 =\n  addressing_style = virtual\n");
    w->args.path_style = 1;
    CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);

    assert_int_equal(c->addressing_style, AWS_ADDRESSING_PATH);
}

static void test_region_variables(void **state)
{
    struct aws_world *w = *state;

    aws_world_put_env(w, "AWS_DEFAULT_REGION", "second");
    aws_world_put_env(w, "AWS_REGION", "first");
    CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);

    assert_string_equal(c->region, "first");
}

static void test_empty_is_not_set(void **state)
{
    struct aws_world *w = *state;

    aws_world_put_file(w, ".aws/config", 0600, "[default]\nregion = r-file\n");
    aws_world_put_env(w, "AWS_REGION", "");
    aws_world_put_env(w, "AWS_PROFILE", "");
    aws_world_put_env(w, "AWS_MAX_ATTEMPTS", "");
    aws_world_put_env(w, "AWS_CONFIG_FILE", "");
    w->args.region = "";
    w->args.profile = "";
    w->args.access_key_id = "";
    CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);

    assert_string_equal(c->region, "r-file");
    assert_string_equal(c->profile, "default");
    assert_false(c->profile_explicit);
    assert_null(c->access_key_id);
}

/* ---- endpoint ---- */

#define SERVICES "[services local]\ns3 =\n  endpoint_url = http://services\n"

static void test_endpoint_order(void **state)
{
    struct aws_world *w = *state;

    aws_world_put_file(w, ".aws/config", 0600,
                       "[default]\nendpoint_url = http://plain\nservices = local\ns3 =\n"
                       "  endpoint_url = http://block\n" SERVICES);
    aws_world_put_env(w, "AWS_ENDPOINT_URL", "http://env");
    aws_world_put_env(w, "AWS_ENDPOINT_URL_S3", "http://env-s3");
    static const char *const expected[] = {"http://env-s3", "http://env", "http://services"};

    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);

        assert_string_equal(c->endpoint_url, expected[i]);
        if (w->n_env > 0)
            w->n_env--;
    }
    aws_world_put_file(w, ".aws/config", 0600,
                       "[default]\nendpoint_url = http://plain\nservices = none\ns3 =\n"
                       "  endpoint_url = http://block\n" SERVICES);
    {
        CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);

        assert_string_equal(c->endpoint_url, "http://block");
    }
    aws_world_put_file(w, ".aws/config", 0600, "[default]\nendpoint_url = http://plain\n" SERVICES);
    {
        CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);

        assert_string_equal(c->endpoint_url, "http://plain");
    }
}

static void test_ignore_configured_endpoints(void **state)
{
    struct aws_world *w = *state;

    aws_world_put_file(w, ".aws/config", 0600, "[default]\nendpoint_url = http://plain\n");
    aws_world_put_env(w, "AWS_ENDPOINT_URL", "http://env");
    aws_world_put_env(w, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
    {
        CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);

        assert_null(c->endpoint_url);
    }
    w->args.endpoint_url = "http://arg";
    {
        CLEANUP_CONFIG struct aws_config *c = aws_world_config(w);

        assert_string_equal(c->endpoint_url, "http://arg");
    }
}

/* ---- values that make no sense ---- */

static void test_bad_values(void **state)
{
    static const struct {
        const char *variable, *value, *message;
    } rows[] = {
        {"AWS_MAX_ATTEMPTS", "0", "environment variable AWS_MAX_ATTEMPTS: '0' is not a number"},
        {"AWS_MAX_ATTEMPTS", "3x", "'3x' is not a number from 1 to 1000"},
        {"AWS_MAX_ATTEMPTS", "-1", "'-1' is not a number"},
        {"AWS_MAX_ATTEMPTS", "18446744073709551616", "is not a number"},
        {"AWS_RETRY_MODE", "often", "'often' is not standard, adaptive or legacy"},
        {"AWS_USE_FIPS_ENDPOINT", "maybe", "'maybe' is not true or false"},
        {"AWS_USE_DUALSTACK_ENDPOINT", "2", "'2' is not true or false"},
        {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "x", "'x' is not true or false"},
    };
    struct aws_world *w = *state;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        w->n_env = 0;
        aws_world_put_env(w, rows[i].variable, rows[i].value);
        assert_refused(w, rows[i].message);
    }
}

static void test_bad_values_in_the_file(void **state)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"max_attempts = many", "profile, setting max_attempts: 'many' is not a number"},
        {"s3 =\n  addressing_style = both", "addressing_style: 'both' is not auto, path or "},
        {"s3 =\n  multipart_chunksize = 0", "multipart_chunksize: '0' is not a size"},
        {"s3 =\n  multipart_threshold = 5XB", "multipart_threshold: '5XB' is not a size"},
    };
    struct aws_world *w = *state;
    char text[200];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        snprintf(text, sizeof(text), "[default]\n%s\n", rows[i].text);
        aws_world_put_file(w, ".aws/config", 0600, text);
        assert_refused(w, rows[i].message);
    }
}

static void test_negative_max_attempts(void **state)
{
    struct aws_world *w = *state;

    w->args.max_attempts = -1;
    assert_refused(w, "max_attempts: -1 is less than 1");
}

static void test_out_of_memory(void **state)
{
    struct aws_world *w = *state;
    struct aws_config *c = NULL;
    long n = 0;
    int r;

    aws_world_put_file(w, ".aws/config", 0600, CONFIG_TEXT);
    aws_world_put_file(w, ".aws/credentials", 0600, "[default]\naws_access_key_id = A\n");
    w->args.access_key_id = "A";
    w->args.secret_access_key = "S";
    w->args.bucket = "b";
    for (;; n++) {
        alloc_fail_begin(n);
        r = aws_config_load(&w->args, &c, NULL);
        if (!alloc_fail_end())
            break;
        assert_int_equal(r, -ENOMEM);
        assert_null(c);
    }
    assert_int_equal(r, 0);
    assert_true(n > 20);
    assert_string_equal(c->region, "r-file");
    aws_config_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AWS_WORLD_TEST(test_empty_world),
        AWS_WORLD_TEST(test_no_home),
        AWS_WORLD_TEST(test_real_environment),
        AWS_WORLD_TEST(test_files),
        AWS_WORLD_TEST(test_other_places),
        AWS_WORLD_TEST(test_paths_become_absolute),
        AWS_WORLD_TEST(test_profile_that_does_not_exist),
        AWS_WORLD_TEST(test_malformed_file),
        AWS_WORLD_TEST(test_path_too_long),
        AWS_WORLD_TEST(test_everything_from_the_file),
        AWS_WORLD_TEST(test_environment_over_file),
        AWS_WORLD_TEST(test_arguments_over_environment),
        AWS_WORLD_TEST(test_path_style_argument),
        AWS_WORLD_TEST(test_region_variables),
        AWS_WORLD_TEST(test_empty_is_not_set),
        AWS_WORLD_TEST(test_endpoint_order),
        AWS_WORLD_TEST(test_ignore_configured_endpoints),
        AWS_WORLD_TEST(test_bad_values),
        AWS_WORLD_TEST(test_bad_values_in_the_file),
        AWS_WORLD_TEST(test_negative_max_attempts),
        AWS_WORLD_TEST(test_out_of_memory),
    };

    return cmocka_run_group_tests_name("aws_config", tests, NULL, NULL);
}
