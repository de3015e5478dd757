/* SPDX-License-Identifier: Apache-2.0 */
/* What a mount shows of random sets of keys, compared key by key with what the sets say, over
 * servers that do everything a server may do with a listing, and some that do what they may not.
 * The server is a sorted array. LISTING_SETS and LISTING_SEED in the environment: more, others. */
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
#include "data/data.h"
#include "meta/names.h"
#include "odd_bucket.h"
#include "vfs/vfs.h"

#define KEYS_MAX 120u

static uint64_t seed;

static unsigned pick(unsigned n)
{
    return odd_pick(&seed, n);
}

/* ---- what is seen ---- */

struct names {
    struct {
        char name[NAME_LENGTH_MAX + 1];
        uint64_t ino, size;
        bool dir;
    } at[KEYS_MAX];
    unsigned n, room;
    uint64_t next;
};

static bool take(void *ctx, const char *name, const struct vfs_entry *e, uint64_t next)
{
    struct names *l = ctx;
    if (l->room-- == 0)
        return false;
    l->next = next;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    assert_true(l->n < KEYS_MAX);
    snprintf(l->at[l->n].name, sizeof(l->at[0].name), "%s", name);
    l->at[l->n].ino = e->ino;
    l->at[l->n].size = (uint64_t)e->st.st_size;
    l->at[l->n++].dir = S_ISDIR(e->st.st_mode);
    return true;
}

static int read_dir(struct vfs *v, uint64_t ino, bool plus, struct names *l, struct s3_error *err)
{
    struct vfs_dir *dir;
    uint64_t before;
    int r;
    assert_int_equal(vfs_opendir(v, ino, &dir), 0);
    do {
        before = l->next;
        l->room = 1 + pick(30);
        r = vfs_readdir(v, dir, l->next, plus, take, l, err);
    } while (r == 0 && l->next != before);
    vfs_releasedir(v, dir);
    return r;
}

static void find(struct vfs *v, uint64_t ino, bool plus, const char *path, struct odd_lines *out)
{
    struct names *l = calloc(1, sizeof(*l));
    struct s3_error err;
    assert_non_null(l);
    assert_int_equal(read_dir(v, ino, plus, l, &err), 0);
    for (unsigned i = 0; i < l->n; i++) {
        char below[8192];
        struct vfs_entry e = {.ino = l->at[i].ino, .st.st_size = (off_t)l->at[i].size};
        if (!plus)
            assert_int_equal(vfs_lookup(v, ino, l->at[i].name, &e, &err), 0);
        if (!plus)
            assert_int_equal(S_ISDIR(e.st.st_mode), l->at[i].dir);
        assert_int_equal(e.ino, l->at[i].ino);
        odd_line(out, path, l->at[i].name, l->at[i].dir, (uint64_t)e.st.st_size);
        snprintf(below, sizeof(below), "%s%s/", path, l->at[i].name);
        if (l->at[i].dir)
            find(v, e.ino, plus, below, out);
        vfs_forget(v, e.ino, 1);
    }
    free(l);
}

static void compare_lines(struct odd_lines *want, struct odd_lines *got)
{
    odd_lines_sort(got);
    for (unsigned i = 0; i < want->n && i < got->n; i++)
        assert_string_equal(got->at[i], want->at[i]);
    assert_int_equal(got->n, want->n);
}

/* Each name by lookups from the root, and one beside it that is not there. */
static void look_up(struct vfs *v, struct odd_lines *want)
{
    for (unsigned i = 0; i < want->n; i++) {
        char line[8192];
        struct vfs_entry e = {.ino = VFS_ROOT};
        struct s3_error err;
        snprintf(line, sizeof(line), "%s", want->at[i]);
        char *size = strrchr(line, ' ');
        *size++ = '\0';
        char *rest = line, *part;
        uint64_t dir = VFS_ROOT;
        bool is_directory = false;
        while ((part = strsep(&rest, "/")) && *part) {
            dir = e.ino;
            if (vfs_lookup(v, dir, part, &e, &err) < 0)
                fail_msg("'%s' of '%s' is not found", part, want->at[i]);
            is_directory = rest != NULL;
            assert_int_equal(S_ISDIR(e.st.st_mode), is_directory);
        }
        if (!is_directory)
            assert_int_equal(e.st.st_size, strtoull(size, NULL, 10));
        if (pick(4) == 0)
            assert_int_equal(vfs_lookup(v, dir, "absent", &e, &err), -ENOENT);
    }
}

static struct vfs *mount_it(struct odd_bucket *b, struct clock_fake *clock, struct data **ret_data)
{
    struct vfs *v;
    struct data_options d = {.store = &b->store, .clock = &clock->clock};
    assert_int_equal(data_new(&d, ret_data), 0);
    struct vfs_options o = {.store = &b->store,
                            .data = *ret_data,
                            .clock = &clock->clock,
                            .file_mode = 0644,
                            .dir_mode = 0755,
                            .metadata_ttl_ns = 60 * (uint64_t)NS_PER_S,
                            .negative_ttl_ns = 60 * (uint64_t)NS_PER_S,
                            .parallel = 1 + pick(8)};
    assert_int_equal(vfs_new(&o, &v), 0);
    return v;
}

/* ---- the tests ---- */

static void one_set(uint64_t number)
{
    struct odd_lines *want = calloc(1, sizeof(*want)), *got = calloc(1, sizeof(*got));
    struct odd_bucket b = {0};
    struct clock_fake clock;
    seed = number;
    clock_fake_init(&clock, INT64_C(1790000000) * NS_PER_S);
    assert_true(want && got);
    b.page = 1 + pick(pick(3) ? 12 : 1000);
    b.utf16 = pick(4) == 0;
    b.ignores_after = pick(4) == 0;
    b.empty_pages = pick(4) == 0;
    b.repeats = pick(4) == 0;
    b.hides = pick(4) == 0;
    b.seed = seed;
    odd_bucket_fill(&b, KEYS_MAX);
    odd_lines_of(&b, want);
    for (unsigned way = 0; way < 3; way++) {
        struct data *data;
        struct vfs *v = mount_it(&b, &clock, &data);
        b.requests = b.empties = 0;
        if (way == 2)
            look_up(v, want);
        find(v, VFS_ROOT, way != 1, "", got);
        compare_lines(want, got);
        odd_lines_done(got);
        vfs_free(v);
        data_free(data);
    }
    odd_lines_done(want);
    odd_bucket_empty(&b);
    free(want);
    free(got);
}

static unsigned environment(const char *name, unsigned otherwise)
{
    const char *value = getenv(name);
    return value ? (unsigned)strtoul(value, NULL, 10) : otherwise;
}

static void test_random_keys(void **state ATTR_UNUSED)
{
    unsigned from = environment("LISTING_SEED", 1), n = environment("LISTING_SETS", 1500);
    for (unsigned s = from; s < from + n; s++) {
        print_message("# seed %u\n", s);
        one_set(s);
    }
}

/* Whoever reads the directory is told so, in the end. */
static void test_circles(void **state ATTR_UNUSED)
{
    for (uint64_t s = 1; s <= 30; s++) {
        struct odd_bucket b = {0};
        struct names *l = calloc(1, sizeof(*l));
        struct clock_fake clock;
        struct data *data;
        struct s3_error err = {0};
        seed = s;
        clock_fake_init(&clock, INT64_C(1790000000) * NS_PER_S);
        for (; b.n < 100; b.n++) {
            char key[32];
            snprintf(key, sizeof(key), "k%03u", b.n);
            assert_non_null(b.keys[b.n] = strdup(key));
        }
        odd_bucket_sort(&b);
        b.page = 1 + pick(20);
        b.circle = 1 + pick(90 / b.page + 1);
        struct vfs *v = mount_it(&b, &clock, &data);
        assert_non_null(l);
        b.requests = 0;
        if ((b.circle + 1) * b.page < 100) {
            assert_int_equal(read_dir(v, VFS_ROOT, true, l, &err), -EIO);
            assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
            assert_non_null(strstr(err.message, "does not end"));
        }
        assert_true(b.requests < 1000);
        for (unsigned i = 0; i < l->n; i++)
            vfs_forget(v, l->at[i].ino, 1);
        vfs_free(v);
        data_free(data);
        odd_bucket_empty(&b);
        free(l);
    }
}

/* A long name is looked for page by page. */
static void test_circles_of_a_search(void **state ATTR_UNUSED)
{
    char component[301], name[NAME_LENGTH_MAX + 1];
    memset(component, 'k', 300);
    component[300] = '\0';
    assert_int_equal(name_from_component(component, 300, false, name), 0);
    for (uint64_t s = 1; s <= 30; s++) {
        struct odd_bucket b = {0};
        struct clock_fake clock;
        struct data *data;
        struct s3_error err = {0};
        struct vfs_entry e;
        seed = s;
        clock_fake_init(&clock, INT64_C(1790000000) * NS_PER_S);
        for (; b.n < 100; b.n++) {
            char key[320];
            snprintf(key, sizeof(key), "%.299s%02u%s", component, b.n, s % 3 ? "" : "/");
            assert_non_null(b.keys[b.n] = strdup(key));
        }
        odd_bucket_sort(&b);
        b.page = 1 + pick(20);
        bool ends = s % 5 == 0;
        b.circle = ends ? 0 : 1 + pick(90 / b.page + 1);
        if (!ends && (b.circle + 1) * b.page >= 100)
            b.circle = 1;
        struct vfs *v = mount_it(&b, &clock, &data);
        b.requests = 0;
        assert_int_equal(vfs_lookup(v, VFS_ROOT, name, &e, &err), ends ? -ENOENT : -EIO);
        if (!ends) {
            assert_int_equal(err.kind, S3_ERROR_BAD_RESPONSE);
            assert_non_null(strstr(err.message, "does not end"));
        }
        assert_true(b.requests < 8000);
        vfs_free(v);
        data_free(data);
        odd_bucket_empty(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_keys),
        cmocka_unit_test(test_circles),
        cmocka_unit_test(test_circles_of_a_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
