/* SPDX-License-Identifier: Apache-2.0 */
#include "data/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/crash_point.h"
#include "base/file_io.h"
#include "data/dirty.h"
#include "data/reader.h"

struct stage {
    struct data *d;
    int fd;
    uint64_t size;
    struct extents extents;
    uint64_t reserved; /* of the dirty space */

    char *base_key; /* NULL = there is no base */
    char base_etag[STORE_ETAG_SIZE];
    uint64_t base_object_size;
    uint64_t base_size;
    pthread_mutex_t lock;
    struct reader *reader; /* of the base, made when it is read; protected by lock */
    bool replaced;         /* the base is another one by now; protected by lock */
};

/* ---- life ---- */

static int disk_error(int r, struct s3_error *reterr)
{
    s3_error_set(reterr, S3_ERROR_NONE, "local file of unsent content: %s", strerror(-r));
    return r;
}

static int no_memory(struct s3_error *reterr)
{
    return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "no memory to write into");
}

int stage_new(struct data *d, struct stage **ret, struct s3_error *reterr)
{
    struct stage *s = calloc(1, sizeof(*s));
    if (!s)
        return no_memory(reterr);
    int r = dirty_open(d->dirty, &s->fd);
    if (r) {
        free(s);
        return disk_error(r, reterr);
    }
    s->d = d;
    extents_init(&s->extents);
    pthread_mutex_init(&s->lock, NULL);
    *ret = s;
    return 0;
}

void stage_free(struct stage *s)
{
    if (!s)
        return;
    reader_free(s->reader);
    close(s->fd);
    dirty_release(s->d->dirty, s->reserved);
    extents_done(&s->extents);
    pthread_mutex_destroy(&s->lock);
    free(s->base_key);
    free(s);
}

uint64_t stage_base_size(const struct stage *s)
{
    return s->base_size;
}

uint64_t stage_size(const struct stage *s)
{
    return s->size;
}

const struct extents *stage_extents(const struct stage *s)
{
    return &s->extents;
}

uint64_t stage_dirty_bytes(const struct stage *s)
{
    return extents_bytes(&s->extents, EXTENT_DATA);
}

/* ---- the local file ---- */

/* The account follows what the extents say. */
static void settle(struct stage *s)
{
    uint64_t now =
        extents_bytes(&s->extents, EXTENT_DATA) + extents_bytes(&s->extents, EXTENT_CLEAN);
    if (now < s->reserved) {
        dirty_release(s->d->dirty, s->reserved - now);
        s->reserved = now;
    }
}

/* Bytes of the range that have no space in the file yet. */
static uint64_t missing_space(const struct stage *s, uint64_t offset, uint64_t end)
{
    uint64_t missing = 0;
    while (offset < end) {
        struct extent e = extents_at(&s->extents, offset, end);
        if (e.kind != EXTENT_DATA && e.kind != EXTENT_CLEAN)
            missing += e.end - e.start;
        offset = e.end;
    }
    return missing;
}

/* Best effort: a filesystem without holes keeps the space. */
static void punch(const struct stage *s, uint64_t offset, uint64_t len)
{
    (void)fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len);
}

static int write_file(const struct stage *s, uint64_t offset, const char *from, size_t len,
                      size_t *ret_done)
{
    bool room_made = false;
    *ret_done = 0;
    while (*ret_done < len) {
        ssize_t n = pwrite(s->fd, from + *ret_done, len - *ret_done, (off_t)(offset + *ret_done));
        if (n < 0 && errno == EINTR)
            continue;
        bool full = n == 0 || (n < 0 && (errno == ENOSPC || errno == EDQUOT));
        if (full && !room_made) {
            /* Somebody was quicker. */
            room_made = true;
            if (data_make_room(s->d, len - *ret_done))
                continue;
        }
        if (full)
            return -ENOSPC;
        if (n < 0)
            return -errno;
        *ret_done += (size_t)n;
    }
    CRASH_POINT("dirty.written");
    return 0;
}

static int read_file(const struct stage *s, uint64_t offset, char *to, size_t len,
                     struct s3_error *reterr)
{
    size_t done;
    int r = file_pread(s->fd, to, len, offset, &done);
    if (r < 0 || done < len)
        return disk_error(r < 0 ? r : -EIO, reterr);
    return 0;
}

static int reserve(struct stage *s, uint64_t bytes)
{
    int r = dirty_reserve(s->d->dirty, bytes);
    uint64_t lacks = r ? dirty_lacks(s->d->dirty, bytes) : 0;
    if (lacks && data_make_room(s->d, lacks))
        r = dirty_reserve(s->d->dirty, bytes);
    if (r && extents_bytes(&s->extents, EXTENT_CLEAN)) {
        stage_drop_clean(s);
        r = dirty_reserve(s->d->dirty, bytes);
    }
    if (r) {
        writers_drop_clean(s->d);
        r = dirty_reserve(s->d->dirty, bytes);
    }
    if (!r)
        s->reserved += bytes;
    return r;
}

int stage_write(struct stage *s, uint64_t offset, const void *buf, size_t len,
                struct s3_error *reterr)
{
    uint64_t end = offset + len;
    size_t done = 0;
    if (!len)
        return 0;
    /* First all that can fail without a trace. */
    if (extents_prepare(&s->extents))
        return no_memory(reterr);
    int r = reserve(s, missing_space(s, offset, end));
    if (!r && s->reserved < extents_bytes(&s->extents, EXTENT_DATA) +
                                extents_bytes(&s->extents, EXTENT_CLEAN) +
                                missing_space(s, offset, end)) {
        /* To make room, clean extents were dropped that this write goes over. */
        r = reserve(s, missing_space(s, offset, end));
    }
    if (!r)
        r = write_file(s, offset, buf, len, &done);
    /* What has got into the file is content, unless the file does not get that long. */
    if (r)
        end = MAX(MIN(offset + done, s->size), offset);
    if (end > offset)
        (void)extents_set(&s->extents, offset, end, EXTENT_DATA);
    settle(s);
    if (r)
        return disk_error(r, reterr);
    s->size = MAX(s->size, end);
    return 0;
}

int stage_zero(struct stage *s, uint64_t offset, uint64_t len, struct s3_error *reterr)
{
    uint64_t end = offset + len, in_base = MIN(end, s->base_size);
    int r = 0;
    if (offset < in_base)
        r = extents_set(&s->extents, offset, in_base, EXTENT_ZERO);
    if (r)
        return no_memory(reterr);
    punch(s, offset, len);
    /* Without the memory for that they stay data, all zeros by now. */
    if (MAX(offset, in_base) < end)
        (void)extents_set(&s->extents, MAX(offset, in_base), end, EXTENT_NONE);
    settle(s);
    return 0;
}

int stage_truncate(struct stage *s, uint64_t size, struct s3_error *reterr)
{
    if (size < s->size) {
        if (ftruncate(s->fd, (off_t)size))
            return disk_error(-errno, reterr);
        extents_cut(&s->extents, size);
        s->base_size = MIN(s->base_size, size);
        settle(s);
    }
    s->size = size;
    return 0;
}

void stage_drop_clean(struct stage *s)
{
    for (uint64_t at = 0; at < s->size;) {
        struct extent e = extents_at(&s->extents, at, s->size);
        if (e.kind == EXTENT_CLEAN)
            punch(s, e.start, e.end - e.start);
        at = e.end;
    }
    extents_turn(&s->extents, EXTENT_CLEAN, EXTENT_NONE);
    settle(s);
}

/* ---- the base ---- */

int stage_set_base(struct stage *s, const char *key, const char *etag, uint64_t object_size,
                   uint64_t base_size)
{
    if (!s->base_key || strcmp(s->base_key, key) != 0) {
        char *copy = strdup(key);
        if (!copy)
            return -ENOMEM;
        free(s->base_key);
        s->base_key = copy;
    }
    snprintf(s->base_etag, sizeof(s->base_etag), "%s", etag);
    s->base_object_size = object_size;
    s->base_size = base_size;
    s->size = MAX(s->size, base_size);
    reader_free(TAKE_PTR(s->reader));
    s->replaced = false;
    return 0;
}

int stage_move_base(struct stage *s, const char *key, const char *etag)
{
    return stage_set_base(s, key, etag, s->base_object_size, s->base_size);
}

int stage_committed(struct stage *s, const char *key, const char *etag)
{
    int r = stage_set_base(s, key, etag, s->size, s->size);
    if (r)
        return r;
    extents_turn(&s->extents, EXTENT_DATA, EXTENT_CLEAN);
    extents_turn(&s->extents, EXTENT_ZERO, EXTENT_NONE);
    return 0;
}

static int was_replaced(const struct stage *s, struct s3_error *reterr)
{
    s3_error_set(reterr, S3_ERROR_PRECONDITION, "'%s' was replaced or removed", s->base_key);
    return -ESTALE;
}

static void version_changed(void *ctx, const struct store_object *o)
{
    struct stage *s = ctx;
    if (!s->base_etag[0] || strcmp(o->etag, s->base_etag) == 0)
        return;
    SCOPE_LOCK(&s->lock);
    s->replaced = true;
}

static struct reader *get_reader(struct stage *s)
{
    SCOPE_LOCK(&s->lock);
    struct reader_options o = {.key = s->base_key,
                               .size = s->base_object_size,
                               .etag = s->base_etag[0] ? s->base_etag : NULL,
                               .version_changed = version_changed,
                               .ctx = s};
    if (!s->reader && reader_new(s->d, &o, &s->reader))
        return NULL;
    return s->reader;
}

/* With prefetch, for those who read on. */
static int read_base(struct stage *s, uint64_t offset, char *to, size_t len,
                     struct s3_error *reterr)
{
    struct s3_error err = {0};
    struct reader *reader = get_reader(s);
    if (!reader)
        return no_memory(reterr);
    size_t got = 0;
    int r = reader_read(reader, offset, to, len, &got, &err);
    pthread_mutex_lock(&s->lock);
    bool replaced = s->replaced;
    pthread_mutex_unlock(&s->lock);
    if (r == -ENOENT || (!r && (replaced || got < len)))
        return was_replaced(s, reterr);
    if (r && reterr)
        *reterr = err;
    return r;
}

struct append {
    struct buffer *buffer;
    uint64_t left;
};

static int append_write(void *ctx, const void *data, size_t len)
{
    struct append *a = ctx;
    size_t done;
    if (len > a->left)
        return -EIO;
    a->left -= len;
    return buffer_write(a->buffer, a->buffer->len, data, len, DATA_FORCE, &done);
}

/* Without: just this. */
static int append_base(struct stage *s, uint64_t offset, uint64_t len, struct buffer *b,
                       struct s3_error *reterr)
{
    struct s3_error err = {0};
    struct append a = {b, len};
    struct store_sink sink = {.write = append_write, .ctx = &a};
    const char *etag = s->base_etag[0] ? s->base_etag : NULL;
    struct store_get_in in = {
        .key = s->base_key, .offset = offset, .length = len, .if_match = etag, .sink = &sink};
    struct store_object o;
    int r = store_get(s->d->store, &in, &o, &err);
    if (!r) {
        bool same = !etag || strcmp(o.etag, etag) == 0;
        store_object_done(&o);
        if (!same)
            return was_replaced(s, reterr);
        if (a.left)
            r = s3_error_set(&err, S3_ERROR_BAD_RESPONSE, "'%s' ended too early", s->base_key);
    } else if (err.kind == S3_ERROR_NO_SUCH_KEY || err.kind == S3_ERROR_PRECONDITION) {
        r = -ESTALE;
    }
    if (r && reterr)
        *reterr = err;
    return r;
}

/* ---- reading ---- */

enum source { FROM_FILE, FROM_BASE, FROM_NOTHING };

/* Where [pos, *ret_end) comes from, up to end. */
static enum source source_at(const struct stage *s, uint64_t pos, uint64_t end, uint64_t *ret_end)
{
    struct extent e = extents_at(&s->extents, pos, end);
    *ret_end = e.end;
    if (e.kind == EXTENT_DATA || e.kind == EXTENT_CLEAN)
        return FROM_FILE;
    if (e.kind == EXTENT_ZERO || pos >= s->base_size)
        return FROM_NOTHING;
    *ret_end = MIN(e.end, s->base_size);
    return FROM_BASE;
}

bool stage_is_hole(const struct stage *s, uint64_t offset, uint64_t *ret_end)
{
    return source_at(s, offset, s->size, ret_end) == FROM_NOTHING;
}

int stage_read(struct stage *s, uint64_t offset, void *buf, size_t len, struct s3_error *reterr)
{
    uint64_t end = offset + len, next;
    char *to = buf;
    int r = 0;
    for (; !r && offset < end; offset = next) {
        enum source source = source_at(s, offset, end, &next);
        size_t n = (size_t)(next - offset);
        if (source == FROM_FILE)
            r = read_file(s, offset, to, n, reterr);
        else if (source == FROM_BASE)
            r = read_base(s, offset, to, n, reterr);
        else
            memset(to, 0, n);
        to += n;
    }
    return r;
}

static int append_file(struct stage *s, uint64_t offset, uint64_t len, struct buffer *b,
                       char *block, struct s3_error *reterr)
{
    int r = 0;
    while (!r && len) {
        size_t n = (size_t)MIN(len, DATA_BLOCK_SIZE), done;
        r = read_file(s, offset, block, n, reterr);
        if (!r && buffer_write(b, b->len, block, n, DATA_FORCE, &done))
            r = no_memory(reterr);
        offset += n;
        len -= n;
    }
    return r;
}

/* Own bytes between two ranges of the base: rather fetched along than asked around, which costs a
 * round trip. */
#define FETCH_ALONG (512 * KIB)

/* The end of the range that one request fetches, from a byte of the base on: of the last piece that
 * only the base has, as long as there is little between them. */
static uint64_t fetch_end(const struct stage *s, uint64_t pos, uint64_t end)
{
    uint64_t next, last = pos;
    for (; pos < end; pos = next) {
        enum source source = source_at(s, pos, end, &next);
        if (source == FROM_BASE)
            last = next;
        else if (source == FROM_NOTHING || next - last > FETCH_ALONG)
            break;
    }
    return last;
}

/* [offset, end) of the base with the changes over it. */
static int append_mixed(struct stage *s, uint64_t offset, uint64_t end, struct buffer *b,
                        char *block, struct s3_error *reterr)
{
    uint64_t next, start = b->len;
    int r = append_base(s, offset, end - offset, b, reterr);
    for (uint64_t pos = offset; !r && pos < end; pos = next) {
        size_t done;
        if (source_at(s, pos, MIN(pos + DATA_BLOCK_SIZE, end), &next) != FROM_FILE)
            continue;
        r = read_file(s, pos, block, (size_t)(next - pos), reterr);
        if (!r &&
            buffer_write(b, start + (pos - offset), block, (size_t)(next - pos), DATA_FORCE, &done))
            r = no_memory(reterr);
    }
    return r;
}

int stage_read_buffer(struct stage *s, uint64_t offset, uint64_t len, struct buffer *b,
                      struct s3_error *reterr)
{
    CLEANUP_FREE char *block = malloc(DATA_BLOCK_SIZE);
    uint64_t end = offset + len, next, zeros;
    int r = block ? 0 : no_memory(reterr);
    for (; !r && offset < end; offset = next) {
        enum source source = source_at(s, offset, end, &next);
        if (source == FROM_FILE)
            r = append_file(s, offset, next - offset, b, block, reterr);
        else if (source == FROM_BASE)
            r = append_mixed(s, offset, next = fetch_end(s, offset, end), b, block, reterr);
        else if (buffer_append_zeros(b, next - offset, DATA_FORCE, &zeros))
            r = no_memory(reterr);
    }
    return r;
}

uint64_t stage_missing(const struct stage *s)
{
    uint64_t missing = 0, next;
    for (uint64_t at = 0; at < s->base_size; at = next)
        if (source_at(s, at, s->base_size, &next) == FROM_BASE)
            missing += next - at;
    return missing;
}

int stage_fill(struct stage *s, struct s3_error *reterr)
{
    CLEANUP_FREE char *block = malloc(DATA_BLOCK_SIZE);
    uint64_t next;
    int r = block ? 0 : no_memory(reterr);
    for (uint64_t at = 0; !r && at < s->base_size; at = next) {
        if (source_at(s, at, MIN(at + DATA_BLOCK_SIZE, s->base_size), &next) != FROM_BASE)
            continue;
        r = read_base(s, at, block, (size_t)(next - at), reterr);
        if (!r)
            r = stage_write(s, at, block, (size_t)(next - at), reterr);
    }
    if (!r)
        extents_turn(&s->extents, EXTENT_CLEAN, EXTENT_DATA);
    return r;
}

uint64_t stage_buffer_cost(const struct stage *s, uint64_t offset, uint64_t len)
{
    uint64_t start = offset, end = offset + len, next, blocks = 0, counted = 0;
    for (; offset < end; offset = next) {
        if (source_at(s, offset, end, &next) == FROM_NOTHING)
            continue;
        uint64_t first = MAX((offset - start) / DATA_BLOCK_SIZE, counted);
        counted = (next - 1 - start) / DATA_BLOCK_SIZE + 1;
        blocks += counted > first ? counted - first : 0;
    }
    return blocks * DATA_BLOCK_SIZE;
}
