/* SPDX-License-Identifier: Apache-2.0 */
/* DeleteObject and DeleteObjects. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/log.h"
#include "conditions.h"
#include "objects.h"
#include "ops.h"
#include "request.h"
#include "xmlin.h"
#include "xmlout.h"

#define DELETE_MAX 1000 /* keys of one DeleteObjects */

struct doomed {
    char *key;
    size_t key_len;
    char version_id[64]; /* "": none given */
    char etag[128];      /* condition, "": none */
    /* results */
    enum s3d_error error;
    bool is_marker; /* a delete marker was removed or made */
    char result_id[STORE_VERSION_ID_MAX];
    struct version *old; /* to be unreferenced */
};

static enum s3d_error add_marker(struct request *r, struct doomed *d)
{
    struct version *v = version_new();
    int err;

    if (!v)
        return ERR_INTERNAL;
    v->delete_marker = true;
    v->mtime_ns = r->now_ns - r->now_ns % NS_PER_S;
    if (r->bucket->versioning == VERSIONING_ENABLED)
        version_make_id(v->id, r->now_ns);
    memcpy(d->result_id, v->id, sizeof(v->id));
    d->is_marker = true;
    err = bucket_publish(&r->s->store, r->bucket, d->key, d->key_len, v, &d->old);
    if (err < 0) {
        d->old = v;
        return ERR_INTERNAL;
    }
    return ERR_NONE;
}

/* bucket->lock is held for writing. */
static enum s3d_error delete_locked(struct request *r, struct doomed *d)
{
    struct bucket *b = r->bucket;
    struct entry *e = bucket_find_entry(b, d->key, d->key_len);
    struct version *v = entry_latest(e);
    enum s3d_error bad = condition_delete(r, d->etag[0] ? d->etag : NULL, v);

    if (bad != ERR_NONE)
        return bad;
    if (!d->version_id[0] && b->versioning != VERSIONING_OFF)
        return add_marker(r, d);
    if (d->version_id[0])
        v = entry_find_version(e, d->version_id);
    if (!v)
        return ERR_NONE; /* deleting what is not there succeeds */
    d->is_marker = v->delete_marker;
    memcpy(d->result_id, v->id, sizeof(v->id));
    if (bucket_remove_version(&r->s->store, b, d->key, d->key_len, v, &d->old) < 0)
        return ERR_INTERNAL;
    return ERR_NONE;
}

static void delete_all(struct request *r, struct doomed *list, unsigned n)
{
    pthread_rwlock_wrlock(&r->bucket->lock);
    for (unsigned i = 0; i < n; i++) {
        if (list[i].error == ERR_NONE)
            list[i].error = r->bucket->deleted ? ERR_NO_SUCH_BUCKET : delete_locked(r, &list[i]);
    }
    pthread_rwlock_unlock(&r->bucket->lock);
    for (unsigned i = 0; i < n; i++)
        version_unref(&r->s->store, list[i].old);
}

void op_delete_object(struct request *r)
{
    const char *id = request_param_value(r, "versionId");
    const char *match = request_header(r, "If-Match");
    struct doomed d = {.key = (char *)r->key, .key_len = r->key_len};

    if (id && !object_version_id_valid(id)) {
        reply_error_message(r, ERR_INVALID_ARGUMENT, "Invalid version id specified");
        return;
    }
    snprintf(d.version_id, sizeof(d.version_id), "%s", id ? id : "");
    snprintf(d.etag, sizeof(d.etag), "%s", match ? match : "");
    delete_all(r, &d, 1);
    if (d.error != ERR_NONE) {
        object_reply_condition(r, d.error);
        return;
    }
    reply_status(r, 204);
    if (d.is_marker)
        reply_header(r, "x-amz-delete-marker", "true");
    if (d.result_id[0])
        object_reply_version(r, d.result_id);
}

/* <Delete><Quiet/><Object><Key/><VersionId/><ETag/></Object>...</Delete>. Number of objects, or
 * -EINVAL / -ENOMEM. */
static int parse_delete(struct request *r, struct doomed *list, bool *quiet)
{
    struct xmlin x;
    enum xmlin_event e;
    int n = 0;
    struct doomed *d = NULL;

    xmlin_init(&x, strbuf_str(&r->body.memory), r->body.memory.len);
    while ((e = xmlin_next(&x)) != XMLIN_END) {
        if (e == XMLIN_ERROR || (x.depth == 1 && strcmp(x.name, "Delete")))
            return -EINVAL;
        if (e == XMLIN_OPEN && x.depth == 2 && !strcmp(x.name, "Object")) {
            if (n == DELETE_MAX)
                return -EINVAL;
            d = &list[n++];
        } else if (e == XMLIN_CLOSE && x.depth == 2) {
            if (!strcmp(x.name, "Quiet"))
                *quiet = !strcmp(x.text, "true");
            if (d && !d->key)
                return -EINVAL;
            d = NULL;
        } else if (e == XMLIN_CLOSE && x.depth == 3 && d) {
            if (!strcmp(x.name, "Key")) {
                if (d->key || !x.text_len)
                    return -EINVAL;
                d->key = malloc(x.text_len + 1);
                if (!d->key)
                    return -ENOMEM;
                memcpy(d->key, x.text, x.text_len + 1);
                d->key_len = x.text_len;
                if (x.text_len > STORE_KEY_MAX)
                    d->error = ERR_KEY_TOO_LONG;
            } else if (!strcmp(x.name, "VersionId")) {
                snprintf(d->version_id, sizeof(d->version_id), "%.60s", x.text);
                if (!object_version_id_valid(d->version_id))
                    d->error = ERR_NO_SUCH_VERSION;
            } else if (!strcmp(x.name, "ETag")) {
                snprintf(d->etag, sizeof(d->etag), "%.120s", x.text);
            }
        }
    }
    return n ? n : -EINVAL;
}

static void write_results(struct request *r, const struct doomed *list, int n, bool quiet)
{
    struct strbuf *sb = reply_xml(r, "DeleteResult");

    for (int i = 0; i < n; i++) {
        const struct doomed *d = &list[i];

        if (d->error != ERR_NONE) {
            xml_open(sb, "Error");
            xml_bytes(sb, "Key", d->key, d->key_len);
            if (d->version_id[0])
                xml_text(sb, "VersionId", d->version_id);
            xml_text(sb, "Code", s3d_error_code(d->error));
            xml_text(sb, "Message", s3d_error_message(d->error));
            xml_close(sb, "Error");
            continue;
        }
        if (quiet)
            continue;
        xml_open(sb, "Deleted");
        xml_bytes(sb, "Key", d->key, d->key_len);
        if (d->version_id[0])
            xml_text(sb, "VersionId", d->version_id);
        if (d->is_marker) {
            xml_bool(sb, "DeleteMarker", true);
            xml_text(sb, "DeleteMarkerVersionId", d->result_id);
        }
        xml_close(sb, "Deleted");
    }
    xml_close(sb, "DeleteResult");
}

void op_delete_objects(struct request *r)
{
    struct doomed *list;
    bool quiet = false;
    int n;

    if (!request_header(r, "Content-MD5") && r->body.expected.algo == CHECKSUM_NONE) {
        reply_error_message(r, ERR_INVALID_REQUEST,
                            "Missing required header for this request: Content-MD5 OR "
                            "x-amz-checksum-*");
        return;
    }
    list = calloc(DELETE_MAX, sizeof(*list));
    n = list ? parse_delete(r, list, &quiet) : -ENOMEM;
    if (n == -ENOMEM) {
        reply_failure(r, n, "DeleteObjects");
    } else if (n < 0) {
        reply_error(r, ERR_MALFORMED_XML);
    } else {
        delete_all(r, list, (unsigned)n);
        write_results(r, list, n, quiet);
    }
    for (unsigned i = 0; list && i < DELETE_MAX; i++)
        free(list[i].key);
    free(list);
}
