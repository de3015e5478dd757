/* SPDX-License-Identifier: Apache-2.0 */
/* What a commit that lost to another host leaves in lost+found. */
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

#include "meta/lost.h"
#include "store/store_fault.h"
#include "tempfolder.h"
#include "vfs_fixture.h"

struct world {
    char *folder;
    struct lost *lost;
    struct fixture f;
};

static void world_init(struct world *w, bool with_folder)
{
    struct vfs_options o = fixture_options();
    struct lost_options lo = {.bucket = "b", .endpoint = "e", .prefix = ""};

    memset(w, 0, sizeof(*w));
    w->folder = tempfolder_make();
    lo.folder = w->folder;
    if (with_folder)
        assert_int_equal(lost_open(&lo, &w->lost), 0);
    o.lost = w->lost;
    fixture_init(&w->f, &o);
}

static void world_done(struct world *w)
{
    fixture_done(&w->f);
    lost_close(w->lost);
    tempfolder_remove(w->folder);
}

static struct vfs_file *begin(struct world *w, const char *path, int flags, const char *text)
{
    struct vfs_file *file;

    if (flags & O_CREAT)
        assert_int_equal(fixture_create(&w->f, path, flags & ~O_CREAT, 0644, &file), 0);
    else
        assert_int_equal(fixture_open(&w->f, path, flags, &file), 0);
    if (*text)
        assert_int_equal(vfs_write(w->f.vfs, file, 0, text, strlen(text), NULL), 0);
    return file;
}

/* "reason key size reason key size " */
static const char *items(struct world *w)
{
    static char text[1024];
    struct lost_list l;

    assert_int_equal(lost_list(w->folder, &l), 0);
    text[0] = '\0';
    for (size_t i = 0; i < l.n; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s %s %u ",
                 lost_reason_name(l.items[i].note.reason), l.items[i].note.key,
                 (unsigned)l.items[i].note.size);
    lost_list_done(&l);
    return text;
}

static void what_is_kept(void **state)
{
    struct world w;
    struct vfs_file *file;

    world_init(&w, true);
    fixture_object(&w.f, "a", "base");
    fixture_object(&w.f, "gone", "base");
    file = begin(&w, "a", O_RDWR, "MINE");
    fixture_object(&w.f, "a", "theirs");
    assert_int_equal(vfs_flush(w.f.vfs, file, NULL), -ESTALE);
    assert_string_equal(items(&w), "replaced a 4 ");
    /* Not once more for each try, and more content instead of less. */
    assert_int_equal(vfs_flush(w.f.vfs, file, NULL), -ESTALE);
    assert_string_equal(items(&w), "replaced a 4 ");
    assert_int_equal(vfs_write(w.f.vfs, file, 4, "!", 1, NULL), 0);
    assert_int_equal(fixture_close(&w.f, file), -ESTALE);
    assert_string_equal(items(&w), "replaced a 5 ");
    assert_string_equal(fixture_get(&w.f, "a"), "theirs");

    file = begin(&w, "gone", O_RDWR, "MINE");
    fixture_remove(&w.f, "gone");
    assert_int_equal(fixture_close(&w.f, file), -ESTALE);
    assert_string_equal(items(&w), "removed gone 4 replaced a 5 ");
    file = begin(&w, "new", O_CREAT | O_EXCL | O_WRONLY, "n");
    fixture_object(&w.f, "new", "theirs");
    assert_int_equal(fixture_close(&w.f, file), -EEXIST);
    assert_string_equal(items(&w), "removed gone 4 exists new 1 replaced a 5 ");
    world_done(&w);
}

static void what_is_not_kept(void **state)
{
    static const enum s3_error_kind kinds[] = {S3_ERROR_ACCESS_DENIED, S3_ERROR_SERVER,
                                               S3_ERROR_CONFLICT, S3_ERROR_TIMEOUT};
    struct world w;
    struct vfs_file *file;

    world_init(&w, true);
    file = begin(&w, "empty", O_CREAT | O_EXCL | O_WRONLY, "");
    fixture_object(&w.f, "empty", "theirs");
    assert_int_equal(fixture_close(&w.f, file), -EEXIST);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct store_fault_rule rule = {.op = STORE_PUT, .count = 1, .error = kinds[i]};
        char name[16];

        snprintf(name, sizeof(name), "f%u", (unsigned)i);
        file = begin(&w, name, O_CREAT | O_EXCL | O_WRONLY, "text");
        assert_int_equal(store_fault_add(w.f.fault, &rule), 0);
        assert_int_not_equal(vfs_flush(w.f.vfs, file, NULL), 0);
        assert_int_equal(fixture_close(&w.f, file), 0);
        assert_string_equal(fixture_get(&w.f, name), "text");
    }
    assert_string_equal(items(&w), "");
    world_done(&w);
}

/* The program is told the same. */
static void without_a_place(void **state)
{
    struct world w;
    struct vfs_file *file;

    world_init(&w, false);
    fixture_object(&w.f, "a", "base");
    file = begin(&w, "a", O_RDWR, "MINE");
    fixture_object(&w.f, "a", "theirs");
    assert_int_equal(fixture_close(&w.f, file), -ESTALE);
    assert_string_equal(fixture_get(&w.f, "a"), "theirs");
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept),
        cmocka_unit_test(what_is_not_kept),
        cmocka_unit_test(without_a_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
