/* SPDX-License-Identifier: Apache-2.0 */
/* Scope-bound release of resources: `CLEANUP_FREE char *p = NULL;`. Initialise at declaration;
 * hand over with TAKE_PTR / TAKE_FD. Modules define their own with CLEANUP(fn), where fn takes a
 * pointer to the variable. */
#ifndef PAILFS_BASE_CLEANUP_H
#define PAILFS_BASE_CLEANUP_H

#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Defines `static inline void name(type *p)` that calls fn(*p) when *p is not NULL. */
#define DEFINE_CLEANUP(name, type, fn)                                                             \
    static inline void name(type *p)                                                               \
    {                                                                                              \
        if (*p)                                                                                    \
            fn(*p);                                                                                \
    }

static inline void cleanup_free_ptr(void *p)
{
    free(*(void **)p);
}

/* Keeps errno, so that `return -errno` before the end of the scope stays true. */
static inline void cleanup_close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static inline void cleanup_unlock_mutex(pthread_mutex_t **m)
{
    if (*m)
        pthread_mutex_unlock(*m);
}

DEFINE_CLEANUP(cleanup_fclose_file, FILE *, fclose)
DEFINE_CLEANUP(cleanup_closedir_dir, DIR *, closedir)

#define CLEANUP_FREE CLEANUP(cleanup_free_ptr)
#define CLEANUP_FD   CLEANUP(cleanup_close_fd)
#define CLEANUP_FILE CLEANUP(cleanup_fclose_file)
#define CLEANUP_DIR  CLEANUP(cleanup_closedir_dir)

static inline pthread_mutex_t *scope_lock_acquire(pthread_mutex_t *m)
{
    pthread_mutex_lock(m);
    return m;
}

/* Holds the mutex until the end of the enclosing scope. */
#define SCOPE_LOCK_NAME2(line) scope_lock_##line
#define SCOPE_LOCK_NAME(line)  SCOPE_LOCK_NAME2(line)
#define SCOPE_LOCK(mutex)                                                                          \
    CLEANUP(cleanup_unlock_mutex)                                                                  \
    __attribute__((unused)) pthread_mutex_t *SCOPE_LOCK_NAME(__LINE__) = scope_lock_acquire(mutex)

#define TAKE_PTR(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) take_p_ = (p);                                                               \
        (p) = NULL;                                                                                \
        take_p_;                                                                                   \
    })
#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int take_fd_ = (fd);                                                                       \
        (fd) = -1;                                                                                 \
        take_fd_;                                                                                  \
    })

#endif
