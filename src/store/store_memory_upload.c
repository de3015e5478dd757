/* SPDX-License-Identifier: Apache-2.0 */
/* Multipart uploads of store_memory. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/crc.h"
#include "base/digest.h"
#include "store/store_limits.h"
#include "store/store_memory_impl.h"

void memory_upload_free(struct memory_upload *u)
{
    for (size_t i = 0; i < u->n_parts; i++)
        blob_unref(u->parts[i].blob);
    free(u->parts);
    store_object_done(&u->head);
    free(u->key);
    free(u);
}

static int out_of_memory(struct s3_error *err)
{
    return s3_error_set(err, S3_ERROR_OUT_OF_MEMORY, "the memory store is out of memory");
}

/* The link that points to the upload, or NULL with err filled. */
static struct memory_upload **find_link_locked(struct store_memory *m, const char *key,
                                               const char *id, struct s3_error *err)
{
    for (struct memory_upload **link = &m->uploads; *link; link = &(*link)->next)
        if (strcmp((*link)->id, id) == 0 && strcmp((*link)->key, key) == 0)
            return link;
    memory_fail(err, S3_ERROR_NO_SUCH_UPLOAD, 404, "NoSuchUpload", "no upload '%s' of '%s'", id,
                key);
    return NULL;
}

int memory_upload_create(struct store_memory *m, const struct store_upload_create_in *in,
                         struct store_upload *out, struct s3_error *err)
{
    int r = memory_check_key(in->key, err);
    if (r)
        return r;
    struct memory_upload *u = calloc(1, sizeof(*u));
    if (!u)
        return out_of_memory(err);
    arena_init(&u->head.arena, LIMIT_PAGE_STRINGS);
    u->key = strdup(in->key);
    if (!u->key || store_attrs_copy(&in->attrs, &u->head.arena, &u->head.attrs)) {
        memory_upload_free(u);
        return out_of_memory(err);
    }
    if (!u->head.attrs.content_type)
        u->head.attrs.content_type = "binary/octet-stream";

    SCOPE_LOCK(&m->lock);
    u->initiated_ns = memory_now(m);
    snprintf(u->id, sizeof(u->id), "%016llx", (unsigned long long)++m->next_upload);
    struct memory_upload **link = &m->uploads;
    while (*link)
        link = &(*link)->next;
    *link = u;
    snprintf(out->id, sizeof(out->id), "%s", u->id);
    return 0;
}

/* Takes the reference to blob. */
static int add_part(struct store_memory *m, const char *key, const char *id, uint32_t number,
                    struct blob *blob, const char *etag, struct store_part *out,
                    struct s3_error *err)
{
    SCOPE_LOCK(&m->lock);
    struct memory_upload **link = find_link_locked(m, key, id, err);
    if (!link) {
        blob_unref(blob);
        return -s3_error_errno(S3_ERROR_NO_SUCH_UPLOAD);
    }
    struct memory_upload *u = *link;
    size_t at = 0;
    while (at < u->n_parts && u->parts[at].number < number)
        at++;
    if (at == u->n_parts || u->parts[at].number != number) {
        if (u->n_parts == u->alloc_parts) {
            size_t alloc = MAX(u->alloc_parts * 2, (size_t)16);
            struct memory_part *bigger = realloc(u->parts, alloc * sizeof(*bigger));
            if (!bigger) {
                blob_unref(blob);
                return out_of_memory(err);
            }
            u->parts = bigger;
            u->alloc_parts = alloc;
        }
        memmove(u->parts + at + 1, u->parts + at, (u->n_parts - at) * sizeof(*u->parts));
        u->parts[at] = (struct memory_part){.number = number};
        u->n_parts++;
    }
    struct memory_part *p = &u->parts[at];
    blob_unref(p->blob);
    p->blob = blob;
    snprintf(p->etag, sizeof(p->etag), "%s", etag);

    *out = (struct store_part){.number = number, .size = blob_size(blob)};
    memcpy(out->etag, p->etag, sizeof(out->etag));
    return 0;
}

static int check_part(uint32_t number, uint64_t size, struct s3_error *err)
{
    if (number < 1 || number > STORE_PARTS_MAX)
        return memory_fail(err, S3_ERROR_INVALID, 400, "InvalidArgument", "part number %u", number);
    if (size > STORE_PART_SIZE_MAX)
        return memory_fail(err, S3_ERROR_TOO_LARGE, 400, "EntityTooLarge", "part over 5 GiB");
    return 0;
}

/* As S3 holds the bytes against what it was told of them. */
static bool sum_differs(const struct store_upload_part_in *in)
{
    uint64_t sum = 0;
    for (int i = 0; i < in->n_body; i++)
        sum = crc64nvme_update(sum, in->body[i].iov_base, in->body[i].iov_len);
    return in->has_crc64 && sum != in->crc64;
}

int memory_upload_part(struct store_memory *m, const struct store_upload_part_in *in,
                       struct store_part *out, struct s3_error *err)
{
    uint64_t size = 0;
    for (int i = 0; i < in->n_body; i++)
        size += in->body[i].iov_len;
    int r = check_part(in->number, size, err);
    if (r)
        return r;
    if (sum_differs(in))
        return memory_fail(err, S3_ERROR_INVALID, 400, "BadDigest",
                           "the checksum of part %u is another one", in->number);
    uint8_t md5[DIGEST_MD5_SIZE];
    char etag[STORE_ETAG_SIZE];
    struct blob *blob = blob_new_copy(in->body, in->n_body);
    if (!blob || digest_iov(DIGEST_MD5, in->body, in->n_body, md5)) {
        blob_unref(blob);
        return out_of_memory(err);
    }
    memory_etag(md5, 0, etag);
    return add_part(m, in->key, in->upload_id, in->number, blob, etag, out, err);
}

static int slice_source(struct store_memory *m, const struct store_upload_part_copy_in *in,
                        struct blob **ret, struct s3_error *err)
{
    SCOPE_LOCK(&m->lock);
    const struct memory_object *source = memory_find_locked(m, in->source_key);
    if (!source)
        return memory_fail(err, S3_ERROR_NO_SUCH_KEY, 404, "NoSuchKey", "there is no object '%s'",
                           in->source_key);
    if (in->source_if_match && strcmp(in->source_if_match, source->head.etag) != 0)
        return memory_fail(err, S3_ERROR_PRECONDITION, 412, "PreconditionFailed",
                           "'%s' is another version", in->source_key);
    if (!in->length || in->offset >= source->head.size ||
        in->length > source->head.size - in->offset)
        return memory_fail(err, S3_ERROR_INVALID, 400, "InvalidArgument",
                           "the range is not inside '%s'", in->source_key);
    *ret = blob_new_slice(source->blob, in->offset, in->length);
    return *ret ? 0 : out_of_memory(err);
}

static int md5_write(void *ctx, const void *data, size_t len)
{
    return digest_update(ctx, data, len);
}

/* Hashing many GiB of a test's zeros would only take time: beyond this an ETag is a number. */
#define MD5_COPY_MAX (64 * MIB)

int memory_blob_etag(const struct blob *blob, uint64_t fresh, char etag[STORE_ETAG_SIZE])
{
    if (blob_size(blob) > MD5_COPY_MAX) {
        uint8_t number[16] = {0};
        memcpy(number, &fresh, sizeof(fresh));
        memory_etag(number, 0, etag);
        return 0;
    }
    struct digest *d = NULL;
    uint8_t md5[DIGEST_MD5_SIZE];
    int r = digest_new(DIGEST_MD5, &d);
    if (!r)
        r = blob_read(blob, 0, blob_size(blob), SIZE_MAX, md5_write, d);
    if (!r)
        r = digest_final(d, md5);
    digest_free(d);
    if (!r)
        memory_etag(md5, 0, etag);
    return r;
}

int memory_upload_part_copy(struct store_memory *m, const struct store_upload_part_copy_in *in,
                            struct store_part *out, struct s3_error *err)
{
    int r = check_part(in->number, in->length, err);
    struct blob *blob = NULL;
    if (!r)
        r = slice_source(m, in, &blob, err);
    if (r)
        return r;
    char etag[STORE_ETAG_SIZE];
    pthread_mutex_lock(&m->lock);
    uint64_t fresh = ++m->next_etag;
    pthread_mutex_unlock(&m->lock);
    if (memory_blob_etag(blob, fresh, etag)) {
        blob_unref(blob);
        return out_of_memory(err);
    }
    return add_part(m, in->key, in->upload_id, in->number, blob, etag, out, err);
}

/* The parts of the request in the upload: blobs[] borrowed, md5 of the parts' md5s. */
static int gather_parts(const struct store_memory *m, const struct memory_upload *u,
                        const struct store_upload_complete_in *in, struct blob **blobs,
                        uint8_t md5[DIGEST_MD5_SIZE], struct s3_error *err)
{
    CLEANUP_FREE uint8_t *all = malloc(in->n_parts * DIGEST_MD5_SIZE);
    if (!all)
        return out_of_memory(err);
    size_t at = 0;
    for (size_t i = 0; i < in->n_parts; i++) {
        const struct store_part *want = &in->parts[i];
        if (i && want->number <= in->parts[i - 1].number)
            return memory_fail(err, S3_ERROR_INVALID, 400, "InvalidPartOrder",
                               "part %u after part %u", want->number, in->parts[i - 1].number);
        while (at < u->n_parts && u->parts[at].number < want->number)
            at++;
        if (at == u->n_parts || u->parts[at].number != want->number ||
            strcmp(u->parts[at].etag, want->etag) != 0)
            return memory_fail(err, S3_ERROR_INVALID, 400, "InvalidPart",
                               "part %u was not uploaded, or is another one", want->number);
        blobs[i] = u->parts[at].blob;
        if (i + 1 < in->n_parts && blob_size(blobs[i]) < m->part_size_min)
            return memory_fail(err, S3_ERROR_INVALID, 400, "EntityTooSmall",
                               "part %u has %llu bytes and is not the last", want->number,
                               (unsigned long long)blob_size(blobs[i]));
        for (int k = 0; k < DIGEST_MD5_SIZE; k++) {
            unsigned byte = 0;
            sscanf(want->etag + 1 + 2 * k, "%2x", &byte);
            all[i * DIGEST_MD5_SIZE + (size_t)k] = (uint8_t)byte;
        }
    }
    return digest_buffer(DIGEST_MD5, all, in->n_parts * DIGEST_MD5_SIZE, md5) ? out_of_memory(err)
                                                                              : 0;
}

int memory_upload_complete(struct store_memory *m, const struct store_upload_complete_in *in,
                           struct store_version *out, struct s3_error *err)
{
    if (!in->n_parts || in->n_parts > STORE_PARTS_MAX)
        return memory_fail(err, S3_ERROR_INVALID, 400, "MalformedXML", "%zu parts", in->n_parts);
    CLEANUP_FREE struct blob **blobs = calloc(in->n_parts, sizeof(struct blob *));
    if (!blobs)
        return out_of_memory(err);

    SCOPE_LOCK(&m->lock);
    struct memory_upload **link = find_link_locked(m, in->key, in->upload_id, err);
    if (!link)
        return -s3_error_errno(S3_ERROR_NO_SUCH_UPLOAD);
    struct memory_upload *u = *link;
    uint8_t md5[DIGEST_MD5_SIZE];
    int r = gather_parts(m, u, in, blobs, md5, err);
    if (!r)
        r = memory_check_locked(m, in->key, in->if_match, in->if_absent, err);
    if (r)
        return r;
    struct blob *whole = blob_new_concat(blobs, in->n_parts);
    struct store_object head;
    if (!whole || store_object_copy(&u->head, &head)) {
        blob_unref(whole);
        return out_of_memory(err);
    }
    memory_etag(md5, in->n_parts, head.etag);
    r = memory_store_locked(m, in->key, whole, &head, out, err);
    if (r)
        return r;
    *link = u->next;
    memory_upload_free(u);
    return 0;
}

int memory_upload_abort(struct store_memory *m, const struct store_upload_abort_in *in,
                        struct s3_error *err)
{
    SCOPE_LOCK(&m->lock);
    struct memory_upload **link = find_link_locked(m, in->key, in->upload_id, err);
    if (!link)
        return -s3_error_errno(S3_ERROR_NO_SUCH_UPLOAD);
    struct memory_upload *u = *link;
    *link = u->next;
    memory_upload_free(u);
    return 0;
}

/* ---- listing ---- */

static int compare_uploads(const void *a, const void *b)
{
    const struct memory_upload *x = *(struct memory_upload *const *)a;
    const struct memory_upload *y = *(struct memory_upload *const *)b;
    int c = strcmp(x->key, y->key);
    return c ? c : strcmp(x->id, y->id);
}

/* A token is the id and the key of the last upload of the page before, with a space between. */
static bool after_token(const struct memory_upload *u, const char *token)
{
    if (!token)
        return true;
    const char *key = strchr(token, ' ');
    if (!key)
        return true;
    int c = strcmp(u->key, key + 1);
    size_t id_len = (size_t)(key - token);
    return c > 0 || (c == 0 && (strncmp(u->id, token, id_len) > 0));
}

int memory_upload_list(struct store_memory *m, const struct store_upload_list_in *in,
                       struct store_upload_page *out, struct s3_error *err)
{
    const char *prefix = in->prefix ? in->prefix : "";
    struct store_upload_page page = {.arena = ARENA_INIT(LIMIT_PAGE_STRINGS)};
    SCOPE_LOCK(&m->lock);
    size_t n = 0;
    for (const struct memory_upload *u = m->uploads; u; u = u->next)
        n++;
    CLEANUP_FREE struct memory_upload **sorted = calloc(n + 1, sizeof(struct memory_upload *));
    page.uploads = arena_alloc(&page.arena, m->page_size * sizeof(*page.uploads));
    if (!sorted || !page.uploads)
        goto no_memory;
    n = 0;
    for (struct memory_upload *u = m->uploads; u; u = u->next)
        if (strncmp(u->key, prefix, strlen(prefix)) == 0 && after_token(u, in->token))
            sorted[n++] = u;
    qsort(sorted, n, sizeof(struct memory_upload *), compare_uploads);

    for (size_t i = 0; i < n && page.n_uploads < m->page_size; i++) {
        struct store_upload_entry *e = &page.uploads[page.n_uploads++];
        e->key = arena_strdup(&page.arena, sorted[i]->key);
        e->upload_id = arena_strdup(&page.arena, sorted[i]->id);
        e->initiated_ns = sorted[i]->initiated_ns;
        if (!e->key || !e->upload_id)
            goto no_memory;
    }
    if (n > page.n_uploads) {
        const struct store_upload_entry *last = &page.uploads[page.n_uploads - 1];
        size_t size = strlen(last->key) + strlen(last->upload_id) + 2;
        char *token = arena_alloc(&page.arena, size);
        if (!token)
            goto no_memory;
        snprintf(token, size, "%s %s", last->upload_id, last->key);
        page.next_token = token;
    }
    *out = page;
    return 0;

no_memory:
    store_upload_page_done(&page);
    return out_of_memory(err);
}

int memory_upload_parts(struct store_memory *m, const struct store_upload_parts_in *in,
                        struct store_parts *out, struct s3_error *err)
{
    struct store_parts list = {.arena = ARENA_INIT(LIMIT_PAGE_STRINGS)};
    SCOPE_LOCK(&m->lock);
    struct memory_upload **link = find_link_locked(m, in->key, in->upload_id, err);
    if (!link)
        return -s3_error_errno(S3_ERROR_NO_SUCH_UPLOAD);
    const struct memory_upload *u = *link;
    list.parts = arena_alloc(&list.arena, (u->n_parts + 1) * sizeof(*list.parts));
    if (!list.parts)
        return out_of_memory(err);
    for (size_t i = 0; i < u->n_parts; i++) {
        struct store_part *p = &list.parts[list.n_parts++];
        *p = (struct store_part){.number = u->parts[i].number, .size = blob_size(u->parts[i].blob)};
        memcpy(p->etag, u->parts[i].etag, sizeof(p->etag));
    }
    *out = list;
    return 0;
}
