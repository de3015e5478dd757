/* SPDX-License-Identifier: Apache-2.0 */
/* PutObject, and what other writes share with it. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/attr.h"
#include "base/encode.h"
#include "base/log.h"
#include "conditions.h"
#include "objects.h"
#include "ops.h"
#include "request.h"
#include "xmlout.h"

#define HEADER_MAX 4096 /* of one header that is kept */

/* Kept with the object and sent back under these names. */
static const char *const kept_headers[] = {
    "Content-Type", "Cache-Control",    "Content-Disposition",
    "Expires",      "Content-Language", "x-amz-website-redirect-location",
};

static const char *const storage_classes[] = {
    "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING",
    "GLACIER",  "DEEP_ARCHIVE",       "GLACIER_IR",
};

struct meta_walk {
    struct fields *fields;
    size_t bytes;
    bool failed;
};

static enum MHD_Result take_meta(void *cls, enum MHD_ValueKind kind, const char *key,
                                 const char *value)
{
    struct meta_walk *w = cls;
    char name[512];
    size_t len = strlen(key);

    (void)kind;
    if (strncasecmp(key, "x-amz-meta-", 11))
        return MHD_YES;
    value = value ? value : "";
    w->bytes += len - 11 + strlen(value);
    if (len >= sizeof(name) || w->bytes > METADATA_MAX) {
        w->bytes = METADATA_MAX + 1;
        return MHD_NO;
    }
    for (size_t i = 0; i <= len; i++)
        name[i] = (char)tolower((unsigned char)key[i]);
    for (unsigned i = 0; i < w->fields->count; i++) {
        struct field *f = &w->fields->list[i];
        char *joined;

        if (strcmp(f->name, name))
            continue;
        if (asprintf(&joined, "%s,%s", f->value, value) < 0) {
            w->failed = true;
            return MHD_NO;
        }
        free(f->value);
        f->value = joined;
        return MHD_YES;
    }
    if (fields_add(w->fields, name, value) < 0)
        w->failed = true;
    return MHD_YES;
}

/* Content-Encoding without "aws-chunked", which is of the transfer and not of the object. */
static int take_encoding(struct fields *f, const char *value)
{
    char *copy = strdup(value), *save = NULL;
    char out[256] = "";
    int err = 0;

    if (!copy)
        return -ENOMEM;
    for (char *word = strtok_r(copy, ", ", &save); word; word = strtok_r(NULL, ", ", &save)) {
        size_t used = strlen(out);

        if (strcasecmp(word, "aws-chunked"))
            snprintf(out + used, sizeof(out) - used, "%s%s", used ? "," : "", word);
    }
    free(copy);
    if (out[0])
        err = fields_add(f, "Content-Encoding", out);
    return err;
}

bool object_take_fields(struct request *r, struct fields *f, char storage_class[24])
{
    const char *value;
    struct meta_walk w = {.fields = f};
    bool known = false;

    for (size_t i = 0; i < ARRAY_SIZE(kept_headers); i++) {
        value = request_header(r, kept_headers[i]);
        if (value && strlen(value) > HEADER_MAX) {
            reply_error(r, ERR_REQUEST_HEADERS_TOO_LARGE);
            return false;
        }
        if (value && *value && fields_add(f, kept_headers[i], value) < 0)
            w.failed = true;
    }
    value = request_header(r, "Content-Encoding");
    if (value && take_encoding(f, value) < 0)
        w.failed = true;
    MHD_get_connection_values(r->mhd, MHD_HEADER_KIND, take_meta, &w);
    if (w.failed) {
        reply_failure(r, ENOMEM, "metadata");
        return false;
    }
    if (w.bytes > METADATA_MAX) {
        reply_error_extra(r, ERR_METADATA_TOO_LARGE, NULL, "<MaxSizeAllowed>2048</MaxSizeAllowed>");
        return false;
    }
    value = request_header(r, "x-amz-storage-class");
    value = value ? value : "STANDARD";
    for (size_t i = 0; i < ARRAY_SIZE(storage_classes); i++)
        known |= !strcmp(value, storage_classes[i]);
    if (!known) {
        reply_error(r, ERR_INVALID_STORAGE_CLASS);
        return false;
    }
    snprintf(storage_class, 24, "%s", value);
    return true;
}

void object_make_etag(struct request *r, char etag[48])
{
    uint8_t raw[DIGEST_MD5_SIZE];

    if (!r->s->config.opaque_etag)
        memcpy(raw, r->body.md5_raw, sizeof(raw));
    else if (getrandom(raw, sizeof(raw), 0) != (ssize_t)sizeof(raw))
        memcpy(raw, r->id, sizeof(raw));
    encode_hex(raw, sizeof(raw), etag);
}

void object_reply_version(struct request *r, const char *id)
{
    if (strcmp(id, "null") || r->bucket->versioning != VERSIONING_OFF)
        reply_header(r, "x-amz-version-id", id);
}

void object_reply_checksum(struct request *r, const struct checksum *c)
{
    if (c->algo == CHECKSUM_NONE)
        return;
    reply_header(r, checksum_header(c->algo), c->text);
    reply_header(r, "x-amz-checksum-type", checksum_type_name(c->type));
}

void object_reply_condition(struct request *r, enum s3d_error e)
{
    const char *name = request_header(r, "If-None-Match") ? "If-None-Match" : "If-Match";
    char extra[64];

    if (e != ERR_PRECONDITION_FAILED) {
        reply_error(r, e);
        return;
    }
    snprintf(extra, sizeof(extra), "<Condition>%s</Condition>", name);
    reply_error_extra(r, e, NULL, extra);
}

enum s3d_error object_publish_locked(struct request *r, struct version *v, struct version **ret_old)
{
    struct store *st = &r->s->store;
    struct bucket *b = r->bucket;
    enum s3d_error e;
    int err;

    *ret_old = NULL;
    if (b->deleted)
        e = ERR_NO_SUCH_BUCKET;
    else
        e = condition_write(r, entry_latest(bucket_find_entry(b, r->key, r->key_len)));
    if (e != ERR_NONE) {
        *ret_old = v; /* let go of outside the lock */
        return e;
    }
    if (b->versioning == VERSIONING_ENABLED)
        version_make_id(v->id, r->now_ns);
    err = bucket_publish(st, b, r->key, r->key_len, v, ret_old);
    if (err < 0) {
        log_error("publish: %s", strerror(-err));
        *ret_old = v;
        return ERR_INTERNAL;
    }
    return ERR_NONE;
}

bool object_publish(struct request *r, struct version *v)
{
    char id[STORE_VERSION_ID_MAX];
    struct version *old;
    enum s3d_error e;

    pthread_rwlock_wrlock(&r->bucket->lock);
    e = object_publish_locked(r, v, &old);
    if (e == ERR_NONE)
        memcpy(id, v->id, sizeof(id));
    pthread_rwlock_unlock(&r->bucket->lock);
    version_unref(&r->s->store, old);
    if (e != ERR_NONE) {
        object_reply_condition(r, e);
        return false;
    }
    object_reply_version(r, id);
    return true;
}

bool op_put_object_begin(struct request *r)
{
    enum s3d_error e = condition_write_supported(r);

    if (e != ERR_NONE) {
        reply_error(r, e);
        return false;
    }
    return body_begin(r, BODY_BLOB, OBJECT_PUT_MAX,
                      r->s->config.no_default_checksum ? CHECKSUM_NONE : CHECKSUM_CRC64NVME);
}

bool object_take_blob(struct request *r, struct segment **segments, unsigned *n)
{
    if (!r->body.blob)
        return true; /* empty */
    *segments = malloc(sizeof(**segments));
    if (!*segments)
        return false;
    **segments = (struct segment){r->body.blob, 0, r->body.len};
    *n = 1;
    r->body.blob = NULL;
    close(r->body.fd);
    return true;
}

void op_put_object(struct request *r)
{
    struct version *v = version_new();
    char etag[48];
    struct checksum sum;

    if (!v) {
        reply_failure(r, ENOMEM, "PutObject");
        return;
    }
    if (!object_take_fields(r, &v->fields, v->storage_class)) {
        version_unref(&r->s->store, v);
        return;
    }
    if (!object_take_blob(r, &v->segments, &v->n_segments)) {
        version_unref(&r->s->store, v);
        reply_failure(r, ENOMEM, "PutObject");
        return;
    }
    object_make_etag(r, etag);
    memcpy(v->etag, etag, sizeof(etag));
    v->size = r->body.len;
    v->mtime_ns = s3d_now_ns(r->s);
    v->mtime_ns -= v->mtime_ns % NS_PER_S;
    v->checksum = sum = r->body.checksum;
    if (!object_publish(r, v))
        return;
    reply_status(r, 200);
    reply_etag(r, etag);
    object_reply_checksum(r, &sum);
    reply_header(r, "x-amz-server-side-encryption", "AES256");
}
