/* SPDX-License-Identifier: Apache-2.0 */
/* From an answer to the output struct. XML is parsed while it arrives, on the I/O thread; the
 * output is filled in call->tmp and handed to the caller only when everything about the answer was
 * right. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/limits.h"
#include "s3/call.h"

static struct arena *output_arena(struct s3_call *call)
{
    return call->def->flags & S3_OP_F_ARENA ? (struct arena *)call->tmp : &call->arena;
}

static void reset_tmp(struct s3_call *call)
{
    if (!call->tmp)
        return;
    if (call->def->out_done)
        call->def->out_done(call->tmp);
    memset(call->tmp, 0, call->def->out_size);
    if (call->def->flags & S3_OP_F_ARENA)
        arena_init(call->tmp, LIMIT_PAGE_STRINGS);
}

void s3_call_receive_done(struct s3_call *call)
{
    xml_parser_free(TAKE_PTR(call->xml));
    s3_checksum_state_done(&call->get.sum);
    reset_tmp(call);
    free(TAKE_PTR(call->tmp));
}

static bool is_success(const struct s3_op_def *def, int status)
{
    for (unsigned i = 0; i < S3_STATUSES_MAX; i++) {
        if (def->statuses[i] && def->statuses[i] == status)
            return true;
    }
    return false;
}

/* ---- XML while it arrives ---- */

static int xml_write(void *ctx, const void *data, size_t len)
{
    struct s3_call *call = ctx;
    int r = 0;

    if (!call->xml)
        r = xml_parser_new(call->def->xml, call->tmp, output_arena(call), &call->xml);
    return r ? r : xml_parser_feed(call->xml, data, len);
}

/* A server that does not know a sub-resource may answer as if only the key had been asked for: the
 * whole object, of any size, would come in place of a short document. */
static int xml_begin(void *ctx, const struct http_response *resp)
{
    struct s3_call *call = ctx;

    if ((call->def->flags & S3_OP_F_MAYBE_GET) && http_response_header(resp, "Accept-Ranges"))
        return -EOPNOTSUPP;
    return 0;
}

void s3_call_receive_begin(struct s3_call *call)
{
    if (call->def->flags & S3_OP_F_STREAM) {
        s3_get_begin_try(call);
        if (!call->get.known)
            reset_tmp(call);
        return;
    }
    xml_parser_free(TAKE_PTR(call->xml));
    reset_tmp(call);
    if (call->def->xml)
        call->sink = (struct http_sink){.begin = xml_begin, .write = xml_write, .ctx = call};
}

static int finish_xml(struct s3_call *call, const struct http_response *resp)
{
    int r;

    if (!call->xml)
        return s3_failure_bad_answer(call, resp, S3_ERROR_BAD_RESPONSE, "the answer is empty");
    r = xml_parser_finish(call->xml);
    if (r == -ENOMEM)
        return s3_call_fail_memory(call);
    if (r)
        return s3_failure_bad_answer(call, resp, S3_ERROR_BAD_RESPONSE,
                                     xml_parser_problem(call->xml));
    if (xml_parser_error(call->xml))
        return s3_failure_from_answer(call, resp, xml_parser_error(call->xml));
    return 0;
}

/* The exchange ended because our sink refused the data. */
static int sink_failed(struct s3_call *call, const struct http_response *resp)
{
    if (resp->sink_error == -EOPNOTSUPP)
        return s3_failure_bad_answer(call, resp, S3_ERROR_UNSUPPORTED,
                                     "the server does not know this operation");
    if (resp->sink_error == -ENOMEM)
        return s3_call_fail_memory(call);
    return s3_failure_bad_answer(call, resp, S3_ERROR_BAD_RESPONSE,
                                 call->xml ? xml_parser_problem(call->xml) : "out of memory");
}

/* A server that repeats the checksum has computed it, and would have refused other bytes. Complete
 * has to name it then. One that does not repeat it does not know checksums, and may refuse a
 * Complete that names any as no well-formed XML (Swift). */
static void note_checksum(struct s3_call *call, const struct http_response *resp)
{
    atomic_bool *held = &call->client->sums_held;
    const char *told;

    if (call->checksum.algo == S3_CHECKSUM_NONE)
        return;
    told = http_response_header(resp, s3_checksum_header(call->checksum.algo));
    if (!told || strcmp(told, call->checksum.value) != 0)
        return;
    ((struct s3_upload_part_out *)call->tmp)->checksum = call->checksum;
    if (!atomic_load_explicit(held, memory_order_relaxed))
        atomic_store_explicit(held, true, memory_order_relaxed);
}

static int finish_success(struct s3_call *call, const struct http_response *resp)
{
    struct s3_answer a = {.resp = resp,
                          .arena = output_arena(call),
                          .in = call->in,
                          .may_come = call->outcome_unknown || resp->resent || resp->repeated};
    int r = 0;

    if (call->def->xml)
        r = finish_xml(call, resp);
    a.url_encoded = call->xml && xml_parser_url_encoded(call->xml);
    if (r || !call->def->parse)
        return r;
    r = call->def->parse(&a, call->tmp);
    if (r == -ENOMEM)
        return s3_call_fail_memory(call);
    if (r)
        return s3_failure_bad_answer(call, resp, S3_ERROR_BAD_RESPONSE, a.problem);
    if (call->op == S3_OP_UPLOAD_PART)
        note_checksum(call, resp);
    return 0;
}

int s3_call_receive(struct s3_call *call, const struct http_response *resp)
{
    if (call->def->flags & S3_OP_F_STREAM)
        return s3_get_receive(call, resp);
    if (resp->sink_error)
        return sink_failed(call, resp);
    if (resp->kind != S3_ERROR_NONE)
        return s3_failure_from_transport(call, resp);
    if (!is_success(call->def, resp->status))
        return s3_failure_from_error_body(call, resp);
    return finish_success(call, resp);
}
