/* SPDX-License-Identifier: Apache-2.0 */
/* One exchange under way: what libcurl calls back, when it took too long, and what its verdict
 * means. */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/http_curl_priv.h"

/* Phases */

/* The limit that applies in the present phase. */
struct limit {
    uint64_t since;
    uint32_t ms; /* 0 = none */
    const char *what;
};

static struct limit phase_limit(const struct http_call *c)
{
    const struct http_deadlines *d = &c->req.deadlines;

    switch (c->phase) {
    case PHASE_CONNECT:
        return (struct limit){c->started_ns, d->connect_ms, "no connection to"};
    case PHASE_WAIT:
        if (d->first_byte_ms)
            return (struct limit){c->sent_ns, d->first_byte_ms, "no answer from"};
        return (struct limit){c->active_ns, d->stall_ms, "no byte to or from"};
    case PHASE_SEND:
    case PHASE_RECEIVE:
    default:
        return (struct limit){c->active_ns, d->stall_ms, "no byte to or from"};
    }
}

/* While a body is on its way, the send queue is looked at so often in the time that it may stall.
 */
#define LOOKS_PER_LIMIT 4

static uint64_t look_interval(const struct limit *limit)
{
    return MAX(limit->ms * (uint64_t)NS_PER_MS / LOOKS_PER_LIMIT, (uint64_t)NS_PER_MS);
}

/* A phase begins: its limit may end before the next planned look at this call. */
static void enter_phase(struct http_call *c, enum call_phase phase)
{
    c->phase = phase;
    struct limit limit = phase_limit(c);
    if (limit.ms)
        http_loop_check_at(c->loop, c,
                           limit.since + (phase == PHASE_SEND ? look_interval(&limit)
                                                              : limit.ms * (uint64_t)NS_PER_MS));
}

/* What libcurl calls. Each returns what makes it stop after the answer was found bad. */

static void note_answer_byte(struct http_call *c)
{
    c->active_ns = http_curl_now();
    if (c->phase == PHASE_RECEIVE)
        return;
    if (c->answer.resp.first_byte_ns == 0) {
        c->answer.resp.first_byte_ns = c->active_ns - c->submit_ns;
        c->answer.resp.wait_ns = c->active_ns - MIN(c->sent_ns, c->active_ns);
    }
    enter_phase(c, PHASE_RECEIVE);
}

static size_t on_header(char *line, size_t size, size_t n, void *userp)
{
    struct http_call *c = userp;
    size_t len = size * n;

    note_answer_byte(c);
    if (http_answer_line(&c->answer, line, len) < 0)
        return 0;
    if (c->answer.resp.status == 0) { /* the end of an interim answer: the wait begins anew */
        c->sent_ns = c->active_ns;
        enter_phase(c, c->sent < c->body_len ? PHASE_SEND : PHASE_WAIT);
    }
    return len;
}

static size_t on_data(char *data, size_t size, size_t n, void *userp)
{
    struct http_call *c = userp;
    size_t len = size * n;

    if (http_answer_data(&c->answer, data, len) < 0)
        return 0;
    return len;
}

static bool socket_broken(int fd)
{
    struct pollfd p = {.fd = fd};

    return poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP));
}

static size_t on_read(char *buf, size_t size, size_t n, void *userp)
{
    struct http_call *c = userp;
    size_t room = size * n, done = 0;

    while (done < room && c->body_at < c->req.n_body) {
        const struct iovec *v = &c->req.body[c->body_at];
        size_t part = MIN(room - done, v->iov_len - c->body_off);
        if (part > 0)
            memcpy(buf + done, (const char *)v->iov_base + c->body_off, part);
        done += part;
        c->body_off += part;
        if (c->body_off == v->iov_len) {
            c->body_at++;
            c->body_off = 0;
        }
    }
    /* A server that refuses answers and resets. Were that noticed by the send that comes now, the
     * answer would be lost; saying that the body ends here makes libcurl read it. */
    return c->fd >= 0 && socket_broken(c->fd) ? 0 : done;
}

/* libcurl goes back to 0 when it repeats the request on a new connection. */
static int on_seek(void *userp, curl_off_t offset, int origin)
{
    struct http_call *c = userp;
    uint64_t left = (uint64_t)offset;

    if (origin != SEEK_SET || offset < 0 || left > c->body_len)
        return CURL_SEEKFUNC_FAIL;
    c->body_at = 0;
    while (c->body_at < c->req.n_body && left >= c->req.body[c->body_at].iov_len)
        left -= c->req.body[c->body_at++].iov_len;
    c->body_off = left;
    return CURL_SEEKFUNC_OK;
}

/* Runs whenever libcurl has read or written something. */
static int on_progress(void *userp, curl_off_t dl_total, curl_off_t dl_now, curl_off_t ul_total,
                       curl_off_t ul_now)
{
    struct http_call *c = userp;

    (void)dl_total;
    (void)ul_total;
    bool sending = (uint64_t)ul_now != c->sent;
    if (!sending && (uint64_t)dl_now == c->seen)
        return 0;
    c->seen = (uint64_t)dl_now;
    c->active_ns = http_curl_now();
    if (sending) {
        c->sent = (uint64_t)ul_now;
        c->sent_ns = c->active_ns;
        if (c->phase == PHASE_SEND && c->sent == c->body_len)
            enter_phase(c, PHASE_WAIT);
    }
    return 0;
}

/* A kept-alive connection on which something is waiting to be read before we asked for anything:
 * the end of the stream, a TLS goodbye, or bytes that would be taken for our answer. libcurl 7.88
 * only notices the first of these. */
static bool socket_stale(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 ||
           (errno != EAGAIN && errno != EWOULDBLOCK);
}

/* The connection stands; the next thing libcurl does is to send. */
static int on_connected(void *userp, char *peer_ip, char *local_ip, int peer_port, int local_port)
{
    struct http_call *c = userp;
    struct http_loop *l = c->loop;
    bool fresh = true;
    struct loop_socket *s = http_loop_socket_find(l, local_port, peer_ip, peer_port, &fresh);

    (void)local_ip;
    if (s && !fresh && c->stale <= l->slots && socket_stale(s->fd)) {
        c->stale++;
        c->restart = true;
        return CURL_PREREQFUNC_ABORT;
    }
    if (fresh)
        atomic_fetch_add_explicit(&c->t->connections_opened, 1, memory_order_relaxed);
    c->fd = s ? s->fd : -1;
    c->unacked = 0;
    c->active_ns = c->sent_ns = http_curl_now();
    enter_phase(c, c->body_len > 0 ? PHASE_SEND : PHASE_WAIT);
    c->answer.resp.reused_connection = !fresh;
    c->answer.resp.resent = c->answer.resp.request_sent;
    c->answer.resp.request_sent = true;
    return CURL_PREREQFUNC_OK;
}

static curl_socket_t on_open_socket(void *userp, curlsocktype purpose, struct curl_sockaddr *addr)
{
    struct http_call *c = userp;

    (void)purpose;
    int fd = socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
    if (fd < 0)
        return CURL_SOCKET_BAD;
    if (http_loop_socket_add(c->loop, fd, c) < 0) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    return fd;
}

static int on_close_socket(void *userp, curl_socket_t fd)
{
    http_loop_socket_remove(userp, fd);
    return close(fd);
}

CURLcode http_call_set_callbacks(struct http_call *c, CURL *easy)
{
    CURLcode rc = CURLE_OK;

    HTTP_SET(OPENSOCKETFUNCTION, on_open_socket);
    HTTP_SET(OPENSOCKETDATA, c);
    HTTP_SET(CLOSESOCKETFUNCTION, on_close_socket);
    HTTP_SET(CLOSESOCKETDATA, c->loop); /* the connection outlives the call */
    HTTP_SET(PREREQFUNCTION, on_connected);
    HTTP_SET(PREREQDATA, c);
    HTTP_SET(READFUNCTION, on_read);
    HTTP_SET(READDATA, c);
    HTTP_SET(SEEKFUNCTION, on_seek);
    HTTP_SET(SEEKDATA, c);
    HTTP_SET(HEADERFUNCTION, on_header);
    HTTP_SET(HEADERDATA, c);
    HTTP_SET(WRITEFUNCTION, on_data);
    HTTP_SET(WRITEDATA, c);
    HTTP_SET(NOPROGRESS, 0L);
    HTTP_SET(XFERINFOFUNCTION, on_progress);
    HTTP_SET(XFERINFODATA, c);
    return rc;
}

/* Deadlines */

/* Bytes on the way that the peer has not acknowledged are progress as long as they get fewer: a
 * slow link can be busy for long with what the kernel has taken from us. Returns true while some
 * are. */
static bool watch_unacked(struct http_call *c, uint64_t now)
{
    int unacked;

    if (c->fd < 0 || c->body_len == 0 || ioctl(c->fd, SIOCOUTQ, &unacked) < 0)
        return false;
    if (unacked != c->unacked)
        c->active_ns = c->sent_ns = now;
    c->unacked = unacked;
    return unacked > 0;
}

/* Tells the owner of silence. Returns when to look again. */
static uint64_t watch_silence(struct http_call *c, uint64_t now)
{
    uint64_t span = c->req.quiet_ms * (uint64_t)NS_PER_MS;
    struct pollfd p = {.fd = c->fd, .events = POLLIN};

    if (!span || !c->req.quiet || c->parked)
        return UINT64_MAX;
    uint64_t at = MAX(c->active_ns, c->quiet_ns) + span;
    if (at > now)
        return at;
    c->quiet_ns = now;
    /* It is we who are late when bytes lie there to be read. */
    if (c->fd < 0 || poll(&p, 1, 0) == 0)
        c->req.quiet(c->ctx, c->phase == PHASE_RECEIVE);
    return now + span;
}

/* Returns when to look again. */
static uint64_t watch_wish(struct http_call *c, uint64_t now, bool *ret_over)
{
    const struct http_sink *sink = c->req.sink;

    if (!sink || !sink->unwanted)
        return UINT64_MAX;
    uint64_t at = MAX(c->active_ns, c->asked_ns) + HTTP_UNWANTED_MS * (uint64_t)NS_PER_MS;
    if (at > now)
        return at;
    c->asked_ns = now;
    if (sink->unwanted(sink->ctx)) {
        http_answer_fail(&c->answer, S3_ERROR_CANCELLED, "nobody waits for the answer any more");
        *ret_over = true;
    }
    return now + HTTP_UNWANTED_MS * (uint64_t)NS_PER_MS;
}

/* A refusal that arrived while the body was still on its way is the answer, whatever became of the
 * connection after it: servers then stop reading, or close it, on purpose. (libcurl stops sending
 * by itself when it sees such an answer.) */
static bool refused_while_sending(const struct http_call *c)
{
    return c->body_len > 0 && http_answer_refused(&c->answer);
}

static void time_out(struct http_call *c, const char *what, uint32_t ms)
{
    char where[HTTP_WHERE_MAX];

    if (refused_while_sending(c)) {
        c->answer.transport_cut = true;
        http_answer_end(&c->answer);
        return;
    }
    http_answer_fail(&c->answer, S3_ERROR_TIMEOUT, "%s %s within %u ms", what,
                     http_url_where(c->req.url, where, sizeof(where)), ms);
}

uint64_t http_call_check(struct http_call *c, uint64_t now, bool *ret_over)
{
    uint64_t next = UINT64_MAX;

    *ret_over = false;
    if (c->req.deadlines.total_ms) {
        next = c->submit_ns + c->req.deadlines.total_ms * (uint64_t)NS_PER_MS;
        if (next <= now) {
            time_out(c, "no complete answer from", c->req.deadlines.total_ms);
            *ret_over = true;
            return next;
        }
    }

    bool sending = c->phase == PHASE_SEND || c->phase == PHASE_WAIT;
    bool draining = sending && watch_unacked(c, now);
    struct limit limit = phase_limit(c);
    next = MIN(next, watch_silence(c, now));
    next = MIN(next, watch_wish(c, now, ret_over));
    if (*ret_over)
        return next;
    if (limit.ms == 0)
        return next;
    uint64_t span = limit.ms * (uint64_t)NS_PER_MS;
    if (limit.since + span <= now) {
        if (c->phase == PHASE_CONNECT && !c->parked)
            http_call_forget_addresses(c);
        time_out(c, limit.what, limit.ms);
        *ret_over = true;
        return next;
    }
    next = MIN(next, limit.since + span);
    if (sending && c->body_len > 0 && (draining || c->phase == PHASE_SEND))
        /* Looked at often enough to see the send queue move. */
        next = MIN(next, now + look_interval(&limit));
    return next;
}

/* Verdicts */

static void fail_lost(struct http_call *c, const char *doing, CURLcode code, const char *where)
{
    char reason[128];
    long err = 0;

    curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &err);
    http_answer_fail(&c->answer, S3_ERROR_CONNECT, "the connection to %s was lost while %s: %s",
                     where, doing,
                     err ? strerror_r((int)err, reason, sizeof(reason)) : curl_easy_strerror(code));
}

static void fail_connect(struct http_call *c, CURLcode code, const char *where)
{
    char reason[128];
    long err = 0;

    curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &err);
    http_answer_fail(&c->answer, S3_ERROR_CONNECT, "could not connect to %s: %s", where,
                     err ? strerror_r((int)err, reason, sizeof(reason)) : curl_easy_strerror(code));
}

/* A handshake that the network cut says nothing about certificates: it is worth a retry. */
static bool handshake_cut(const struct http_call *c)
{
    return strstr(c->curl_error, "SSL_ERROR_SYSCALL") || strstr(c->curl_error, "unexpected eof") ||
           strstr(c->curl_error, "reset by peer");
}

static void fail_by_code(struct http_call *c, CURLcode code)
{
    struct http_answer *a = &c->answer;
    const char *detail = c->curl_error[0] ? c->curl_error : curl_easy_strerror(code);
    char buf[HTTP_WHERE_MAX];
    const char *where = http_url_where(c->req.url, buf, sizeof(buf));

    /* Not -Wswitch-enum's business: libcurl has a hundred of them. */
    switch ((int)code) {
    case CURLE_COULDNT_RESOLVE_HOST:
        http_answer_fail(a, S3_ERROR_CONNECT, "could not resolve the host name of %s", where);
        break;
    case CURLE_COULDNT_RESOLVE_PROXY:
        http_answer_fail(a, S3_ERROR_CONNECT, "could not resolve the proxy's name on the way to %s",
                         where);
        break;
    case CURLE_COULDNT_CONNECT:
        fail_connect(c, code, where);
        break;
    case CURLE_OPERATION_TIMEDOUT:
        time_out(c, "no connection to", c->req.deadlines.connect_ms);
        break;
    case CURLE_GOT_NOTHING:
        http_answer_fail(a, S3_ERROR_CONNECT, "%s closed the connection without an answer", where);
        break;
    case CURLE_SEND_ERROR:
    case CURLE_SEND_FAIL_REWIND:
        fail_lost(c, "sending", code, where);
        break;
    case CURLE_RECV_ERROR:
        fail_lost(c, c->phase == PHASE_RECEIVE ? "receiving" : "waiting for an answer", code,
                  where);
        break;
    case CURLE_PARTIAL_FILE:
        http_answer_end(a); /* says how much is missing, where that is known */
        http_answer_fail(a, S3_ERROR_BAD_RESPONSE, "the answer from %s ended early", where);
        break;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED:
    case CURLE_SSL_CRL_BADFILE:
        http_answer_fail(a, handshake_cut(c) ? S3_ERROR_CONNECT : S3_ERROR_TLS,
                         "no TLS connection to %s: %s", where, detail);
        break;
    case CURLE_OUT_OF_MEMORY:
        http_answer_fail(a, S3_ERROR_OUT_OF_MEMORY, "out of memory for a request to %s", where);
        break;
    case CURLE_URL_MALFORMAT:
    case CURLE_LOGIN_DENIED: /* user info in the URL */
        http_answer_fail(a, S3_ERROR_INVALID, "the URL for %s cannot be used: %s", where, detail);
        break;
    case CURLE_UNSUPPORTED_PROTOCOL: /* a foreign scheme, or an answer without a status line */
        http_answer_fail(a, c->phase == PHASE_CONNECT ? S3_ERROR_INVALID : S3_ERROR_BAD_RESPONSE,
                         c->phase == PHASE_CONNECT ? "the URL for %s cannot be used: %s"
                                                   : "bad answer from %s: %s",
                         where, detail);
        break;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_WRITE_ERROR:
        http_answer_fail(a, S3_ERROR_BAD_RESPONSE, "bad answer from %s: %s", where, detail);
        break;
    default:
        http_answer_fail(a, S3_ERROR_CONNECT, "the request to %s failed: %s", where, detail);
        break;
    }
}

void http_call_judge(struct http_call *c, CURLcode code)
{
    struct http_answer *a = &c->answer;

    if (refused_while_sending(c) && (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR))
        a->transport_cut = true;
    if (code != CURLE_OK && c->phase == PHASE_CONNECT)
        http_call_forget_addresses(c);
    if (code == CURLE_OK || a->body_cut || a->transport_cut)
        http_answer_end(a);
    else
        fail_by_code(c, code);
}
