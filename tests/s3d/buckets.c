/* SPDX-License-Identifier: Apache-2.0 */
/* Operations on buckets themselves. */
#include <errno.h>
#include <string.h>

#include "ops.h"
#include "request.h"
#include "xmlin.h"
#include "xmlout.h"

#define MAX_BUCKETS 10000

void op_list_buckets(struct request *r)
{
    struct store *st = &r->s->store;
    const char *prefix = request_param_value(r, "prefix");
    const char *token = request_param_value(r, "continuation-token");
    const char *region = request_param_value(r, "bucket-region");
    const char *last = NULL;
    uint64_t max, n = 0;
    struct strbuf *sb;

    if (!request_param_number(r, "max-buckets", MAX_BUCKETS, &max))
        return;
    if (max < 1 || max > MAX_BUCKETS) {
        reply_error_message(r, ERR_INVALID_ARGUMENT, "max-buckets must be between 1 and 10000");
        return;
    }
    prefix = prefix ? prefix : "";
    sb = reply_xml(r, "ListAllMyBucketsResult");
    strbuf_append_str(sb, "<Owner><ID>s3d</ID><DisplayName>s3d</DisplayName></Owner><Buckets>");
    pthread_rwlock_rdlock(&st->lock);
    for (struct skipnode *node = skiplist_first(&st->buckets); node; node = skipnode_next(node)) {
        struct bucket *b = node->value;

        if (strncmp(b->name, prefix, strlen(prefix)) || (token && strcmp(b->name, token) <= 0) ||
            (region && strcmp(b->region, region)))
            continue;
        if (n++ == max)
            break;
        last = b->name;
        xml_open(sb, "Bucket");
        xml_text(sb, "Name", b->name);
        xml_time(sb, "CreationDate", b->created_ns);
        xml_text(sb, "BucketRegion", b->region);
        xml_close(sb, "Bucket");
    }
    strbuf_append_str(sb, "</Buckets>");
    if (n > max)
        xml_text(sb, "ContinuationToken", last);
    if (*prefix)
        xml_text(sb, "Prefix", prefix);
    pthread_rwlock_unlock(&st->lock);
    xml_close(sb, "ListAllMyBucketsResult");
}

/* The text of one element of a small document, "" when it is not there. False: not XML. */
static bool read_element(struct request *r, const char *root, const char *name, char *out,
                         size_t size)
{
    struct xmlin x;
    enum xmlin_event e;

    out[0] = '\0';
    if (!r->body.memory.len)
        return true;
    xmlin_init(&x, r->body.memory.data, r->body.memory.len);
    while ((e = xmlin_next(&x)) != XMLIN_END) {
        if (e == XMLIN_ERROR)
            return false;
        if (x.depth == 1 && strcmp(x.name, root))
            return false;
        if (e == XMLIN_CLOSE && x.depth == 2 && !strcmp(x.name, name)) {
            if (x.text_len >= size)
                return false;
            memcpy(out, x.text, x.text_len + 1);
        }
    }
    return true;
}

static bool known_region(const struct request *r, const char *region)
{
    for (unsigned i = 0; i < r->s->config.n_regions; i++) {
        if (!strcmp(r->s->config.regions[i], region))
            return true;
    }
    return false;
}

/* Which region the new bucket belongs to. NULL: refused. The global endpoint (the first region)
 * creates buckets anywhere; another one only its own, and it must be named. us-east-1 is never
 * named. */
static const char *choose_region(struct request *r, const char *constraint)
{
    const char *own = r->auth.anonymous ? r->s->config.regions[0] : r->auth.region;
    bool global = !strcmp(own, r->s->config.regions[0]);

    if (!strcmp(constraint, "EU"))
        constraint = "eu-west-1";
    if (!*constraint) {
        if (!strcmp(own, "us-east-1"))
            return own;
        reply_error_message(r, ERR_ILLEGAL_LOCATION,
                            "The unspecified location constraint is incompatible for the region "
                            "specific endpoint this request was sent to.");
        return NULL;
    }
    if (!strcmp(constraint, "us-east-1") || !known_region(r, constraint)) {
        reply_error(r, ERR_INVALID_LOCATION);
        return NULL;
    }
    if (strcmp(constraint, own) && !global) {
        reply_error_message(r, ERR_ILLEGAL_LOCATION,
                            "The %s location constraint is incompatible for the region specific "
                            "endpoint this request was sent to.",
                            constraint);
        return NULL;
    }
    return constraint;
}

void op_create_bucket(struct request *r)
{
    char constraint[64];
    const char *region;
    int err;

    if (!read_element(r, "CreateBucketConfiguration", "LocationConstraint", constraint,
                      sizeof(constraint))) {
        reply_error(r, ERR_MALFORMED_XML);
        return;
    }
    region = choose_region(r, constraint);
    if (!region)
        return;
    err =
        store_create_bucket(&r->s->store, r->bucket_name, region, r->now_ns - r->now_ns % NS_PER_S);
    if (err == -EEXIST) {
        reply_error(r, ERR_BUCKET_EXISTS);
    } else if (err < 0) {
        reply_failure(r, err, "CreateBucket");
    } else {
        reply_status(r, 200);
        reply_headerf(r, "Location", "/%s", r->bucket_name);
    }
}

void op_delete_bucket(struct request *r)
{
    int err = store_delete_bucket(&r->s->store, r->bucket_name);

    if (err == -ENOENT)
        reply_error(r, ERR_NO_SUCH_BUCKET);
    else if (err == -ENOTEMPTY)
        reply_error(r, ERR_BUCKET_NOT_EMPTY);
    else if (err < 0)
        reply_failure(r, err, "DeleteBucket");
    else
        reply_status(r, 204);
}

void op_head_bucket(struct request *r)
{
    reply_status(r, 200);
    reply_header(r, "x-amz-bucket-region", r->bucket->region);
    reply_header(r, "x-amz-access-point-alias", "false");
    reply_header(r, "Content-Type", "application/xml");
}

void op_get_bucket_location(struct request *r)
{
    struct strbuf *sb = reply_xml(r, "LocationConstraint");

    if (!strcmp(r->bucket->region, "us-east-1")) {
        /* The oldest region has no name here. */
        strbuf_truncate(sb, sb->len - 1);
        strbuf_append_str(sb, "/>");
        return;
    }
    strbuf_append_str(sb, r->bucket->region);
    xml_close(sb, "LocationConstraint");
}

void op_get_bucket_versioning(struct request *r)
{
    struct strbuf *sb = reply_xml(r, "VersioningConfiguration");
    enum versioning v;

    pthread_rwlock_rdlock(&r->bucket->lock);
    v = r->bucket->versioning;
    pthread_rwlock_unlock(&r->bucket->lock);
    if (v != VERSIONING_OFF)
        xml_text(sb, "Status", v == VERSIONING_ENABLED ? "Enabled" : "Suspended");
    xml_close(sb, "VersioningConfiguration");
}

void op_put_bucket_versioning(struct request *r)
{
    char status[32];
    enum versioning v;
    int err;

    if (!r->body.memory.len ||
        !read_element(r, "VersioningConfiguration", "Status", status, sizeof(status))) {
        reply_error(r, ERR_MALFORMED_XML);
        return;
    }
    if (!strcmp(status, "Enabled")) {
        v = VERSIONING_ENABLED;
    } else if (!strcmp(status, "Suspended")) {
        v = VERSIONING_SUSPENDED;
    } else {
        reply_error(r, ERR_MALFORMED_XML);
        return;
    }
    pthread_rwlock_wrlock(&r->bucket->lock);
    err = r->bucket->deleted ? -ENOENT : bucket_set_versioning(&r->s->store, r->bucket, v);
    pthread_rwlock_unlock(&r->bucket->lock);
    if (err == -ENOENT)
        reply_error(r, ERR_NO_SUCH_BUCKET);
    else if (err < 0)
        reply_failure(r, err, "PutBucketVersioning");
    else
        reply_status(r, 200);
}
