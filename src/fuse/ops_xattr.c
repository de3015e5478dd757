/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes. A size of 0 asks for the size. */
#include <errno.h>

#include "fuse/adapter.h"

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
                 int flags)
{
    ADAPTER_REQUEST(a, req, WAITING_CHANGES, "setxattr", ino, NULL, NULL);
    int r = vfs_setxattr(a.vfs, ino, name, value, size, flags, &a.err);

    /* What cp -a and tar try with every file is no event. */
    if (r == -EOPNOTSUPP)
        adapter_fail_quietly(&a, r);
    else
        adapter_finish(&a, r);
}

static void reply(struct adapter_request *a, int r, const void *buf, size_t size, size_t got)
{
    fuse_req_t req;

    if (r == -EOPNOTSUPP) /* nor is asking for an access control list */
        adapter_fail_quietly(a, r);
    else if (r < 0)
        adapter_fail(a, r);
    else if (!adapter_may_reply(a, &req))
        return;
    else if (size == 0)
        fuse_reply_xattr(req, got);
    else
        fuse_reply_buf(req, buf, got);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    ADAPTER_REQUEST(a, req, WAITING_LOOKS, "getxattr", ino, NULL, NULL);
    void *buf = size > 0 ? adapter_buffer(size) : NULL;
    size_t got = 0;
    int r = -ENOMEM;

    if (buf || size == 0)
        r = vfs_getxattr(a.vfs, ino, name, buf, size, &got, &a.err);
    reply(&a, r, buf, size, got);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    ADAPTER_REQUEST(a, req, WAITING_LOOKS, "listxattr", ino, NULL, NULL);
    void *buf = size > 0 ? adapter_buffer(size) : NULL;
    size_t got = 0;
    int r = -ENOMEM;

    if (buf || size == 0)
        r = vfs_listxattr(a.vfs, ino, buf, size, &got, &a.err);
    reply(&a, r, buf, size, got);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    ADAPTER_REQUEST(a, req, WAITING_CHANGES, "removexattr", ino, NULL, NULL);
    int r = vfs_removexattr(a.vfs, ino, name, &a.err);

    if (r == -EOPNOTSUPP)
        adapter_fail_quietly(&a, r);
    else
        adapter_finish(&a, r);
}
