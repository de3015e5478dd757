/* SPDX-License-Identifier: Apache-2.0 */
/* distance: a TCP proxy that makes a server far away, and serves it over TLS where it is told to.
 *
 * Every byte is held for the one-way delay in each direction, and the first ones of a connection
 * for a round trip more, which is what a handshake costs. A cap, for each connection and direction,
 * is a serial link: a piece begins when it is due and the one before it is through. One thread: a
 * connection is two lanes, a lane a queue of pieces with the moment at which each may leave; the
 * loop sleeps until the first of them. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
    "Usage: distance [-d MS] [-r BYTES] [-c CERT -k KEY] [-p PORT-FILE] [-o FILE] HOST:PORT\n"
    "Listens on a free port of 127.0.0.1 for a server (numeric IPv4 address).\n"
    "  -d MS          one-way delay, may be fractional\n"
    "  -r BYTES       a second, for each connection and direction\n"
    "  -c, -k FILES   serve TLS with these, plain towards the server\n"
    "  -o FILE        counters, written at SIGUSR1 and at the end\n";

#define PIECE_BYTES (64u << 10)
#define LANE_BYTES  (4u << 20) /* held at most, and what the cap moves in one delay */
#define NEVER       UINT64_MAX

struct piece {
    struct piece *next;
    uint64_t due;
    size_t len, sent;
    uint8_t data[];
};

struct end { /* of a connection: the client's or the server's socket */
    int fd;
    SSL *ssl; /* of the client, with -c */
    bool readable, writable, eof, shut;
    struct conn *conn;
};

struct lane { /* from ends[i] to ends[!i] */
    struct piece *first, **last;
    size_t bytes;
    uint64_t free_at; /* the link is through with what was sent */
    bool over;        /* nothing more will come */
};

struct conn {
    struct conn *next, *prev;
    struct end ends[2];
    struct lane lanes[2];
    uint64_t hold_until; /* of the client's first bytes */
    bool connected, counted, failed;
};

static struct conn *conns, *graves;
static int ep, listener;
static uint64_t delay_ns, bytes_per_s, lane_max = LANE_BYTES;
static SSL_CTX *tls;
static struct sockaddr_in target;
static const char *counters_path;
static uint64_t n_connections, n_open, n_max, n_handshakes, n_resumed;
static volatile sig_atomic_t want_end, want_counters;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void on_signal(int sig)
{
    if (sig == SIGUSR1)
        want_counters = 1;
    else
        want_end = 1;
}

static void write_counters(void)
{
    char tmp[4096];
    FILE *f;
    want_counters = 0;
    if (!counters_path)
        return;
    snprintf(tmp, sizeof(tmp), "%s.new", counters_path);
    f = fopen(tmp, "we");
    if (!f)
        return;
    fprintf(f, "proxy_connections %" PRIu64 "\nproxy_open %" PRIu64 "\nproxy_max %" PRIu64 "\n",
            n_connections, n_open, n_max);
    if (tls)
        fprintf(f, "handshakes %" PRIu64 "\nresumed %" PRIu64 "\n", n_handshakes, n_resumed);
    if (fclose(f) == 0)
        (void)rename(tmp, counters_path);
}

/* ---- reading and writing, with and without TLS; -1 and EAGAIN: later ---- */

static ssize_t end_result(struct end *e, int n)
{
    if (n > 0)
        return n;
    switch (SSL_get_error(e->ssl, n)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        errno = EAGAIN;
        return -1;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    default:
        ERR_clear_error();
        errno = ECONNRESET;
        return -1;
    }
}

static ssize_t end_read(struct end *e, void *to, size_t len)
{
    if (!e->ssl)
        return read(e->fd, to, len);
    ssize_t n = end_result(e, SSL_read(e->ssl, to, (int)len));
    if (!e->conn->counted && SSL_is_init_finished(e->ssl)) {
        e->conn->counted = true;
        n_handshakes++;
        n_resumed += SSL_session_reused(e->ssl) == 1;
    }
    return n;
}

static ssize_t end_write(struct end *e, const void *from, size_t len)
{
    if (!e->ssl)
        return write(e->fd, from, len);
    return end_result(e, SSL_write(e->ssl, from, (int)len));
}

/* ---- lanes ---- */

static void lane_put(struct lane *l, struct piece *p)
{
    p->next = NULL;
    *l->last = p;
    l->last = &p->next;
    l->bytes += p->len;
}

static void lane_drop_first(struct lane *l)
{
    struct piece *p = l->first;
    l->first = p->next;
    if (!l->first)
        l->last = &l->first;
    l->bytes -= p->len;
    free(p);
}

/* Takes what there is, up to what a lane holds. */
static void take(struct conn *c, int i, uint64_t now)
{
    struct end *e = &c->ends[i];
    struct lane *l = &c->lanes[i];
    while (e->readable && !e->eof && l->bytes < lane_max) {
        struct piece *p = malloc(sizeof(*p) + PIECE_BYTES);
        ssize_t n = p ? end_read(e, p->data, PIECE_BYTES) : 0;
        if (!p)
            errno = ENOMEM;
        if (n > 0) {
            p->len = (size_t)n;
            p->sent = 0;
            p->due = now + delay_ns;
            if (i == 0 && p->due < c->hold_until)
                p->due = c->hold_until;
            lane_put(l, p);
            continue;
        }
        free(p);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            e->readable = false;
            return;
        }
        if (n < 0)
            c->failed = true;
        e->eof = l->over = true;
    }
}

/* Gives what is due; when the next is, or NEVER. */
static uint64_t give(struct conn *c, int i, uint64_t now)
{
    struct end *e = &c->ends[!i];
    struct lane *l = &c->lanes[i];
    struct piece *p;
    while ((p = l->first) != NULL && c->connected && e->writable) {
        uint64_t due = p->due > l->free_at ? p->due : l->free_at;
        if (due > now)
            return due;
        ssize_t n = end_write(e, p->data + p->sent, p->len - p->sent);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            e->writable = false;
            return NEVER;
        }
        if (n <= 0) {
            c->failed = true;
            return NEVER;
        }
        p->sent += (size_t)n;
        if (bytes_per_s) { /* no credit for the time in which nothing was due */
            uint64_t start = l->free_at > p->due ? l->free_at : p->due;
            if (start + 20000000 < now) /* a late wake-up is made up for, a slow reader is not */
                start = now - 20000000;
            l->free_at = start + (uint64_t)n * 1000000000u / bytes_per_s;
        }
        if (p->sent == p->len)
            lane_drop_first(l);
    }
    if (!l->first && l->over && !e->shut && c->connected) {
        e->shut = true;
        if (e->ssl)
            (void)SSL_shutdown(e->ssl);
        (void)shutdown(e->fd, SHUT_WR);
    }
    return NEVER;
}

/* ---- connections ---- */

static void conn_free(struct conn *c)
{
    if (c->prev)
        c->prev->next = c->next;
    else
        conns = c->next;
    if (c->next)
        c->next->prev = c->prev;
    for (int i = 0; i < 2; i++) {
        while (c->lanes[i].first)
            lane_drop_first(&c->lanes[i]);
        SSL_free(c->ends[i].ssl);
        if (c->ends[i].fd >= 0)
            close(c->ends[i].fd);
    }
    n_open--;
    c->next = graves; /* events of this batch may still name it */
    graves = c;
}

static bool watch(struct end *e)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = e};
    int one = 1;
    (void)setsockopt(e->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return epoll_ctl(ep, EPOLL_CTL_ADD, e->fd, &ev) == 0;
}

static void conn_new(int fd)
{
    struct conn *c = calloc(1, sizeof(*c));
    if (!c) {
        close(fd);
        return;
    }
    for (int i = 0; i < 2; i++) {
        c->ends[i].conn = c;
        c->ends[i].fd = -1;
        c->lanes[i].last = &c->lanes[i].first;
    }
    c->next = conns;
    if (conns)
        conns->prev = c;
    conns = c;
    n_connections++;
    if (++n_open > n_max)
        n_max = n_open;
    c->hold_until = now_ns() + (tls ? 5 : 3) * delay_ns;
    c->ends[0].fd = fd;
    c->ends[1].fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (tls && (c->ends[0].ssl = SSL_new(tls)) != NULL) {
        SSL_set_fd(c->ends[0].ssl, fd);
        SSL_set_accept_state(c->ends[0].ssl);
    }
    if (c->ends[1].fd < 0 || (tls && !c->ends[0].ssl) ||
        (connect(c->ends[1].fd, (struct sockaddr *)&target, sizeof(target)) != 0 &&
         errno != EINPROGRESS) ||
        !watch(&c->ends[0]) || !watch(&c->ends[1]))
        conn_free(c);
}

static void accept_all(void)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        conn_new(fd);
}

static void happened(struct end *e, uint32_t events)
{
    struct conn *c = e->conn;
    if (e->fd < 0)
        return;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        e->readable = true;
    if (events & EPOLLOUT) {
        e->writable = true;
        if (e == &c->ends[1])
            c->connected = true;
    }
    if (e->ssl) /* a handshake waits for either */
        e->readable = true;
    if ((events & EPOLLERR) && !c->connected)
        c->failed = true;
}

/* All that can be done now; when to look again. */
static uint64_t turn(void)
{
    uint64_t next = NEVER, now = now_ns();
    struct conn *following;
    for (struct conn *c = conns; c; c = following) {
        following = c->next;
        for (int i = 0; i < 2 && !c->failed; i++) {
            uint64_t due;
            take(c, i, now);
            due = give(c, i, now);
            if (due < next)
                next = due;
            if (c->ends[i].readable && !c->ends[i].eof && c->lanes[i].bytes < lane_max)
                next = now; /* there is room again for what is there */
        }
        if (c->failed || (c->ends[0].shut && c->ends[1].shut))
            conn_free(c);
    }
    return next;
}

static void loop(const sigset_t *open_mask)
{
    struct epoll_event events[256];
    uint64_t next = NEVER;
    while (!want_end) {
        struct timespec wait;
        uint64_t now = now_ns(), ns = next == NEVER ? 0 : next > now ? next - now : 0;
        wait.tv_sec = (time_t)(ns / 1000000000u);
        wait.tv_nsec = (long)(ns % 1000000000u);
        int n = epoll_pwait2(ep, events, 256, next == NEVER ? NULL : &wait, open_mask);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr)
                happened(events[i].data.ptr, events[i].events);
            else
                accept_all();
        }
        next = turn();
        while (graves) {
            struct conn *c = graves;
            graves = c->next;
            free(c);
        }
        if (want_counters)
            write_counters();
    }
}

static bool take_target(char *text)
{
    char *colon = strrchr(text, ':'), *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : 0;
    if (!colon || port < 1 || port > 65535 || *end)
        return false;
    *colon = '\0';
    target.sin_family = AF_INET;
    target.sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, strcmp(text, "localhost") ? text : "127.0.0.1", &target.sin_addr) ==
           1;
}

static bool start_tls(const char *cert, const char *key)
{
    tls = SSL_CTX_new(TLS_server_method());
    if (!tls || SSL_CTX_use_certificate_chain_file(tls, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
        return false;
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return SSL_CTX_set_session_id_context(tls, (const unsigned char *)"bench", 5) == 1;
}

static bool start_listening(const char *port_file)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    socklen_t len = sizeof(at);
    char tmp[4096];
    FILE *f = stdout;
    ep = epoll_create1(EPOLL_CLOEXEC);
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (ep < 0 || listener < 0 || bind(listener, (struct sockaddr *)&at, len) ||
        listen(listener, 4096) || getsockname(listener, (struct sockaddr *)&at, &len) ||
        epoll_ctl(ep, EPOLL_CTL_ADD, listener, &ev))
        return false;
    if (!port_file)
        return fprintf(f, "%u\n", ntohs(at.sin_port)) > 0 && fflush(f) == 0;
    snprintf(tmp, sizeof(tmp), "%s.new", port_file);
    f = fopen(tmp, "we");
    if (!f)
        return false;
    fprintf(f, "%u\n", ntohs(at.sin_port));
    return fclose(f) == 0 && rename(tmp, port_file) == 0;
}

int main(int argc, char **argv)
{
    const char *cert = NULL, *key = NULL, *port_file = NULL;
    struct sigaction sa = {.sa_handler = on_signal};
    struct rlimit files;
    sigset_t mask, before;
    int c;
    while ((c = getopt(argc, argv, "d:r:c:k:p:o:")) != -1) {
        if (c == 'd')
            delay_ns = (uint64_t)(strtod(optarg, NULL) * 1e6);
        else if (c == 'r')
            bytes_per_s = strtoull(optarg, NULL, 10);
        else if (c == 'c')
            cert = optarg;
        else if (c == 'k')
            key = optarg;
        else if (c == 'p')
            port_file = optarg;
        else if (c == 'o')
            counters_path = optarg;
        else
            optind = argc + 1;
    }
    if (optind != argc - 1 || !take_target(argv[optind])) {
        fputs(usage, stderr);
        return 2;
    }
    /* A capped link does not read far ahead of what it has passed. */
    if (bytes_per_s)
        lane_max = 256u * 1024u + bytes_per_s * delay_ns / 1000000000u;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&mask);
    for (size_t i = 0; i < 3; i++) { /* delivered only while it waits */
        const int sigs[3] = {SIGUSR1, SIGTERM, SIGINT};
        sigaddset(&mask, sigs[i]);
        sigaction(sigs[i], &sa, NULL);
    }
    sigprocmask(SIG_BLOCK, &mask, &before);
    if ((cert && !start_tls(cert, key ? key : cert)) || !start_listening(port_file)) {
        fprintf(stderr, "distance: cannot start: %s\n", strerror(errno));
        return 1;
    }
    loop(&before);
    write_counters();
    return 0;
}
