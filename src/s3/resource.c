/* SPDX-License-Identifier: Apache-2.0 */
#include "s3/resource.h"

#include <stdlib.h>
#include <string.h>

#include "base/strbuf.h"
#include "s3/resource_bucket.h"
#include "s3/resource_impl.h"
#include "s3/resource_object.h"

int s3_resource_init(struct s3_resource_meta *m, const struct s3_resource_type *type,
                     struct s3_client *client, const char *const ids[], struct s3_error *reterr)
{
    *m = (struct s3_resource_meta){.type = type};
    for (size_t i = 0; i < type->n_ids; i++) {
        if (!ids[i] || !*ids[i]) {
            s3_resource_done(m);
            return s3_error_set(reterr, S3_ERROR_CONFIG, "s3.%s needs a %s", type->name,
                                type->id_names[i]);
        }
        m->ids[i] = strdup(ids[i]);
        if (!m->ids[i]) {
            s3_resource_done(m);
            return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
        }
    }
    m->client = s3_client_ref(client);
    return 0;
}

void s3_resource_done(struct s3_resource_meta *m)
{
    for (size_t i = 0; i < S3_RESOURCE_IDS_MAX; i++)
        free(m->ids[i]);
    s3_client_unref(m->client);
    *m = (struct s3_resource_meta){0};
}

bool s3_resource_equal(const struct s3_resource_meta *a, const struct s3_resource_meta *b)
{
    if (a->type != b->type)
        return false;
    for (size_t i = 0; i < a->type->n_ids; i++)
        if (strcmp(a->ids[i], b->ids[i]) != 0)
            return false;
    return true;
}

const char *s3_resource_describe(const struct s3_resource_meta *m, char *buf, size_t size)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(size > 0 ? size - 1 : 0);
    strbuf_appendf(&sb, "s3.%s(", m->type->name);
    for (size_t i = 0; i < m->type->n_ids; i++)
        strbuf_appendf(&sb, "%s%s='%s'", i > 0 ? ", " : "", m->type->id_names[i], m->ids[i]);
    strbuf_append_char(&sb, ')');
    snprintf(buf, size, "%s", strbuf_str(&sb));
    return buf;
}

/* ---- the service ---- */

static const struct s3_resource_type SERVICE = {.name = "ServiceResource"};

int s3_service_init(struct s3_service *s, struct s3_client *client, struct s3_error *reterr)
{
    return s3_resource_init(&s->meta, &SERVICE, client, NULL, reterr);
}

int s3_service_open(struct s3_session *session, const struct s3_client_options *opts,
                    struct s3_service *ret, struct s3_error *reterr)
{
    struct s3_session *own = NULL;
    if (!session) {
        int r = s3_session_default(&own, reterr);
        if (r < 0)
            return r;
        session = own;
    }
    struct s3_client *client = NULL;
    int r = s3_session_client_new(session, opts, &client, reterr);
    s3_session_unref(own);
    if (r < 0)
        return r;
    r = s3_service_init(ret, client, reterr);
    s3_client_unref(client);
    return r;
}

void s3_service_done(struct s3_service *s)
{
    s3_resource_done(&s->meta);
}

int s3_service_bucket(const struct s3_service *s, const char *name, struct s3_bucket *ret,
                      struct s3_error *reterr)
{
    return s3_bucket_init(ret, s->meta.client, name, reterr);
}

int s3_service_object(const struct s3_service *s, const char *bucket, const char *key,
                      struct s3_object *ret, struct s3_error *reterr)
{
    return s3_object_init(ret, s->meta.client, bucket, key, reterr);
}

int s3_service_create_bucket(const struct s3_service *s, const char *name, const char *location,
                             struct s3_bucket *ret, struct s3_error *reterr)
{
    struct s3_bucket bucket;
    int r = s3_bucket_init(&bucket, s->meta.client, name, reterr);
    if (r < 0)
        return r;
    r = s3_bucket_create(&bucket, location, reterr);
    if (r == 0 && ret)
        *ret = bucket;
    else
        s3_bucket_done(&bucket);
    return r;
}

struct s3_collection s3_service_buckets(const struct s3_service *s)
{
    return (struct s3_collection){.kind = S3_COLLECTION_BUCKETS, .client = s->meta.client};
}
