/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc_fail.h"
#include "aws/config.h"
#include "base/attr.h"
#include "base/cleanup.h"

DEFINE_CLEANUP(cleanup_config, struct aws_config *, aws_config_free)

#define CLEANUP_CONFIG CLEANUP(cleanup_config)

/* A home folder of its own, and an environment that holds HOME and what a test puts there. */
struct world {
    char home[64];
    struct {
        const char *name, *value;
    } env[8];
    unsigned n_env;
    struct aws_config_args args;
};

static const char *world_getenv(void *ctx, const char *name)
{
    struct world *w = ctx;

    for (unsigned i = 0; i < w->n_env; i++)
        if (strcmp(w->env[i].name, name) == 0)
            return w->env[i].value;
    return strcmp(name, "HOME") == 0 ? w->home : NULL;
}

static void put_env(struct world *w, const char *name, const char *value)
{
    assert_in_range(w->n_env, 0, ARRAY_SIZE(w->env) - 1);
    w->env[w->n_env].name = name;
    w->env[w->n_env].value = value;
    w->n_env++;
}

static void put_file(const struct world *w, const char *name, const char *text)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", w->home, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    char path[128];

    if (!w)
        return -1;
    snprintf(w->home, sizeof(w->home), "/tmp/pailfs-config-XXXXXX");
    if (!mkdtemp(w->home))
        return -1;
    snprintf(path, sizeof(path), "%s/.aws", w->home);
    if (mkdir(path, 0700) < 0)
        return -1;
    w->args.path_style = -1;
    w->args.getenv = world_getenv;
    w->args.getenv_ctx = w;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    static const char *const names[] = {".aws/config", ".aws/credentials", "other", ".aws", ""};
    struct world *w = *state;
    char path[128];

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", w->home, names[i]);
        remove(path);
    }
    free(w);
    return 0;
}

static struct aws_config *load(struct world *w)
{
    struct aws_config *c = NULL;
    struct s3_error error = {0};

    if (aws_config_load(&w->args, &c, &error) < 0)
        fail_msg("%s", error.message);
    return c;
}

static void assert_refused(struct world *w, const char *part_of_message)
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
    struct world *w = *state;
    CLEANUP_CONFIG struct aws_config *c = load(w);
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
    struct world *w = *state;

    put_env(w, "HOME", "");
    /* whoever runs the tests may have files of his own */
    put_env(w, "AWS_CONFIG_FILE", "/dev/null");
    put_env(w, "AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    CLEANUP_CONFIG struct aws_config *c = load(w);

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
    struct world *w = *state;

    w->args.getenv = NULL;
    assert_int_equal(setenv("HOME", w->home, 1), 0);
    assert_int_equal(setenv("AWS_REGION", "xx-real-1", 1), 0);
    unsetenv("AWS_PROFILE");
    unsetenv("AWS_CONFIG_FILE");
    unsetenv("AWS_SHARED_CREDENTIALS_FILE");
    CLEANUP_CONFIG struct aws_config *c = load(w);

    assert_string_equal(c->region, "xx-real-1");
    unsetenv("AWS_REGION");
}

/* ---- files and profiles ---- */

static void test_files(void **state)
{
    struct world *w = *state;

    put_file(w, ".aws/config",
             "[default]\nregion = r-config\nca_bundle = /ca\n"
             "[profile x]\nregion = r-x\n");
    put_file(w, ".aws/credentials", "[default]\nregion = r-credentials\n");
    {
        CLEANUP_CONFIG struct aws_config *c = load(w);

        assert_string_equal(c->region, "r-credentials");
        assert_string_equal(c->ca_bundle, "/ca");
    }
    put_env(w, "AWS_DEFAULT_PROFILE", "x");
    {
        CLEANUP_CONFIG struct aws_config *c = load(w);

        assert_string_equal(c->profile, "x");
        assert_false(c->profile_explicit);
        assert_string_equal(c->region, "r-x");
        assert_null(c->ca_bundle);
    }
    put_env(w, "AWS_PROFILE", "default");
    {
        CLEANUP_CONFIG struct aws_config *c = load(w);

        assert_string_equal(c->profile, "default");
        assert_false(c->profile_explicit);
    }
    w->args.profile = "x";
    {
        CLEANUP_CONFIG struct aws_config *c = load(w);

        assert_string_equal(c->profile, "x");
        assert_true(c->profile_explicit);
        assert_string_equal(c->region, "r-x");
    }
}

static void test_other_places(void **state)
{
    struct world *w = *state;

    put_file(w, "other", "[default]\nregion = other\n");
    put_env(w, "AWS_CONFIG_FILE", "~/other");
    put_env(w, "AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    CLEANUP_CONFIG struct aws_config *c = load(w);

    assert_string_equal(c->region, "other");
    assert_string_equal(c->credentials_path, "/dev/null");
}

static void test_profile_that_does_not_exist(void **state)
{
    struct world *w = *state;

    put_file(w, ".aws/config", "[profile y]\n");
    w->args.profile = "x";
    assert_refused(w, "profile 'x' (given as an option) is neither in ");
    assert_refused(w, "/.aws/config");
    w->args.profile = NULL;
    put_env(w, "AWS_PROFILE", "z");
    assert_refused(w, "profile 'z' (named by AWS_PROFILE)");
    w->args.profile = "y";
    aws_config_free(load(w));
    w->args.profile = "default";
    aws_config_free(load(w));
}

static void test_malformed_file(void **state)
{
    struct world *w = *state;

    put_file(w, ".aws/config", "[default]\nregion\n");
    assert_refused(w, "/.aws/config:2: ");
}

static void test_path_too_long(void **state)
{
    struct world *w = *state;
    char *path = malloc(5001);

    memset(path, 'x', 5000);
    path[5000] = '\0';
    put_env(w, "AWS_CONFIG_FILE", path);
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
    struct world *w = *state;

    put_file(w, ".aws/config", CONFIG_TEXT);
    CLEANUP_CONFIG struct aws_config *c = load(w);

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
    struct world *w = *state;

    put_file(w, ".aws/config", CONFIG_TEXT);
    put_env(w, "AWS_DEFAULT_REGION", "r-env");
    put_env(w, "AWS_ENDPOINT_URL", "http://env");
    put_env(w, "AWS_CA_BUNDLE", "/env");
    put_env(w, "AWS_MAX_ATTEMPTS", "3");
    put_env(w, "AWS_RETRY_MODE", "adaptive");
    put_env(w, "AWS_USE_DUALSTACK_ENDPOINT", "false");
    put_env(w, "AWS_USE_FIPS_ENDPOINT", "False");
    CLEANUP_CONFIG struct aws_config *c = load(w);

    assert_string_equal(c->region, "r-env");
    assert_string_equal(c->endpoint_url, "http://env");
    assert_string_equal(c->ca_bundle, "/env");
    assert_int_equal(c->max_attempts, 3);
    assert_false(c->use_dualstack);
    assert_false(c->use_fips);
}

static void test_arguments_over_environment(void **state)
{
    struct world *w = *state;

    put_file(w, ".aws/config", CONFIG_TEXT);
    put_env(w, "AWS_REGION", "r-env");
    put_env(w, "AWS_ENDPOINT_URL_S3", "http://env");
    put_env(w, "AWS_CA_BUNDLE", "/env");
    put_env(w, "AWS_MAX_ATTEMPTS", "3");
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
    CLEANUP_CONFIG struct aws_config *c = load(w);

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
    struct world *w = *state;

    put_file(w, ".aws/config", "[default]\ns3 =\n  addressing_style = virtual\n");
    w->args.path_style = 1;
    CLEANUP_CONFIG struct aws_config *c = load(w);

    assert_int_equal(c->addressing_style, AWS_ADDRESSING_PATH);
}

static void test_region_variables(void **state)
{
    struct world *w = *state;

    put_env(w, "AWS_DEFAULT_REGION", "second");
    put_env(w, "AWS_REGION", "first");
    CLEANUP_CONFIG struct aws_config *c = load(w);

    assert_string_equal(c->region, "first");
}

static void test_empty_is_not_set(void **state)
{
    struct world *w = *state;

    put_file(w, ".aws/config", "[default]\nregion = r-file\n");
    put_env(w, "AWS_REGION", "");
    put_env(w, "AWS_PROFILE", "");
    put_env(w, "AWS_MAX_ATTEMPTS", "");
    put_env(w, "AWS_CONFIG_FILE", "");
    w->args.region = "";
    w->args.profile = "";
    w->args.access_key_id = "";
    CLEANUP_CONFIG struct aws_config *c = load(w);

    assert_string_equal(c->region, "r-file");
    assert_string_equal(c->profile, "default");
    assert_false(c->profile_explicit);
    assert_null(c->access_key_id);
}

/* ---- endpoint ---- */

#define SERVICES "[services local]\ns3 =\n  endpoint_url = http://services\n"

static void test_endpoint_order(void **state)
{
    struct world *w = *state;

    put_file(w, ".aws/config",
             "[default]\nendpoint_url = http://plain\nservices = local\ns3 =\n"
             "  endpoint_url = http://block\n" SERVICES);
    put_env(w, "AWS_ENDPOINT_URL", "http://env");
    put_env(w, "AWS_ENDPOINT_URL_S3", "http://env-s3");
    static const char *const expected[] = {"http://env-s3", "http://env", "http://services"};

    for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
        CLEANUP_CONFIG struct aws_config *c = load(w);

        assert_string_equal(c->endpoint_url, expected[i]);
        if (w->n_env > 0)
            w->n_env--;
    }
    put_file(w, ".aws/config",
             "[default]\nendpoint_url = http://plain\nservices = none\ns3 =\n"
             "  endpoint_url = http://block\n" SERVICES);
    {
        CLEANUP_CONFIG struct aws_config *c = load(w);

        assert_string_equal(c->endpoint_url, "http://block");
    }
    put_file(w, ".aws/config", "[default]\nendpoint_url = http://plain\n" SERVICES);
    {
        CLEANUP_CONFIG struct aws_config *c = load(w);

        assert_string_equal(c->endpoint_url, "http://plain");
    }
}

static void test_ignore_configured_endpoints(void **state)
{
    struct world *w = *state;

    put_file(w, ".aws/config", "[default]\nendpoint_url = http://plain\n");
    put_env(w, "AWS_ENDPOINT_URL", "http://env");
    put_env(w, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
    {
        CLEANUP_CONFIG struct aws_config *c = load(w);

        assert_null(c->endpoint_url);
    }
    w->args.endpoint_url = "http://arg";
    {
        CLEANUP_CONFIG struct aws_config *c = load(w);

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
    struct world *w = *state;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        w->n_env = 0;
        put_env(w, rows[i].variable, rows[i].value);
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
    struct world *w = *state;
    char text[200];

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        snprintf(text, sizeof(text), "[default]\n%s\n", rows[i].text);
        put_file(w, ".aws/config", text);
        assert_refused(w, rows[i].message);
    }
}

static void test_negative_max_attempts(void **state)
{
    struct world *w = *state;

    w->args.max_attempts = -1;
    assert_refused(w, "max_attempts: -1 is less than 1");
}

static void test_out_of_memory(void **state)
{
    struct world *w = *state;
    struct aws_config *c = NULL;
    long n = 0;
    int r;

    put_file(w, ".aws/config", CONFIG_TEXT);
    put_file(w, ".aws/credentials", "[default]\naws_access_key_id = A\n");
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
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_empty_world),
        T(test_no_home),
        T(test_real_environment),
        T(test_files),
        T(test_other_places),
        T(test_profile_that_does_not_exist),
        T(test_malformed_file),
        T(test_path_too_long),
        T(test_everything_from_the_file),
        T(test_environment_over_file),
        T(test_arguments_over_environment),
        T(test_path_style_argument),
        T(test_region_variables),
        T(test_empty_is_not_set),
        T(test_endpoint_order),
        T(test_ignore_configured_endpoints),
        T(test_bad_values),
        T(test_bad_values_in_the_file),
        T(test_negative_max_attempts),
        T(test_out_of_memory),
    };

    return cmocka_run_group_tests_name("aws_config", tests, NULL, NULL);
}
