/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/encode.h"
#include "base/error.h"

static void test_every_kind_has_name_and_errno(void **state)
{
    for (int i = 0; i < S3_ERROR_KIND_MAX; i++) {
        const char *name = s3_error_kind_name((enum s3_error_kind)i);
        assert_non_null(name);
        assert_true(strlen(name) > 0);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(name, s3_error_kind_name((enum s3_error_kind)k));
        int e = s3_error_errno((enum s3_error_kind)i);
        if (i == S3_ERROR_NONE)
            assert_int_equal(e, 0);
        else
            assert_true(e > 0);
    }
    assert_string_equal(s3_error_kind_name(S3_ERROR_KIND_MAX), "unknown");
    assert_string_equal(s3_error_kind_name((enum s3_error_kind) - 1), "unknown");
    assert_int_equal(s3_error_errno(S3_ERROR_KIND_MAX), EIO);
}

/* Only one kind may tell an application that a file is not there. */
static void test_only_a_missing_key_is_enoent(void **state)
{
    for (int i = 0; i < S3_ERROR_KIND_MAX; i++)
        if (i != S3_ERROR_NO_SUCH_KEY)
            assert_int_not_equal(s3_error_errno((enum s3_error_kind)i), ENOENT);
    assert_int_equal(s3_error_errno(S3_ERROR_NO_SUCH_KEY), ENOENT);
    assert_int_equal(s3_error_errno(S3_ERROR_PRECONDITION), ESTALE);
    assert_int_equal(s3_error_errno(S3_ERROR_ACCESS_DENIED), EACCES);
    assert_int_equal(s3_error_errno(S3_ERROR_QUOTA), ENOSPC);
    assert_int_equal(s3_error_errno(S3_ERROR_KEY_TOO_LONG), ENAMETOOLONG);
    assert_int_equal(s3_error_errno(S3_ERROR_TOO_LARGE), EFBIG);
    assert_int_equal(s3_error_errno(S3_ERROR_CANCELLED), EINTR);
    assert_int_equal(s3_error_errno(S3_ERROR_TIMEOUT), EIO);
    assert_int_equal(s3_error_errno(S3_ERROR_OUT_OF_MEMORY), ENOMEM);
}

static void test_kind_from_s3(void **state)
{
    static const struct {
        const char *code;
        int status;
        enum s3_error_kind kind;
    } CASES[] = {
        {"NoSuchKey", 404, S3_ERROR_NO_SUCH_KEY},
        {"NoSuchVersion", 404, S3_ERROR_NO_SUCH_KEY},
        {"NoSuchUpload", 404, S3_ERROR_NO_SUCH_UPLOAD},
        {"NoSuchBucket", 404, S3_ERROR_NO_SUCH_BUCKET},
        {"AccessDenied", 403, S3_ERROR_ACCESS_DENIED},
        {"SignatureDoesNotMatch", 403, S3_ERROR_BAD_CREDENTIALS},
        {"InvalidAccessKeyId", 403, S3_ERROR_BAD_CREDENTIALS},
        {"ExpiredToken", 400, S3_ERROR_EXPIRED_CREDENTIALS},
        {"RequestTimeTooSkewed", 403, S3_ERROR_CLOCK_SKEW},
        {"PermanentRedirect", 301, S3_ERROR_WRONG_REGION},
        {"AuthorizationHeaderMalformed", 400, S3_ERROR_WRONG_REGION},
        {"PreconditionFailed", 412, S3_ERROR_PRECONDITION},
        {"ConditionalRequestConflict", 409, S3_ERROR_CONFLICT},
        {"OperationAborted", 409, S3_ERROR_CONFLICT},
        {"BucketAlreadyOwnedByYou", 409, S3_ERROR_BUCKET_EXISTS},
        {"BucketNotEmpty", 409, S3_ERROR_BUCKET_NOT_EMPTY},
        {"InvalidRange", 416, S3_ERROR_BAD_RANGE},
        {"EntityTooLarge", 400, S3_ERROR_TOO_LARGE},
        {"KeyTooLongError", 400, S3_ERROR_KEY_TOO_LONG},
        {"InvalidObjectState", 403, S3_ERROR_ARCHIVED},
        {"QuotaExceeded", 403, S3_ERROR_QUOTA},
        {"NotImplemented", 501, S3_ERROR_UNSUPPORTED},
        {"SlowDown", 503, S3_ERROR_THROTTLED},
        {"ThrottlingException", 400, S3_ERROR_THROTTLED},
        {"InternalError", 500, S3_ERROR_SERVER},
        {"ServiceUnavailable", 503, S3_ERROR_SERVER},
        {"RequestTimeout", 400, S3_ERROR_TIMEOUT},
        {"BadDigest", 400, S3_ERROR_BAD_RESPONSE},
        {"InvalidBucketName", 400, S3_ERROR_INVALID},
        /* The error inside a 200 of CompleteMultipartUpload and CopyObject. */
        {"InternalError", 200, S3_ERROR_SERVER},
        {"SlowDown", 200, S3_ERROR_THROTTLED},
        {"SomethingNew", 200, S3_ERROR_BAD_RESPONSE},
        /* HEAD has no body. */
        {"", 301, S3_ERROR_WRONG_REGION},
        {"", 304, S3_ERROR_NOT_MODIFIED},
        {"", 400, S3_ERROR_INVALID},
        {"", 403, S3_ERROR_ACCESS_DENIED},
        {"", 404, S3_ERROR_NO_SUCH_KEY},
        {NULL, 404, S3_ERROR_NO_SUCH_KEY},
        {"", 405, S3_ERROR_UNSUPPORTED},
        {"", 409, S3_ERROR_CONFLICT},
        {"", 412, S3_ERROR_PRECONDITION},
        {"", 416, S3_ERROR_BAD_RANGE},
        {"", 429, S3_ERROR_THROTTLED},
        {"", 500, S3_ERROR_SERVER},
        {"", 503, S3_ERROR_SERVER},
        {"", 507, S3_ERROR_QUOTA},
        {"", 599, S3_ERROR_SERVER},
        /* Unknown codes count by status, except where that would claim too much. */
        {"SomethingNew", 400, S3_ERROR_INVALID},
        {"SomethingNew", 500, S3_ERROR_SERVER},
        {"NoSuchTagSet", 404, S3_ERROR_INVALID},
        {"InvalidBucketState", 409, S3_ERROR_INVALID},
        {"nosuchkey", 404, S3_ERROR_INVALID},
        /* What is no error answer at all. */
        {"", 0, S3_ERROR_BAD_RESPONSE},
        {"", 200, S3_ERROR_BAD_RESPONSE},
        {"", -5, S3_ERROR_BAD_RESPONSE},
        {"", 777, S3_ERROR_BAD_RESPONSE},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++)
        assert_string_equal(
            s3_error_kind_name(s3_error_kind_from_s3(CASES[i].code, CASES[i].status)),
            s3_error_kind_name(CASES[i].kind));
}

static void test_set(void **state)
{
    struct s3_error e = {.http_status = 500, .tries = 7, .code = "Old", .request_id = "R"};
    assert_int_equal(s3_error_set(&e, S3_ERROR_CONNECT, "cannot reach '%s'", "host"), -EIO);
    assert_int_equal(e.kind, S3_ERROR_CONNECT);
    assert_int_equal(e.http_status, 0);
    assert_int_equal(e.tries, 0);
    assert_string_equal(e.code, "");
    assert_string_equal(e.request_id, "");
    assert_string_equal(e.message, "cannot reach 'host'");

    assert_int_equal(s3_error_set(&e, S3_ERROR_TLS, "again: %s", e.message), -EIO);
    assert_string_equal(e.message, "again: cannot reach 'host'");
    assert_int_equal(s3_error_set(NULL, S3_ERROR_NO_SUCH_KEY, "%d", 1), -ENOENT);
    assert_int_equal(s3_error_set(&e, S3_ERROR_NONE, "fine"), 0);
}

static void test_long_messages_are_cut_between_characters(void **state)
{
    char text[2000];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 4 < sizeof(text); i += 4)
            memcpy(text + i, "\xf0\x9f\x98\x80", 5);
        struct s3_error e;
        s3_error_set(&e, S3_ERROR_CONFIG, "%s", text);
        size_t len = strlen(e.message);
        assert_true(len < sizeof(e.message) && len >= sizeof(e.message) - 4);
        assert_true(utf8_valid(e.message, len));
    }
    /* Bytes that are no UTF-8 at all are cut without reading before the start. */
    memset(text, 0x80, sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct s3_error e;
    s3_error_set(&e, S3_ERROR_CONFIG, "%s", text);
    assert_int_equal(strlen(e.message), sizeof(e.message) - 1);
}

static void test_describe(void **state)
{
    char buf[1024];
    struct s3_error e = {
        .kind = S3_ERROR_NO_SUCH_KEY,
        .http_status = 404,
        .tries = 1,
        .code = "NoSuchKey",
        .request_id = "ABC",
        .operation = "GetObject",
        .message = "message",
    };
    assert_string_equal(s3_error_describe(&e, buf, sizeof(buf)),
                        "GetObject: NoSuchKey (404), request ABC: message");
    e.tries = 3;
    assert_string_equal(s3_error_describe(&e, buf, sizeof(buf)),
                        "GetObject: NoSuchKey (404), request ABC, 3 tries: message");
    e = (struct s3_error){.kind = S3_ERROR_CONNECT, .message = "no route"};
    assert_string_equal(s3_error_describe(&e, buf, sizeof(buf)), "connect: no route");
    e = (struct s3_error){.kind = S3_ERROR_TIMEOUT, .operation = "HeadBucket"};
    assert_string_equal(s3_error_describe(&e, buf, sizeof(buf)), "HeadBucket: timeout");

    assert_string_equal(s3_error_describe(&e, buf, 5), "Head");
    assert_string_equal(s3_error_describe(&e, buf, 1), "");
    memset(buf, 'x', 4);
    assert_string_equal(s3_error_describe(&e, buf, 0), "");
    assert_int_equal(buf[0], 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_has_name_and_errno),
        cmocka_unit_test(test_only_a_missing_key_is_enoent),
        cmocka_unit_test(test_kind_from_s3),
        cmocka_unit_test(test_set),
        cmocka_unit_test(test_long_messages_are_cut_between_characters),
        cmocka_unit_test(test_describe),
    };
    return cmocka_run_group_tests_name("error", tests, NULL, NULL);
}
