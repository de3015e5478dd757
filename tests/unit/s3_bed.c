/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "http/http_hedge.h"
#include "s3_bed.h"

static const char *no_environment(void *ctx, const char *name)
{
    /* Files that are not there: the machine's own must not matter. */
    if (!strcmp(name, "HOME"))
        return "/nonexistent";
    return NULL;
}

void bed_open_with(struct bed *b, const struct bed_options *opts)
{
    struct s3_session_options so;
    struct s3_client_options co = opts->client;
    struct s3_error err = {0};

    memset(b, 0, sizeof(*b));
    clock_fake_init(&b->clock, BED_TIME_NS);
    assert_int_equal(http_fake_new(&b->clock, &b->http), 0);
    s3_session_options_init(&so);
    so.args.getenv = no_environment;
    so.args.access_key_id = opts->anonymous || opts->chain ? NULL : "AKID";
    so.args.secret_access_key = opts->anonymous || opts->chain ? NULL : "SECRET";
    so.args.session_token = opts->session_token;
    so.args.no_sign_request = opts->anonymous;
    so.args.region = opts->region ? opts->region : "us-east-1";
    so.args.endpoint_url = opts->endpoint_url;
    so.clock = &b->clock.clock;
    so.chain = opts->chain;
    if (s3_session_new(&so, &b->session, &err))
        fail_msg("session: %s", err.message);
    b->transport = http_fake_transport(b->http);
    if (opts->hedge)
        assert_int_equal(http_hedge_new(b->transport, &b->clock.clock, S3_OP_MAX, &b->transport),
                         0);
    co.transport = b->transport;
    co.random_seed = 1;
    if (s3_session_client_new(b->session, &co, &b->client, &err))
        fail_msg("client: %s", err.message);
}

void bed_open(struct bed *b)
{
    bed_open_with(b, &(struct bed_options){0});
}

void bed_close(struct bed *b)
{
    assert_int_equal(http_fake_unexpected(b->http), 0);
    assert_int_equal(http_fake_unused_answers(b->http), 0);
    s3_client_unref(b->client);
    s3_session_unref(b->session);
    http_transport_free(b->transport);
}

static void push(struct bed *b, const struct http_fake_answer *a)
{
    assert_int_equal(http_fake_push(b->http, a), 0);
}

void bed_answer(struct bed *b, int status, const char *headers, const char *body)
{
    push(b, &(struct http_fake_answer){.status = status, .headers = headers, .body = body});
}

void bed_answer_cut(struct bed *b, int status, const char *headers, const char *body,
                    size_t cut_after)
{
    push(b, &(struct http_fake_answer){
                .status = status, .headers = headers, .body = body, .cut_after = cut_after});
}

void bed_fail(struct bed *b, enum s3_error_kind kind, bool request_sent)
{
    push(b, &(struct http_fake_answer){.kind = kind, .request_not_sent = !request_sent});
}

void bed_error(struct bed *b, int status, const char *code)
{
    static char bodies[16][160];
    static unsigned next;
    char *body = bodies[next++ % 16];

    (void)snprintf(body, sizeof(bodies[0]),
                   "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>words of the server"
                   "</Message><RequestId>RID1</RequestId></Error>",
                   code);
    bed_answer(b, status, "Content-Type: application/xml", body);
}

size_t bed_requests(const struct bed *b)
{
    return http_fake_request_count(b->http);
}

const struct http_fake_request *bed_request(const struct bed *b, size_t index)
{
    const struct http_fake_request *r = http_fake_request_at(b->http, index);

    if (!r)
        fail_msg("there were only %zu requests", bed_requests(b));
    return r;
}

const char *bed_header(const struct bed *b, size_t index, const char *name)
{
    static char values[4][1024];
    static unsigned next;
    char *value = values[next++ % 4];

    if (!http_fake_request_header(bed_request(b, index), name, value, sizeof(values[0])))
        value[0] = '\0';
    return value;
}

static int sink_begin(void *ctx, const struct http_response *resp)
{
    struct bed_sink *s = ctx;

    s->begins++;
    s->status = resp->status;
    s->length = resp->content_length;
    return 0;
}

static int sink_write(void *ctx, const void *data, size_t len)
{
    struct bed_sink *s = ctx;

    if (s->call)
        s3_call_cancel(s->call);
    if (s->fail_after && s->len + len > s->fail_after)
        return -ENOSPC;
    assert_true(s->len + len < sizeof(s->data));
    memcpy(s->data + s->len, data, len);
    s->len += len;
    s->data[s->len] = '\0';
    return 0;
}

void bed_sink_init(struct bed_sink *s)
{
    memset(s, 0, sizeof(*s));
    s->sink = (struct http_sink){.begin = sink_begin, .write = sink_write, .ctx = s};
}
