/* SPDX-License-Identifier: Apache-2.0 */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "control.h"
#include "request.h"
#include "route.h"
#include "send.h"

#define CONNECTION_MEMORY (256u << 10) /* headers, and the pieces bodies arrive in */
#define STACK_SIZE        (512u << 10)
#define DISCARD_MAX       (16u << 20) /* of a refused body that is still read, to keep the socket */
#define LISTEN_BACKLOG    1024
#define PORT_FIRST        10000u
#define PORTS             22000u /* to where those of connections begin */
#define PORT_TRIES        100u

int64_t s3d_now_ns(const struct s3d *s)
{
    return clock_realtime_ns(clock_system()) + s->config.clock_offset_ns;
}

int s3d_sleep_ms(const struct s3d *s, int fd, int64_t ms)
{
    struct pollfd p[2] = {{.fd = s->stop_fd, .events = POLLIN}, {.fd = fd, .events = POLLRDHUP}};
    uint64_t end = clock_monotonic_ns(clock_system()) + (uint64_t)MAX(ms, 0) * NS_PER_MS;

    for (;;) {
        uint64_t now = clock_monotonic_ns(clock_system());
        int wait = -1, n;

        if (ms >= 0) {
            if (now >= end)
                return 0;
            wait = (int)MIN((end - now + NS_PER_MS - 1) / NS_PER_MS, 1000000ull);
        }
        n = poll(p, fd >= 0 ? 2 : 1, wait);
        if (n > 0)
            return -ECANCELED;
        if (n < 0 && errno != EINTR)
            return -ECANCELED;
    }
}

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    static _Atomic uint64_t counter;
    struct s3d *s = cls;
    struct request *r = calloc(1, sizeof(*r));
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    if (!r)
        return NULL;
    r->s = s;
    r->mhd = mhd;
    r->conn = info ? info->socket_context : NULL;
    r->start_ns = clock_monotonic_ns(clock_system());
    r->now_ns = s3d_now_ns(s);
    r->uri = strdup(uri);
    strbuf_init(&r->reply.body, REPLY_BODY_MAX);
    snprintf(r->id, sizeof(r->id), "%08X%08X", (unsigned)(r->now_ns / NS_PER_S),
             (unsigned)atomic_fetch_add(&counter, 1));
    if (!r->uri || !r->conn) {
        request_free(r);
        return NULL;
    }
    return r;
}

/* Bucket names: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html */
static bool valid_bucket_name(const char *name)
{
    size_t len = strlen(name);
    struct in_addr ip;

    if (len < 3 || len > 63 || strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") != len)
        return false;
    if (strchr(".-", name[0]) || strchr(".-", name[len - 1]) || strstr(name, ".."))
        return false;
    return inet_pton(AF_INET, name, &ip) != 1;
}

static bool find_bucket(struct request *r)
{
    if (!r->bucket_name[0])
        return true;
    if (!valid_bucket_name(r->bucket_name)) {
        reply_error(r, ERR_INVALID_BUCKET_NAME);
        return false;
    }
    if (r->route->flags & ROUTE_NO_BUCKET)
        return true;
    r->bucket = store_find_bucket(&r->s->store, r->bucket_name);
    return true;
}

/* Faults that strike before the operation: an answer, a delay, silence. 0: go on, 1: the reply is
 * filled, -1: the connection is to be closed. */
static int fault_before(struct request *r)
{
    const struct fault *f = &r->fault;

    if (f->action == FAULT_DELAY)
        return s3d_sleep_ms(r->s, r->conn->fd, (int64_t)f->amount) < 0 ? -1 : 0;
    if (f->after)
        return 0;
    if (f->action == FAULT_STATUS) {
        reply_error_raw(r, f->status, f->code, "Injected by a fault rule.");
        return 1;
    }
    if (f->action == FAULT_HANG) {
        send_nothing(r);
        (void)s3d_sleep_ms(r->s, r->conn->fd, -1);
        return -1;
    }
    if (f->action == FAULT_RESET && !f->amount) {
        send_nothing(r);
        connection_reset(r->conn->fd);
        return -1;
    }
    if (f->action == FAULT_CUT && !f->amount) {
        send_nothing(r);
        return -1;
    }
    return 0;
}

/* Everything that can be said before the body: fills the reply when it is a refusal. -1: close. */
static int begin(struct request *r)
{
    int fault;

    request_parse(r);
    if (r->control) {
        r->body.kind = BODY_MEMORY;
        r->body.max = BODY_MEMORY_MAX;
        strbuf_init(&r->body.memory, BODY_MEMORY_MAX);
        return 0;
    }
    atomic_fetch_add(&r->s->stats.requests, 1);
    if (r->reply.status)
        return 0;
    r->route = route_find(r);
    if (!r->route)
        return 0;
    atomic_fetch_add(&r->s->stats.ops[route_index(r->route)], 1);
    r->fault = faults_match(r->s->faults, r->route->name, r->bucket_name, r->key, r->key_len);
    if (r->fault.action != FAULT_NONE) {
        atomic_fetch_add(&r->s->stats.faults, 1);
        fault = fault_before(r);
        if (fault)
            return MIN(fault, 0);
    }
    if (!find_bucket(r))
        return 0;
    if (!auth_check(r)) {
        atomic_fetch_add(&r->s->stats.auth_failures, 1);
        return 0;
    }
    if (!r->bucket && r->bucket_name[0] && !(r->route->flags & ROUTE_NO_BUCKET)) {
        reply_error(r, ERR_NO_SUCH_BUCKET);
        return 0;
    }
    if (!auth_check_region(r))
        return 0;
    if (r->route->begin) {
        (void)r->route->begin(r);
        return 0;
    }
    (void)body_begin(r, r->route->body, BODY_MEMORY_MAX, CHECKSUM_NONE);
    return 0;
}

/* Faults in the reception of an upload's body. -1: the connection is to be closed. */
static int fault_in_body(struct request *r)
{
    const struct fault *f = &r->fault;

    if (!r->route || r->route->body != BODY_BLOB || r->raw_in < f->amount)
        return 0;
    if (f->action != FAULT_STALL && f->action != FAULT_CUT && f->action != FAULT_RESET)
        return 0;
    send_nothing(r);
    if (f->action == FAULT_STALL)
        (void)s3d_sleep_ms(r->s, r->conn->fd, -1);
    if (f->action == FAULT_RESET)
        connection_reset(r->conn->fd);
    return -1;
}

static enum MHD_Result on_body(struct request *r, const char *data, size_t len)
{
    r->raw_in += len;
    if (!r->control)
        atomic_fetch_add(&r->s->stats.bytes_in, len);
    if (r->fault.action != FAULT_NONE && fault_in_body(r) < 0)
        return MHD_NO;
    connection_pace(r->s, r->conn, len);
    if (r->answered)
        return MHD_YES;
    /* A refusal in the middle waits for the end of the body: the client reads it then. */
    (void)body_data(r, data, len);
    return MHD_YES;
}

static void run(struct request *r)
{
    if (r->control) {
        control_run(r);
        return;
    }
    if (!r->route || !body_finish(r))
        return;
    r->route->run(r);
}

static enum MHD_Result finish(struct request *r)
{
    const struct fault *f = &r->fault;

    if (r->s->config.first_byte_ms && !r->control &&
        s3d_sleep_ms(r->s, r->conn->fd, r->s->config.first_byte_ms) < 0)
        return MHD_NO;
    if (!r->reply.status) {
        if (f->action == FAULT_200_ERROR && !f->after)
            reply_error_raw(r, 200, f->code, "Injected by a fault rule.");
        else
            run(r);
    }
    /* Before the answer, so that a client that has it finds a refused upload's file gone. */
    body_drop(r);
    if (f->after && f->action == FAULT_STATUS)
        reply_error_raw(r, f->status, f->code, "Injected by a fault rule.");
    if (f->after && f->action == FAULT_200_ERROR)
        reply_error_raw(r, 200, f->code, "Injected by a fault rule.");
    if (f->action == FAULT_LOST_ANSWER ||
        (f->after && !f->amount && (f->action == FAULT_RESET || f->action == FAULT_CUT))) {
        send_nothing(r);
        if (f->action != FAULT_CUT)
            connection_reset(r->conn->fd);
        return MHD_NO;
    }
    if (f->after && f->action == FAULT_HANG) {
        send_nothing(r);
        (void)s3d_sleep_ms(r->s, r->conn->fd, -1);
        return MHD_NO;
    }
    return send_reply(r);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_len, void **con_cls)
{
    struct request *r = *con_cls;

    (void)cls;
    (void)mhd;
    (void)url;
    (void)version;
    if (!r)
        return MHD_NO;
    if (!r->begun) {
        bool has_body;

        r->begun = true;
        r->method = method;
        if (begin(r) < 0)
            return MHD_NO;
        has_body = r->chunked || (r->has_length && r->content_length);
        /* A refusal goes out before the body when the client waits for a word, or when the body
         * is not worth reading; MHD closes the connection then. */
        if (r->reply.status && has_body &&
            (r->expects_continue || r->chunked || r->content_length > DISCARD_MAX))
            return finish(r);
        return MHD_YES;
    }
    if (*data_len) {
        size_t len = *data_len;

        *data_len = 0;
        return on_body(r, data, len);
    }
    return r->answered ? MHD_YES : finish(r);
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
                         enum MHD_RequestTerminationCode how)
{
    struct request *r = *con_cls;

    (void)cls;
    (void)mhd;
    (void)how;
    *con_cls = NULL;
    request_free(r);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **ctx,
                          enum MHD_ConnectionNotificationCode what)
{
    struct s3d *s = cls;
    struct stats *st = &s->stats;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        struct connection *c = calloc(1, sizeof(*c));
        uint64_t open = atomic_fetch_add(&st->open_connections, 1) + 1, max;

        if (c) {
            c->number = atomic_fetch_add(&st->connections, 1) + 1;
            c->fd = info ? info->connect_fd : -1;
        }
        max = atomic_load(&st->max_connections);
        while (open > max && !atomic_compare_exchange_weak(&st->max_connections, &max, open))
            ;
        *ctx = c;
    } else {
        atomic_fetch_sub(&st->open_connections, 1);
        free(*ctx);
        *ctx = NULL;
    }
}

/* MHD would decode the path in place; s3d does it itself. */
static size_t no_unescape(void *cls, struct MHD_Connection *mhd, char *s)
{
    (void)cls;
    (void)mhd;
    return strlen(s);
}

static char *read_file(const char *path)
{
    struct strbuf sb = STRBUF_INIT(1u << 20);
    CLEANUP_FILE FILE *f = fopen(path, "re");
    char piece[4096];
    char *all;
    size_t n;

    if (!f) {
        log_error("'%s': %s", path, strerror(errno));
        return NULL;
    }
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        strbuf_append(&sb, piece, n);
    all = strbuf_take(&sb);
    strbuf_done(&sb);
    return all;
}

static int fill_address(const struct s3d_config *cf, struct sockaddr_storage *ret)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;

    memset(ret, 0, sizeof(*ret));
    if (inet_pton(AF_INET, cf->bind, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)cf->port);
        return 0;
    }
    if (inet_pton(AF_INET6, cf->bind, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)cf->port);
        return 0;
    }
    log_error("--bind '%s' is not an IP address", cf->bind);
    return -EINVAL;
}

static void on_mhd_log(void *cls, const char *fmt, va_list ap)
{
    char line[512];

    (void)cls;
    vsnprintf(line, sizeof(line), fmt, ap);
    line[strcspn(line, "\n")] = '\0';
    log_debug("libmicrohttpd: %s", line);
}

static bool is_port(struct sockaddr_storage *address, int fd, unsigned port)
{
    /* The port is at the same place in both. */
    ((struct sockaddr_in *)address)->sin_port = htons((uint16_t)port);
    return bind(fd, (struct sockaddr *)address, sizeof(*address)) == 0;
}

/* "Any" port is one that the kernel gives to nobody's connection: who starts the server anew on the
 * same port finds it free, and who looks for the server in between does not find itself, which
 * happens to a connection that is given the very port that it goes to. */
static void choose_port(const struct s3d_config *cf, struct sockaddr_storage *address)
{
    if (cf->port)
        return;
    for (unsigned tries = 0; tries < PORT_TRIES; tries++) {
        uint16_t noise = 0;
        int fd = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        bool good = fd >= 0 && getrandom(&noise, sizeof(noise), 0) == (ssize_t)sizeof(noise) &&
                    is_port(address, fd, PORT_FIRST + noise % PORTS);
        if (fd >= 0)
            close(fd);
        if (good)
            return;
    }
    ((struct sockaddr_in *)address)->sin_port = 0;
}

struct MHD_Daemon *server_start(struct s3d *s, unsigned *ret_port)
{
    const struct s3d_config *cf = &s->config;
    CLEANUP_FREE char *cert = NULL;
    CLEANUP_FREE char *key = NULL;
    struct sockaddr_storage address;
    struct MHD_OptionItem extra[4] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD |
                     MHD_USE_POLL | MHD_USE_SUPPRESS_DATE_NO_CLOCK | MHD_USE_ERROR_LOG;
    const union MHD_DaemonInfo *info;
    struct MHD_Daemon *d;

    if (fill_address(cf, &address) < 0)
        return NULL;
    choose_port(cf, &address);
    if (address.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    if (cf->tls_cert) {
        cert = read_file(cf->tls_cert);
        key = read_file(cf->tls_key);
        if (!cert || !key)
            return NULL;
        flags |= MHD_USE_TLS;
        extra[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, cert};
        extra[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, key};
        extra[2] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    }
    d = MHD_start_daemon(
        flags, (uint16_t)cf->port, NULL, NULL, on_request, s, MHD_OPTION_EXTERNAL_LOGGER,
        on_mhd_log, s, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&address,
        MHD_OPTION_URI_LOG_CALLBACK, on_uri, s, MHD_OPTION_UNESCAPE_CALLBACK, no_unescape, s,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        s, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_LIMIT, cf->threads, MHD_OPTION_CONNECTION_TIMEOUT, cf->idle_timeout,
        MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_SIZE, MHD_OPTION_LISTEN_BACKLOG_SIZE,
        LISTEN_BACKLOG, MHD_OPTION_ARRAY, extra, MHD_OPTION_END);
    if (!d) {
        log_error("cannot serve on %s port %u: %s", cf->bind, cf->port, strerror(errno));
        return NULL;
    }
    info = MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT);
    *ret_port = info ? info->port : cf->port;
    return d;
}
