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
#include "base/cleanup.h"
#include "meta/lost.h"

#define TIME_NS 1795373100000000000LL

struct world {
    char base[64];
    char folder[96];
    struct lost *lost;
};

static struct lost_note a_note(const char *key)
{
    return (struct lost_note){
        .key = key, .base = "\"abc\"", .reason = LOST_REPLACED, .size = 5, .time_ns = TIME_NS};
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    struct lost_options o = {.bucket = "b", .endpoint = "http://e:1", .prefix = "p/"};

    snprintf(w->base, sizeof(w->base), "/tmp/pailfs-lost.XXXXXX");
    assert_non_null(mkdtemp(w->base));
    snprintf(w->folder, sizeof(w->folder), "%s/lost+found", w->base);
    o.folder = w->folder;
    assert_int_equal(lost_open(&o, &w->lost), 0);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    char command[128];

    lost_close(w->lost);
    snprintf(command, sizeof(command), "rm -rf '%s'", w->base);
    assert_int_equal(system(command), 0);
    free(w);
    return 0;
}

static void add(struct world *w, const struct lost_note *n, const char *text, char path[PATH_MAX])
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};

    assert_int_equal(lost_add_bytes(w->lost, n, &iov, 1, path), 0);
}

static void has_text(const char *path, const char *text)
{
    char buf[256];
    CLEANUP_FILE FILE *f = fopen(path, "r");

    assert_non_null(f);
    buf[fread(buf, 1, sizeof(buf) - 1, f)] = '\0';
    assert_string_equal(buf, text);
}

static void an_item_says_what_it_is(void **state)
{
    struct world *w = *state;
    struct lost_note n = a_note("dir/report.txt");
    struct lost_list l;
    char path[PATH_MAX];

    n.missing_offset = 0;
    n.missing_length = 7;
    n.upload_id = "up/1";
    n.upload_length = 7;
    add(w, &n, "hello", path);
    assert_string_equal(strrchr(path, '/'), "/20261122T184500Z-report.txt");
    has_text(path, "hello");
    assert_int_equal(lost_list(w->folder, &l), 0);
    assert_int_equal(l.n, 1);
    assert_string_equal(l.items[0].name, "20261122T184500Z-report.txt");
    assert_string_equal(l.items[0].note.key, "p/dir/report.txt");
    assert_string_equal(l.items[0].note.base, "\"abc\"");
    assert_string_equal(l.items[0].note.bucket, "b");
    assert_string_equal(l.items[0].note.endpoint, "http://e:1");
    assert_string_equal(l.items[0].note.prefix, "p/");
    assert_string_equal(l.items[0].note.upload_id, "up/1");
    assert_int_equal(l.items[0].note.upload_length, 7);
    assert_int_equal(l.items[0].note.missing_length, 7);
    assert_int_equal(l.items[0].note.reason, LOST_REPLACED);
    assert_int_equal(l.items[0].note.size, 5);
    assert_true(l.items[0].note.time_ns == TIME_NS);
    lost_list_done(&l);
}

/* Keys are any bytes; file names are not, and two items do not meet. */
static void odd_keys_come_back(void **state)
{
    static const char *const KEYS[] = {
        "a b/c\nd%41", "caf\xE9", "x.info", "dir/", "\xC3\xA9t\xC3\xA9", "same", "same",
        "-rf",         "..",      "..",     "",     "very/long/" /* and see below */};
    struct world *w = *state;
    struct lost_list l;
    char name[400], path[PATH_MAX], all[300];
    size_t n = sizeof(KEYS) / sizeof(KEYS[0]);

    memset(all, 'n', sizeof(all) - 1);
    all[sizeof(all) - 1] = '\0';
    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof(name), "%s%s", KEYS[i], i == n - 1 ? all : "");
        struct lost_note note = a_note(name);
        note.time_ns += (int64_t)i; /* the order of the list, below what a name tells */
        add(w, &note, "hello", path);
        assert_true(strlen(strrchr(path, '/')) < LOST_NAME_SIZE);
    }
    assert_int_equal(lost_list(w->folder, &l), 0);
    assert_int_equal(l.n, n);
    for (size_t i = 0; i < n; i++) {
        bool found = false;
        snprintf(name, sizeof(name), "p/%s%s", KEYS[i], i == n - 1 ? all : "");
        for (size_t k = 0; k < n; k++)
            found |= strcmp(l.items[k].note.key, name) == 0;
        assert_true(found);
    }
    lost_list_done(&l);
}

static void a_file_is_moved(void **state)
{
    struct world *w = *state;
    struct lost_note n = a_note("k");
    char from[128], path[PATH_MAX];
    FILE *f;

    snprintf(from, sizeof(from), "%s/body", w->base);
    assert_int_equal(lost_add_file(w->lost, &n, from, path), -ENOENT);
    assert_non_null(f = fopen(from, "w"));
    fputs("moved", f);
    fclose(f);
    assert_int_equal(lost_add_file(w->lost, &n, from, path), 0);
    assert_int_equal(access(from, F_OK), -1);
    has_text(path, "moved");
}

static void what_a_crash_left(void **state)
{
    struct world *w = *state;
    struct lost_note n = a_note("k");
    struct lost_options o = {.folder = w->folder, .bucket = "b"};
    struct lost_file f;
    struct lost_list l;
    char path[PATH_MAX], info[PATH_MAX + 8];

    /* In the middle of filling: nobody was told of it. */
    assert_int_equal(lost_begin(w->lost, &f), 0);
    close(f.fd);
    /* Between the two renames: content without a description. */
    add(w, &n, "hello", path);
    snprintf(info, sizeof(info), "%s.info", path);
    assert_int_equal(unlink(info), 0);
    /* A description that is torn or of something else. */
    add(w, &n, "world", path);
    snprintf(info, sizeof(info), "%s.info", path);
    assert_int_equal(truncate(info, 30), 0);

    lost_close(w->lost);
    assert_int_equal(lost_open(&o, &w->lost), 0);
    assert_int_equal(lost_list(w->folder, &l), 0);
    assert_int_equal(l.n, 2);
    for (size_t i = 0; i < l.n; i++) {
        assert_int_equal(l.items[i].note.reason, LOST_UNKNOWN);
        assert_string_equal(l.items[i].note.key, "");
        assert_int_equal(l.items[i].note.size, 5);
    }
    lost_list_done(&l);
}

static void flipped_bytes_are_no_crash(void **state)
{
    struct world *w = *state;
    struct lost_note n = a_note("key%\n");
    char path[PATH_MAX], info[PATH_MAX + 8], text[1024];

    n.upload_id = "u";
    add(w, &n, "hello", path);
    snprintf(info, sizeof(info), "%s.info", path);
    FILE *f = fopen(info, "r");
    size_t len = fread(text, 1, sizeof(text), f);
    fclose(f);
    for (size_t i = 0; i < len; i++) {
        for (int bit = 0; bit < 8; bit += 3) {
            struct lost_list l;
            text[i] = (char)(text[i] ^ (1 << bit));
            f = fopen(info, "w");
            assert_int_equal(fwrite(text, 1, len, f), len);
            fclose(f);
            assert_int_equal(lost_list(w->folder, &l), 0);
            assert_int_equal(l.n, 1);
            assert_non_null(l.items[0].note.key);
            lost_list_done(&l);
            text[i] = (char)(text[i] ^ (1 << bit));
        }
    }
}

static void dropping(void **state)
{
    struct world *w = *state;
    struct lost_note n = a_note("k");
    struct lost_list l;
    char path[PATH_MAX];

    add(w, &n, "hello", path);
    assert_int_equal(lost_drop(w->folder, "nothing"), -ENOENT);
    assert_int_equal(lost_drop(w->folder, "../lost+found"), -ENOENT);
    assert_int_equal(lost_drop(w->folder, ".."), -ENOENT);
    assert_int_equal(lost_drop(w->folder, "20261122T184500Z-k.info"), -ENOENT);
    assert_int_equal(lost_drop(w->folder, strrchr(path, '/') + 1), 0);
    assert_int_equal(lost_list(w->folder, &l), 0);
    assert_int_equal(l.n, 0);
    lost_list_done(&l);
    assert_int_equal(lost_list("/nonexistent/folder", &l), 0);
    assert_int_equal(l.n, 0);
    lost_list_done(&l);
}

static void a_full_disk(void **state)
{
    struct world *w = *state;
    struct lost_note n = a_note("k");
    struct lost_list l;
    char from[128], path[PATH_MAX];
    char hello[] = "hello";
    struct iovec iov = {.iov_base = hello, .iov_len = 5};
    FILE *f;

    /* A description of this size cannot be written: the key is too long for its buffer. */
    char *key = calloc(1, 100000);
    memset(key, 'k', 99999);
    n.key = key;
    snprintf(from, sizeof(from), "%s/body", w->base);
    assert_non_null(f = fopen(from, "w"));
    fclose(f);
    assert_int_not_equal(lost_add_bytes(w->lost, &n, &iov, 1, path), 0);
    assert_int_not_equal(lost_add_file(w->lost, &n, from, path), 0);
    assert_int_equal(access(from, F_OK), 0);
    free(key);
    assert_int_equal(lost_list(w->folder, &l), 0);
    assert_int_equal(l.n, 0);
    lost_list_done(&l);
}

static void memory_runs_out(void **state)
{
    struct world *w = *state;
    struct lost_note n = a_note("k");
    char path[PATH_MAX];
    int failed = 0;

    struct lost_list l;
    int r;

    add(w, &n, "hello", path);
    for (long i = 0; alloc_fail_begin(i), r = lost_list(w->folder, &l), alloc_fail_end(); i++) {
        failed++;
        if (r == 0)
            lost_list_done(&l);
    }
    assert_int_equal(r, 0);
    assert_int_equal(l.n, 1);
    lost_list_done(&l);
    assert_true(failed > 0);
}

static void flip(const char *path, off_t at)
{
    uint8_t byte;
    CLEANUP_FD int fd = open(path, O_RDWR);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= (uint8_t)(1u << at % 8);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

/* Any one byte of a description: the item says nothing rather than something wrong. Any one of the
 * content: it is told before it is put back. */
static void flipped_bytes_are_told(void **state)
{
    struct world *w = *state;
    struct lost_note note = a_note("dir/report.txt");
    struct lost_list list;
    char path[PATH_MAX], info[PATH_MAX + 8];
    struct stat st;

    add(w, &note, "hello", path);
    snprintf(info, sizeof(info), "%s.info", path);
    assert_int_equal(stat(info, &st), 0);
    for (off_t at = -1; at < st.st_size; at++) {
        if (at >= 0)
            flip(info, at);
        assert_int_equal(lost_list(w->folder, &list), 0);
        assert_int_equal(list.n, 1);
        assert_string_equal(list.items[0].note.key, at < 0 ? "p/dir/report.txt" : "");
        assert_int_equal(list.items[0].note.reason, at < 0 ? LOST_REPLACED : LOST_UNKNOWN);
        lost_list_done(&list);
        if (at >= 0)
            flip(info, at);
    }
    for (off_t at = -1; at < 5; at++) {
        if (at >= 0)
            flip(path, at);
        assert_int_equal(lost_list(w->folder, &list), 0);
        assert_int_equal(lost_verify(w->folder, &list.items[0]), at < 0 ? 0 : -EBADMSG);
        lost_list_done(&list);
        if (at >= 0)
            flip(path, at);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_item_says_what_it_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(flipped_bytes_are_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(odd_keys_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_is_moved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_crash_left, set_up, tear_down),
        cmocka_unit_test_setup_teardown(flipped_bytes_are_no_crash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(dropping, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(memory_runs_out, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
