/* SPDX-License-Identifier: Apache-2.0 */
/* What the HTTP transport costs: ranges read in parallel, small GETs, uploads, each over loopback
 * against a server process that only moves bytes (sendfile, recv), and beside it the same ranges
 * read by plain recv(2). CPU is that of this process alone, in seconds per GiB or microseconds per
 * request.
 *
 *     http_bench [GiB] [range MiB] [in flight] [I/O threads]          defaults: 2 8 4 1 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/attr.h"
#include "http/http_curl.h"

#define FILE_SIZE (256 * MIB) /* offsets wrap round in it */

static unsigned port;

/* The server */

static int file_fd;

static void send_all(int fd, const char *s, size_t n)
{
    while (n > 0) {
        ssize_t w = send(fd, s, n, MSG_NOSIGNAL | MSG_MORE);
        if (w <= 0)
            return;
        s += w;
        n -= (size_t)w;
    }
}

static void serve_range(int fd, uint64_t from, uint64_t to)
{
    char head[128];
    uint64_t left = to - from + 1;
    off_t at = (off_t)(from % FILE_SIZE);

    int n = snprintf(head, sizeof(head), "HTTP/1.1 206 Partial\r\nContent-Length: %llu\r\n\r\n",
                     (unsigned long long)left);
    send_all(fd, head, (size_t)n);
    while (left > 0) {
        ssize_t w = sendfile(fd, file_fd, &at, MIN(left, FILE_SIZE - (uint64_t)at));
        if (w <= 0)
            return;
        left -= (uint64_t)w;
        if ((uint64_t)at == FILE_SIZE)
            at = 0;
    }
}

static void *serve_connection(void *arg)
{
    static _Thread_local char buf[1 << 20];
    int fd = (int)(intptr_t)arg, one = 1;
    size_t have = 0;
    static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    for (;;) {
        char *end;
        while (!(end = memmem(buf, have, "\r\n\r\n", 4))) {
            ssize_t n = recv(fd, buf + have, sizeof(buf) - 1 - have, 0);
            if (n <= 0)
                goto out;
            have += (size_t)n;
        }
        *end = '\0';
        size_t head = (size_t)(end + 4 - buf);
        unsigned long long from = 0, to = 0, length = 0;
        const char *p = strstr(buf, "Range: bytes=");
        if (p)
            sscanf(p, "Range: bytes=%llu-%llu", &from, &to);
        if ((p = strstr(buf, "Content-Length: ")))
            sscanf(p, "Content-Length: %llu", &length);
        memmove(buf, buf + head, have - head);
        have -= head;
        while (length > 0) {
            size_t part = MIN(have, (size_t)length);
            length -= part;
            memmove(buf, buf + part, have - part);
            have -= part;
            if (length == 0)
                break;
            ssize_t n = recv(fd, buf, sizeof(buf) - 1, 0);
            if (n <= 0)
                goto out;
            have = (size_t)n;
        }
        if (to > 0)
            serve_range(fd, from, to);
        else
            send(fd, ok, sizeof(ok) - 1, MSG_NOSIGNAL);
    }
out:
    close(fd);
    return NULL;
}

static pid_t start_server(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 256) < 0 ||
        getsockname(fd, (struct sockaddr *)&sa, &len) < 0) {
        perror("listen");
        exit(1);
    }
    port = ntohs(sa.sin_port);
    pid_t pid = fork();
    if (pid != 0) {
        close(fd);
        return pid;
    }
    file_fd = memfd_create("bench", MFD_CLOEXEC);
    static char zeros[1 << 20];
    for (uint64_t i = 0; i < FILE_SIZE / sizeof(zeros); i++)
        if (write(file_fd, zeros, sizeof(zeros)) < 0)
            _exit(1);
    for (;;) {
        pthread_t t;
        int c = accept(fd, NULL, NULL);
        if (c < 0 || pthread_create(&t, NULL, serve_connection, (void *)(intptr_t)c) != 0)
            _exit(1);
        pthread_detach(t);
    }
}

/* Figures */

struct mark {
    double wall, cpu;
};

static struct mark mark(void)
{
    struct timespec ts;
    struct rusage ru;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    getrusage(RUSAGE_SELF, &ru);
    return (struct mark){(double)ts.tv_sec + (double)ts.tv_nsec / 1e9,
                         (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
                             (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6};
}

static void report_bytes(const char *what, struct mark from, uint64_t bytes)
{
    struct mark to = mark();
    double gib = (double)bytes / (double)GIB;
    printf("%-34s %6.2f GB/s  %5.2f cpu-s/GiB\n", what, (double)bytes / 1e9 / (to.wall - from.wall),
           (to.cpu - from.cpu) / gib);
}

static void report_requests(const char *what, struct mark from, unsigned n)
{
    struct mark to = mark();
    printf("%-34s %6.0f req/s  %5.1f us cpu each\n", what, n / (to.wall - from.wall),
           (to.cpu - from.cpu) / n * 1e6);
}

/* The transport: a fixed number of requests in flight, each done submits the next. */

struct job {
    struct http_transport *t;
    enum http_method method;
    uint64_t range; /* 0 = no body */
    const struct iovec *body;
    int n_body;
    atomic_uint left, running;
    atomic_ullong next_offset, bytes;
    pthread_mutex_t lock;
    pthread_cond_t cond;
};

struct lane {
    struct job *job;
    char url[64], range[64];
    struct http_header header;
    struct http_sink sink;
};

static int discard(void *ctx, const void *data, size_t len)
{
    (void)data;
    atomic_fetch_add_explicit(&((struct lane *)ctx)->job->bytes, len, memory_order_relaxed);
    return 0;
}

static void lane_next(void *ctx, struct http_response *resp);

static void lane_submit(struct lane *lane)
{
    struct job *j = lane->job;
    struct http_request req = {
        .method = j->method, .url = lane->url, .deadlines = {5000, 30000, 30000, 0}};

    if (j->range) {
        uint64_t at = atomic_fetch_add(&j->next_offset, j->range);
        snprintf(lane->range, sizeof(lane->range), "bytes=%llu-%llu", (unsigned long long)at,
                 (unsigned long long)(at + j->range - 1));
        req.headers = &lane->header;
        req.n_headers = 1;
        req.sink = &lane->sink;
    }
    req.body = j->body;
    req.n_body = j->n_body;
    if (http_submit(j->t, &req, lane_next, lane, NULL) < 0)
        abort();
}

static void lane_next(void *ctx, struct http_response *resp)
{
    struct lane *lane = ctx;
    struct job *j = lane->job;

    if (resp && resp->status / 100 != 2) {
        fprintf(stderr, "%s\n", resp->message);
        exit(1);
    }
    unsigned left = atomic_load(&j->left);
    while (left > 0)
        if (atomic_compare_exchange_weak(&j->left, &left, left - 1)) {
            lane_submit(lane);
            return;
        }
    pthread_mutex_lock(&j->lock);
    if (atomic_fetch_sub(&j->running, 1) == 1)
        pthread_cond_signal(&j->cond);
    pthread_mutex_unlock(&j->lock);
}

static void run_job(struct job *j, unsigned in_flight)
{
    struct lane *lanes = calloc(in_flight, sizeof(*lanes));

    pthread_mutex_init(&j->lock, NULL);
    pthread_cond_init(&j->cond, NULL);
    j->running = in_flight;
    for (unsigned i = 0; i < in_flight; i++) {
        lanes[i].job = j;
        lanes[i].header = (struct http_header){"Range", lanes[i].range};
        lanes[i].sink = (struct http_sink){.write = discard, .ctx = &lanes[i]};
        snprintf(lanes[i].url, sizeof(lanes[i].url), "http://127.0.0.1:%u/bench", port);
        lane_next(&lanes[i], NULL);
    }
    pthread_mutex_lock(&j->lock);
    while (j->running > 0)
        pthread_cond_wait(&j->cond, &j->lock);
    pthread_mutex_unlock(&j->lock);
    free(lanes);
}

/* The floor: blocking sockets, one thread each, 256 KiB reads. */

struct raw {
    uint64_t range;
    unsigned count;
};

static void *raw_reader(void *arg)
{
    struct raw *r = arg;
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char *buf = malloc(256 * KIB), req[256];

    if (fd < 0 || !buf || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
        exit(1);
    for (unsigned i = 0; i < r->count; i++) {
        int n = snprintf(req, sizeof(req), "GET / HTTP/1.1\r\nRange: bytes=0-%llu\r\n\r\n",
                         (unsigned long long)(r->range - 1));
        send(fd, req, (size_t)n, 0);
        uint64_t got = 0, want = UINT64_MAX;
        while (got < want) {
            ssize_t k = recv(fd, buf, 256 * KIB, 0);
            if (k <= 0)
                exit(1);
            if (want == UINT64_MAX) {
                char *end = memmem(buf, (size_t)k, "\r\n\r\n", 4);
                want = (uint64_t)(end + 4 - buf) + r->range;
            }
            got += (uint64_t)k;
        }
    }
    free(buf);
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    uint64_t total = (argc > 1 ? strtoull(argv[1], NULL, 10) : 2) * GIB;
    uint64_t range = (argc > 2 ? strtoull(argv[2], NULL, 10) : 8) * MIB;
    unsigned in_flight = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 4;
    struct http_curl_options opts = {.io_threads =
                                         argc > 4 ? (unsigned)strtoul(argv[4], NULL, 10) : 1};
    unsigned count = (unsigned)(total / range);
    pid_t server = start_server();
    struct http_transport *t;

    if (http_curl_new(&opts, &t) < 0)
        return 1;

    struct job warm = {.t = t, .method = HTTP_GET, .left = 200};
    run_job(&warm, in_flight);

    struct mark m = mark();
    struct job get = {.t = t, .method = HTTP_GET, .range = range, .left = count};
    run_job(&get, in_flight);
    report_bytes("GET ranges", m, get.bytes);

    pthread_t threads[64];
    struct raw raw = {range, count / MIN(in_flight, 64u)};
    m = mark();
    for (unsigned i = 0; i < MIN(in_flight, 64u); i++)
        pthread_create(&threads[i], NULL, raw_reader, &raw);
    for (unsigned i = 0; i < MIN(in_flight, 64u); i++)
        pthread_join(threads[i], NULL);
    report_bytes("  the same by recv(2)", m, (uint64_t)raw.count * MIN(in_flight, 64u) * range);

    char *data = calloc(1, range);
    struct iovec one = {data, range}, eight[8];
    for (int i = 0; i < 8; i++)
        eight[i] = (struct iovec){data + (uint64_t)i * range / 8, range / 8};
    m = mark();
    struct job put = {.t = t, .method = HTTP_PUT, .body = &one, .n_body = 1, .left = count};
    run_job(&put, in_flight);
    report_bytes("PUT, one buffer", m, (uint64_t)count * range);
    m = mark();
    struct job put8 = {.t = t, .method = HTTP_PUT, .body = eight, .n_body = 8, .left = count};
    run_job(&put8, in_flight);
    report_bytes("PUT, eight buffers", m, (uint64_t)count * range);

    m = mark();
    struct job small = {.t = t, .method = HTTP_GET, .left = 50000};
    run_job(&small, in_flight);
    report_requests("empty GET", m, 50000);
    m = mark();
    struct job small16 = {.t = t, .method = HTTP_GET, .left = 50000};
    run_job(&small16, 16);
    report_requests("empty GET, 16 in flight", m, 50000);
    struct iovec four_k = {data, 4096};
    m = mark();
    struct job small_put = {
        .t = t, .method = HTTP_PUT, .body = &four_k, .n_body = 1, .left = 50000};
    run_job(&small_put, in_flight);
    report_requests("PUT of 4 KiB", m, 50000);
    m = mark();
    struct job serial = {.t = t, .method = HTTP_GET, .left = 10000};
    run_job(&serial, 1);
    report_requests("empty GET, one after another", m, 10000);

    free(data);
    http_transport_free(t);
    kill(server, SIGTERM);
    waitpid(server, NULL, 0);
    return 0;
}
