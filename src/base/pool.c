/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"

struct task {
    struct task *next;
    void (*fn)(void *arg);
    void *arg;
};

struct threadpool {
    pthread_mutex_t lock;
    pthread_cond_t work; /* a task was queued, or stopping began */
    pthread_cond_t idle; /* nothing queued, nothing running */

    struct task *head, **tail; /* protected by lock */
    unsigned running;          /* protected by lock */
    bool stopping;             /* protected by lock */

    char name[16]; /* pthread_setname_np's limit; constant */
    unsigned n_threads;
    pthread_t threads[];
};

static void *worker(void *arg)
{
    struct threadpool *p = arg;
    pthread_setname_np(pthread_self(), p->name);

    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->head && !p->stopping)
            pthread_cond_wait(&p->work, &p->lock);
        struct task *t = p->head;
        if (!t)
            break;
        p->head = t->next;
        if (!p->head)
            p->tail = &p->head;
        p->running++;
        pthread_mutex_unlock(&p->lock);

        t->fn(t->arg);
        free(t);

        pthread_mutex_lock(&p->lock);
        p->running--;
        if (!p->running && !p->head)
            pthread_cond_broadcast(&p->idle);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

static void stop_and_free(struct threadpool *p)
{
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);

    for (unsigned i = 0; i < p->n_threads; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->idle);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

int threadpool_new(unsigned threads, const char *name, struct threadpool **ret)
{
    if (!threads)
        return -EINVAL;
    struct threadpool *p = calloc(1, sizeof(*p) + threads * sizeof(p->threads[0]));
    if (!p)
        return -ENOMEM;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    pthread_cond_init(&p->idle, NULL);
    p->tail = &p->head;
    snprintf(p->name, sizeof(p->name), "%s", name ? name : "pool");

    /* Signals belong to the thread that waits for them. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = 0;
    while (p->n_threads < threads && !error) {
        error = pthread_create(&p->threads[p->n_threads], NULL, worker, p);
        if (!error)
            p->n_threads++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error) {
        stop_and_free(p);
        return -error;
    }
    *ret = p;
    return 0;
}

int threadpool_submit(struct threadpool *p, void (*fn)(void *arg), void *arg)
{
    struct task *t = malloc(sizeof(*t));
    if (!t)
        return -ENOMEM;
    *t = (struct task){.fn = fn, .arg = arg};

    pthread_mutex_lock(&p->lock);
    if (p->stopping) {
        pthread_mutex_unlock(&p->lock);
        free(t);
        return -ESHUTDOWN;
    }
    *p->tail = t;
    p->tail = &t->next;
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
    return 0;
}

void threadpool_drain(struct threadpool *p)
{
    SCOPE_LOCK(&p->lock);
    while (p->head || p->running)
        pthread_cond_wait(&p->idle, &p->lock);
}

void threadpool_free(struct threadpool *p)
{
    if (p)
        stop_and_free(p);
}
