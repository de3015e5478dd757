/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <sys/stat.h>

#include "base/attr.h"
#include "meta/attrs.h"

#define READ(...)                                                                                  \
    ({                                                                                             \
        const struct store_metadata read_m[] = {__VA_ARGS__};                                      \
        struct posix_attrs read_a;                                                                 \
        attrs_read(read_m, ARRAY_SIZE(read_m), &read_a);                                           \
        read_a;                                                                                    \
    })

static const char *value_of(const struct store_metadata *m, size_t n, const char *name)
{
    const char *found = NULL;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(m[i].name, name) == 0) {
            assert_null(found); /* a name once only */
            found = m[i].value;
        }
    }
    return found;
}

static void test_s3fs(void **state)
{
    struct posix_attrs a =
        READ({"mode", "33188"}, {"uid", "1000"}, {"gid", "100"}, {"mtime", "1700000000.000000005"},
             {"atime", "1700000001"}, {"ctime", "1700000002.500000000"});
    assert_int_equal(a.have, POSIX_MODE | POSIX_TYPE | POSIX_UID | POSIX_GID | POSIX_MTIME |
                                 POSIX_ATIME | POSIX_CTIME);
    assert_int_equal(a.mode, S_IFREG | 0644);
    assert_int_equal(a.uid, 1000);
    assert_int_equal(a.gid, 100);
    assert_true(a.mtime_ns == 1700000000000000005);
    assert_true(a.atime_ns == 1700000001000000000);
    assert_true(a.ctime_ns == 1700000002500000000);

    a = READ({"permissions", "33261"}, {"owner", "7"}, {"group", "8"});
    assert_int_equal(a.mode, S_IFREG | 0755);
    assert_int_equal(a.uid, 7);
    assert_int_equal(a.gid, 8);
}

static void test_others(void **state)
{
    struct posix_attrs a =
        READ({"file-permissions", "0100640"}, {"file-owner", "500"}, {"file-group", "501"},
             {"file-mtime", "1595002920000000001ns"}, {"file-atime", "1595002920123ms"});
    assert_int_equal(a.mode, S_IFREG | 0640);
    assert_int_equal(a.uid, 500);
    assert_int_equal(a.gid, 501);
    assert_true(a.mtime_ns == 1595002920000000001);
    assert_true(a.atime_ns == 1595002920123000000);

    a = READ({"mtime", "1700000000.25"}); /* rclone */
    assert_int_equal(a.have, POSIX_MTIME);
    assert_true(a.mtime_ns == 1700000000250000000);
    a = READ({"mtime", "-0.5"});
    assert_true(a.mtime_ns == -500000000);
    a = READ({"mode", "0100755"}); /* rclone's octal */
    assert_int_equal(a.mode, S_IFREG | 0755);

    a = READ({"goog-reserved-posix-mode", "755"}, {"goog-reserved-posix-uid", "3"});
    assert_int_equal(a.have, POSIX_MODE | POSIX_UID);
    assert_int_equal(a.mode, 0755);

    a = READ({"s3cmd-attrs", "atime:1700000003/ctime:1/gid:5/gname:x/md5:abc/mode:33206/"
                             "mtime:1700000004/uid:6/uname:y"});
    assert_int_equal(a.mode, S_IFREG | 0666);
    assert_int_equal(a.uid, 6);
    assert_int_equal(a.gid, 5);
    assert_true(a.mtime_ns == 1700000004000000000);
}

static void test_dates(void **state)
{
    static const struct {
        const char *text;
        int64_t ns;
    } dates[] = {
        {"2023-11-14T22:13:20Z", INT64_C(1700000000000000000)},
        {"2023-11-14T22:13:20.5Z", INT64_C(1700000000500000000)},
        {"2023-11-14T22:13:20.123456789Z", INT64_C(1700000000123456789)},
        {"2023-11-14T23:43:20.000000001+01:30", INT64_C(1700000000000000001)},
        {"2023-11-14T17:13:20-05:00", INT64_C(1700000000000000000)},
    };
    for (size_t i = 0; i < ARRAY_SIZE(dates); i++) {
        struct posix_attrs a = READ({"mtime", dates[i].text});
        assert_int_equal(a.have, POSIX_MTIME);
        if (a.mtime_ns != dates[i].ns)
            fail_msg("'%s' was read as %lld", dates[i].text, (long long)a.mtime_ns);
    }
    static const char *const bad[] = {"T", "2023-11-14T22:13:20", "2023-11-14T22:13:20+1:00",
                                      "2023-11-14T22:13:20+01:99", "2023-13-14T22:13:20Z"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
        assert_int_equal(READ({"mtime", bad[i]}).have, 0);
}

static bool flag_of(const char *name, const char *value, const char *flag)
{
    const struct store_metadata m[] = {{name, value}, {ATTRS_DIRECTORY_FLAG, flag}};
    return attrs_directory_flag(m, flag ? 2 : 1);
}

/* Markers of s3fs, DataSync and FSx say that there are attributes below; those of others do not. */
static void test_directory_flag(void **state)
{
    assert_true(flag_of("mode", "16877", NULL));
    assert_true(flag_of("file-permissions", "040755", NULL));
    assert_true(flag_of("mode", "16877", "1"));
    assert_false(flag_of("mode", "16877", "0"));
    assert_false(flag_of("mtime", "1700000000.5", NULL)); /* rclone's */
    assert_false(flag_of("color", "blue", NULL));
    struct posix_attrs dir = {.have = POSIX_MODE, .mode = S_IFDIR | 0755, .directory = true};
    CLEANUP_ARENA struct arena arena = ARENA_INIT(4096);
    const struct store_metadata *m;
    size_t n;
    assert_int_equal(attrs_write(&dir, false, NULL, 0, &arena, &m, &n), 0);
    assert_false(attrs_directory_flag(m, n));
    assert_int_equal(attrs_write(&dir, true, m, n, &arena, &m, &n), 0);
    assert_true(attrs_directory_flag(m, n));
    assert_string_equal(value_of(m, n, ATTRS_DIRECTORY_FLAG), "1");
}

static void test_first_dialect_wins(void **state)
{
    struct posix_attrs a =
        READ({"s3cmd-attrs", "mode:33206/uid:1"}, {"file-permissions", "0600"}, {"mode", "420"});
    assert_int_equal(a.mode & 07777, 0644);     /* decimal 420, no type in it */
    assert_int_equal(a.mode & S_IFMT, S_IFREG); /* the type from the next that has one */
    assert_int_equal(a.uid, 1);
}

static void test_garbage_is_absence(void **state)
{
    static const char *const bad[] = {
        "",           " ",  "x",    "-",   "-1", "1e5", "99999999999999999999999",
        "4294967295", "1 ", "0x10", "1.x",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct posix_attrs a =
            READ({"uid", bad[i]}, {"gid", bad[i]}, {"mode", bad[i]}, {"file-permissions", bad[i]});
        if (a.have != 0)
            fail_msg("'%s' gave %x", bad[i], a.have);
    }
    static const char *const bad_times[] = {
        "",
        "x",
        "-",
        ".5",
        "1.5x",
        "1ps",
        "99999999999",
        "9223372036854775808ns",
        "18446744073709551616",
    };
    for (size_t i = 0; i < ARRAY_SIZE(bad_times); i++) {
        struct posix_attrs a = READ({"mtime", bad_times[i]}, {"file-mtime", bad_times[i]});
        if (a.have != 0)
            fail_msg("'%s' gave %x", bad_times[i], a.have);
    }
    struct posix_attrs a = READ({"mode", "junk"}, {"file-permissions", "0640"});
    assert_int_equal(a.mode, 0640); /* the next dialect stands in */
    assert_int_equal(READ({"s3cmd-attrs", "////mode:/uid/:5/gid:x"}).have, 0);
    assert_int_equal(READ({"uid", "4294967294"}).uid, 4294967294u);
}

static void test_write(void **state)
{
    CLEANUP_ARENA struct arena arena = ARENA_INIT(64 << 10);
    const struct store_metadata old[] = {
        {"mode", "33188"},
        {"file-permissions", "0100644"},
        {"file-mtime", "5"},
        {"color", "blue"},
        {"uid", "7"},
        {"pailfs-posix", "1"},
        {"x-other", "k\xC3\xA4se"},
    };
    struct posix_attrs a = {.have = POSIX_MODE | POSIX_MTIME | POSIX_GID,
                            .mode = S_IFREG | 0600,
                            .gid = 9,
                            .mtime_ns = 1700000000000000042};
    const struct store_metadata *m;
    size_t n;
    assert_int_equal(attrs_write(&a, false, old, ARRAY_SIZE(old), &arena, &m, &n), 0);
    assert_string_equal(value_of(m, n, "mode"), "33152");
    assert_string_equal(value_of(m, n, "mtime"), "1700000000.000000042");
    assert_string_equal(value_of(m, n, "gid"), "9");
    assert_string_equal(value_of(m, n, "uid"), "7");
    assert_string_equal(value_of(m, n, "color"), "blue");
    assert_string_equal(value_of(m, n, "x-other"), "k\xC3\xA4se");
    assert_string_equal(value_of(m, n, "pailfs-posix"), "1");
    assert_null(value_of(m, n, "file-permissions"));
    assert_null(value_of(m, n, "file-mtime"));
    assert_int_equal(n, 7);
    assert_true(attrs_directory_flag(m, n));

    struct posix_attrs none = {0};
    assert_int_equal(attrs_write(&none, true, NULL, 0, &arena, &m, &n), 0);
    assert_int_equal(n, 1);
    assert_true(attrs_directory_flag(m, n));
    assert_false(attrs_directory_flag(NULL, 0));
}

static void test_round_trip(void **state)
{
    static const int64_t times[] = {0,          1,           -1,        999999999,
                                    1000000000, -1000000001, INT64_MAX, -INT64_MAX};
    for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
        CLEANUP_ARENA struct arena arena = ARENA_INIT(64 << 10);
        struct posix_attrs back, a = {.have = 0x7f,
                                      .mode = S_IFDIR | 07777,
                                      .uid = UINT32_MAX - 1,
                                      .gid = 0,
                                      .mtime_ns = times[i],
                                      .atime_ns = -times[i],
                                      .ctime_ns = times[i]};
        const struct store_metadata *m;
        size_t n;
        assert_int_equal(attrs_write(&a, false, NULL, 0, &arena, &m, &n), 0);
        attrs_read(m, n, &back);
        assert_int_equal(back.have, a.have);
        assert_int_equal(back.mode, a.mode);
        assert_int_equal(back.uid, a.uid);
        assert_int_equal(back.gid, a.gid);
        assert_true(back.mtime_ns == a.mtime_ns);
        assert_true(back.atime_ns == a.atime_ns);
    }
}

static void test_out_of_memory(void **state)
{
    struct posix_attrs a = {.have = 0x7f};
    const struct store_metadata *m = NULL;
    size_t n = 0;
    int r = -1;
    for (size_t max = 0; max < 1024 && r != 0; max += 16) {
        CLEANUP_ARENA struct arena arena = ARENA_INIT(max);
        r = attrs_write(&a, true, NULL, 0, &arena, &m, &n);
        assert_true(r == 0 || (r == -12 && m == NULL));
    }
    assert_int_equal(r, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_s3fs),           cmocka_unit_test(test_others),
        cmocka_unit_test(test_write),          cmocka_unit_test(test_dates),
        cmocka_unit_test(test_directory_flag), cmocka_unit_test(test_first_dialect_wins),
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_garbage_is_absence),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
