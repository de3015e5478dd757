/* SPDX-License-Identifier: Apache-2.0 */
/* RENAME_EXCHANGE: what it costs, open files, failures at each step, and crashes after each. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "meta/state.h"
#include "store/store_fault.h"
#include "vfs_bed.h"

static int exchange(struct fixture *f, const char *a, const char *b)
{
    return fixture_rename(f, a, b, RENAME_EXCHANGE);
}

static void test_exchange(void **state)
{
    struct vfs_bed bed;
    struct fixture *f = &bed.f;
    struct vfs_file *w;
    vfs_bed_begin(&bed);
    fixture_object(f, "a", "AA");
    fixture_object(f, "d/b", "B");
    (void)fixture_ls(f, "", false);
    (void)fixture_ls(f, "d", false);
    assert_int_equal(fixture_open(f, "a", O_RDWR, &w), 0);
    fixture_expect(f, "list 2, head 1");
    assert_int_equal(exchange(f, "a", "d/b"), 0);
    fixture_expect(f, "copy 3, delete 1");
    assert_string_equal(fixture_keys(f), "a d/b ");
    assert_string_equal(fixture_read(f, "a"), "B");
    assert_string_equal(fixture_read(f, "d/b"), "AA");
    /* The open file has followed its name. */
    assert_int_equal(vfs_write(f->vfs, w, 2, "!", 1, &f->err), 0);
    assert_int_equal(fixture_close(f, w), 0);
    assert_string_equal(fixture_get(f, "d/b"), "AA!");
    assert_string_equal(fixture_get(f, "a"), "B");
    assert_string_equal(fixture_ls(f, "", true), "d/ a=1 ");
    assert_string_equal(fixture_ls(f, "d", true), "b=3 ");

    assert_int_equal(exchange(f, "a", "a"), 0);
    assert_int_equal(exchange(f, "a", "absent"), -ENOENT);
    assert_int_equal(fixture_rename(f, "a", "d/b", RENAME_EXCHANGE | RENAME_NOREPLACE), -EINVAL);
    vfs_bed_end(&bed);
}

static void test_failures(void **state)
{
    for (uint64_t at = 0; at < 3; at++) {
        struct vfs_bed bed;
        struct fixture *f = &bed.f;
        vfs_bed_begin(&bed);
        fixture_object(f, "a", "A");
        fixture_object(f, "b", "B");
        (void)fixture_ls(f, "", false);
        struct store_fault_rule fails = {
            .op = STORE_COPY, .after = at, .count = 1, .error = S3_ERROR_SERVER};
        assert_int_equal(store_fault_add(f->fault, &fails), 0);
        assert_int_equal(exchange(f, "a", "b"), -EIO);
        assert_string_equal(fixture_keys(f), "a b ");
        assert_string_equal(fixture_get(f, "a"), "A");
        assert_string_equal(fixture_get(f, "b"), "B");
        assert_int_equal(exchange(f, "a", "b"), 0);
        assert_string_equal(fixture_read(f, "a"), "B");
        assert_string_equal(fixture_read(f, "b"), "A");
        vfs_bed_end(&bed);
    }
}

static void test_other_host(void **state)
{
    struct vfs_bed bed;
    struct fixture *f = &bed.f;
    vfs_bed_begin(&bed);
    fixture_object(f, "a", "A");
    fixture_object(f, "b", "B");
    (void)fixture_ls(f, "", false);
    fixture_object(f, "b", "theirs");
    assert_int_equal(exchange(f, "a", "b"), -ESTALE);
    assert_string_equal(fixture_get(f, "a"), "A");
    assert_string_equal(fixture_get(f, "b"), "theirs");
    assert_string_equal(fixture_keys(f), "a b ");
    vfs_bed_end(&bed);
}

/* A crash in the middle would leave one's content where nobody finds it. */
static void test_not_without_a_note(void **state)
{
    struct fixture f;
    fixture_init(&f, NULL);
    fixture_object(&f, "a", "A");
    fixture_object(&f, "b", "B");
    (void)fixture_ls(&f, "", false);
    fixture_expect(&f, "list 1");
    assert_int_equal(exchange(&f, "a", "b"), -EOPNOTSUPP);
    fixture_expect(&f, "");
    assert_string_equal(fixture_keys(&f), "a b ");
    fixture_done(&f);
}

#define HIDDEN ".pailfs-unlinked/00"

static void note(struct vfs_bed *b)
{
    struct store_object o;
    char payload[256];
    size_t n = 0;
    for (const char **c = (const char *[]){"A", "B", NULL}; *c; c++) {
        fixture_object(&b->f, "a", *c);
        assert_int_equal(store_head(b->f.memory, "a", &o, &b->f.err), 0);
        n += (size_t)snprintf(payload + n, sizeof(payload) - n, "%s", o.etag) + 1;
        store_object_done(&o);
    }
    n += (size_t)snprintf(payload + n, sizeof(payload) - n, "%s", HIDDEN) + 1;
    vfs_bed_note(b, STATE_INTENT_RENAME_FILE, "a", "b", payload, n);
}

static void test_crash(void **state)
{
    static const struct {
        const char *a, *b, *hidden;             /* NULL = absent */
        const char *want_a, *want_b, *want_all; /* afterwards */
    } cases[] = {
        {"A", "B", NULL, "A", "B", "a b "},
        {"A", "B", "A", "A", "B", "a b "},
        {"B", "B", "A", "B", "A", "a b "},
        {"B", "A", "A", "B", "A", "a b "},
        {"B", "A", NULL, "B", "A", "a b "},
        {"A", "theirs", "A", "A", "theirs", "a b "},
        {"theirs", "A", "A", "theirs", "A", "a b "},
        /* Only the hidden key has what "a" had. */
        {"theirs", "B", "A", "theirs", "B", HIDDEN " a b "},
        {"B", "theirs", "A", "B", "theirs", HIDDEN " a b "},
        {NULL, "B", "A", NULL, "B", HIDDEN " b "},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vfs_bed b;
        vfs_bed_begin(&b);
        note(&b);
        fixture_remove(&b.f, "a");
        if (cases[i].a)
            fixture_object(&b.f, "a", cases[i].a);
        fixture_object(&b.f, "b", cases[i].b);
        if (cases[i].hidden)
            fixture_object(&b.f, HIDDEN, cases[i].hidden);
        vfs_bed_next(&b);
        assert_int_equal(b.figures.left, 0);
        if (cases[i].want_a)
            assert_string_equal(fixture_get(&b.f, "a"), cases[i].want_a);
        assert_string_equal(fixture_get(&b.f, "b"), cases[i].want_b);
        assert_string_equal(fixture_keys(&b.f), cases[i].want_all);
        vfs_bed_end(&b);
    }
}

/* A program is faster than the recovery: it writes the one before that is looked at. */
static void test_written_before_it_is_recovered(void **state)
{
    struct vfs_bed b;
    struct vfs_file *w;
    vfs_bed_begin(&b);
    note(&b);
    fixture_object(&b.f, "a", "B");
    fixture_object(&b.f, "b", "B");
    fixture_object(&b.f, HIDDEN, "A");
    vfs_bed_crash(&b);
    vfs_bed_mount(&b);
    assert_int_equal(fixture_open(&b.f, "a", O_RDWR, &w), 0);
    assert_int_equal(vfs_write(b.f.vfs, w, 1, "!", 1, &b.f.err), 0);
    vfs_bed_recover(&b);
    assert_int_equal(fixture_close(&b.f, w), 0);
    assert_string_equal(fixture_get(&b.f, "a"), "B!");
    assert_string_equal(fixture_get(&b.f, "b"), "A");
    assert_string_equal(fixture_keys(&b.f), "a b ");
    vfs_bed_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchange),   cmocka_unit_test(test_failures),
        cmocka_unit_test(test_other_host), cmocka_unit_test(test_not_without_a_note),
        cmocka_unit_test(test_crash),      cmocka_unit_test(test_written_before_it_is_recovered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
