/* SPDX-License-Identifier: Apache-2.0 */
/* ListObjectVersions: keys in byte order, each with its newest version first. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "list.h"
#include "ops.h"
#include "request.h"
#include "xmlout.h"

struct version_walk {
    struct bytes prefix, delimiter, marker;
    const char *version_marker; /* NULL: behind all of marker's versions */
    bool url;
    uint64_t max;
    /* results */
    struct strbuf rows, prefixes;
    unsigned count;
    bool truncated;
    struct bytes last;
    const struct version *last_version; /* NULL: last is a common prefix */
};

static void write_version(struct version_walk *w, const struct skipnode *n, const struct version *v,
                          bool latest)
{
    struct strbuf *sb = &w->rows;
    const char *name = v->delete_marker ? "DeleteMarker" : "Version";

    xml_open(sb, name);
    xml_key(sb, "Key", n->key, n->key_len, w->url);
    xml_text(sb, "VersionId", v->id);
    xml_bool(sb, "IsLatest", latest);
    xml_time(sb, "LastModified", v->mtime_ns);
    if (!v->delete_marker) {
        xml_etag(sb, v->etag);
        if (v->checksum.algo != CHECKSUM_NONE) {
            xml_text(sb, "ChecksumAlgorithm", checksum_name(v->checksum.algo));
            xml_text(sb, "ChecksumType", checksum_type_name(v->checksum.type));
        }
        xml_u64(sb, "Size", v->size);
        xml_text(sb, "StorageClass", v->storage_class);
    }
    strbuf_append_str(sb, "<Owner><ID>s3d</ID><DisplayName>s3d</DisplayName></Owner>");
    xml_close(sb, name);
}

/* Index of the first version to show (they are walked downwards), -1: none. A marker that is
 * gone shows all: twice is better than not at all. */
static int first_version(const struct version_walk *w, const struct skipnode *n,
                         const struct entry *e)
{
    if (!w->version_marker || key_compare(n->key, n->key_len, w->marker.p, w->marker.len) != 0)
        return (int)e->count - 1;
    for (unsigned i = 0; i < e->count; i++) {
        if (!strcmp(e->versions[i]->id, w->version_marker))
            return (int)i - 1;
    }
    return (int)e->count - 1;
}

static bool walk_versions(struct version_walk *w, const struct skipnode *n)
{
    const struct entry *e = n->value;

    for (int i = first_version(w, n, e); i >= 0; i--) {
        if (w->count == w->max) {
            w->truncated = w->max > 0;
            return false;
        }
        w->count++;
        w->last = (struct bytes){n->key, n->key_len};
        w->last_version = e->versions[i];
        write_version(w, n, e->versions[i], i == (int)e->count - 1);
    }
    return true;
}

static void walk_keys(struct request *r, struct version_walk *w)
{
    const struct skiplist *keys = &r->bucket->keys;
    struct bytes from = key_compare(w->marker.p, w->marker.len, w->prefix.p, w->prefix.len) > 0
                            ? w->marker
                            : w->prefix;
    struct skipnode *n = skiplist_seek(keys, from.p, from.len, 0);

    while (n && list_starts_with(n->key, n->key_len, w->prefix)) {
        int c = w->marker.len ? key_compare(n->key, n->key_len, w->marker.p, w->marker.len) : 1;
        size_t roll;

        if (c < 0 || (c == 0 && !w->version_marker)) {
            n = skipnode_next(n);
            continue;
        }
        roll = list_roll_up(n->key, n->key_len, w->prefix, w->delimiter);
        if (!roll) {
            if (!walk_versions(w, n))
                return;
            n = skipnode_next(n);
            continue;
        }
        if (w->marker.len == roll && !memcmp(w->marker.p, n->key, roll)) {
            n = skiplist_seek_past_prefix(keys, n->key, roll);
            continue;
        }
        if (w->count == w->max) {
            w->truncated = w->max > 0;
            return;
        }
        w->count++;
        w->last = (struct bytes){n->key, roll};
        w->last_version = NULL;
        strbuf_append_str(&w->prefixes, "<CommonPrefixes>");
        xml_key(&w->prefixes, "Prefix", n->key, roll, w->url);
        strbuf_append_str(&w->prefixes, "</CommonPrefixes>");
        n = skiplist_seek_past_prefix(keys, n->key, roll);
    }
}

static void write_answer(struct request *r, struct version_walk *w)
{
    struct strbuf *sb = reply_xml(r, "ListVersionsResult");

    xml_text(sb, "Name", r->bucket->name);
    xml_key(sb, "Prefix", w->prefix.p, w->prefix.len, w->url);
    xml_key(sb, "KeyMarker", w->marker.p, w->marker.len, w->url);
    xml_text(sb, "VersionIdMarker", w->version_marker ? w->version_marker : "");
    if (w->delimiter.len)
        xml_key(sb, "Delimiter", w->delimiter.p, w->delimiter.len, w->url);
    xml_u64(sb, "MaxKeys", w->max);
    if (w->url)
        xml_text(sb, "EncodingType", "url");
    if (r->fault.action == FAULT_REPEAT_TOKEN) {
        w->truncated = true;
        w->last = w->marker;
    }
    xml_bool(sb, "IsTruncated", w->truncated);
    if (w->truncated) {
        xml_key(sb, "NextKeyMarker", w->last.p, w->last.len, w->url);
        if (r->fault.action == FAULT_REPEAT_TOKEN)
            xml_text(sb, "NextVersionIdMarker", w->version_marker ? w->version_marker : "");
        else if (w->last_version)
            xml_text(sb, "NextVersionIdMarker", w->last_version->id);
    }
    strbuf_append(sb, strbuf_str(&w->rows), w->rows.len);
    strbuf_append(sb, strbuf_str(&w->prefixes), w->prefixes.len);
    xml_close(sb, "ListVersionsResult");
    if (w->rows.error || w->prefixes.error)
        reply_failure(r, ENOMEM, "ListObjectVersions");
}

void op_list_object_versions(struct request *r)
{
    struct version_walk w = {0};

    if (!list_limits(r, "max-keys", &w.max, &w.url))
        return;
    w.prefix = list_param(r, "prefix");
    w.delimiter = list_param(r, "delimiter");
    w.marker = list_param(r, "key-marker");
    w.version_marker = request_param_value(r, "version-id-marker");
    if (w.version_marker && !w.version_marker[0])
        w.version_marker = NULL;
    if (w.version_marker && !w.marker.len) {
        reply_error_message(r, ERR_INVALID_ARGUMENT,
                            "A version-id marker cannot be specified without a key marker.");
        return;
    }
    strbuf_init(&w.rows, REPLY_BODY_MAX / 2);
    strbuf_init(&w.prefixes, REPLY_BODY_MAX / 2);
    pthread_rwlock_rdlock(&r->bucket->lock);
    walk_keys(r, &w);
    write_answer(r, &w);
    pthread_rwlock_unlock(&r->bucket->lock);
    strbuf_done(&w.rows);
    strbuf_done(&w.prefixes);
}
