/* SPDX-License-Identifier: Apache-2.0 */
/* Finds out which conditions the server holds: by demanding the impossible of an object of its own.
 * What is held fails and leaves nothing; what is ignored changes that object alone. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "store/store_s3_impl.h"

#define KEY_SIZE     1100u
#define VERSIONS_MAX 16u
/* No object of one byte has it. */
static const char IMPOSSIBLE[] = "\"00000000000000000000000000000000\"";

struct probe {
    struct store_s3 *s;
    const atomic_bool *stop;
    struct s3_error *err;
    char key[KEY_SIZE];
    char copy[KEY_SIZE + 8];
    char etag[S3_ETAG_SIZE]; /* of the object under key */
    struct store_caps caps;
    /* In a versioned bucket: what has come to be, to be deleted for good. */
    struct version {
        char id[S3_VERSION_ID_SIZE];
        const char *key;
    } versions[VERSIONS_MAX];
    size_t n_versions;
    bool versions_stay; /* they cannot be deleted */
};

static void remember(struct probe *p, const char *key, const char *version_id)
{
    if (!*version_id || p->n_versions == VERSIONS_MAX)
        return;
    (void)snprintf(p->versions[p->n_versions].id, S3_VERSION_ID_SIZE, "%s", version_id);
    p->versions[p->n_versions++].key = key;
}

/* What the answer to an impossible demand says, also for clean_up. <0: nothing, and the probe
 * ends. */
static int judge(struct probe *p, enum store_cap cap, int result)
{
    if (result == 0)
        p->caps.state[cap] = STORE_CAP_IGNORED;
    else if (p->err->kind == S3_ERROR_PRECONDITION)
        p->caps.state[cap] = STORE_CAP_HELD;
    else if (p->err->kind == S3_ERROR_UNSUPPORTED)
        p->caps.state[cap] = STORE_CAP_REFUSED;
    else
        return result;
    return atomic_load(p->stop) ? -ECANCELED : 0;
}

static int put(struct probe *p, const char *if_match, bool if_absent)
{
    char byte = 'x';
    struct iovec body = {&byte, 1};
    struct s3_put_object_in in = {
        .bucket = p->s->bucket,
        .key = p->key,
        .body = &body,
        .n_body = 1,
        .checksum_algo = p->s->checksum,
        .conditions = {.if_match = if_match, .if_none_match = if_absent ? "*" : NULL}};
    struct s3_put_object_out out = {0};
    int r = s3_put_object(p->s->client, &in, &out, p->err);

    if (r == 0) {
        (void)snprintf(p->etag, sizeof(p->etag), "%s", out.etag);
        remember(p, p->key, out.version_id);
    }
    return r;
}

static int remove_version(struct probe *p, const struct version *v)
{
    struct s3_delete_object_in in = {.bucket = p->s->bucket, .key = v->key, .version_id = v->id};
    struct s3_delete_object_out out = {0};

    return s3_delete_object(p->s->client, &in, &out, p->err);
}

/* The object to try on. In a versioned bucket what comes to be is deleted for good; where that is
 * not allowed (object lock, no s3:DeleteObjectVersion) some versions of one byte stay, below a
 * delete marker: what the server does must be known all the same. */
static int make(struct probe *p)
{
    int r = put(p, NULL, true);

    if (r < 0 && p->err->kind == S3_ERROR_UNSUPPORTED) {
        p->caps.state[STORE_CAP_PUT_IF_ABSENT] = STORE_CAP_REFUSED;
        r = put(p, NULL, false);
    }
    if (r < 0 || !p->n_versions)
        return r;
    r = remove_version(p, &p->versions[0]);
    p->n_versions = 0;
    p->versions_stay = r < 0 && p->err->kind == S3_ERROR_ACCESS_DENIED;
    return p->versions_stay ? 0 : r < 0 ? r : put(p, NULL, false);
}

static int probe_put(struct probe *p)
{
    char bare[S3_ETAG_SIZE];
    size_t len;
    int r = 0;

    if (p->caps.state[STORE_CAP_PUT_IF_ABSENT] == STORE_CAP_UNKNOWN)
        r = judge(p, STORE_CAP_PUT_IF_ABSENT, put(p, NULL, true));
    if (r == 0)
        r = judge(p, STORE_CAP_PUT_IF_MATCH, put(p, IMPOSSIBLE, false));
    if (r < 0 || p->caps.state[STORE_CAP_PUT_IF_MATCH] != STORE_CAP_HELD)
        return r;
    /* And what is possible must be done, in one form or the other. */
    r = put(p, p->etag, false);
    if (r == 0 || p->err->kind != S3_ERROR_PRECONDITION)
        return r;
    len = strlen(p->etag);
    (void)snprintf(bare, sizeof(bare), "%.*s", (int)(len > 2 ? len - 2 : 0), p->etag + 1);
    r = put(p, bare, false);
    if (r == 0)
        p->caps.bare_etags = true;
    else if (p->err->kind == S3_ERROR_PRECONDITION)
        p->caps.state[STORE_CAP_PUT_IF_MATCH] = STORE_CAP_REFUSED, r = 0;
    return r;
}

static int copy(struct probe *p, const char *to, const char *source_if_match, const char *if_match,
                bool if_absent)
{
    struct s3_copy_object_in in = {
        .bucket = p->s->bucket,
        .key = to,
        .source_bucket = p->s->bucket,
        .source_key = p->key,
        .source_conditions = {.if_match = source_if_match},
        .conditions = {.if_match = if_match, .if_none_match = if_absent ? "*" : NULL},
        .metadata_directive = S3_METADATA_REPLACE};
    struct s3_copy_object_out out = {0};
    int r = s3_copy_object(p->s->client, &in, &out, p->err);

    if (r == 0)
        remember(p, to, out.version_id);
    return r;
}

static int probe_copy(struct probe *p)
{
    int r = judge(p, STORE_CAP_COPY_SOURCE, copy(p, p->copy, IMPOSSIBLE, NULL, false));

    if (r == 0)
        r = judge(p, STORE_CAP_COPY_IF_ABSENT, copy(p, p->key, NULL, NULL, true));
    if (r == 0)
        r = judge(p, STORE_CAP_COPY_IF_MATCH, copy(p, p->key, NULL, IMPOSSIBLE, false));
    return r;
}

/* One upload for one question, whatever the answer. */
static int probe_complete(struct probe *p, enum store_cap cap)
{
    char byte = 'x';
    struct iovec body = {&byte, 1};
    struct s3_create_multipart_upload_in create = {
        .bucket = p->s->bucket, .key = p->key, .checksum_algo = p->s->part_checksum};
    struct s3_create_multipart_upload_out upload = {0};
    struct s3_upload_part_in part_in = {.bucket = p->s->bucket,
                                        .key = p->key,
                                        .upload_id = upload.upload_id,
                                        .part_number = 1,
                                        .body = &body,
                                        .n_body = 1,
                                        .checksum_algo = p->s->part_checksum};
    struct s3_upload_part_out part = {0};
    struct s3_completed_part done = {.part_number = 1, .etag = part.etag};
    struct s3_complete_multipart_upload_in complete = {
        .bucket = p->s->bucket,
        .key = p->key,
        .upload_id = upload.upload_id,
        .parts = &done,
        .n_parts = 1,
        .conditions = {.if_match = cap == STORE_CAP_COMPLETE_IF_MATCH ? IMPOSSIBLE : NULL,
                       .if_none_match = cap == STORE_CAP_COMPLETE_IF_ABSENT ? "*" : NULL}};
    struct s3_put_object_out out = {0};
    struct s3_abort_multipart_upload_in end = {
        .bucket = p->s->bucket, .key = p->key, .upload_id = upload.upload_id};
    int r = s3_create_multipart_upload(p->s->client, &create, &upload, p->err);

    if (r < 0)
        return r;
    r = s3_upload_part(p->s->client, &part_in, &part, p->err);
    if (r == 0) {
        done.checksum = part.checksum;
        r = s3_complete_multipart_upload(p->s->client, &complete, &out, p->err);
        if (r == 0)
            remember(p, p->key, out.version_id);
        r = judge(p, cap, r);
    }
    if (p->caps.state[cap] != STORE_CAP_IGNORED)
        (void)s3_abort_multipart_upload(p->s->client, &end, NULL);
    return r;
}

static int probe_delete(struct probe *p)
{
    struct s3_delete_object_in in = {.bucket = p->s->bucket, .key = p->key, .if_match = IMPOSSIBLE};
    struct s3_delete_object_out out = {0};
    int r = s3_delete_object(p->s->client, &in, &out, p->err);

    if (r == 0)
        remember(p, p->key, out.version_id);
    return judge(p, STORE_CAP_DELETE_IF_MATCH, r);
}

/* What a server says that has trouble, not one that does not know what is asked. */
static bool is_passing(enum s3_error_kind kind)
{
    return kind == S3_ERROR_SERVER || kind == S3_ERROR_THROTTLED || kind == S3_ERROR_CONNECT ||
           kind == S3_ERROR_TLS || kind == S3_ERROR_TIMEOUT || kind == S3_ERROR_CANCELLED ||
           kind == S3_ERROR_BAD_RESPONSE || kind == S3_ERROR_OUT_OF_MEMORY;
}

static int remove_with_etag(struct probe *p, const char *etag, enum store_cap_state *ret)
{
    struct s3_delete_entry one = {.key = p->key, .etag = etag};
    struct s3_delete_objects_in in = {.bucket = p->s->bucket, .entries = &one, .n_entries = 1};
    struct s3_delete_objects_out out = {0};
    int r = s3_delete_objects(p->s->client, &in, &out, p->err);

    if (r < 0 && is_passing(p->err->kind))
        return r;
    *ret = STORE_CAP_REFUSED;
    if (r < 0)
        return atomic_load(p->stop) ? -ECANCELED : 0;
    const struct s3_delete_result *f = &out.results[0];
    enum s3_error_kind kind = f->code ? s3_error_kind_from_s3(f->code, 0) : S3_ERROR_NONE;
    if (kind == S3_ERROR_NONE) {
        *ret = STORE_CAP_IGNORED;
        remember(p, p->key, f->marker_version_id ? f->marker_version_id : "");
    } else if (kind == S3_ERROR_PRECONDITION) {
        *ret = STORE_CAP_HELD;
    }
    s3_delete_objects_out_done(&out);
    return atomic_load(p->stop) ? -ECANCELED : 0;
}

/* The last: it ends with the object. Of a key that is kept only because its ETag is never the right
 * one nothing would ever go. */
static int probe_delete_many(struct probe *p)
{
    enum store_cap_state impossible = STORE_CAP_UNKNOWN, possible = STORE_CAP_UNKNOWN;
    const enum store_cap before[] = {STORE_CAP_DELETE_IF_MATCH, STORE_CAP_COMPLETE_IF_MATCH,
                                     STORE_CAP_COMPLETE_IF_ABSENT};
    bool changed = false;
    int r = 0;

    for (size_t i = 0; i < ARRAY_SIZE(before); i++)
        changed |= p->caps.state[before[i]] == STORE_CAP_IGNORED;
    if (changed)
        r = put(p, NULL, false);
    if (r == 0)
        r = remove_with_etag(p, IMPOSSIBLE, &impossible);
    if (r == 0 && impossible == STORE_CAP_HELD)
        r = remove_with_etag(p, p->etag, &possible);
    if (r == 0)
        p->caps.state[STORE_CAP_DELETE_MANY_IF_MATCH] =
            impossible == STORE_CAP_HELD && possible != STORE_CAP_IGNORED ? STORE_CAP_REFUSED
                                                                          : impossible;
    return r;
}

static void clean_up(struct probe *p)
{
    const char *const keys[] = {p->key, p->copy};
    enum store_cap_state copied = p->caps.state[STORE_CAP_COPY_SOURCE];

    if (p->n_versions && !p->versions_stay) {
        for (size_t i = 0; i < p->n_versions; i++)
            (void)remove_version(p, &p->versions[i]);
        return;
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct s3_delete_object_in in = {.bucket = p->s->bucket, .key = keys[i]};
        struct s3_delete_object_out out = {0};

        /* The copy has been made by a server that ignores the condition; whose answer did not come
         * may be one. */
        if (i == 0 || copied == STORE_CAP_IGNORED || copied == STORE_CAP_UNKNOWN)
            (void)s3_delete_object(p->s->client, &in, &out, NULL);
    }
}

int store_s3_probe(struct store *store, const char *key, const atomic_bool *stop,
                   struct store_caps *ret, struct s3_error *err)
{
    struct probe p = {.s = (struct store_s3 *)store, .stop = stop, .err = err};
    int r;

    (void)snprintf(p.key, sizeof(p.key), "%s%s", p.s->prefix, key);
    (void)snprintf(p.copy, sizeof(p.copy), "%s" STORE_S3_PROBE_COPY, p.key);
    r = make(&p);
    if (r < 0)
        return r;
    r = probe_put(&p);
    if (r == 0)
        r = probe_copy(&p);
    if (r == 0)
        r = probe_complete(&p, STORE_CAP_COMPLETE_IF_ABSENT);
    if (r == 0)
        r = probe_complete(&p, STORE_CAP_COMPLETE_IF_MATCH);
    if (r == 0)
        r = probe_delete(&p);
    if (r == 0)
        r = probe_delete_many(&p);
    struct s3_error kept = *err;
    clean_up(&p);
    *err = kept;
    if (r == 0)
        *ret = p.caps;
    return r;
}
