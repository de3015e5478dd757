/* SPDX-License-Identifier: Apache-2.0 */
/* The libcurl engine's insides: what http_curl.c (queue, public calls), http_curl_loop.c (an I/O
 * thread) and http_curl_call.c (one exchange) share. Nobody else includes this.
 *
 * Life of a call: http_submit puts it either into one loop's mail or, when max_connections are in
 * use, into the transport's FIFO. The loop takes it from the mail, starts it, and finishes it: the
 * slot goes to the head of the FIFO, then done runs, then the call is freed.
 *
 * Locks: one, http_curl.lock, held for list operations only. libcurl, callbacks and system calls
 * other than the wake-up are outside of it. Fields without a lock note belong to the loop's thread.
 */
#ifndef PAILFS_HTTP_HTTP_CURL_PRIV_H
#define PAILFS_HTTP_HTTP_CURL_PRIV_H

#include <arpa/inet.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "http/http_answer.h"
#include "http/http_curl.h"
#include "http/http_deadline.h"
#include "http/http_resolve.h"

struct http_curl;
struct http_loop;

enum call_where {
    CALL_QUEUED,  /* in the FIFO */
    CALL_MAILED,  /* in the mail of its loop, not yet looked at */
    CALL_RUNNING, /* known to libcurl, or parked until its host's addresses are known */
    CALL_ENDED,   /* done is about to run, or runs */
};

enum call_phase {
    PHASE_CONNECT,
    PHASE_SEND,
    PHASE_WAIT, /* for the first byte of the answer */
    PHASE_RECEIVE,
};

struct http_call {
    /* constant after http_submit */
    struct http_curl *t;
    struct http_request req; /* what it points to is the caller's until done begins */
    http_done_fn done;
    void *ctx;
    uint64_t submit_ns;
    uint64_t body_len;
    struct curl_slist *headers; /* one allocation */

    /* protected by t->lock */
    TAILQ_ENTRY(http_call) link; /* FIFO or mail */
    enum call_where where;
    bool in_mail;
    bool cancel;
    struct http_loop *loop; /* NULL while in the FIFO */

    struct http_deadline
        deadline; /* in t->queue_deadlines (lock) while in the FIFO, then the loop's */

    LIST_ENTRY(http_call) running;
    bool is_running; /* in that list */
    bool parked;     /* its host's addresses are being looked up */
    CURL *easy;
    struct curl_slist *addresses; /* for CURLOPT_RESOLVE; one allocation, or NULL */
    struct http_answer answer;
    enum call_phase phase;
    int fd;         /* of its connection; -1 before it is known. Not owned */
    int unacked;    /* bytes in the socket's send queue when last looked at */
    unsigned stale; /* connections that were given up before anything was sent on them */
    uint64_t started_ns;
    uint64_t active_ns; /* last byte in either direction */
    uint64_t sent_ns;   /* the last byte of the request left */
    uint64_t quiet_ns;  /* when its owner was last told of silence */
    uint64_t asked_ns;  /* when its sink was last asked whether it is wanted */
    uint64_t sent;      /* body bytes, of the present try */
    uint64_t seen;      /* answer body bytes */
    int body_at;        /* reading position: index into req.body, */
    size_t body_off;    /* and offset in that element */
    bool restart;       /* its connection was stale: try another one */
    char curl_error[CURL_ERROR_SIZE];
};
TAILQ_HEAD(call_list, http_call);
LIST_HEAD(running_list, http_call);

struct http_timer {
    struct http_deadline deadline;
    uint64_t at;
    void (*fn)(void *ctx);
    void *ctx;
    TAILQ_ENTRY(http_timer) link; /* mail, protected by t->lock */
};
TAILQ_HEAD(timer_list, http_timer);

/* A socket that libcurl opened in this loop. Its address pair is empty until the first request is
 * about to be sent on it; a socket that does not get so far is closed by libcurl (7.88) without a
 * word, so it is forgotten with the call that opened it. */
struct loop_socket {
    int fd;
    const struct http_call *opener; /* NULL once it is connected */
    int local_port;
    int peer_port;
    char peer_ip[INET6_ADDRSTRLEN];
};

struct http_loop {
    struct http_curl *t;
    unsigned index;
    pthread_t thread;
    int epoll_fd;
    int wake_fd; /* eventfd */

    /* protected by t->lock */
    struct call_list mail;
    struct timer_list timer_mail;
    unsigned assigned; /* calls between the FIFO and their end, at most slots */
    unsigned slots;
    bool asleep;        /* a wake-up is needed for mail to be seen */
    bool names_changed; /* parked calls may go on */

    CURLM *multi;           /* NULL after it was damaged, until the next call */
    CURLSH *sessions;       /* TLS sessions of all easy handles: new connections resume them */
    uint64_t curl_timer_ns; /* UINT64_MAX = none */
    struct http_deadlines_heap calls;
    struct http_deadlines_heap timers;
    struct running_list running;
    unsigned n_active; /* of them known to libcurl */
    CURL **idle;       /* easy handles, n_idle of slots */
    unsigned n_idle;
    struct loop_socket *sockets;
    size_t n_sockets, sockets_alloc;
    size_t n_connected; /* of them */
};

struct stat_counters {
    _Atomic uint64_t requests, failures, bytes_sent, bytes_received, total_ns;
};

struct http_curl {
    struct http_transport transport;

    /* constant after http_curl_new */
    unsigned max_connections, n_loops;
    long max_idle_s;
    char *ca_bundle;
    bool insecure;
    char *user_agent; /* "User-Agent: ..." */
    unsigned n_stats;
    struct stat_counters *stats;
    struct http_resolver *resolver; /* NULL where proxies are configured: libcurl resolves */
    _Atomic uint64_t connections_opened;

    pthread_mutex_t lock;
    /* protected by lock */
    struct call_list queue; /* the FIFO */
    unsigned queued;
    struct http_deadlines_heap queue_deadlines; /* total_ms of the calls in it; loop 0 looks */
    unsigned calls_max;                         /* at a time, at most max_connections */
    unsigned answers;                           /* since it was changed */
    uint64_t lowered_ns;                        /* when it was */
    bool stopping;
    unsigned next_timer_loop;

    struct http_loop *loops;
};

/* http_curl.c */
uint64_t http_curl_now(void);
/* Puts it into the loop's mail, and wakes the loop when it sleeps. */
void http_curl_mail_locked(struct http_loop *l, struct http_call *c);
/* Releases its slot, runs done, frees it. */
void http_curl_finish(struct http_call *c);
void http_curl_call_free(struct http_call *c);

/* http_curl_loop.c */
int http_loop_init(struct http_loop *l, struct http_curl *t, unsigned index, unsigned slots);
void http_loop_done(struct http_loop *l);
void *http_loop_main(void *arg);
/* The loop whose thread this is, or NULL. */
struct http_loop *http_loop_current(void);
void http_loop_wake(struct http_loop *l);
/* Has http_call_check called at that moment. */
void http_loop_check_at(struct http_loop *l, struct http_call *c, uint64_t at);

/* http_curl_sockets.c */
int http_loop_socket_add(struct http_loop *l, int fd, const struct http_call *opener);
void http_loop_socket_remove(struct http_loop *l, int fd);
/* What the call opened and did not connect is closed with it. */
void http_loop_sockets_forget(struct http_loop *l, const struct http_call *c);
/* The socket of that connection, or NULL; *ret_fresh when it is asked for the first time. */
struct loop_socket *http_loop_socket_find(struct http_loop *l, int local_port, const char *peer_ip,
                                          int peer_port, bool *ret_fresh);

/* http_curl_setup.c */
/* Builds the header list. 0, -ENOMEM, or -EINVAL for a control character. */
int http_call_build_headers(struct http_call *c);
/* Has the addresses of its host put into c->addresses where a new connection is likely. */
enum http_resolution http_call_resolve(struct http_call *c);
/* They were of no use. */
void http_call_forget_addresses(const struct http_call *c);
/* Sets every option of the easy handle, which is new or reset. */
CURLcode http_call_setup(struct http_call *c, CURL *easy);

/* http_curl_call.c */
CURLcode http_call_set_callbacks(struct http_call *c, CURL *easy);
/* The next moment at which the call must be looked at, UINT64_MAX = never. When a deadline has
 * passed, the answer has been made a timeout (or accepted) and *ret_over is true. */
uint64_t http_call_check(struct http_call *c, uint64_t now, bool *ret_over);
/* Turns libcurl's verdict into the response. */
void http_call_judge(struct http_call *c, CURLcode code);

/* A row of curl_easy_setopt on `easy` of which `rc` keeps the first error. */
#define HTTP_SET(option, value)                                                                    \
    do {                                                                                           \
        if (rc == CURLE_OK)                                                                        \
            rc = curl_easy_setopt(easy, CURLOPT_##option, value);                                  \
    } while (0)

#endif
