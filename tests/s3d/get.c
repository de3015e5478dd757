/* SPDX-License-Identifier: Apache-2.0 */
/* GetObject and HeadObject. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/parse.h"
#include "base/timefmt.h"
#include "conditions.h"
#include "objects.h"
#include "ops.h"
#include "request.h"

bool object_version_id_valid(const char *id)
{
    return !strcmp(id, "null") || strlen(id) == 32;
}

static struct version *not_found(struct request *r, struct version *v, bool by_id)
{
    char date[TIMEFMT_HTTP_SIZE];

    if (v && by_id) {
        reply_error_extra(r, ERR_METHOD_NOT_ALLOWED, NULL,
                          "<Method>GET</Method><ResourceType>DeleteMarker</ResourceType>");
        reply_header(r, "Allow", "DELETE");
        timefmt_http(v->mtime_ns, date);
        reply_header(r, "Last-Modified", date);
    } else {
        reply_error(r, by_id ? ERR_NO_SUCH_VERSION : ERR_NO_SUCH_KEY);
    }
    if (v) {
        reply_header(r, "x-amz-delete-marker", "true");
        reply_header(r, "x-amz-version-id", v->id);
    }
    return NULL;
}

struct version *object_find(struct request *r)
{
    const char *id = request_param_value(r, "versionId");
    struct bucket *b = r->bucket;
    struct version *v;
    struct entry *e;

    if (id && !object_version_id_valid(id)) {
        reply_error_message(r, ERR_INVALID_ARGUMENT, "Invalid version id specified");
        return NULL;
    }
    pthread_rwlock_rdlock(&b->lock);
    e = bucket_find_entry(b, r->key, r->key_len);
    v = id ? entry_find_version(e, id) : entry_latest(e);
    if (v)
        version_ref(v);
    pthread_rwlock_unlock(&b->lock);
    if (!v || v->delete_marker) {
        (void)not_found(r, v, id != NULL);
        version_unref(&r->s->store, v);
        return NULL;
    }
    return v;
}

/* 1: a range, 0: none that is understood (the whole object is sent), -1: not satisfiable. */
static int parse_range(const char *s, uint64_t size, uint64_t *ret_first, uint64_t *ret_len)
{
    char first[24], last[24];
    const char *dash;
    uint64_t a = 0, b = UINT64_MAX;

    if (!s || strncmp(s, "bytes=", 6))
        return 0;
    s += 6;
    dash = strchr(s, '-');
    if (!dash || strchr(s, ',') || (size_t)(dash - s) >= sizeof(first) ||
        strlen(dash + 1) >= sizeof(last))
        return 0;
    snprintf(first, sizeof(first), "%.*s", (int)(dash - s), s);
    snprintf(last, sizeof(last), "%s", dash + 1);
    if (!first[0] && !last[0])
        return 0;
    if ((first[0] && parse_u64(first, &a) < 0) || (last[0] && parse_u64(last, &b) < 0))
        return 0;
    if (!first[0]) {
        if (!b || !size)
            return -1;
        a = b < size ? size - b : 0;
        b = size - 1;
    } else if (last[0] && a > b) {
        return 0;
    }
    if (a >= size)
        return -1;
    *ret_first = a;
    *ret_len = MIN(b, size - 1) - a + 1;
    return 1;
}

static bool choose_range(struct request *r, const struct version *v)
{
    const char *range = request_header(r, "Range");
    uint64_t first = 0, len = v->size;
    char extra[256];

    switch (parse_range(range, v->size, &first, &len)) {
    case 1:
        reply_status(r, 206);
        reply_headerf(r, "Content-Range", "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
                      first + len - 1, v->size);
        break;
    case 0:
        reply_status(r, 200);
        break;
    default:
        snprintf(extra, sizeof(extra),
                 "<RangeRequested>%.60s</RangeRequested><ActualObjectSize>%" PRIu64
                 "</ActualObjectSize>",
                 range, v->size);
        reply_error_extra(r, ERR_INVALID_RANGE, NULL, extra);
        reply_headerf(r, "Content-Range", "bytes */%" PRIu64, v->size);
        return false;
    }
    r->reply.offset = first;
    r->reply.length = len;
    return true;
}

/* ?partNumber=N: that part of a multipart object; of another one, part 1 is all of it. */
static bool choose_part(struct request *r, const struct version *v, const char *text)
{
    uint64_t number, offset = 0, len = v->size;

    if (parse_u64(text, &number) < 0 || number < 1 || number > STORE_PARTS_MAX) {
        reply_error_message(r, ERR_INVALID_ARGUMENT,
                            "Part number must be an integer between 1 and 10000, inclusive");
        return false;
    }
    if (request_header(r, "Range")) {
        reply_error_message(r, ERR_INVALID_REQUEST,
                            "Cannot specify both Range header and partNumber query parameter");
        return false;
    }
    if (number > MAX(v->n_parts, 1u)) {
        reply_error(r, ERR_INVALID_PART_NUMBER);
        return false;
    }
    for (unsigned i = 0; i + 1 < number; i++)
        offset += v->parts[i].size;
    if (v->n_parts) {
        len = v->parts[number - 1].size;
        reply_headerf(r, "x-amz-mp-parts-count", "%u", v->n_parts);
    }
    reply_status(r, len ? 206 : 200);
    if (len)
        reply_headerf(r, "Content-Range", "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, offset,
                      offset + len - 1, v->size);
    r->reply.offset = offset;
    r->reply.length = len;
    return true;
}

static void reply_fields(struct request *r, const struct version *v)
{
    static const struct {
        const char *param, *header;
    } overrides[] = {
        {"response-content-type", "Content-Type"},
        {"response-cache-control", "Cache-Control"},
        {"response-content-disposition", "Content-Disposition"},
        {"response-content-encoding", "Content-Encoding"},
        {"response-content-language", "Content-Language"},
        {"response-expires", "Expires"},
    };

    for (unsigned i = 0; i < v->fields.count; i++) {
        bool overridden = false;

        for (size_t k = 0; k < ARRAY_SIZE(overrides); k++)
            overridden |= !strcmp(v->fields.list[i].name, overrides[k].header) &&
                          request_param(r, overrides[k].param);
        if (!overridden)
            reply_header(r, v->fields.list[i].name, v->fields.list[i].value);
    }
    for (size_t k = 0; k < ARRAY_SIZE(overrides); k++) {
        const char *value = request_param_value(r, overrides[k].param);

        if (value)
            reply_header(r, overrides[k].header, value);
    }
    if (!fields_find(&v->fields, "Content-Type") && !request_param(r, "response-content-type"))
        reply_header(r, "Content-Type", "binary/octet-stream");
}

static void reply_checksum(struct request *r, const struct version *v, const char *part)
{
    const char *mode = request_header(r, "x-amz-checksum-mode");
    uint64_t number;

    if (!mode || strcmp(mode, "ENABLED"))
        return;
    if (part && v->n_parts && parse_u64(part, &number) == 0)
        object_reply_checksum(r, &v->parts[number - 1].checksum);
    else if (r->reply.status == 200)
        object_reply_checksum(r, &v->checksum);
}

static bool is_archived(const struct version *v)
{
    return (!strcmp(v->storage_class, "GLACIER") || !strcmp(v->storage_class, "DEEP_ARCHIVE")) &&
           !fields_find(&v->fields, "x-amz-restore");
}

static void reply_object(struct request *r, struct version *v)
{
    const char *part = request_param_value(r, "partNumber");
    char date[TIMEFMT_HTTP_SIZE], extra[96];
    enum s3d_error e = condition_read(r, v);

    timefmt_http(v->mtime_ns, date);
    if (e != ERR_NONE) {
        object_reply_condition(r, e);
        if (e == ERR_NOT_MODIFIED) {
            reply_etag(r, v->etag);
            reply_header(r, "Last-Modified", date);
            object_reply_version(r, v->id);
        }
        return;
    }
    if (is_archived(v) && !r->head) {
        snprintf(extra, sizeof(extra), "<StorageClass>%s</StorageClass>", v->storage_class);
        reply_error_extra(r, ERR_INVALID_OBJECT_STATE, NULL, extra);
        return;
    }
    if (!(part ? choose_part(r, v, part) : choose_range(r, v)))
        return;
    reply_etag(r, v->etag);
    reply_header(r, "Last-Modified", date);
    reply_header(r, "Accept-Ranges", "bytes");
    reply_header(r, "x-amz-server-side-encryption", "AES256");
    object_reply_version(r, v->id);
    if (strcmp(v->storage_class, "STANDARD"))
        reply_header(r, "x-amz-storage-class", v->storage_class);
    reply_fields(r, v);
    reply_checksum(r, v, part);
    r->reply.data = version_ref(v);
}

void op_get_object(struct request *r)
{
    struct version *v;

    for (unsigned i = 0; r->auth.anonymous && i < r->n_params; i++) {
        if (!strncmp(r->params[i].name, "response-", 9)) {
            reply_error_message(r, ERR_INVALID_REQUEST,
                                "Request specific response headers cannot be used for anonymous "
                                "GET requests.");
            return;
        }
    }
    v = object_find(r);
    if (!v)
        return;
    reply_object(r, v);
    version_unref(&r->s->store, v);
}
