/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that are being worked on, and whether somebody still waits for the answer. Private to
 * src/fuse.
 *
 * A process that is killed while it waits for an answer stays until it has one: Ctrl-C would last
 * as long as the network is dead. So a thread looks, four times a second while there are requests,
 * at those that are WAITING_GRACE old, and answers EINTR in the place of the worker when the
 * process is dead (process.h): it never returns to its program, so nobody learns a wrong outcome.
 * The worker goes on to the end with what it does, an upload for example; what fails is logged as
 * ever. Only who reads gives up (base/interrupt.h), lest the dead fill all places and connections
 * while the store does not answer. A write is answered as done, because who shares the open file
 * goes on behind it. We look instead of having the kernel tell: it tells of the first signal only,
 * not of the SIGKILL after a SIGURG, nothing of a process that closes its files on its way out, and
 * it needs a free worker.
 *
 * Who has a handler for SIGINT and its like is told EINTR after WAITING_PATIENCE, and only by what
 * does not change anything: programs do not expect it, but they did ask for the signal. No other
 * signal of a handler ends anything: Go's runtime sends itself SIGURG all the time.
 *
 * Life:    waiting_new -> waiting_start -> waiting_add ... -> waiting_stop -> waiting_free.
 * Entries: the worker's, on its stack: add, then exactly one take, then finish. After a take that
 *          said no the fuse_req_t is gone.
 * Kernel:  it believes that the request is over. It may release the handle (handles.c counts who
 *          uses it) and forget inodes: that waits here for the end of such workers. It holds no
 *          lock of the directory or file any more: later changes of it, and what tells of its
 *          outcome (fsync, close), wait for the earlier one (waiting_settle). */
#ifndef PAILFS_FUSE_WAITING_H
#define PAILFS_FUSE_WAITING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

struct fuse_req;
struct waiting;

enum waiting_kind {
    WAITING_LOOKS,
    WAITING_STORES,  /* what was changed before */
    WAITING_CHANGES, /* the inode, or names in it */
    WAITING_COPIES,  /* bytes to a place that the next write goes by: never answered early */
};

struct waiting_entry {
    struct fuse_req *req;
    pid_t thread;   /* who waits; 0 = unknown */
    const char *op; /* static */
    enum waiting_kind kind;
    uint64_t ino;
    uint64_t other_ino; /* of rename; 0 = none */
    size_t size;        /* of a write; else 0 */
    bool direct;        /* I/O that the thread may have begun and not wait for (O_DIRECT) */
    atomic_bool *over;  /* the worker's: set when it is answered early. May be NULL */
    /* waiting.c's own */
    TAILQ_ENTRY(waiting_entry) link;
    uint64_t id;
    pid_t process; /* of a direct one, looked up with the first tick; 0 = not known */
    unsigned ticks;
    bool answered; /* by the thread here; only after a take */
};

struct waiting_hooks {
    void (*answer)(const struct waiting_entry *copy);
    void (*forget)(void *ctx, uint64_t ino, uint64_t n);
    /* After an answer, for the log. */
    void (*tell)(void *ctx, const struct waiting_entry *copy);
    void *ctx;
};

int waiting_new(const struct waiting_hooks *hooks, struct waiting **ret);
/* The thread; without it nothing is answered early. 0 or -errno. */
int waiting_start(struct waiting *w);
void waiting_stop(struct waiting *w);
void waiting_free(struct waiting *w); /* NULL ok */

void waiting_add(struct waiting *w, struct waiting_entry *e);
/* Blocks while an older change of one of the entry's inodes is at work whose request is over. */
void waiting_settle(struct waiting *w, const struct waiting_entry *e);
/* Whether the caller is to answer. */
bool waiting_take(struct waiting *w, struct waiting_entry *e);
/* The worker is at its end. */
void waiting_finish(struct waiting *w, struct waiting_entry *e);

/* true: hooks.forget will come later. */
bool waiting_defer_forget(struct waiting *w, uint64_t ino, uint64_t n);

#endif
