/* SPDX-License-Identifier: Apache-2.0 */
/* Whether anybody still waits for what this thread does. Who begins a piece of work for somebody
 * names a flag that is set when that one is gone; who waits on the way to its end, and leaves
 * nothing behind by not waiting, looks at it and gives up with -EINTR.
 *
 * Threads: a flag belongs to the thread that named it, and may be set by any. */
#ifndef PAILFS_BASE_INTERRUPT_H
#define PAILFS_BASE_INTERRUPT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Borrowed until the next call; NULL = this work is done whoever waits. Returns the one before. */
atomic_bool *interrupt_watch(atomic_bool *over);
bool interrupt_is_over(void);
/* pthread_cond_wait; where a flag is named it returns a few times in a second. */
void interrupt_wait(pthread_cond_t *cond, pthread_mutex_t *lock);

#endif
