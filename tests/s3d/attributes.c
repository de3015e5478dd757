/* SPDX-License-Identifier: Apache-2.0 */
/* GetObjectAttributes and RestoreObject. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/parse.h"
#include "base/timefmt.h"
#include "objects.h"
#include "ops.h"
#include "request.h"
#include "xmlout.h"

#define PARTS_PAGE 1000

static void write_checksum(struct strbuf *sb, const struct checksum *c)
{
    if (c->algo != CHECKSUM_NONE)
        xml_text(sb, checksum_element(c->algo), c->text);
}

static void write_parts(struct strbuf *sb, const struct version *v, uint64_t marker, uint64_t max)
{
    unsigned shown = 0;
    uint64_t last = marker;
    bool truncated = false;
    struct strbuf rows = STRBUF_INIT(REPLY_BODY_MAX);

    for (unsigned i = 0; i < v->n_parts; i++) {
        if (v->parts[i].number <= marker)
            continue;
        if (shown == max) {
            truncated = true;
            break;
        }
        shown++;
        last = v->parts[i].number;
        xml_open(&rows, "Part");
        xml_u64(&rows, "PartNumber", v->parts[i].number);
        xml_u64(&rows, "Size", v->parts[i].size);
        write_checksum(&rows, &v->parts[i].checksum);
        xml_close(&rows, "Part");
    }
    xml_open(sb, "ObjectParts");
    xml_u64(sb, "PartsCount", v->n_parts);
    xml_u64(sb, "PartNumberMarker", marker);
    if (truncated)
        xml_u64(sb, "NextPartNumberMarker", last);
    xml_u64(sb, "MaxParts", max);
    xml_bool(sb, "IsTruncated", truncated);
    strbuf_append(sb, strbuf_str(&rows), rows.len);
    xml_close(sb, "ObjectParts");
    if (rows.error)
        sb->error = rows.error;
    strbuf_done(&rows);
}

/* Whether a word is in the comma-separated list. */
static bool wants(const char *list, const char *word)
{
    size_t len = strlen(word);

    for (const char *p = list; *p;) {
        size_t n;

        p += strspn(p, ", ");
        n = strcspn(p, ", ");
        if (n == len && !memcmp(p, word, len))
            return true;
        p += n;
    }
    return false;
}

static bool header_number(struct request *r, const char *name, uint64_t fallback, uint64_t *ret)
{
    const char *value = request_header(r, name);

    *ret = fallback;
    if (!value || (parse_u64(value, ret) == 0 && *ret <= INT32_MAX))
        return true;
    reply_error_message(r, ERR_INVALID_ARGUMENT, "%s is not an integer", name);
    return false;
}

void op_get_object_attributes(struct request *r)
{
    const char *list = request_header(r, "x-amz-object-attributes");
    char date[TIMEFMT_HTTP_SIZE];
    uint64_t max, marker;
    struct version *v;
    struct strbuf *sb;

    if (!list || !*list) {
        reply_error_message(r, ERR_INVALID_ARGUMENT,
                            "The x-amz-object-attributes header "
                            "specifying the attributes to be retrieved "
                            "is either missing or empty");
        return;
    }
    if (!header_number(r, "x-amz-max-parts", PARTS_PAGE, &max) ||
        !header_number(r, "x-amz-part-number-marker", 0, &marker))
        return;
    max = MIN(max, (uint64_t)PARTS_PAGE);
    v = object_find(r);
    if (!v)
        return;
    sb = reply_xml(r, "GetObjectAttributesResponse");
    if (wants(list, "ETag"))
        xml_text(sb, "ETag", v->etag);
    if (wants(list, "Checksum") && v->checksum.algo != CHECKSUM_NONE) {
        xml_open(sb, "Checksum");
        write_checksum(sb, &v->checksum);
        xml_text(sb, "ChecksumType", checksum_type_name(v->checksum.type));
        xml_close(sb, "Checksum");
    }
    if (wants(list, "ObjectParts") && v->n_parts)
        write_parts(sb, v, marker, max);
    if (wants(list, "StorageClass"))
        xml_text(sb, "StorageClass", v->storage_class);
    if (wants(list, "ObjectSize"))
        xml_u64(sb, "ObjectSize", v->size);
    xml_close(sb, "GetObjectAttributesResponse");
    timefmt_http(v->mtime_ns, date);
    reply_header(r, "Last-Modified", date);
    object_reply_version(r, v->id);
    version_unref(&r->s->store, v);
}

/* Done at once, for ever: what matters to a client under test is before and after. Only of the
 * current version. */
void op_restore_object(struct request *r)
{
    struct version *v = object_find(r), *fresh, *old = NULL;
    struct store *st = &r->s->store;
    struct bucket *b = r->bucket;
    int err = -ENOMEM;

    if (!v)
        return;
    if (strcmp(v->storage_class, "GLACIER") && strcmp(v->storage_class, "DEEP_ARCHIVE")) {
        version_unref(st, v);
        reply_error_message(r, ERR_INVALID_OBJECT_STATE,
                            "Restore is not allowed for the object's "
                            "current storage class");
        return;
    }
    fresh = version_clone(v);
    if (fresh &&
        (fields_find(&fresh->fields, "x-amz-restore") ||
         fields_add(&fresh->fields, "x-amz-restore",
                    "ongoing-request=\"false\", expiry-date=\"Fri, 31 Dec 2100 00:00:00 GMT\"") ==
             0)) {
        pthread_rwlock_wrlock(&b->lock);
        err = entry_latest(bucket_find_entry(b, r->key, r->key_len)) != v
                  ? -EINVAL
                  : bucket_publish(st, b, r->key, r->key_len, fresh, &old);
        pthread_rwlock_unlock(&b->lock);
    }
    version_unref(st, err < 0 ? fresh : old);
    version_unref(st, v);
    if (err == -EINVAL)
        reply_error_message(r, ERR_NOT_IMPLEMENTED, "s3d restores current versions only");
    else if (err < 0)
        reply_failure(r, err, "RestoreObject");
    else
        reply_status(r, 202);
}
