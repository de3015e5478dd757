/* SPDX-License-Identifier: Apache-2.0 */
/* Receives the kernel's requests for libfuse. While large writes come their bytes are put where a
 * writer can take them from without a copy (data/landing.h), and not into libfuse's buffer.
 *
 * Threads: each worker has a landing of its own, which ends with it, at the end of the session. */
#ifndef PAILFS_FUSE_RECEIVE_H
#define PAILFS_FUSE_RECEIVE_H

#include <stdatomic.h>
#include <stddef.h>
#include <sys/types.h>

#include "data/landing.h"
#include "vfs/vfs.h"

struct receive {
    atomic_llong last_large; /* seconds: when the last large write came; 0 = never */
};

/* As read(2). buf is libfuse's. */
ssize_t receive_request(struct receive *r, struct vfs *v, int fd, void *buf, size_t size);
/* Of the write that this thread is at; NULL: its bytes are in libfuse's buffer. */
struct landing *receive_landing(void);
/* A write of so many bytes has come. */
void receive_note_write(struct receive *r, size_t size);

#endif
