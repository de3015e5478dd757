/* SPDX-License-Identifier: Apache-2.0 */
#include "data/upload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "data/parts_refresh.h"
#include "store/store_limits.h"

/* All uploads together retain this share of the memory, one at most so much. */
#define RETAIN_SHARE 8u
#define RETAIN_MAX   (64 * MIB)

struct part;

struct upload {
    struct data *d;
    struct data_share *share; /* a reference */
    char *key;
    struct store_upload id;

    pthread_mutex_t lock;
    pthread_cond_t cond; /* a request ended */
    unsigned refs;       /* protected by lock, as all below */
    unsigned in_flight;
    unsigned copying; /* of them copies */
    bool completed;
    bool kept;        /* is not aborted */
    bool reused;      /* a number may have stood for other bytes */
    bool uncertain;   /* a completion was sent whose effect is not known */
    bool late;        /* a part's request was let go of, and may still be at work at the server */
    int result;       /* of the first failed part */
    bool copy_failed; /* which was a copy */
    struct s3_error err;
    struct store_part *parts;
    uint32_t n_parts, alloc_parts;

    uint64_t given; /* bytes that upload_part got; the caller's */
    /* Protected by d->retain_lock: */
    bool retaining;                                  /* nothing was given up yet */
    struct part *in_memory;                          /* by position */
    uint64_t retained;                               /* bytes of them */
    struct part *failed;                             /* to be sent again; not among in_memory */
    bool lost;                                       /* one that failed is not here any more */
    struct upload *next_retaining, **link_retaining; /* in d's list while there are any of both */
};

/* A part under way. */
struct part {
    struct upload *upload;
    uint32_t number;
    uint64_t size;
    bool copy;
    bool failed;
    uint64_t position;    /* bytes given before it */
    struct part *next;    /* in upload->in_memory or upload->failed */
    struct buffer buffer; /* owned content, or empty */
    struct iovec *iov;
    struct store_upload_part_in in;
    struct store_upload_part_copy_in copy_in;
    struct store_part out;
    char *source_key;
    char source_etag[STORE_ETAG_SIZE];
};

static int no_memory(struct s3_error *reterr)
{
    return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "no memory for an upload");
}

bool upload_error_is_uncertain(const struct s3_error *err)
{
    switch (err->kind) {
    case S3_ERROR_SERVER:
    case S3_ERROR_BAD_RESPONSE:
    case S3_ERROR_CONNECT:
    case S3_ERROR_TLS:
    case S3_ERROR_TIMEOUT:
    case S3_ERROR_CANCELLED:
    case S3_ERROR_THROTTLED:
        return true;
    case S3_ERROR_NO_SUCH_UPLOAD:
        return true; /* a completed upload is no more, too */
    case S3_ERROR_PRECONDITION:
    case S3_ERROR_NO_SUCH_KEY:
    case S3_ERROR_CONFLICT:
        /* The condition may have been broken by an earlier try of the same request. */
        return err->tries > 1;
    case S3_ERROR_NONE:
    case S3_ERROR_NO_SUCH_BUCKET:
    case S3_ERROR_ACCESS_DENIED:
    case S3_ERROR_BAD_CREDENTIALS:
    case S3_ERROR_EXPIRED_CREDENTIALS:
    case S3_ERROR_NO_CREDENTIALS:
    case S3_ERROR_CLOCK_SKEW:
    case S3_ERROR_WRONG_REGION:
    case S3_ERROR_NOT_MODIFIED:
    case S3_ERROR_BUCKET_EXISTS:
    case S3_ERROR_BUCKET_NOT_EMPTY:
    case S3_ERROR_BAD_RANGE:
    case S3_ERROR_TOO_LARGE:
    case S3_ERROR_KEY_TOO_LONG:
    case S3_ERROR_ARCHIVED:
    case S3_ERROR_QUOTA:
    case S3_ERROR_INVALID:
    case S3_ERROR_UNSUPPORTED:
    case S3_ERROR_CONFIG:
    case S3_ERROR_OUT_OF_MEMORY:
    case S3_ERROR_KIND_MAX:
        break;
    }
    return false;
}

bool upload_sum_differs(const struct s3_error *err)
{
    return strcmp(err->code, "BadDigest") == 0;
}

/* ---- retained parts ---- */

static void part_free(struct part *p)
{
    buffer_done(&p->buffer);
    free(p->iov);
    free(p->source_key);
    free(p);
}

static void free_kept(struct part *p)
{
    while (p) {
        struct part *next = p->next;
        part_free(p);
        p = next;
    }
}

/* In d's list as long as there is something to give back. */
static void list_locked(struct upload *u)
{
    bool wanted = u->in_memory || u->failed, listed = u->link_retaining != NULL;
    if (wanted && !listed) {
        u->next_retaining = u->d->first_retaining;
        if (u->next_retaining)
            u->next_retaining->link_retaining = &u->next_retaining;
        u->link_retaining = &u->d->first_retaining;
        u->d->first_retaining = u;
    } else if (!wanted && listed) {
        *u->link_retaining = u->next_retaining;
        if (u->next_retaining)
            u->next_retaining->link_retaining = u->link_retaining;
        u->link_retaining = NULL;
    }
}

/* Nothing is retained any more. The parts are the caller's. */
static struct part *take_kept_locked(struct upload *u)
{
    struct part *kept = TAKE_PTR(u->in_memory);
    list_locked(u);
    u->d->retained -= u->retained;
    u->retained = 0;
    u->retaining = false;
    return kept;
}

/* The same, but what has failed stays to be sent again. */
static struct part *take_stored_locked(struct upload *u)
{
    struct part **link = &u->in_memory;
    while (*link) {
        struct part *p = *link;
        if (!p->failed) {
            link = &p->next;
            continue;
        }
        *link = p->next;
        p->next = u->failed;
        u->failed = p;
    }
    return take_kept_locked(u);
}

/* All or nothing: false when the part is not kept, and then no other is, but those that have
 * failed: they are the only copy. */
static bool retain(struct upload *u, struct part *p)
{
    struct data *d = u->d;
    uint64_t len = p->buffer.len;
    struct part *dropped = NULL;
    pthread_mutex_lock(&d->retain_lock);
    bool room = !d->no_retain && !data_is_tight(d);
    bool keep = room && u->retaining && u->retained + len <= RETAIN_MAX &&
                d->retained + len <= d->memory_limit / RETAIN_SHARE;
    if (keep) {
        buffer_stay(&p->buffer);
        struct part **link = &u->in_memory;
        while (*link && (*link)->position < p->position)
            link = &(*link)->next;
        p->next = *link;
        *link = p;
        u->retained += len;
        d->retained += len;
    } else {
        dropped = take_stored_locked(u);
        if (p->failed && !room)
            u->lost = true;
        if (p->failed && room) {
            buffer_stay(&p->buffer);
            p->next = u->failed;
            u->failed = p;
            keep = true;
        }
    }
    list_locked(u);
    pthread_mutex_unlock(&d->retain_lock);
    free_kept(dropped);
    return keep;
}

/* What has failed, too: it will not be sent again. */
static struct part *take_all_locked(struct upload *u)
{
    struct part *kept = take_stored_locked(u), *failed = TAKE_PTR(u->failed);
    if (failed)
        u->lost = true;
    list_locked(u);
    free_kept(failed);
    return kept;
}

void upload_drop_retained(struct upload *u)
{
    pthread_mutex_lock(&u->d->retain_lock);
    struct part *dropped = take_stored_locked(u);
    pthread_mutex_unlock(&u->d->retain_lock);
    free_kept(dropped);
}

static void drop_all(struct upload *u)
{
    pthread_mutex_lock(&u->d->retain_lock);
    struct part *dropped = take_all_locked(u);
    pthread_mutex_unlock(&u->d->retain_lock);
    free_kept(dropped);
}

void uploads_give_back(struct data *d)
{
    for (;;) {
        pthread_mutex_lock(&d->retain_lock);
        struct upload *u = d->first_retaining;
        struct part *dropped = u ? take_all_locked(u) : NULL;
        pthread_mutex_unlock(&d->retain_lock);
        if (!u)
            return;
        free_kept(dropped);
    }
}

bool upload_is_retained(struct upload *u)
{
    SCOPE_LOCK(&u->d->retain_lock);
    return u->retaining && u->retained == u->given;
}

bool upload_hand_out(struct upload *u, upload_piece_fn fn, void *ctx, int *ret)
{
    pthread_mutex_lock(&u->d->retain_lock);
    bool all = u->retaining && u->retained == u->given;
    struct part *kept = all ? take_kept_locked(u) : NULL;
    pthread_mutex_unlock(&u->d->retain_lock);
    *ret = 0;
    for (struct part *p = kept; p && !*ret; p = p->next)
        *ret = fn(ctx, p->position, &p->buffer);
    free_kept(kept);
    return all;
}

/* ---- life ---- */

static void upload_destroy(struct upload *u)
{
    struct data *d = u->d;
    drop_all(u);
    pthread_cond_destroy(&u->cond);
    pthread_mutex_destroy(&u->lock);
    data_share_unref(u->share);
    free(u->parts);
    free(u->key);
    free(u);
    data_unpin(d);
}

struct abort_call {
    struct upload *upload;
    struct store_upload_abort_in in;
    bool again; /* a part that is late may have been stored after the first */
};

static void abort_send(struct abort_call *c);

static void abort_done(void *ctx, int result, const struct s3_error *err)
{
    struct abort_call *c = ctx;
    if (!result && c->again) {
        c->again = false;
        abort_send(c);
        return;
    }
    if (result && (!err || err->kind != S3_ERROR_NO_SUCH_UPLOAD)) {
        char text[512];
        log_warn("parts of an upload of '%s' that was given up stay in the bucket: %s",
                 c->upload->key, err ? s3_error_describe(err, text, sizeof(text)) : "not sent");
    }
    upload_destroy(c->upload);
    free(c);
}

static void abort_send(struct abort_call *c)
{
    struct upload *u = c->upload;
    c->in = (struct store_upload_abort_in){.key = u->key, .upload_id = u->id.id};
    int r = store_submit(u->d->store, STORE_UPLOAD_ABORT, &c->in, NULL, abort_done, c);
    if (r)
        abort_done(c, r, NULL);
}

/* Gives the reference to the request that aborts. */
static void upload_abort(struct upload *u)
{
    struct abort_call *c = calloc(1, sizeof(*c));
    if (!c) {
        log_warn("out of memory: parts of an upload of '%s' that was given up stay in the bucket",
                 u->key);
        upload_destroy(u);
        return;
    }
    c->upload = u;
    c->again = u->late;
    abort_send(c);
}

static void upload_unref(struct upload *u)
{
    pthread_mutex_lock(&u->lock);
    bool last = --u->refs == 0;
    pthread_mutex_unlock(&u->lock);
    if (!last)
        return;
    if (u->completed || u->kept)
        upload_destroy(u);
    else
        upload_abort(u);
}

void upload_id(const struct upload *u, char ret[STORE_UPLOAD_ID_SIZE])
{
    memcpy(ret, u->id.id, STORE_UPLOAD_ID_SIZE);
}

void upload_keep(struct upload *u)
{
    SCOPE_LOCK(&u->lock);
    u->kept = true;
}

void upload_free(struct upload *u)
{
    if (!u)
        return;
    drop_all(u);
    upload_unref(u);
}

int upload_begin(struct data_share *share, const char *key, const struct store_attrs *attrs,
                 struct upload **ret, struct s3_error *reterr)
{
    struct upload *u = calloc(1, sizeof(*u));
    if (u)
        u->key = strdup(key);
    if (!u || !u->key) {
        free(u);
        return no_memory(reterr);
    }
    struct data *d = share->d;
    u->d = d;
    u->share = data_share_ref(share);
    u->refs = 1;
    u->retaining = true;
    pthread_mutex_init(&u->lock, NULL);
    pthread_cond_init(&u->cond, NULL);
    data_pin(d);

    struct store_upload_create_in in = {.key = u->key, .attrs = *attrs};
    int r = store_call(d->store, STORE_UPLOAD_CREATE, &in, &u->id, reterr);
    if (r) {
        upload_destroy(u);
        return r;
    }
    *ret = u;
    return 0;
}

uint32_t upload_next_index(const struct upload *u)
{
    return u->n_parts;
}

/* ---- parts ---- */

static void note_lost(struct upload *u)
{
    SCOPE_LOCK(&u->d->retain_lock);
    u->lost = true;
}

static bool may_be_at_work(const struct s3_error *err)
{
    return err && (err->kind == S3_ERROR_TIMEOUT || err->kind == S3_ERROR_CONNECT ||
                   err->kind == S3_ERROR_CANCELLED);
}

static void part_done(void *ctx, int result, const struct s3_error *err)
{
    struct part *p = ctx;
    struct upload *u = p->upload;
    bool copy = p->copy;
    uint64_t now = clock_monotonic_ns(u->d->clock);
    if (!copy)
        data_count_dirty(u->d, -(int64_t)p->size, -1);
    if (!copy && !result)
        pace_stored(&u->d->pace, p->size, now);
    pthread_mutex_lock(&u->lock);
    u->late |= result ? may_be_at_work(err) : p->out.late;
    if (!result) {
        u->parts[p->number - 1] = p->out;
        u->parts[p->number - 1].number = p->number;
    } else if (!u->result) {
        u->result = result;
        u->copy_failed = p->copy;
        if (err)
            u->err = *err;
    }
    pthread_mutex_unlock(&u->lock);
    p->failed = result != 0;
    if (p->failed && p->copy)
        note_lost(u);
    /* Before the wake-up: who waited finds the memory free. */
    free(TAKE_PTR(p->iov));
    if (!p->buffer.len || !retain(u, p))
        part_free(p);
    pthread_mutex_lock(&u->lock);
    u->in_flight--;
    if (copy)
        u->copying--;
    else if (u->in_flight == u->copying)
        pace_count(&u->d->pace, -1, now);
    pthread_cond_broadcast(&u->cond);
    pthread_mutex_unlock(&u->lock);
    upload_unref(u);
}

static int first_failure_locked(const struct upload *u, struct s3_error *reterr)
{
    if (u->result && reterr)
        *reterr = u->err;
    return u->result;
}

/* Copies move no bytes here and hold no memory: what they wait for is the server's disks. */
#define COPIES_PER_PARALLEL 4u

static bool has_place_locked(const struct upload *u, bool copy)
{
    return copy ? u->copying < COPIES_PER_PARALLEL * u->d->parallel
                : u->in_flight - u->copying < pace_share(&u->d->pace);
}

static void wait_for_place_locked(struct upload *u, bool copy)
{
    if (!copy)
        pace_waits(&u->d->pace);
    pthread_cond_wait(&u->cond, &u->lock);
}

static void count_in_locked(struct upload *u, bool copy)
{
    u->refs++;
    u->in_flight++;
    u->copying += copy;
    if (!copy && u->in_flight - u->copying == 1)
        pace_count(&u->d->pace, 1, clock_monotonic_ns(u->d->clock));
}

/* A number (0: the next one) and a place among the requests under way. */
static int part_begin(struct upload *u, struct part *p, uint32_t number, struct s3_error *reterr)
{
    SCOPE_LOCK(&u->lock);
    while (!u->result && !has_place_locked(u, p->copy))
        wait_for_place_locked(u, p->copy);
    if (u->result)
        return first_failure_locked(u, reterr);
    if (!number)
        number = u->n_parts + 1;
    if (number > STORE_PARTS_MAX) {
        s3_error_set(reterr, S3_ERROR_TOO_LARGE, "'%s' would have more than %u parts", u->key,
                     STORE_PARTS_MAX);
        return -EFBIG;
    }
    if (number > u->alloc_parts) {
        uint32_t alloc = MAX(MAX(u->alloc_parts * 2, 16u), number);
        struct store_part *bigger = realloc(u->parts, alloc * sizeof(*bigger));
        if (!bigger)
            return no_memory(reterr);
        u->parts = bigger;
        u->alloc_parts = alloc;
    }
    while (u->n_parts < number)
        u->parts[u->n_parts++] = (struct store_part){0};
    p->upload = u;
    p->number = number;
    count_in_locked(u, p->copy);
    return 0;
}

/* A submit that was refused counts as a failed part. */
static int part_submit(struct part *p, enum store_op op, const void *in, struct s3_error *reterr)
{
    struct upload *u = p->upload;
    int r = store_submit(u->d->store, op, in, &p->out, part_done, p);
    if (!r)
        return 0;
    struct s3_error err;
    r = s3_error_set(&err, r == -ENOMEM ? S3_ERROR_OUT_OF_MEMORY : S3_ERROR_CANCELLED,
                     "a part of '%s' was not sent", u->key);
    part_done(p, r, &err);
    if (reterr)
        *reterr = err;
    return r;
}

static int send_buffer(struct upload *u, uint32_t number, struct buffer *b, bool keep,
                       struct s3_error *reterr)
{
    struct part *p = calloc(1, sizeof(*p));
    if (!p)
        return no_memory(reterr);
    buffer_init(&p->buffer, b->share);
    int n_iov = 0;
    bool was_leaving = b->leaving;
    int r = buffer_iov(b, &p->iov, &n_iov);
    /* From here on it waits for other parts only. */
    if (!r && !keep)
        buffer_leave(b);
    r = r ? no_memory(reterr) : part_begin(u, p, number, reterr);
    if (r) {
        if (!was_leaving)
            buffer_stay(b);
        part_free(p);
        return r;
    }
    p->size = b->len;
    if (!keep) {
        p->position = u->given;
        u->given += b->len;
        buffer_move(&p->buffer, b);
    }
    p->in = (struct store_upload_part_in){
        .key = u->key, .upload_id = u->id.id, .number = p->number, .body = p->iov, .n_body = n_iov};
    if (u->d->sum_parts) {
        p->in.has_crc64 = true;
        p->in.crc64 = buffer_sum(keep ? b : &p->buffer);
    }
    data_count_dirty(u->d, (int64_t)p->size, 1);
    return part_submit(p, STORE_UPLOAD_PART, &p->in, reterr);
}

int upload_part(struct upload *u, struct buffer *b, struct s3_error *reterr)
{
    return send_buffer(u, 0, b, false, reterr);
}

int upload_part_as(struct upload *u, uint32_t number, struct buffer *b, struct s3_error *reterr)
{
    return send_buffer(u, number, b, false, reterr);
}

int upload_part_kept(struct upload *u, struct buffer *b, struct s3_error *reterr)
{
    return send_buffer(u, 0, b, true, reterr);
}

int upload_copy(struct upload *u, const char *source_key, const char *source_etag, uint64_t offset,
                uint64_t length, struct s3_error *reterr)
{
    return upload_copy_as(u, 0, source_key, source_etag, offset, length, reterr);
}

int upload_copy_as(struct upload *u, uint32_t number, const char *source_key,
                   const char *source_etag, uint64_t offset, uint64_t length,
                   struct s3_error *reterr)
{
    struct part *p = calloc(1, sizeof(*p));
    if (p)
        p->source_key = strdup(source_key);
    if (!p || !p->source_key) {
        free(p);
        return no_memory(reterr);
    }
    /* Nothing is ever in it; an owned buffer is released with the part. */
    p->buffer = (struct buffer){0};
    p->copy = true;
    p->size = length;
    snprintf(p->source_etag, sizeof(p->source_etag), "%s", source_etag);
    int r = part_begin(u, p, number, reterr);
    if (r) {
        part_free(p);
        return r;
    }
    p->copy_in = (struct store_upload_part_copy_in){.key = u->key,
                                                    .upload_id = u->id.id,
                                                    .number = p->number,
                                                    .source_key = p->source_key,
                                                    .source_if_match =
                                                        p->source_etag[0] ? p->source_etag : NULL,
                                                    .offset = offset,
                                                    .length = length};
    return part_submit(p, STORE_UPLOAD_PART_COPY, &p->copy_in, reterr);
}

int upload_wait(struct upload *u, struct s3_error *reterr)
{
    SCOPE_LOCK(&u->lock);
    while (u->in_flight)
        pthread_cond_wait(&u->cond, &u->lock);
    return first_failure_locked(u, reterr);
}

bool upload_can_mend(struct upload *u)
{
    pthread_mutex_lock(&u->lock);
    bool failed = u->result != 0, other = u->copy_failed || u->err.kind == S3_ERROR_NO_SUCH_UPLOAD;
    pthread_mutex_unlock(&u->lock);
    SCOPE_LOCK(&u->d->retain_lock);
    return failed && !other && !u->retaining && !u->lost;
}

/* Under the number that it has. */
static int send_again(struct upload *u, struct part *p, struct s3_error *reterr)
{
    int n_iov = 0;
    if (buffer_iov(&p->buffer, &p->iov, &n_iov)) {
        note_lost(u);
        part_free(p);
        pthread_mutex_lock(&u->lock);
        u->result = no_memory(&u->err);
        pthread_mutex_unlock(&u->lock);
        return no_memory(reterr);
    }
    pthread_mutex_lock(&u->lock);
    while (!has_place_locked(u, false))
        wait_for_place_locked(u, false);
    count_in_locked(u, false);
    pthread_mutex_unlock(&u->lock);
    buffer_leave(&p->buffer);
    p->failed = false;
    p->next = NULL;
    p->in.body = p->iov;
    p->in.n_body = n_iov;
    data_count_dirty(u->d, (int64_t)p->size, 1);
    return part_submit(p, STORE_UPLOAD_PART, &p->in, reterr);
}

int upload_mend(struct upload *u, struct s3_error *reterr)
{
    int r = upload_wait(u, reterr);
    if (!r || !upload_can_mend(u))
        return r;
    pthread_mutex_lock(&u->d->retain_lock);
    bool lost = u->lost; /* since we asked */
    struct part *failed = lost ? NULL : TAKE_PTR(u->failed);
    list_locked(u);
    pthread_mutex_unlock(&u->d->retain_lock);
    if (lost)
        return r;
    pthread_mutex_lock(&u->lock);
    u->result = 0;
    u->err = (struct s3_error){0};
    pthread_mutex_unlock(&u->lock);
    r = 0;
    while (failed) {
        struct part *p = failed;
        failed = p->next;
        int sent = send_again(u, p, r ? NULL : reterr);
        r = r ? r : sent;
    }
    int waited = upload_wait(u, r ? NULL : reterr);
    return r ? r : waited;
}

bool upload_copy_failed(struct upload *u)
{
    SCOPE_LOCK(&u->lock);
    return u->result && u->copy_failed;
}

void upload_drop_last(struct upload *u)
{
    SCOPE_LOCK(&u->lock);
    if (u->n_parts)
        u->n_parts--;
    u->reused = true;
}

/* ---- completion ---- */

static int hex_byte(const char *s)
{
    unsigned v = 0;
    for (int i = 0; i < 2; i++) {
        char c = s[i];
        if (c >= '0' && c <= '9')
            v = v * 16 + (unsigned)(c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v * 16 + (unsigned)(c - 'a') + 10;
        else
            return -1;
    }
    return (int)v;
}

/* The ETag that S3 gives the completed object: the MD5 of the parts' MD5s, and their number. False
 * when a part's ETag is no MD5 (some encryptions, some servers): then there is no telling. */
static bool expected_etag(const struct upload *u, char etag[STORE_ETAG_SIZE])
{
    struct digest *d = NULL;
    uint8_t md5[DIGEST_MD5_SIZE];
    bool ok = digest_new(DIGEST_MD5, &d) == 0;
    for (uint32_t i = 0; ok && i < u->n_parts; i++) {
        const char *text = u->parts[i].etag;
        ok = strlen(text) == 2 * DIGEST_MD5_SIZE + 2 && text[0] == '"';
        for (int k = 0; ok && k < DIGEST_MD5_SIZE; k++) {
            int byte = hex_byte(text + 1 + 2 * k);
            ok = byte >= 0;
            md5[k] = (uint8_t)byte;
        }
        ok = ok && digest_update(d, md5, sizeof(md5)) == 0;
    }
    ok = ok && digest_final(d, md5) == 0;
    digest_free(d);
    if (!ok)
        return false;
    char hex[2 * DIGEST_MD5_SIZE + 1];
    for (int k = 0; k < DIGEST_MD5_SIZE; k++)
        snprintf(hex + 2 * k, 3, "%02x", md5[k]);
    snprintf(etag, STORE_ETAG_SIZE, "\"%s-%u\"", hex, u->n_parts);
    return true;
}

static bool is_stored(struct upload *u, struct store_version *ret)
{
    char etag[STORE_ETAG_SIZE];
    struct store_object o;
    if (!expected_etag(u, etag) || store_head(u->d->store, u->key, &o, NULL))
        return false;
    bool ours = strcmp(o.etag, etag) == 0;
    if (ours) {
        snprintf(ret->etag, sizeof(ret->etag), "%s", o.etag);
        ret->mtime_ns = o.mtime_ns;
    }
    store_object_done(&o);
    return ours;
}

int upload_complete(struct upload *u, const char *if_match, bool if_absent,
                    struct store_version *ret, struct s3_error *reterr)
{
    struct store_upload_complete_in in = {.key = u->key,
                                          .upload_id = u->id.id,
                                          .parts = u->parts,
                                          .n_parts = u->n_parts,
                                          .if_match = if_match,
                                          .if_absent = if_absent};
    struct s3_error err = {0};
    int r = store_call(u->d->store, STORE_UPLOAD_COMPLETE, &in, ret, &err);
    if (r && strcmp(err.code, "InvalidPart") == 0 &&
        parts_refresh(u->d->store, u->key, u->id.id, !u->reused, u->parts, u->n_parts)) {
        err = (struct s3_error){0};
        r = store_call(u->d->store, STORE_UPLOAD_COMPLETE, &in, ret, &err);
    }
    bool uncertain = u->uncertain || upload_error_is_uncertain(&err);
    if (r && uncertain && !upload_sum_differs(&err) && is_stored(u, ret))
        r = 0;
    if (r) {
        u->uncertain = uncertain;
        if (reterr)
            *reterr = err;
        return r;
    }
    u->completed = true;
    /* Ceph 16 does not tell it. */
    if (!ret->etag[0] || strcmp(ret->etag, "\"\"") == 0) {
        ret->etag[0] = '\0';
        (void)is_stored(u, ret);
    }
    return 0;
}
