/* SPDX-License-Identifier: Apache-2.0 */
/* The filesystem: POSIX semantics over metadata (meta/), content (data/) and objects (store/). It
 * knows neither FUSE nor HTTP, so that tests run it over a store in memory.
 *
 * Life:    vfs_new -> operations -> vfs_sync (uploads what is open) -> vfs_free.
 * Threads: every operation from any thread; they block for the store. One lock (vfs_impl.h)
 *          protects the metadata and is never held over a request. The notify callbacks only
 *          queue: they may run inside any operation.
 * Errors:  0 or -errno. When the store had a part in it, *err says what it answered; otherwise its
 *          kind is S3_ERROR_NONE. Nothing is logged here above debug.
 * Inodes:  each vfs_entry that an operation fills counts one lookup, to be given back with
 *          vfs_forget. */
#ifndef PAILFS_VFS_VFS_H
#define PAILFS_VFS_VFS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/error.h"
#include "data/data.h"
#include "data/landing.h"
#include "data/reader.h"
#include "store/store.h"

struct state;
struct vfs;
struct vfs_file; /* an open file */
struct vfs_dir;  /* an open directory */

#define VFS_ROOT     1u    /* inode number */
#define VFS_LINK_MAX 4095u /* bytes of a link's target: PATH_MAX without its NUL */

/* Where owner, mode and times come from, see meta/attrs.h. */
enum vfs_posix {
    VFS_POSIX_AUTO, /* metadata of objects in directories that are marked as having it */
    VFS_POSIX_ON,   /* metadata of every object */
    VFS_POSIX_OFF,  /* the listing alone */
};

/* Where O_EXCL is decided. Whatever it is, nothing is overwritten: the upload has a condition,
 * except for LOCAL. */
enum vfs_excl {
    VFS_EXCL_AUTO,  /* at the open for names that look like locks, else at the close */
    VFS_EXCL_OPEN,  /* at the open */
    VFS_EXCL_LOCAL, /* by what this mount knows */
};

/* Told when what the kernel may have cached is wrong. They must not block or call back. */
struct vfs_notify {
    void (*inode_changed)(void *ctx, uint64_t ino); /* content or attributes */
    void (*entry_gone)(void *ctx, uint64_t parent, const char *name);
    void *ctx;
};

struct vfs_options {
    struct store *store; /* borrowed */
    struct data *data;   /* borrowed */
    struct state *state; /* borrowed; NULL = nothing is noted for the time after a crash */
    struct lost *lost;   /* borrowed; NULL = what loses to another host is not kept */
    const char *numbers; /* borrowed; file of meta/inode_numbers.h; NULL = none */
    struct clock *clock; /* borrowed; NULL = clock_system() */
    uid_t uid;           /* of what carries no owner */
    gid_t gid;
    mode_t file_mode; /* permission bits of what carries none */
    mode_t dir_mode;
    enum vfs_posix posix;
    enum vfs_excl excl;
    const char *excl_names; /* borrowed; patterns with ':' between them; NULL = none */
    bool read_only;
    uint64_t metadata_ttl_ns; /* attributes and listings are believed that long */
    uint64_t negative_ttl_ns; /* an absent name; 0 = always asked for */
    size_t key_max;           /* bytes of a key without the mount's prefix; 0 = 1,024 */
    bool fsync_local;         /* fsync does not wait for a store that acknowledges early */
    /* Attributes do not wait to be stored together: the store acknowledges from a local journal,
     * which keeps them over a crash and makes one of what follows each other. */
    bool attrs_at_once;
    bool background;          /* vfs_tick is not called: threads of its own do what is due */
    bool root_has_key;        /* the mount has a prefix, so its root can have a marker */
    unsigned parallel;        /* requests of one operation under way; 0 = 16 */
    uint64_t listing_memory;  /* bytes of cached listings; 0 = 256 MiB */
    struct vfs_notify notify; /* NULL functions: nobody listens */
    /* Whether the store remembers attributes of versions that a listing tells
     * (store_head_in.known): then a directory is listed before its marker is asked for. NULL = it
     * does not. */
    bool (*remembers)(void *ctx);
    void *remembers_ctx;
};

int vfs_new(const struct vfs_options *opts, struct vfs **ret);
/* Finishes or undoes what a crash of an earlier life interrupted (meta/state.h: intents). Once, on
 * a thread of its own; blocks for the store; other operations may run beside it. *stop ends it
 * early, and what is left waits for the next mount. */
struct vfs_recovery {
    uint64_t finished;
    uint64_t left;
};
void vfs_recover(struct vfs *v, const atomic_bool *stop, struct vfs_recovery *ret);
/* Commits every file that is open for writing; the first error is returned, the rest goes on. */
int vfs_sync(struct vfs *v, struct s3_error *err);
/* Without threads of its own: stores the attributes that are due, or all, and frees what was kept
 * and is of no more use. When the next ones will be due, from now on; UINT64_MAX = there are none.
 */
uint64_t vfs_tick(struct vfs *v, bool all);
void vfs_free(struct vfs *v); /* NULL ok; open files and directories must be released before */

/* Who asks, for what new files belong to. */
struct vfs_caller {
    uid_t uid;
    gid_t gid;
};

struct vfs_entry {
    uint64_t ino; /* 0 = the name is absent, for entry_ttl_ns */
    struct stat st;
    uint64_t entry_ttl_ns; /* the name is believed that long */
    uint64_t attr_ttl_ns;  /* the attributes */
};

/* -ENOENT fills ret with ino 0. */
int vfs_lookup(struct vfs *v, uint64_t parent, const char *name, struct vfs_entry *ret,
               struct s3_error *err);
void vfs_forget(struct vfs *v, uint64_t ino, uint64_t n);

/* No lookup is counted. file may be NULL. */
int vfs_getattr(struct vfs *v, uint64_t ino, struct vfs_file *file, struct vfs_entry *ret,
                struct s3_error *err);

enum vfs_set {
    VFS_SET_MODE = 1 << 0,
    VFS_SET_UID = 1 << 1,
    VFS_SET_GID = 1 << 2,
    VFS_SET_SIZE = 1 << 3,
    VFS_SET_ATIME = 1 << 4,
    VFS_SET_MTIME = 1 << 5,
    VFS_SET_ATIME_NOW = 1 << 6,
    VFS_SET_MTIME_NOW = 1 << 7,
};
struct vfs_changes {
    unsigned set; /* VFS_SET_* */
    mode_t mode;
    uid_t uid;
    gid_t gid;
    uint64_t size;
    int64_t atime_ns;
    int64_t mtime_ns;
};
/* Sizes are in the store with the file's close; the rest a second later, or with what comes before:
 * its upload, its rename, fsync, vfs_sync. */
int vfs_setattr(struct vfs *v, uint64_t ino, struct vfs_file *file,
                const struct vfs_changes *changes, struct vfs_entry *ret, struct s3_error *err);

int vfs_opendir(struct vfs *v, uint64_t ino, struct vfs_dir **ret);
/* Calls fill for the entries from offset on (0 = the start) until it returns false: that entry was
 * not taken; fill must not call back. next: the offset behind the entry. With plus, each entry but
 * "." and ".." counts a lookup; without, only ino and the type in st.st_mode are set, and no type
 * where the store would have to be asked for it. */
typedef bool (*vfs_fill_fn)(void *ctx, const char *name, const struct vfs_entry *entry,
                            uint64_t next);
int vfs_readdir(struct vfs *v, struct vfs_dir *dir, uint64_t offset, bool plus, vfs_fill_fn fill,
                void *ctx, struct s3_error *err);
void vfs_releasedir(struct vfs *v, struct vfs_dir *dir);

/* flags as in open(2). *ret_keep: the page cache of the kernel still holds this version. */
int vfs_open(struct vfs *v, uint64_t ino, int flags, struct vfs_file **ret, bool *ret_keep,
             struct s3_error *err);
int vfs_create(struct vfs *v, const struct vfs_caller *caller, uint64_t parent, const char *name,
               mode_t mode, int flags, struct vfs_entry *ret, struct vfs_file **ret_file,
               struct s3_error *err);
/* What is written through this handle must go past the kernel's page cache: it was opened only for
 * writing, and none that uses the cache was there. Constant. */
bool vfs_file_is_direct(const struct vfs_file *file);
/* Whether a handle of the same file uses the page cache. The kernel drops what is cached of a range
 * before a write past the cache gets here; a reader can cache the old bytes again in between, and
 * they would stay: after such a write, and before its answer, they have to be dropped once more. */
bool vfs_file_is_cached(struct vfs *v, const struct vfs_file *file);
/* Somebody without privileges is about to write past the page cache: what the kernel does on the
 * way through it, taking away set-user-ID and set-group-ID. */
void vfs_drop_set_ids(struct vfs *v, struct vfs_file *file);
/* An empty regular file, FIFO or socket. Devices, and whatever posix=off cannot keep: -EPERM. */
int vfs_mknod(struct vfs *v, const struct vfs_caller *caller, uint64_t parent, const char *name,
              mode_t mode, struct vfs_entry *ret, struct s3_error *err);
int vfs_read(struct vfs *v, struct vfs_file *file, uint64_t offset, void *buf, size_t len,
             size_t *ret_len, struct s3_error *err);
/* The same without a copy; *ret is to be released (reader_view_done) after success only. */
int vfs_read_view(struct vfs *v, struct vfs_file *file, uint64_t offset, size_t len,
                  struct reader_view *ret, struct s3_error *err);
/* For vfs_write_landed; NULL: out of memory. All are gone before vfs_free. */
struct landing *vfs_landing_new(struct vfs *v);
unsigned vfs_landing_turns(struct vfs *v);
/* Writes the first len bytes of what has arrived there. -EXDEV, and nothing was done: vfs_write
 * must have them. */
int vfs_write_landed(struct vfs *v, struct vfs_file *file, uint64_t offset, struct landing *l,
                     size_t len, struct s3_error *err);
int vfs_write(struct vfs *v, struct vfs_file *file, uint64_t offset, const void *buf, size_t len,
              struct s3_error *err);
/* Copies inside the store, as copy_file_range(2); *ret bytes at most at a time. -EXDEV, and nothing
 * was done: the bytes must be read and written. */
int vfs_copy_range(struct vfs *v, struct vfs_file *in, uint64_t in_offset, struct vfs_file *out,
                   uint64_t offset, uint64_t len, uint64_t *ret, struct s3_error *err);
/* mode as in fallocate(2): allocate, punch holes, zero; -EOPNOTSUPP for others. */
int vfs_fallocate(struct vfs *v, struct vfs_file *file, int mode, uint64_t offset, uint64_t len,
                  struct s3_error *err);
/* SEEK_DATA and SEEK_HOLE of lseek(2). Objects have no holes; what is being written has. */
int vfs_lseek(struct vfs *v, struct vfs_file *file, uint64_t offset, int whence, uint64_t *ret);
/* Everything written is in the store when it returns 0: for flush, fsync and close. */
int vfs_flush(struct vfs *v, struct vfs_file *file, struct s3_error *err);
/* The same for whatever was written to the file, through any of its handles. */
int vfs_fsync(struct vfs *v, struct vfs_file *file, struct s3_error *err);
/* fsync(2) of a directory: its attributes, and names made and removed before, are in the store. */
int vfs_fsync_dir(struct vfs *v, uint64_t ino, struct s3_error *err);
/* The file is released whatever is returned; an error means that data was lost. */
int vfs_release(struct vfs *v, struct vfs_file *file, struct s3_error *err);

int vfs_mkdir(struct vfs *v, const struct vfs_caller *caller, uint64_t parent, const char *name,
              mode_t mode, struct vfs_entry *ret, struct s3_error *err);
/* target: 1 to VFS_LINK_MAX bytes, else -ENOENT or -ENAMETOOLONG. -EPERM with posix=off. */
int vfs_symlink(struct vfs *v, const struct vfs_caller *caller, uint64_t parent, const char *name,
                const char *target, struct vfs_entry *ret, struct s3_error *err);
/* -EINVAL: no link. */
int vfs_readlink(struct vfs *v, uint64_t ino, char ret[VFS_LINK_MAX + 1], struct s3_error *err);
/* Extended attributes: user.*, and of user.s3.* what the store knows: key, etag, size,
 * version-id, content-type, storage-class (these two can be set), checksum-type, checksum-crc64nvme
 * and so on, restore. Others: -ENODATA to read, -EOPNOTSUPP to set.
 * size 0: only *ret, the length, is told. Errors as getxattr(2) and setxattr(2). */
int vfs_getxattr(struct vfs *v, uint64_t ino, const char *name, void *buf, size_t size, size_t *ret,
                 struct s3_error *err);
int vfs_listxattr(struct vfs *v, uint64_t ino, char *buf, size_t size, size_t *ret,
                  struct s3_error *err);
/* flags: XATTR_CREATE, XATTR_REPLACE. */
int vfs_setxattr(struct vfs *v, uint64_t ino, const char *name, const void *value, size_t size,
                 int flags, struct s3_error *err);
int vfs_removexattr(struct vfs *v, uint64_t ino, const char *name, struct s3_error *err);
int vfs_rmdir(struct vfs *v, uint64_t parent, const char *name, struct s3_error *err);
int vfs_unlink(struct vfs *v, uint64_t parent, const char *name, struct s3_error *err);
/* flags: RENAME_NOREPLACE or RENAME_EXCHANGE of renameat2(2); others are -EINVAL. */
int vfs_rename(struct vfs *v, uint64_t parent, const char *name, uint64_t new_parent,
               const char *new_name, unsigned flags, struct s3_error *err);
int vfs_statfs(struct vfs *v, struct statvfs *ret);

/* The key that an inode stands for, for log lines; "" for the root. */
void vfs_describe(struct vfs *v, uint64_t ino, char *buf, size_t size);

#endif
