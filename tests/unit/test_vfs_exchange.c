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

/* "a" and "b" are known, and of different sizes. */
static void begin_two(struct vfs_bed *b, bool parts)
{
    void (*put)(struct fixture *, const char *, const char *) =
        parts ? fixture_object_parts : fixture_object;
    vfs_bed_begin(b);
    put(&b->f, "a", "AA");
    put(&b->f, "b", "B");
    (void)fixture_ls(&b->f, "", false);
}

static void expect_two(struct vfs_bed *b, bool exchanged)
{
    assert_string_equal(fixture_keys(&b->f), "a b ");
    assert_string_equal(fixture_get(&b->f, "a"), exchanged ? "B" : "AA");
    assert_string_equal(fixture_get(&b->f, "b"), exchanged ? "AA" : "B");
}

/* Some copies fail, after or without having been done. */
static void fail_copies(struct fixture *f, uint64_t after, uint64_t count, enum s3_error_kind kind,
                        bool done)
{
    struct store_fault_rule rule = {
        .op = STORE_COPY, .after = after, .count = count, .error = kind, .lose_answer = done};
    assert_int_equal(store_fault_add(f->fault, &rule), 0);
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
    fixture_expect(f, "head 2, copy 3, delete 1");
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
        begin_two(&bed, false);
        fail_copies(f, at, 1, S3_ERROR_SERVER, false);
        assert_int_equal(exchange(f, "a", "b"), -EIO);
        expect_two(&bed, false);
        assert_int_equal(exchange(f, "a", "b"), 0);
        assert_string_equal(fixture_read(f, "a"), "B");
        assert_string_equal(fixture_read(f, "b"), "AA");
        vfs_bed_end(&bed);
    }
}

/* The copy is carried out, but the one who asked does not hear of it. */
static void test_lost_answers(void **state)
{
    static const struct {
        enum s3_error_kind kind;
        unsigned tries;
    } losses[] = {
        {S3_ERROR_PRECONDITION, 2}, /* a second try met the success of the first */
        {S3_ERROR_TIMEOUT, 1},
        {S3_ERROR_SERVER, 4},
    };
    for (size_t i = 0; i < 2 * 3 * ARRAY_SIZE(losses); i++) {
        size_t k = i / 6;
        uint64_t at = i % 3;
        struct vfs_bed bed;
        struct fixture *f = &bed.f;
        begin_two(&bed, i % 6 >= 3); /* of parts: no ETag tells */
        struct store_fault_rule lost = {.op = STORE_COPY,
                                        .after = at,
                                        .count = 1,
                                        .error = losses[k].kind,
                                        .tries = losses[k].tries,
                                        .lose_answer = true};
        assert_int_equal(store_fault_add(f->fault, &lost), 0);
        assert_int_equal(exchange(f, "a", "b"), 0);
        expect_two(&bed, true);
        assert_string_equal(fixture_read(f, "a"), "B");
        assert_string_equal(fixture_read(f, "b"), "AA");
        assert_int_equal(vfs_bed_intents(&bed), 0);
        vfs_bed_end(&bed);
    }
}

/* But those for what the copies carry. */
static void fail_heads(struct fixture *f)
{
    struct store_fault_rule rule = {.op = STORE_HEAD, .after = 2, .error = S3_ERROR_CONNECT};
    assert_int_equal(store_fault_add(f->fault, &rule), 0);
}

/* The content that some key has: a name, or the one that the next mount looks at. */
static bool is_anywhere(struct fixture *f, const char *content)
{
    char keys[1024], *rest = keys;
    snprintf(keys, sizeof(keys), "%s", fixture_keys(f));
    for (const char *key; (key = strsep(&rest, " ")) && *key;) {
        if (strcmp(fixture_get(f, key), content) == 0)
            return true;
    }
    return false;
}

/* Whether it was carried out cannot be found out either. The next mount can. */
static void test_unknown_outcome(void **state)
{
    for (unsigned k = 0; k < 6; k++) {
        uint64_t at = k / 2;
        bool done = k % 2;
        struct vfs_bed bed;
        struct fixture *f = &bed.f;
        begin_two(&bed, false);
        fail_copies(f, at, 0, S3_ERROR_TIMEOUT, done);
        fail_heads(f);
        assert_int_equal(exchange(f, "a", "b"), -EIO);
        store_fault_clear(f->fault);
        assert_true(is_anywhere(f, "AA"));
        assert_true(is_anywhere(f, "B"));
        assert_int_equal(vfs_bed_intents(&bed), 1);
        vfs_bed_next(&bed);
        assert_int_equal(bed.figures.left, 0);
        expect_two(&bed, at > 0); /* the server may be at the first one still */
        vfs_bed_end(&bed);
    }
}

/* A copy to one of the names comes after it was given up: the hidden key is what it was. */
static void copy_late(struct vfs_bed *b, const char *from, const char *to, const char *replaced)
{
    struct store_version version;
    struct s3_error err;
    struct store_copy_in late = {.source_key = from, .key = to, .if_match = replaced};
    (void)store_copy(b->f.memory, &late, &version, &err);
    assert_true(is_anywhere(&b->f, "AA"));
    assert_true(is_anywhere(&b->f, "B"));
}

/* What was given up may still be carried out, also after the next mount has looked at it: nothing
 * is done that would make that a loss. */
static void test_carried_out_late(void **state)
{
    for (unsigned k = 0; k < 8; k++) {
        uint64_t at = 1 + k % 2;
        bool mounted = k & 2;
        struct vfs_bed bed;
        struct fixture *f = &bed.f;
        struct store_object a, b;
        begin_two(&bed, k & 4);
        assert_int_equal(store_head(f->memory, "a", &a, &f->err), 0);
        assert_int_equal(store_head(f->memory, "b", &b, &f->err), 0);
        fail_copies(f, at, 2, S3_ERROR_TIMEOUT, false);
        assert_int_equal(exchange(f, "a", "b"), -EIO);
        char hidden[256];
        snprintf(hidden, sizeof(hidden), "%s", fixture_keys(f));
        hidden[strcspn(hidden, " ")] = '\0';
        if (mounted)
            vfs_bed_next(&bed);
        copy_late(&bed, at == 1 ? "b" : hidden, at == 1 ? "a" : "b", at == 1 ? a.etag : b.etag);
        store_object_done(&a);
        store_object_done(&b);
        vfs_bed_next(&bed);
        assert_int_equal(bed.figures.left, 0);
        assert_true(is_anywhere(f, "AA"));
        assert_true(is_anywhere(f, "B"));
        clock_fake_advance(&f->clock, 3601 * (uint64_t)NS_PER_S);
        vfs_bed_next(&bed);
        assert_int_equal(vfs_bed_intents(&bed), 0);
        assert_true(is_anywhere(f, "AA"));
        assert_true(is_anywhere(f, "B"));
        vfs_bed_end(&bed);
    }
}

/* The way back has an answer to lose, too. */
static void test_lost_on_the_way_back(void **state)
{
    for (unsigned lost = 0; lost < 2; lost++) {
        struct vfs_bed bed;
        struct fixture *f = &bed.f;
        begin_two(&bed, false);
        fail_copies(f, 2, 1, S3_ERROR_ACCESS_DENIED, false);
        fail_copies(f, 2, 1, S3_ERROR_TIMEOUT, lost);
        assert_int_equal(exchange(f, "a", "b"), -EACCES);
        assert_int_equal(vfs_bed_intents(&bed), lost ? 0 : 1);
        vfs_bed_next(&bed);
        assert_string_equal(fixture_keys(f), "a b ");
        assert_string_equal(fixture_get(f, "a"), lost ? "AA" : "B");
        assert_string_equal(fixture_get(f, "b"), lost ? "B" : "AA");
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

/* Of parts: as a server keeps it that gives a copy the ETag of those, or none that anybody knows.
 */
static void put_kind(struct fixture *f, const char *key, const char *content, bool parts,
                     char etag[STORE_ETAG_SIZE])
{
    struct store_object o;
    if (parts)
        fixture_object_parts(f, key, content);
    else
        fixture_object(f, key, content);
    assert_int_equal(store_head(f->memory, key, &o, &f->err), 0);
    memcpy(etag, o.etag, STORE_ETAG_SIZE);
    store_object_done(&o);
}

/* Two disk images of one size, of parts, whose copies have the ETags of parts too, or not. */
static void test_crash_with_parts(void **state)
{
    static const struct {
        const char *a, *b; /* "p" in front: made of parts */
        const char *hidden;
        const char *step; /* NULL = the note of an earlier version */
        bool noted;       /* what the first name has got */
        const char *want_a, *want_b;
        bool kept;
    } cases[] = {
        /* The copies keep their ETags. */
        {"pA", "pB", "pA", NULL, false, "A", "B", false},
        {"pB", "pB", "pA", NULL, false, "B", "A", false},
        {"pB", "pA", "pA", NULL, false, "B", "A", false},
        /* They do not: a note tells, or the bytes. */
        {"pA", "pB", "A", NULL, false, "A", "B", false},
        {"B", "pB", "A", NULL, false, "B", "A", false},
        {"B", "pB", "pA", NULL, false, "B", "A", false},
        {"B", "pB", "pA", "2", false, "B", "A", false},
        {"B", "pB", "pA", "3", true, "B", "A", false},
        {"B", "pB", "A", "3", true, "B", "A", false},
        {"B", "A", "A", "3", true, "B", "A", false},
        {"B", "A", "pA", "3", true, "B", "A", false},
        /* The first copy may be under way still: to go back would be to lose what it replaces. */
        {"pA", "pB", "pA", "2", false, "B", "A", false},
        {"pA", "pB", "A", "2", false, "B", "A", false},
        {"pA", "pX", "pA", "2", false, "A", "X", false},
        /* Another host's, of that size. */
        {"X", "pB", "pA", NULL, false, "X", "B", true},
        {"pX", "pB", "pA", "2", false, "X", "B", true},
        {"pB", "pX", "pA", "3", true, "B", "X", true},
        {"B", "X", "pA", "3", true, "B", "X", true},
        /* The first step had not begun, whatever is there now. */
        {"pX", "pB", "pA", "1", false, "X", "B", false},
        /* It was given up; what came after that is the user's. */
        {"pA", "pB", "pA", "x", false, "A", "B", false},
        {"pB", "pB", "pA", "x", false, "B", "B", true},
        {"B", "pB", "pA", "x", false, "B", "B", true},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vfs_bed b;
        char etag_a[STORE_ETAG_SIZE], etag_b[STORE_ETAG_SIZE], now[STORE_ETAG_SIZE];
        char hidden[STORE_ETAG_SIZE], payload[1024];
        vfs_bed_begin(&b);
        put_kind(&b.f, "a", "A", true, etag_a);
        put_kind(&b.f, "b", "B", true, etag_b);
        const char *c[] = {cases[i].a, cases[i].b, cases[i].hidden};
        put_kind(&b.f, "b", c[1] + (c[1][0] == 'p'), c[1][0] == 'p', now);
        put_kind(&b.f, HIDDEN, c[2] + (c[2][0] == 'p'), c[2][0] == 'p', hidden);
        put_kind(&b.f, "a", c[0] + (c[0][0] == 'p'), c[0][0] == 'p', now);
        size_t n = 0;
        const char *parts[] = {etag_a,        etag_b, HIDDEN,
                               cases[i].step, hidden, cases[i].noted ? now : ""};
        for (size_t k = 0; k < (cases[i].step ? ARRAY_SIZE(parts) : 3); k++)
            n += (size_t)snprintf(payload + n, sizeof(payload) - n, "%s", parts[k]) + 1;
        vfs_bed_note(&b, STATE_INTENT_RENAME_FILE, "a", "b", payload, n);
        vfs_bed_next(&b);
        print_message("case %zu\n", i);
        if (vfs_bed_intents(&b) > 0) {
            assert_string_equal(cases[i].step, "x"); /* a copy that was given up is waited for */
            assert_string_equal(fixture_get(&b.f, HIDDEN), "A");
            clock_fake_advance(&b.f.clock, 3601 * (uint64_t)NS_PER_S);
            vfs_bed_next(&b);
        }
        assert_int_equal(vfs_bed_intents(&b), 0);
        assert_int_equal(b.figures.left, 0);
        assert_string_equal(fixture_get(&b.f, "a"), cases[i].want_a);
        assert_string_equal(fixture_get(&b.f, "b"), cases[i].want_b);
        assert_string_equal(fixture_keys(&b.f), cases[i].kept ? HIDDEN " a b " : "a b ");
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
        cmocka_unit_test(test_exchange),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_lost_answers),
        cmocka_unit_test(test_unknown_outcome),
        cmocka_unit_test(test_carried_out_late),
        cmocka_unit_test(test_lost_on_the_way_back),
        cmocka_unit_test(test_crash_with_parts),
        cmocka_unit_test(test_other_host),
        cmocka_unit_test(test_not_without_a_note),
        cmocka_unit_test(test_crash),
        cmocka_unit_test(test_written_before_it_is_recovered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
