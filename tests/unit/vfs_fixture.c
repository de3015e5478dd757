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

#include "base/attr.h"
#include "store/store_count.h"
#include "store/store_fault.h"
#include "store/store_memory.h"
#include "vfs_fixture.h"

#define START_NS (INT64_C(1790000000) * NS_PER_S)

const struct vfs_caller fixture_caller = {.uid = 1000, .gid = 100};
unsigned fixture_page_size;

struct vfs_options fixture_options(void)
{
    return (struct vfs_options){
        .uid = 1000,
        .gid = 100,
        .file_mode = 0644,
        .dir_mode = 0755,
        .metadata_ttl_ns = 60 * (uint64_t)NS_PER_S,
        .negative_ttl_ns = 60 * (uint64_t)NS_PER_S,
    };
}

static void mount_vfs(struct fixture *f, const struct vfs_options *opts)
{
    struct vfs_options o = opts ? *opts : fixture_options();
    if (!o.store)
        o.store = f->count;
    struct data_options d = {.store = o.store, .clock = &f->clock.clock};
    assert_int_equal(data_new(&d, &f->data), 0);
    o.data = f->data;
    o.clock = &f->clock.clock;
    assert_int_equal(vfs_new(&o, &f->vfs), 0);
    /* The kernel asks for the root first of all. */
    struct vfs_entry e;
    assert_int_equal(vfs_getattr(f->vfs, VFS_ROOT, NULL, &e, &f->err), 0);
    store_count_reset(f->count);
}

void fixture_init(struct fixture *f, const struct vfs_options *opts)
{
    const char *threads = getenv("FIXTURE_THREADS");
    *f = (struct fixture){0};
    clock_fake_init(&f->clock, START_NS);
    struct store_memory_options m = {.clock = &f->clock.clock,
                                     .page_size = fixture_page_size,
                                     .threads = threads ? (unsigned)strtoul(threads, NULL, 10) : 0};
    assert_int_equal(store_memory_new(&m, &f->memory), 0);
    assert_int_equal(store_fault_new(f->memory, &f->clock.clock, &f->fault), 0);
    assert_int_equal(store_count_new(f->fault, NULL, &f->count), 0);
    mount_vfs(f, opts);
}

void fixture_remount(struct fixture *f, const struct vfs_options *opts)
{
    fixture_settle(f);
    vfs_free(f->vfs);
    data_free(f->data);
    mount_vfs(f, opts);
}

void fixture_crash(struct fixture *f)
{
    vfs_free(f->vfs);
    f->vfs = NULL;
}

void fixture_settle(struct fixture *f)
{
    if (!f->vfs)
        return;
    (void)vfs_tick(f->vfs, true);
}

void fixture_done(struct fixture *f)
{
    vfs_free(f->vfs);
    data_free(f->data);
    store_free(f->count);
}

/* ---- the store ---- */

void fixture_object_attrs(struct fixture *f, const char *key, const char *content,
                          const struct store_attrs *attrs)
{
    struct iovec body = {.iov_base = (void *)content, .iov_len = strlen(content)};
    struct store_put_in in = {.key = key, .body = &body, .n_body = 1};
    struct store_version version;
    if (attrs)
        in.attrs = *attrs;
    assert_int_equal(store_put(f->memory, &in, &version, &f->err), 0);
}

void fixture_object(struct fixture *f, const char *key, const char *content)
{
    fixture_object_attrs(f, key, content, NULL);
}

void fixture_object_parts(struct fixture *f, const char *key, const char *content)
{
    struct store_upload_create_in create = {.key = key};
    struct store_upload upload;
    struct store_version version;
    struct store_part part;
    struct iovec body = {.iov_base = (void *)(uintptr_t)content, .iov_len = strlen(content)};
    assert_int_equal(store_call(f->memory, STORE_UPLOAD_CREATE, &create, &upload, &f->err), 0);
    struct store_upload_part_in in = {
        .key = key, .upload_id = upload.id, .number = 1, .body = &body, .n_body = 1};
    assert_int_equal(store_call(f->memory, STORE_UPLOAD_PART, &in, &part, &f->err), 0);
    struct store_upload_complete_in complete = {
        .key = key, .upload_id = upload.id, .parts = &part, .n_parts = 1};
    assert_int_equal(store_call(f->memory, STORE_UPLOAD_COMPLETE, &complete, &version, &f->err), 0);
    assert_non_null(strchr(version.etag, '-'));
}

void fixture_remove(struct fixture *f, const char *key)
{
    assert_int_equal(store_delete(f->memory, key, NULL, &f->err), 0);
}

static int append_text(void *ctx, const void *data, size_t len)
{
    struct fixture *f = ctx;
    size_t have = strlen(f->text);
    assert_true(have + len < sizeof(f->text));
    memcpy(f->text + have, data, len);
    f->text[have + len] = '\0';
    return 0;
}

const char *fixture_get(struct fixture *f, const char *key)
{
    struct store_object o = {0};
    struct store_sink sink = {.write = append_text, .ctx = f};
    struct store_get_in in = {.key = key, .sink = &sink};
    fixture_settle(f);
    f->text[0] = '\0';
    if (store_get(f->memory, &in, &o, &f->err) < 0)
        return NULL;
    store_object_done(&o);
    return f->text;
}

const char *fixture_metadata(struct fixture *f, const char *key, const char *name)
{
    struct store_object o = {0};
    fixture_settle(f);
    f->text[0] = '\0';
    if (store_head(f->memory, key, &o, &f->err) < 0)
        fail_msg("no object '%s'", key);
    for (size_t i = 0; i < o.attrs.n_metadata; i++) {
        if (strcmp(o.attrs.metadata[i].name, name) == 0)
            snprintf(f->text, sizeof(f->text), "%s", o.attrs.metadata[i].value);
    }
    store_object_done(&o);
    return f->text;
}

const char *fixture_keys(struct fixture *f)
{
    struct store_page page = {0};
    struct store_list_in in = {.prefix = ""};
    size_t n = 0;
    fixture_settle(f);
    f->text[0] = '\0';
    assert_int_equal(store_list(f->memory, &in, &page, &f->err), 0);
    for (size_t i = 0; i < page.n_entries; i++)
        n += (size_t)snprintf(f->text + n, sizeof(f->text) - n, "%s ", page.entries[i].key);
    store_page_done(&page);
    return f->text;
}

void fixture_expect(struct fixture *f, const char *requests)
{
    char had[512];
    store_count_describe(f->count, had, sizeof(had));
    store_count_reset(f->count);
    assert_string_equal(had, requests);
}

/* ---- the filesystem ---- */

int fixture_lookup(struct fixture *f, const char *path, struct vfs_entry *ret)
{
    uint64_t ino = VFS_ROOT;
    struct vfs_entry e = {.ino = VFS_ROOT};
    int r = vfs_getattr(f->vfs, VFS_ROOT, NULL, &e, &f->err);
    while (*path && r == 0) {
        char name[512];
        size_t len = strcspn(path, "/");
        snprintf(name, sizeof(name), "%.*s", (int)len, path);
        path += len + (path[len] == '/');
        f->err.kind = S3_ERROR_NONE;
        r = vfs_lookup(f->vfs, ino, name, &e, &f->err);
        if (ino != VFS_ROOT)
            vfs_forget(f->vfs, ino, 1);
        ino = e.ino;
    }
    /* The last one stays counted while the test uses its number: a mount forgets late too. */
    if (ret)
        *ret = e;
    return r;
}

uint64_t fixture_ino(struct fixture *f, const char *path)
{
    struct vfs_entry e;
    int r = fixture_lookup(f, path, &e);
    if (r < 0)
        fail_msg("lookup of '%s': %s", path, strerror(-r));
    return e.ino;
}

uint64_t fixture_parent(struct fixture *f, const char *path, const char **ret_name)
{
    char dir[1024];
    const char *slash = strrchr(path, '/');
    *ret_name = slash ? slash + 1 : path;
    if (!slash)
        return VFS_ROOT;
    snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
    return fixture_ino(f, dir);
}

struct ls {
    struct fixture *f;
    size_t len;
    bool plus;
    unsigned room; /* entries that a call takes */
    uint64_t next;
};

static bool ls_fill(void *ctx, const char *name, const struct vfs_entry *e, uint64_t next)
{
    struct ls *ls = ctx;
    struct fixture *f = ls->f;
    if (ls->room == 0)
        return false;
    ls->room--;
    ls->next = next;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    bool dir = S_ISDIR(e->st.st_mode);
    int n = snprintf(f->text + ls->len, sizeof(f->text) - ls->len, dir ? "%s/" : "%s", name);
    ls->len += (size_t)n;
    if (ls->plus && !dir)
        ls->len += (size_t)snprintf(f->text + ls->len, sizeof(f->text) - ls->len, "=%lld",
                                    (long long)e->st.st_size);
    ls->len += (size_t)snprintf(f->text + ls->len, sizeof(f->text) - ls->len, " ");
    return ls->len < sizeof(f->text);
}

const char *fixture_ls(struct fixture *f, const char *path, bool plus)
{
    struct vfs_dir *dir;
    struct ls ls = {.f = f, .plus = plus};
    uint64_t ino = fixture_ino(f, path), before;
    assert_int_equal(vfs_opendir(f->vfs, ino, &dir), 0);
    f->text[0] = '\0';
    do {
        before = ls.next;
        ls.room = 5;
        int r = vfs_readdir(f->vfs, dir, ls.next, plus, ls_fill, &ls, &f->err);
        if (r < 0) {
            snprintf(f->text, sizeof(f->text), "%s", strerror(-r));
            break;
        }
    } while (ls.next != before);
    vfs_releasedir(f->vfs, dir);
    return f->text;
}

int fixture_create(struct fixture *f, const char *path, int flags, mode_t mode,
                   struct vfs_file **ret)
{
    struct vfs_entry e;
    const char *name;
    uint64_t parent = fixture_parent(f, path, &name);
    return vfs_create(f->vfs, &fixture_caller, parent, name, mode, flags | O_CREAT, &e, ret,
                      &f->err);
}

int fixture_open(struct fixture *f, const char *path, int flags, struct vfs_file **ret)
{
    struct vfs_entry e;
    bool keep;
    int r = fixture_lookup(f, path, &e);
    return r < 0 ? r : vfs_open(f->vfs, e.ino, flags, ret, &keep, &f->err);
}

int fixture_close(struct fixture *f, struct vfs_file *file)
{
    int r = vfs_flush(f->vfs, file, &f->err);
    struct s3_error ignored;
    int released = vfs_release(f->vfs, file, r < 0 ? &ignored : &f->err);
    return r < 0 ? r : released;
}

int fixture_write(struct fixture *f, const char *path, const char *content)
{
    struct vfs_file *file;
    int r = fixture_lookup(f, path, NULL);
    if (r == -ENOENT)
        r = fixture_create(f, path, O_WRONLY, 0644, &file);
    else if (r == 0)
        r = fixture_open(f, path, O_WRONLY | O_TRUNC, &file);
    if (r < 0)
        return r;
    r = vfs_write(f->vfs, file, 0, content, strlen(content), &f->err);
    int closed = fixture_close(f, file);
    return r < 0 ? r : closed;
}

const char *fixture_read(struct fixture *f, const char *path)
{
    struct vfs_file *file;
    size_t len = 0;
    if (fixture_open(f, path, O_RDONLY, &file) < 0)
        return NULL;
    int r = vfs_read(f->vfs, file, 0, f->text, sizeof(f->text) - 1, &len, &f->err);
    f->text[len] = '\0';
    int closed = fixture_close(f, file);
    return r < 0 || closed < 0 ? NULL : f->text;
}

int fixture_mkdir(struct fixture *f, const char *path, mode_t mode)
{
    struct vfs_entry e;
    const char *name;
    uint64_t parent = fixture_parent(f, path, &name);
    return vfs_mkdir(f->vfs, &fixture_caller, parent, name, mode, &e, &f->err);
}

int fixture_unlink(struct fixture *f, const char *path)
{
    const char *name;
    uint64_t parent = fixture_parent(f, path, &name);
    return vfs_unlink(f->vfs, parent, name, &f->err);
}

int fixture_rmdir(struct fixture *f, const char *path)
{
    const char *name;
    uint64_t parent = fixture_parent(f, path, &name);
    return vfs_rmdir(f->vfs, parent, name, &f->err);
}

int fixture_rename(struct fixture *f, const char *from, const char *to, unsigned flags)
{
    const char *name, *new_name;
    uint64_t parent = fixture_parent(f, from, &name);
    uint64_t new_parent = fixture_parent(f, to, &new_name);
    return vfs_rename(f->vfs, parent, name, new_parent, new_name, flags, &f->err);
}

int fixture_chmod(struct fixture *f, const char *path, mode_t mode)
{
    struct vfs_entry e;
    struct vfs_changes c = {.set = VFS_SET_MODE, .mode = mode};
    return vfs_setattr(f->vfs, fixture_ino(f, path), NULL, &c, &e, &f->err);
}
