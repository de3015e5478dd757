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

#include "base/attr.h"
#include "base/strbuf.h"
#include "meta/dir.h"

/* Adds one page; keys that end in '/' and are not the prefix are prefixes. */
static int add_page(struct dir *d, const char *prefix, const char *token, size_t n,
                    const char *const *keys, struct s3_error *err)
{
    struct store_entry entries[16];
    const char *prefixes[16];
    struct store_page page = {.entries = entries, .prefixes = prefixes, .next_token = token};
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(keys[i]);
        if (len > 0 && keys[i][len - 1] == '/' && strcmp(keys[i], prefix) != 0)
            prefixes[page.n_prefixes++] = keys[i];
        else
            entries[page.n_entries++] =
                (struct store_entry){.key = keys[i], .size = len, .mtime_ns = 7, .etag = "\"e\""};
    }
    return dir_add_page(d, prefix, &page, err);
}

#define ADD(d, prefix, token, ...)                                                                 \
    do {                                                                                           \
        const char *const keys_[] = {__VA_ARGS__};                                                 \
        struct s3_error err_;                                                                      \
        assert_int_equal(add_page(d, prefix, token, ARRAY_SIZE(keys_), keys_, &err_), 0);          \
    } while (0)

/* "name name dir/ " in the order of a reader. */
static const char *shown(struct dir *d, size_t from)
{
    static char text[4096];
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = from; i < d->n; i++) {
        const struct dir_entry *e = dir_at(d, i);
        char name[NAME_LENGTH_MAX + 1];
        if (!e)
            continue;
        assert_int_equal(dir_entry_name(e, name), 0);
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s ", name,
                              dir_entry_kind(e) == NODE_DIR ? "/" : "");
    }
    return text;
}

static enum dir_answer look(struct dir *d, const char *name, struct dir_entry **e)
{
    struct name_target t;
    assert_int_equal(name_to_component(name, &t), 0);
    return dir_lookup(d, name, &t, e);
}

static void test_one_page(void **state)
{
    struct dir *d;
    struct dir_entry *e;
    assert_int_equal(dir_new(5, &d), 0);
    assert_int_equal(look(d, "x", &e), DIR_UNKNOWN);
    ADD(d, "p/", NULL, "p/", "p/a", "p/b/", "p/c");
    assert_true(d->complete);
    assert_true(d->marker);
    assert_int_equal(d->n_live, 3);
    assert_string_equal(shown(d, 0), "b/ a c ");
    assert_int_equal(look(d, "a", &e), DIR_FOUND);
    assert_int_equal(e->size, 3);
    assert_string_equal(dir_entry_etag(e), "\"e\"");
    assert_int_equal(look(d, "b", &e), DIR_FOUND);
    assert_int_equal(dir_entry_kind(e), NODE_DIR);
    assert_int_equal(look(d, "x", &e), DIR_ABSENT);
    dir_unref(d);
}

static void test_beside(void **state)
{
    struct dir *d;
    struct dir_entry *e;
    assert_int_equal(dir_new(0, &d), 0);
    ADD(d, "", NULL, "a", "a-1", "a/", "b");
    assert_string_equal(shown(d, 0), "a/ %@a%file a-1 b ");
    assert_int_equal(look(d, "a", &e), DIR_FOUND);
    assert_int_equal(dir_entry_kind(e), NODE_DIR);
    assert_int_equal(look(d, "%@a%file", &e), DIR_FOUND);
    assert_int_equal(dir_entry_kind(e), NODE_FILE);
    /* The directory goes, the object has its name back. */
    assert_int_equal(dir_remove(d, "a", NODE_DIR), 0);
    assert_int_equal(look(d, "a", &e), DIR_FOUND);
    assert_int_equal(dir_entry_kind(e), NODE_FILE);
    assert_string_equal(shown(d, 0), "a a-1 b ");
    assert_int_equal(dir_put(d, "b", NODE_DIR, 0, 0, NULL), 0);
    assert_string_equal(shown(d, 0), "a a-1 %@b%file b/ ");
    dir_unref(d);
}

/* "a" and "a/" are pages apart: the object is not shown as "a" first. */
static void test_beside_across_pages(void **state)
{
    struct dir *d;
    struct dir_entry *e;
    assert_int_equal(dir_new(0, &d), 0);
    ADD(d, "d/", "t1", "d/A", "d/a", "d/a-", "d/a-1");
    assert_string_equal(shown(d, 0), "A a- ");
    assert_int_equal(look(d, "a", &e), DIR_UNKNOWN);
    ADD(d, "d/", "t2", "d/a-2", "d/a.");
    assert_string_equal(shown(d, 0), "A a- a-1 a-2 ");
    ADD(d, "d/", "t3", "d/a/", "d/b");
    assert_string_equal(shown(d, 0), "A a- a-1 a-2 a/ %@a%file a. ");
    assert_int_equal(d->n_held, 1); /* b */
    ADD(d, "d/", NULL, "d/c");
    assert_string_equal(shown(d, 0), "A a- a-1 a-2 a/ %@a%file a. b c ");
    assert_int_equal(d->n_held, 0);
    assert_int_equal(d->n_live, 9);
    dir_unref(d);

    /* The same, and no directory follows. */
    assert_int_equal(dir_new(0, &d), 0);
    ADD(d, "", "t1", "a", "a-1");
    ADD(d, "", NULL, "a-2");
    assert_string_equal(shown(d, 0), "a a-1 a-2 ");
    dir_unref(d);
}

static void test_numbers_are_stable(void **state)
{
    struct dir *d;
    assert_int_equal(dir_new(0, &d), 0);
    ADD(d, "", "t", "a", "b", "c", "d", "zz");
    ADD(d, "", NULL, "zzz");
    assert_string_equal(shown(d, 2), "c d zz zzz ");
    assert_int_equal(dir_remove(d, "a", NODE_FILE), 0);
    assert_int_equal(dir_remove(d, "c", NODE_FILE), 0);
    assert_int_equal(dir_put(d, "new", NODE_FILE, 1, 2, NULL), 0);
    assert_string_equal(shown(d, 2), "d zz zzz new ");
    assert_int_equal(dir_put(d, "d", NODE_FILE, 9, 2, "\"longer\""), 0);
    assert_string_equal(shown(d, 2), "d zz zzz new ");
    assert_int_equal(dir_find(d, "d", NODE_FILE)->size, 9);
    assert_int_equal(d->n_live, 5);
    dir_unref(d);
}

static void test_own_changes_win_while_loading(void **state)
{
    struct dir *d;
    struct dir_entry *e;
    assert_int_equal(dir_new(0, &d), 0);
    assert_int_equal(dir_put(d, "mine", NODE_FILE, 77, 1, NULL), 0);
    assert_int_equal(dir_remove(d, "gone", NODE_FILE), 0);
    assert_int_equal(dir_remove(d, "gonedir", NODE_DIR), 0);
    assert_int_equal(look(d, "gone", &e), DIR_UNKNOWN);
    ADD(d, "", "t", "gone", "gonedir/", "mine", "x", "x-");
    assert_int_equal(dir_remove(d, "x", NODE_FILE), 0); /* is held back */
    ADD(d, "", NULL, "y");
    assert_string_equal(shown(d, 0), "mine x- y ");
    assert_int_equal(dir_find(d, "mine", NODE_FILE)->size, 77);
    assert_int_equal(look(d, "gone", &e), DIR_ABSENT);
    assert_int_equal(look(d, "gonedir", &e), DIR_ABSENT);
    assert_int_equal(look(d, "x", &e), DIR_ABSENT);
    assert_int_equal(d->n_live, 3);
    assert_int_equal(dir_put(d, "gone", NODE_FILE, 1, 1, "\"e\""), 0);
    assert_int_equal(look(d, "gone", &e), DIR_FOUND);
    assert_int_equal(d->n_live, 4);
    assert_int_equal(dir_remove(d, "never", NODE_FILE), 0);
    assert_int_equal(d->n_live, 4);
    dir_unref(d);
}

static void test_foreign_key_is_an_error(void **state)
{
    static const char *const bad[] = {"q/a", "p", "p/a/b", "p/a/b/", "x/"};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct dir *d;
        struct s3_error err = {0};
        const char *keys[] = {"p/good", bad[i]};
        assert_int_equal(dir_new(0, &d), 0);
        assert_int_equal(add_page(d, "p/", "t", 2, keys, &err), -EIO);
        assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
        assert_int_equal(d->n, 0);
        assert_false(d->complete);
        assert_null(d->token);
        dir_unref(d);
    }
}

static void test_odd_names(void **state)
{
    struct dir *d;
    struct dir_entry *e;
    char longest[600], key[700], name[NAME_LENGTH_MAX + 1];
    memset(longest, 'l', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    snprintf(key, sizeof(key), "p/%s", longest);
    assert_int_equal(dir_new(0, &d), 0);
    ADD(d, "p/", NULL, "p//", "p/%@x", "p/../", "p/.", key);
    assert_int_equal(name_from_component(longest, strlen(longest), false, name), 0);
    assert_int_equal(look(d, name, &e), DIR_FOUND);
    assert_string_equal(dir_entry_component(e), longest);
    assert_int_equal(look(d, "%@", &e), DIR_FOUND);
    assert_int_equal(dir_entry_kind(e), NODE_DIR);
    assert_string_equal(dir_entry_component(e), "");
    assert_int_equal(look(d, "%@%25@x", &e), DIR_FOUND);
    assert_int_equal(look(d, "%@..", &e), DIR_FOUND);
    assert_int_equal(look(d, "%@.", &e), DIR_FOUND);
    assert_int_equal(look(d, "%@x", &e), DIR_ABSENT);
    dir_unref(d);
}

static void test_many_and_memory(void **state)
{
    enum { N = 100000 };
    struct dir *d;
    char name[32];
    assert_int_equal(dir_new(0, &d), 0);
    d->complete = true;
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "file-%d", i);
        assert_int_equal(dir_put(d, name, NODE_FILE, 1, 1, "\"d41d8cd98f00b204e9800998ecf8427e\""),
                         0);
    }
    assert_int_equal(d->n_live, N);
    size_t names = 0;
    for (int i = 0; i < N; i++) {
        names += (size_t)snprintf(name, sizeof(name), "file-%d", i);
        assert_non_null(dir_find(d, name, NODE_FILE));
        assert_null(dir_find(d, name, NODE_DIR));
    }
    assert_true((d->bytes - names) / N <= 200);
    size_t with_all = d->bytes;
    for (int i = 0; i < N; i += 2) {
        snprintf(name, sizeof(name), "file-%d", i);
        assert_int_equal(dir_remove(d, name, NODE_FILE), 0);
    }
    assert_int_equal(d->n_live, N / 2);
    assert_true(d->bytes < with_all);
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof(name), "file-%d", i);
        assert_int_equal(dir_find(d, name, NODE_FILE) != NULL, i % 2);
    }
    dir_unref(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_page),
        cmocka_unit_test(test_beside),
        cmocka_unit_test(test_beside_across_pages),
        cmocka_unit_test(test_numbers_are_stable),
        cmocka_unit_test(test_own_changes_win_while_loading),
        cmocka_unit_test(test_foreign_key_is_an_error),
        cmocka_unit_test(test_odd_names),
        cmocka_unit_test(test_many_and_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
