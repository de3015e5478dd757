/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc_fail.h"
#include "aws/profile.h"
#include "base/attr.h"
#include "base/cleanup.h"
#include "base/limits.h"

DEFINE_CLEANUP(cleanup_profile, struct aws_profile_file *, aws_profile_free)

#define CLEANUP_PROFILE CLEANUP(cleanup_profile)

static struct aws_profile_file *parse(enum aws_profile_kind kind, const char *text)
{
    struct aws_profile_file *f = NULL;
    struct s3_error error = {0};
    int r;

    assert_int_equal(aws_profile_new(&f), 0);
    r = aws_profile_parse(f, kind, "FILE", text, strlen(text), &error);
    if (r < 0)
        fail_msg("%s", error.message);
    return f;
}

static void add(struct aws_profile_file *f, enum aws_profile_kind kind, const char *text)
{
    assert_int_equal(aws_profile_parse(f, kind, "FILE", text, strlen(text), NULL), 0);
}

static void assert_value(const struct aws_profile_file *f, const char *profile, const char *nested,
                         const char *key, const char *expected)
{
    const char *v = aws_profile_get(f, profile, nested, key);

    if (!expected) {
        if (v)
            fail_msg("%s/%s/%s is there: '%s'", profile, nested ? nested : "", key, v);
        return;
    }
    if (!v)
        fail_msg("%s/%s/%s is not there", profile, nested ? nested : "", key);
    assert_string_equal(v, expected);
}

/* One row: a text, and what one lookup in it gives. */
struct row {
    const char *what;
    enum aws_profile_kind kind;
    const char *text;
    const char *profile, *nested, *key;
    const char *expected; /* NULL = not there */
};

#define CFG AWS_PROFILE_CONFIG
#define CRD AWS_PROFILE_CREDENTIALS

static const struct row rows[] = {
    /* sections */
    {"empty file", CFG, "", "default", NULL, "a", NULL},
    {"section with prefix", CFG, "[profile x]\na = 1\n", "x", NULL, "a", "1"},
    {"no prefix in config: not a profile", CFG, "[x]\na = 1\n", "x", NULL, "a", NULL},
    {"no prefix in credentials", CRD, "[x]\na = 1\n", "x", NULL, "a", "1"},
    {"prefix in credentials is part of the name", CRD, "[profile x]\na = 1\n", "x", NULL, "a",
     NULL},
    {"default", CFG, "[default]\na = 1\n", "default", NULL, "a", "1"},
    {"profile default", CFG, "[profile default]\na = 1\n", "default", NULL, "a", "1"},
    {"profile default first", CFG, "[profile default]\na=1\n[default]\na=2\nb=2\n", "default", NULL,
     "a", "1"},
    {"default is dropped whole", CFG, "[profile default]\na=1\n[default]\na=2\nb=2\n", "default",
     NULL, "b", NULL},
    {"profile default last", CFG, "[default]\na=2\nb=2\n[profile default]\na=1\n", "default", NULL,
     "a", "1"},
    {"default dropped whole, last", CFG, "[default]\nb=2\n[profile default]\na=1\n", "default",
     NULL, "b", NULL},
    {"default dropped with its blocks", CFG, "[default]\ns3=\n  b=2\n[profile default]\na=1\n",
     "default", "s3", "b", NULL},
    {"space around the name", CFG, "[  profile \t x\t]\na=1\n", "x", NULL, "a", "1"},
    {"tab after profile", CFG, "[profile\tx]\na=1\n", "x", NULL, "a", "1"},
    {"double quotes", CFG, "[profile \"my x\"]\na=1\n", "my x", NULL, "a", "1"},
    {"single quotes", CFG, "[profile 'my x']\na=1\n", "my x", NULL, "a", "1"},
    {"quotes without space before", CFG, "[profile\"x\"]\na=1\n", "x", NULL, "a", "1"},
    {"unquoted space: skipped", CFG, "[profile my x]\na=1\n[default]\nb=2\n", "my x", NULL, "a",
     NULL},
    {"after a skipped one", CFG, "[profile my x]\na=1\n[default]\nb=2\n", "default", NULL, "b",
     "2"},
    {"unbalanced quote: skipped", CFG, "[profile \"x]\na=1\n", "x", NULL, "a", NULL},
    {"profilex is another kind", CFG, "[profilex]\na=1\n", "x", NULL, "a", NULL},
    {"names keep their case", CFG, "[profile X]\na=1\n", "x", NULL, "a", NULL},
    {"sso-session is not a profile", CFG, "[sso-session x]\na=1\n", "x", NULL, "a", NULL},
    {"comment after ]", CFG, "[profile x] # a=2 ]\na=1\n", "x", NULL, "a", "1"},
    {"; comment after ]", CFG, "[profile x];a=2\na=1\n", "x", NULL, "a", "1"},
    {"same section twice: first key", CFG, "[profile x]\na=1\n[profile y]\na=2\n[profile x]\nb=3",
     "x", NULL, "a", "1"},
    {"same section twice: second key", CFG, "[profile x]\na=1\n[profile y]\na=2\n[profile x]\nb=3",
     "x", NULL, "b", "3"},
    {"space in a credentials name", CRD, "[ my x ]\na=1\n", "my x", NULL, "a", "1"},
    /* keys and values */
    {"no spaces", CFG, "[default]\na=1", "default", NULL, "a", "1"},
    {"spaces and tabs", CFG, "[default]\na\t = \t1 \t\n", "default", NULL, "a", "1"},
    {"= inside a value", CFG, "[default]\na = b=c==\n", "default", NULL, "a", "b=c=="},
    {"colon", CFG, "[default]\na: b\n", "default", NULL, "a", "b"},
    {"colon and =", CFG, "[default]\na = http://x:1\n", "default", NULL, "a", "http://x:1"},
    {"keys without case", CFG, "[default]\nAWS_Access_Key_ID = A\n", "default", NULL,
     "aws_access_key_id", "A"},
    {"lookup without case", CFG, "[default]\nregion = A\n", "default", NULL, "REGION", "A"},
    {"last of two wins", CFG, "[default]\na=1\na=2\n", "default", NULL, "a", "2"},
    {"last of two, other case", CFG, "[default]\na=1\nA=2\n", "default", NULL, "a", "2"},
    {"empty value", CFG, "[default]\na =\nb = 1\n", "default", NULL, "a", ""},
    {"after an empty value", CFG, "[default]\na =\nb = 1\n", "default", NULL, "b", "1"},
    {"quotes are part of a value", CFG, "[default]\na = \"1\"\n", "default", NULL, "a", "\"1\""},
    {"UTF-8", CFG, "[profile \xc3\xa4]\na = \xe2\x82\xac\n", "\xc3\xa4", NULL, "a", "\xe2\x82\xac"},
    {"indented keys", CFG, "[default]\n  a = 1\n  b = 2\n", "default", NULL, "b", "2"},
    {"indented section", CFG, "  [default]\na = 1\n", "default", NULL, "a", "1"},
    {"key with less indentation", CFG, "[default]\n  a = 1\nb = 2\n", "default", NULL, "b", "2"},
    {"continued value", CFG, "[default]\na = 1\n  2\n\t3 \nb = 4\n", "default", NULL, "a",
     "1\n2\n3"},
    {"continued value looks like a key", CFG, "[default]\na = 1\n  b = 2\n", "default", NULL, "a",
     "1\nb = 2"},
    /* comments, line ends */
    {"# line", CFG, "# x\n[default]\n#a=2\na=1\n", "default", NULL, "a", "1"},
    {"; line", CFG, "[default]\n;a=2\na=1\n  ; b\n", "default", NULL, "a", "1"},
    {"indented # line", CFG, "[default]\na=1\n  # x\n", "default", NULL, "a", "1"},
    {"# after white space", CFG, "[default]\na = 1 # x\n", "default", NULL, "a", "1"},
    {"; after a tab", CFG, "[default]\na = 1\t; x\n", "default", NULL, "a", "1"},
    {"# inside a value", CFG, "[default]\na = 1#2;3\n", "default", NULL, "a", "1#2;3"},
    {"# first in a value", CFG, "[default]\na =#2\n", "default", NULL, "a", "#2"},
    {"only a comment as value", CFG, "[default]\na = # x\nb=1\n", "default", NULL, "a", ""},
    {"CRLF", CFG, "[default]\r\na = 1\r\ns3 =\r\n  b = 2\r\n", "default", NULL, "a", "1"},
    {"CRLF, nested", CFG, "[default]\r\na = 1\r\ns3 =\r\n  b = 2\r\n", "default", "s3", "b", "2"},
    {"BOM", CFG, "\xef\xbb\xbf[default]\na = 1\n", "default", NULL, "a", "1"},
    {"no line end", CFG, "[default]\na = 1", "default", NULL, "a", "1"},
    {"blank lines", CFG, "\n\n[default]\n\n  \t\na = 1\n\n", "default", NULL, "a", "1"},
    /* blocks */
    {"nested", CFG, "[default]\ns3 =\n  a = 1\n  b = 2\n", "default", "s3", "b", "2"},
    {"nested: not a plain key", CFG, "[default]\ns3 =\n  a = 1\n", "default", NULL, "a", NULL},
    {"plain after nested", CFG, "[default]\ns3 =\n  a = 1\nb = 2\n", "default", NULL, "b", "2"},
    {"nested without case", CFG, "[default]\nS3 =\n  A = 1\n", "default", "s3", "a", "1"},
    {"nested comment and blank", CFG, "[default]\ns3 =\n\n  # x\n  a = 1 ; y\n\n  b = 2\n",
     "default", "s3", "b", "2"},
    {"nested comment after value", CFG, "[default]\ns3 =\n  a = 1 ; y\n", "default", "s3", "a",
     "1"},
    {"nested in an indented section", CFG, "[default]\n  s3 =\n    a = 1\n  b = 2\n", "default",
     "s3", "a", "1"},
    {"plain after that", CFG, "[default]\n  s3 =\n    a = 1\n  b = 2\n", "default", NULL, "b", "2"},
    {"nested, deeper", CFG, "[default]\ns3 =\n  a = 1\n      b = 2\n", "default", "s3", "b", "2"},
    {"nested, last wins", CFG, "[default]\ns3 =\n  a = 1\n  a = 2\n", "default", "s3", "a", "2"},
    {"nested, empty", CFG, "[default]\ns3 =\n  a =\n", "default", "s3", "a", ""},
    {"two blocks", CFG, "[default]\ns3 =\n  a = 1\ns3api =\n  a = 2\n", "default", "s3", "a", "1"},
    {"skipped section's block", CFG, "[sso-session x]\ns3 =\n  a = 1\n[default]\na=1", "x", "s3",
     "a", NULL},
};

static void test_rows(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        const struct row *r = &rows[i];
        CLEANUP_PROFILE struct aws_profile_file *f = parse(r->kind, r->text);
        const char *v = aws_profile_get(f, r->profile, r->nested, r->key);

        if (!v != !r->expected || (v && strcmp(v, r->expected) != 0))
            fail_msg("%s: '%s' instead of '%s'", r->what, v ? v : "(none)",
                     r->expected ? r->expected : "(none)");
    }
}

static const struct {
    const char *text;
    const char *message;
} errors[] = {
    {"a = 1\n", "FILE:1: a setting before the first [section]"},
    {"[default\na = 1\n", "FILE:1: this section's ']' is missing"},
    {"[default]\n\n# x\nsecret\n", "FILE:4: neither a [section] nor a line 'key = value'"},
    {"[default]\n= secret\n", "FILE:2: neither a [section] nor a line 'key = value'"},
    {"[default] x\n", "FILE:1: only a comment may follow the ']' of a section"},
    {"[default]\ns3 =\n  secret\n", "FILE:3: this indented line has no '='"},
    {"[sso-session x]\nsecret\n", "FILE:2: neither a [section] nor a line 'key = value'"},
};

static void test_errors_name_the_line(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        CLEANUP_PROFILE struct aws_profile_file *f = NULL;
        struct s3_error error = {0};

        assert_int_equal(aws_profile_new(&f), 0);
        assert_true(
            aws_profile_parse(f, CFG, "FILE", errors[i].text, strlen(errors[i].text), &error) < 0);
        assert_int_equal(error.kind, S3_ERROR_CONFIG);
        assert_string_equal(error.message, errors[i].message);
    }
}

static void test_nul_byte(void **state)
{
    static const char text[] = "[default]\na = 1\0002\n";
    CLEANUP_PROFILE struct aws_profile_file *f = NULL;
    struct s3_error error = {0};

    assert_int_equal(aws_profile_new(&f), 0);
    assert_true(aws_profile_parse(f, CFG, "FILE", text, sizeof(text) - 1, &error) < 0);
    assert_string_equal(error.message, "FILE:2: the line holds a NUL byte; is this a text file?");
}

/* ---- merging ---- */

static void test_credentials_win_per_key(void **state)
{
    CLEANUP_PROFILE struct aws_profile_file *f =
        parse(CRD, "[x]\naws_access_key_id = A\nregion = r1\ns3 =\n  a = 1\n");

    add(f, CFG,
        "[profile x]\naws_access_key_id = B\naws_secret_access_key = S\nregion = r2\n"
        "output = json\ns3 =\n  a = 2\n  b = 3\n");
    assert_value(f, "x", NULL, "aws_access_key_id", "A");
    assert_value(f, "x", NULL, "region", "r1");
    assert_value(f, "x", NULL, "output", "json");
    assert_value(f, "x", "s3", "a", "1");
    assert_value(f, "x", "s3", "b", "3");
}

static void test_default_rules_survive_merging(void **state)
{
    CLEANUP_PROFILE struct aws_profile_file *f = parse(CRD, "[default]\na = cred\n");

    add(f, CFG,
        "[default]\na = plain\nb = plain\n[profile default]\nc = prefixed\n[default]\n"
        "d = plain\n");
    assert_value(f, "default", NULL, "a", "cred");
    assert_value(f, "default", NULL, "b", NULL);
    assert_value(f, "default", NULL, "c", "prefixed");
    assert_value(f, "default", NULL, "d", NULL);
}

static void test_exists(void **state)
{
    CLEANUP_PROFILE struct aws_profile_file *f =
        parse(CFG, "[profile x]\n[services y]\n[sso-session z]\n[profile w]\na=1\n");

    assert_true(aws_profile_exists(f, "x"));
    assert_true(aws_profile_exists(f, "w"));
    assert_false(aws_profile_exists(f, "y"));
    assert_false(aws_profile_exists(f, "z"));
    assert_false(aws_profile_exists(f, "default"));
    assert_false(aws_profile_exists(f, ""));
}

static void test_services(void **state)
{
    CLEANUP_PROFILE struct aws_profile_file *f = parse(
        CFG, "[profile x]\nservices = local\n[services local]\ns3 =\n  endpoint_url = http://l:1\n"
             "ec2 =\n  endpoint_url = http://l:2\n");

    assert_value(f, "x", NULL, "services", "local");
    assert_string_equal(aws_profile_get_service(f, "local", "s3", "endpoint_url"), "http://l:1");
    assert_null(aws_profile_get_service(f, "x", "s3", "endpoint_url"));
    assert_null(aws_profile_get_service(f, "local", "s3", "b"));
    assert_value(f, "local", "s3", "endpoint_url", NULL);
}

/* ---- limits ---- */

static char *repeat(const char *head, char c, size_t n, const char *tail)
{
    size_t head_len = strlen(head), tail_len = strlen(tail);
    char *s = malloc(head_len + n + tail_len + 1);

    assert_non_null(s);
    memcpy(s, head, head_len);
    memset(s + head_len, c, n);
    memcpy(s + head_len + n, tail, tail_len + 1);
    return s;
}

static void test_longest_line(void **state)
{
    const size_t n = LIMIT_INI_LINE - strlen("a = ");
    CLEANUP_FREE char *fits = repeat("[default]\na = ", 'v', n, "\n");
    CLEANUP_FREE char *too_long = repeat("[default]\na = ", 'v', n + 1, "\n");
    CLEANUP_PROFILE struct aws_profile_file *f = parse(CFG, fits);
    struct s3_error error = {0};

    assert_int_equal(strlen(aws_profile_get(f, "default", NULL, "a")), n);
    assert_true(aws_profile_parse(f, CFG, "FILE", too_long, strlen(too_long), &error) < 0);
    assert_string_equal(error.message, "FILE:2: the line is too long");
}

static void test_long_names_do_not_fail(void **state)
{
    const size_t n = LIMIT_INI_LINE - 100;
    CLEANUP_FREE char *name = repeat("", 'n', n, "");
    CLEANUP_FREE char *section = repeat("[profile ", 'n', n, "]\n");
    CLEANUP_FREE char *key = repeat("", 'k', n, " =\n");
    CLEANUP_FREE char *nested = repeat(" ", 'm', n, " = 1\n");
    CLEANUP_FREE char *text = malloc(3 * LIMIT_INI_LINE);

    snprintf(text, 3 * LIMIT_INI_LINE, "%s%s%s", section, key, nested);
    CLEANUP_PROFILE struct aws_profile_file *f = parse(CFG, text);

    key[n] = '\0';
    nested[1 + n] = '\0';
    assert_value(f, name, key, nested + 1, "1");
}

static void test_file_too_large(void **state)
{
    CLEANUP_FREE char *text = repeat("[default]\n", '\n', LIMIT_INI_FILE, "");
    CLEANUP_PROFILE struct aws_profile_file *f = NULL;
    struct s3_error error = {0};

    assert_int_equal(aws_profile_new(&f), 0);
    assert_true(aws_profile_parse(f, CFG, "FILE", text, strlen(text), &error) < 0);
    assert_non_null(strstr(error.message, "FILE: larger than 1048576 bytes"));
    assert_int_equal(aws_profile_parse(f, CFG, "FILE", text, LIMIT_INI_FILE, NULL), 0);
}

/* A file full of keys must cost time in proportion to its size; a quadratic parser would need
 * hours here and run into the test's timeout. */
static void test_many_keys(void **state)
{
    CLEANUP_FREE char *text = malloc(LIMIT_INI_FILE);
    size_t len = 0;
    unsigned n = 0;
    char last[16];

    len += (size_t)snprintf(text, LIMIT_INI_FILE, "[default]\n");
    while (len + 16 < LIMIT_INI_FILE)
        len += (size_t)snprintf(text + len, LIMIT_INI_FILE - len, "%x=1\n", n++);
    CLEANUP_PROFILE struct aws_profile_file *f = parse(CFG, text);

    snprintf(last, sizeof(last), "%x", n - 1);
    assert_in_range(n, 100000, 300000);
    assert_value(f, "default", NULL, last, "1");
}

/* ---- files ---- */

static void test_read(void **state)
{
    char path[] = "/tmp/pailfs-profile-XXXXXX";
    static const char text[] = "[x]\na = 1\nbad\n";
    int fd = mkstemp(path);
    CLEANUP_PROFILE struct aws_profile_file *f = NULL;
    struct s3_error error = {0};
    char expected[100];

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    assert_int_equal(aws_profile_new(&f), 0);
    assert_true(aws_profile_read(f, CRD, path, &error) < 0);
    snprintf(expected, sizeof(expected), "%s:3: ", path);
    assert_memory_equal(error.message, expected, strlen(expected));
    assert_int_equal(truncate(path, 10), 0);
    assert_int_equal(aws_profile_read(f, CRD, path, &error), 0);
    assert_value(f, "x", NULL, "a", "1");
    unlink(path);
    /* gone, and below something that is no folder: both are "no file" */
    assert_int_equal(aws_profile_read(f, CRD, path, &error), 0);
    assert_int_equal(aws_profile_read(f, CRD, "/dev/null/config", &error), 0);
    assert_int_equal(aws_profile_read(f, CRD, "/dev/null", &error), 0);
}

static void test_read_folder(void **state)
{
    CLEANUP_PROFILE struct aws_profile_file *f = NULL;
    struct s3_error error = {0};

    assert_int_equal(aws_profile_new(&f), 0);
    assert_true(aws_profile_read(f, CRD, "/", &error) < 0);
    assert_int_equal(error.kind, S3_ERROR_CONFIG);
    assert_string_equal(error.message, "cannot read /: Is a directory");
}

static int parse_under_pressure(struct aws_profile_file **f)
{
    static const char text[] = "[default]\na = 1\na = 2\ns3 =\n  b = 3\n[profile default]\n"
                               "c = 4\n  more\n[services x]\ns3 =\n  d = 5\n";
    int r = aws_profile_new(f);

    if (r < 0)
        return r;
    return aws_profile_parse(*f, CFG, "FILE", text, strlen(text), NULL);
}

static void test_out_of_memory(void **state)
{
    CLEANUP_PROFILE struct aws_profile_file *f = NULL;
    long n = 0;
    int r;

    for (;; n++) {
        alloc_fail_begin(n);
        r = parse_under_pressure(&f);
        if (!alloc_fail_end())
            break;
        assert_int_equal(r, -ENOMEM);
        aws_profile_free(f);
        f = NULL;
    }
    assert_int_equal(r, 0);
    assert_true(n > 5);
    assert_value(f, "default", NULL, "c", "4\nmore");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_errors_name_the_line),
        cmocka_unit_test(test_nul_byte),
        cmocka_unit_test(test_credentials_win_per_key),
        cmocka_unit_test(test_default_rules_survive_merging),
        cmocka_unit_test(test_exists),
        cmocka_unit_test(test_services),
        cmocka_unit_test(test_longest_line),
        cmocka_unit_test(test_long_names_do_not_fail),
        cmocka_unit_test(test_file_too_large),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_folder),
        cmocka_unit_test(test_out_of_memory),
    };

    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
