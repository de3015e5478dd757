/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes. A size of 0 asks for the size. */
#include <errno.h>

#include "fuse/adapter.h"

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value, size_t size,
                 int flags)
{
    struct adapter_request a = adapter_begin(req, "setxattr", ino, NULL);
    int r = vfs_setxattr(adapter_vfs(req), ino, name, value, size, flags, &a.err);

    /* What cp -a and tar try with every file is no event. */
    if (r == -EOPNOTSUPP)
        fuse_reply_err(req, EOPNOTSUPP);
    else
        adapter_finish(&a, r);
}

static void reply(struct adapter_request *a, int r, const void *buf, size_t size, size_t got)
{
    if (r == -EOPNOTSUPP) /* nor is asking for an access control list */
        fuse_reply_err(a->req, EOPNOTSUPP);
    else if (r < 0)
        adapter_fail(a, r);
    else if (size == 0)
        fuse_reply_xattr(a->req, got);
    else
        fuse_reply_buf(a->req, buf, got);
}

void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    struct adapter_request a = adapter_begin(req, "getxattr", ino, NULL);
    void *buf = size > 0 ? adapter_buffer(size) : NULL;
    size_t got = 0;
    int r = -ENOMEM;

    if (buf || size == 0)
        r = vfs_getxattr(adapter_vfs(req), ino, name, buf, size, &got, &a.err);
    reply(&a, r, buf, size, got);
}

void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    struct adapter_request a = adapter_begin(req, "listxattr", ino, NULL);
    void *buf = size > 0 ? adapter_buffer(size) : NULL;
    size_t got = 0;
    int r = -ENOMEM;

    if (buf || size == 0)
        r = vfs_listxattr(adapter_vfs(req), ino, buf, size, &got, &a.err);
    reply(&a, r, buf, size, got);
}

void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    struct adapter_request a = adapter_begin(req, "removexattr", ino, NULL);
    int r = vfs_removexattr(adapter_vfs(req), ino, name, &a.err);

    if (r == -EOPNOTSUPP)
        fuse_reply_err(req, EOPNOTSUPP);
    else
        adapter_finish(&a, r);
}
