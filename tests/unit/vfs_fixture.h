/* SPDX-License-Identifier: Apache-2.0 */
/* A filesystem over a store in memory, with a clock that stands still, counted and scriptable
 * requests. Include after cmocka.h.
 *
 *   struct fixture f;
 *   fixture_init(&f, NULL);          or with options that are changed
 *   fixture_object(&f, "a/b", "text");          as if another host had put it
 *   assert_int_equal(fixture_write(&f, "a/c", "x"), 0);
 *   fixture_expect(&f, "put 1");                and nothing else since the last time
 *   fixture_done(&f);
 */
#ifndef PAILFS_TESTS_VFS_FIXTURE_H
#define PAILFS_TESTS_VFS_FIXTURE_H

#include "base/clock.h"
#include "data/data.h"
#include "store/store.h"
#include "vfs/vfs.h"

struct fixture {
    struct clock_fake clock;
    struct store *memory; /* borrowed */
    struct store *fault;  /* borrowed */
    struct store *count;
    struct data *data;
    struct vfs *vfs;
    struct s3_error err; /* of the last call of a function below */
    char text[8192];     /* what the last function returned */
};

extern const struct vfs_caller fixture_caller;
/* Keys in a page of the store's listings; 0 = 1,000. Set before fixture_init. */
extern unsigned fixture_page_size;

/* The options that fixture_init uses for NULL: uid 1000, gid 100, 0644, 0755, posix=auto, TTL 60 s,
 * negative TTL 60 s. */
struct vfs_options fixture_options(void);
/* opts.store is what the filesystem sees when it is set, a decorator of f->count.
 * threads of the store in memory: 0 unless the environment's FIXTURE_THREADS says more. */
void fixture_init(struct fixture *f, const struct vfs_options *opts);
/* Unmounts, and mounts what is in the store anew. */
void fixture_remount(struct fixture *f, const struct vfs_options *opts);
/* What was not stored is lost; fixture_remount comes next. */
void fixture_crash(struct fixture *f);
void fixture_done(struct fixture *f);

/* Straight into the store, not counted. */
void fixture_object(struct fixture *f, const char *key, const char *content);
void fixture_object_attrs(struct fixture *f, const char *key, const char *content,
                          const struct store_attrs *attrs);
/* Made of parts: its ETag is not that of its bytes, nor that of its copies. */
void fixture_object_parts(struct fixture *f, const char *key, const char *content);
void fixture_remove(struct fixture *f, const char *key);
/* Attributes that wait to be stored are: those below do it first, for what they tell is of the
 * store. */
void fixture_settle(struct fixture *f);
/* The content of the object, NULL when there is none. */
const char *fixture_get(struct fixture *f, const char *key);
/* A value of its user metadata, "" when there is none. */
const char *fixture_metadata(struct fixture *f, const char *key, const char *name);
/* Every key, "a a/b c ". */
const char *fixture_keys(struct fixture *f);

/* Requests since the last call: "list 1, put 1", "" for none. Fails the test when different. */
void fixture_expect(struct fixture *f, const char *requests);

/* Through the filesystem; paths without a leading '/', "" is the root. The last name's lookup
 * stays counted, as in a mount, which forgets late. */
int fixture_lookup(struct fixture *f, const char *path, struct vfs_entry *ret);
uint64_t fixture_ino(struct fixture *f, const char *path);
/* The parent's number and the last name of a path. */
uint64_t fixture_parent(struct fixture *f, const char *path, const char **ret_name);
/* "a dir/ ", without . and ..; with plus its sizes too: "a=3 dir/ ". */
const char *fixture_ls(struct fixture *f, const char *path, bool plus);
int fixture_create(struct fixture *f, const char *path, int flags, mode_t mode,
                   struct vfs_file **ret);
int fixture_open(struct fixture *f, const char *path, int flags, struct vfs_file **ret);
/* flush and release, as close(2) does; the first error. */
int fixture_close(struct fixture *f, struct vfs_file *file);
/* create or open with O_TRUNC, write, close */
int fixture_write(struct fixture *f, const char *path, const char *content);
/* NULL on failure */
const char *fixture_read(struct fixture *f, const char *path);
int fixture_mkdir(struct fixture *f, const char *path, mode_t mode);
int fixture_unlink(struct fixture *f, const char *path);
int fixture_rmdir(struct fixture *f, const char *path);
int fixture_rename(struct fixture *f, const char *from, const char *to, unsigned flags);
int fixture_chmod(struct fixture *f, const char *path, mode_t mode);

#endif
