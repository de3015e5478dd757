/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that was needed for a while and is not any more goes back to the system: blocks that were
 * kept for the next use, and what the allocator keeps of others. A thread of its own, started with
 * the first occasion, because that takes milliseconds and the page faults afterwards cost more. */
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "data/data_impl.h"

/* So much must have been in use, and now a quarter of what was. */
#define HIGH_MIN (32 * MIB)
#define FALL     4u

static bool has_fallen_locked(const struct data *d)
{
    return d->high >= HIGH_MIN && d->used <= d->high / FALL;
}

static struct timespec after(uint64_t ns)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t nsec = (uint64_t)t.tv_nsec + ns % NS_PER_S;
    t.tv_sec += (time_t)(ns / NS_PER_S + nsec / NS_PER_S);
    t.tv_nsec = (long)(nsec % NS_PER_S);
    return t;
}

static void *run(void *arg)
{
    struct data *d = arg;
    struct data_idle *i = &d->idle;
    pthread_mutex_lock(&d->lock);
    while (!i->stop) {
        if (!i->due) {
            pthread_cond_wait(&i->wake, &d->lock);
            continue;
        }
        struct timespec until = after(d->idle_ns);
        while (!i->stop && pthread_cond_timedwait(&i->wake, &d->lock, &until) == 0)
            ;
        i->due = false;
        if (i->stop || !has_fallen_locked(d))
            continue;
        d->high = d->used;
        data_blocks_trim_locked(d, 0);
        pthread_mutex_unlock(&d->lock);
        (void)malloc_trim(0);
        pthread_mutex_lock(&d->lock);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

static void start_locked(struct data *d)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&d->idle.thread, NULL, run, d);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    d->idle.running = r == 0;
    if (r == 0)
        pthread_setname_np(d->idle.thread, "memory");
}

void data_idle_note_locked(struct data *d)
{
    struct data_idle *i = &d->idle;
    if (i->due || i->stop || !has_fallen_locked(d))
        return;
    if (!i->running)
        start_locked(d);
    i->due = i->running;
    if (i->due)
        pthread_cond_signal(&i->wake);
}

void data_idle_init(struct data *d)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&d->idle.wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void data_idle_done(struct data *d)
{
    struct data_idle *i = &d->idle;
    pthread_mutex_lock(&d->lock);
    i->stop = true;
    bool running = i->running;
    pthread_cond_signal(&i->wake);
    pthread_mutex_unlock(&d->lock);
    if (running)
        pthread_join(i->thread, NULL);
    pthread_cond_destroy(&i->wake);
}
