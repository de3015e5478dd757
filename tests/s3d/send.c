/* SPDX-License-Identifier: Apache-2.0 */
#include "send.h"

#include <errno.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/timefmt.h"
#include "request.h"
#include "route.h"

#define SMALL_MAX (64u << 10) /* read and sent with the headers in one go */
/* Larger bodies are read and written in such pieces. sendfile(2) costs the server as much on
 * loopback, and the client nearly twice: it receives single pages instead of large buffers. */
#define BLOCK_SIZE  (256u << 10)
#define PACE_SLACK  (20 * NS_PER_MS)
#define DRAIN_TRIES 200 /* times 5 ms for sent bytes to leave before a reset */

/* A body that is produced piece by piece. Owned by its MHD response. */
struct source {
    struct s3d *s;
    struct connection *conn;
    char *memory; /* the body itself, or NULL: then it is */
    struct version *data;
    uint64_t offset, length; /* of data, or of memory */
    int fd;
    unsigned open_segment; /* which one fd belongs to */
    /* fault */
    enum fault_action action;
    uint64_t limit;   /* CUT, STALL, RESET: bytes before it strikes */
    uint64_t corrupt; /* position to falsify, UINT64_MAX: none */
};

void connection_reset(int fd)
{
    struct sockaddr none = {.sa_family = AF_UNSPEC};

    /* Disconnecting a TCP socket this way sends RST at once (tcp_disconnect in Linux). */
    (void)connect(fd, &none, sizeof(none));
}

static void reset_after_drain(const struct s3d *s, int fd)
{
    int left = 0;

    for (int i = 0; i < DRAIN_TRIES; i++) {
        if (ioctl(fd, SIOCOUTQ, &left) < 0 || !left)
            break;
        if (s3d_sleep_ms(s, fd, 5) < 0)
            break;
    }
    connection_reset(fd);
}

void connection_pace(struct s3d *s, struct connection *c, uint64_t n)
{
    uint64_t now, rate = s->config.rate;

    if (!rate || !n)
        return;
    now = clock_monotonic_ns(clock_system());
    if (c->due_ns + PACE_SLACK < now)
        c->due_ns = now - PACE_SLACK;
    c->due_ns += n * NS_PER_S / rate;
    if (c->due_ns > now + NS_PER_MS)
        (void)s3d_sleep_ms(s, -1, (int64_t)((c->due_ns - now) / NS_PER_MS));
}

static ssize_t read_data(struct source *src, uint64_t pos, char *buf, size_t max)
{
    const struct version *v = src->data;
    uint64_t at = src->offset + pos;
    ssize_t n;

    for (unsigned i = 0; i < v->n_segments; i++) {
        const struct segment *seg = &v->segments[i];

        if (at >= seg->len) {
            at -= seg->len;
            continue;
        }
        if (src->fd < 0 || src->open_segment != i) {
            if (src->fd >= 0)
                close(src->fd);
            src->fd = blob_open(&src->s->store, seg->blob);
            src->open_segment = i;
            if (src->fd < 0)
                return -1;
        }
        max = MIN(max, seg->len - at);
        do
            n = pread(src->fd, buf, max, (off_t)(seg->offset + at));
        while (n < 0 && errno == EINTR);
        return n > 0 ? n : -1;
    }
    return -1;
}

static ssize_t read_source(void *cls, uint64_t pos, char *buf, size_t max)
{
    struct source *src = cls;
    uint64_t end = src->length, rate;
    ssize_t n;

    if (src->action == FAULT_CUT || src->action == FAULT_STALL || src->action == FAULT_RESET)
        end = MIN(end, src->limit);
    if (pos >= end) {
        /* Only faults come here: the announced length is longer than what there is. */
        if (src->action == FAULT_STALL)
            (void)s3d_sleep_ms(src->s, src->conn->fd, -1);
        if (src->action == FAULT_RESET)
            reset_after_drain(src->s, src->conn->fd);
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    max = MIN(max, end - pos);
    rate = src->s->config.rate;
    if (rate)
        max = MIN(max, MAX(rate / 50, 1024ull));
    if (src->memory) {
        memcpy(buf, src->memory + pos, max);
        n = (ssize_t)max;
    } else {
        n = read_data(src, pos, buf, max);
    }
    if (n < 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (src->corrupt >= pos && src->corrupt - pos < (uint64_t)n)
        buf[src->corrupt - pos] ^= 0x20;
    connection_pace(src->s, src->conn, (uint64_t)n);
    return n;
}

static void free_source(void *cls)
{
    struct source *src = cls;

    if (src->fd >= 0)
        close(src->fd);
    version_unref(&src->s->store, src->data);
    free(src->memory);
    free(src);
}

static struct MHD_Response *respond_piecewise(struct request *r)
{
    const struct fault *f = &r->fault;
    struct source *src = calloc(1, sizeof(*src));
    struct MHD_Response *resp;
    uint64_t announced;

    if (!src)
        return NULL;
    src->s = r->s;
    src->conn = r->conn;
    src->fd = -1;
    src->action = f->action;
    src->limit = f->amount;
    src->corrupt = UINT64_MAX;
    if (r->reply.data) {
        src->data = TAKE_PTR(r->reply.data);
        src->offset = r->reply.offset;
        src->length = r->reply.length;
    } else {
        src->length = r->reply.body.len;
        src->memory = strbuf_take(&r->reply.body);
        if (!src->memory)
            src->length = 0;
    }
    if (f->action == FAULT_CORRUPT_BODY && src->length)
        src->corrupt = src->length / 2;
    announced = src->length;
    if (f->action == FAULT_WRONG_LENGTH) {
        if (f->delta < 0)
            announced -= MIN(announced, (uint64_t)-f->delta);
        else
            announced += (uint64_t)f->delta;
    }
    resp = MHD_create_response_from_callback(announced, BLOCK_SIZE, read_source, src, free_source);
    if (!resp)
        free_source(src);
    return resp;
}

/* Small data travels in one write with the headers. */
static struct MHD_Response *respond_small(struct request *r)
{
    struct reply *rp = &r->reply;
    struct source src = {.s = r->s, .data = rp->data, .offset = rp->offset, .fd = -1};
    char *data = malloc(rp->length);
    uint64_t got = 0;

    while (data && got < rp->length) {
        ssize_t n = read_data(&src, got, data + got, rp->length - got);

        if (n < 0)
            break;
        got += (uint64_t)n;
    }
    if (src.fd >= 0)
        close(src.fd);
    if (got == rp->length)
        return MHD_create_response_from_buffer(rp->length, data, MHD_RESPMEM_MUST_FREE);
    free(data);
    return NULL;
}

static struct MHD_Response *make_response(struct request *r)
{
    struct reply *rp = &r->reply;
    enum fault_action a = r->fault.action;
    bool special = a == FAULT_CUT || a == FAULT_STALL || a == FAULT_RESET ||
                   a == FAULT_CORRUPT_BODY || a == FAULT_WRONG_LENGTH;
    size_t len;

    if (a == FAULT_EMPTY_BODY)
        return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    if (r->head && rp->length)
        return MHD_create_response_from_callback(rp->length, 1024, read_source, NULL, NULL);
    if (special || (r->s->config.rate && (rp->length > 0 || rp->body.len > 0)))
        return respond_piecewise(r);
    if (rp->data && rp->length)
        return rp->length <= SMALL_MAX ? respond_small(r) : respond_piecewise(r);
    len = r->head ? 0 : rp->body.len;
    if (!len)
        return MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    return MHD_create_response_from_buffer(len, strbuf_take(&rp->body), MHD_RESPMEM_MUST_FREE);
}

/* Faults in what is about to be sent, as opposed to how. */
static void falsify(struct request *r)
{
    struct reply *rp = &r->reply;
    struct strbuf *body = &rp->body;
    bool found = false;

    switch (r->fault.action) {
    case FAULT_BROKEN_XML:
        if (rp->is_xml && body->len > 2)
            memcpy(body->data + body->len / 2, "<&", 2);
        break;
    case FAULT_TRUNCATED_XML:
        if (rp->is_xml)
            strbuf_truncate(body, body->len / 2);
        break;
    case FAULT_WRONG_CHECKSUM:
        for (unsigned i = 0; i < rp->n_headers; i++) {
            char *v = rp->headers[i].value;

            if (!strncmp(rp->headers[i].name, "x-amz-checksum-", 15) &&
                strcmp(rp->headers[i].name, "x-amz-checksum-type")) {
                v[0] = v[0] == 'A' ? 'B' : 'A';
                found = true;
            }
        }
        if (!found)
            reply_header(r, "x-amz-checksum-crc64nvme", "AAAAAAAAAAA=");
        break;
    case FAULT_NONE:
    case FAULT_STATUS:
    case FAULT_DELAY:
    case FAULT_STALL:
    case FAULT_CUT:
    case FAULT_RESET:
    case FAULT_CORRUPT_BODY:
    case FAULT_WRONG_LENGTH:
    case FAULT_200_ERROR:
    case FAULT_REPEAT_TOKEN:
    case FAULT_EMPTY_BODY:
    case FAULT_HANG:
    case FAULT_LOST_ANSWER:
    case FAULT_FEWER_PARTS:
    case FAULT_ACTION_MAX:
        break;
    }
}

static void count_and_log(struct request *r, int status, uint64_t out)
{
    struct stats *st = &r->s->stats;
    struct strbuf key = STRBUF_INIT(4 * STORE_KEY_MAX);
    const char *range = request_header(r, "Range");
    struct stats_line line = {
        .connection = r->conn->number,
        .bytes_in = r->raw_in,
        .bytes_out = out,
        .micros = (uint32_t)((clock_monotonic_ns(clock_system()) - r->start_ns) / 1000),
        .status = (uint16_t)status,
        .op = r->route ? r->route->name : "Unknown",
        .fault = r->fault.action == FAULT_NONE ? "-" : fault_action_name(r->fault.action),
    };

    if (r->control)
        return;
    atomic_fetch_add(&st->bytes_out, out);
    if (status > 0 && status < (int)ARRAY_SIZE(st->status))
        atomic_fetch_add(&st->status[status], 1);
    if (r->key)
        encode_percent(&key, r->key, r->key_len, true);
    snprintf(line.bucket, sizeof(line.bucket), "%.63s", r->bucket_name);
    for (char *p = line.bucket; *p; p++)
        *p = (char)(*p > ' ' && *p < 0x7f ? *p : '?');
    snprintf(line.range, sizeof(line.range), "%s", range ? range : "");
    for (char *p = line.range; *p; p++)
        *p = (char)(*p > ' ' && *p < 0x7f ? *p : '?');
    line.key = strbuf_take(&key);
    strbuf_done(&key);
    stats_log(st, &line);
}

void send_nothing(struct request *r)
{
    r->answered = true;
    count_and_log(r, 0, 0);
}

static void add_common_headers(struct request *r, struct MHD_Response *resp)
{
    char date[TIMEFMT_HTTP_SIZE];
    bool has_type = false;

    timefmt_http(s3d_now_ns(r->s), date);
    MHD_add_response_header(resp, "x-amz-id-2", "s3d");
    MHD_add_response_header(resp, "x-amz-request-id", r->id);
    MHD_add_response_header(resp, "Date", date);
    if (!r->s->config.ignore_conditions)
        MHD_add_response_header(resp, "Server", "s3d");
    for (unsigned i = 0; i < r->reply.n_headers; i++) {
        /* Refused by MHD when it holds a line break. */
        (void)MHD_add_response_header(resp, r->reply.headers[i].name, r->reply.headers[i].value);
        has_type |= !strcmp(r->reply.headers[i].name, "Content-Type");
    }
    if (r->reply.is_xml && !has_type)
        MHD_add_response_header(resp, "Content-Type", "application/xml");
}

enum MHD_Result send_reply(struct request *r)
{
    struct MHD_Response *resp;
    enum MHD_Result ok;
    int status = r->reply.status ? r->reply.status : 500;
    uint64_t out = r->head ? 0 : r->reply.data ? r->reply.length : r->reply.body.len;

    r->answered = true;
    if (r->reply.body.error) {
        strbuf_done(&r->reply.body);
        reply_failure(r, ENOMEM, "reply");
        status = 500;
    }
    falsify(r);
    if (!r->s->config.rate && r->conn)
        r->conn->due_ns = 0;
    resp = make_response(r);
    if (!resp) {
        send_nothing(r);
        return MHD_NO;
    }
    add_common_headers(r, resp);
    count_and_log(r, status, out);
    ok = MHD_queue_response(r->mhd, (unsigned)status, resp);
    MHD_destroy_response(resp);
    return ok;
}
