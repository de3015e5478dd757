/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/receive.h"

#include <linux/fuse.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

/* A write of this size, or of more, can be taken as it is. */
#define LARGE (LANDING_SIZE / LANDING_IOV)
/* For so long after the last large write others are expected. */
#define EXPECT_SECONDS 2
/* What stands before the bytes of a write; shorter requests fit. */
#define HEADERS (sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))
/* libfuse's buffer holds the largest write and so much more. */
#define BUFFER_MORE 4096u

static _Thread_local struct landing *landing;
static _Thread_local bool landed;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* of each worker's landing, to free it */
static bool have_key;

static void free_landing(void *l)
{
    landing_free(l);
}

static void make_key(void)
{
    have_key = pthread_key_create(&key, free_landing) == 0;
}

static long long seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (long long)t.tv_sec + 1;
}

static void forget_landing(void)
{
    if (!landing)
        return;
    pthread_setspecific(key, NULL);
    landing_free(landing);
    landing = NULL;
}

/* The workers that only read, or look at names, have none. */
static bool has_landing(struct receive *r, struct vfs *v)
{
    long long last = atomic_load_explicit(&r->last_large, memory_order_relaxed);

    if (!last || seconds() > last + EXPECT_SECONDS) {
        forget_landing();
        return false;
    }
    if (landing)
        return true;
    pthread_once(&once, make_key);
    landing = have_key ? vfs_landing_new(v) : NULL;
    if (landing && pthread_setspecific(key, landing) != 0) {
        landing_free(landing);
        landing = NULL;
    }
    return landing != NULL;
}

ssize_t receive_request(struct receive *r, struct vfs *v, int fd, void *buf, size_t size)
{
    struct iovec iov[1 + LANDING_IOV] = {{buf, HEADERS}};
    const struct fuse_in_header *in = buf;

    landed = false;
    /* The kernel refuses a buffer that is too small for its largest write. */
    if (size > LANDING_SIZE + BUFFER_MORE || size < LANDING_SIZE + HEADERS || !has_landing(r, v) ||
        !landing_iov(landing, iov + 1))
        return read(fd, buf, size);
    ssize_t n = readv(fd, iov, 1 + LANDING_IOV);
    landed = n >= (ssize_t)HEADERS && in->opcode == FUSE_WRITE;
    if (n > (ssize_t)HEADERS && !landed)
        landing_copy(landing, (char *)buf + HEADERS, (size_t)n - HEADERS);
    return n;
}

struct landing *receive_landing(void)
{
    return landed ? landing : NULL;
}

void receive_note_write(struct receive *r, size_t size)
{
    if (size >= LARGE)
        atomic_store_explicit(&r->last_large, seconds(), memory_order_relaxed);
}
