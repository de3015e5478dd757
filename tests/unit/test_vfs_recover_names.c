/* SPDX-License-Identifier: Apache-2.0 */
/* What a crash left of renames and of removed files, for every place where it may have happened. */
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
#include <unistd.h>

#include "base/attr.h"
#include "base/limits.h"
#include "meta/state.h"
#include "store/store_fault.h"
#include "store/store_memory.h"
#include "vfs/vfs_intent.h"
#include "vfs_bed.h"

static void note_dir(struct vfs_bed *b, uint8_t phase)
{
    struct vfs_intent_dir body = {.version = VFS_INTENT_VERSION, .phase = phase};
    vfs_bed_note(b, STATE_INTENT_RENAME_DIR, "d/", "e/", &body, sizeof(body));
}

static void test_file(void **state)
{
    static const struct {
        const char *old, *new; /* content, NULL = absent */
        const char *keys;
    } cases[] = {
        {"text", NULL, "a "},     {"text", "text", "b "},     {NULL, "text", "b "},
        {"text", "txet", "a b "}, {"text", "longer", "a b "}, {NULL, NULL, ""},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vfs_bed b;
        vfs_bed_begin(&b);
        vfs_bed_note(&b, STATE_INTENT_RENAME_FILE, "a", "b", NULL, 0);
        if (cases[i].old)
            fixture_object(&b.f, "a", cases[i].old);
        if (cases[i].new)
            fixture_object(&b.f, "b", cases[i].new);
        vfs_bed_next(&b);
        assert_string_equal(fixture_keys(&b.f), cases[i].keys);
        assert_int_equal(vfs_bed_intents(&b), 0);
        vfs_bed_end(&b);
    }
}

/* Objects made of parts, whose ETags do not tell that they are copies. */
static void put_large(struct vfs_bed *b, const char *path, char c)
{
    static char buf[MIB];
    struct vfs_file *file;
    memset(buf, c, sizeof(buf));
    assert_int_equal(fixture_create(&b->f, path, O_WRONLY, 0644, &file), 0);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(vfs_write(b->f.vfs, file, i * MIB, buf, sizeof(buf), &b->f.err), 0);
    assert_int_equal(fixture_close(&b->f, file), 0);
}

static void test_file_of_the_same_size(void **state)
{
    enum { COPIED, OLDER_TARGET, KNOWN_TARGET, OTHERS_TARGET, CASES };
    for (int kind = 0; kind < CASES; kind++) {
        struct vfs_bed b;
        struct store_object o = {0};
        vfs_bed_begin(&b);
        put_large(&b, "a", 'a');
        put_large(&b, "b", 'b'); /* not older than what is renamed to it */
        assert_int_equal(store_head(b.f.memory, "b", &o, NULL), 0);
        if (kind == OLDER_TARGET)
            clock_fake_advance(&b.f.clock, 60 * (uint64_t)NS_PER_S);
        const char *replaced = kind == OLDER_TARGET ? "" : o.etag;
        vfs_bed_note(&b, STATE_INTENT_RENAME_FILE, "a", "b", replaced, strlen(replaced) + 1);
        store_object_done(&o);
        struct store_copy_in in = {.source_key = "a", .key = "b"};
        struct store_version version;
        if (kind == COPIED)
            assert_int_equal(store_copy(b.f.memory, &in, &version, NULL), 0);
        if (kind == OTHERS_TARGET)
            put_large(&b, "b", 'c'); /* after the note, by another host */
        vfs_bed_next(&b);
        assert_string_equal(fixture_keys(&b.f), kind == COPIED ? "b " : "a b ");
        assert_int_equal(vfs_bed_intents(&b), 0);
        vfs_bed_end(&b);
    }
}

/* What the new names have is newer, of the same size and made of parts, or no longer made of them:
 * only their content tells which of them are copies. */
static void test_dir_of_the_same_size(void **state)
{
    for (uint8_t phase = VFS_INTENT_COPYING; phase <= VFS_INTENT_DELETING; phase++) {
        struct vfs_bed b;
        vfs_bed_begin(&b);
        fixture_object(&b.f, "d/", "mine");
        fixture_object_parts(&b.f, "d/a", "ours");
        fixture_object_parts(&b.f, "d/b", "ours");
        fixture_object_parts(&b.f, "d/c", "");
        fixture_object_parts(&b.f, "d/e", "ours");
        note_dir(&b, phase);
        fixture_object(&b.f, "e/", "hers");
        fixture_object_parts(&b.f, "e/a", "them");
        fixture_object(&b.f, "e/b", "ours");
        fixture_object(&b.f, "e/c", "");
        fixture_object(&b.f, "e/e", "them");
        vfs_bed_next(&b);
        assert_string_equal(fixture_keys(&b.f), "d/ d/a d/e e/ e/a e/b e/c e/e ");
        assert_string_equal(fixture_get(&b.f, "d/"), "mine");
        assert_string_equal(fixture_get(&b.f, "e/a"), "them");
        assert_int_equal(vfs_bed_intents(&b), 0);
        vfs_bed_end(&b);
    }
}

/* More than one range of each is read. */
static void test_large_copies(void **state)
{
    struct vfs_bed b;
    vfs_bed_begin(&b);
    fixture_object(&b.f, "d/", "");
    fixture_object(&b.f, "e/", "");
    put_large(&b, "d/a", 'a');
    note_dir(&b, VFS_INTENT_DELETING);
    struct store_copy_in in = {.source_key = "d/a", .key = "e/a"};
    struct store_version version;
    assert_int_equal(store_copy(b.f.memory, &in, &version, NULL), 0);
    vfs_bed_next(&b);
    assert_string_equal(fixture_keys(&b.f), "e/ e/a ");
    vfs_bed_end(&b);
}

/* After any number of copies, and after any number of deletes. */
static void test_dir(void **state)
{
    static const char *const names[] = {"", "a", "b", "sub/c", "z"};
    const size_t n = ARRAY_SIZE(names);
    char key[32];
    for (size_t at = 0; at <= 2 * n; at++) {
        struct vfs_bed b;
        vfs_bed_begin(&b);
        note_dir(&b, at <= n ? VFS_INTENT_COPYING : VFS_INTENT_DELETING);
        for (size_t i = 0; i < n; i++) {
            snprintf(key, sizeof(key), "d/%s", names[i]);
            if (at < n || n - 1 - i >= at - n)
                fixture_object(&b.f, key, names[i]);
            snprintf(key, sizeof(key), "e/%s", names[i]);
            if (i < at)
                fixture_object(&b.f, key, names[i]);
        }
        vfs_bed_next(&b);
        assert_string_equal(fixture_keys(&b.f), "e/ e/a e/b e/sub/c e/z ");
        assert_string_equal(fixture_get(&b.f, "e/sub/c"), "sub/c");
        assert_int_equal(vfs_bed_intents(&b), 0);
        assert_string_equal(fixture_ls(&b.f, "", false), "e/ ");
        vfs_bed_end(&b);
    }
}

/* The new name was to be claimed, and nothing else was done. */
static void test_dir_claimed(void **state)
{
    static const struct {
        const char *ctime; /* of the marker that is there, NULL = none is */
        bool more;         /* another host has put something below it since */
        const char *keys;
    } cases[] = {
        {NULL, false, "d/a "},
        {"7.000000123", false, "d/a "},
        {"7.000000124", false, "d/a e/ "}, /* another rename's */
        {"7.000000123", true, "d/a e/x "},
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct vfs_bed b;
        vfs_bed_begin(&b);
        struct vfs_intent_dir body = {.version = VFS_INTENT_VERSION, .phase = VFS_INTENT_CLAIMING};
        uint64_t claim = 7 * (uint64_t)NS_PER_S + 123;
        for (size_t k = 0; k < sizeof(body.claim); k++)
            body.claim[k] = (uint8_t)(claim >> (8 * k));
        vfs_bed_note(&b, STATE_INTENT_RENAME_DIR, "d/", "e/", &body, sizeof(body));
        fixture_object(&b.f, "d/a", "a");
        struct store_metadata ctime = {"ctime", cases[i].ctime};
        struct store_attrs attrs = {.metadata = &ctime, .n_metadata = 1};
        if (cases[i].ctime)
            fixture_object_attrs(&b.f, "e/", "", &attrs);
        if (cases[i].more)
            fixture_object(&b.f, "e/x", "x");
        vfs_bed_next(&b);
        assert_string_equal(fixture_keys(&b.f), cases[i].keys);
        assert_int_equal(vfs_bed_intents(&b), 0);
        vfs_bed_end(&b);
    }
}

/* As an earlier version noted it. */
static void test_dir_short_note(void **state)
{
    struct vfs_bed b;
    vfs_bed_begin(&b);
    struct vfs_intent_dir body = {.version = VFS_INTENT_VERSION, .phase = VFS_INTENT_COPYING};
    vfs_bed_note(&b, STATE_INTENT_RENAME_DIR, "d/", "e/", &body, VFS_INTENT_DIR_SHORT);
    fixture_object(&b.f, "d/a", "a");
    vfs_bed_next(&b);
    assert_string_equal(fixture_keys(&b.f), "e/a ");
    assert_int_equal(vfs_bed_intents(&b), 0);
    vfs_bed_end(&b);
}

static void test_dir_with_others(void **state)
{
    struct vfs_bed b;
    vfs_bed_begin(&b);
    note_dir(&b, VFS_INTENT_COPYING);
    fixture_object(&b.f, "d/", "");
    fixture_object(&b.f, "d/a", "a");
    fixture_object(&b.f, "d/b", "b");
    fixture_object(&b.f, "e/b", "theirs");
    clock_fake_advance(&b.f.clock, 60 * (uint64_t)NS_PER_S);
    fixture_object(&b.f, "d/later", "x");
    vfs_bed_next(&b);
    /* Nothing is replaced, and what was stored since stays where it is. */
    assert_string_equal(fixture_keys(&b.f), "d/ d/b d/later e/ e/a e/b ");
    assert_string_equal(fixture_get(&b.f, "e/b"), "theirs");
    assert_int_equal(vfs_bed_intents(&b), 0);

    /* A copy that somebody has removed since: what was deleted nowhere is deleted nowhere. */
    note_dir(&b, VFS_INTENT_DELETING);
    fixture_remove(&b.f, "e/b");
    vfs_bed_next(&b);
    assert_string_equal(fixture_keys(&b.f), "d/ d/b d/later e/ e/a ");
    vfs_bed_end(&b);
}

static void test_network(void **state)
{
    struct vfs_bed b;
    vfs_bed_begin(&b);
    note_dir(&b, VFS_INTENT_COPYING);
    vfs_bed_note(&b, STATE_INTENT_DELETE, ".pailfs-unlinked/x", NULL, NULL, 0);
    vfs_bed_note(&b, STATE_INTENT_DELETE, "precious", NULL, NULL, 0); /* not one of ours */
    fixture_object(&b.f, "d/a", "a");
    fixture_object(&b.f, "precious", "x");
    fixture_object(&b.f, ".pailfs-unlinked/x", "x");
    struct store_fault_rule down = {.op = STORE_OP_MAX, .error = S3_ERROR_CONNECT};
    assert_int_equal(store_fault_add(b.f.fault, &down), 0);
    b.opts.posix = VFS_POSIX_OFF;
    vfs_bed_next(&b);
    /* It waits for the next mount. */
    assert_int_equal(vfs_bed_intents(&b), 2);
    store_fault_clear(b.f.fault);
    b.opts = fixture_options();
    vfs_bed_next(&b);
    assert_int_equal(vfs_bed_intents(&b), 0);
    assert_string_equal(fixture_keys(&b.f), "e/a precious ");
    vfs_bed_end(&b);
}

/* What may not be read is not "something else": the note stays until it may, and what is certain
 * goes meanwhile. */
static void test_not_allowed_to_read(void **state)
{
    for (int dir = 0; dir < 2; dir++) {
        struct vfs_bed b;
        vfs_bed_begin(&b);
        if (dir) {
            note_dir(&b, VFS_INTENT_DELETING);
            fixture_object(&b.f, "d/", "");
            fixture_object_parts(&b.f, "d/a", "ours");
            fixture_object_parts(&b.f, "d/b", "ours");
            fixture_object(&b.f, "d/c", "ours");
            fixture_object(&b.f, "e/", "");
            fixture_object(&b.f, "e/a", "ours");
            fixture_object(&b.f, "e/b", "ours");
            fixture_object(&b.f, "e/c", "ours");
        } else {
            vfs_bed_note(&b, STATE_INTENT_RENAME_FILE, "d/a", "e/a", NULL, 0);
            fixture_object_parts(&b.f, "d/a", "ours");
            fixture_object(&b.f, "e/a", "ours");
        }
        struct store_fault_rule denied = {
            .op = STORE_GET, .prefix = "e/a", .error = S3_ERROR_ACCESS_DENIED};
        assert_int_equal(store_fault_add(b.f.fault, &denied), 0);
        vfs_bed_next(&b);
        assert_int_equal(store_fault_applied(b.f.fault), 1);
        assert_int_equal(vfs_bed_intents(&b), 1);
        assert_int_equal(b.figures.left, 1);
        assert_string_equal(fixture_keys(&b.f), dir ? "d/ d/a e/ e/a e/b e/c " : "d/a e/a ");
        store_fault_clear(b.f.fault);
        vfs_bed_next(&b);
        assert_int_equal(vfs_bed_intents(&b), 0);
        assert_string_equal(fixture_keys(&b.f), dir ? "e/ e/a e/b e/c " : "e/a ");
        vfs_bed_end(&b);
    }
}

static void test_nothing_is_left(void **state)
{
    struct vfs_bed b;
    vfs_bed_begin(&b);
    fixture_object(&b.f, "d/a", "a");
    fixture_object(&b.f, "f", "f");
    fixture_object(&b.f, "taken/x", "x");
    assert_int_equal(fixture_rename(&b.f, "d", "e", 0), 0);
    assert_int_equal(fixture_rename(&b.f, "f", "g", 0), 0);
    assert_int_equal(fixture_rename(&b.f, "e", "taken", 0), -ENOTEMPTY);
    struct store_fault_rule fails = {.op = STORE_COPY, .count = 2, .error = S3_ERROR_SERVER};
    assert_int_equal(store_fault_add(b.f.fault, &fails), 0);
    assert_int_equal(fixture_rename(&b.f, "e", "h", 0), -EIO);
    assert_int_equal(fixture_rename(&b.f, "g", "i", 0), -EIO);
    assert_int_equal(vfs_bed_intents(&b), 0);
    vfs_bed_end(&b);
}

static void *run_recover(void *ctx)
{
    vfs_bed_recover(ctx);
    return NULL;
}

struct rename_call {
    struct vfs_bed *b;
    int result;
};

static void *run_rename(void *ctx)
{
    struct rename_call *c = ctx;
    struct s3_error err = {0};
    c->result = vfs_rename(c->b->f.vfs, VFS_ROOT, "p", VFS_ROOT, "q", 0, &err);
    return NULL;
}

/* A rename of what is above the old name waits: it would take away what is being copied. */
static void test_dir_above_is_renamed(void **state)
{
    struct vfs_bed b;
    struct vfs_intent_dir body = {.version = VFS_INTENT_VERSION, .phase = VFS_INTENT_COPYING};
    pthread_t one, two;
    vfs_bed_begin(&b);
    vfs_bed_note(&b, STATE_INTENT_RENAME_DIR, "p/d/", "e/", &body, sizeof(body));
    fixture_object(&b.f, "p/d/a", "a");
    fixture_object(&b.f, "p/o", "o");
    vfs_bed_crash(&b);
    vfs_bed_mount(&b);
    (void)fixture_ino(&b.f, "p");
    struct store_fault_rule rule = {.op = STORE_COPY, .count = 1, .hold = true};
    assert_int_equal(store_fault_add(b.f.fault, &rule), 0);
    assert_int_equal(pthread_create(&one, NULL, run_recover, &b), 0);
    for (int k = 0; k < 30000 && store_fault_held(b.f.fault) == 0; k++)
        usleep(1000);
    assert_int_equal(store_fault_held(b.f.fault), 1);
    struct rename_call c = {.b = &b};
    assert_int_equal(pthread_create(&two, NULL, run_rename, &c), 0);
    usleep(20000); /* for it to go wrong */
    (void)store_fault_release(b.f.fault, 0);
    assert_int_equal(pthread_join(one, NULL), 0);
    assert_int_equal(pthread_join(two, NULL), 0);
    assert_int_equal(b.figures.left, 0);
    assert_int_equal(c.result, 0);
    assert_string_equal(fixture_keys(&b.f), "e/a q/ q/o ");
    vfs_bed_end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_file_of_the_same_size),
        cmocka_unit_test(test_dir_of_the_same_size),
        cmocka_unit_test(test_large_copies),
        cmocka_unit_test(test_dir),
        cmocka_unit_test(test_dir_claimed),
        cmocka_unit_test(test_dir_short_note),
        cmocka_unit_test(test_dir_with_others),
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_not_allowed_to_read),
        cmocka_unit_test(test_nothing_is_left),
        cmocka_unit_test(test_dir_above_is_renamed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
