/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE side of a mount: libfuse's low-level session over a vfs. The only layer that knows
 * libfuse.
 *
 * Life:    fuse_mount_new (notifier only) -> vfs_new with fuse_mount_notify -> fuse_mount_attach
 *          (the mount is there) -> fuse_mount_loop (serves until unmounted) -> fuse_mount_free.
 * Threads: the loop's workers call vfs and block in it; the notifier thread tells the kernel what
 *          changed, never from inside a request (libfuse: doc/README.notifications).
 * Errors:  a failed request is logged once, here, and answered with its errno. */
#ifndef PAILFS_FUSE_MOUNT_H
#define PAILFS_FUSE_MOUNT_H

#include "base/error.h"
#include "vfs/vfs.h"

struct fuse_mount;

struct fuse_mount_options {
    const char *mountpoint;     /* absolute; copied */
    const char *kernel_options; /* "fsname=b,subtype=pailfs,ro"; copied */
    unsigned max_threads;       /* 0 = 64 */
    bool debug;                 /* libfuse's own trace on standard error */
    /* Once, when the kernel has greeted the daemon: from then on the mount answers. May be NULL. */
    void (*ready)(void *ctx);
    void *ctx;
};

int fuse_mount_new(const struct fuse_mount_options *opts, struct fuse_mount **ret,
                   struct s3_error *reterr);
/* For vfs_options.notify. */
struct vfs_notify fuse_mount_notify(struct fuse_mount *m);
/* Mounts. v is borrowed until fuse_mount_free. */
int fuse_mount_attach(struct fuse_mount *m, struct vfs *v, struct s3_error *reterr);
/* Serves requests until the mount is gone. 0 or -errno. */
int fuse_mount_loop(struct fuse_mount *m);
/* Takes the mount point away; files that are open stay usable until closed. From any thread.
 * 0 or -errno. */
int fuse_mount_detach(struct fuse_mount *m);
void fuse_mount_free(struct fuse_mount *m); /* NULL ok; unmounts what is still mounted */

/* Why `path` cannot be mounted on, as S3_ERROR_CONFIG with the remedy; 0 when it can. */
int fuse_mountpoint_check(const char *path, struct s3_error *reterr);

#endif
