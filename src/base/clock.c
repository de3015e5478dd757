/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <errno.h>
#include <time.h>

#include "base/attr.h"
#include "base/cleanup.h"

static uint64_t system_monotonic_ns(struct clock *c)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static int64_t system_realtime_ns(struct clock *c)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void system_sleep_ns(struct clock *c, uint64_t ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ns / NS_PER_S);
    until.tv_nsec += (long)(ns % NS_PER_S);
    if (until.tv_nsec >= NS_PER_S) {
        until.tv_sec++;
        until.tv_nsec -= NS_PER_S;
    }
    /* An absolute end, so that signals do not lengthen the sleep. */
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

struct clock *clock_system(void)
{
    static struct clock system_clock = {
        .monotonic_ns = system_monotonic_ns,
        .realtime_ns = system_realtime_ns,
        .sleep_ns = system_sleep_ns,
    };
    return &system_clock;
}

static struct clock_fake *fake_of(struct clock *c)
{
    return CONTAINER_OF(c, struct clock_fake, clock);
}

static uint64_t fake_monotonic_ns(struct clock *c)
{
    struct clock_fake *f = fake_of(c);
    SCOPE_LOCK(&f->lock);
    return f->monotonic;
}

static int64_t fake_realtime_ns(struct clock *c)
{
    struct clock_fake *f = fake_of(c);
    SCOPE_LOCK(&f->lock);
    return f->realtime;
}

static void advance_locked(struct clock_fake *f, uint64_t ns)
{
    f->monotonic += ns;
    f->realtime += (int64_t)ns;
}

static void fake_sleep_ns(struct clock *c, uint64_t ns)
{
    struct clock_fake *f = fake_of(c);
    SCOPE_LOCK(&f->lock);
    advance_locked(f, ns);
    f->slept += ns;
    f->sleeps++;
}

void clock_fake_init(struct clock_fake *f, int64_t realtime_ns)
{
    *f = (struct clock_fake){
        .clock =
            {
                .monotonic_ns = fake_monotonic_ns,
                .realtime_ns = fake_realtime_ns,
                .sleep_ns = fake_sleep_ns,
            },
        .lock = PTHREAD_MUTEX_INITIALIZER,
        /* Not 0: code that takes 0 for "never" must not work by luck. */
        .monotonic = 1000 * NS_PER_S,
        .realtime = realtime_ns,
    };
}

void clock_fake_advance(struct clock_fake *f, uint64_t ns)
{
    SCOPE_LOCK(&f->lock);
    advance_locked(f, ns);
}
