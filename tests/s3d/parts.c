/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of multipart uploads, and the listings of uploads and parts. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/attr.h"
#include "base/encode.h"
#include "base/parse.h"
#include "copy.h"
#include "list.h"
#include "objects.h"
#include "ops.h"
#include "request.h"
#include "xmlout.h"

/* What is to be known of an upload while its lock is not held. */
struct upload_facts {
    enum checksum_algo algo;
    bool implied;
};

static bool take_part_number(struct request *r, unsigned *ret)
{
    const char *text = request_param_value(r, "partNumber");
    uint64_t n;

    if (!text || parse_u64(text, &n) < 0 || n < 1 || n > STORE_PARTS_MAX) {
        reply_error_message(r, ERR_INVALID_ARGUMENT,
                            "Part number must be an integer between 1 and 10000, inclusive");
        return false;
    }
    *ret = (unsigned)n;
    return true;
}

static bool find_upload(struct request *r, struct upload_facts *facts)
{
    const struct upload *u;

    pthread_rwlock_rdlock(&r->bucket->lock);
    u = bucket_find_upload(r->bucket, r->key, r->key_len, request_param_value(r, "uploadId"));
    if (u) {
        facts->algo = u->algo;
        facts->implied = u->algo_implied;
    }
    pthread_rwlock_unlock(&r->bucket->lock);
    if (!u)
        reply_error(r, ERR_NO_SUCH_UPLOAD);
    return u != NULL;
}

bool op_upload_part_begin(struct request *r)
{
    struct upload_facts facts;
    unsigned number;
    enum checksum_algo got;

    if (!take_part_number(r, &number) || !find_upload(r, &facts))
        return false;
    if (!body_begin(r, BODY_BLOB, OBJECT_PUT_MAX, facts.implied ? facts.algo : CHECKSUM_NONE))
        return false;
    got = r->body.sum_implied ? CHECKSUM_NONE : r->body.sum.algo;
    /* An upload that named an algorithm wants it with each part; one that did not, none. */
    if (facts.implied ? got == CHECKSUM_NONE || got == facts.algo : got == facts.algo)
        return true;
    reply_error_message(r, ERR_INVALID_REQUEST,
                        "Checksum Type mismatch occurred, expected checksum Type: %s, actual "
                        "checksum Type: %s",
                        facts.implied ? "null" : checksum_name(facts.algo),
                        got == CHECKSUM_NONE ? "null" : checksum_name(got));
    return false;
}

/* Adds p (taken over in any case). False: the reply says why. */
static bool add_part(struct request *r, struct part *p)
{
    struct bucket *b = r->bucket;
    struct part *old = NULL;
    struct upload *u;
    int err = -ENOENT;

    pthread_rwlock_wrlock(&b->lock);
    u = bucket_find_upload(b, r->key, r->key_len, request_param_value(r, "uploadId"));
    if (u)
        err = bucket_add_part(&r->s->store, b, r->key, r->key_len, u, p, &old);
    pthread_rwlock_unlock(&b->lock);
    part_unref(&r->s->store, err < 0 ? p : old);
    if (err == -ENOENT)
        reply_error(r, ERR_NO_SUCH_UPLOAD);
    else if (err < 0)
        reply_failure(r, err, "UploadPart");
    return err == 0;
}

void op_upload_part(struct request *r)
{
    struct part *p = part_new();
    struct checksum sum = r->body.checksum;
    char etag[48];

    if (!p || !take_part_number(r, &p->number) ||
        !object_take_blob(r, &p->segments, &p->n_segments)) {
        part_unref(&r->s->store, p);
        if (!r->reply.status)
            reply_failure(r, ENOMEM, "UploadPart");
        return;
    }
    object_make_etag(r, etag);
    memcpy(p->etag, etag, sizeof(etag));
    p->size = r->body.len;
    p->mtime_ns = r->now_ns - r->now_ns % NS_PER_S;
    p->checksum = sum;
    if (!add_part(r, p))
        return;
    reply_status(r, 200);
    reply_etag(r, etag);
    if (sum.algo != CHECKSUM_NONE)
        reply_header(r, checksum_header(sum.algo), sum.text);
    reply_header(r, "x-amz-server-side-encryption", "AES256");
}

/* x-amz-copy-source-range: "bytes=FIRST-LAST", both needed. */
static bool take_copy_range(struct request *r, const struct version *v, uint64_t *ret_first,
                            uint64_t *ret_len)
{
    const char *range = request_header(r, "x-amz-copy-source-range");
    unsigned long long first, last;
    char extra;

    *ret_first = 0;
    *ret_len = v->size;
    if (range) {
        if (sscanf(range, "bytes=%llu-%llu%c", &first, &last, &extra) != 2 || first > last ||
            strlen(range) > 48) {
            reply_error_message(r, ERR_INVALID_ARGUMENT,
                                "The x-amz-copy-source-range value must be of the form "
                                "bytes=first-last where first and last are the zero-based offsets "
                                "of the first and last bytes to copy");
            return false;
        }
        if (last >= v->size) {
            reply_error_message(r, ERR_INVALID_ARGUMENT,
                                "Range specified is not valid for source object of size: %" PRIu64,
                                v->size);
            return false;
        }
        if (v->size <= OBJECT_PART_MIN) {
            reply_error_message(r, ERR_INVALID_REQUEST,
                                "The specified copy range is invalid for the source object size.");
            return false;
        }
        *ret_first = first;
        *ret_len = last - first + 1;
    }
    if (*ret_len > OBJECT_PUT_MAX) {
        reply_error_message(r, ERR_INVALID_REQUEST,
                            "The specified copy source is larger than the maximum allowable size "
                            "for a copy source: 5368709120");
        return false;
    }
    return true;
}

static int digest_part(struct request *r, struct part *p, enum checksum_algo algo)
{
    uint8_t md5[DIGEST_MD5_SIZE];
    bool opaque = r->s->config.opaque_etag;
    int err = 0;

    if (opaque && getrandom(md5, sizeof(md5), 0) != (ssize_t)sizeof(md5))
        return -EIO;
    if (!opaque || algo != CHECKSUM_NONE)
        err = segments_digest(&r->s->store, p->segments, p->n_segments, opaque ? NULL : md5,
                              algo != CHECKSUM_NONE ? &p->checksum : NULL, algo);
    encode_hex(md5, sizeof(md5), p->etag);
    return err;
}

static void write_copy_result(struct request *r, const struct copy_source *src,
                              const struct part *p)
{
    struct strbuf *sb = reply_xml(r, "CopyPartResult");

    xml_time(sb, "LastModified", p->mtime_ns);
    xml_etag(sb, p->etag);
    if (p->checksum.algo != CHECKSUM_NONE)
        xml_text(sb, checksum_element(p->checksum.algo), p->checksum.text);
    xml_close(sb, "CopyPartResult");
    if (strcmp(src->version->id, "null") || src->bucket->versioning != VERSIONING_OFF)
        reply_header(r, "x-amz-copy-source-version-id", src->version->id);
    reply_header(r, "x-amz-server-side-encryption", "AES256");
}

static void copy_part(struct request *r, const struct copy_source *src,
                      const struct upload_facts *facts, unsigned number)
{
    const struct version *v = src->version;
    struct part *p, shown;
    uint64_t first, len;
    int err;

    if (!take_copy_range(r, v, &first, &len))
        return;
    p = part_new();
    err = p ? segments_slice(v->segments, v->n_segments, first, len, &p->segments, &p->n_segments)
            : -ENOMEM;
    if (err == 0) {
        p->number = number;
        p->size = len;
        p->mtime_ns = r->now_ns - r->now_ns % NS_PER_S;
        err = digest_part(r, p, facts->algo);
    }
    if (err < 0) {
        part_unref(&r->s->store, p);
        reply_failure(r, err, "UploadPartCopy");
        return;
    }
    memcpy(&shown, p, sizeof(shown)); /* for the answer; its pointers are not used */
    if (add_part(r, p))
        write_copy_result(r, src, &shown);
}

void op_upload_part_copy(struct request *r)
{
    struct upload_facts facts;
    struct copy_source src;
    unsigned number;

    if (!take_part_number(r, &number) || !find_upload(r, &facts))
        return;
    if (copy_source_find(r, &src))
        copy_part(r, &src, &facts, number);
    copy_source_done(r, &src);
}

void op_list_parts(struct request *r)
{
    struct bucket *b = r->bucket;
    uint64_t max, marker, last = 0;
    struct strbuf rows = STRBUF_INIT(REPLY_BODY_MAX / 2), *sb;
    const struct upload *u;
    unsigned shown = 0;
    bool truncated = false, url;

    if (!list_limits(r, "max-parts", &max, &url) ||
        !request_param_number(r, "part-number-marker", 0, &marker))
        return;
    pthread_rwlock_rdlock(&b->lock);
    u = bucket_find_upload(b, r->key, r->key_len, request_param_value(r, "uploadId"));
    for (uint64_t i = marker; u && i < u->alloc; i++) {
        const struct part *p = u->parts[i];

        if (!p)
            continue;
        if (shown == max) {
            truncated = max > 0;
            break;
        }
        shown++;
        last = p->number;
        xml_open(&rows, "Part");
        xml_u64(&rows, "PartNumber", p->number);
        xml_time(&rows, "LastModified", p->mtime_ns);
        xml_etag(&rows, p->etag);
        xml_u64(&rows, "Size", p->size);
        if (p->checksum.algo != CHECKSUM_NONE)
            xml_text(&rows, checksum_element(p->checksum.algo), p->checksum.text);
        xml_close(&rows, "Part");
    }
    if (u) {
        sb = reply_xml(r, "ListPartsResult");
        xml_text(sb, "Bucket", b->name);
        xml_key(sb, "Key", r->key, r->key_len, url);
        xml_text(sb, "UploadId", u->id);
        strbuf_append_str(sb, "<Initiator><ID>s3d</ID><DisplayName>s3d</DisplayName></Initiator>"
                              "<Owner><ID>s3d</ID><DisplayName>s3d</DisplayName></Owner>");
        xml_text(sb, "StorageClass", u->storage_class);
        xml_u64(sb, "PartNumberMarker", marker);
        if (r->fault.action == FAULT_REPEAT_TOKEN) {
            truncated = true;
            last = marker;
        }
        xml_u64(sb, "NextPartNumberMarker", last);
        xml_u64(sb, "MaxParts", max);
        xml_bool(sb, "IsTruncated", truncated);
        if (u->algo != CHECKSUM_NONE) {
            xml_text(sb, "ChecksumAlgorithm", checksum_name(u->algo));
            xml_text(sb, "ChecksumType", checksum_type_name(u->type));
        }
        strbuf_append(sb, strbuf_str(&rows), rows.len);
        xml_close(sb, "ListPartsResult");
    } else {
        reply_error(r, ERR_NO_SUCH_UPLOAD);
    }
    pthread_rwlock_unlock(&b->lock);
    if (rows.error)
        reply_failure(r, ENOMEM, "ListParts");
    strbuf_done(&rows);
}

struct upload_walk {
    struct bytes prefix, delimiter, marker;
    uint64_t marker_seq; /* of the upload-id-marker, UINT64_MAX: behind all of marker's */
    bool url;
    uint64_t max;
    struct strbuf rows, prefixes;
    unsigned count;
    bool truncated;
    struct bytes last;
    const struct upload *last_upload; /* NULL: a common prefix */
};

static void write_upload(struct upload_walk *w, const struct skipnode *n)
{
    const struct upload *u = n->value;
    struct strbuf *sb = &w->rows;

    xml_open(sb, "Upload");
    xml_key(sb, "Key", n->key, n->key_len, w->url);
    xml_text(sb, "UploadId", u->id);
    strbuf_append_str(sb, "<Initiator><ID>s3d</ID><DisplayName>s3d</DisplayName></Initiator>"
                          "<Owner><ID>s3d</ID><DisplayName>s3d</DisplayName></Owner>");
    xml_text(sb, "StorageClass", u->storage_class);
    xml_time(sb, "Initiated", u->initiated_ns);
    if (u->algo != CHECKSUM_NONE) {
        xml_text(sb, "ChecksumAlgorithm", checksum_name(u->algo));
        xml_text(sb, "ChecksumType", checksum_type_name(u->type));
    }
    xml_close(sb, "Upload");
}

static bool behind_marker(const struct upload_walk *w, const struct skipnode *n)
{
    int c = w->marker.len ? key_compare(n->key, n->key_len, w->marker.p, w->marker.len) : 1;

    return c > 0 || (c == 0 && n->seq > w->marker_seq);
}

static void walk_uploads(struct request *r, struct upload_walk *w)
{
    const struct skiplist *uploads = &r->bucket->uploads;
    struct bytes from = key_compare(w->marker.p, w->marker.len, w->prefix.p, w->prefix.len) > 0
                            ? w->marker
                            : w->prefix;
    struct skipnode *n = skiplist_seek(uploads, from.p, from.len, 0);

    while (n && list_starts_with(n->key, n->key_len, w->prefix)) {
        size_t roll = list_roll_up(n->key, n->key_len, w->prefix, w->delimiter);

        if (!behind_marker(w, n)) {
            n = skipnode_next(n);
            continue;
        }
        if (roll && w->marker.len == roll && !memcmp(w->marker.p, n->key, roll)) {
            n = skiplist_seek_past_prefix(uploads, n->key, roll);
            continue;
        }
        if (w->count == w->max) {
            w->truncated = w->max > 0;
            return;
        }
        w->count++;
        w->last = (struct bytes){n->key, roll ? roll : n->key_len};
        w->last_upload = roll ? NULL : n->value;
        if (!roll) {
            write_upload(w, n);
            n = skipnode_next(n);
            continue;
        }
        strbuf_append_str(&w->prefixes, "<CommonPrefixes>");
        xml_key(&w->prefixes, "Prefix", n->key, roll, w->url);
        strbuf_append_str(&w->prefixes, "</CommonPrefixes>");
        n = skiplist_seek_past_prefix(uploads, n->key, roll);
    }
}

static void write_uploads(struct request *r, struct upload_walk *w, const char *id_marker)
{
    struct strbuf *sb = reply_xml(r, "ListMultipartUploadsResult");
    bool repeat = r->fault.action == FAULT_REPEAT_TOKEN;

    xml_text(sb, "Bucket", r->bucket->name);
    xml_key(sb, "KeyMarker", w->marker.p, w->marker.len, w->url);
    xml_text(sb, "UploadIdMarker", id_marker ? id_marker : "");
    if (repeat) {
        w->truncated = true;
        w->last = w->marker;
    }
    if (w->truncated) {
        xml_key(sb, "NextKeyMarker", w->last.p, w->last.len, w->url);
        if (repeat)
            xml_text(sb, "NextUploadIdMarker", id_marker ? id_marker : "");
        else if (w->last_upload)
            xml_text(sb, "NextUploadIdMarker", w->last_upload->id);
    }
    xml_key(sb, "Prefix", w->prefix.p, w->prefix.len, w->url);
    if (w->delimiter.len)
        xml_key(sb, "Delimiter", w->delimiter.p, w->delimiter.len, w->url);
    xml_u64(sb, "MaxUploads", w->max);
    if (w->url)
        xml_text(sb, "EncodingType", "url");
    xml_bool(sb, "IsTruncated", w->truncated);
    strbuf_append(sb, strbuf_str(&w->rows), w->rows.len);
    strbuf_append(sb, strbuf_str(&w->prefixes), w->prefixes.len);
    xml_close(sb, "ListMultipartUploadsResult");
    if (w->rows.error || w->prefixes.error)
        reply_failure(r, ENOMEM, "ListMultipartUploads");
}

void op_list_multipart_uploads(struct request *r)
{
    const char *id_marker = request_param_value(r, "upload-id-marker");
    struct upload_walk w = {.marker_seq = UINT64_MAX};

    if (!list_limits(r, "max-uploads", &w.max, &w.url))
        return;
    w.prefix = list_param(r, "prefix");
    w.delimiter = list_param(r, "delimiter");
    w.marker = list_param(r, "key-marker");
    /* The id's first 12 digits are its place in the order of initiation. */
    if (id_marker && *id_marker && w.marker.len) {
        char seq[13];

        snprintf(seq, sizeof(seq), "%.12s", id_marker);
        if (parse_u64_base(seq, 16, &w.marker_seq) < 0) {
            reply_error_message(r, ERR_INVALID_ARGUMENT, "Invalid uploadId marker");
            return;
        }
    }
    strbuf_init(&w.rows, REPLY_BODY_MAX / 2);
    strbuf_init(&w.prefixes, REPLY_BODY_MAX / 2);
    pthread_rwlock_rdlock(&r->bucket->lock);
    walk_uploads(r, &w);
    write_uploads(r, &w, id_marker);
    pthread_rwlock_unlock(&r->bucket->lock);
    strbuf_done(&w.rows);
    strbuf_done(&w.prefixes);
}
