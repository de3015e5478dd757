/* SPDX-License-Identifier: Apache-2.0 */
/* Multipart uploads: beginning, completing and giving them up. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/attr.h"
#include "base/encode.h"
#include "base/parse.h"
#include "conditions.h"
#include "objects.h"
#include "ops.h"
#include "request.h"
#include "xmlin.h"
#include "xmlout.h"

#define COMPLETED_MAX 4096 /* finished uploads that a bucket remembers */

/* One <Part> of a CompleteMultipartUpload. */
struct named_part {
    unsigned number;
    char etag[64];
    struct checksum checksum;
};

/* x-amz-checksum-algorithm and -type; without them CRC64NVME of all bytes. */
static bool take_algorithm(struct request *r, struct upload *u)
{
    const char *name = request_header(r, "x-amz-checksum-algorithm");
    const char *type = request_header(r, "x-amz-checksum-type");
    enum checksum_algo a = name ? checksum_from_name(name) : CHECKSUM_NONE;

    if (a == CHECKSUM_MAX || (type && strcmp(type, "COMPOSITE") && strcmp(type, "FULL_OBJECT"))) {
        reply_error_message(r, ERR_INVALID_REQUEST,
                            "Checksum algorithm provided is unsupported. Please try again with "
                            "any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]");
        return false;
    }
    if (!name && type) {
        reply_error_message(r, ERR_INVALID_REQUEST,
                            "The x-amz-checksum-type header can only be used with the "
                            "x-amz-checksum-algorithm header.");
        return false;
    }
    u->algo_implied = !name;
    if (!name) {
        u->algo = r->s->config.no_default_checksum ? CHECKSUM_NONE : CHECKSUM_CRC64NVME;
        u->type = CHECKSUM_FULL_OBJECT;
        return true;
    }
    u->algo = a;
    u->type = a == CHECKSUM_CRC64NVME ? CHECKSUM_FULL_OBJECT : CHECKSUM_COMPOSITE;
    if (type)
        u->type = !strcmp(type, "COMPOSITE") ? CHECKSUM_COMPOSITE : CHECKSUM_FULL_OBJECT;
    if ((a == CHECKSUM_CRC64NVME && u->type == CHECKSUM_COMPOSITE) ||
        ((a == CHECKSUM_SHA1 || a == CHECKSUM_SHA256) && u->type == CHECKSUM_FULL_OBJECT)) {
        reply_error_message(r, ERR_INVALID_REQUEST,
                            "The %s checksum type cannot be used with the %s checksum algorithm.",
                            checksum_type_name(u->type), checksum_name(a));
        return false;
    }
    return true;
}

static int name_upload(struct request *r, struct upload *u)
{
    uint8_t noise[12];
    char hex[25];

    if (getrandom(noise, sizeof(noise), 0) != (ssize_t)sizeof(noise))
        return -EIO;
    encode_hex(noise, sizeof(noise), hex);
    u->seq = atomic_fetch_add(&r->s->store.next_upload, 1);
    /* The order of initiation is in the id, which lets a listing continue behind one that is
     * gone. */
    snprintf(u->id, sizeof(u->id), "%012" PRIx64 "%s", u->seq, hex);
    return 0;
}

void op_create_multipart_upload(struct request *r)
{
    struct upload *u = calloc(1, sizeof(*u));
    struct bucket *b = r->bucket;
    struct strbuf *sb;
    char id[STORE_UPLOAD_ID_MAX];
    enum checksum_algo algo;
    enum checksum_type type;
    bool implied;
    int err;

    if (!u) {
        reply_failure(r, ENOMEM, "CreateMultipartUpload");
        return;
    }
    u->initiated_ns = r->now_ns - r->now_ns % NS_PER_S;
    if (!take_algorithm(r, u) || !object_take_fields(r, &u->fields, u->storage_class)) {
        upload_free(&r->s->store, u);
        return;
    }
    err = name_upload(r, u);
    memcpy(id, u->id, sizeof(id));
    algo = u->algo;
    type = u->type;
    implied = u->algo_implied;
    if (err == 0) {
        pthread_rwlock_wrlock(&b->lock);
        err = b->deleted ? -ENOENT : bucket_add_upload(&r->s->store, b, r->key, r->key_len, u);
        pthread_rwlock_unlock(&b->lock);
    }
    if (err < 0) {
        upload_free(&r->s->store, u);
        if (err == -ENOENT)
            reply_error(r, ERR_NO_SUCH_BUCKET);
        else
            reply_failure(r, err, "CreateMultipartUpload");
        return;
    }
    sb = reply_xml(r, "InitiateMultipartUploadResult");
    xml_text(sb, "Bucket", b->name);
    xml_bytes(sb, "Key", r->key, r->key_len);
    xml_text(sb, "UploadId", id);
    xml_close(sb, "InitiateMultipartUploadResult");
    reply_header(r, "x-amz-server-side-encryption", "AES256");
    if (!implied) {
        reply_header(r, "x-amz-checksum-algorithm", checksum_name(algo));
        reply_header(r, "x-amz-checksum-type", checksum_type_name(type));
    }
}

void op_abort_multipart_upload(struct request *r)
{
    const char *id = request_param_value(r, "uploadId");
    struct bucket *b = r->bucket;
    struct upload *u, *old = NULL;
    int err = 0;

    pthread_rwlock_wrlock(&b->lock);
    u = bucket_find_upload(b, r->key, r->key_len, id);
    if (u)
        err = bucket_end_upload(&r->s->store, b, r->key, r->key_len, u, &old);
    pthread_rwlock_unlock(&b->lock);
    upload_free(&r->s->store, old);
    if (!u)
        reply_error(r, ERR_NO_SUCH_UPLOAD);
    else if (err < 0)
        reply_failure(r, err, "AbortMultipartUpload");
    else
        reply_status(r, 204);
}

static bool take_part_element(struct named_part *p, const struct xmlin *x)
{
    uint64_t number;
    char stripped[64];

    if (!strcmp(x->name, "PartNumber")) {
        if (parse_u64(x->text, &number) < 0 || number > INT32_MAX)
            return false;
        p->number = (unsigned)number;
        return true;
    }
    if (!strcmp(x->name, "ETag")) {
        snprintf(p->etag, sizeof(p->etag), "%s", etag_strip(x->text, stripped, sizeof(stripped)));
        return true;
    }
    for (unsigned a = CHECKSUM_CRC32; a < CHECKSUM_MAX; a++) {
        if (!strcmp(x->name, checksum_element(a))) {
            p->checksum.algo = a;
            if (x->text_len < sizeof(p->checksum.text))
                memcpy(p->checksum.text, x->text, x->text_len + 1);
        }
    }
    return true;
}

/* Number of parts, or -EINVAL. */
static int parse_complete(struct request *r, struct named_part *list)
{
    enum xmlin_event e;
    struct xmlin x;
    int n = 0;

    xmlin_init(&x, strbuf_str(&r->body.memory), r->body.memory.len);
    while ((e = xmlin_next(&x)) != XMLIN_END) {
        if (e == XMLIN_ERROR || (x.depth == 1 && strcmp(x.name, "CompleteMultipartUpload")))
            return -EINVAL;
        if (e == XMLIN_OPEN && x.depth == 2) {
            if (strcmp(x.name, "Part") || n == STORE_PARTS_MAX)
                return -EINVAL;
            n++;
        }
        if (e == XMLIN_CLOSE && x.depth == 3 && !take_part_element(&list[n - 1], &x))
            return -EINVAL;
        if (e == XMLIN_CLOSE && x.depth == 2 && (!list[n - 1].number || !list[n - 1].etag[0]))
            return -EINVAL;
    }
    return n ? n : -EINVAL;
}

static bool refuse_part(struct request *r, enum s3d_error e, const struct upload *u,
                        const struct named_part *named, const struct part *p)
{
    struct strbuf sb = STRBUF_INIT(4096);

    if (e == ERR_ENTITY_TOO_SMALL) {
        xml_u64(&sb, "ProposedSize", p->size);
        xml_u64(&sb, "MinSizeAllowed", OBJECT_PART_MIN);
    } else {
        xml_text(&sb, "UploadId", u->id);
    }
    xml_u64(&sb, "PartNumber", named->number);
    xml_text(&sb, "ETag", named->etag);
    reply_error_extra(r, e, NULL, strbuf_str(&sb));
    strbuf_done(&sb);
    return false;
}

/* Every named part must be there, unchanged, in order, and big enough. */
static bool check_parts(struct request *r, const struct upload *u, const struct named_part *list,
                        int n)
{
    for (int i = 0; i < n; i++) {
        if (i && list[i].number <= list[i - 1].number) {
            reply_error(r, ERR_INVALID_PART_ORDER);
            return false;
        }
    }
    for (int i = 0; i < n; i++) {
        const struct named_part *named = &list[i];
        const struct part *p =
            named->number && named->number <= u->alloc ? u->parts[named->number - 1] : NULL;

        if (!p || strcmp(p->etag, named->etag))
            return refuse_part(r, ERR_INVALID_PART, u, named, p);
        if (named->checksum.algo != CHECKSUM_NONE &&
            (named->checksum.algo != p->checksum.algo ||
             strcmp(named->checksum.text, p->checksum.text)))
            return refuse_part(r, ERR_INVALID_PART, u, named, p);
        if (named->checksum.algo == CHECKSUM_NONE && !u->algo_implied &&
            u->type == CHECKSUM_COMPOSITE) {
            reply_error_message(r, ERR_INVALID_REQUEST,
                                "The upload was created using a %s checksum. The complete request "
                                "must include the checksum for each part. It was missing for part "
                                "%u in the request.",
                                checksum_name(u->algo), named->number);
            return false;
        }
        if (i + 1 < n && p->size < OBJECT_PART_MIN)
            return refuse_part(r, ERR_ENTITY_TOO_SMALL, u, named, p);
    }
    return true;
}

/* "md5-of-the-parts'-md5s-N" */
static int combine_etags(const struct upload *u, const struct named_part *list, int n, char out[48])
{
    struct digest *d = NULL;
    uint8_t raw[DIGEST_MD5_SIZE];
    char hex[2 * DIGEST_MD5_SIZE + 1];
    size_t len;
    int r = digest_new(DIGEST_MD5, &d);

    for (int i = 0; i < n && r == 0; i++) {
        r = decode_hex(u->parts[list[i].number - 1]->etag, raw, sizeof(raw), &len);
        if (r == 0)
            r = digest_update(d, raw, len);
    }
    if (r == 0)
        r = digest_final(d, raw);
    digest_free(d);
    if (r == 0) {
        encode_hex(raw, sizeof(raw), hex);
        snprintf(out, 48, "%s-%d", hex, n);
    }
    return r;
}

/* The finished object. Blobs are shared with the upload's parts. 0, -ENOMEM or -EINVAL (a
 * checksum could not be made). */
static int assemble(const struct upload *u, const struct named_part *list, int n, struct version *v)
{
    struct checksum_combiner c = {0};
    unsigned total = 0;
    int err;

    for (int i = 0; i < n; i++)
        total += u->parts[list[i].number - 1]->n_segments;
    v->segments = calloc(total ? total : 1, sizeof(*v->segments));
    v->parts = calloc((size_t)n, sizeof(*v->parts));
    if (!v->segments || !v->parts)
        return -ENOMEM;
    if (u->algo != CHECKSUM_NONE)
        checksum_combine_start(&c, u->algo, u->type);
    for (int i = 0; i < n; i++) {
        const struct part *p = u->parts[list[i].number - 1];

        for (unsigned k = 0; k < p->n_segments; k++) {
            v->segments[v->n_segments] = p->segments[k];
            blob_ref(v->segments[v->n_segments++].blob);
        }
        v->parts[i] = (struct part_size){p->size, p->checksum, p->number};
        v->size += p->size;
        if (u->algo != CHECKSUM_NONE)
            checksum_combine_add(&c, &p->checksum, p->size);
    }
    v->n_parts = (unsigned)n;
    err = u->algo != CHECKSUM_NONE ? checksum_combine_finish(&c, &v->checksum) : 0;
    if (err == 0)
        err = combine_etags(u, list, n, v->etag);
    if (err == 0)
        err = fields_copy(&v->fields, &u->fields);
    /* S3 dates a multipart object from the initiation of its upload. */
    v->mtime_ns = u->initiated_ns;
    memcpy(v->storage_class, u->storage_class, sizeof(v->storage_class));
    return err;
}

/* x-amz-mp-object-size, x-amz-checksum-*, x-amz-checksum-type: of the whole object. */
static bool check_whole(struct request *r, const struct version *v)
{
    const char *type = request_header(r, "x-amz-checksum-type");
    const char *size = request_header(r, "x-amz-mp-object-size");
    uint64_t want;

    if (size && (parse_u64(size, &want) < 0 || want != v->size)) {
        reply_error_message(r, ERR_INVALID_REQUEST,
                            "The provided 'x-amz-mp-object-size' header value %s does not match "
                            "what was computed: %" PRIu64,
                            size, v->size);
        return false;
    }
    if (type && strcmp(type, checksum_type_name(v->checksum.type))) {
        reply_error_message(r, ERR_INVALID_REQUEST,
                            "Checksum type %s does not match the upload's %s", type,
                            checksum_type_name(v->checksum.type));
        return false;
    }
    for (unsigned a = CHECKSUM_CRC32; a < CHECKSUM_MAX; a++) {
        const char *sum = request_header(r, checksum_header(a));
        size_t plain = strcspn(v->checksum.text, "-");

        if (!sum)
            continue;
        /* A composite one may come with or without its "-N". */
        if (a != v->checksum.algo ||
            (strcmp(sum, v->checksum.text) &&
             !(strlen(sum) == plain && !strncmp(sum, v->checksum.text, plain)))) {
            reply_error_message(r, ERR_BAD_DIGEST,
                                "The %s you specified did not match the calculated checksum.",
                                checksum_name(a));
            return false;
        }
    }
    return true;
}

static void write_result(struct request *r, const struct completed *c)
{
    struct strbuf *sb = reply_xml(r, "CompleteMultipartUploadResult");

    strbuf_append_str(sb, "<Location>http://");
    strbuf_append_str(sb, r->host);
    strbuf_append_char(sb, '/');
    strbuf_append_str(sb, r->bucket->name);
    strbuf_append_char(sb, '/');
    encode_percent(sb, r->key, r->key_len, false);
    strbuf_append_str(sb, "</Location>");
    xml_text(sb, "Bucket", r->bucket->name);
    xml_bytes(sb, "Key", r->key, r->key_len);
    xml_etag(sb, c->etag);
    if (c->checksum.algo != CHECKSUM_NONE) {
        bool wrong = r->fault.action == FAULT_WRONG_CHECKSUM;
        char text[sizeof(c->checksum.text)];

        memcpy(text, c->checksum.text, sizeof(text));
        if (wrong)
            text[0] = text[0] == 'A' ? 'B' : 'A';
        xml_text(sb, checksum_element(c->checksum.algo), text);
        xml_text(sb, "ChecksumType", checksum_type_name(c->checksum.type));
    }
    xml_close(sb, "CompleteMultipartUploadResult");
    object_reply_version(r, c->version_id);
    reply_header(r, "x-amz-server-side-encryption", "AES256");
}

/* Newest first; the oldest goes when there are too many. */
static void remember(struct bucket *b, struct completed *c)
{
    struct completed **at = &b->completed;

    c->next = b->completed;
    b->completed = c;
    if (++b->n_completed <= COMPLETED_MAX)
        return;
    while ((*at)->next)
        at = &(*at)->next;
    free((*at)->key);
    free(*at);
    *at = NULL;
    b->n_completed--;
}

static const struct completed *find_completed(const struct request *r, const char *id)
{
    for (const struct completed *c = r->bucket->completed; c; c = c->next) {
        if (!strcmp(c->upload_id, id) && c->key_len == r->key_len &&
            !memcmp(c->key, r->key, r->key_len))
            return c;
    }
    return NULL;
}

struct leftovers {
    struct version *version;
    struct upload *upload;
};

/* bucket->lock is held for writing: from the check of the parts and the condition to the
 * publication nothing comes between. */
static void complete_locked(struct request *r, const struct named_part *list, int n,
                            struct leftovers *left)
{
    const char *id = request_param_value(r, "uploadId");
    struct bucket *b = r->bucket;
    struct upload *u = bucket_find_upload(b, r->key, r->key_len, id);
    struct completed *c;
    struct version *v;
    enum s3d_error e;
    int err;

    if (!u) {
        const struct completed *before = find_completed(r, id);

        if (before)
            write_result(r, before);
        else
            reply_error(r, ERR_NO_SUCH_UPLOAD);
        return;
    }
    if (!check_parts(r, u, list, n))
        return;
    v = left->version = version_new();
    c = calloc(1, sizeof(*c));
    if (c)
        c->key = malloc(r->key_len);
    if (r->fault.action == FAULT_FEWER_PARTS && n > 1)
        n--;
    err = v && c && c->key ? assemble(u, list, n, v) : -ENOMEM;
    if (err < 0) {
        reply_failure(r, err, "CompleteMultipartUpload");
    } else if (check_whole(r, v)) {
        left->version = NULL;
        e = object_publish_locked(r, v, &left->version);
        if (e != ERR_NONE) {
            object_reply_condition(r, e);
        } else {
            memcpy(c->upload_id, u->id, sizeof(u->id));
            memcpy(c->version_id, v->id, sizeof(v->id));
            memcpy(c->etag, v->etag, sizeof(v->etag));
            c->checksum = v->checksum;
            memcpy(c->key, r->key, r->key_len);
            c->key_len = r->key_len;
            write_result(r, c);
            remember(b, c);
            c = NULL;
            (void)bucket_end_upload(&r->s->store, b, r->key, r->key_len, u, &left->upload);
        }
    }
    if (c) {
        free(c->key);
        free(c);
    }
}

void op_complete_multipart_upload(struct request *r)
{
    struct leftovers left = {0};
    struct named_part *list;
    enum s3d_error e = condition_write_supported(r);
    int n;

    if (e != ERR_NONE) {
        reply_error(r, e);
        return;
    }
    list = calloc(STORE_PARTS_MAX, sizeof(*list));
    n = list ? parse_complete(r, list) : -ENOMEM;
    if (n == -ENOMEM) {
        reply_failure(r, n, "CompleteMultipartUpload");
    } else if (n < 0) {
        reply_error(r, ERR_MALFORMED_XML);
    } else {
        pthread_rwlock_wrlock(&r->bucket->lock);
        complete_locked(r, list, n, &left);
        pthread_rwlock_unlock(&r->bucket->lock);
    }
    version_unref(&r->s->store, left.version);
    upload_free(&r->s->store, left.upload);
    free(list);
}
