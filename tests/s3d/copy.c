/* SPDX-License-Identifier: Apache-2.0 */
/* CopyObject: the new version shares the source's blobs. */
#include "copy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/attr.h"
#include "base/encode.h"
#include "conditions.h"
#include "objects.h"
#include "ops.h"
#include "request.h"
#include "xmlout.h"

static bool bad_source(struct request *r)
{
    reply_error_message(r, ERR_INVALID_ARGUMENT,
                        "Copy Source must mention the source bucket and key: "
                        "sourcebucket/sourcekey");
    return false;
}

/* "[/]BUCKET/KEY[?versionId=ID]", percent-encoded. */
static bool parse_source(struct request *r, struct copy_source *src)
{
    const char *header = request_header(r, "x-amz-copy-source"), *query;
    char *slash;
    size_t len;

    if (!header)
        return bad_source(r);
    header += *header == '/';
    query = strstr(header, "?versionId=");
    if (query)
        snprintf(src->version_id, sizeof(src->version_id), "%.60s", query + 11);
    src->decoded = strndup(header, query ? (size_t)(query - header) : strlen(header));
    if (!src->decoded) {
        reply_failure(r, ENOMEM, "copy");
        return false;
    }
    if (decode_percent(src->decoded, false, src->decoded, &len) < 0)
        return bad_source(r);
    src->decoded[len] = '\0';
    slash = memchr(src->decoded, '/', len);
    if (!slash || slash == src->decoded + len - 1 || slash == src->decoded)
        return bad_source(r);
    *slash = '\0';
    src->key = slash + 1;
    src->key_len = len - (size_t)(src->key - src->decoded);
    if (query && !object_version_id_valid(src->version_id)) {
        reply_error_message(r, ERR_INVALID_ARGUMENT, "Invalid version id specified");
        return false;
    }
    return true;
}

static bool find_version(struct request *r, struct copy_source *src)
{
    struct version *v;
    struct entry *e;

    src->bucket = store_find_bucket(&r->s->store, src->decoded);
    if (!src->bucket) {
        reply_error(r, ERR_NO_SUCH_BUCKET);
        return false;
    }
    pthread_rwlock_rdlock(&src->bucket->lock);
    e = bucket_find_entry(src->bucket, src->key, src->key_len);
    v = src->version_id[0] ? entry_find_version(e, src->version_id) : entry_latest(e);
    if (v)
        src->version = version_ref(v);
    pthread_rwlock_unlock(&src->bucket->lock);
    if (v && v->delete_marker && src->version_id[0]) {
        reply_error_message(r, ERR_INVALID_REQUEST,
                            "The source of a copy request may not specifically refer to a delete "
                            "marker by version id.");
        return false;
    }
    if (!v || v->delete_marker) {
        reply_error(r, src->version_id[0] ? ERR_NO_SUCH_VERSION : ERR_NO_SUCH_KEY);
        return false;
    }
    return true;
}

bool copy_source_find(struct request *r, struct copy_source *src)
{
    const struct version *v;
    enum s3d_error e;

    memset(src, 0, sizeof(*src));
    if (!parse_source(r, src) || !find_version(r, src))
        return false;
    v = src->version;
    e = condition_copy_source(r, v);
    if (e == ERR_NONE && !strcmp(v->storage_class, "GLACIER") &&
        !fields_find(&v->fields, "x-amz-restore"))
        e = ERR_NOT_IN_ACTIVE_TIER;
    if (e == ERR_NONE && !strcmp(v->storage_class, "DEEP_ARCHIVE") &&
        !fields_find(&v->fields, "x-amz-restore"))
        e = ERR_NOT_IN_ACTIVE_TIER;
    if (e != ERR_NONE) {
        reply_error(r, e);
        return false;
    }
    return true;
}

void copy_source_done(struct request *r, struct copy_source *src)
{
    version_unref(&r->s->store, src->version);
    free(src->decoded);
    src->version = NULL;
    src->decoded = NULL;
}

/* REPLACE takes the metadata of this request, COPY (the default) the source's. */
static bool take_fields(struct request *r, const struct version *from, struct version *v,
                        bool replace)
{
    struct fields ignored = {0};
    bool ok;

    if (replace)
        return object_take_fields(r, &v->fields, v->storage_class);
    ok = object_take_fields(r, &ignored, v->storage_class);
    fields_done(&ignored);
    if (!ok)
        return false;
    for (unsigned i = 0; i < from->fields.count; i++) {
        const struct field *f = &from->fields.list[i];

        if (!strcmp(f->name, "x-amz-restore") ||
            !strcmp(f->name, "x-amz-website-redirect-location"))
            continue;
        if (fields_add(&v->fields, f->name, f->value) < 0) {
            reply_failure(r, ENOMEM, "CopyObject");
            return false;
        }
    }
    return true;
}

/* A copy is one piece: its ETag is the MD5 of all bytes, its checksum one over all bytes, also
 * when the source was uploaded in parts. */
static int take_digests(struct request *r, const struct version *from, struct version *v)
{
    const char *named = request_header(r, "x-amz-checksum-algorithm");
    enum checksum_algo algo = named ? checksum_from_name(named) : from->checksum.algo;
    bool keep_sum = from->checksum.algo == algo && from->checksum.type == CHECKSUM_FULL_OBJECT;
    bool keep_etag = !from->n_parts;
    uint8_t md5[DIGEST_MD5_SIZE];
    int err = 0;

    if (algo == CHECKSUM_MAX)
        return -EINVAL;
    v->checksum = from->checksum;
    memcpy(v->etag, from->etag, sizeof(v->etag));
    if (keep_etag && keep_sum)
        return 0;
    if (!keep_etag && r->s->config.opaque_etag) {
        if (getrandom(md5, sizeof(md5), 0) != (ssize_t)sizeof(md5))
            return -EIO;
        if (!keep_sum)
            err =
                segments_digest(&r->s->store, v->segments, v->n_segments, NULL, &v->checksum, algo);
    } else {
        err = segments_digest(&r->s->store, v->segments, v->n_segments, keep_etag ? NULL : md5,
                              keep_sum ? NULL : &v->checksum, keep_sum ? CHECKSUM_NONE : algo);
    }
    if (err == 0 && !keep_etag)
        encode_hex(md5, sizeof(md5), v->etag);
    return err;
}

static bool check_copy(struct request *r, const struct copy_source *src, bool *ret_replace)
{
    const char *directive = request_header(r, "x-amz-metadata-directive");
    const char *class = request_header(r, "x-amz-storage-class");
    enum s3d_error e = condition_write_supported(r);

    *ret_replace = directive && !strcmp(directive, "REPLACE");
    if (e != ERR_NONE) {
        reply_error(r, e);
        return false;
    }
    if (directive && !*ret_replace && strcmp(directive, "COPY")) {
        reply_error_message(r, ERR_INVALID_ARGUMENT, "Unknown metadata directive.");
        return false;
    }
    if (src->version->size > OBJECT_PUT_MAX) {
        reply_error_message(r, ERR_INVALID_REQUEST,
                            "The specified copy source is larger than the maximum allowable size "
                            "for a copy source: 5368709120");
        return false;
    }
    if (!*ret_replace && src->bucket == r->bucket && !src->version_id[0] &&
        key_compare(src->key, src->key_len, r->key, r->key_len) == 0 &&
        (!class || !strcmp(class, src->version->storage_class)) &&
        !request_header(r, "x-amz-website-redirect-location") &&
        !request_header(r, "x-amz-server-side-encryption") &&
        !request_header(r, "x-amz-checksum-algorithm")) {
        reply_error_message(r, ERR_INVALID_REQUEST,
                            "This copy request is illegal because it is trying to copy an object "
                            "to itself without changing the object's metadata, storage class, "
                            "website redirect location or encryption attributes.");
        return false;
    }
    return true;
}

static void write_result(struct request *r, const struct copy_source *src, const char *etag,
                         int64_t mtime_ns, const struct checksum *sum)
{
    struct strbuf *sb = reply_xml(r, "CopyObjectResult");

    xml_time(sb, "LastModified", mtime_ns);
    xml_etag(sb, etag);
    if (sum->algo != CHECKSUM_NONE) {
        xml_text(sb, checksum_element(sum->algo), sum->text);
        xml_text(sb, "ChecksumType", checksum_type_name(sum->type));
    }
    xml_close(sb, "CopyObjectResult");
    if (strcmp(src->version->id, "null") || src->bucket->versioning != VERSIONING_OFF)
        reply_header(r, "x-amz-copy-source-version-id", src->version->id);
    reply_header(r, "x-amz-server-side-encryption", "AES256");
}

static void copy_version(struct request *r, const struct copy_source *src)
{
    const struct version *from = src->version;
    struct version *v;
    struct checksum sum;
    int64_t mtime_ns;
    char etag[48];
    bool replace;
    int err;

    if (!check_copy(r, src, &replace))
        return;
    v = version_new();
    err = v ? segments_slice(from->segments, from->n_segments, 0, from->size, &v->segments,
                             &v->n_segments)
            : -ENOMEM;
    if (err < 0) {
        reply_failure(r, err, "CopyObject");
        version_unref(&r->s->store, v);
        return;
    }
    if (!take_fields(r, from, v, replace)) {
        version_unref(&r->s->store, v);
        return;
    }
    v->size = from->size;
    v->mtime_ns = s3d_now_ns(r->s);
    v->mtime_ns -= v->mtime_ns % NS_PER_S;
    err = take_digests(r, from, v);
    if (err < 0) {
        version_unref(&r->s->store, v);
        if (err == -EINVAL)
            reply_error_message(r, ERR_INVALID_REQUEST,
                                "Checksum algorithm provided is unsupported.");
        else
            reply_failure(r, err, "CopyObject");
        return;
    }
    sum = v->checksum;
    mtime_ns = v->mtime_ns;
    memcpy(etag, v->etag, sizeof(etag));
    if (object_publish(r, v))
        write_result(r, src, etag, mtime_ns, &sum);
}

void op_copy_object(struct request *r)
{
    struct copy_source src;

    if (copy_source_find(r, &src))
        copy_version(r, &src);
    copy_source_done(r, &src);
}
