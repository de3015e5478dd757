/* SPDX-License-Identifier: Apache-2.0 */
/* PUT. If-Match goes in the form that the server compares, see store_s3_guard.c. */
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
    if (!r->both_forms)
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

    if (result == 0 && in->if_match && !atomic_exchange(&r->s->etag_form_known, true) &&
        r->bare_etag)
        log_info("the server takes If-Match without quotes: doing so from now on");
    if (result == 0 && r->both_forms)
        atomic_store(&r->s->bare_etags, r->bare_etag);
    return store_s3_finish_version(r, result);
}
