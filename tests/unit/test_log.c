/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/log.h"

static char dir[] = "/tmp/pailfs-test-log-XXXXXX";
static char path[64], moved[64];

static int setup(void **state)
{
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/log", dir);
    snprintf(moved, sizeof(moved), "%s/log.1", dir);
    return 0;
}

static int teardown(void **state)
{
    unlink(path);
    unlink(moved);
    return rmdir(dir);
}

static int fresh_file(void **state)
{
    unlink(path);
    unlink(moved);
    log_set_level(LOG_LEVEL_INFO);
    log_context_set(NULL);
    return log_open(LOG_TARGET_FILE, path);
}

/* The whole file; the caller frees. */
static char *content(const char *name)
{
    FILE *f = fopen(name, "re");
    assert_non_null(f);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    size_t n = fread(text, 1, (1 << 20) - 1, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

static void test_line_form(void **state)
{
    log_error("cannot read '%s': %s", "a/b", "why");
    CLEANUP_FREE char *text = content(path);
    char expected[128];
    snprintf(expected, sizeof(expected), " pailfs[%d] error: cannot read 'a/b': why\n",
             (int)getpid());
    /* "2026-11-22T15:00:00.000Z" and then the above, nothing else */
    assert_int_equal(strlen(text), 24 + strlen(expected));
    assert_string_equal(text + 24, expected);
    assert_int_equal(text[4], '-');
    assert_int_equal(text[10], 'T');
    assert_int_equal(text[19], '.');
    assert_int_equal(text[23], 'Z');

    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static int evaluated;
static int count_evaluation(void)
{
    return ++evaluated;
}

static void test_levels(void **state)
{
    log_set_level(LOG_LEVEL_WARN);
    assert_int_equal(log_get_level(), LOG_LEVEL_WARN);
    assert_true(log_enabled(LOG_LEVEL_ERROR));
    assert_false(log_enabled(LOG_LEVEL_INFO));
    log_error("one");
    log_warn("two");
    log_info("three");
    log_debug("four %d", count_evaluation());
    assert_int_equal(evaluated, 0);
    log_set_level(LOG_LEVEL_DEBUG);
    log_debug("five %d", count_evaluation());
    assert_int_equal(evaluated, 1);

    CLEANUP_FREE char *text = content(path);
    assert_non_null(strstr(text, "error: one\n"));
    assert_non_null(strstr(text, "warn: two\n"));
    assert_null(strstr(text, "three"));
    assert_null(strstr(text, "four"));
    assert_non_null(strstr(text, "debug: five 1\n"));
}

static void test_level_names(void **state)
{
    static const struct {
        const char *text;
        enum log_level level;
    } CASES[] = {
        {"error", LOG_LEVEL_ERROR}, {"err", LOG_LEVEL_ERROR},    {"crit", LOG_LEVEL_ERROR},
        {"warn", LOG_LEVEL_WARN},   {"WARNING", LOG_LEVEL_WARN}, {"info", LOG_LEVEL_INFO},
        {"debug", LOG_LEVEL_DEBUG}, {"dbg", LOG_LEVEL_DEBUG},
    };
    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        enum log_level level = LOG_LEVEL_MAX;
        assert_int_equal(log_level_parse(CASES[i].text, &level), 0);
        assert_int_equal(level, CASES[i].level);
    }
    enum log_level level = LOG_LEVEL_WARN;
    assert_int_equal(log_level_parse("loud", &level), -EINVAL);
    assert_int_equal(log_level_parse("", &level), -EINVAL);
    assert_int_equal(log_level_parse(NULL, &level), -EINVAL);
    assert_int_equal(level, LOG_LEVEL_WARN);
    for (int i = 0; i < LOG_LEVEL_MAX; i++) {
        assert_int_equal(log_level_parse(log_level_name((enum log_level)i), &level), 0);
        assert_int_equal(level, i);
    }
}

static void test_context(void **state)
{
    log_context_set("read ino 17");
    log_info("with");
    log_context_set(NULL);
    log_info("without");
    CLEANUP_FREE char *text = content(path);
    assert_non_null(strstr(text, "info: read ino 17: with\n"));
    assert_non_null(strstr(text, "info: without\n"));
}

/* Callers log between a failure and `return -errno`. */
static void test_errno_survives_a_full_disk(void **state)
{
    assert_int_equal(log_open(LOG_TARGET_FILE, "/dev/full"), 0);
    errno = EXDEV;
    log_info("lost");
    assert_int_equal(errno, EXDEV);
}

static void test_outside_bytes_cannot_forge_lines(void **state)
{
    log_info("key '%s'", "a\nb\x1b[2J\x7f"
                         "c\xc3\xa9");
    CLEANUP_FREE char *text = content(path);
    assert_non_null(strstr(text, "key 'a\\x0ab\\x1b[2J\\x7fc\xc3\xa9'\n"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void test_long_lines_are_cut(void **state)
{
    char longest[3 * LIMIT_LOG_LINE];
    for (int round = 0; round < 2; round++) {
        /* The second round grows while being escaped. */
        memset(longest, round ? '\n' : 'x', sizeof(longest) - 1);
        longest[round ? LIMIT_LOG_LINE - 200 : sizeof(longest) - 1] = '\0';
        fresh_file(NULL);
        log_context_set("context");
        log_info("%s", longest);
        CLEANUP_FREE char *text = content(path);
        size_t len = strlen(text);
        assert_true(len <= LIMIT_LOG_LINE);
        assert_true(len > LIMIT_LOG_LINE - 120);
        assert_string_equal(text + len - 4, "...\n");
    }
}

static void test_reopen_follows_the_path(void **state)
{
    log_info("before");
    assert_int_equal(rename(path, moved), 0);
    log_info("still there");
    assert_int_equal(log_reopen(), 0);
    log_info("after");
    CLEANUP_FREE char *old = content(moved), *new = content(path);
    assert_non_null(strstr(old, "before"));
    assert_non_null(strstr(old, "still there"));
    assert_null(strstr(old, "after"));
    assert_non_null(strstr(new, "after"));
    assert_null(strstr(new, "before"));
}

static void test_relative_path_survives_chdir(void **state)
{
    char cwd[256];
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    assert_int_equal(chdir(dir), 0);
    assert_int_equal(log_open(LOG_TARGET_FILE, "log"), 0);
    assert_int_equal(chdir(cwd), 0);
    assert_int_equal(rename(path, moved), 0);
    assert_int_equal(log_reopen(), 0);
    log_info("here");
    CLEANUP_FREE char *text = content(path);
    assert_non_null(strstr(text, "here"));
}

static void test_failure_keeps_the_target(void **state)
{
    assert_int_equal(log_open(LOG_TARGET_FILE, "/nonexistent/folder/log"), -ENOENT);
    assert_int_equal(log_open(LOG_TARGET_FILE, ""), -EINVAL);
    assert_int_equal(log_open(LOG_TARGET_FILE, NULL), -EINVAL);
    char *endless = calloc(1, 10000);
    assert_non_null(endless);
    memset(endless, 'x', 9999);
    assert_int_equal(log_open(LOG_TARGET_FILE, endless), -ENAMETOOLONG);
    free(endless);
    log_info("kept");
    assert_int_equal(log_reopen(), 0);
    log_info("kept too");
    CLEANUP_FREE char *text = content(path);
    assert_non_null(strstr(text, "kept\n"));
    assert_non_null(strstr(text, "kept too\n"));
}

static void test_stderr(void **state)
{
    fflush(stderr);
    int saved = dup(STDERR_FILENO);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(saved >= 0 && fd >= 0);
    dup2(fd, STDERR_FILENO);
    int r = log_open(LOG_TARGET_STDERR, NULL);
    log_warn("to stderr");
    assert_int_equal(log_reopen(), 0);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(fd);
    assert_int_equal(r, 0);
    CLEANUP_FREE char *text = content(path);
    assert_non_null(strstr(text, "warn: to stderr\n"));
}

static void *write_lines(void *arg)
{
    char context[16];
    snprintf(context, sizeof(context), "thread%c", *(char *)arg);
    log_context_set(context);
    for (int i = 0; i < 500; i++)
        log_info("%c%c%c%c%c%c%c%c %d", *(char *)arg, *(char *)arg, *(char *)arg, *(char *)arg,
                 *(char *)arg, *(char *)arg, *(char *)arg, *(char *)arg, i);
    log_context_set(NULL);
    return NULL;
}

static void test_threads_do_not_mix(void **state)
{
    static char names[] = "abcd";
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, &names[i]), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(log_reopen(), 0); /* rotation at the same time loses nothing */
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);

    CLEANUP_FREE char *text = content(path);
    int lines = 0, next[4] = {0};
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1, lines++) {
        *end = '\0';
        char *at = strstr(line, "info: thread");
        assert_non_null(at);
        char who = at[12];
        assert_true(who >= 'a' && who <= 'd');
        char expected[64];
        snprintf(expected, sizeof(expected), "info: thread%c: %c%c%c%c%c%c%c%c %d", who, who, who,
                 who, who, who, who, who, who, next[who - 'a']++);
        assert_string_equal(at, expected);
    }
    assert_int_equal(lines, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_line_form, fresh_file),
        cmocka_unit_test_setup(test_levels, fresh_file),
        cmocka_unit_test(test_level_names),
        cmocka_unit_test_setup(test_context, fresh_file),
        cmocka_unit_test_setup(test_errno_survives_a_full_disk, fresh_file),
        cmocka_unit_test_setup(test_outside_bytes_cannot_forge_lines, fresh_file),
        cmocka_unit_test_setup(test_long_lines_are_cut, fresh_file),
        cmocka_unit_test_setup(test_reopen_follows_the_path, fresh_file),
        cmocka_unit_test_setup(test_relative_path_survives_chdir, fresh_file),
        cmocka_unit_test_setup(test_failure_keeps_the_target, fresh_file),
        cmocka_unit_test_setup(test_threads_do_not_mix, fresh_file),
        cmocka_unit_test_setup(test_stderr, fresh_file),
    };
    return cmocka_run_group_tests_name("log", tests, setup, teardown);
}
