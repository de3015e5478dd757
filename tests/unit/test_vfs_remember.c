/* SPDX-License-Identifier: Apache-2.0 */
/* A filesystem whose store remembers attributes over mounts: what the walk after a remount costs,
 * and that it never shows others than those of the store. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/log.h"
#include "meta/store_remember.h"
#include "store/store_count.h"
#include "tempfolder.h"
#include "vfs_fixture.h"

#define TTL_S 60

struct bed {
    struct fixture f;
    char *folder;
    struct store *remember;
    struct vfs_options opts;
    uint64_t own_after_ns;
};

/* Each listing begins with a page that is empty and not the last. */
static bool empty_pages;

/* f.count outlives the mount. */
struct keep {
    struct store store;
    struct store *inner;
};
static int keep_submit(struct store *s, enum store_op op, const void *in, void *out,
                       store_done_fn done, void *ctx)
{
    struct store *inner = CONTAINER_OF(s, struct keep, store)->inner;
    static struct store_list_in list; /* the store in memory is done with it at once */
    struct store_page *page = out;

    if (op != STORE_LIST || !empty_pages)
        return store_submit(inner, op, in, out, done, ctx);
    list = *(const struct store_list_in *)in;
    if (list.token && strcmp(list.token, "second") == 0) {
        list.token = NULL;
    } else if (!list.token) {
        *page = (struct store_page){0};
        arena_init(&page->arena, 4096);
        page->next_token = arena_strdup(&page->arena, "second");
        done(ctx, 0, NULL);
        return 0;
    }
    return store_submit(inner, op, &list, out, done, ctx);
}
static void keep_free(struct store *s)
{
    free(CONTAINER_OF(s, struct keep, store));
}
static const struct store_ops KEEP_OPS = {.submit = keep_submit, .free = keep_free};

static bool remembers(void *ctx)
{
    struct bed *b = ctx;

    return store_remember_has_rows(b->remember);
}

static void open_remember(struct bed *b)
{
    struct keep *k = calloc(1, sizeof(*k));
    struct metadata_db_options opts = {.folder = b->folder,
                                       .endpoint = "http://127.0.0.1:9000",
                                       .bucket = "bucket",
                                       .prefix = "",
                                       .clock = &b->f.clock.clock};

    struct store_remember_options all = {
        .db = opts, .own_after_ns = b->own_after_ns, .every = b->opts.posix == VFS_POSIX_ON};
    assert_non_null(k);
    k->store.ops = &KEEP_OPS;
    k->inner = b->f.count;
    assert_int_equal(store_remember_new(&k->store, &all, &b->remember), 0);
    store_remember_settle(b->remember);
    b->opts.store = b->remember;
}

static void remount(struct bed *b)
{
    struct store *before = b->remember;

    /* The old one is in use until the old mount has ended. */
    fixture_settle(&b->f);
    store_remember_settle(before);
    b->opts.store = b->f.count;
    fixture_remount(&b->f, &b->opts);
    store_free(before);
    open_remember(b);
    fixture_remount(&b->f, &b->opts);
}

static void begin(struct bed *b, const struct vfs_options *opts)
{
    log_set_level(LOG_LEVEL_ERROR);
    *b = (struct bed){.opts = opts ? *opts : fixture_options()};
    b->folder = tempfolder_make();
    fixture_init(&b->f, &b->opts);
    b->opts.remembers = remembers;
    b->opts.remembers_ctx = b;
    open_remember(b);
    fixture_remount(&b->f, &b->opts);
}

static void end(struct bed *b)
{
    b->opts.store = b->f.count;
    b->opts.remembers = NULL;
    fixture_remount(&b->f, &b->opts);
    store_free(b->remember);
    fixture_done(&b->f);
    tempfolder_remove(b->folder);
}

static void later(struct bed *b, unsigned seconds)
{
    store_remember_settle(b->remember); /* or it looks as if the disk had kept it for so long */
    clock_fake_advance(&b->f.clock, seconds * (uint64_t)NS_PER_S);
}

static unsigned mode_of(struct bed *b, const char *path)
{
    struct vfs_entry e;

    assert_int_equal(fixture_lookup(&b->f, path, &e), 0);
    return e.st.st_mode & 07777;
}

static unsigned heads(struct bed *b)
{
    return (unsigned)store_count_requests(b->f.count, STORE_HEAD);
}

/* As another host does it: the same content with another mode, at once. */
static void foreign_chmod(struct bed *b, const char *key, unsigned mode)
{
    char text[16];
    struct store_metadata m[] = {{"mode", text}, {"pailfs-attrs", "1"}};
    struct store_object o = {0};
    struct store_copy_in in = {
        .source_key = key, .key = key, .replace_attrs = true, .attrs = {.metadata = m}};
    struct store_version version;

    assert_int_equal(store_head(b->f.memory, key, &o, NULL), 0);
    bool dir = key[strlen(key) - 1] == '/';
    snprintf(text, sizeof(text), "%u", (dir ? S_IFDIR : S_IFREG) | mode);
    struct store_metadata all[32];
    size_t n = 0;
    for (size_t i = 0; i < o.attrs.n_metadata && n < ARRAY_SIZE(all); i++)
        all[n++] = strcmp(o.attrs.metadata[i].name, "mode") == 0 ? m[0] : o.attrs.metadata[i];
    in.attrs = (struct store_attrs){
        .content_type = o.attrs.content_type, .metadata = all, .n_metadata = n};
    assert_int_equal(store_copy(b->f.memory, &in, &version, NULL), 0);
    store_object_done(&o);
}

/* A marked folder with two files that have modes of their own. */
static void make_folder(struct bed *b, const char *folder)
{
    char path[64];

    assert_int_equal(fixture_mkdir(&b->f, folder, 0755), 0);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), "%s/f%d", folder, i);
        assert_int_equal(fixture_write(&b->f, path, "text"), 0);
        assert_int_equal(fixture_chmod(&b->f, path, 0600), 0);
    }
    assert_int_equal(fixture_chmod(&b->f, folder, 0700), 0);
    fixture_settle(&b->f);
}

static void walk(struct bed *b, const char *const *folders)
{
    char path[64];

    (void)fixture_ls(&b->f, "", true);
    for (; *folders; folders++) {
        assert_int_equal(mode_of(b, *folders), 0700);
        (void)fixture_ls(&b->f, *folders, true);
        for (int i = 0; i < 2; i++) {
            snprintf(path, sizeof(path), "%s/f%d", *folders, i);
            assert_int_equal(mode_of(b, path), 0600);
        }
    }
}

static void test_lists_only(void **state)
{
    static const char *const folders[] = {"a", "b", "c", NULL};
    struct bed b;

    (void)state;
    for (int posix = 0; posix < 2; posix++) {
        struct vfs_options o = fixture_options();
        o.posix = posix ? VFS_POSIX_ON : VFS_POSIX_AUTO;
        begin(&b, &o);
        for (const char *const *folder = folders; *folder; folder++)
            make_folder(&b, *folder);
        later(&b, 10);
        remount(&b);
        walk(&b, folders);
        assert_in_range(heads(&b), 9, 12);
        remount(&b);
        walk(&b, folders);
        assert_int_equal(heads(&b), 0);
        end(&b);
    }
}

/* What this mount has written itself is known to the first walk of the next one. */
static void test_own_changes(void **state)
{
    static const char *const folders[] = {"a", "b", NULL};
    struct bed b;

    (void)state;
    for (int posix = 0; posix < 2; posix++) {
        struct vfs_options o = fixture_options();
        o.posix = posix ? VFS_POSIX_ON : VFS_POSIX_AUTO;
        begin(&b, &o);
        b.own_after_ns = 10 * (uint64_t)NS_PER_S;
        remount(&b);
        for (const char *const *folder = folders; *folder; folder++)
            make_folder(&b, *folder);
        assert_int_equal(fixture_mkdir(&b.f, "plain", 0755), 0);
        assert_int_equal(fixture_write(&b.f, "plain/file", "text"), 0);
        /* Written before its folder is marked, and after. */
        assert_int_equal(fixture_mkdir(&b.f, "late", 0755), 0);
        assert_int_equal(fixture_write(&b.f, "late/file", "text"), 0);
        assert_int_equal(fixture_write(&b.f, "late/other", "text"), 0);
        assert_int_equal(fixture_chmod(&b.f, "late/other", 0600), 0);
        assert_int_equal(fixture_write(&b.f, "late/third", "text"), 0);
        assert_int_equal(fixture_rename(&b.f, "late/third", "late/fourth", 0), 0);
        fixture_settle(&b.f);
        later(&b, 10);
        remount(&b);
        walk(&b, folders);
        (void)fixture_ls(&b.f, "plain", true);
        (void)fixture_ls(&b.f, "late", true);
        assert_int_equal(mode_of(&b, "plain"), 0755);
        assert_int_equal(mode_of(&b, "plain/file"), 0644);
        assert_int_equal(mode_of(&b, "late/other"), 0600);
        assert_int_equal(mode_of(&b, "late/file"), 0644);
        assert_int_equal(heads(&b), 0);
        end(&b);
    }
}

/* A page that tells nothing does not tell that a directory has no marker. */
static void test_empty_pages(void **state)
{
    static const char *const folders[] = {"a", "b", NULL};
    struct bed b;

    (void)state;
    begin(&b, NULL);
    make_folder(&b, "a");
    make_folder(&b, "b");
    later(&b, 10);
    remount(&b);
    walk(&b, folders);
    empty_pages = true;
    for (int i = 0; i < 2; i++) {
        remount(&b);
        assert_int_equal(fixture_lookup(&b.f, "a/none", NULL), -ENOENT);
        walk(&b, folders);
    }
    empty_pages = false;
    end(&b);
}

/* What is remembered of a listed version is no newer than the listing. */
static void test_believed_as_long_as_its_listing(void **state)
{
    static const char *const folders[] = {"a", NULL};
    struct vfs_entry e;
    struct bed b;

    (void)state;
    begin(&b, NULL);
    make_folder(&b, "a");
    later(&b, 10);
    remount(&b);
    walk(&b, folders);
    remount(&b);
    assert_int_equal(fixture_lookup(&b.f, "none", NULL), -ENOENT);
    assert_int_equal(fixture_lookup(&b.f, "a/none", NULL), -ENOENT);
    later(&b, 1);
    foreign_chmod(&b, "a/f0", 0444);
    foreign_chmod(&b, "a/", 0555);
    later(&b, TTL_S - 2);
    assert_int_equal(fixture_lookup(&b.f, "a/f0", &e), 0);
    assert_int_equal(e.st.st_mode & 07777, 0600); /* as a listing of then tells */
    (void)mode_of(&b, "a");
    later(&b, 1);
    assert_int_equal(vfs_getattr(b.f.vfs, e.ino, NULL, &e, &b.f.err), 0);
    assert_int_equal(e.st.st_mode & 07777, 0444);
    assert_int_equal(mode_of(&b, "a"), 0555);
    end(&b);
}

/* A marker that was written here after the directory was listed. */
static void test_own_marker(void **state)
{
    static const char *const folders[] = {"a", NULL};
    struct bed b;

    (void)state;
    begin(&b, NULL);
    make_folder(&b, "a");
    later(&b, 10);
    remount(&b);
    walk(&b, folders);
    assert_int_equal(fixture_chmod(&b.f, "a", 0711), 0);
    fixture_settle(&b.f);
    assert_int_equal(mode_of(&b, "a"), 0711);
    /* The listing is still believed, and what is known of the marker is not any more. */
    later(&b, TTL_S - 1);
    assert_int_equal(mode_of(&b, "a"), 0711);
    later(&b, 2);
    assert_int_equal(mode_of(&b, "a"), 0711);
    remount(&b);
    assert_int_equal(mode_of(&b, "a"), 0711);
    end(&b);
}

/* The listing of a directory that was renamed tells of the marker under the old name. */
static void test_renamed(void **state)
{
    static const char *const folders[] = {"a", NULL}, *const renamed[] = {"z", NULL};
    struct bed b;

    (void)state;
    begin(&b, NULL);
    make_folder(&b, "a");
    later(&b, 10);
    remount(&b);
    walk(&b, folders);
    remount(&b);
    walk(&b, folders);
    assert_int_equal(fixture_rename(&b.f, "a", "z", 0), 0);
    /* Another directory gets the name. */
    assert_int_equal(fixture_mkdir(&b.f, "a", 0755), 0);
    walk(&b, renamed);
    assert_int_equal(mode_of(&b, "a"), 0755);
    remount(&b);
    walk(&b, renamed);
    assert_int_equal(mode_of(&b, "a"), 0755);
    later(&b, 10);
    remount(&b);
    walk(&b, renamed);
    remount(&b);
    walk(&b, renamed);
    assert_int_equal(heads(&b), 0);
    end(&b);
}

/* Where each directory costs a page of its own, only some are listed for their markers. */
static void test_page_budget(void **state)
{
    char path[64];
    struct bed b;

    (void)state;
    fixture_page_size = 4;
    begin(&b, NULL);
    for (int d = 0; d < 40; d++) {
        snprintf(path, sizeof(path), "d%02d", d);
        assert_int_equal(fixture_mkdir(&b.f, path, 0755), 0);
        assert_int_equal(fixture_chmod(&b.f, path, 0700), 0);
        for (int i = 0; i < 9; i++) {
            snprintf(path, sizeof(path), "d%02d/f%d", d, i);
            fixture_object(&b.f, path, "text");
        }
    }
    fixture_settle(&b.f);
    later(&b, 10);
    remount(&b);
    (void)fixture_ls(&b.f, "", true);
    remount(&b);
    (void)fixture_ls(&b.f, "", true);
    /* 10 pages of the root, and a few at a time of the directories; HEADs for the others. */
    unsigned lists = (unsigned)store_count_requests(b.f.count, STORE_LIST);
    assert_in_range(lists, 11, 60);
    assert_true(lists + heads(&b) <= 10 + 40 + 8);
    for (int d = 0; d < 40; d++) {
        snprintf(path, sizeof(path), "d%02d", d);
        assert_int_equal(mode_of(&b, path), 0700);
    }
    end(&b);
    fixture_page_size = 0;
}

/* Whatever this mount and others do and in whatever second, a mount that begins anew shows what the
 * store has. */
static void never_wrong(unsigned seed, uint64_t own_after_ns)
{
    static const unsigned modes[] = {0600, 0640, 0644, 0400};
    static const unsigned dir_modes[] = {0700, 0750, 0711, 0555};
    uint64_t found = 0;
    struct bed b;

    print_message("seed %u\n", seed);
    begin(&b, NULL);
    b.own_after_ns = own_after_ns;
    make_folder(&b, "a");
    make_folder(&b, "b");
    remount(&b);
    for (int step = 0; step < 600; step++) {
        unsigned n = (unsigned)rand_r(&seed) >> 8, what = n % 8;
        unsigned mode = modes[(n >> 4) % 4], dir_mode = dir_modes[(n >> 6) % 4];
        char path[16], key[16];
        snprintf(path, sizeof(path), "%c/f%u", "ab"[(n >> 8) % 2], (n >> 9) % 2);
        snprintf(key, sizeof(key), "%c/", path[0]);
        if (what == 0) {
            foreign_chmod(&b, path, mode);
        } else if (what == 1) {
            foreign_chmod(&b, key, dir_mode);
        } else if (what == 2) {
            int r = fixture_chmod(&b.f, path, mode);
            assert_true(r == 0 || r == -ESTALE);
        } else if (what == 3) {
            key[1] = '\0';
            assert_int_equal(fixture_chmod(&b.f, key, dir_mode), 0);
        } else if (what == 4) {
            later(&b, (n >> 10) % 2 ? (n >> 11) % 4 : TTL_S + (n >> 11) % 4);
            store_remember_settle(b.remember);
        } else {
            const char *names[] = {"a", "a/f0", "a/f1", "b", "b/f0", "b/f1"};
            remount(&b);
            if ((n >> 10) % 2)
                (void)fixture_ls(&b.f, "", true);
            for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                char object[16];
                snprintf(object, sizeof(object), "%s%s", names[i], names[i][1] ? "" : "/");
                if ((n >> 12) % 2 && i % 3 == 0)
                    (void)fixture_ls(&b.f, names[i], true);
                unsigned shown = mode_of(&b, names[i]);
                const char *text = fixture_metadata(&b.f, object, "mode");
                assert_int_equal(shown, strtoul(text, NULL, 10) & 07777);
            }
            struct store_remember_figures figures;
            store_remember_get(b.remember, &figures);
            found += figures.found;
        }
    }
    assert_true(found > 100);
    end(&b);
}

static void test_never_wrong(void **state)
{
    const char *given = getenv("REMEMBER_SEED");
    unsigned seed = given ? (unsigned)strtoul(given, NULL, 10) : 20251;

    (void)state;
    never_wrong(seed, 0);
    never_wrong(seed + 1, (uint64_t)NS_PER_S);
    never_wrong(seed + 2, 3 * (uint64_t)NS_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists_only),  cmocka_unit_test(test_own_changes),
        cmocka_unit_test(test_empty_pages), cmocka_unit_test(test_believed_as_long_as_its_listing),
        cmocka_unit_test(test_own_marker),  cmocka_unit_test(test_renamed),
        cmocka_unit_test(test_page_budget), cmocka_unit_test(test_never_wrong),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
