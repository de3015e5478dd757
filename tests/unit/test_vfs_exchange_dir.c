/* SPDX-License-Identifier: Apache-2.0 */
/* RENAME_EXCHANGE with a directory: both trees, what is open below them, a failure of every request
 * in turn, and a crash before and after every request. */
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
#include <unistd.h>

#include "base/attr.h"
#include "meta/state.h"
#include "store/store_fault.h"
#include "vfs/vfs_exchange.h"
#include "vfs_bed.h"

static int exchange(struct vfs_bed *b, const char *a, const char *k)
{
    return fixture_rename(&b->f, a, k, RENAME_EXCHANGE);
}

/* "key=content ", of markers "key/ ". */
static const char *all(struct vfs_bed *b)
{
    static char text[2048];
    char keys[1024], *save = NULL;
    size_t n = 0;
    text[0] = '\0';
    snprintf(keys, sizeof(keys), "%s", fixture_keys(&b->f));
    for (char *k = strtok_r(keys, " ", &save); k; k = strtok_r(NULL, " ", &save)) {
        if (k[strlen(k) - 1] == '/')
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s ", k);
        else
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s=%s ", k, fixture_get(&b->f, k));
    }
    return text;
}

struct shape {
    const char *a, *b;
    const char *objects[10]; /* key, content, ... */
    const char *before, *after;
};

static const struct shape shapes[] = {
    {"a",
     "p/b",
     {"a/x", "1", "a/s/y", "2", "p/b/x", "3", "p/b/z", "4", "p/", ""},
     "a/s/y=2 a/x=1 p/ p/b/x=3 p/b/z=4 ",
     "a/x=3 a/z=4 p/ p/b/s/y=2 p/b/x=1 "},
    {"a",
     "p/f",
     {"a/x", "1", "a/s/y", "2", "p/f", "3", "p/o", "4"},
     "a/s/y=2 a/x=1 p/f=3 p/o=4 ",
     "a=3 p/f/s/y=2 p/f/x=1 p/o=4 "},
    {"p/f",
     "a",
     {"a/x", "1", "p/f", "3", "p/o", "4", "q", "5"},
     "a/x=1 p/f=3 p/o=4 q=5 ",
     "a=3 p/f/x=1 p/o=4 q=5 "},
    {"a", "b", {"a/", "", "b/", "", "b/x", "1"}, "a/ b/ b/x=1 ", "a/ a/x=1 b/ "},
    {"a",
     "b",
     {"a/x", "same", "b/x", "same", "b/y", "2"},
     "a/x=same b/x=same b/y=2 ",
     "a/x=same a/y=2 b/x=same "},
};

/* parts: the ETags of the copies tell nothing. */
static void fill(struct vfs_bed *b, const struct shape *s, bool parts)
{
    for (size_t k = 0; k < ARRAY_SIZE(s->objects) && s->objects[k]; k += 2) {
        if (parts && s->objects[k + 1][0])
            fixture_object_parts(&b->f, s->objects[k], s->objects[k + 1]);
        else
            fixture_object(&b->f, s->objects[k], s->objects[k + 1]);
    }
}

static void test_trees(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
        const struct shape *s = &shapes[i];
        struct vfs_bed b;
        vfs_bed_begin(&b);
        fill(&b, s, i % 2);
        assert_string_equal(all(&b), s->before);
        uint64_t ino_a = fixture_ino(&b.f, s->a), ino_b = fixture_ino(&b.f, s->b);
        (void)fixture_ls(&b.f, "", true);
        assert_int_equal(exchange(&b, s->a, s->b), 0);
        assert_string_equal(all(&b), s->after);
        assert_true(fixture_ino(&b.f, s->a) == ino_b && fixture_ino(&b.f, s->b) == ino_a);
        assert_int_equal(exchange(&b, s->a, s->b), 0);
        assert_string_equal(all(&b), s->before);
        assert_true(fixture_ino(&b.f, s->a) == ino_a && fixture_ino(&b.f, s->b) == ino_b);
        vfs_bed_next(&b);
        assert_int_equal(vfs_bed_intents(&b), 0);
        assert_string_equal(all(&b), s->before);
        vfs_bed_end(&b);
    }
}

static void test_cached_and_open(void **state)
{
    struct vfs_bed b;
    struct fixture *f = &b.f;
    struct vfs_file *wa, *wb, *ra;
    char buf[8];
    size_t n;
    vfs_bed_begin(&b);
    fixture_object(f, "a/x", "one");
    fixture_object(f, "b/x", "other");
    fixture_object(f, "b/y", "y");
    assert_string_equal(fixture_ls(f, "", true), "a/ b/ ");
    assert_string_equal(fixture_ls(f, "a", true), "x=3 ");
    assert_string_equal(fixture_ls(f, "b", true), "x=5 y=1 ");
    assert_int_equal(fixture_open(f, "a/x", O_RDWR, &wa), 0);
    assert_int_equal(fixture_open(f, "b/x", O_RDWR, &wb), 0);
    assert_int_equal(fixture_open(f, "a/x", O_RDONLY, &ra), 0);
    assert_int_equal(vfs_write(f->vfs, wa, 3, "!", 1, &f->err), 0); /* not stored yet */
    assert_int_equal(exchange(&b, "a", "b"), 0);
    assert_string_equal(fixture_ls(f, "a", true), "x=5 y=1 ");
    assert_string_equal(fixture_ls(f, "b", true), "x=4 ");
    assert_string_equal(fixture_read(f, "a/x"), "other");
    assert_string_equal(fixture_read(f, "b/x"), "one!");
    assert_int_equal(vfs_write(f->vfs, wa, 4, "?", 1, &f->err), 0);
    assert_int_equal(vfs_write(f->vfs, wb, 5, "s", 1, &f->err), 0);
    assert_int_equal(fixture_close(f, wa), 0);
    assert_int_equal(fixture_close(f, wb), 0);
    assert_int_equal(vfs_read(f->vfs, ra, 0, buf, sizeof(buf), &n, &f->err), 0);
    assert_int_equal(n, 5);
    assert_memory_equal(buf, "one!?", 5);
    assert_int_equal(fixture_close(f, ra), 0);
    assert_string_equal(all(&b), "a/x=others a/y=y b/x=one!? ");

    /* With a file that is being written. */
    assert_int_equal(fixture_write(f, "f", "file"), 0);
    assert_int_equal(fixture_open(f, "f", O_RDWR, &wa), 0);
    assert_int_equal(vfs_write(f->vfs, wa, 4, "1", 1, &f->err), 0);
    assert_int_equal(exchange(&b, "f", "b"), 0);
    assert_int_equal(vfs_write(f->vfs, wa, 5, "2", 1, &f->err), 0);
    assert_int_equal(fixture_close(f, wa), 0);
    assert_string_equal(all(&b), "a/x=others a/y=y b=file12 f/x=one!? ");
    assert_string_equal(fixture_ls(f, "", true), "a/ f/ b=6 ");
    assert_string_equal(fixture_ls(f, "f", true), "x=5 ");
    vfs_bed_end(&b);
}

static void test_refused(void **state)
{
    struct vfs_bed b;
    vfs_bed_begin(&b);
    fixture_object(&b.f, "a/s/x", "1");
    fixture_object(&b.f, "f", "2");
    assert_int_equal(exchange(&b, "a", "a"), 0);
    assert_int_equal(exchange(&b, "a", "a/s"), -EINVAL);
    assert_int_equal(exchange(&b, "a/s", "a"), -EINVAL);
    assert_int_equal(exchange(&b, "a", "a/s/x"), -EINVAL);
    assert_int_equal(exchange(&b, "a", "absent"), -ENOENT);
    assert_int_equal(exchange(&b, "absent", "a"), -ENOENT);
    assert_int_equal(fixture_rename(&b.f, "a", "f", RENAME_EXCHANGE | RENAME_NOREPLACE), -EINVAL);
    assert_string_equal(all(&b), "a/s/x=1 f=2 ");
    assert_int_equal(vfs_bed_intents(&b), 0);
    vfs_bed_end(&b);
}

/* Directories as mkdir makes them, with modes of their own, and those that are markers alone. */
static void test_attributes(void **state)
{
    struct vfs_bed b;
    struct vfs_entry e;
    vfs_bed_begin(&b);
    assert_int_equal(fixture_mkdir(&b.f, "a", 0700), 0);
    assert_int_equal(fixture_mkdir(&b.f, "b", 0755), 0);
    assert_int_equal(fixture_mkdir(&b.f, "b/e", 0711), 0);
    assert_int_equal(fixture_write(&b.f, "a/x", "1"), 0);
    assert_int_equal(fixture_chmod(&b.f, "a/x", 0600), 0);
    assert_int_equal(exchange(&b, "a", "b"), 0);
    for (int life = 0; life < 2; life++) {
        assert_int_equal(fixture_lookup(&b.f, "a", &e), 0);
        assert_int_equal(e.st.st_mode & 0777, 0755);
        assert_int_equal(fixture_lookup(&b.f, "b", &e), 0);
        assert_int_equal(e.st.st_mode & 0777, 0700);
        assert_int_equal(fixture_lookup(&b.f, "a/e", &e), 0);
        assert_int_equal(e.st.st_mode & 0777, 0711);
        assert_int_equal(fixture_lookup(&b.f, "b/x", &e), 0);
        assert_int_equal(e.st.st_mode & 0777, 0600);
        vfs_bed_next(&b);
    }
    vfs_bed_end(&b);
}

static const enum store_op changes[] = {STORE_COPY, STORE_DELETE, STORE_DELETE_MANY, STORE_LIST};

/* A request fails once, before or after it was carried out: the exchange is undone, or was done. */
static void test_failures(void **state)
{
    unsigned undone = 0;
    for (size_t i = 0; i < ARRAY_SIZE(shapes) * ARRAY_SIZE(changes) * 12; i++) {
        const struct shape *s = &shapes[i / 12 % ARRAY_SIZE(shapes)];
        struct vfs_bed b;
        vfs_bed_begin(&b);
        fill(&b, s, i % 3 == 0);
        (void)fixture_ino(&b.f, s->a);
        (void)fixture_ino(&b.f, s->b);
        struct store_fault_rule fails = {.op = changes[i / 12 / ARRAY_SIZE(shapes)],
                                         .after = i % 12 / 2,
                                         .count = 1,
                                         .lose_answer = i % 2,
                                         .error = S3_ERROR_SERVER};
        assert_int_equal(store_fault_add(b.f.fault, &fails), 0);
        int r = exchange(&b, s->a, s->b);
        store_fault_clear(b.f.fault);
        undone += r < 0;
        assert_string_equal(all(&b), r < 0 ? s->before : s->after);
        vfs_bed_next(&b);
        assert_int_equal(b.figures.left, 0);
        assert_int_equal(vfs_bed_intents(&b), 0);
        assert_string_equal(all(&b), r < 0 ? s->before : s->after);
        vfs_bed_end(&b);
    }
    assert_in_range(undone, 20, 1000);
}

/* From a request on nothing is answered any more: the way back fails too, and the next mount goes
 * on; that one's fails after some requests as well. Nothing is lost, and in the end all is as
 * before or as after. */
static void test_crashes(void **state)
{
    unsigned left = 0;
    for (size_t i = 0; i < ARRAY_SIZE(shapes) * ARRAY_SIZE(changes) * 20; i++) {
        const struct shape *s = &shapes[i / 20 % ARRAY_SIZE(shapes)];
        enum store_op op = changes[i / 20 / ARRAY_SIZE(shapes)];
        struct vfs_bed b;
        vfs_bed_begin(&b);
        fill(&b, s, i % 3 == 0);
        (void)fixture_ino(&b.f, s->a);
        (void)fixture_ino(&b.f, s->b);
        struct store_fault_rule fails = {.op = op,
                                         .after = i % 20 / 4,
                                         .count = 1000,
                                         .lose_answer = i % 2,
                                         .error = S3_ERROR_SERVER};
        assert_int_equal(store_fault_add(b.f.fault, &fails), 0);
        int r = exchange(&b, s->a, s->b);
        store_fault_clear(b.f.fault);
        if (i % 4 >= 2) {
            fails.after = i % 3;
            assert_int_equal(store_fault_add(b.f.fault, &fails), 0);
            vfs_bed_next(&b);
            left += b.figures.left > 0;
            store_fault_clear(b.f.fault);
        }
        vfs_bed_next(&b);
        assert_int_equal(b.figures.left, 0);
        vfs_bed_next(&b);
        assert_int_equal(b.figures.finished, 0);
        assert_int_equal(vfs_bed_intents(&b), 0);
        const char *now = all(&b);
        if (strcmp(now, r < 0 ? s->before : s->after) != 0)
            assert_string_equal(now, s->after);
        vfs_bed_end(&b);
    }
    assert_in_range(left, 5, 1000);
}

/* Another host has made something in the place of what the crash left in the hidden prefix. */
static void test_place_taken(void **state)
{
    struct vfs_bed b;
    vfs_bed_begin(&b);
    fixture_object(&b.f, "a/x", "1");
    fixture_object(&b.f, "a/y", "2");
    fixture_object(&b.f, "b/z", "3");
    (void)fixture_ino(&b.f, "a");
    (void)fixture_ino(&b.f, "b");
    struct store_fault_rule fails = {
        .op = STORE_COPY, .after = 3, .count = 1000, .error = S3_ERROR_SERVER};
    assert_int_equal(store_fault_add(b.f.fault, &fails), 0);
    assert_int_equal(exchange(&b, "a", "b"), -EIO);
    store_fault_clear(b.f.fault);
    const char *hidden = strstr(all(&b), VFS_HIDDEN_DIR "/");
    assert_non_null(hidden);
    fixture_object(&b.f, "a/x", "theirs");
    fixture_object(&b.f, "b/x", "others");
    vfs_bed_next(&b);
    assert_int_equal(b.figures.left, 1);
    assert_int_equal(vfs_bed_intents(&b), 1);
    const char *now = all(&b);
    assert_true(strstr(now, "/x=1 ") && strstr(now, "=2 ") && strstr(now, "=3 "));
    assert_non_null(strstr(now, VFS_HIDDEN_DIR "/"));
    fixture_remove(&b.f, "a/x");
    fixture_remove(&b.f, "b/x");
    vfs_bed_next(&b);
    assert_int_equal(vfs_bed_intents(&b), 0);
    now = all(&b);
    assert_null(strstr(now, VFS_HIDDEN_DIR "/"));
    assert_true(strstr(now, "x=1 ") && strstr(now, "y=2 ") && strstr(now, "z=3 "));
    vfs_bed_end(&b);
}

/* Another host has stored something of the file's size, of parts too, where the file was to go: at
 * once, after a crash, and in the middle of the way back. */
static void test_not_our_copy(void **state)
{
    static const uint8_t ways[] = {0, 1, 2, 3};
    for (size_t k = 0; k < ARRAY_SIZE(ways); k++) {
        struct vfs_bed b;
        struct store_object o;
        vfs_bed_begin(&b);
        fixture_object(&b.f, "a/x", "1");
        fixture_object_parts(&b.f, "f", "ours");
        (void)fixture_ls(&b.f, "", true);
        assert_int_equal(store_head(b.f.memory, "f", &o, &b.f.err), 0);
        if (ways[k] == 0) {
            fixture_object_parts(&b.f, "a", "them");
            assert_int_equal(exchange(&b, "a", "f"), -ESTALE);
        } else {
            /* version, step, phase, back, time, no hidden prefix but its name, the file's ETag */
            char note[12 + sizeof(VFS_HIDDEN_DIR "/0/") + STORE_ETAG_SIZE] = {
                VFS_INTENT_VERSION, 2, VFS_INTENT_COPYING, ways[k] >= 2};
            size_t n = 12;
            n += (size_t)snprintf(note + n, sizeof(note) - n, "%s", VFS_HIDDEN_DIR "/0/") + 1;
            n += (size_t)snprintf(note + n, sizeof(note) - n, "%s", o.etag) + 1;
            vfs_bed_note(&b, STATE_INTENT_EXCHANGE, "a/", "f", note, n);
            if (ways[k] == 3) /* the file has gone meanwhile */
                fixture_remove(&b.f, "f");
            fixture_object_parts(&b.f, "a", "them");
        }
        store_object_done(&o);
        vfs_bed_next(&b);
        assert_int_equal(b.figures.left, 0);
        assert_int_equal(vfs_bed_intents(&b), 0);
        const char *now = all(&b);
        print_message("way %u: %s\n", ways[k], now);
        assert_non_null(strstr(now, "a=them "));
        assert_true(ways[k] == 3 || strstr(now, "f=ours "));
        assert_non_null(strstr(now, "x=1 "));
        vfs_bed_end(&b);
    }
}

/* The delete of the file's old name is given up, and is carried out when the next mount has begun,
 * or before: the name that it has got must be there still. */
static void test_deleted_late(void **state)
{
    for (int mounted = 0; mounted < 2; mounted++) {
        struct vfs_bed b;
        struct store_object o;
        vfs_bed_begin(&b);
        fixture_object(&b.f, "a/x", "1");
        fixture_object_parts(&b.f, "f", "file");
        (void)fixture_ls(&b.f, "", true);
        assert_int_equal(store_head(b.f.memory, "f", &o, &b.f.err), 0);
        struct store_fault_rule fails = {.op = STORE_DELETE, .count = 2, .error = S3_ERROR_TIMEOUT};
        assert_int_equal(store_fault_add(b.f.fault, &fails), 0);
        assert_int_equal(exchange(&b, "a", "f"), -EIO);
        assert_int_equal(vfs_bed_intents(&b), 1);
        if (mounted)
            vfs_bed_next(&b);
        (void)store_delete(b.f.memory, "f", o.etag, &b.f.err);
        store_object_done(&o);
        vfs_bed_next(&b);
        assert_string_equal(all(&b), "a=file f/x=1 ");
        assert_int_equal(vfs_bed_intents(&b), 0);
        vfs_bed_end(&b);
    }
}

struct call {
    struct vfs_bed *b;
    const char *other;
    uint64_t ino;
    int result;
};

static void *run_exchange(void *ctx)
{
    struct call *c = ctx;
    struct s3_error err = {0};
    c->result = vfs_rename(c->b->f.vfs, 1, "a", 1, c->other, RENAME_EXCHANGE, &err);
    return NULL;
}

static void *run_lookup(void *ctx)
{
    struct call *c = ctx;
    struct vfs_entry e;
    struct s3_error err = {0};
    c->result = vfs_lookup(c->b->f.vfs, c->ino, "new", &e, &err);
    return NULL;
}

/* While neither name is there in the store. */
static void test_lookup_waits(void **state)
{
    struct vfs_bed b;
    pthread_t one, two;
    vfs_bed_begin(&b);
    fixture_object(&b.f, "a/new", "1");
    fixture_object(&b.f, "b/z", "3");
    struct call exchanges = {.b = &b, .other = "b"},
                looks = {.b = &b, .ino = fixture_ino(&b.f, "a")};
    (void)fixture_ino(&b.f, "b");
    struct store_fault_rule rule = {.op = STORE_COPY, .after = 1, .count = 1, .hold = true};
    assert_int_equal(store_fault_add(b.f.fault, &rule), 0);
    assert_int_equal(pthread_create(&one, NULL, run_exchange, &exchanges), 0);
    for (int k = 0; k < 30000 && store_fault_held(b.f.fault) == 0; k++)
        usleep(1000);
    assert_int_equal(store_fault_held(b.f.fault), 1);
    assert_int_equal(strncmp(fixture_keys(&b.f), VFS_HIDDEN_DIR "/", 17), 0);
    assert_null(strstr(fixture_keys(&b.f), " a/"));
    assert_int_equal(pthread_create(&two, NULL, run_lookup, &looks), 0);
    usleep(1000); /* for it to go wrong */
    (void)store_fault_release(b.f.fault, 0);
    assert_int_equal(pthread_join(one, NULL), 0);
    assert_int_equal(pthread_join(two, NULL), 0);
    assert_int_equal(exchanges.result, 0);
    assert_int_equal(looks.result, 0);
    assert_string_equal(all(&b), "a/z=3 b/new=1 ");
    vfs_bed_end(&b);
}

static void test_not_without_a_note(void **state)
{
    static const char *const others[] = {"b", "f"};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        struct fixture f;
        fixture_init(&f, NULL);
        fixture_object(&f, "a/x", "1");
        fixture_object(&f, "b/y", "2");
        fixture_object(&f, "f", "3");
        (void)fixture_ls(&f, "", false);
        assert_int_equal(fixture_rename(&f, "a", others[i], RENAME_EXCHANGE), -EOPNOTSUPP);
        assert_string_equal(fixture_keys(&f), "a/x b/y f ");
        assert_string_equal(fixture_ls(&f, "a", true), "x=1 ");
        fixture_done(&f);
    }
}

static int forget(void *ctx, const struct state_intent *t)
{
    struct vfs_bed *b = ctx;
    return state_intent_end(b->state, t->id);
}

/* That the copies are all there cannot be noted: after a crash nobody would know that of what is
 * gone from its old name the new one is the only one. */
static void test_note_fails(void **state)
{
    static const char *const others[] = {"b", "f"};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        struct vfs_bed b;
        pthread_t thread;
        vfs_bed_begin(&b);
        fixture_object(&b.f, "a/x", "1");
        fixture_object(&b.f, "b/z", "3");
        fixture_object(&b.f, "f", "4");
        (void)fixture_ls(&b.f, "", false);
        (void)fixture_ino(&b.f, "b");
        struct call exchanges = {.b = &b, .other = others[i]};
        struct store_fault_rule rule = {.op = STORE_COPY, .count = 1, .hold = true};
        assert_int_equal(store_fault_add(b.f.fault, &rule), 0);
        assert_int_equal(pthread_create(&thread, NULL, run_exchange, &exchanges), 0);
        for (int k = 0; k < 30000 && store_fault_held(b.f.fault) == 0; k++)
            usleep(1000);
        assert_int_equal(store_fault_held(b.f.fault), 1);
        assert_int_equal(state_intents_now(b.state, 0, forget, &b), 0);
        (void)store_fault_release(b.f.fault, 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(exchanges.result, -ENOENT);
        assert_string_equal(all(&b), "a/x=1 b/z=3 f=4 ");
        assert_string_equal(fixture_ls(&b.f, "a", true), "x=1 ");
        vfs_bed_end(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trees),
        cmocka_unit_test(test_cached_and_open),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_crashes),
        cmocka_unit_test(test_place_taken),
        cmocka_unit_test(test_not_our_copy),
        cmocka_unit_test(test_deleted_late),
        cmocka_unit_test(test_lookup_waits),
        cmocka_unit_test(test_not_without_a_note),
        cmocka_unit_test(test_note_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
