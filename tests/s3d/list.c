/* SPDX-License-Identifier: Apache-2.0 */
/* ListObjects and ListObjectsV2: one walk over the ordered keys, two ways to say where it starts
 * and stopped.
 *
 * Common prefixes and markers: keys behind the marker are rolled up, so a prefix that the marker
 * lies inside of is shown when keys behind the marker are in it. A marker that is itself a common
 * prefix, and a continuation token that stopped at one, are behind all of it.
 * --start-after-hides makes any marker hide the prefix it lies in, as some other servers do:
 * AWS' documents do not say, a client should cope with both. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "list.h"
#include "ops.h"
#include "request.h"
#include "xmlout.h"

struct walk {
    struct bytes prefix, delimiter, marker;
    bool marker_is_token; /* a prefix there is wholly done */
    bool url, owner, v2;
    uint64_t max;
    /* results */
    struct strbuf contents, prefixes;
    unsigned count;
    bool truncated;
    struct bytes last; /* last key or prefix shown; borrowed from the index */
    bool last_is_prefix;
};

struct bytes list_param(const struct request *r, const char *name)
{
    const struct param *p = request_param(r, name);

    return p ? (struct bytes){p->value, p->value_len} : (struct bytes){"", 0};
}

bool list_starts_with(const char *key, size_t len, struct bytes prefix)
{
    return len >= prefix.len && !memcmp(key, prefix.p, prefix.len);
}

size_t list_roll_up(const char *key, size_t len, struct bytes prefix, struct bytes delimiter)
{
    const char *at;

    if (!delimiter.len)
        return 0;
    at = memmem(key + prefix.len, len - prefix.len, delimiter.p, delimiter.len);
    return at ? (size_t)(at - key) + delimiter.len : 0;
}

bool list_limits(struct request *r, const char *max_name, uint64_t *ret_max, bool *ret_url)
{
    const char *encoding = request_param_value(r, "encoding-type");

    if (!request_param_number(r, max_name, LIST_MAX, ret_max))
        return false;
    unsigned most = r->s->config.page_keys;
    *ret_max = MIN(*ret_max, most ? MIN((uint64_t)most, (uint64_t)LIST_MAX) : (uint64_t)LIST_MAX);
    if (encoding && strcmp(encoding, "url")) {
        reply_error_message(r, ERR_INVALID_ARGUMENT,
                            "Invalid Encoding Method specified in Request");
        return false;
    }
    *ret_url = encoding != NULL;
    return true;
}

static void write_object(struct walk *w, const struct skipnode *n, const struct version *v)
{
    struct strbuf *sb = &w->contents;

    strbuf_append_str(sb, "<Contents>");
    xml_key(sb, "Key", n->key, n->key_len, w->url);
    xml_time(sb, "LastModified", v->mtime_ns);
    xml_etag(sb, v->etag);
    if (v->checksum.algo != CHECKSUM_NONE) {
        xml_text(sb, "ChecksumAlgorithm", checksum_name(v->checksum.algo));
        xml_text(sb, "ChecksumType", checksum_type_name(v->checksum.type));
    }
    xml_u64(sb, "Size", v->size);
    if (w->owner)
        strbuf_append_str(sb, "<Owner><ID>s3d</ID><DisplayName>s3d</DisplayName></Owner>");
    xml_text(sb, "StorageClass", v->storage_class);
    strbuf_append_str(sb, "</Contents>");
}

static bool hidden_prefix(const struct request *r, const struct walk *w, const char *key,
                          size_t len)
{
    if (!list_starts_with(w->marker.p, w->marker.len, (struct bytes){key, len}))
        return false;
    return w->marker.len == len || w->marker_is_token || r->s->config.start_after_hides;
}

static void walk_keys(struct request *r, struct walk *w)
{
    const struct skiplist *keys = &r->bucket->keys;
    struct bytes from = key_compare(w->marker.p, w->marker.len, w->prefix.p, w->prefix.len) > 0
                            ? w->marker
                            : w->prefix;
    struct skipnode *n = skiplist_seek(keys, from.p, from.len, 0);

    while (n && list_starts_with(n->key, n->key_len, w->prefix)) {
        const struct version *v = entry_latest(n->value);
        size_t roll;

        if (v->delete_marker ||
            (w->marker.len && key_compare(n->key, n->key_len, w->marker.p, w->marker.len) <= 0)) {
            n = skipnode_next(n);
            continue;
        }
        roll = list_roll_up(n->key, n->key_len, w->prefix, w->delimiter);
        if (roll && hidden_prefix(r, w, n->key, roll)) {
            n = skiplist_seek_past_prefix(keys, n->key, roll);
            continue;
        }
        if (w->count == w->max) {
            w->truncated = w->max > 0;
            break;
        }
        w->count++;
        w->last_is_prefix = roll > 0;
        if (roll) {
            w->last = (struct bytes){n->key, roll};
            strbuf_append_str(&w->prefixes, "<CommonPrefixes>");
            xml_key(&w->prefixes, "Prefix", n->key, roll, w->url);
            strbuf_append_str(&w->prefixes, "</CommonPrefixes>");
            n = skiplist_seek_past_prefix(keys, n->key, roll);
        } else {
            w->last = (struct bytes){n->key, n->key_len};
            write_object(w, n, v);
            n = skipnode_next(n);
        }
    }
}

static bool begin_walk(struct request *r, struct walk *w)
{
    if (!list_limits(r, "max-keys", &w->max, &w->url))
        return false;
    w->prefix = list_param(r, "prefix");
    w->delimiter = list_param(r, "delimiter");
    strbuf_init(&w->contents, REPLY_BODY_MAX / 2);
    strbuf_init(&w->prefixes, REPLY_BODY_MAX / 2);
    return true;
}

static void end_walk(struct request *r, struct walk *w, struct strbuf *sb)
{
    strbuf_append(sb, strbuf_str(&w->contents), w->contents.len);
    strbuf_append(sb, strbuf_str(&w->prefixes), w->prefixes.len);
    xml_close(sb, "ListBucketResult");
    if (w->contents.error || w->prefixes.error)
        reply_failure(r, ENOMEM, "list");
    strbuf_done(&w->contents);
    strbuf_done(&w->prefixes);
}

static void write_common(struct request *r, struct walk *w, struct strbuf *sb)
{
    xml_text(sb, "Name", r->bucket->name);
    xml_key(sb, "Prefix", w->prefix.p, w->prefix.len, w->url);
    if (w->delimiter.len)
        xml_key(sb, "Delimiter", w->delimiter.p, w->delimiter.len, w->url);
    xml_u64(sb, "MaxKeys", w->max);
    if (w->url)
        xml_text(sb, "EncodingType", "url");
    xml_bool(sb, "IsTruncated", w->truncated);
}

void op_list_objects(struct request *r)
{
    struct walk w = {.owner = true};
    struct strbuf *sb;

    if (!begin_walk(r, &w))
        return;
    w.marker = list_param(r, "marker");
    pthread_rwlock_rdlock(&r->bucket->lock);
    walk_keys(r, &w);
    sb = reply_xml(r, "ListBucketResult");
    write_common(r, &w, sb);
    xml_key(sb, "Marker", w.marker.p, w.marker.len, w.url);
    /* Without a delimiter the client continues behind the last key by itself. */
    if (w.truncated && w.delimiter.len) {
        if (r->fault.action == FAULT_REPEAT_TOKEN)
            w.last = w.marker;
        xml_key(sb, "NextMarker", w.last.p, w.last.len, w.url);
    }
    pthread_rwlock_unlock(&r->bucket->lock);
    end_walk(r, &w, sb);
}

/* A token is opaque: base64 of 'k' or 'p' (stopped at a key or a common prefix) and its bytes. */
static void write_token(struct strbuf *sb, const struct walk *w)
{
    struct strbuf raw = STRBUF_INIT(STORE_KEY_MAX + 1);

    strbuf_append_char(&raw, w->last_is_prefix ? 'p' : 'k');
    strbuf_append(&raw, w->last.p, w->last.len);
    strbuf_append_str(sb, "<NextContinuationToken>");
    encode_base64(sb, strbuf_str(&raw), raw.len);
    strbuf_append_str(sb, "</NextContinuationToken>");
    strbuf_done(&raw);
}

void op_list_objects_v2(struct request *r)
{
    const char *token = request_param_value(r, "continuation-token");
    const char *owner = request_param_value(r, "fetch-owner");
    struct bytes start_after = list_param(r, "start-after");
    struct walk w = {.v2 = true, .owner = owner && !strcmp(owner, "true")};
    uint8_t raw[STORE_KEY_MAX + 2];
    size_t raw_len = 0;
    struct strbuf *sb;

    if (!begin_walk(r, &w))
        return;
    w.marker = start_after;
    if (token) {
        if (decode_base64(token, raw, sizeof(raw), &raw_len) < 0 || !raw_len ||
            (raw[0] != 'k' && raw[0] != 'p')) {
            reply_error_message(r, ERR_INVALID_ARGUMENT,
                                "The continuation token provided is incorrect");
            return;
        }
        w.marker = (struct bytes){(char *)raw + 1, raw_len - 1};
        w.marker_is_token = raw[0] == 'p';
    }
    pthread_rwlock_rdlock(&r->bucket->lock);
    walk_keys(r, &w);
    sb = reply_xml(r, "ListBucketResult");
    if (r->fault.action == FAULT_REPEAT_TOKEN)
        w.truncated = true;
    write_common(r, &w, sb);
    xml_u64(sb, "KeyCount", w.count);
    if (start_after.len)
        xml_key(sb, "StartAfter", start_after.p, start_after.len, w.url);
    if (token)
        xml_text(sb, "ContinuationToken", token);
    if (w.truncated && r->fault.action == FAULT_REPEAT_TOKEN && token)
        xml_text(sb, "NextContinuationToken", token);
    else if (w.truncated)
        write_token(sb, &w);
    pthread_rwlock_unlock(&r->bucket->lock);
    end_walk(r, &w, sb);
}
