/* SPDX-License-Identifier: Apache-2.0 */
#include "base/interrupt.h"

#include <stdint.h>
#include <time.h>

#include "base/attr.h"

/* The flag's setter does not know where its thread waits. Who waits that long is not in a hurry. */
#define LOOK_NS (250 * NS_PER_MS)

static _Thread_local atomic_bool *watched;

atomic_bool *interrupt_watch(atomic_bool *over)
{
    atomic_bool *before = watched;
    watched = over;
    return before;
}

bool interrupt_is_over(void)
{
    return watched && atomic_load_explicit(watched, memory_order_relaxed);
}

void interrupt_wait(pthread_cond_t *cond, pthread_mutex_t *lock)
{
    struct timespec until;
    if (!watched) {
        pthread_cond_wait(cond, lock);
        return;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    uint64_t ns = (uint64_t)until.tv_nsec + LOOK_NS;
    until.tv_sec += (time_t)(ns / NS_PER_S);
    until.tv_nsec = (long)(ns % NS_PER_S);
    (void)pthread_cond_clockwait(cond, lock, CLOCK_MONOTONIC, &until);
}
