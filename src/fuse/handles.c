/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "fuse/adapter.h"
#include "fuse/descriptors.h"

struct adapter_handle {
    TAILQ_ENTRY(adapter_handle) link;
    struct vfs_file *file;
    struct vfs_dir *dir;
    atomic_int failed; /* what the last write that failed returned */
    bool for_writing;
    pid_t opener;      /* the thread */
    atomic_int writer; /* the thread of the last write; 0 = none yet */
};

static struct adapter_handle *handle_of(uint64_t fh)
{
    return (struct adapter_handle *)(uintptr_t)fh;
}

void adapter_handles_init(struct adapter_handles *h)
{
    pthread_mutex_init(&h->lock, NULL);
    TAILQ_INIT(&h->list);
}

int adapter_handle_new(fuse_req_t req, struct vfs_file *file, struct vfs_dir *dir, uint64_t *ret_fh)
{
    struct adapter_handles *handles = adapter_handles_of(req);
    struct adapter_handle *h = calloc(1, sizeof(*h));

    if (!h)
        return -ENOMEM;
    h->file = file;
    h->dir = dir;
    SCOPE_LOCK(&handles->lock);
    TAILQ_INSERT_TAIL(&handles->list, h, link);
    *ret_fh = (uintptr_t)h;
    return 0;
}

static void remove_handle(fuse_req_t req, struct adapter_handle *h)
{
    struct adapter_handles *handles = adapter_handles_of(req);

    SCOPE_LOCK(&handles->lock);
    TAILQ_REMOVE(&handles->list, h, link);
}

struct vfs_file *adapter_handle_take_file(fuse_req_t req, uint64_t fh)
{
    struct adapter_handle *h = handle_of(fh);
    struct vfs_file *file = h->file;

    remove_handle(req, h);
    free(h);
    return file;
}

struct vfs_dir *adapter_handle_take_dir(fuse_req_t req, uint64_t fh)
{
    struct adapter_handle *h = handle_of(fh);
    struct vfs_dir *dir = h->dir;

    remove_handle(req, h);
    free(h);
    return dir;
}

struct vfs_file *adapter_file(const struct fuse_file_info *fi)
{
    return fi ? handle_of(fi->fh)->file : NULL;
}

bool adapter_handle_first_failure(const struct fuse_file_info *fi, int r)
{
    return atomic_exchange(&handle_of(fi->fh)->failed, r) != r;
}

void adapter_handle_opened(fuse_req_t req, const struct fuse_file_info *fi)
{
    struct adapter_handle *h = handle_of(fi->fh);

    h->for_writing = (fi->flags & O_ACCMODE) != O_RDONLY;
    h->opener = fuse_req_ctx(req)->pid;
}

void adapter_handle_written(fuse_req_t req, const struct fuse_file_info *fi)
{
    atomic_store(&handle_of(fi->fh)->writer, fuse_req_ctx(req)->pid);
}

bool adapter_handle_is_in_use(fuse_req_t req, uint64_t ino, const struct fuse_file_info *fi)
{
    struct adapter_handle *h = handle_of(fi->fh);
    pid_t closer = fuse_req_ctx(req)->pid, writer = atomic_load(&h->writer);

    if (!h->for_writing || closer == writer)
        return false;
    if (!writer)
        return descriptors_have_writer(closer, ino) ||
               (closer != h->opener && descriptors_have_writer(h->opener, ino));
    return closer != h->opener && (descriptors_have_writer(h->opener, ino) ||
                                   (writer != h->opener && descriptors_have_writer(writer, ino)));
}

struct vfs_dir *adapter_dir(const struct fuse_file_info *fi)
{
    return fi ? handle_of(fi->fh)->dir : NULL;
}

void adapter_handles_release(struct adapter_handles *h, struct vfs *v)
{
    struct adapter_handle *handle;

    while ((handle = TAILQ_FIRST(&h->list))) {
        struct s3_error err = {0};
        int r = 0;

        TAILQ_REMOVE(&h->list, handle, link);
        if (handle->file)
            r = vfs_release(v, handle->file, &err);
        else
            vfs_releasedir(v, handle->dir);
        if (r < 0)
            log_error("a file that was open at the unmount: %s: %s", strerror(-r), err.message);
        free(handle);
    }
}

void adapter_handles_done(struct adapter_handles *h)
{
    pthread_mutex_destroy(&h->lock);
}
