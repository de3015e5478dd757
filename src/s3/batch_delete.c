/* SPDX-License-Identifier: Apache-2.0 */
#include "s3/batch_delete.h"

#include <stdlib.h>
#include <string.h>

#include "base/limits.h"

/* A bucket policy that forbids deleting can refuse millions of keys; so many are listed, the rest
 * are counted. */
#define FAILURES_LISTED_MAX 10000u

void s3_delete_report_init(struct s3_delete_report *r)
{
    memset(r, 0, sizeof(*r));
    arena_init(&r->arena, LIMIT_PAGE_STRINGS);
}

void s3_delete_report_done(struct s3_delete_report *r)
{
    free(r->failures);
    arena_done(&r->arena);
    memset(r, 0, sizeof(*r));
}

/* Leaves the list short when memory is out: n_failed tells the truth anyway. */
static void note_failure(struct s3_delete_report *r, const struct s3_delete_result *f)
{
    if (r->n_failed++ == 0)
        r->first_kind = s3_error_kind_from_s3(f->code, 0);
    if (r->n_failures == FAILURES_LISTED_MAX)
        return;
    if (r->n_failures == r->alloc_failures) {
        size_t alloc = r->alloc_failures ? r->alloc_failures * 2 : 16;
        struct s3_delete_result *more = reallocarray(r->failures, alloc, sizeof(*more));
        if (!more)
            return;
        r->failures = more;
        r->alloc_failures = alloc;
    }
    struct s3_delete_result copy = {.key = arena_strdup(&r->arena, f->key),
                                    .version_id = arena_strdup(&r->arena, f->version_id),
                                    .code = arena_strdup(&r->arena, f->code),
                                    .message = arena_strdup(&r->arena, f->message)};
    if (!copy.key || !copy.code || !copy.version_id != !f->version_id ||
        !copy.message != !f->message)
        return;
    r->failures[r->n_failures++] = copy;
}

int s3_batch_delete_request(struct s3_client *client, const char *bucket,
                            const struct s3_delete_entry *entries, size_t n_entries,
                            struct s3_delete_report *report, struct s3_error *reterr)
{
    /* Not quiet, so that a key of which the answer says nothing is noticed. */
    struct s3_delete_objects_in in = {.bucket = bucket, .entries = entries, .n_entries = n_entries};
    struct s3_delete_objects_out out = {0};
    report->requests++;
    int r = s3_delete_objects(client, &in, &out, reterr);
    if (r < 0)
        return r;

    for (size_t i = 0; i < out.n_results; i++) {
        if (out.results[i].code)
            note_failure(report, &out.results[i]);
        else
            report->deleted++;
    }
    if (out.n_results != n_entries)
        r = s3_error_set(reterr, S3_ERROR_BAD_RESPONSE,
                         "DeleteObjects in '%s' answered for %zu of %zu keys", bucket,
                         out.n_results, n_entries);
    s3_delete_objects_out_done(&out);
    return r;
}

int s3_delete_report_result(const struct s3_delete_report *r, struct s3_error *reterr)
{
    if (r->n_failed == 0)
        return 0;
    const struct s3_delete_result *f = r->n_failures > 0 ? &r->failures[0] : NULL;
    int res = s3_error_set(
        reterr, r->first_kind, "%llu of %llu keys were not deleted, the first of them '%s': %s",
        (unsigned long long)r->n_failed, (unsigned long long)(r->n_failed + r->deleted),
        f ? f->key : "?", f && f->message ? f->message : "no reason given");
    if (reterr) {
        snprintf(reterr->operation, sizeof(reterr->operation), "%s",
                 s3_op_name(S3_OP_DELETE_OBJECTS));
        snprintf(reterr->code, sizeof(reterr->code), "%s", f ? f->code : "");
    }
    return res;
}

int s3_batch_delete(struct s3_client *client, const char *bucket,
                    const struct s3_delete_entry *entries, size_t n_entries,
                    struct s3_delete_report *report, struct s3_error *reterr)
{
    struct s3_delete_report own;
    s3_delete_report_init(&own);
    struct s3_delete_report *rep = report ? report : &own;

    int r = 0;
    for (size_t at = 0; at < n_entries && r == 0;) {
        size_t n = MIN(n_entries - at, (size_t)S3_DELETE_BATCH_MAX);
        r = s3_batch_delete_request(client, bucket, entries + at, n, rep, reterr);
        at += n;
    }
    if (r == 0)
        r = s3_delete_report_result(rep, reterr);
    s3_delete_report_done(&own);
    return r;
}
