/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/waiting.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "fuse/process.h"

#define TICK_NS (250 * NS_PER_MS)
/* In ticks. What a network that works answers within needs no other end: a second. */
#define WAITING_GRACE    4u
#define WAITING_PATIENCE 20u
/* Looked at in one tick, those first that were not for the longest time. */
#define BATCH 64

struct forgotten {
    struct forgotten *next;
    uint64_t ino, n;
};

TAILQ_HEAD(waiting_list, waiting_entry);

struct waiting {
    struct waiting_hooks hooks;
    pthread_t thread;
    bool running;

    pthread_mutex_t lock;
    pthread_cond_t settled;
    pthread_cond_t wake;         /* on the monotonic clock */
    struct waiting_list entries; /* not answered; protected by lock, as all below */
    uint64_t last_id;
    bool asleep, stopping;
    struct forgotten *forgotten;
    struct waiting_list unheard_changes;
    atomic_uint unheard; /* workers whose request was answered for them; changed with the lock */
};

int waiting_new(const struct waiting_hooks *hooks, struct waiting **ret)
{
    struct waiting *w = calloc(1, sizeof(*w));
    pthread_condattr_t attr;
    if (!w)
        return -ENOMEM;
    w->hooks = *hooks;
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_cond_init(&w->settled, NULL);
    TAILQ_INIT(&w->entries);
    TAILQ_INIT(&w->unheard_changes);
    w->asleep = true;
    *ret = w;
    return 0;
}

void waiting_add(struct waiting *w, struct waiting_entry *e)
{
    SCOPE_LOCK(&w->lock);
    e->id = ++w->last_id;
    e->ticks = 0;
    e->process = 0;
    e->answered = false;
    TAILQ_INSERT_TAIL(&w->entries, e, link);
    if (w->asleep) {
        w->asleep = false;
        pthread_cond_signal(&w->wake);
    }
}

/* Older ones only, so that no two wait for each other. */
static bool is_unsettled_locked(const struct waiting *w, const struct waiting_entry *e)
{
    const struct waiting_entry *u;
    TAILQ_FOREACH (u, &w->unheard_changes, link) {
        bool same = u->ino == e->ino || u->ino == e->other_ino ||
                    (u->other_ino && (u->other_ino == e->ino || u->other_ino == e->other_ino));
        if (same && u->id < e->id)
            return true;
    }
    return false;
}

void waiting_settle(struct waiting *w, const struct waiting_entry *e)
{
    if (atomic_load(&w->unheard) == 0)
        return;
    SCOPE_LOCK(&w->lock);
    while (is_unsettled_locked(w, e))
        pthread_cond_wait(&w->settled, &w->lock);
}

bool waiting_take(struct waiting *w, struct waiting_entry *e)
{
    SCOPE_LOCK(&w->lock);
    if (!e->answered)
        TAILQ_REMOVE(&w->entries, e, link);
    return !e->answered;
}

void waiting_finish(struct waiting *w, struct waiting_entry *e)
{
    struct forgotten *list = NULL;
    if (!e->answered) /* taken: nobody else sets it any more */
        return;
    pthread_mutex_lock(&w->lock);
    if (e->kind == WAITING_CHANGES) {
        TAILQ_REMOVE(&w->unheard_changes, e, link);
        pthread_cond_broadcast(&w->settled);
    }
    if (atomic_fetch_sub(&w->unheard, 1) == 1)
        list = TAKE_PTR(w->forgotten);
    pthread_mutex_unlock(&w->lock);
    while (list) {
        struct forgotten *f = list;
        list = f->next;
        w->hooks.forget(w->hooks.ctx, f->ino, f->n);
        free(f);
    }
}

bool waiting_defer_forget(struct waiting *w, uint64_t ino, uint64_t n)
{
    if (atomic_load(&w->unheard) == 0)
        return false;
    struct forgotten *f = malloc(sizeof(*f));
    SCOPE_LOCK(&w->lock);
    if (atomic_load(&w->unheard) == 0) {
        free(f);
        return false;
    }
    /* Without memory the inode stays for the life of the mount. */
    if (f) {
        *f = (struct forgotten){.next = w->forgotten, .ino = ino, .n = n};
        w->forgotten = f;
    }
    return true;
}

/* ---- the thread ---- */

/* Entries are the workers': only copies outlive the lock. */
static size_t old_entries_locked(struct waiting *w, struct waiting_entry copies[BATCH])
{
    struct waiting_entry *e, *next, *last = TAILQ_LAST(&w->entries, waiting_list);
    size_t n = 0;
    for (e = TAILQ_FIRST(&w->entries); e; e = e == last ? NULL : next) {
        next = TAILQ_NEXT(e, link);
        bool ask = ++e->ticks == 1 && e->direct;
        if ((e->ticks < WAITING_GRACE && !ask) || e->thread == 0 || e->kind == WAITING_COPIES ||
            n == BATCH)
            continue;
        copies[n++] = *e;
        TAILQ_REMOVE(&w->entries, e, link);
        TAILQ_INSERT_TAIL(&w->entries, e, link);
    }
    return n;
}

/* Its thread may end with the process living on. */
static void note_process(struct waiting *w, const struct waiting_entry *copy)
{
    struct waiting_entry *e;
    pid_t process = process_of(copy->thread);
    SCOPE_LOCK(&w->lock);
    TAILQ_FOREACH (e, &w->entries, link)
        if (e->id == copy->id)
            e->process = process;
}

/* Nobody is there to take the answer. Of what a thread has begun that is gone now: when its process
 * is known to have ended as well. */
static bool is_deserted(const struct waiting_entry *e)
{
    if (!e->direct)
        return true;
    enum process_fate fate = e->process ? process_fate(e->process) : PROCESS_WAITS;
    return fate == PROCESS_DEAD || fate == PROCESS_GONE;
}

static bool is_over(const struct waiting_entry *e)
{
    switch (process_fate(e->thread)) {
    case PROCESS_DEAD:
        return true;
    case PROCESS_TOLD:
        return e->kind == WAITING_LOOKS && e->ticks >= WAITING_PATIENCE;
    case PROCESS_GONE:
        return e->kind == WAITING_LOOKS && is_deserted(e);
    case PROCESS_WAITS:
        break;
    }
    return false;
}

/* The worker may have come to its end meanwhile. */
static bool mark_answered(struct waiting *w, uint64_t id)
{
    struct waiting_entry *e;
    SCOPE_LOCK(&w->lock);
    TAILQ_FOREACH (e, &w->entries, link) {
        if (e->id == id) {
            TAILQ_REMOVE(&w->entries, e, link);
            e->answered = true;
            if (e->over)
                atomic_store(e->over, true);
            if (e->kind == WAITING_CHANGES)
                TAILQ_INSERT_TAIL(&w->unheard_changes, e, link);
            atomic_fetch_add(&w->unheard, 1);
            return true;
        }
    }
    return false;
}

static void look(struct waiting *w)
{
    struct waiting_entry copies[BATCH];
    pthread_mutex_lock(&w->lock);
    size_t n = old_entries_locked(w, copies);
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < n; i++) {
        if (copies[i].ticks < WAITING_GRACE) {
            note_process(w, &copies[i]);
            continue;
        }
        if (!is_over(&copies[i]) || !mark_answered(w, copies[i].id))
            continue;
        w->hooks.answer(&copies[i]);
        w->hooks.tell(w->hooks.ctx, &copies[i]);
    }
}

/* A tick later, or when there is something to look at again; false at the end. */
static bool wait_tick(struct waiting *w, uint64_t *seen)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + TICK_NS;
    until.tv_sec += (time_t)(ns / NS_PER_S);
    until.tv_nsec = (long)(ns % NS_PER_S);
    SCOPE_LOCK(&w->lock);
    /* Nothing came for a whole tick: until then a busy mount need not wake us for each request. */
    if (TAILQ_EMPTY(&w->entries) && w->last_id == *seen)
        w->asleep = true;
    *seen = w->last_id;
    while (w->asleep && !w->stopping)
        pthread_cond_wait(&w->wake, &w->lock);
    while (!w->stopping && pthread_cond_timedwait(&w->wake, &w->lock, &until) == 0)
        ;
    return !w->stopping;
}

static void *waiting_main(void *arg)
{
    struct waiting *w = arg;
    uint64_t seen = 0;
    while (wait_tick(w, &seen))
        look(w);
    return NULL;
}

int waiting_start(struct waiting *w)
{
    int r = pthread_create(&w->thread, NULL, waiting_main, w);
    w->running = r == 0;
    return -r;
}

void waiting_stop(struct waiting *w)
{
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    if (w->running)
        pthread_join(w->thread, NULL);
    w->running = false;
}

void waiting_free(struct waiting *w)
{
    if (!w)
        return;
    waiting_stop(w);
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->settled);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
