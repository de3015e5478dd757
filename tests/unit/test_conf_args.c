/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc_fail.h"
#include "conf/conf.h"

static struct conf_options o;
static struct s3_error err;
static const char **environment; /* "NAME", "value", ..., NULL */

static const char *get_env(void *ctx, const char *name)
{
    for (const char **p = environment; p && *p; p += 2)
        if (strcmp(p[0], name) == 0)
            return p[1];
    return NULL;
}

/* The command line in one string, split at spaces; '\x01' stands for an empty argument. */
static int load(const char *line)
{
    static char text[4096];
    char *argv[64] = {(char *)"pailfs"};
    int argc = 1;
    char *save = NULL;
    snprintf(text, sizeof(text), "%s", line);
    for (char *p = strtok_r(text, " ", &save); p; p = strtok_r(NULL, " ", &save))
        argv[argc++] = strcmp(p, "\x01") == 0 ? (char *)"" : p;
    conf_done(&o);
    memset(&err, 0, sizeof(err));
    return conf_load(&o, argc, argv, get_env, NULL, &err);
}

static int setup(void **state)
{
    environment = NULL;
    return conf_init(&o, &err);
}

static int teardown(void **state)
{
    conf_done(&o);
    return 0;
}

#define assert_loads(line)                                                                         \
    do {                                                                                           \
        if (load(line) != 0)                                                                       \
            fail_msg("'%s' is refused: %s", line, err.message);                                    \
    } while (0)

#define assert_refused(line, words)                                                                \
    do {                                                                                           \
        assert_int_equal(load(line), -EINVAL);                                                     \
        assert_int_equal(err.kind, S3_ERROR_CONFIG);                                               \
        if (!strstr(err.message, words))                                                           \
            fail_msg("'%s': '%s' does not say '%s'", line, err.message, words);                    \
    } while (0)

static void test_sources(void **state)
{
    static const struct {
        const char *text, *bucket, *prefix;
    } CASES[] = {
        {"bucket", "bucket", ""},
        {"bucket:", "bucket", ""},
        {"bucket:/", "bucket", ""},
        {"bucket:/path", "bucket", "path/"},
        {"bucket:/path/", "bucket", "path/"},
        {"bucket:/a/b c/", "bucket", "a/b c/"},
        {"bucket:path", "bucket", "path/"},
        {"bucket:/a:b", "bucket", "a:b/"},
        {"s3://bucket", "bucket", ""},
        {"s3://bucket/", "bucket", ""},
        {"s3://bucket/a/b", "bucket", "a/b/"},
        {"s3://bucket/a/b/", "bucket", "a/b/"},
        {"s3://bucket//a", "bucket", "/a/"}, /* keys may begin with a slash */
        {"arn:aws:s3:::bucket", "bucket", ""},
        {"arn:aws-cn:s3:::bucket/a", "bucket", "a/"},
        {"arn:aws-us-gov:s3:::bucket/a/", "bucket", "a/"},
        {"My.Old_Bucket-1", "My.Old_Bucket-1", ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        CLEANUP_FREE char *bucket = NULL, *prefix = NULL;
        assert_int_equal(conf_parse_source(CASES[i].text, &bucket, &prefix, &err), 0);
        assert_string_equal(bucket, CASES[i].bucket);
        assert_string_equal(prefix, CASES[i].prefix);
    }
}

static void test_refused_sources(void **state)
{
    static char longest[300], long_prefix[1100];
    memset(longest, 'b', 256);
    memset(long_prefix, 'p', 1050);
    memcpy(long_prefix, "b:/", 3);
    static const struct {
        const char *text, *words;
    } CASES[] = {
        {"", "not a bucket's name"},
        {":/x", "not a bucket's name"},
        {"s3://", "not a bucket's name"},
        {"s3:///x", "not a bucket's name"},
        {"a b", "'a b' is not"},
        {"a%41", "not a bucket's name"},
        {"-f", "not a bucket's name"},
        {"../x", "a prefix follows a colon"},
        {"bucket/prefix", "a prefix follows a colon"},
        {"b\xc3\xa9", "not a bucket's name"},
        {longest, "not a bucket's name"},
        {long_prefix, "longer than"},
        {"b:/x\ny", "control character"},
        {"https://s3.example.org/bucket", "endpoint_url"},
        {"gs://bucket", "s3://BUCKET"},
        {"bucket://path", "s3://BUCKET"}, /* or a scheme that nobody knows */
        {"arn:aws:s3", "not the ARN of a bucket"},
        {"arn:aws:s3::", "not the ARN of a bucket"},
        {"arn:aws:s3:::", "not a bucket's name"},
        {"arn:aws:s3:eu-west-1:123456789012:accesspoint/mine", "access points"},
        {"arn:aws:s3:::bucket:more", "access points"},
        {"arn:aws:s3-outposts:eu-west-1:1:outpost/x", "not supported yet"},
        {"arn:aws:s3-object-lambda:eu-west-1:1:accesspoint/x", "not supported yet"},
        {"arn:aws:sqs:::bucket", "other ARNs"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        char *bucket = NULL, *prefix = NULL;
        assert_int_equal(conf_parse_source(CASES[i].text, &bucket, &prefix, &err), -EINVAL);
        assert_null(bucket);
        assert_null(prefix);
        if (!strstr(err.message, CASES[i].words))
            fail_msg("'%s': '%s' does not say '%s'", CASES[i].text, err.message, CASES[i].words);
    }
}

static void test_a_full_command_line(void **state)
{
    assert_loads("s3://bucket/a /mnt -f -o ro,allow_other,region=eu-west-1 --part-size=16M "
                 "--profile work -o umask=077 --no-sign-request=no");
    assert_string_equal(o.source, "s3://bucket/a");
    assert_string_equal(o.bucket, "bucket");
    assert_string_equal(o.prefix, "a/");
    assert_string_equal(o.mountpoint, "/mnt");
    assert_string_equal(o.region, "eu-west-1");
    assert_string_equal(o.profile, "work");
    assert_int_equal(o.part_size, 16 * MIB);
    assert_true(o.foreground && o.read_only && o.allow_other);
    assert_false(o.no_sign_request);
    assert_true(conf_given(&o, "no_sign_request"));
}

static void test_options_stand_anywhere(void **state)
{
    assert_loads("-o ro b --region x -f /m");
    assert_string_equal(o.bucket, "b");
    assert_string_equal(o.region, "x");
    assert_true(o.read_only && o.foreground);
    assert_loads("--allow-other b /m"); /* a switch does not swallow what follows */
    assert_string_equal(o.bucket, "b");
    assert_true(o.allow_other);
    assert_loads("-oro,allow_root -fs -- b /m");
    assert_true(o.read_only && o.allow_root && o.foreground);
    assert_int_equal(o.max_threads, 1);
    assert_loads("b /m -fo ro");
    assert_true(o.read_only && o.foreground);
    assert_loads("b /m -d");
    assert_true(o.foreground);
    assert_int_equal(o.log_level, LOG_LEVEL_DEBUG);
    assert_loads("b /m --endpoint http://h --fsname x");
    assert_string_equal(o.endpoint_url, "http://h");
    assert_loads("b -- --region");
    assert_non_null(strstr(o.mountpoint, "/--region"));
    assert_loads("b /m -o region=x -o region=y --region z");
    assert_string_equal(o.region, "z");
    assert_loads("b -");
    assert_non_null(strstr(o.mountpoint, "/-"));
}

static void test_refused_command_lines(void **state)
{
    assert_refused("", "no bucket given");
    assert_refused("b", "no mount point given");
    assert_refused("b /m extra", "'extra'");
    assert_refused("\x01 /m", "empty source");
    assert_refused("b \x01", "empty mount point");
    assert_refused("b /m -o", "'-o' needs a value");
    assert_refused("b /m --region", "'region' needs a value");
    assert_refused("b /m -x", "'-x'");
    assert_refused("b /m -fx", "'-x'");
    assert_refused("b /m --regoin=x", "'region'");
    assert_refused("b /m --regoin x", "'region'");
    assert_refused("b /m --=x", "unknown option ''");
    assert_refused("b /m --secret-access-key TOPSECRET", "passwd_file");
    assert_null(strstr(err.message, "TOPSECRET"));
    assert_refused("b /m -o access_key_id=TOPSECRET", "passwd_file");
    assert_null(strstr(err.message, "TOPSECRET"));
    assert_refused("b /m -o secret_acess_key=TOPSECRET", "unknown option");
    assert_null(strstr(err.message, "TOPSECRET"));
    assert_refused("b /m -o allow_other,allow_root", "exclude each other");
    assert_refused("b /m -o ro,create_bucket", "exclude each other");
    assert_refused("b /m -o public_bucket,passwd_file=/x", "passwd_file");
    assert_refused("b /m -o public_bucket,profile=x", "profile");
    assert_refused("b /m -o url=ftp://x", "http://");
    assert_refused("b /m -o url=http://", "no host");
    assert_refused("b /m -o part_size=1G", "memory_limit=2G");
    assert_refused("b /m -o memory_limit=64M,write_part_size=33M", "memory_limit=66M");
}

static void test_bucket_and_prefix_as_options(void **state)
{
    assert_loads("/m -o bucket=b"); /* s3fs' fstab lines */
    assert_string_equal(o.bucket, "b");
    assert_string_equal(o.source, "b");
    assert_string_equal(o.mountpoint, "/m");
    assert_loads("/m -o bucket=b:/x");
    assert_string_equal(o.prefix, "x/");
    assert_loads("b /m -o bucket=b,prefix=p");
    assert_string_equal(o.prefix, "p/");
    assert_loads("b:/p /m --prefix p/");
    assert_string_equal(o.prefix, "p/");
    assert_loads("b:/p /m --prefix=");
    assert_string_equal(o.prefix, "p/");
    assert_refused("b /m -o bucket=c", "two buckets");
    assert_refused("b:/p /m -o prefix=q", "two prefixes");
}

static void test_environment_yields(void **state)
{
    environment = (const char *[]){
        "PAILFS_REGION", "r", "PAILFS_BUCKET", "eb", "PAILFS_PREFIX", "ep", "PAILFS_ALLOW_OTHER",
        "yes",           NULL};
    assert_loads("/m");
    assert_string_equal(o.bucket, "eb");
    assert_string_equal(o.prefix, "ep/");
    assert_string_equal(o.region, "r");
    assert_true(o.allow_other);
    assert_loads("b:/p /m --region s --allow-other=no");
    assert_string_equal(o.bucket, "b");
    assert_string_equal(o.prefix, "p/");
    assert_string_equal(o.region, "s");
    assert_false(o.allow_other);
    environment = (const char *[]){"PAILFS_RETRIES", "many", NULL};
    assert_refused("b /m", "'PAILFS_RETRIES': 'many'");
}

static void test_what_follows(void **state)
{
    assert_loads("b /m -o umask=0");
    assert_int_equal(o.file_mode, 0666);
    assert_int_equal(o.dir_mode, 0777);
    assert_loads("b /m -o umask=027");
    assert_int_equal(o.file_mode, 0640);
    assert_loads("b /m -o umask=027,file_mode=0604");
    assert_int_equal(o.file_mode, 0604);
    assert_int_equal(o.dir_mode, 0750);
    assert_loads("b /m -o part_size=20");
    assert_int_equal(o.read_part_size, 20 * MIB);
    assert_int_equal(o.write_part_size, 20 * MIB);
    assert_loads("b /m -o part_size=20,read_part_size=1M");
    assert_int_equal(o.read_part_size, MIB);
    assert_int_equal(o.write_part_size, 20 * MIB);
    assert_loads("b /m -o url=s3.example.org:9000");
    assert_string_equal(o.endpoint_url, "https://s3.example.org:9000");
    assert_loads("b /m");
    assert_string_equal(o.prefix, "");
}

static void test_paths_become_absolute(void **state)
{
    char cwd[PATH_MAX], expected[PATH_MAX + 64];
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    setenv("HOME", "/home/jo", 1);
    assert_loads("b m -o passwd_file=~/keys,logfile=logs/x,use_cache=~,ca_bundle=/abs");
    assert_string_equal(o.passwd_file, "/home/jo/keys");
    assert_string_equal(o.cache_dir, "/home/jo");
    assert_string_equal(o.ca_bundle, "/abs");
    snprintf(expected, sizeof(expected), "%s/logs/x", strcmp(cwd, "/") == 0 ? "" : cwd);
    assert_string_equal(o.log_file, expected);
    snprintf(expected, sizeof(expected), "%s/m", strcmp(cwd, "/") == 0 ? "" : cwd);
    assert_string_equal(o.mountpoint, expected);
    unsetenv("HOME");
    assert_refused("b /m -o passwd_file=~/keys", "HOME");
}

static void test_help_and_version_stop(void **state)
{
    assert_loads("--help --nonsense");
    assert_int_equal(o.action, CONF_ACTION_HELP);
    assert_loads("-h");
    assert_int_equal(o.action, CONF_ACTION_HELP);
    assert_loads("b /m -fV -x");
    assert_int_equal(o.action, CONF_ACTION_VERSION);
    assert_loads("--version");
    assert_int_equal(o.action, CONF_ACTION_VERSION);
    assert_refused("--nonsense --help", "nonsense");
}

/* fstab lines that other programs document, as mount(8) hands them on. */
static void test_lines_of_other_programs(void **state)
{
    assert_loads("mybucket /mnt -o rw,_netdev,allow_other,use_path_request_style,"
                 "url=https://url.to.s3/");
    assert_true(o.path_style && o.allow_other);
    assert_loads("s3://amzn-s3-demo-bucket/prefix/ /mnt -o _netdev,nosuid,nodev,nofail,rw,"
                 "allow-delete,uid=7,region=us-east-1,allow-other");
    assert_int_equal(o.uid, 7);
    assert_loads("bucket /mnt -o rw,_netdev,allow_other,--file-mode=0666,--dir-mode=0777,dev,suid");
    assert_int_equal(o.dir_mode, 0777);
    assert_loads("mybucket /mnt -o passwd_file=/etc/passwd-s3fs,dbglevel=info,retries=5,"
                 "multipart_size=52,parallel_count=20,stat_cache_expire=60,endpoint=eu-central-1,"
                 "nonempty,umask=0007");
    assert_string_equal(o.region, "eu-central-1");
    assert_int_equal(o.write_part_size, 52 * MIB);
    assert_int_equal(o.parallel, 20);
}

/* Each allocation fails in turn: an error, nothing leaked, nothing half done. */
static void test_out_of_memory(void **state)
{
    static const char LINE[] = "b:/p /m -o region=x,url=h,ro,nosuid,nonempty,fsname=y --profile=z "
                               "-o passwd_file=rel --prefix p";
    int failures = 0;
    for (long n = 0;; n++) {
        conf_done(&o);
        alloc_fail_begin(n);
        int r = load(LINE);
        if (!alloc_fail_end()) {
            assert_int_equal(r, 0);
            break;
        }
        assert_int_equal(r, -ENOMEM);
        assert_int_equal(err.kind, S3_ERROR_OUT_OF_MEMORY);
        failures++;
    }
    assert_true(failures > 10);
}

/* Junk never crashes and never succeeds silently with a NULL bucket or mount point. */
static void test_junk(void **state)
{
    static const char ALPHABET[] = "ab:/,=\\-o~ \t\n%\x80\xff\x7fs3arn.*_x0";
    const char *given = getenv("PAILFS_TEST_SEED");
    unsigned long start = given ? strtoul(given, NULL, 0) : 20261122;
    print_message("# PAILFS_TEST_SEED=%lu\n", start);
    unsigned short seed[3] = {(unsigned short)start, (unsigned short)(start >> 16), 13};
    for (int round = 0; round < 20000; round++) {
        char words[6][40];
        char *argv[8] = {(char *)"pailfs"};
        int argc = 1 + (int)(nrand48(seed) % 6);
        for (int i = 1; i < argc; i++) {
            size_t len = (size_t)nrand48(seed) % 39;
            for (size_t k = 0; k < len; k++)
                words[i - 1][k] = ALPHABET[(size_t)nrand48(seed) % (sizeof(ALPHABET) - 1)];
            words[i - 1][len] = '\0';
            if (nrand48(seed) % 3 == 0)
                memcpy(words[i - 1], "-o", 3);
            argv[i] = words[i - 1];
        }
        conf_done(&o);
        memset(&err, 0, sizeof(err));
        int r = conf_load(&o, argc, argv, get_env, NULL, &err);
        if (r < 0) {
            assert_int_equal(r, -EINVAL);
            assert_true(strlen(err.message) > 10);
        } else if (o.action == CONF_ACTION_MOUNT) {
            assert_non_null(o.bucket);
            assert_non_null(o.prefix);
            assert_non_null(o.mountpoint);
            assert_int_equal(o.mountpoint[0], '/');
        }
    }
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_sources),
        TEST(test_refused_sources),
        TEST(test_a_full_command_line),
        TEST(test_options_stand_anywhere),
        TEST(test_refused_command_lines),
        TEST(test_bucket_and_prefix_as_options),
        TEST(test_environment_yields),
        TEST(test_what_follows),
        TEST(test_paths_become_absolute),
        TEST(test_help_and_version_stop),
        TEST(test_lines_of_other_programs),
        TEST(test_out_of_memory),
        TEST(test_junk),
    };
    return cmocka_run_group_tests_name("conf_args", tests, NULL, NULL);
}
