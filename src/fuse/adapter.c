/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/adapter.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/interrupt.h"
#include "base/log.h"

void adapter_begin(struct adapter_request *a, fuse_req_t req, enum waiting_kind kind,
                   const char *op, uint64_t ino, const char *name, const struct fuse_file_info *fi,
                   uint64_t other_ino, size_t write_size)
{
    *a = (struct adapter_request){.mount = adapter_mount(req),
                                  .vfs = adapter_vfs(req),
                                  .op = op,
                                  .ino = ino,
                                  .name = name,
                                  .caller = *fuse_req_ctx(req),
                                  .handle = adapter_handle_ref(fi)};
    adapter_first_request(req);
    if (log_enabled(LOG_LEVEL_DEBUG)) {
        char key[1100];

        vfs_describe(a->vfs, ino, key, sizeof(key));
        log_debug("%s '%s'%s%s%s", op, key, name ? " '" : "", name ? name : "", name ? "'" : "");
    }
    a->waiting = (struct waiting_entry){.req = req,
                                        .thread = a->caller.pid,
                                        .op = op,
                                        .ino = ino,
                                        .other_ino = other_ino,
                                        .kind = kind,
                                        .size = write_size,
                                        .direct = fi && (fi->flags & O_DIRECT),
                                        .over = &a->over};
    (void)interrupt_watch(kind == WAITING_LOOKS ? &a->over : NULL);
    waiting_add(adapter_waiting(a->mount), &a->waiting);
    /* Not the kernel's own pages: an older write may be waiting for them (adapter_range_changed).
     */
    bool is_page = fi && fi->writepage;
    if ((kind == WAITING_CHANGES || kind == WAITING_COPIES) && !is_page)
        adapter_settle(a);
}

void adapter_settle(struct adapter_request *a)
{
    waiting_settle(adapter_waiting(a->mount), &a->waiting);
}

bool adapter_may_reply(struct adapter_request *a, fuse_req_t *ret)
{
    *ret = a->waiting.req;
    return waiting_take(adapter_waiting(a->mount), &a->waiting);
}

/* What programs probe for all the time is no event: an absent name, a directory that is not
 * empty, a file that is there already. The store failing, no room, and what we cannot do, are. */
static bool worth_a_line(const struct adapter_request *a, int r)
{
    switch ((int)a->err.kind) {
    case S3_ERROR_NONE:
    case S3_ERROR_NO_SUCH_KEY:
    case S3_ERROR_NOT_MODIFIED:
    case S3_ERROR_BAD_RANGE:
        return r == -EIO || r == -ENOMEM || r == -EOPNOTSUPP || r == -ENOSPC;
    case S3_ERROR_PRECONDITION:
        return r == -ESTALE;
    default:
        return true;
    }
}

static void log_failure(struct adapter_request *a, int r)
{
    char key[1100], text[1024];

    vfs_describe(a->vfs, a->ino, key, sizeof(key));
    if (a->err.kind != S3_ERROR_NONE)
        (void)s3_error_describe(&a->err, text, sizeof(text));
    else
        (void)snprintf(text, sizeof(text), "%s",
                       a->err.message[0]  ? a->err.message
                       : r == -EOPNOTSUPP ? "not supported by this version; nothing was changed"
                                          : strerror(-r));
    /* A directory's key has its '/'. */
    log_error("%s '%s%s': %s (%s)", a->op, key, a->name ? a->name : "", text, strerrorname_np(-r));
}

void adapter_fail(struct adapter_request *a, int r)
{
    if (worth_a_line(a, r))
        log_failure(a, r);
    adapter_fail_quietly(a, r);
}

void adapter_fail_quietly(struct adapter_request *a, int r)
{
    fuse_req_t req;

    if (adapter_may_reply(a, &req))
        fuse_reply_err(req, -r);
}

static void leave_handle(struct adapter_request *a, struct adapter_handle *h)
{
    int r = h ? adapter_handle_unref(a, h) : 0;

    /* The kernel has released it meanwhile. */
    if (r < 0 && worth_a_line(a, r))
        log_failure(a, r);
}

void adapter_end(struct adapter_request *a)
{
    (void)interrupt_watch(NULL);
    leave_handle(a, a->handle);
    leave_handle(a, a->in_handle);
    if (a->waiting.answered && a->waiting.kind != WAITING_LOOKS)
        adapter_unheard_change(a);
    waiting_finish(adapter_waiting(a->mount), &a->waiting);
}

void adapter_finish(struct adapter_request *a, int r)
{
    if (r < 0)
        adapter_fail(a, r);
    else
        adapter_fail_quietly(a, 0);
}

double adapter_seconds(uint64_t ns)
{
    return (double)ns / (double)NS_PER_S;
}

void adapter_entry_param(const struct vfs_entry *e, struct fuse_entry_param *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->ino = e->ino;
    ret->attr = e->st;
    ret->attr_timeout = adapter_seconds(e->attr_ttl_ns);
    ret->entry_timeout = adapter_seconds(e->entry_ttl_ns);
}

void adapter_reply_entry(struct adapter_request *a, const struct vfs_entry *e)
{
    struct fuse_entry_param p;
    fuse_req_t req;

    adapter_entry_param(e, &p);
    /* The kernel will never forget what it did not get. */
    if ((!adapter_may_reply(a, &req) || fuse_reply_entry(req, &p) != 0) && e->ino)
        vfs_forget(a->vfs, e->ino, 1);
}

struct vfs_caller adapter_caller(const struct adapter_request *a)
{
    return (struct vfs_caller){.uid = a->caller.uid, .gid = a->caller.gid};
}

struct thread_buffer {
    size_t size;
    char data[];
};

static pthread_key_t buffer_key;
static pthread_once_t buffer_once = PTHREAD_ONCE_INIT;
static bool buffer_key_made;

static void make_buffer_key(void)
{
    buffer_key_made = pthread_key_create(&buffer_key, free) == 0;
}

void *adapter_buffer(size_t size)
{
    struct thread_buffer *b;

    pthread_once(&buffer_once, make_buffer_key);
    if (!buffer_key_made)
        return NULL;
    b = pthread_getspecific(buffer_key);
    if (b && b->size >= size)
        return b->data;
    free(b);
    b = malloc(sizeof(*b) + size);
    if (b)
        b->size = size;
    if (pthread_setspecific(buffer_key, b) != 0) {
        free(b);
        return NULL;
    }
    return b ? b->data : NULL;
}
