/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/notifier.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fuse/adapter.h"

struct notice {
    struct notice *next;
    uint64_t ino;
    char name[]; /* "" = the inode itself */
};

struct notifier {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct notice *head, **tail;  /* protected by lock */
    unsigned queued;              /* protected by lock */
    bool running, stopping;       /* protected by lock */
    struct fuse_session *session; /* constant while the thread runs */
    pthread_t thread;
};

int notifier_new(struct notifier **ret)
{
    struct notifier *n = calloc(1, sizeof(*n));

    if (!n)
        return -ENOMEM;
    pthread_mutex_init(&n->lock, NULL);
    pthread_cond_init(&n->wake, NULL);
    n->tail = &n->head;
    *ret = n;
    return 0;
}

/* The next notice, owned by the caller; NULL = end. */
static struct notice *wait_notice(struct notifier *n)
{
    struct notice *first;

    SCOPE_LOCK(&n->lock);
    while (!n->head && !n->stopping)
        pthread_cond_wait(&n->wake, &n->lock);
    if (n->stopping)
        return NULL;
    first = n->head;
    n->head = first->next;
    if (!n->head)
        n->tail = &n->head;
    n->queued--;
    return first;
}

static void *notifier_main(void *arg)
{
    struct notifier *n = arg;
    struct notice *notice;

    while ((notice = wait_notice(n))) {
        /* The kernel may have forgotten it already: ENOENT is fine. */
        if (*notice->name)
            (void)fuse_lowlevel_notify_inval_entry(n->session, notice->ino, notice->name,
                                                   strlen(notice->name));
        else
            (void)fuse_lowlevel_notify_inval_inode(n->session, notice->ino, 0, 0);
        free(notice);
    }
    return NULL;
}

int notifier_start(struct notifier *n, struct fuse_session *session)
{
    int r;

    n->session = session;
    r = pthread_create(&n->thread, NULL, notifier_main, n);
    if (r != 0)
        return -r;
    SCOPE_LOCK(&n->lock);
    n->running = true;
    return 0;
}

static void queue_notice(struct notifier *n, uint64_t ino, const char *name)
{
    size_t len = strlen(name) + 1;
    struct notice *notice = malloc(sizeof(*notice) + len);

    if (!notice)
        return;
    notice->next = NULL;
    notice->ino = ino;
    memcpy(notice->name, name, len);

    SCOPE_LOCK(&n->lock);
    if (!n->running || n->queued >= NOTIFIER_QUEUE_MAX) {
        free(notice);
        return;
    }
    *n->tail = notice;
    n->tail = &notice->next;
    n->queued++;
    pthread_cond_signal(&n->wake);
}

void notifier_inode_changed(void *notifier, uint64_t ino)
{
    queue_notice(notifier, ino, "");
}

void notifier_entry_gone(void *notifier, uint64_t parent, const char *name)
{
    queue_notice(notifier, parent, name);
}

void notifier_stop(struct notifier *n)
{
    bool was_running;

    pthread_mutex_lock(&n->lock);
    was_running = n->running;
    n->running = false;
    n->stopping = true;
    pthread_cond_broadcast(&n->wake);
    pthread_mutex_unlock(&n->lock);
    if (was_running)
        pthread_join(n->thread, NULL);
}

void notifier_free(struct notifier *n)
{
    struct notice *next;

    if (!n)
        return;
    notifier_stop(n);
    for (struct notice *notice = n->head; notice; notice = next) {
        next = notice->next;
        free(notice);
    }
    pthread_cond_destroy(&n->wake);
    pthread_mutex_destroy(&n->lock);
    free(n);
}
