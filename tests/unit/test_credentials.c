/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc_fail.h"
#include "aws/credentials.h"
#include "aws_world.h"
#include "base/attr.h"
#include "base/cleanup.h"
#include "base/timefmt.h"

#define SECRET  "SecretSecretSecret"
#define REMAINS "SecretSecret" /* also when its head was overwritten */

DEFINE_CLEANUP(cleanup_config, struct aws_config *, aws_config_free)
DEFINE_CLEANUP(cleanup_source, struct aws_credentials_source *, aws_credentials_source_free)
DEFINE_CLEANUP(cleanup_credentials, struct aws_credentials *, aws_credentials_unref)

#define CLEANUP_CONFIG      CLEANUP(cleanup_config)
#define CLEANUP_SOURCE      CLEANUP(cleanup_source)
#define CLEANUP_CREDENTIALS CLEANUP(cleanup_credentials)

/* ---- memory that is given back must not hold a secret (linked with --wrap=free) ---- */

static atomic_bool watching;
static atomic_uint freed_with_secret;
static atomic_uint freed;

void __real_free(void *p);
void __wrap_free(void *p);

void __wrap_free(void *p)
{
    if (p && watching) {
        freed++;
        if (memmem(p, malloc_usable_size(p), REMAINS, strlen(REMAINS)))
            freed_with_secret++;
    }
    __real_free(p);
}

/* Runs the standard chain in this world once. */
static int run(struct aws_world *w, struct aws_credentials **ret, struct s3_error *error)
{
    CLEANUP_CONFIG struct aws_config *config = aws_world_config(w);
    CLEANUP_SOURCE struct aws_credentials_source *s = NULL;

    memset(error, 0, sizeof(*error));
    assert_int_equal(aws_credentials_source_new(config, NULL, &w->clock.clock, &s), 0);
    return aws_credentials_source_get(s, ret, error);
}

static void assert_keys(struct aws_world *w, const char *provider, const char *id,
                        const char *secret, const char *token)
{
    CLEANUP_CREDENTIALS struct aws_credentials *c = NULL;
    struct s3_error error;

    if (run(w, &c, &error) < 0)
        fail_msg("%s", error.message);
    assert_string_equal(c->provider, provider);
    assert_false(c->anonymous);
    assert_string_equal(c->access_key_id, id);
    assert_string_equal(c->secret_access_key, secret);
    if (token)
        assert_string_equal(c->session_token, token);
    else
        assert_null(c->session_token);
}

static void assert_refused(struct aws_world *w, enum s3_error_kind kind,
                           const char *part_of_message)
{
    CLEANUP_CREDENTIALS struct aws_credentials *c = NULL;
    struct s3_error error;

    if (run(w, &c, &error) >= 0)
        fail_msg("keys from %s; expected: %s", c->provider, part_of_message);
    assert_null(c);
    assert_int_equal(error.kind, kind);
    if (!strstr(error.message, part_of_message))
        fail_msg("'%s' does not say '%s'", error.message, part_of_message);
    assert_null(strstr(error.message, SECRET));
}

/* ---- the chain ---- */

static void test_nothing_anywhere(void **state)
{
    struct aws_world *w = *state;

    /* A machine that has a system-wide password file finds its keys there, and that is right. */
    if (access("/etc/passwd-s3fs", F_OK) == 0)
        skip();
    assert_refused(w, S3_ERROR_NO_CREDENTIALS,
                   "no access keys found (looked at: anonymous, "
                   "arguments, passwd-file, environment, shared-file");
    assert_refused(w, S3_ERROR_NO_CREDENTIALS, w->home);
    assert_refused(w, S3_ERROR_NO_CREDENTIALS, "profile 'default'");
}

static void test_anonymous(void **state)
{
    struct aws_world *w = *state;
    CLEANUP_CREDENTIALS struct aws_credentials *c = NULL;
    struct s3_error error;

    aws_world_put_env(w, "AWS_ACCESS_KEY_ID", "ENV");
    w->args.no_sign_request = true;
    assert_int_equal(run(w, &c, &error), 0);
    assert_true(c->anonymous);
    assert_null(c->access_key_id);
    assert_int_equal(c->expiry_ns, AWS_CREDENTIALS_NO_EXPIRY);
}

/* Everything is there; taking away the winner shows the next one. */
static void test_order(void **state)
{
    struct aws_world *w = *state;
    aws_world_put_file(w, ".passwd-s3fs", 0600, "HOME_PW:s6\n");
    aws_world_put_file(w, ".aws/config", 0600,
                       "[default]\naws_access_key_id = CONFIG\naws_secret_access_key = s5\n"
                       "aws_session_token = t5\n");
    aws_world_put_file(w, ".aws/credentials", 0600,
                       "[default]\naws_access_key_id = SHARED\naws_secret_access_key = s4\n");
    aws_world_put_env(w, "AWS_ACCESS_KEY_ID", "ENV");
    aws_world_put_env(w, "AWS_SECRET_ACCESS_KEY", "s3");
    aws_world_put_env(w, "AWS_SESSION_TOKEN", "t3");
    aws_world_put_file(w, "passwd", 0600, "PW:s2\n");
    w->args.passwd_file = w->passwd;
    w->args.access_key_id = "ARG";
    w->args.secret_access_key = "s1";
    assert_keys(w, "arguments", "ARG", "s1", NULL);
    w->args.session_token = "t1";
    assert_keys(w, "arguments", "ARG", "s1", "t1");
    w->args.access_key_id = w->args.secret_access_key = NULL;
    assert_keys(w, "passwd-file", "PW", "s2", NULL);
    w->args.passwd_file = NULL;
    assert_keys(w, "environment", "ENV", "s3", "t3");
    w->n_env = 0;
    /* the token of the other file's pair stays out */
    assert_keys(w, "shared-file", "SHARED", "s4", NULL);
    aws_world_put_file(w, ".aws/credentials", 0600, "[default]\nregion = x\n");
    assert_keys(w, "config-file", "CONFIG", "s5", "t5");
    aws_world_put_file(w, ".aws/config", 0600, "");
    assert_keys(w, "default-passwd-file", "HOME_PW", "s6", NULL);
}

static void test_profile_and_environment(void **state)
{
    struct aws_world *w = *state;

    aws_world_put_file(
        w, ".aws/credentials", 0600,
        "[x]\naws_access_key_id = X\naws_secret_access_key = s\naws_security_token = old\n");
    aws_world_put_env(w, "AWS_ACCESS_KEY_ID", "ENV");
    aws_world_put_env(w, "AWS_SECRET_ACCESS_KEY", "e");
    aws_world_put_env(w, "AWS_PROFILE", "x");
    assert_keys(w, "environment", "ENV", "e", NULL);
    w->args.profile = "x";
    assert_keys(w, "shared-file", "X", "s", "old");
}

static void test_partial_keys(void **state)
{
    struct aws_world *w = *state;

    w->args.access_key_id = "A";
    assert_refused(w, S3_ERROR_CONFIG,
                   "the keys given as arguments: there is an access key id but no secret");
    w->args.access_key_id = NULL;
    w->args.secret_access_key = SECRET;
    assert_refused(w, S3_ERROR_CONFIG, "there is a secret access key but no access key id");
    w->args.secret_access_key = NULL;
    aws_world_put_env(w, "AWS_SECRET_ACCESS_KEY", SECRET);
    assert_refused(w, S3_ERROR_CONFIG, "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: there is a");
    w->n_env = 0;
    aws_world_put_file(w, ".aws/credentials", 0600, "[default]\naws_access_key_id = A\n");
    aws_world_put_file(w, ".aws/config", 0600, "[default]\naws_secret_access_key = " SECRET "\n");
    assert_refused(w, S3_ERROR_CONFIG,
                   ".aws/credentials, profile 'default': there is an access key id but no secret");
}

static void test_keys_that_cannot_be_sent(void **state)
{
    struct aws_world *w = *state;

    aws_world_put_env(w, "AWS_ACCESS_KEY_ID", "A\n");
    aws_world_put_env(w, "AWS_SECRET_ACCESS_KEY", SECRET);
    assert_refused(w, S3_ERROR_CONFIG, "a key holds white space or a control character");
    w->n_env = 0;
    aws_world_put_env(w, "AWS_ACCESS_KEY_ID", "A");
    aws_world_put_env(w, "AWS_SECRET_ACCESS_KEY", SECRET);
    aws_world_put_env(w, "AWS_SESSION_TOKEN", "x\r\nHost: evil");
    assert_refused(w, S3_ERROR_CONFIG, "a key holds white space or a control character");
}

static void test_environment_expiry(void **state)
{
    struct aws_world *w = *state;
    CLEANUP_CREDENTIALS struct aws_credentials *c = NULL;
    struct s3_error error;
    int64_t expiry = 0;

    aws_world_put_env(w, "AWS_ACCESS_KEY_ID", "A");
    aws_world_put_env(w, "AWS_SECRET_ACCESS_KEY", "s");
    aws_world_put_env(w, "AWS_SECURITY_TOKEN", "boto2");
    aws_world_put_env(w, "AWS_CREDENTIAL_EXPIRATION", "2023-11-15T12:00:00Z");
    assert_int_equal(timefmt_parse_iso8601("2023-11-15T12:00:00Z", &expiry), 0);
    assert_int_equal(run(w, &c, &error), 0);
    assert_true(c->expiry_ns == expiry);
    assert_string_equal(c->session_token, "boto2");
    w->env[3].value = "2023-11-14T12:00:00Z";
    assert_refused(w, S3_ERROR_EXPIRED_CREDENTIALS,
                   "the access keys from environment expired at 2023-11-14T12:00:00");
    w->env[3].value = "tomorrow";
    assert_refused(w, S3_ERROR_CONFIG, "AWS_CREDENTIAL_EXPIRATION: 'tomorrow' is not a time");
}

/* ---- passwd_file ---- */

static void test_passwd_formats(void **state)
{
    static const struct {
        const char *what, *text, *bucket, *id, *secret;
    } rows[] = {
        {"plain", "A:s\n", "bbb", "A", "s"},
        {"no line end", "A:s", "bbb", "A", "s"},
        {"CRLF", "A:s\r\n", "bbb", "A", "s"},
        {"space around", "  A:s \t\n", "bbb", "A", "s"},
        {"comments and blank lines", "# x\n\n  # y\nA:s\n", "bbb", "A", "s"},
        {"one for the bucket", "A:s\nbbb:B:t\n", "bbb", "B", "t"},
        {"one for the bucket, first", "bbb:B:t\nA:s\n", "bbb", "B", "t"},
        {"one for another bucket", "A:s\nccc:B:t\n", "bbb", "A", "s"},
        {"no bucket known", "A:s\nbbb:B:t\n", NULL, "A", "s"},
        {"bucket is a prefix", "bbbb:B:t\nA:s\n", "bbb", "A", "s"},
        {"colon in the key id", "bbb:a:b:t\n", "bbb", "a:b", "t"},
        {"= in the secret", "A:s=s=\n", "bbb", "A", "s=s="},
        {"/ and + in the secret", "A:s/+\n", "bbb", "A", "s/+"},
        {"pair of lines", "AWSAccessKeyId=A\nAWSSecretKey=s/+=\n", "bbb", "A", "s/+="},
        {"pair of lines, other order", "AWSSecretKey=s\n#x\nAWSAccessKeyId=A\n", "bbb", "A", "s"},
        {"pair before colon", "B:t\nAWSSecretKey=s\nAWSAccessKeyId=A\n", "bbb", "A", "s"},
    };
    struct aws_world *w = *state;
    w->args.passwd_file = w->passwd;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        CLEANUP_CREDENTIALS struct aws_credentials *c = NULL;
        struct s3_error error;

        aws_world_put_file(w, "passwd", 0600, rows[i].text);
        w->args.bucket = rows[i].bucket;
        if (run(w, &c, &error) < 0)
            fail_msg("%s: %s", rows[i].what, error.message);
        if (strcmp(c->access_key_id, rows[i].id) != 0 ||
            strcmp(c->secret_access_key, rows[i].secret) != 0)
            fail_msg("%s: '%s' '%s'", rows[i].what, c->access_key_id, c->secret_access_key);
    }
}

static void test_passwd_refusals(void **state)
{
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"", "holds no keys for bucket 'bbb'"},
        {"ccc:A:" SECRET "\n", "holds no keys for bucket 'bbb'"},
        {"A:" SECRET "\nB:" SECRET "\n", "/passwd:2: there are two lines for the same bucket"},
        {"bbb:A:s\nA:s\nbbb:A:s\n", "/passwd:3: there are two lines for the same bucket"},
        {"A: " SECRET "\n", "/passwd:1: white space inside a line"},
        {"#\n[default]\n", "/passwd:2: a [section]"},
        {"A" SECRET "\n", "/passwd:1: expected KEYID:SECRET"},
        {"A:\n", "there is an access key id but no secret"},
        {":" SECRET "\n", "there is a secret access key but no access key id"},
        {"AWSAccessKeyId=A\n", "there is an access key id but no secret"},
    };
    struct aws_world *w = *state;

    w->args.bucket = "bbb";
    w->args.passwd_file = w->passwd;
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        aws_world_put_file(w, "passwd", 0600, rows[i].text);
        assert_refused(w, S3_ERROR_CONFIG, rows[i].message);
    }
    unlink(w->passwd);
    assert_refused(w, S3_ERROR_CONFIG, "cannot read passwd_file");
    w->args.passwd_file = w->home;
    assert_refused(w, S3_ERROR_CONFIG, "is not a file");
}

/* s3fs' rule: nobody but the owner may do anything, and nobody may execute. */
static void test_passwd_modes(void **state)
{
    static const unsigned good[] = {0600, 0400};
    static const unsigned bad[] = {0640, 0604, 0644, 0660, 0620, 0610, 0700, 0601, 0602, 0777};
    struct aws_world *w = *state;
    char message[200];

    aws_world_put_file(w, "passwd", 0600, "A:s\n");
    w->args.passwd_file = w->passwd;
    for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
        assert_int_equal(chmod(w->passwd, good[i]), 0);
        assert_keys(w, "passwd-file", "A", "s", NULL);
    }
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        assert_int_equal(chmod(w->passwd, bad[i]), 0);
        snprintf(message, sizeof(message), "its mode is %04o: run chmod 600 '%s'", bad[i],
                 w->passwd);
        assert_refused(w, S3_ERROR_CONFIG, message);
    }
}

/* A file of s3fs that is too open is a reason to stop also in its default place. */
static void test_default_passwd_mode(void **state)
{
    struct aws_world *w = *state;

    aws_world_put_file(w, ".passwd-s3fs", 0644, "A:s\n");
    assert_refused(w, S3_ERROR_CONFIG, "/.passwd-s3fs holds secrets and its mode is 0644");
}

static void test_passwd_limits(void **state)
{
    struct aws_world *w = *state;
    FILE *f;

    aws_world_put_file(w, "passwd", 0600, "A:s\n");
    w->args.passwd_file = w->passwd;
    assert_int_equal(truncate(w->passwd, 65536), 0);
    assert_refused(w, S3_ERROR_CONFIG, "holds a NUL byte");
    assert_int_equal(truncate(w->passwd, 65537), 0);
    assert_refused(w, S3_ERROR_CONFIG, "larger than 65536 bytes");
    f = fopen(w->passwd, "w");
    assert_non_null(f);
    fputs("A:s\n", f);
    for (unsigned i = 4; i < 65536; i++)
        fputc('\n', f);
    assert_int_equal(fclose(f), 0);
    assert_keys(w, "passwd-file", "A", "s", NULL);
}

/* ---- renewing ---- */

/* Another tool writes new keys into the file; the server has refused the old ones. */
static void test_files_are_read_again(void **state)
{
    struct aws_world *w = *state;
    CLEANUP_CREDENTIALS struct aws_credentials *old = NULL, *same = NULL, *new = NULL;
    struct s3_error error;

    aws_world_put_file(w, ".aws/credentials", 0600,
                       "[default]\naws_access_key_id = OLD\naws_secret_access_key = s\n");
    CLEANUP_CONFIG struct aws_config *config = aws_world_config(w);
    CLEANUP_SOURCE struct aws_credentials_source *s = NULL;

    assert_int_equal(aws_credentials_source_new(config, NULL, &w->clock.clock, &s), 0);
    assert_int_equal(aws_credentials_source_get(s, &old, &error), 0);
    aws_world_put_file(w, ".aws/credentials", 0600,
                       "[default]\naws_access_key_id = NEW\naws_secret_access_key = s\n");
    assert_int_equal(aws_credentials_source_get(s, &same, &error), 0);
    assert_ptr_equal(same, old);
    aws_credentials_source_expire(s, old);
    assert_int_equal(aws_credentials_source_try_get(s, &new), -EAGAIN);
    assert_int_equal(aws_credentials_source_get(s, &new, &error), 0);
    assert_string_equal(new->access_key_id, "NEW");
    /* late news about the old keys change nothing */
    aws_credentials_source_expire(s, old);
    aws_credentials_unref(new);
    assert_int_equal(aws_credentials_source_try_get(s, &new), 0);
    assert_string_equal(new->access_key_id, "NEW");
}

/* ---- memory ---- */

static void test_secrets_are_wiped(void **state)
{
    static const char ini[] = "[default]\naws_access_key_id = A\n"
                              "aws_secret_access_key = " SECRET "\n"
                              "aws_session_token = " SECRET "\n";
    struct aws_world *w = *state;

    aws_world_put_file(w, ".aws/credentials", 0600, ini);
    aws_world_put_file(w, ".aws/config", 0600, ini);
    aws_world_put_file(w, "passwd", 0600, "A:" SECRET "\n");
    freed_with_secret = freed = 0;
    watching = true;
    assert_keys(w, "shared-file", "A", SECRET, SECRET);
    aws_world_put_file(w, ".aws/credentials", 0600, "");
    assert_keys(w, "config-file", "A", SECRET, SECRET);
    w->args.passwd_file = w->passwd;
    assert_keys(w, "passwd-file", "A", SECRET, NULL);
    w->args.access_key_id = "A";
    w->args.secret_access_key = SECRET;
    w->args.session_token = SECRET;
    assert_keys(w, "arguments", "A", SECRET, SECRET);
    watching = false;
    assert_true(freed > 50);
    assert_int_equal(freed_with_secret, 0);
}

static void test_out_of_memory(void **state)
{
    struct aws_world *w = *state;

    aws_world_put_file(w, "passwd", 0600, "A:s\n");
    aws_world_put_file(w, ".aws/credentials", 0600,
                       "[default]\naws_access_key_id = A\naws_secret_access_key = s\n");
    for (unsigned way = 0; way < 3; way++) {
        w->args.passwd_file = way == 0 ? w->passwd : NULL;
        w->args.no_sign_request = way == 2;
        CLEANUP_CONFIG struct aws_config *config = aws_world_config(w);

        for (long n = 0;; n++) {
            CLEANUP_SOURCE struct aws_credentials_source *s = NULL;
            CLEANUP_CREDENTIALS struct aws_credentials *c = NULL;
            int r;

            alloc_fail_begin(n);
            r = aws_credentials_source_new(config, NULL, &w->clock.clock, &s);
            if (r == 0)
                r = aws_credentials_source_get(s, &c, NULL);
            if (!alloc_fail_end()) {
                assert_int_equal(r, 0);
                assert_true(n >= 2);
                break;
            }
            assert_int_equal(r, -ENOMEM);
            assert_null(c);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AWS_WORLD_TEST(test_nothing_anywhere),
        AWS_WORLD_TEST(test_anonymous),
        AWS_WORLD_TEST(test_order),
        AWS_WORLD_TEST(test_profile_and_environment),
        AWS_WORLD_TEST(test_partial_keys),
        AWS_WORLD_TEST(test_keys_that_cannot_be_sent),
        AWS_WORLD_TEST(test_environment_expiry),
        AWS_WORLD_TEST(test_passwd_formats),
        AWS_WORLD_TEST(test_passwd_refusals),
        AWS_WORLD_TEST(test_passwd_modes),
        AWS_WORLD_TEST(test_default_passwd_mode),
        AWS_WORLD_TEST(test_passwd_limits),
        AWS_WORLD_TEST(test_files_are_read_again),
        AWS_WORLD_TEST(test_secrets_are_wiped),
        AWS_WORLD_TEST(test_out_of_memory),
    };

    return cmocka_run_group_tests_name("credentials", tests, NULL, NULL);
}
