/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/receive.h"

#include <linux/fuse.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

/* A write of this size, or of more, can be taken as it is. */
#define LARGE (LANDING_SIZE / LANDING_IOV)
/* For so long after the last large write others are expected. */
#define EXPECT_SECONDS 2
/* What stands before the bytes of a write; shorter requests fit. */
#define HEADERS (sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))
/* libfuse's buffer holds the largest write and so much more. */
#define BUFFER_MORE 4096u
/* As many workers' buffers keep the memory of a large write. */
#define FILLED_MAX 16u

/* This thread's. */
static _Thread_local struct landing *landing;
static _Thread_local bool landed;
static _Thread_local bool filled; /* libfuse's buffer, with a large write */

static atomic_uint n_filled;

/* Ends with a worker: what it has. A worker is cancelled while it waits for the kernel, or a turn.
 */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool have_key;

static void end_worker(void *unused)
{
    (void)unused;
    landing_free(landing);
    landing = NULL;
    if (filled)
        atomic_fetch_sub_explicit(&n_filled, 1, memory_order_relaxed);
    filled = false;
}

static void make_key(void)
{
    have_key = pthread_key_create(&key, end_worker) == 0;
}

void receive_init(struct receive *r, struct vfs *v)
{
    *r = (struct receive){.vfs = v};
    pthread_once(&once, make_key);
    sem_init(&r->turns, 0, vfs_landing_turns(v));
    pthread_mutex_init(&r->lock, NULL);
}

static struct landing *take_spare(struct receive *r)
{
    pthread_mutex_lock(&r->lock);
    struct landing *l = r->n_spare ? r->spare[--r->n_spare] : NULL;
    pthread_mutex_unlock(&r->lock);
    return l;
}

static void give_spare(struct receive *r, struct landing *l)
{
    pthread_mutex_lock(&r->lock);
    bool keep = r->n_spare < RECEIVE_SPARE;
    if (keep)
        r->spare[r->n_spare++] = l;
    pthread_mutex_unlock(&r->lock);
    if (!keep)
        landing_free(l);
}

static void drop_spares(struct receive *r)
{
    struct landing *l;

    while ((l = take_spare(r)))
        landing_free(l);
}

void receive_done(struct receive *r)
{
    drop_spares(r);
    pthread_mutex_destroy(&r->lock);
    sem_destroy(&r->turns);
}

static long long seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (long long)t.tv_sec + 1;
}

static bool expects_large(const struct receive *r)
{
    long long last = atomic_load_explicit(&r->last_large, memory_order_relaxed);

    return last && seconds() <= last + EXPECT_SECONDS;
}

static void note_filled(void)
{
    if (!filled && have_key && pthread_setspecific(key, &filled) == 0) {
        filled = true;
        atomic_fetch_add_explicit(&n_filled, 1, memory_order_relaxed);
    }
}

/* Many workers: not each keeps the memory of the largest request that it has had. */
static void empty_buffer(char *buf, size_t size)
{
    if (!filled || atomic_load_explicit(&n_filled, memory_order_relaxed) <= FILLED_MAX)
        return;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    size_t before = (page - (uintptr_t)buf % page) % page;
    if (size > before + page)
        (void)madvise(buf + before, (size - before) / page * page, MADV_DONTNEED);
    filled = false;
    atomic_fetch_sub_explicit(&n_filled, 1, memory_order_relaxed);
}

static ssize_t receive_plainly(int fd, void *buf, size_t size)
{
    ssize_t n = read(fd, buf, size);
    if (n >= (ssize_t)LARGE)
        note_filled();
    return n;
}

/* With a turn. False: there is no memory, or no key to free it by. */
static bool have_landing(struct receive *r, struct iovec iov[LANDING_IOV])
{
    landing = take_spare(r);
    if (!landing)
        landing = vfs_landing_new(r->vfs);
    if (landing && have_key && pthread_setspecific(key, &filled) == 0 && landing_iov(landing, iov))
        return true;
    landing_free(landing);
    landing = NULL;
    return false;
}

static ssize_t receive_landed(struct receive *r, int fd, void *buf, size_t size)
{
    struct iovec iov[1 + LANDING_IOV] = {{buf, HEADERS}};
    const struct fuse_in_header *in = buf;

    while (sem_wait(&r->turns) != 0)
        ;
    if (!expects_large(r) || !have_landing(r, iov + 1)) {
        sem_post(&r->turns);
        return receive_plainly(fd, buf, size);
    }
    ssize_t n = readv(fd, iov, 1 + LANDING_IOV);
    sem_post(&r->turns);
    landed = n >= (ssize_t)HEADERS && in->opcode == FUSE_WRITE;
    if (landed)
        return n;
    if (n > (ssize_t)HEADERS)
        landing_copy(landing, (char *)buf + HEADERS, (size_t)n - HEADERS);
    give_spare(r, TAKE_PTR(landing));
    return n;
}

ssize_t receive_request(struct receive *r, int fd, void *buf, size_t size)
{
    receive_write_end(r); /* of one that libfuse has refused */
    empty_buffer(buf, size);
    /* The kernel refuses a buffer that is too small for its largest write. */
    bool fits = size <= LANDING_SIZE + BUFFER_MORE && size >= LANDING_SIZE + HEADERS;
    if (fits && expects_large(r))
        return receive_landed(r, fd, buf, size);
    drop_spares(r);
    return receive_plainly(fd, buf, size);
}

struct landing *receive_landing(void)
{
    return landed ? landing : NULL;
}

void receive_copy(void *buf, size_t len)
{
    landing_copy(landing, buf, len);
    if (len >= LARGE)
        note_filled();
}

void receive_write_begin(struct receive *r, size_t size)
{
    if (size >= LARGE)
        atomic_store_explicit(&r->last_large, seconds(), memory_order_relaxed);
}

void receive_write_end(struct receive *r)
{
    landed = false;
    if (landing)
        give_spare(r, TAKE_PTR(landing));
}
