/* SPDX-License-Identifier: Apache-2.0 */
/* One I/O thread: libcurl's sockets in an epoll set, its timer and our deadlines as the time-out of
 * epoll_wait, new calls and cancels from a mail list that an eventfd announces. It blocks nowhere
 * else: names are resolved by libcurl's own threads. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "http/http_curl_priv.h"

#define EVENTS_AT_ONCE 64

static _Thread_local struct http_loop *current_loop;

struct http_loop *http_loop_current(void)
{
    return current_loop;
}

/* Called with t->lock. A loop that is awake looks at its mail before it sleeps. */
void http_loop_wake(struct http_loop *l)
{
    uint64_t one = 1;

    if (!l->asleep)
        return;
    l->asleep = false;
    /* It can only fail when the counter is full, and then the loop wakes anyway. */
    ssize_t n = write(l->wake_fd, &one, sizeof(one));
    (void)n;
}

/* What libcurl tells us */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userp, void *socketp)
{
    struct http_loop *l = userp;
    struct epoll_event ev = {.data.fd = fd};

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
        return 0;
    }
    if (what & CURL_POLL_IN)
        ev.events |= EPOLLIN;
    if (what & CURL_POLL_OUT)
        ev.events |= EPOLLOUT;
    if (!socketp)
        curl_multi_assign(l->multi, fd, l);
    int op = socketp ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (epoll_ctl(l->epoll_fd, op, fd, &ev) < 0) {
        op = op == EPOLL_CTL_ADD ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
        if (epoll_ctl(l->epoll_fd, op, fd, &ev) < 0)
            return -1; /* libcurl fails its calls; ours end by their deadlines at the latest */
    }
    return 0;
}

static int on_timer(CURLM *multi, long timeout_ms, void *userp)
{
    struct http_loop *l = userp;

    (void)multi;
    l->curl_timer_ns =
        timeout_ms < 0 ? UINT64_MAX : http_curl_now() + (uint64_t)timeout_ms * NS_PER_MS;
    return 0;
}

/* Calls */

void http_loop_check_at(struct http_loop *l, struct http_call *c, uint64_t at)
{
    if (!c->deadline.queued || at < c->deadline.at)
        http_deadline_set(&l->calls, &c->deadline, at);
}

static void call_arm(struct http_call *c, uint64_t at)
{
    struct http_loop *l = c->loop;

    if (at == UINT64_MAX)
        http_deadline_clear(&l->calls, &c->deadline);
    else if (!c->deadline.queued || c->deadline.at != at)
        http_deadline_set(&l->calls, &c->deadline, at);
}

/* Takes the call out of libcurl and out of this loop, and tells its owner. */
static void call_end(struct http_call *c)
{
    struct http_loop *l = c->loop;

    if (c->is_running)
        LIST_REMOVE(c, running);
    c->is_running = false;
    if (c->easy) {
        curl_multi_remove_handle(l->multi, c->easy);
        l->n_active--;
        /* Connections belong to the multi handle and stay. A handle that has failed is not used
         * again: what libcurl left in it (a receive buffer of the old size) is not worth knowing.
         */
        if (c->answer.resp.kind == S3_ERROR_NONE && l->n_idle < l->slots) {
            curl_easy_reset(c->easy);
            l->idle[l->n_idle++] = c->easy;
        } else {
            curl_easy_cleanup(c->easy);
        }
        c->easy = NULL;
        http_loop_sockets_forget(l, c);
    }
    http_deadline_clear(&l->calls, &c->deadline);
    http_curl_finish(c);
}

static void call_cancel(struct http_call *c)
{
    char where[HTTP_WHERE_MAX];

    http_answer_fail(&c->answer, S3_ERROR_CANCELLED, "the request to %s was cancelled",
                     http_url_where(c->req.url, where, sizeof(where)));
    call_end(c);
}

static CURL *take_easy(struct http_loop *l)
{
    if (l->n_idle)
        return l->idle[--l->n_idle];
    CURL *easy = curl_easy_init();
    if (easy)
        curl_easy_setopt(easy, CURLOPT_SHARE, l->sessions); /* a reset does not undo it */
    return easy;
}

static int open_multi(struct http_loop *l)
{
    if (l->multi)
        return 0;
    l->multi = curl_multi_init();
    if (!l->multi)
        return -ENOMEM;
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
    curl_multi_setopt(l->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    /* The default is four times the transfers under way: a pool that melts when the queue drains.
     */
    curl_multi_setopt(l->multi, CURLMOPT_MAXCONNECTS, (long)l->slots);
    return 0;
}

/* Gives it to libcurl. */
static void call_launch(struct http_call *c)
{
    struct http_loop *l = c->loop;
    bool over;

    CURLcode code = open_multi(l) < 0 ? CURLE_OUT_OF_MEMORY : http_call_setup(c, c->easy);
    if (code == CURLE_OK && curl_multi_add_handle(l->multi, c->easy) != CURLM_OK)
        code = CURLE_OUT_OF_MEMORY;
    if (code != CURLE_OK) {
        http_call_judge(c, code);
        call_end(c);
        return;
    }
    call_arm(c, http_call_check(c, http_curl_now(), &over));
    if (over)
        call_end(c);
}

/* Launches it when its host's addresses are known or need not be. */
static void call_resolve(struct http_call *c)
{
    struct http_loop *l = c->loop;
    bool over;

    switch (http_call_resolve(c)) {
    case HTTP_RESOLVE_WAIT:
        c->parked = true;
        call_arm(c, http_call_check(c, http_curl_now(), &over));
        if (over)
            call_end(c);
        return;
    case HTTP_RESOLVE_FAILED:
        call_end(c);
        return;
    case HTTP_RESOLVED:
    case HTTP_RESOLVE_UNABLE:
    default:
        break;
    }
    c->parked = false;
    c->easy = take_easy(l);
    if (!c->easy) {
        http_call_judge(c, CURLE_OUT_OF_MEMORY);
        call_end(c);
        return;
    }
    l->n_active++;
    call_launch(c);
}

static void call_start(struct http_call *c)
{
    if (c->answer.resp.kind != S3_ERROR_NONE) {
        call_end(c);
        return;
    }
    c->started_ns = c->active_ns = http_curl_now();
    c->phase = PHASE_CONNECT;
    LIST_INSERT_HEAD(&c->loop->running, c, running);
    c->is_running = true;
    call_resolve(c);
}

static void unpark_all(struct http_loop *l)
{
    struct http_call *c, *next;

    for (c = LIST_FIRST(&l->running); c; c = next) {
        next = LIST_NEXT(c, running);
        if (c->parked)
            call_resolve(c);
    }
}

/* Its kept-alive connection turned out stale before anything was sent: again, on another one. */
static void call_restart(struct http_call *c)
{
    c->restart = false;
    curl_multi_remove_handle(c->loop->multi, c->easy);
    curl_easy_reset(c->easy);
    c->phase = PHASE_CONNECT;
    call_launch(c);
}

static void read_messages(struct http_loop *l)
{
    CURLMsg *msg;
    int left;

    while (l->multi && (msg = curl_multi_info_read(l->multi, &left))) {
        struct http_call *c = NULL;
        CURLcode code = msg->data.result;

        if (msg->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&c);
        if (c->restart && code == CURLE_ABORTED_BY_CALLBACK) {
            call_restart(c);
            continue;
        }
        http_call_judge(c, code);
        call_end(c);
    }
}

/* Mail and deadlines */

static void run_timer(struct http_timer *timer)
{
    timer->fn(timer->ctx);
    free(timer);
}

/* One item at a time: a callback may cancel a call that is behind it in the list. */
static bool take_mail(struct http_loop *l)
{
    struct http_curl *t = l->t;
    bool cancelled = false, fresh = false;

    pthread_mutex_lock(&t->lock);
    struct http_timer *timer = TAILQ_FIRST(&l->timer_mail);
    struct http_call *c = TAILQ_FIRST(&l->mail);
    if (timer)
        TAILQ_REMOVE(&l->timer_mail, timer, link);
    if (c) {
        TAILQ_REMOVE(&l->mail, c, link);
        c->in_mail = false;
        cancelled = c->cancel || t->stopping;
        fresh = c->where == CALL_MAILED;
        c->where = CALL_RUNNING;
    }
    bool names = l->names_changed && !t->stopping;
    l->names_changed = false;
    pthread_mutex_unlock(&t->lock);

    if (names)
        unpark_all(l);
    if (timer)
        http_deadline_set(&l->timers, &timer->deadline, timer->at);
    if (c && cancelled)
        call_cancel(c);
    else if (c && fresh)
        call_start(c);
    return timer || c || names;
}

/* Calls in the FIFO whose total_ms passed; they belong to no loop, so loop 0 ends them. */
static void expire_queue(struct http_loop *l, uint64_t now)
{
    struct http_curl *t = l->t;
    char where[HTTP_WHERE_MAX];

    for (;;) {
        pthread_mutex_lock(&t->lock);
        struct http_deadline *d = t->queue_deadlines.root;
        struct http_call *c = d ? CONTAINER_OF(d, struct http_call, deadline) : NULL;
        if (!c || d->at > now) {
            pthread_mutex_unlock(&t->lock);
            return;
        }
        http_deadline_clear(&t->queue_deadlines, d);
        TAILQ_REMOVE(&t->queue, c, link);
        t->queued--;
        c->where = CALL_RUNNING;
        c->loop = l;
        l->assigned++;
        pthread_mutex_unlock(&t->lock);

        http_answer_fail(
            &c->answer, S3_ERROR_TIMEOUT, "no connection to %s became free within %u ms",
            http_url_where(c->req.url, where, sizeof(where)), c->req.deadlines.total_ms);
        call_end(c);
    }
}

static void run_deadlines(struct http_loop *l)
{
    uint64_t now = http_curl_now();
    struct http_deadline *d;

    while ((d = l->timers.root) && d->at <= now) {
        http_deadline_clear(&l->timers, d);
        run_timer(CONTAINER_OF(d, struct http_timer, deadline));
    }
    while ((d = l->calls.root) && d->at <= now) {
        struct http_call *c = CONTAINER_OF(d, struct http_call, deadline);
        bool over;

        http_deadline_clear(&l->calls, d);
        call_arm(c, http_call_check(c, now, &over));
        if (over)
            call_end(c);
    }
    if (l->index == 0)
        expire_queue(l, now);
}

/* Everything that is under way here ends now. */
static void cancel_all(struct http_loop *l)
{
    struct http_curl *t = l->t;
    struct http_call *c;
    struct http_deadline *d;

    while (take_mail(l))
        ;
    while ((c = LIST_FIRST(&l->running)))
        call_cancel(c);
    while ((d = l->timers.root)) {
        http_deadline_clear(&l->timers, d);
        run_timer(CONTAINER_OF(d, struct http_timer, deadline));
    }
    for (;;) {
        pthread_mutex_lock(&t->lock);
        c = TAILQ_FIRST(&t->queue);
        if (c) {
            TAILQ_REMOVE(&t->queue, c, link);
            t->queued--;
            http_deadline_clear(&t->queue_deadlines, &c->deadline);
            c->where = CALL_RUNNING;
            c->loop = l;
            l->assigned++;
        }
        pthread_mutex_unlock(&t->lock);
        if (!c)
            return;
        call_cancel(c);
    }
}

/* Out of memory within libcurl's bookkeeping of sockets leaves it (7.88) with an entry that its
 * next look divides by zero at: the multi handle goes, with every connection. */
static void renew_multi(struct http_loop *l)
{
    struct http_call *c, *next;

    for (c = LIST_FIRST(&l->running); c; c = next) {
        next = LIST_NEXT(c, running);
        if (!c->easy)
            continue;
        http_call_judge(c, CURLE_OUT_OF_MEMORY);
        call_end(c);
    }
    curl_multi_cleanup(l->multi);
    l->multi = NULL;
    l->curl_timer_ns = UINT64_MAX;
}

/* False: there was no memory, and no call is known to libcurl any more. */
static bool act(struct http_loop *l, curl_socket_t fd, int action)
{
    int running;

    if (!l->multi)
        return false;
    if (curl_multi_socket_action(l->multi, fd, action, &running) != CURLM_OUT_OF_MEMORY)
        return true;
    renew_multi(l);
    return false;
}

/* The thread */

/* Milliseconds for epoll_wait, rounded up so that it does not return just before the deadline. */
static int sleep_ms(const struct http_loop *l, uint64_t queue_at)
{
    uint64_t at = MIN(l->curl_timer_ns, queue_at), now;

    if (l->calls.root)
        at = MIN(at, l->calls.root->at);
    if (l->timers.root)
        at = MIN(at, l->timers.root->at);
    if (at == UINT64_MAX)
        return -1;
    now = http_curl_now();
    if (at <= now)
        return 0;
    return (int)MIN((at - now + NS_PER_MS - 1) / NS_PER_MS, 3600000u);
}

static void wait_for_events(struct http_loop *l)
{
    struct http_curl *t = l->t;
    struct epoll_event events[EVENTS_AT_ONCE];
    uint64_t queue_at = UINT64_MAX;

    pthread_mutex_lock(&t->lock);
    bool mail =
        !TAILQ_EMPTY(&l->mail) || !TAILQ_EMPTY(&l->timer_mail) || l->names_changed || t->stopping;
    l->asleep = !mail;
    if (l->index == 0 && t->queue_deadlines.root)
        queue_at = t->queue_deadlines.root->at;
    pthread_mutex_unlock(&t->lock);

    int n = epoll_wait(l->epoll_fd, events, EVENTS_AT_ONCE, mail ? 0 : sleep_ms(l, queue_at));

    if (!mail) {
        pthread_mutex_lock(&t->lock);
        l->asleep = false;
        pthread_mutex_unlock(&t->lock);
    }
    for (int i = 0; i < n; i++) {
        if (events[i].data.fd == l->wake_fd) {
            uint64_t count;
            ssize_t got = read(l->wake_fd, &count, sizeof(count));
            (void)got;
            continue;
        }
        unsigned ev = events[i].events;
        int action = 0;
        /* Readable is looked at in any case: a server that refuses an upload answers and then
         * resets, and what it said must be read before the next write fails. */
        action |= CURL_CSELECT_IN;
        if (ev & (EPOLLOUT | EPOLLERR | EPOLLHUP))
            action |= CURL_CSELECT_OUT;
        if (!act(l, events[i].data.fd, action))
            break;
    }
}

void *http_loop_main(void *arg)
{
    struct http_loop *l = arg;
    struct http_curl *t = l->t;

    current_loop = l;
    for (;;) {
        while (take_mail(l))
            ;
        run_deadlines(l);
        if (l->curl_timer_ns <= http_curl_now()) {
            l->curl_timer_ns = UINT64_MAX;
            act(l, CURL_SOCKET_TIMEOUT, 0);
        }
        read_messages(l);

        pthread_mutex_lock(&t->lock);
        bool stopping = t->stopping;
        pthread_mutex_unlock(&t->lock);
        if (stopping)
            break;
        wait_for_events(l);
        read_messages(l);
    }
    cancel_all(l);
    current_loop = NULL;
    return NULL;
}

int http_loop_init(struct http_loop *l, struct http_curl *t, unsigned index, unsigned slots)
{
    *l = (struct http_loop){.t = t,
                            .index = index,
                            .epoll_fd = epoll_create1(EPOLL_CLOEXEC),
                            .wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                            .slots = slots,
                            .curl_timer_ns = UINT64_MAX};
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = l->wake_fd};
    int r = 0;

    TAILQ_INIT(&l->mail);
    TAILQ_INIT(&l->timer_mail);
    LIST_INIT(&l->running);
    if (l->epoll_fd < 0 || l->wake_fd < 0 ||
        epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &ev) < 0)
        r = -errno;
    l->idle = calloc(slots, sizeof(l->idle[0]));
    l->sessions = curl_share_init();
    if (r == 0 && (!l->idle || !l->sessions || open_multi(l) < 0))
        r = -ENOMEM;
    if (r < 0) {
        http_loop_done(l);
        return r;
    }
    /* No locks: only this loop's thread ever uses it. */
    curl_share_setopt(l->sessions, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    return 0;
}

void http_loop_done(struct http_loop *l)
{
    assert(LIST_EMPTY(&l->running));
    while (l->n_idle)
        curl_easy_cleanup(l->idle[--l->n_idle]);
    free(l->idle);
    if (l->multi)
        curl_multi_cleanup(l->multi);
    if (l->sessions)
        curl_share_cleanup(l->sessions);
    if (l->epoll_fd >= 0)
        close(l->epoll_fd);
    if (l->wake_fd >= 0)
        close(l->wake_fd);
    free(l->sockets);
}
