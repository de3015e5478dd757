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
    atomic_uint refs; /* the kernel's, and requests on it */
    struct vfs_file *file;
    struct vfs_dir *dir;
    atomic_int failed; /* what the last write that failed returned */
    atomic_int lost;   /* the same of one that had been answered as done: later ones fail too */
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

static int close_content(struct vfs *v, struct vfs_file *file, struct vfs_dir *dir,
                         struct s3_error *err)
{
    if (file)
        return vfs_release(v, file, err);
    vfs_releasedir(v, dir);
    return 0;
}

int adapter_handle_new(struct adapter_request *a, struct vfs_file *file, struct vfs_dir *dir,
                       struct fuse_file_info *fi)
{
    struct adapter_handles *handles = adapter_handles_of(a->mount);
    struct adapter_handle *h = calloc(1, sizeof(*h));

    if (!h) {
        (void)close_content(a->vfs, file, dir, &a->err);
        return -ENOMEM;
    }
    atomic_init(&h->refs, 1);
    h->file = file;
    h->dir = dir;
    h->for_writing = (fi->flags & O_ACCMODE) != O_RDONLY;
    h->opener = a->caller.pid;
    SCOPE_LOCK(&handles->lock);
    TAILQ_INSERT_TAIL(&handles->list, h, link);
    fi->fh = (uintptr_t)h;
    return 0;
}

struct adapter_handle *adapter_handle_ref(const struct fuse_file_info *fi)
{
    if (fi)
        atomic_fetch_add(&handle_of(fi->fh)->refs, 1);
    return fi ? handle_of(fi->fh) : NULL;
}

int adapter_handle_unref(struct adapter_request *a, struct adapter_handle *h)
{
    struct adapter_handles *handles = adapter_handles_of(a->mount);

    if (atomic_fetch_sub(&h->refs, 1) > 1)
        return 0;
    pthread_mutex_lock(&handles->lock);
    TAILQ_REMOVE(&handles->list, h, link);
    pthread_mutex_unlock(&handles->lock);
    a->op = h->file ? "release" : "releasedir";
    a->err = (struct s3_error){0};
    int r = close_content(a->vfs, h->file, h->dir, &a->err);
    free(h);
    return r;
}

int adapter_handle_release(struct adapter_request *a, uint64_t fh)
{
    return adapter_handle_unref(a, handle_of(fh));
}

struct vfs_file *adapter_file(const struct fuse_file_info *fi)
{
    return fi ? handle_of(fi->fh)->file : NULL;
}

struct vfs_dir *adapter_dir(const struct fuse_file_info *fi)
{
    return fi ? handle_of(fi->fh)->dir : NULL;
}

bool adapter_handle_first_failure(const struct fuse_file_info *fi, int r)
{
    return atomic_exchange(&handle_of(fi->fh)->failed, r) != r;
}

int adapter_lost_write(const struct adapter_request *a)
{
    return atomic_load(&a->handle->lost);
}

int adapter_write_begin(const struct adapter_request *a)
{
    if (a->caller.pid) /* 0: the kernel, for pages of a mapping */
        atomic_store(&a->handle->writer, a->caller.pid);
    return adapter_lost_write(a);
}

void adapter_write_end(const struct adapter_request *a, int r)
{
    if (r < 0 && a->waiting.answered)
        atomic_store(&a->handle->lost, r);
}

bool adapter_handle_is_in_use(const struct adapter_request *a)
{
    const struct adapter_handle *h = a->handle;
    pid_t closer = a->caller.pid, writer = atomic_load(&h->writer);

    if (!h->for_writing || closer == writer)
        return false;
    if (!writer)
        return descriptors_have_writer(closer, a->ino) ||
               (closer != h->opener && descriptors_have_writer(h->opener, a->ino));
    return closer != h->opener &&
           (descriptors_have_writer(h->opener, a->ino) ||
            (writer != h->opener && descriptors_have_writer(writer, a->ino)));
}

void adapter_handles_release(struct adapter_handles *h, struct vfs *v)
{
    struct adapter_handle *handle;

    while ((handle = TAILQ_FIRST(&h->list))) {
        struct s3_error err = {0};

        TAILQ_REMOVE(&h->list, handle, link);
        int r = close_content(v, handle->file, handle->dir, &err);
        if (r < 0)
            log_error("a file that was open at the unmount: %s: %s", strerror(-r), err.message);
        free(handle);
    }
}

void adapter_handles_done(struct adapter_handles *h)
{
    pthread_mutex_destroy(&h->lock);
}
