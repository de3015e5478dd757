/* SPDX-License-Identifier: Apache-2.0 */
/* Receives the kernel's requests for libfuse. While large writes come their bytes are put where a
 * writer can take them from without a copy (data/landing.h), and not into libfuse's buffer.
 *
 * Memory: a worker holds a landing while it receives, and from a large write on until that is
 * written. Only so many receive at a time as there are turns, so that workers without a request
 * hold little, however many they are; no turn is held but while it waits for the kernel.
 *
 * Life: receive_init, then workers, receive_done after the last one, before vfs_free. */
#ifndef PAILFS_FUSE_RECEIVE_H
#define PAILFS_FUSE_RECEIVE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "data/landing.h"
#include "vfs/vfs.h"

#define RECEIVE_SPARE 16

struct receive {
    struct vfs *vfs;
    atomic_llong last_large; /* seconds: when the last large write came; 0 = never */
    sem_t turns;             /* of those who expect large writes */
    pthread_mutex_t lock;
    struct landing *spare[RECEIVE_SPARE]; /* protected by lock, as the next one */
    unsigned n_spare;
};

void receive_init(struct receive *r, struct vfs *v);
void receive_done(struct receive *r);

/* As read(2). buf is libfuse's. */
ssize_t receive_request(struct receive *r, int fd, void *buf, size_t size);
/* Of the write that this thread is at; NULL: its bytes are in libfuse's buffer. */
struct landing *receive_landing(void);
/* Copies the first len bytes of it to libfuse's buffer. */
void receive_copy(void *buf, size_t len);
/* A write of so many bytes has come, and is written. */
void receive_write_begin(struct receive *r, size_t size);
void receive_write_end(struct receive *r);

#endif
