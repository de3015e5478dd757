/* SPDX-License-Identifier: Apache-2.0 */
/* Time, injected. Production code takes a `struct clock *` and never calls time(2) itself, so that
 * tests run with a fake clock and no sleep. All values in nanoseconds. Thread-safe. */
#ifndef PAILFS_BASE_CLOCK_H
#define PAILFS_BASE_CLOCK_H

#include <pthread.h>
#include <stdint.h>

struct clock {
    uint64_t (*monotonic_ns)(struct clock *c); /* never goes back; origin unspecified */
    int64_t (*realtime_ns)(struct clock *c);   /* since 1970-01-01 UTC; may jump */
    void (*sleep_ns)(struct clock *c, uint64_t ns);
};

/* The kernel's clocks. A static object, never freed. */
struct clock *clock_system(void);

static inline uint64_t clock_monotonic_ns(struct clock *c)
{
    return c->monotonic_ns(c);
}
static inline int64_t clock_realtime_ns(struct clock *c)
{
    return c->realtime_ns(c);
}
static inline void clock_sleep_ns(struct clock *c, uint64_t ns)
{
    c->sleep_ns(c, ns);
}

/* A clock that stands still until told: sleep advances both times by the slept amount. */
struct clock_fake {
    struct clock clock;
    pthread_mutex_t lock;
    uint64_t monotonic; /* protected by lock */
    int64_t realtime;   /* protected by lock */
    uint64_t slept;     /* sum of all sleeps, protected by lock */
    unsigned sleeps;    /* number of sleeps, protected by lock */
};

void clock_fake_init(struct clock_fake *f, int64_t realtime_ns);
void clock_fake_advance(struct clock_fake *f, uint64_t ns);

#endif
