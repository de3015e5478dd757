/* SPDX-License-Identifier: Apache-2.0 */
/* PUT, and a server that cannot read its own ETags: Ceph up to 18 compares If-Match on PUT with the
 * ETag without its quotes, so the form that RFC 9110 asks for is refused always. A 412 is therefore
 * held against a HEAD: when exactly the demanded version is there, the same request is sent in the
 * other form, once. The condition is in force all the time; a true conflict costs one HEAD more. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "store/store_s3_impl.h"

static const char *bare(struct store_s3_request *r, const char *etag)
{
    size_t len = strlen(etag);

    if (len < 2 || etag[0] != '"' || etag[len - 1] != '"')
        return etag;
    return arena_strndup(&r->arena, etag + 1, len - 2);
}

static int fill_put(struct store_s3_request *r)
{
    const struct store_put_in *in = r->in;
    struct s3_put_object_in *put = &r->s3_in.put;

    *put = (struct s3_put_object_in){.bucket = r->s->bucket,
                                     .key = store_s3_key(r, in->key),
                                     .body = in->body,
                                     .n_body = in->n_body,
                                     .checksum_algo = r->s->checksum};
    put->conditions.if_none_match = in->if_absent ? "*" : NULL;
    if (in->if_match) {
        put->conditions.if_match = r->bare_etag ? bare(r, in->if_match) : in->if_match;
        if (!put->conditions.if_match)
            return -ENOMEM;
    }
    return put->key ? store_s3_attrs(r, &in->attrs, &put->attrs) : -ENOMEM;
}

int store_s3_prepare_put(struct store_s3_request *r)
{
    r->bare_etag = atomic_load(&r->s->bare_etags);
    return fill_put(r);
}

int store_s3_finish_version(struct store_s3_request *r, int result)
{
    struct store_version *v = r->out;

    if (result < 0 || !v)
        return result;
    (void)snprintf(v->etag, sizeof(v->etag), "%s", r->s3_out.put.etag);
    v->mtime_ns = r->s3_out.put.date_ns ? r->s3_out.put.date_ns : clock_realtime_ns(r->s->clock);
    return 0;
}

int store_s3_finish_put(struct store_s3_request *r, int result)
{
    const struct store_put_in *in = r->in;

    if (result < 0 && in->if_match && !r->both_forms && r->err.kind == S3_ERROR_PRECONDITION) {
        const char *key = r->s3_in.put.key;

        r->refusal = r->err;
        r->looking = true;
        r->s3_in.head = (struct s3_head_object_in){.bucket = r->s->bucket, .key = key};
        return -EINPROGRESS;
    }
    if (result == 0 && r->both_forms &&
        atomic_exchange(&r->s->bare_etags, r->bare_etag) != r->bare_etag)
        log_info("the server takes If-Match %s quotes: doing so from now on",
                 r->bare_etag ? "without" : "with");
    return store_s3_finish_version(r, result);
}

int store_s3_finish_look(struct store_s3_request *r, int result)
{
    const struct store_put_in *in = r->in;
    bool same = false;

    r->looking = false;
    if (result == 0) {
        same = r->s3_out.head.etag && strcmp(r->s3_out.head.etag, in->if_match) == 0;
        s3_head_object_out_done(&r->s3_out.head);
    }
    r->err = r->refusal;
    if (!same)
        return -s3_error_errno(S3_ERROR_PRECONDITION);
    r->both_forms = true;
    r->bare_etag = !r->bare_etag;
    if (fill_put(r) < 0)
        return s3_error_set(&r->err, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    return -EINPROGRESS;
}
