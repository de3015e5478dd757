/* SPDX-License-Identifier: Apache-2.0 */
/* Profile files of any bytes: the parser ends, says where it stumbled without quoting the file,
 * and finds the same things when the text is read twice. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "aws/profile.h"
#include "base/attr.h"
#include "fuzz.h"

const char *const fuzz_seeds[] = {
    "",
    "[default]\nregion = eu-west-1\n",
    "[profile x]\naws_access_key_id = A\naws_secret_access_key = s # c\n\n[profile \"y z\"]\n",
    "[default]\r\ns3 =\r\n  a = 1\r\n  b: 2 ; c\r\nregion=r\r\n",
    "\xef\xbb\xbf[profile default]\na = 1\n  more\n  = more\n[default]\na = 2\ns3=\n\ta=1\n",
    "[services l]\ns3 =\n  endpoint_url = http://h:1\n[sso-session q]\na = b\n",
    "# c\n; c\n  [x]\n  a = 1\n  s3 =\n    a = 2\nb = 3\n[a]b\n",
    NULL,
};

static const char *const profiles[] = {"default", "x", "y z", "l"};
static const char *const blocks[] = {NULL, "s3"};
static const char *const keys[] = {"a", "region", "aws_secret_access_key", ""};

static void check_error(int r, const struct s3_error *error)
{
    FUZZ_CHECK(r == 0 || error->kind == S3_ERROR_CONFIG);
    if (r == 0)
        return;
    FUZZ_CHECK(strncmp(error->message, "FILE:", 5) == 0);
    /* the messages are all ours: nothing but printable ASCII */
    for (const char *p = error->message; *p; p++)
        FUZZ_CHECK(*p >= ' ' && *p <= '~');
}

static bool same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static void compare(const struct aws_profile_file *f, const struct aws_profile_file *g)
{
    for (size_t p = 0; p < ARRAY_SIZE(profiles); p++) {
        FUZZ_CHECK(aws_profile_exists(f, profiles[p]) == aws_profile_exists(g, profiles[p]));
        for (size_t b = 0; b < ARRAY_SIZE(blocks); b++)
            for (size_t k = 0; k < ARRAY_SIZE(keys); k++) {
                const char *v = aws_profile_get(f, profiles[p], blocks[b], keys[k]);

                FUZZ_CHECK(same(v, aws_profile_get(g, profiles[p], blocks[b], keys[k])));
                FUZZ_CHECK(!v || aws_profile_exists(f, profiles[p]));
            }
    }
}

static void run(enum aws_profile_kind kind, const char *text, size_t size)
{
    struct aws_profile_file *once = NULL, *twice = NULL;
    struct s3_error error = {0};
    int r;

    FUZZ_CHECK(aws_profile_new(&once) == 0 && aws_profile_new(&twice) == 0);
    r = aws_profile_parse(once, kind, "FILE", text, size, &error);
    check_error(r, &error);
    aws_profile_parse(twice, kind, "FILE", text, size, NULL);
    FUZZ_CHECK(aws_profile_parse(twice, kind, "FILE", text, size, NULL) == r);
    if (r == 0)
        compare(once, twice);
    aws_profile_free(once);
    aws_profile_free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* a block of its own, so that reading past the end is seen */
    char *text = malloc(size ? size : 1);

    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    run(AWS_PROFILE_CONFIG, text, size);
    run(AWS_PROFILE_CREDENTIALS, text, size);
    free(text);
    return 0;
}
