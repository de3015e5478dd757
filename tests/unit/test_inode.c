/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fail.h"
#include "meta/inode.h"

static struct inode *get(struct inode_table *t, struct inode *parent, const char *name,
                         enum node_kind kind)
{
    struct inode *i;
    assert_int_equal(inode_get(t, parent, name, kind, &i), 0);
    return i;
}

static void test_names_and_numbers(void **state)
{
    struct inode_table t;
    assert_int_equal(inode_table_init(&t), 0);
    struct inode *d = get(&t, t.root, "d", NODE_DIR);
    struct inode *f = get(&t, d, "f", NODE_FILE);
    struct inode *beside = get(&t, t.root, "d", NODE_FILE);
    assert_ptr_not_equal(beside, d);
    assert_ptr_equal(inode_child(&t, d, "f", NODE_FILE), f);
    assert_null(inode_child(&t, d, "f", NODE_DIR));
    assert_null(inode_child(&t, t.root, "f", NODE_FILE));
    assert_ptr_equal(inode_find(&t, f->ino), f);
    assert_ptr_equal(inode_find(&t, INODE_ROOT), t.root);

    char key[COMPONENT_LENGTH_MAX + 1];
    assert_int_equal(inode_key(t.root, 1024, key), 0);
    assert_string_equal(key, "");
    assert_int_equal(inode_key(d, 1024, key), 0);
    assert_string_equal(key, "d/");
    assert_int_equal(inode_key(f, 1024, key), 0);
    assert_string_equal(key, "d/f");
    assert_int_equal(inode_key(f, 3, key), 0);
    assert_int_equal(inode_key(f, 2, key), -ENAMETOOLONG);
    assert_int_equal(inode_child_key(d, "", NODE_DIR, 1024, key), 0);
    assert_string_equal(key, "d//");
    assert_int_equal(inode_child_key(t.root, "", NODE_DIR, 1024, key), 0);
    assert_string_equal(key, "/");

    /* The number comes from the key alone. */
    uint64_t ino = f->ino;
    assert_int_equal(inode_number(&t, d, "f", 1, NODE_FILE), ino);
    inode_unref(&t, f);
    assert_null(inode_find(&t, ino));
    assert_int_equal(inode_number(&t, d, "f", 1, NODE_FILE), ino);
    f = get(&t, d, "f", NODE_FILE);
    assert_int_equal(f->ino, ino);
    inode_table_done(&t);

    assert_int_equal(inode_table_init(&t), 0);
    d = get(&t, t.root, "d", NODE_DIR);
    assert_int_equal(get(&t, d, "f", NODE_FILE)->ino, ino);
    inode_table_done(&t);
}

static void test_life(void **state)
{
    struct inode_table t;
    assert_int_equal(inode_table_init(&t), 0);
    struct inode *a = get(&t, t.root, "a", NODE_DIR);
    struct inode *b = get(&t, a, "b", NODE_DIR);
    struct inode *c = get(&t, b, "c", NODE_FILE);
    uint64_t ino_a = a->ino, ino_c = c->ino;
    assert_int_equal(t.n, 4);
    inode_unref(&t, a);
    inode_unref(&t, b);
    assert_int_equal(t.n, 4); /* kept by the child */
    inode_lookup_add(c);
    inode_lookup_add(c);
    inode_unref(&t, c);
    assert_int_equal(t.n, 4);
    inode_forget(&t, c, 1);
    assert_ptr_equal(inode_find(&t, ino_c), c);
    inode_forget(&t, c, 5); /* more than there are */
    assert_null(inode_find(&t, ino_c));
    assert_null(inode_find(&t, ino_a));
    assert_int_equal(t.n, 1);
    inode_forget(&t, t.root, 1000);
    assert_ptr_equal(inode_find(&t, INODE_ROOT), t.root);
    inode_table_done(&t);
}

static void test_unlink_and_successor(void **state)
{
    struct inode_table t;
    assert_int_equal(inode_table_init(&t), 0);
    struct inode *f = get(&t, t.root, "f", NODE_FILE);
    uint64_t ino = f->ino;
    inode_unlink(&t, f);
    assert_true(f->unlinked);
    assert_null(inode_child(&t, t.root, "f", NODE_FILE));
    assert_ptr_equal(inode_find(&t, ino), f);
    char key[COMPONENT_LENGTH_MAX + 1];
    assert_int_equal(inode_key(f, 1024, key), -ENOENT);

    struct inode *g = get(&t, t.root, "f", NODE_FILE);
    assert_ptr_not_equal(g, f);
    assert_int_not_equal(g->ino, ino);
    inode_unref(&t, f);
    assert_ptr_equal(inode_child(&t, t.root, "f", NODE_FILE), g);
    inode_table_done(&t);
}

static void test_move_carries_the_children(void **state)
{
    struct inode_table t;
    char key[COMPONENT_LENGTH_MAX + 1];
    assert_int_equal(inode_table_init(&t), 0);
    struct inode *a = get(&t, t.root, "a", NODE_DIR);
    struct inode *x = get(&t, a, "x", NODE_FILE);
    struct inode *b = get(&t, t.root, "b", NODE_DIR);
    uint64_t ino = a->ino;
    assert_true(inode_is_under(x, a));
    assert_true(inode_is_under(a, a));
    assert_false(inode_is_under(b, a));
    assert_int_equal(inode_move(&t, a, b, "c"), 0);
    assert_int_equal(a->ino, ino);
    assert_int_equal(inode_key(x, 1024, key), 0);
    assert_string_equal(key, "b/c/x");
    assert_null(inode_child(&t, t.root, "a", NODE_DIR));
    assert_ptr_equal(inode_child(&t, b, "c", NODE_DIR), a);
    assert_ptr_equal(inode_child(&t, a, "x", NODE_FILE), x);
    assert_true(inode_is_under(x, b));
    inode_table_done(&t);
}

static void test_many(void **state)
{
    enum { N = 20000 };
    struct inode_table t;
    char name[32];
    assert_int_equal(inode_table_init(&t), 0);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        struct inode *f = get(&t, t.root, name, i % 2 ? NODE_FILE : NODE_DIR);
        assert_true(f->ino > INODE_ROOT && f->ino < UINT64_C(1) << 62);
        inode_lookup_add(f);
        inode_unref(&t, f);
    }
    assert_int_equal(t.n, N + 1);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        struct inode *f = inode_child(&t, t.root, name, i % 2 ? NODE_FILE : NODE_DIR);
        assert_non_null(f);
        assert_ptr_equal(inode_find(&t, f->ino), f);
        if (i % 3 == 0)
            inode_forget(&t, f, 1);
    }
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        assert_int_equal(inode_child(&t, t.root, name, i % 2 ? NODE_FILE : NODE_DIR) != NULL,
                         i % 3 != 0);
    }
    inode_table_done(&t);
}

/* Deep trees neither recurse nor overflow the key. */
static void test_deep(void **state)
{
    struct inode_table t;
    char key[COMPONENT_LENGTH_MAX + 1];
    assert_int_equal(inode_table_init(&t), 0);
    struct inode *i = inode_ref(t.root);
    for (int depth = 0; depth < 100000; depth++) {
        struct inode *next = get(&t, i, "d", NODE_DIR);
        inode_unref(&t, i);
        i = next;
    }
    assert_int_equal(inode_key(i, 1024, key), -ENAMETOOLONG);
    inode_unref(&t, i);
    assert_int_equal(t.n, 1);
    inode_table_done(&t);
}

/* ---- stubs ---- */

static struct dir *listing(const char *name, const char *etag)
{
    struct dir *d;
    assert_int_equal(dir_new(0, &d), 0);
    assert_int_equal(dir_put(d, name, NODE_FILE, 7, 1000, etag), 0);
    return d;
}

static unsigned n_woken;
static void woken(void *ctx, struct inode *i, const struct dir_entry *e, uint64_t until_ns)
{
    assert_ptr_equal(ctx, &n_woken);
    assert_string_equal(i->name, dir_entry_component(e));
    i->attr.size = e->size;
    i->attr_until_ns = until_ns;
    n_woken++;
}

static void stub_table(struct inode_table *t)
{
    assert_int_equal(inode_table_init(t), 0);
    t->woken = woken;
    t->ctx = &n_woken;
    n_woken = 0;
}

static void test_stub_becomes_an_inode(void **state)
{
    struct inode_table t;
    uint64_t ino, again;
    stub_table(&t);
    struct inode *d = get(&t, t.root, "d", NODE_DIR);
    struct dir *l = listing("f", "\"1\"");
    struct dir_entry *e = dir_find(l, "f", NODE_FILE);
    assert_int_equal(inode_stub_put(&t, d, e, 50, &ino), 0);
    assert_int_equal(inode_stub_put(&t, d, e, 60, &again), 0);
    assert_int_equal(ino, again);
    assert_int_equal(t.n, 2);
    assert_int_equal(t.stubs.n, 1);
    assert_int_equal(inode_number(&t, d, "f", 1, NODE_FILE), ino);
    assert_null(inode_child_awake(&t, d, "f", NODE_FILE));
    assert_null(inode_child(&t, d, "f", NODE_DIR));
    /* The listing goes first. */
    dir_unref(l);
    inode_unref(&t, d);
    assert_int_equal(t.n, 2); /* kept by the stub */
    struct inode *f = inode_find(&t, ino);
    assert_non_null(f);
    assert_int_equal(n_woken, 1);
    assert_int_equal(t.stubs.n, 0);
    assert_int_equal(f->lookups, 2);
    assert_int_equal(f->attr.size, 7);
    assert_int_equal(f->attr_until_ns, 60);
    assert_ptr_equal(inode_child(&t, d, "f", NODE_FILE), f);
    l = listing("f", "\"1\"");
    assert_int_equal(inode_stub_put(&t, d, dir_find(l, "f", NODE_FILE), 50, &ino), -EEXIST);
    dir_unref(l);
    inode_forget(&t, f, 2);
    assert_int_equal(t.n, 1);
    inode_table_done(&t);
}

static void test_stub_is_forgotten(void **state)
{
    struct inode_table t;
    uint64_t ino, again;
    stub_table(&t);
    struct dir *l = listing("f", "\"1\""), *newer = listing("f", "\"1\""),
               *other = listing("f", "\"2\"");
    assert_int_equal(inode_stub_put(&t, t.root, dir_find(l, "f", NODE_FILE), 1, &ino), 0);
    assert_int_equal(inode_stub_put(&t, t.root, dir_find(newer, "f", NODE_FILE), 2, &again), 0);
    assert_int_equal(ino, again);
    assert_int_equal(inode_stub_put(&t, t.root, dir_find(other, "f", NODE_FILE), 3, &again),
                     -EEXIST);
    dir_unref(l);
    /* A new version in the listing's entry: the stub has the old one for itself. */
    assert_int_equal(dir_put(newer, "f", NODE_FILE, 8, 2000, "\"3\""), 0);
    assert_false(inode_stub_forget(&t, ino + 1, 1));
    assert_true(inode_stub_forget(&t, ino, 1));
    assert_int_equal(t.stubs.n, 1);
    inode_stubs_expire(&t, t.root);
    assert_int_equal(stubs_find(&t.stubs, ino)->until_ns, 0);
    assert_true(inode_stub_forget(&t, ino, 5));
    assert_int_equal(t.stubs.n, 0);
    assert_null(inode_find(&t, ino));
    dir_unref(newer);
    dir_unref(other);
    inode_table_done(&t);
}

static void test_many_stubs(void **state)
{
    enum { N = 5000 };
    struct inode_table t;
    char name[32];
    uint64_t ino[N];
    struct dir *l;
    stub_table(&t);
    assert_int_equal(dir_new(0, &l), 0);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        assert_int_equal(dir_put(l, name, NODE_FILE, 7, 0, "\"1\""), 0);
        assert_int_equal(inode_stub_put(&t, t.root, dir_find(l, name, NODE_FILE), 1, &ino[i]), 0);
    }
    for (int i = 0; i < N; i += 2)
        assert_non_null(inode_find(&t, ino[i]));
    assert_int_equal(t.n, 1 + N / 2);
    assert_int_equal(t.stubs.n, N / 2);
    for (int i = 0; i < N; i += 3)
        if (!inode_stub_forget(&t, ino[i], 1))
            inode_forget(&t, inode_find(&t, ino[i]), 1);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "f%d", i);
        struct inode *f = inode_child(&t, t.root, name, NODE_FILE);
        assert_int_equal(f != NULL, i % 3 != 0);
        assert_true(!f || f->ino == ino[i]);
    }
    assert_int_equal(t.stubs.n, 0);
    dir_unref(l);
    inode_table_done(&t);
}

/* Without memory for an inode the stub stays, and no second one is made for the name. */
static void test_stub_without_memory(void **state)
{
    struct inode_table t;
    struct inode *i = NULL;
    uint64_t ino = 0;
    struct dir *l = listing("f", "\"1\"");
    int r;
    stub_table(&t);
    for (long n = 0;
         alloc_fail_begin(n), r = inode_stub_put(&t, t.root, dir_find(l, "f", NODE_FILE), 1, &ino),
              alloc_fail_end();
         n++)
        assert_int_equal(r, -ENOMEM);
    assert_int_equal(r, 0);
    for (long n = 0; alloc_fail_begin(n), i = inode_find(&t, ino), alloc_fail_end() && !i; n++) {
        alloc_fail_begin(0);
        r = inode_get(&t, t.root, "f", NODE_FILE, &i);
        assert_true(alloc_fail_end());
        assert_int_equal(r, -ENOMEM);
        assert_int_equal(t.stubs.n, 1);
    }
    assert_non_null(i);
    dir_unref(l);
    inode_table_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_and_numbers),
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_unlink_and_successor),
        cmocka_unit_test(test_move_carries_the_children),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_deep),
        cmocka_unit_test(test_stub_becomes_an_inode),
        cmocka_unit_test(test_stub_is_forgotten),
        cmocka_unit_test(test_many_stubs),
        cmocka_unit_test(test_stub_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
