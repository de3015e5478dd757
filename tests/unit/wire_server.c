/* SPDX-License-Identifier: Apache-2.0 */
#include "wire_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define DEADLINE_S      60
#define CONNECTIONS_MAX 1024

struct slot {
    pthread_t thread;
    struct wire_conn conn;
    bool open; /* protected by the server's lock */
};

struct wire_server {
    wire_script script;
    void *ctx;
    int listen_fd;
    unsigned port;
    pthread_t acceptor;

    pthread_mutex_t lock;
    struct slot *slots[CONNECTIONS_MAX]; /* protected by lock */
    unsigned n_slots;                    /* protected by lock */
};

static void die(const char *what)
{
    fprintf(stderr, "wire_server: %s: %s\n", what, strerror(errno));
    abort();
}

static void close_slot(struct slot *s)
{
    struct wire_server *server = s->conn.server;

    pthread_mutex_lock(&server->lock);
    if (s->open)
        close(s->conn.fd);
    s->open = false;
    pthread_mutex_unlock(&server->lock);
}

static void *run_connection(void *arg)
{
    struct slot *s = arg;

    s->conn.server->script(&s->conn, s->conn.server->ctx);
    close_slot(s);
    return NULL;
}

static void *run_acceptor(void *arg)
{
    struct wire_server *server = arg;

    for (;;) {
        int fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            return NULL; /* shut down */
        }
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        struct slot *s = calloc(1, sizeof(*s));
        if (!s)
            die("calloc");
        s->conn.fd = fd;
        s->conn.server = server;
        s->open = true;
        pthread_mutex_lock(&server->lock);
        if (server->n_slots == CONNECTIONS_MAX)
            die("too many connections");
        s->conn.number = server->n_slots;
        server->slots[server->n_slots++] = s;
        pthread_mutex_unlock(&server->lock);
        if (pthread_create(&s->thread, NULL, run_connection, s) != 0)
            die("pthread_create");
    }
}

struct wire_server *wire_server_new(wire_script script, void *ctx)
{
    struct wire_server *s = calloc(1, sizeof(*s));
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_ANY)};
    socklen_t len = sizeof(sa);

    if (!s)
        die("calloc");
    s->script = script;
    s->ctx = ctx;
    pthread_mutex_init(&s->lock, NULL);
    s->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->listen_fd < 0 || bind(s->listen_fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
        listen(s->listen_fd, 512) < 0 ||
        getsockname(s->listen_fd, (struct sockaddr *)&sa, &len) < 0)
        die("listen");
    s->port = ntohs(sa.sin_port);
    if (pthread_create(&s->acceptor, NULL, run_acceptor, s) != 0)
        die("pthread_create");
    return s;
}

void wire_server_free(struct wire_server *s)
{
    shutdown(s->listen_fd, SHUT_RDWR);
    pthread_join(s->acceptor, NULL);
    close(s->listen_fd);
    pthread_mutex_lock(&s->lock);
    for (unsigned i = 0; i < s->n_slots; i++)
        if (s->slots[i]->open)
            shutdown(s->slots[i]->conn.fd, SHUT_RDWR);
    pthread_mutex_unlock(&s->lock);
    for (unsigned i = 0; i < s->n_slots; i++) {
        pthread_join(s->slots[i]->thread, NULL);
        free(s->slots[i]);
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}

unsigned wire_server_port(const struct wire_server *s)
{
    return s->port;
}

unsigned wire_server_accepted(struct wire_server *s)
{
    pthread_mutex_lock(&s->lock);
    unsigned n = s->n_slots;
    pthread_mutex_unlock(&s->lock);
    return n;
}

static ssize_t fill(struct wire_conn *c)
{
    ssize_t n;

    do
        n = recv(c->fd, c->buf + c->have, sizeof(c->buf) - c->have, 0);
    while (n < 0 && errno == EINTR);
    if (n > 0)
        c->have += (size_t)n;
    return n;
}

static void use(struct wire_conn *c, size_t n)
{
    memmove(c->buf, c->buf + n, c->have - n);
    c->have -= n;
}

bool wire_read_head(struct wire_conn *c, struct wire_request *ret)
{
    char *end, value[32];

    while (!(end = memmem(c->buf, c->have, "\r\n\r\n", 4)))
        if (c->have == sizeof(c->buf) || fill(c) <= 0)
            return false;
    size_t len = (size_t)(end - c->buf) + 2;
    if (len >= sizeof(ret->head))
        die("request head too long");
    memcpy(ret->head, c->buf, len);
    ret->head[len] = '\0';
    use(c, len + 2);
    if (sscanf(ret->head, "%15s %4095s", ret->method, ret->target) != 2)
        die("request line");
    wire_header(ret, "Content-Length", value, sizeof(value));
    ret->has_length = value[0] != '\0';
    ret->length = strtoull(value, NULL, 10);
    return true;
}

uint64_t wire_read_body(struct wire_conn *c, uint64_t n)
{
    uint64_t sum = 0;

    while (n > 0) {
        if (c->have == 0 && fill(c) <= 0)
            return UINT64_MAX;
        size_t part = c->have < n ? c->have : (size_t)n;
        for (size_t i = 0; i < part; i++)
            sum = sum * 31 + (unsigned char)c->buf[i];
        use(c, part);
        n -= part;
    }
    return sum;
}

const char *wire_header(const struct wire_request *r, const char *name, char *buf, size_t size)
{
    size_t name_len = strlen(name);

    buf[0] = '\0';
    for (const char *p = strstr(r->head, "\r\n"); p && p[2]; p = strstr(p + 2, "\r\n")) {
        const char *line = p + 2;
        if (strncasecmp(line, name, name_len) == 0 && line[name_len] == ':') {
            const char *v = line + name_len + 1;
            v += strspn(v, " ");
            snprintf(buf, size, "%.*s", (int)strcspn(v, "\r"), v);
            break;
        }
    }
    return buf;
}

void wire_send_bytes(struct wire_conn *c, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = send(c->fd, p, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return; /* the peer has gone: the test sees what it made of it */
        p += n;
        len -= (size_t)n;
    }
}

void wire_send(struct wire_conn *c, const char *text)
{
    wire_send_bytes(c, text, strlen(text));
}

void wire_wait_closed(struct wire_conn *c)
{
    do
        c->have = 0;
    while (fill(c) > 0);
}

void wire_reset(struct wire_conn *c)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    /* The close at the end of the script does the rest. */
}

void gate_raise(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->count++;
    pthread_cond_broadcast(&g->cond);
    pthread_mutex_unlock(&g->lock);
}

void gate_wait(struct gate *g, unsigned n)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += DEADLINE_S;
    pthread_mutex_lock(&g->lock);
    while (g->count < n)
        if (pthread_cond_timedwait(&g->cond, &g->lock, &until) == ETIMEDOUT) {
            errno = ETIMEDOUT;
            die("gate_wait");
        }
    pthread_mutex_unlock(&g->lock);
}

unsigned gate_count(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    unsigned n = g->count;
    pthread_mutex_unlock(&g->lock);
    return n;
}

void gate_reset(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->count = 0;
    pthread_mutex_unlock(&g->lock);
}
