/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs, and the reference-counted things made of them: segments, parts, versions, uploads. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "store.h"

/* The CRC of the piece of a blob that was asked for last: copies of an object, and copies of those,
 * are made of the same pieces. */
struct known_crc {
    uint64_t offset, len;
    struct checksum sum;
};
static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER; /* of every blob's known */

static void blob_path(uint64_t id, char out[32])
{
    snprintf(out, 32, "%02x/%012llx", (unsigned)(id & 0xff), (unsigned long long)id);
}

int blob_create(struct store *st, struct blob **ret, int *ret_fd)
{
    char path[32];
    struct blob *b = calloc(1, sizeof(*b));
    int fd;

    if (!b)
        return -ENOMEM;
    b->refs = 1;
    b->id = atomic_fetch_add(&st->next_blob, 1);
    blob_path(b->id, path);
    fd = openat(st->data_fd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        int r = -errno;

        free(b);
        return r;
    }
    *ret = b;
    *ret_fd = fd;
    return 0;
}

int blob_open(struct store *st, const struct blob *b)
{
    char path[32];
    int fd;

    blob_path(b->id, path);
    fd = openat(st->data_fd, path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

struct blob *blob_ref(struct blob *b)
{
    atomic_fetch_add(&b->refs, 1);
    return b;
}

void blob_unref(struct store *st, struct blob *b)
{
    char path[32];

    if (!b || atomic_fetch_sub(&b->refs, 1) != 1)
        return;
    blob_path(b->id, path);
    (void)unlinkat(st->data_fd, path, 0);
    free(b->known);
    free(b);
}

void segments_free(struct store *st, struct segment *list, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        blob_unref(st, list[i].blob);
    free(list);
}

int segments_slice(const struct segment *from, unsigned n_from, uint64_t offset, uint64_t len,
                   struct segment **to, unsigned *n_to)
{
    struct segment *grown = realloc(*to, (*n_to + n_from + 1) * sizeof(*grown));

    if (!grown)
        return -ENOMEM;
    *to = grown;
    for (unsigned i = 0; i < n_from && len; i++) {
        const struct segment *s = &from[i];
        uint64_t take;

        if (offset >= s->len) {
            offset -= s->len;
            continue;
        }
        take = s->len - offset < len ? s->len - offset : len;
        grown[(*n_to)++] = (struct segment){blob_ref(s->blob), s->offset + offset, take};
        len -= take;
        offset = 0;
    }
    return len ? -ERANGE : 0;
}

static int digest_segment(struct store *st, const struct segment *s, char *buf, size_t size,
                          struct digest *md5, struct checksum_state *sum)
{
    CLEANUP_FD int fd = blob_open(st, s->blob);
    uint64_t done = 0;
    int r = fd < 0 ? fd : 0;

    while (r == 0 && done < s->len) {
        size_t want = s->len - done < size ? (size_t)(s->len - done) : size;
        ssize_t n = pread(fd, buf, want, (off_t)(s->offset + done));

        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        if (md5)
            r = digest_update(md5, buf, (size_t)n);
        if (r == 0)
            r = checksum_update(sum, buf, (size_t)n);
        done += (uint64_t)n;
    }
    return r;
}

static bool recall(const struct segment *s, enum checksum_algo algo, struct checksum *ret)
{
    bool found;

    pthread_mutex_lock(&known_lock);
    const struct known_crc *k = s->blob->known;
    found = k && k->offset == s->offset && k->len == s->len && k->sum.algo == algo;
    if (found)
        *ret = k->sum;
    pthread_mutex_unlock(&known_lock);
    return found;
}

static void remember(const struct segment *s, const struct checksum *sum)
{
    pthread_mutex_lock(&known_lock);
    if (!s->blob->known)
        s->blob->known = malloc(sizeof(*s->blob->known));
    if (s->blob->known)
        *s->blob->known = (struct known_crc){s->offset, s->len, *sum};
    pthread_mutex_unlock(&known_lock);
}

static int segment_crc(struct store *st, const struct segment *s, enum checksum_algo algo,
                       struct checksum *ret)
{
    size_t size = 256u << 10;
    CLEANUP_FREE char *buf = NULL;
    struct checksum_state state = {0};
    int r;

    if (recall(s, algo, ret))
        return 0;
    buf = malloc(size);
    r = buf ? checksum_start(&state, algo) : -ENOMEM;
    if (r == 0)
        r = digest_segment(st, s, buf, size, NULL, &state);
    if (r == 0)
        r = checksum_finish(&state, ret);
    checksum_drop(&state);
    if (r == 0)
        remember(s, ret);
    return r;
}

static int segments_crc(struct store *st, const struct segment *list, unsigned n,
                        struct checksum *sum, enum checksum_algo algo)
{
    struct checksum_combiner c;
    struct checksum piece;
    int r = 0;

    checksum_combine_start(&c, algo, CHECKSUM_FULL_OBJECT);
    for (unsigned i = 0; i < n && r == 0; i++) {
        r = segment_crc(st, &list[i], algo, &piece);
        if (r == 0)
            checksum_combine_add(&c, &piece, list[i].len);
    }
    return r < 0 ? r : checksum_combine_finish(&c, sum);
}

int segments_digest(struct store *st, const struct segment *list, unsigned n, uint8_t *md5,
                    struct checksum *sum, enum checksum_algo algo)
{
    size_t size = 256u << 10;
    CLEANUP_FREE char *buf = NULL;
    struct checksum_state state = {0};
    struct digest *d = NULL;
    int r;

    if (!md5 && sum && checksum_is_crc(algo))
        return segments_crc(st, list, n, sum, algo);
    buf = malloc(size);
    r = buf ? 0 : -ENOMEM;
    if (r == 0 && md5)
        r = digest_new(DIGEST_MD5, &d);
    if (r == 0)
        r = checksum_start(&state, algo);
    for (unsigned i = 0; i < n && r == 0; i++)
        r = digest_segment(st, &list[i], buf, size, d, &state);
    if (r == 0 && md5)
        r = digest_final(d, md5);
    if (r == 0 && sum)
        r = checksum_finish(&state, sum);
    digest_free(d);
    checksum_drop(&state);
    return r;
}

int fields_add(struct fields *f, const char *name, const char *value)
{
    struct field *grown = realloc(f->list, (f->count + 1) * sizeof(*grown));

    if (!grown)
        return -ENOMEM;
    f->list = grown;
    grown[f->count].name = strdup(name);
    grown[f->count].value = strdup(value);
    if (!grown[f->count].name || !grown[f->count].value) {
        free(grown[f->count].name);
        free(grown[f->count].value);
        return -ENOMEM;
    }
    f->count++;
    return 0;
}

const char *fields_find(const struct fields *f, const char *name)
{
    for (unsigned i = 0; i < f->count; i++) {
        if (!strcasecmp(f->list[i].name, name))
            return f->list[i].value;
    }
    return NULL;
}

int fields_copy(struct fields *to, const struct fields *from)
{
    for (unsigned i = 0; i < from->count; i++) {
        int r = fields_add(to, from->list[i].name, from->list[i].value);

        if (r < 0)
            return r;
    }
    return 0;
}

void fields_done(struct fields *f)
{
    for (unsigned i = 0; i < f->count; i++) {
        free(f->list[i].name);
        free(f->list[i].value);
    }
    free(f->list);
    *f = (struct fields){0};
}

struct version *version_new(void)
{
    struct version *v = calloc(1, sizeof(*v));

    if (v) {
        v->refs = 1;
        snprintf(v->id, sizeof(v->id), "null");
        snprintf(v->storage_class, sizeof(v->storage_class), "STANDARD");
    }
    return v;
}

struct version *version_ref(struct version *v)
{
    atomic_fetch_add(&v->refs, 1);
    return v;
}

struct version *version_clone(const struct version *v)
{
    struct version *c = version_new();
    struct version fresh;

    if (!c)
        return NULL;
    fresh = *v;
    fresh.refs = 1;
    fresh.fields = (struct fields){0};
    fresh.segments = NULL;
    fresh.n_segments = 0;
    fresh.parts = NULL;
    fresh.n_parts = 0;
    memcpy(c, &fresh, sizeof(fresh));
    if (v->n_parts) {
        c->parts = malloc(v->n_parts * sizeof(*c->parts));
        if (c->parts) {
            memcpy(c->parts, v->parts, v->n_parts * sizeof(*c->parts));
            c->n_parts = v->n_parts;
        }
    }
    if ((v->n_parts && !c->parts) || fields_copy(&c->fields, &v->fields) < 0 ||
        segments_slice(v->segments, v->n_segments, 0, v->size, &c->segments, &c->n_segments) < 0) {
        /* Nothing of it was published: the blobs are still v's. */
        for (unsigned i = 0; i < c->n_segments; i++)
            atomic_fetch_sub(&c->segments[i].blob->refs, 1);
        free(c->segments);
        free(c->parts);
        fields_done(&c->fields);
        free(c);
        return NULL;
    }
    return c;
}

void version_unref(struct store *st, struct version *v)
{
    if (!v || atomic_fetch_sub(&v->refs, 1) != 1)
        return;
    fields_done(&v->fields);
    segments_free(st, v->segments, v->n_segments);
    free(v->parts);
    free(v);
}

void version_make_id(char out[STORE_VERSION_ID_MAX], int64_t now_ns)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._";
    uint8_t noise[32];

    /* Opaque on purpose, as with AWS: no client may read an order out of it. */
    if (getrandom(noise, sizeof(noise), 0) != (ssize_t)sizeof(noise)) {
        for (unsigned i = 0; i < sizeof(noise); i++)
            noise[i] = (uint8_t)(now_ns >> (i % 8));
    }
    for (unsigned i = 0; i < sizeof(noise); i++)
        out[i] = alphabet[noise[i] & 63];
    out[sizeof(noise)] = '\0';
}

struct part *part_new(void)
{
    struct part *p = calloc(1, sizeof(*p));

    if (p)
        p->refs = 1;
    return p;
}

void part_unref(struct store *st, struct part *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) != 1)
        return;
    segments_free(st, p->segments, p->n_segments);
    free(p);
}

void upload_free(struct store *st, struct upload *u)
{
    if (!u)
        return;
    for (unsigned i = 0; i < u->alloc; i++)
        part_unref(st, u->parts[i]);
    free(u->parts);
    fields_done(&u->fields);
    free(u);
}
