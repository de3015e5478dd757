/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <string.h>

#include "request.h"

static struct strbuf *text(struct request *r, int status)
{
    reply_status(r, status);
    reply_header(r, "Content-Type", "text/plain");
    return &r->reply.body;
}

static void run_faults(struct request *r)
{
    struct s3d *s = r->s;
    char message[256];

    if (!strcmp(r->method, "DELETE")) {
        faults_clear(s->faults);
        strbuf_append_str(text(r, 200), "ok\n");
    } else if (!strcmp(r->method, "POST") || !strcmp(r->method, "PUT")) {
        if (faults_add(s->faults, strbuf_str(&r->body.memory), r->body.memory.len, message,
                       sizeof(message)) < 0)
            strbuf_appendf(text(r, 400), "%s\n", message);
        else
            strbuf_append_str(text(r, 200), "ok\n");
    } else {
        faults_write(s->faults, text(r, 200));
    }
}

/* What the command line says of the distance, of ETags and of pages, for the requests from now on.
 */
static void run_settings(struct request *r)
{
    struct s3d_config *cf = &r->s->config;
    uint64_t ms, rate, opaque, keys;

    if (!request_param_number(r, "first-byte-delay", cf->first_byte_ms, &ms) ||
        !request_param_number(r, "rate", cf->rate, &rate) ||
        !request_param_number(r, "opaque-etag", cf->opaque_etag, &opaque) ||
        !request_param_number(r, "page-keys", cf->page_keys, &keys))
        return;
    cf->page_keys = (unsigned)MIN(keys, (uint64_t)UINT32_MAX);
    cf->first_byte_ms = (unsigned)MIN(ms, (uint64_t)S3D_DELAY_MAX_MS);
    cf->rate = rate;
    cf->opaque_etag = opaque;
    strbuf_appendf(text(r, 200), "first-byte-delay %u\nrate %llu\nopaque-etag %d\npage-keys %u\n",
                   cf->first_byte_ms, (unsigned long long)cf->rate, cf->opaque_etag, cf->page_keys);
}

void control_run(struct request *r)
{
    const char *what = r->key ? r->key : "";
    bool post = !strcmp(r->method, "POST");
    uint64_t n;

    if (r->reply.status)
        return;
    if (!strcmp(what, "faults")) {
        run_faults(r);
    } else if (!strcmp(what, "counters") && !post) {
        stats_write_counters(&r->s->stats, text(r, 200));
    } else if (!strcmp(what, "log") && !post) {
        if (request_param_number(r, "n", STATS_LOG, &n))
            stats_write_log(&r->s->stats, n, text(r, 200));
    } else if (!strcmp(what, "reset") && post) {
        stats_reset(&r->s->stats);
        strbuf_append_str(text(r, 200), "ok\n");
    } else if (!strcmp(what, "settings") && post) {
        run_settings(r);
    } else {
        strbuf_append_str(text(r, 404), "GET counters, GET log?n=, POST reset, POST settings?, "
                                        "GET/POST/DELETE faults\n");
    }
}
