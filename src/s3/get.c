/* SPDX-License-Identifier: Apache-2.0 */
/* GetObject's stream. The caller's sink gets each byte once and in order, however often the
 * connection breaks: the rest is asked for by a Range from where the bytes stopped, under If-Match
 * with the first answer's ETag, so that two versions are never mixed (412: S3_ERROR_PRECONDITION).
 *
 * Every answer must be exactly what was asked: the range it announces, its length, its ETag. An
 * answer 200 to a ranged request comes from a server (or a cache) that ignores Range, which HTTP
 * allows. What lies ahead of the range is dropped if it is short; beyond S3_GET_SKIP_MAX the caller
 * is told S3_ERROR_UNSUPPORTED, for reading a terabyte to get at 4 KiB of it helps nobody. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "s3/call.h"

#define S3_GET_SKIP_MAX (8 * MIB)

static const struct s3_get_object_in *input(const struct s3_call *call)
{
    return call->in;
}

static int fail_get(struct s3_call *call, enum s3_error_kind kind, const char *fmt, ...)
    ATTR_PRINTF(3, 4);

static int fail_get(struct s3_call *call, enum s3_error_kind kind, const char *fmt, ...)
{
    va_list ap;

    call->get.failure = kind;
    va_start(ap, fmt);
    (void)vsnprintf(call->get.problem, sizeof(call->get.problem), fmt, ap);
    va_end(ap);
    return -EBADMSG;
}

static uint64_t offset_now(const struct s3_call *call)
{
    return call->get.start + call->get.delivered;
}

/* The last byte that may come; UINT64_MAX = to the object's end. */
static uint64_t last_wanted(const struct s3_call *call)
{
    const struct s3_get_object_in *in = input(call);

    if (call->get.known)
        return call->get.start + call->get.expected - 1;
    return in->has_range && in->range_length ? in->range_offset + in->range_length - 1 : UINT64_MAX;
}

/* ---- headers ---- */

static int take_partial(struct s3_call *call, struct s3_answer *a, uint64_t *ret_total)
{
    uint64_t first;
    uint64_t last;
    int r = s3_answer_content_range(a, &first, &last, ret_total);

    if (r)
        return fail_get(call, S3_ERROR_BAD_RESPONSE, "%s",
                        r == -ENOENT ? "a 206 without Content-Range" : a->problem);
    if (first != offset_now(call))
        return fail_get(call, S3_ERROR_BAD_RESPONSE,
                        "asked for bytes from %" PRIu64 ", the answer begins at %" PRIu64,
                        offset_now(call), first);
    /* It may end early only at the object's end, which must then be told. */
    if (last > last_wanted(call) || (last < last_wanted(call) && last + 1 != *ret_total))
        return fail_get(call, S3_ERROR_BAD_RESPONSE,
                        "the answer's range ends at %" PRIu64 ", which was not asked for", last);
    if (a->resp->content_length != last - first + 1)
        return fail_get(call, S3_ERROR_BAD_RESPONSE, "Content-Length and Content-Range disagree");
    call->get.remaining = last - first + 1;
    return 0;
}

static int take_whole(struct s3_call *call, const struct http_response *resp, bool ranged,
                      uint64_t *ret_total)
{
    struct s3_get *g = &call->get;
    uint64_t total = resp->content_length;
    uint64_t at = offset_now(call);

    *ret_total = total;
    g->remaining = total;
    if (!ranged)
        return 0;
    if (at >= total)
        return fail_get(call, S3_ERROR_BAD_RANGE, "the object ends at byte %" PRIu64, total);
    if (at > S3_GET_SKIP_MAX)
        return fail_get(call, S3_ERROR_UNSUPPORTED, "the server ignores Range");
    g->skip = at;
    g->remaining = total - at;
    if (last_wanted(call) < total - 1) {
        g->remaining = last_wanted(call) - at + 1;
        g->cut_short = true;
    }
    return 0;
}

/* Which of the stored checksums is verified; only full-object ones of a whole read can be. */
static int choose_checksum(struct s3_call *call)
{
    static const enum s3_checksum_algo preference[] = {S3_CHECKSUM_CRC64NVME, S3_CHECKSUM_CRC32C,
                                                       S3_CHECKSUM_CRC32, S3_CHECKSUM_SHA256,
                                                       S3_CHECKSUM_SHA1};
    const struct s3_head_object_out *out = call->tmp;
    struct s3_get *g = &call->get;

    s3_checksum_state_done(&g->sum);
    if (!input(call)->checksum_mode || g->start != 0 || g->expected != out->object_size)
        return 0;
    if (out->checksum_type && strcmp(out->checksum_type, "FULL_OBJECT") != 0)
        return 0;
    for (size_t p = 0; p < ARRAY_SIZE(preference); p++) {
        for (size_t i = 0; i < out->n_checksums; i++) {
            const struct s3_checksum *sum = &out->checksums[i];
            if (sum->algo != preference[p] || strchr(sum->value, '-'))
                continue;
            g->want = *sum;
            return s3_checksum_state_init(&g->sum, sum->algo);
        }
    }
    return 0;
}

static int take_first(struct s3_call *call, struct s3_answer *a, uint64_t total)
{
    struct s3_head_object_out *out = call->tmp;
    struct s3_get *g = &call->get;
    int r = s3_answer_object(a, out);

    if (r == -ENOMEM)
        return fail_get(call, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    if (r)
        return fail_get(call, S3_ERROR_BAD_RESPONSE, "%s", a->problem);
    out->content_length = g->remaining;
    if (total != UINT64_MAX)
        out->object_size = total;
    g->expected = g->remaining;
    g->known = true;
    if (choose_checksum(call))
        return fail_get(call, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    return 0;
}

/* Checks an answer's headers against what was asked and what earlier answers said. */
static int take_headers(struct s3_call *call, const struct http_response *resp)
{
    const struct s3_get_object_in *in = input(call);
    struct s3_answer a = {.resp = resp, .arena = call->tmp, .in = in};
    struct s3_get *g = &call->get;
    bool ranged = in->has_range || g->known;
    uint64_t total = UINT64_MAX;
    char etag[S3_ETAG_SIZE] = "";
    int r;

    g->taken = true;
    if (resp->content_length == HTTP_LENGTH_UNKNOWN)
        return fail_get(call, S3_ERROR_BAD_RESPONSE, "the answer does not tell its length");
    if (s3_answer_etag(&a, etag, sizeof(etag)))
        return fail_get(call, S3_ERROR_BAD_RESPONSE, "%s", a.problem);
    /* Before the ranges: those of another version may well differ. */
    if (g->known && strcmp(etag, g->etag) != 0)
        return fail_get(call, S3_ERROR_PRECONDITION,
                        "the object was replaced while it was being read");
    r = resp->status == 206 ? take_partial(call, &a, &total)
                            : take_whole(call, resp, ranged, &total);
    if (r)
        return r;
    if (!g->known) {
        memcpy(g->etag, etag, sizeof(etag));
        return take_first(call, &a, total);
    }
    if (g->delivered + g->remaining != g->expected)
        return fail_get(call, S3_ERROR_BAD_RESPONSE,
                        "the rest of the object has %" PRIu64 " bytes, expected %" PRIu64,
                        g->remaining, g->expected - g->delivered);
    return 0;
}

/* ---- sink ---- */

static int get_begin(void *ctx, const struct http_response *resp)
{
    struct s3_call *call = ctx;
    const struct http_sink *sink = input(call)->sink;
    struct http_response seen;
    int r;

    if (resp->status != 200 && resp->status != 206)
        return fail_get(call, S3_ERROR_BAD_RESPONSE, "unexpected status %d", resp->status);
    r = take_headers(call, resp);
    if (r || call->get.begun)
        return r;
    call->get.begun = true;
    if (input(call)->head)
        call->get.sink_error = input(call)->head(sink->ctx, call->tmp);
    if (call->get.sink_error || !sink->begin)
        return call->get.sink_error;
    seen = *resp;
    seen.content_length = call->get.remaining;
    call->get.sink_error = sink->begin(sink->ctx, &seen);
    return call->get.sink_error;
}

static int get_write(void *ctx, const void *data, size_t len)
{
    struct s3_call *call = ctx;
    const struct http_sink *sink = input(call)->sink;
    struct s3_get *g = &call->get;
    const char *s = data;
    size_t dropped = (size_t)MIN((uint64_t)len, g->skip);

    g->skip -= dropped;
    s += dropped;
    len = (size_t)MIN((uint64_t)(len - dropped), g->remaining);
    if (len > 0) {
        g->sink_error = sink->write(sink->ctx, s, len);
        if (g->sink_error)
            return g->sink_error;
        g->delivered += len;
        g->remaining -= len;
        if (s3_checksum_state_update(&g->sum, s, len))
            return fail_get(call, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    }
    /* A server that ignores Range would go on to the object's end. */
    return g->cut_short && g->skip == 0 && g->remaining == 0 ? -ECANCELED : 0;
}

static bool get_unwanted(void *ctx)
{
    struct s3_call *call = ctx;
    const struct http_sink *sink = input(call)->sink;

    return sink->unwanted && sink->unwanted(sink->ctx);
}

int s3_get_check(struct s3_call *call)
{
    const struct http_sink *sink = input(call)->sink;

    if (sink && sink->write)
        return 0;
    return s3_error_set(&call->err, S3_ERROR_INVALID, "there is no sink for the object's bytes");
}

void s3_get_begin_try(struct s3_call *call)
{
    struct s3_get *g = &call->get;

    g->taken = g->cut_short = false;
    g->skip = g->remaining = 0;
    g->failure = S3_ERROR_NONE;
    if (!g->known)
        g->start = input(call)->has_range ? input(call)->range_offset : 0;
    call->sink = (struct http_sink){
        .begin = get_begin, .write = get_write, .unwanted = get_unwanted, .ctx = call};
}

/* ---- end ---- */

static int verify(struct s3_call *call, const struct http_response *resp)
{
    struct s3_get *g = &call->get;
    struct s3_checksum sum;

    if (g->sum.algo == S3_CHECKSUM_NONE)
        return 0;
    if (s3_checksum_state_final(&g->sum, &sum))
        return s3_call_fail_memory(call);
    if (strcmp(sum.value, g->want.value) == 0) {
        atomic_fetch_add_explicit(&call->client->checked_bytes, g->delivered, memory_order_relaxed);
        return 0;
    }
    atomic_fetch_add_explicit(&call->client->mismatches, 1, memory_order_relaxed);
    /* Once the caller has the wrong bytes, only it can begin anew. */
    call->no_retry = g->delivered > 0;
    (void)snprintf(g->problem, sizeof(g->problem),
                   "the bytes do not match the stored checksum: %" PRIu64
                   " from the start have %s %s, stored is %s",
                   g->delivered, s3_checksum_name(sum.algo), sum.value, g->want.value);
    return s3_failure_bad_answer(call, resp, S3_ERROR_BAD_RESPONSE, g->problem);
}

int s3_get_receive(struct s3_call *call, const struct http_response *resp)
{
    struct s3_get *g = &call->get;

    if (g->sink_error) {
        /* Its owner knows why; the errno is passed through. */
        (void)s3_failure_bad_answer(call, resp, S3_ERROR_CANCELLED, "the receiver gave up");
        return g->sink_error;
    }
    if (resp->kind == S3_ERROR_NONE && (resp->status == 200 || resp->status == 206) && !g->taken)
        (void)take_headers(call, resp); /* no body, so the sink was not called */
    if (g->failure == S3_ERROR_OUT_OF_MEMORY)
        return s3_call_fail_memory(call);
    if (g->failure != S3_ERROR_NONE)
        return s3_failure_bad_answer(call, resp, g->failure, g->problem);
    /* Whatever broke behind the last byte does not matter. */
    if (g->known && g->taken && g->delivered == g->expected)
        return verify(call, resp);
    if (resp->kind != S3_ERROR_NONE)
        return s3_failure_from_transport(call, resp);
    if (resp->status == 412 && g->known)
        return s3_failure_bad_answer(call, resp, S3_ERROR_PRECONDITION,
                                     "the object was replaced while it was being read");
    if (resp->status == 416 && g->known)
        return s3_failure_bad_answer(call, resp, S3_ERROR_BAD_RESPONSE,
                                     "the object ends before its length as told at first");
    if (resp->status != 200 && resp->status != 206)
        return s3_failure_from_error_body(call, resp);
    return s3_failure_bad_answer(call, resp, S3_ERROR_BAD_RESPONSE, "the answer ended early");
}

bool s3_get_resume(struct s3_call *call)
{
    struct s3_build *b = &call->build;
    struct s3_get *g = &call->get;

    if (g->delivered == 0 && !(g->begun && (input(call)->sink->begin || input(call)->head))) {
        g->known = g->begun = false; /* the caller knows nothing of the object yet: start afresh */
        return true;
    }
    if (!g->etag[0])
        return false; /* nothing to hold the next answer to this version by */
    s3_build_replace_header(b, "If-Match", g->etag);
    s3_build_replace_header(b, "If-None-Match", NULL);
    s3_build_replace_header(b, "If-Modified-Since", NULL);
    s3_build_replace_header(b, "If-Unmodified-Since", NULL);
    s3_build_replace_header(b, "Range", NULL);
    s3_build_range(b, "Range", offset_now(call), g->expected - g->delivered);
    return !b->error;
}
