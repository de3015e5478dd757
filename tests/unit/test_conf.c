/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "conf/options_table.h"

static struct conf_options o;
static struct s3_error err;

static int setup(void **state)
{
    memset(&err, 0, sizeof(err));
    return conf_init(&o, &err);
}

static int teardown(void **state)
{
    conf_done(&o);
    return 0;
}

#define assert_refused(call, words)                                                                \
    do {                                                                                           \
        assert_int_equal(call, -EINVAL);                                                           \
        assert_int_equal(err.kind, S3_ERROR_CONFIG);                                               \
        if (!strstr(err.message, words))                                                           \
            fail_msg("'%s' does not say '%s'", err.message, words);                                \
    } while (0)

/* ---- the table ---- */

struct names {
    char text[1024][64];
    size_t n;
};

static bool collect(void *ctx, const char *name, size_t len)
{
    struct names *names = ctx;
    assert_true(len > 0 && len < 64 && names->n < 1024);
    snprintf(names->text[names->n++], 64, "%.*s", (int)len, name);
    return false;
}

static void test_names_are_unique(void **state)
{
    static struct names names;
    names.n = 0;
    for (size_t i = 0; i < conf_n_rows; i++)
        conf_row_each_name(&conf_rows[i], collect, &names);
    assert_true(names.n > 120);
    for (size_t i = 0; i < names.n; i++) {
        assert_null(strchr(names.text[i], '='));
        assert_null(strchr(names.text[i], ','));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(names.text[i], names.text[k]);
        /* Each name finds the row it stands in. */
        const struct conf_row *row = conf_row_find(names.text[i]);
        assert_non_null(row);
        static struct names of_row;
        of_row.n = 0;
        conf_row_each_name(row, collect, &of_row);
        size_t k = 0;
        while (k < of_row.n && strcmp(of_row.text[k], names.text[i]) != 0)
            k++;
        assert_true(k < of_row.n);
    }
}

static void test_letters_are_unique(void **state)
{
    for (size_t i = 0; i < conf_n_rows; i++) {
        if (!conf_rows[i].letter)
            continue;
        assert_true(isalpha((unsigned char)conf_rows[i].letter));
        assert_int_not_equal(conf_rows[i].letter, 'o');
        assert_ptr_equal(conf_row_find_letter(conf_rows[i].letter), &conf_rows[i]);
    }
    assert_null(conf_row_find_letter('\0'));
    assert_null(conf_row_find_letter('?'));
}

static void test_each_row_is_complete(void **state)
{
    for (size_t i = 0; i < conf_n_rows; i++) {
        const struct conf_row *row = &conf_rows[i];
        assert_non_null(row->help);
        assert_true(strlen(row->help) > 5);
        assert_true(strlen(row->name) < 50); /* fits PAILFS_<NAME> */
        for (const char *p = row->name; *p; p++)
            assert_true(*p != '-' || p[1] == '*'); /* canonical names have '_' */
        if (conf_row_has_field(row)) {
            assert_true(row->offset > 0 && row->offset < sizeof(struct conf_options));
            assert_null(row->note);
            for (size_t k = 0; k < i; k++)
                if (conf_row_has_field(&conf_rows[k]))
                    assert_int_not_equal(conf_rows[k].offset, row->offset);
        }
        switch (row->type) {
        case CONF_SIZE:
            assert_true(row->unit > 0);
            /* fall through */
        case CONF_DURATION:
        case CONF_UINT:
            assert_non_null(row->value);
            /* fall through */
        case CONF_STRING:
            assert_true(row->max > row->min);
            break;
        case CONF_MODE:
        case CONF_UID:
        case CONF_GID:
            assert_true(row->max > 0);
            break;
        case CONF_ENUM:
            assert_non_null(row->words);
            assert_non_null(row->value);
            break;
        case CONF_PRESET:
            assert_true(row->value || row->pick || row->letter);
            break;
        case CONF_UNSUPPORTED:
            assert_non_null(row->note);
            break;
        case CONF_BOOL:
        case CONF_PATH:
        case CONF_KERNEL:
        case CONF_IGNORED:
            break;
        }
    }
}

/* What a row accepts by its own words: its default, both ends of its range, each of its words. */
static void test_each_row_accepts_its_range(void **state)
{
    for (size_t i = 0; i < conf_n_rows; i++) {
        const struct conf_row *row = &conf_rows[i];
        if (!conf_row_has_field(row))
            continue;
        assert_false(conf_given(&o, row->name));
        if (row->value)
            assert_int_equal(conf_set(&o, row->name, row->value, &err), 0);
        for (int end = 0; end < 2; end++) {
            CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(2048);
            uint64_t n = end ? row->max : row->min;
            if (row->type == CONF_SIZE)
                conf_format_size(n, &sb);
            else if (row->type == CONF_DURATION)
                conf_format_duration(n, &sb);
            else if (row->type == CONF_UINT || row->type == CONF_UID || row->type == CONF_GID)
                strbuf_appendf(&sb, "%llu", (unsigned long long)n);
            else if (row->type == CONF_MODE)
                strbuf_appendf(&sb, "%llo", (unsigned long long)n);
            else if (row->type == CONF_STRING)
                for (uint64_t k = 0; k < n; k++)
                    strbuf_append_char(&sb, 'x');
            else
                strbuf_append_str(&sb, row->type == CONF_ENUM   ? row->words[end].word
                                       : row->type == CONF_BOOL ? (end ? "yes" : "no")
                                                                : "/x");
            assert_int_equal(conf_set(&o, row->name, strbuf_str(&sb), &err), 0);
            const void *field = (char *)&o + row->offset;
            if (row->type == CONF_SIZE || row->type == CONF_DURATION)
                assert_int_equal(*(const uint64_t *)field, n);
            if (row->type == CONF_UINT || row->type == CONF_MODE || row->type == CONF_UID)
                assert_int_equal(*(const uint32_t *)field, n);
            if (row->type == CONF_BOOL)
                assert_int_equal(*(const bool *)field, end);
        }
        if (row->words)
            for (const struct conf_word *w = row->words; w->word; w++) {
                assert_int_equal(conf_set(&o, row->name, w->word, &err), 0);
                assert_int_equal(*(int *)((char *)&o + row->offset), w->value);
            }
        assert_true(conf_given(&o, row->name));
    }
}

/* A value just outside, or of another kind, is refused by a message that names the option, the
 * value and what would do, and changes nothing. */
static void test_each_row_refuses_the_rest(void **state)
{
    for (size_t i = 0; i < conf_n_rows; i++) {
        const struct conf_row *row = &conf_rows[i];
        if (!conf_row_has_field(row))
            continue;
        const char *bad[8];
        size_t n = 0;
        char over[64];
        switch (row->type) {
        case CONF_SIZE:
        case CONF_DURATION:
        case CONF_UINT:
            bad[n++] = "-1";
            bad[n++] = "1x";
            bad[n++] = "99999999999999999999";
            if (row->type == CONF_SIZE)
                snprintf(over, sizeof(over), "%lluB", (unsigned long long)row->max + 1);
            else if (row->type == CONF_UINT)
                snprintf(over, sizeof(over), "%llu", (unsigned long long)row->max + 1);
            else
                snprintf(over, sizeof(over), "%llu",
                         (unsigned long long)(row->max / (uint64_t)NS_PER_S) + 1);
            bad[n++] = over;
            if (row->min)
                bad[n++] = "0";
            break;
        case CONF_MODE:
            bad[n++] = "8";
            bad[n++] = "0o7";
            bad[n++] = "u=rwx";
            bad[n++] = "10000";
            break;
        case CONF_UID:
        case CONF_GID:
            bad[n++] = "4294967295";
            bad[n++] = "99999999999999999999";
            bad[n++] = "no such name, surely";
            break;
        case CONF_BOOL:
        case CONF_ENUM:
            bad[n++] = "perhaps";
            break;
        case CONF_STRING:
            bad[n++] = "tab\there";
            break;
        case CONF_PATH:
            bad[n++] = "line\nbreak";
            break;
        case CONF_PRESET:
        case CONF_KERNEL:
        case CONF_IGNORED:
        case CONF_UNSUPPORTED:
            break;
        }
        assert_true(n > 0);
        struct conf_options before = o;
        for (size_t k = 0; k < n; k++) {
            assert_refused(conf_set(&o, row->name, bad[k], &err), row->name);
            assert_non_null(strstr(err.message, bad[k]));
        }
        if (row->type != CONF_BOOL) {
            assert_refused(conf_set(&o, row->name, NULL, &err), row->name);
            assert_non_null(strstr(err.message, "needs a value"));
        }
        assert_memory_equal(&before, &o, sizeof(o));
    }
}

static void test_presets_lead_to_known_options(void **state)
{
    for (size_t i = 0; i < conf_n_rows; i++) {
        const struct conf_row *row = &conf_rows[i];
        if (row->type != CONF_PRESET)
            continue;
        if (row->pick) {
            assert_non_null(conf_row_find(row->pick("a")));
            assert_non_null(conf_row_find(row->pick("http://a")));
            assert_refused(conf_set(&o, row->name, NULL, &err), row->name);
            assert_refused(conf_set(&o, row->name, "", &err), row->name);
        } else {
            assert_int_equal(conf_set(&o, row->name, NULL, &err), 0);
            assert_refused(conf_set(&o, row->name, "1", &err), "takes no value");
        }
    }
}

static void test_unsupported_rows_say_what_to_do(void **state)
{
    for (size_t i = 0; i < conf_n_rows; i++) {
        const struct conf_row *row = &conf_rows[i];
        if (row->type != CONF_UNSUPPORTED)
            continue;
        assert_refused(conf_set(&o, row->name, "HIDDEN", &err), row->note);
        assert_null(strstr(err.message, "HIDDEN")); /* it may be a secret */
    }
}

static void test_help_names_every_row(void **state)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(1 << 20);
    conf_help(&sb);
    assert_int_equal(sb.error, 0);
    for (size_t i = 0; i < conf_n_rows; i++)
        if (!strstr(sb.data, conf_rows[i].name))
            fail_msg("--help does not know '%s'", conf_rows[i].name);
    for (const char *line = sb.data, *end; (end = strchr(line, '\n')); line = end + 1)
        if (end - line > 80)
            fail_msg("--help is wider than 80: %.*s", (int)(end - line), line);
}

/* ---- values ---- */

static void test_defaults(void **state)
{
    assert_int_equal(o.part_size, 8 * MIB);
    assert_int_equal(o.memory_limit, 512 * MIB);
    assert_int_equal(o.metadata_ttl, 60 * NS_PER_S);
    assert_int_equal(o.file_mode, 0644);
    assert_int_equal(o.dir_mode, 0755);
    assert_int_equal(o.uid, getuid());
    assert_int_equal(o.gid, getgid());
    assert_int_equal(o.log_level, LOG_LEVEL_INFO);
    assert_int_equal(o.action, CONF_ACTION_MOUNT);
    assert_null(o.region);
    assert_false(o.read_only);
    for (size_t i = 0; i < conf_n_rows; i++)
        assert_false(conf_given(&o, conf_rows[i].name));
}

static void test_values(void **state)
{
    assert_int_equal(conf_set_list(&o, "uid=root,gid=root,umask=027", &err), 0);
    assert_int_equal(o.uid, 0);
    assert_int_equal(o.gid, 0);
    assert_int_equal(o.umask, 027);
    assert_int_equal(conf_set(&o, "multipart_size", "64", &err), 0); /* s3fs: MB */
    assert_int_equal(o.part_size, 64 * MIB);
    assert_int_equal(conf_set(&o, "write-part-size", "16777216", &err), 0); /* bytes */
    assert_int_equal(o.write_part_size, 16 * MIB);
    assert_int_equal(conf_set(&o, "memory-target", "1G", &err), 0);
    assert_int_equal(o.memory_limit, GIB);
    assert_int_equal(conf_set(&o, "stat_cache_expire", "900", &err), 0);
    assert_int_equal(o.metadata_ttl, 900 * NS_PER_S);
    assert_int_equal(conf_set(&o, "metadata-ttl", "indefinite", &err), 0);
    assert_int_equal(o.metadata_ttl, 365 * 86400 * NS_PER_S);
    assert_int_equal(conf_set(&o, "metadata-ttl", "minimal", &err), 0);
    assert_int_equal(o.metadata_ttl, 0);
    assert_refused(conf_set(&o, "timeout", "minimal", &err), "timeout");
    assert_int_equal(conf_set(&o, "connect_timeout", "250ms", &err), 0);
    assert_int_equal(o.connect_timeout, 250 * NS_PER_MS);
    assert_int_equal(conf_set(&o, "dbglevel", "err", &err), 0);
    assert_int_equal(o.log_level, LOG_LEVEL_ERROR);
    assert_int_equal(conf_set(&o, "storage_class", "standard_ia", &err), 0);
    assert_string_equal(o.storage_class, "STANDARD_IA");
    assert_int_equal(conf_set(&o, "public_bucket", "1", &err), 0);
    assert_true(o.no_sign_request);
    assert_int_equal(conf_set(&o, "public_bucket", "0", &err), 0);
    assert_false(o.no_sign_request);
    assert_refused(conf_set(&o, "region", "", &err), "region");
    assert_int_equal(conf_set(&o, "prefix", "", &err), 0);
}

static void test_endpoint_means_two_things(void **state)
{
    assert_int_equal(conf_set(&o, "endpoint", "eu-west-1", &err), 0);
    assert_string_equal(o.region, "eu-west-1");
    assert_null(o.endpoint_url);
    assert_int_equal(conf_set(&o, "endpoint", "http://127.0.0.1:9000", &err), 0);
    assert_string_equal(o.endpoint_url, "http://127.0.0.1:9000");
    assert_string_equal(o.region, "eu-west-1");
    assert_int_equal(conf_set(&o, "endpoint", "s3.example.org", &err), 0);
    assert_string_equal(o.endpoint_url, "s3.example.org");
}

static void test_presets(void **state)
{
    assert_int_equal(conf_set_list(&o, "ro,debug", &err), 0);
    assert_true(o.read_only);
    assert_true(o.foreground);
    assert_int_equal(o.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(conf_set_list(&o, "rw,single_threaded", &err), 0);
    assert_false(o.read_only);
    assert_true(conf_given(&o, "read_only"));
    assert_int_equal(o.max_threads, 1);
    assert_false(conf_given(&o, "path_style"));
    assert_int_equal(conf_set(&o, "subdomain", NULL, &err), 0);
    assert_true(conf_given(&o, "path_style"));
    assert_false(o.path_style);
}

/* ---- names ---- */

static void test_underscore_and_dash_are_equal(void **state)
{
    assert_int_equal(conf_set(&o, "allow-other", NULL, &err), 0);
    assert_true(o.allow_other);
    assert_int_equal(conf_set(&o, "force-path_style", NULL, &err), 0);
    assert_true(o.path_style);
    assert_refused(conf_set(&o, "allow other", NULL, &err), "unknown option");
    assert_refused(conf_set(&o, "Allow_Other", NULL, &err), "'allow_other'");
    assert_refused(conf_set(&o, "allow_othe", NULL, &err), "'allow_other'");
    assert_refused(conf_set(&o, "", NULL, &err), "unknown option ''");
}

static void test_distance(void **state)
{
    static const struct {
        const char *a, *b;
        unsigned distance;
    } CASES[] = {
        {"", "", 0},
        {"abc", "abc", 0},
        {"abc", "", 3},
        {"", "abc", 3},
        {"abc", "acb", 1},
        {"ab", "ba", 1},
        {"kitten", "sitting", 3},
        {"ca", "abc", 3},
        {"a-b", "a_b", 0},
        {"REGION", "region", 0},
        {"regoin", "region", 1},
        {"url", "uri", 1},
        {"abcdef", "badcfe", 3},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        assert_int_equal(conf_distance(CASES[i].a, CASES[i].b, strlen(CASES[i].b)),
                         CASES[i].distance);
        assert_int_equal(conf_distance(CASES[i].b, CASES[i].a, strlen(CASES[i].a)),
                         CASES[i].distance);
    }
    char longest[5000];
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(conf_distance(longest, "x", 1), 63);
    assert_int_equal(conf_distance(longest, longest, sizeof(longest) - 1), 0);
}

static void test_suggestions(void **state)
{
    static const struct {
        const char *typed, *meant; /* NULL: nothing is near */
    } CASES[] = {
        {"regoin", "region"},
        {"reigon", "region"},
        {"endpont", "endpoint"},
        {"endpoint_ulr", "endpoint_url"},
        {"pasword_file", "passwd_file"},
        {"alow_other", "allow_other"},
        {"metadata-tll", "metadata_ttl"},
        {"stat-cache", "stat_cache_expire"},
        {"metadata", "metadata_ttl"},
        {"umaks", "umask"},
        {"parrallel", "parallel"},
        {"ulr", "url"},
        {"zzz", NULL},
        {"q", NULL},
        {"", NULL},
        {"completely_different", NULL},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        char buf[64];
        const char *got = conf_suggest(CASES[i].typed, buf, sizeof(buf));
        if (!CASES[i].meant && got)
            fail_msg("'%s' suggests '%s'", CASES[i].typed, got);
        if (CASES[i].meant && (!got || strcmp(got, CASES[i].meant) != 0))
            fail_msg("'%s' suggests '%s'", CASES[i].typed, got ? got : "(nothing)");
    }
}

/* Each name with one letter dropped or two swapped is either known, or leads to a known one. */
static void test_every_typo_finds_a_name(void **state)
{
    for (size_t i = 0; i < conf_n_rows; i++) {
        const char *name = conf_rows[i].name;
        size_t len = strlen(name);
        if (!conf_row_has_field(&conf_rows[i]) || len < 5)
            continue;
        for (size_t at = 0; at + 1 < len; at++) {
            char dropped[64], swapped[64], buf[64];
            snprintf(dropped, sizeof(dropped), "%.*s%s", (int)at, name, name + at + 1);
            snprintf(swapped, sizeof(swapped), "%s", name);
            swapped[at] = name[at + 1];
            swapped[at + 1] = name[at];
            const char *typos[] = {dropped, swapped};
            for (int k = 0; k < 2; k++) {
                if (conf_row_find(typos[k]))
                    continue;
                const char *got = conf_suggest(typos[k], buf, sizeof(buf));
                if (!got)
                    fail_msg("'%s' suggests nothing", typos[k]);
                assert_non_null(conf_row_find(got));
            }
        }
    }
}

/* ---- lists ---- */

static void test_list_escapes(void **state)
{
    assert_int_equal(conf_set_list(&o, "prefix=a\\,b\\\\c\\d,region=x,,allow_other", &err), 0);
    assert_string_equal(o.prefix, "a,b\\c\\d");
    assert_string_equal(o.region, "x");
    assert_true(o.allow_other);
    assert_int_equal(conf_set_list(&o, "prefix=a=b=c", &err), 0);
    assert_string_equal(o.prefix, "a=b=c");
    assert_int_equal(conf_set_list(&o, "prefix=end\\", &err), 0);
    assert_string_equal(o.prefix, "end\\");
    assert_int_equal(conf_set_list(&o, "", &err), 0);
    assert_int_equal(conf_set_list(&o, ",,,", &err), 0);
    assert_int_equal(conf_set_list(&o, "--file-mode=0666,--dir-mode=0777", &err), 0);
    assert_int_equal(o.file_mode, 0666);
    assert_int_equal(o.dir_mode, 0777);
    assert_refused(conf_set_list(&o, "region=ok,regoin=no", &err), "regoin");
    assert_refused(conf_set_list(&o, "=x", &err), "unknown option ''");
}

static void test_list_caps(void **state)
{
    static char text[LIMIT_OPTION_VALUE + 1000];
    memset(text, 'x', sizeof(text) - 1);
    assert_refused(conf_set_list(&o, text, &err), "longer than");
    assert_refused(conf_set(&o, "log_file", text, &err), "longer than");
    assert_refused(conf_set(&o, text, NULL, &err), "unknown option");
    /* Many words for the kernel end in an error too, not in a cut list. */
    int r = 0;
    for (int i = 0; i < 5000 && r == 0; i++)
        r = conf_set(&o, "nosuid", NULL, &err);
    assert_refused(r, "nosuid");
    /* Many notes do not. */
    for (int i = 0; i < 1000; i++)
        assert_int_equal(conf_set(&o, "big_writes", NULL, &err), 0);
}

static void test_words_of_mount(void **state)
{
    assert_int_equal(
        conf_set_list(&o,
                      "rw,nosuid,nodev,relatime,defaults,_netdev,nofail,noauto,user,users,owner,"
                      "x-systemd.automount,x-systemd.requires=a.service,X-mount.mkdir=0755,"
                      "comment=hello,user=jo,uhelper=udisks2,noatime,dirsync,default_permissions",
                      &err),
        0);
    assert_int_equal(o.notes.len, 0); /* these are no surprise to anybody */
    assert_string_equal(strbuf_str(&o.kernel), "nosuid,nodev,noatime,dirsync,default_permissions");
    assert_refused(conf_set(&o, "nosuid", "1", &err), "takes no value");
    assert_refused(conf_set(&o, "fsname", NULL, &err), "needs a value");
    assert_refused(conf_set(&o, "x", NULL, &err), "unknown option");

    assert_int_equal(conf_set_list(&o, "kernel_cache,big_writes,sigv4", &err), 0);
    assert_string_equal(
        strbuf_str(&o.notes),
        "option 'kernel_cache' has no effect: the page cache is kept while an object's ETag "
        "is the same\n"
        "option 'big_writes' has no effect: large requests are the rule with FUSE "
        "3\n"
        "option 'sigv4' has no effect: requests are always signed with version 4\n");
}

static void test_kernel_options(void **state)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(4096);
    conf_kernel_options(&o, &sb);
    assert_string_equal(strbuf_str(&sb), "subtype=pailfs,fsname=pailfs,rw,default_permissions");
    strbuf_reset(&sb);
    assert_int_equal(
        conf_set_list(&o, "ro,allow_other,max_read=131072,fsname=a\\,b\\\\c,nosuid", &err), 0);
    o.source = strdup("b:/x,y");
    conf_kernel_options(&o, &sb);
    assert_string_equal(strbuf_str(&sb),
                        "subtype=pailfs,fsname=b:/x\\,y,ro,default_permissions,allow_other,"
                        "max_read=131072,fsname=a\\,b\\\\c,nosuid");
}

/* ---- environment ---- */

static const char *from_pairs(void *ctx, const char *name)
{
    const char **pairs = ctx;
    for (; *pairs; pairs += 2)
        if (strcmp(pairs[0], name) == 0)
            return pairs[1];
    return NULL;
}

static void test_environment(void **state)
{
    const char *good[] = {
        "PAILFS_REGION", "eu-north-1", "PAILFS_PART_SIZE", "16M", "PAILFS_PROFILE", "", NULL};
    assert_int_equal(conf_load_env(&o, from_pairs, good, &err), 0);
    assert_string_equal(o.region, "eu-north-1");
    assert_int_equal(o.part_size, 16 * MIB);
    assert_null(o.profile);
    assert_true(conf_given(&o, "region"));
    assert_false(conf_given(&o, "profile"));
    const char *bad[] = {"PAILFS_PART_SIZE", "16Q", NULL};
    assert_refused(conf_load_env(&o, from_pairs, bad, &err), "PAILFS_PART_SIZE");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_names_are_unique),
        TEST(test_letters_are_unique),
        TEST(test_each_row_is_complete),
        TEST(test_each_row_accepts_its_range),
        TEST(test_each_row_refuses_the_rest),
        TEST(test_presets_lead_to_known_options),
        TEST(test_unsupported_rows_say_what_to_do),
        TEST(test_help_names_every_row),
        TEST(test_defaults),
        TEST(test_values),
        TEST(test_endpoint_means_two_things),
        TEST(test_presets),
        TEST(test_underscore_and_dash_are_equal),
        TEST(test_distance),
        TEST(test_suggestions),
        TEST(test_every_typo_finds_a_name),
        TEST(test_list_escapes),
        TEST(test_list_caps),
        TEST(test_words_of_mount),
        TEST(test_kernel_options),
        TEST(test_environment),
    };
    return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
