/* SPDX-License-Identifier: Apache-2.0 */
/* Large objects come in ranges, and no answer to those tells a checksum. So a reader that begins at
 * the start adds up the CRCs of its ranges, asks once by HEAD for the one that is stored, and
 * compares them when all bytes have come. By then the first of them are with the program. What is
 * not, but lies here ahead of it, is fetched again, once; it is at most what is read ahead. If that
 * does not help, what the program can be told is EIO, before it has the last bytes.
 *
 * A composite checksum is that of the checksums of the parts, which are taken to be as long as the
 * first. When it differs, each part is asked for, because they may not be.
 *
 * SHA-1 and SHA-256 are left out. They take the bytes in their order, and the ranges come side by
 * side: each would be gone through once more, when those before it are there, at more than four
 * times the cost of a CRC, and before it is known that such a one is stored.
 *
 * Until that is told, all the CRCs that it may be are computed: while the bytes are hot they cost
 * little beside their way through the socket.
 *
 * The HEAD goes out early, so that its answer is there in time; who reads the end waits for it.
 *
 * What the disk cache has is summed as well: a reader that saw a part only may have put it there.
 * An object that is read from there alone, without any request, costs none for this either, unless
 * it was asked for that all be checked. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/encode.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/parse.h"
#include "data/reader_impl.h"

/* A reader begins there. Not at 0 alone: the kernel's first reads come side by side, and the second
 * may be the first to be sent. */
#define START (4 * MIB)
/* An object is worth the HEAD when so much of it has come, or a quarter. */
#define ASK_COVERED (32 * MIB)
/* So many objects in a row of which no checksum is told: the server does not keep them, or did not
 * when these were written. From then on it is asked about one in VAIN_AGAIN, until it tells one. */
#define VAIN_MAX   4u
#define VAIN_AGAIN 16u

static bool is_vain(struct data *d)
{
    return !d->verify_always &&
           atomic_load_explicit(&d->vain_checks, memory_order_relaxed) >= VAIN_MAX &&
           (atomic_fetch_add_explicit(&d->vain_skipped, 1, memory_order_relaxed) + 1) % VAIN_AGAIN;
}

/* What begins elsewhere will hardly see the whole. */
static void begin_locked(struct reader *r, uint64_t offset)
{
    struct data *d = r->d;
    struct reader_check *c = &r->check;
    if (c->state != CHECK_OFF || offset >= START || r->size <= READER_WHOLE_MAX || !d->verify_min ||
        r->size < d->verify_min)
        return;
    if (!c->decided)
        c->left_out = is_vain(d);
    c->decided = true;
    if (!c->left_out)
        c->state = CHECK_SUMMING;
}

static unsigned wanted_locked(const struct reader *r)
{
    enum check_state state = r->check.state;
    if (state == CHECK_TOLD)
        return 1u << r->check.algo;
    if (state == CHECK_DOUBT || state == CHECK_PARTS || state == CHECK_UNTOLD ||
        state == CHECK_WRONG)
        return 1u << r->check.algo; /* it may be fetched again yet */
    return state == CHECK_SUMMING || state == CHECK_ASKING ? SUMS_ALL : 0;
}

void reader_check_range_locked(struct reader *r, struct range *g)
{
    if (g->whole)
        return;
    begin_locked(r, g->offset);
    g->sum = wanted_locked(r);
    g->turn = r->check.turn;
}

static void finish_locked(struct reader_check *c, enum check_state state)
{
    c->state = state;
    c->fetched = false;
    if (state == CHECK_SPOILT) {
        struct data *d = CONTAINER_OF(c, struct reader, check)->d;
        atomic_fetch_add_explicit(&d->mismatches, 1, memory_order_relaxed);
    }
    sums_done(&c->sums);
}

static void compare_locked(struct reader *r)
{
    struct reader_check *c = &r->check;
    if (c->state != CHECK_TOLD || !sums_is_whole(&c->sums, r->size))
        return;
    bool known = sums_get(&c->sums, c->algo, &c->came);
    if (known && c->came != c->stored) {
        c->wrong_from = 0;
        c->wrong_until = r->size;
        c->state = c->part_size ? CHECK_DOUBT : CHECK_WRONG;
        return;
    }
    if (known)
        atomic_fetch_add_explicit(&r->d->checked_bytes, r->size, memory_order_relaxed);
    finish_locked(c, CHECK_OFF);
}

static void add_locked(struct range *g, uint64_t filled)
{
    struct reader *r = g->reader;
    if (wanted_locked(r) && g->turn == r->check.turn) {
        r->check.fetched = true;
        sums_add(&r->check.sums, g->offset + g->summed, filled - g->summed, &g->crcs, g->sum);
    }
    g->summed = filled;
    g->crcs = (struct sums_crcs){0};
    compare_locked(r);
}

void reader_check_bytes(struct range *g, const char *data, size_t len)
{
    uint64_t filled = g->filled;
    while (len) {
        uint64_t at = g->offset + filled;
        size_t n = (size_t)MIN((uint64_t)len, SUMS_GRID - at % SUMS_GRID);
        sums_crcs_update(&g->crcs, g->sum, data, n);
        data += n;
        len -= n;
        filled += n;
        if ((at + n) % SUMS_GRID == 0) {
            SCOPE_LOCK(&g->reader->lock);
            add_locked(g, filled);
        }
    }
}

void reader_check_add_locked(struct range *g)
{
    if (g->sum && g->filled > g->summed)
        add_locked(g, g->filled);
}

/* ---- what the disk cache has ---- */

void reader_check_local_locked(struct range *g)
{
    struct reader *r = g->reader;
    if (r->d->verify_always || !r->blocks.all)
        begin_locked(r, g->offset);
    g->sum = wanted_locked(r);
    g->turn = r->check.turn;
}

void reader_check_sum_local(unsigned algos, const struct iovec *iov, int n_iov,
                            struct sums_crcs crcs[BLOCK_FILE_CHUNKS])
{
    size_t at = 0;
    memset(crcs, 0, BLOCK_FILE_CHUNKS * sizeof(*crcs));
    for (int i = 0; i < n_iov; i++) {
        const char *from = iov[i].iov_base;
        for (size_t left = iov[i].iov_len; left;) {
            size_t n = MIN(left, BLOCK_FILE_CHUNK - at % BLOCK_FILE_CHUNK);
            sums_crcs_update(&crcs[at / BLOCK_FILE_CHUNK], algos, from, n);
            from += n;
            left -= n;
            at += n;
        }
    }
}

/* Chunk by chunk: of what has come before, each is left out by itself. What was being read when all
 * was found wrong may be what is wrong: it must not take the place of what is fetched again. */
void reader_check_add_local_locked(struct range *g, const struct sums_crcs crcs[BLOCK_FILE_CHUNKS])
{
    struct reader *r = g->reader;
    if (!wanted_locked(r) || g->turn != r->check.turn)
        return;
    for (uint64_t at = 0; at < g->length; at += BLOCK_FILE_CHUNK)
        sums_add(&r->check.sums, g->offset + at, MIN(g->length - at, BLOCK_FILE_CHUNK),
                 &crcs[at / BLOCK_FILE_CHUNK], g->sum);
    compare_locked(r);
}

/* ---- what is stored ---- */

static const struct {
    const char *fact, *name;
    unsigned size;
} algos[SUMS_ALGO_MAX] = {
    [SUMS_CRC64NVME] = {"checksum-crc64nvme", "CRC64NVME", 8},
    [SUMS_CRC32C] = {"checksum-crc32c", "CRC32C", 4},
    [SUMS_CRC32] = {"checksum-crc32", "CRC32", 4},
};

static const char *fact(const struct store_object *o, const char *name)
{
    for (size_t i = 0; i < o->n_facts; i++)
        if (strcmp(o->facts[i].name, name) == 0)
            return o->facts[i].value;
    return NULL;
}

/* Composite ones end in "-N": they are of the checksums of N parts. */
static bool parse_crc(const char *text, unsigned size, uint64_t *ret, uint64_t *ret_parts)
{
    char plain[16];
    uint8_t bytes[8];
    size_t len, n = text ? strcspn(text, "-") : sizeof(plain);
    *ret_parts = 0;
    if (n >= sizeof(plain))
        return false;
    snprintf(plain, sizeof(plain), "%.*s", (int)n, text);
    if (text[n] && (parse_u64(text + n + 1, ret_parts) < 0 || !*ret_parts))
        return false;
    if (decode_base64(plain, bytes, sizeof(bytes), &len) < 0 || len != size)
        return false;
    *ret = 0;
    for (size_t i = 0; i < len; i++)
        *ret = *ret << 8 | bytes[i];
    return true;
}

static bool told_crc(const struct store_object *o, enum sums_algo algo, uint64_t *ret,
                     uint64_t *ret_parts)
{
    return parse_crc(fact(o, algos[algo].fact), algos[algo].size, ret, ret_parts);
}

/* A CRC of the whole object or of its parts. */
static bool stored_crc(const struct store_object *o, struct reader_check *c)
{
    const char *type = fact(o, "checksum-type");
    bool composite = type && strcmp(type, "COMPOSITE") == 0;
    for (unsigned i = 0; i < SUMS_ALGO_MAX; i++) {
        c->algo = (enum sums_algo)i;
        if (told_crc(o, c->algo, &c->stored, &c->n_parts))
            return !composite || c->n_parts;
    }
    return false;
}

static bool is_same(const struct reader *r, int result)
{
    const struct store_object *o = &r->check.out;
    return !result && strcmp(o->etag, r->etag) == 0 && o->size == r->size;
}

/* Without the lock. */
static void ask(struct reader *r, uint32_t part, store_done_fn done)
{
    struct reader_check *c = &r->check;
    c->in = (struct store_head_in){.key = r->key, .facts = true, .part = part};
    int result = store_submit(r->d->store, STORE_HEAD, &c->in, &c->out, done, r);
    if (result)
        done(r, result, NULL);
}

/* From an answer's callback: the next question, of a part. */
static void go_on_unlock(struct reader *r, uint32_t part, store_done_fn done)
{
    pthread_mutex_unlock(&r->lock);
    store_object_done(&r->check.out);
    ask(r, part, done);
}

/* Whether that is to be told. */
static bool note_vain(struct data *d)
{
    return !d->verify_always &&
           atomic_fetch_add_explicit(&d->vain_checks, 1, memory_order_relaxed) + 1 == VAIN_MAX &&
           !atomic_exchange_explicit(&d->vain_told, true, memory_order_relaxed);
}

static void end_unlock(struct reader *r, int result, const struct s3_error *err)
{
    struct reader_check *c = &r->check;
    bool failed = result && c->state == CHECK_OFF;
    bool warn =
        failed && r->d->verify_always && !c->warned && (!err || err->kind != S3_ERROR_CANCELLED);
    c->warned |= warn;
    pthread_cond_broadcast(&r->cond);
    pthread_mutex_unlock(&r->lock);
    if (!result)
        store_object_done(&c->out);
    if (failed)
        log_write(warn ? LOG_LEVEL_WARN : LOG_LEVEL_DEBUG,
                  "'%s' is read without being held against its checksum, which cannot be had: %s",
                  r->key, err && err->message[0] ? err->message : strerror(-result));
    reader_unref(r);
}

static void begin_comparing_locked(struct reader *r)
{
    struct reader_check *c = &r->check;
    c->state = CHECK_TOLD;
    sums_only(&c->sums, c->algo, c->part_size);
    compare_locked(r);
}

static void first_part_told(void *ctx, int result, const struct s3_error *err)
{
    struct reader *r = ctx;
    struct reader_check *c = &r->check;
    pthread_mutex_lock(&r->lock);
    c->part_size = is_same(r, result) ? c->out.length : 0;
    if (c->part_size && (r->size - 1) / c->part_size + 1 == c->n_parts)
        begin_comparing_locked(r);
    else
        finish_locked(c, CHECK_OFF);
    end_unlock(r, result, err);
}

static void told(void *ctx, int result, const struct s3_error *err)
{
    struct reader *r = ctx;
    struct reader_check *c = &r->check;
    pthread_mutex_lock(&r->lock);
    bool same = is_same(r, result);
    bool known = same && stored_crc(&c->out, c), vain = false;
    c->part_size = 0;
    if (known)
        atomic_store_explicit(&r->d->vain_checks, 0, memory_order_relaxed);
    else if (same && !c->out.pending) /* what is not stored yet tells nothing of the server */
        vain = note_vain(r->d);
    if (known && c->n_parts) {
        go_on_unlock(r, 1, first_part_told);
        return;
    }
    if (known)
        begin_comparing_locked(r);
    else
        finish_locked(c, CHECK_OFF);
    end_unlock(r, result, err);
    if (vain)
        log_info("the server tells no checksum of large objects: from now on only one in %u is "
                 "asked about (see the option verify)",
                 VAIN_AGAIN);
}

/* The lock is given up meanwhile. */
static void ask_locked(struct reader *r, enum check_state state, uint32_t part, store_done_fn done)
{
    r->check.state = state;
    r->refs++;
    pthread_mutex_unlock(&r->lock);
    ask(r, part, done);
    pthread_mutex_lock(&r->lock);
}

/* ---- which part is wrong ---- */

/* The first that is not as long as was thought, or has another checksum, decides. */
static void part_told(void *ctx, int result, const struct s3_error *err)
{
    struct reader *r = ctx;
    struct reader_check *c = &r->check;
    uint32_t part = c->in.part;
    uint64_t stored = 0, none;
    pthread_mutex_lock(&r->lock);
    const struct sums_piece *p = &c->sums.pieces[part - 1];
    bool same = is_same(r, result);
    bool gone = !result ||
                (err && (err->kind == S3_ERROR_NO_SUCH_KEY || err->kind == S3_ERROR_PRECONDITION));
    if (!same && gone) {
        r->stale = true;
        finish_locked(c, CHECK_GONE);
    } else if (!same) {
        c->state = CHECK_UNTOLD;
        snprintf(c->why, sizeof(c->why), "%.159s",
                 err && err->message[0] ? err->message : strerror(-result));
    } else if (c->out.length != p->end - p->offset) {
        finish_locked(c, CHECK_OFF);
    } else if (!told_crc(&c->out, c->algo, &stored, &none)) {
        c->state = CHECK_UNTOLD;
        snprintf(c->why, sizeof(c->why), "the server does not tell that of a part");
    } else if (stored != p->crcs.of[c->algo]) {
        c->wrong_from = p->offset;
        c->wrong_until = p->end;
        c->part_stored = stored;
        c->came = p->crcs.of[c->algo];
        c->state = CHECK_WRONG;
    } else if (part == c->n_parts) {
        finish_locked(c, CHECK_OFF); /* each is right: the server puts them together otherwise */
    } else {
        go_on_unlock(r, part + 1, part_told);
        return;
    }
    end_unlock(r, result, err);
}

static bool is_worth_asking_locked(const struct reader *r)
{
    const struct reader_check *c = &r->check;
    return c->state == CHECK_SUMMING && r->state == READER_KNOWN &&
           (c->fetched || r->d->verify_always) && c->sums.n && c->sums.pieces[0].offset == 0;
}

void reader_check_ask_locked(struct reader *r)
{
    if (is_worth_asking_locked(r) &&
        (r->check.sums.covered >= ASK_COVERED || r->check.sums.covered >= r->size / 4))
        ask_locked(r, CHECK_ASKING, 0, told);
}

/* ---- what is done about it ---- */

/* What the reader has of that is not used any more. What lies on both sides was read in part: the
 * front of it stays as it was summed. */
static void drop_ranges_locked(struct reader *r, uint64_t from)
{
    struct range *g = r->ranges;
    while (g) {
        struct range *next = g->next;
        if (g->offset < from && g->done && g->offset + g->length > from) {
            g->length = from - g->offset;
            g->filled = MIN(g->filled, g->length); /* less if its request failed */
        } else if (g->offset + g->length > from) {
            range_cut_locked(g);
        }
        g = next;
    }
}

/* Of parts only whole ones: their pieces are put together. */
static uint64_t again_from_locked(const struct reader *r)
{
    const struct reader_check *c = &r->check;
    if (c->part_size)
        return c->given <= c->wrong_from ? c->wrong_from : r->size;
    return (c->given + SUMS_GRID - 1) / SUMS_GRID * SUMS_GRID;
}

static void repair_locked(struct reader *r)
{
    struct reader_check *c = &r->check;
    uint64_t from = again_from_locked(r);
    if (c->again || from >= r->size) {
        finish_locked(c, CHECK_SPOILT);
        return;
    }
    c->again = true;
    c->again_from = from;
    c->turn++;
    c->state = CHECK_TOLD;
    atomic_fetch_add_explicit(&r->d->mismatches, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&r->d->refetched, 1, memory_order_relaxed);
    sums_cut(&c->sums, from);
    drop_ranges_locked(r, from);
    reader_blocks_spoilt_locked(r);
}

static int spoilt_locked(struct reader *r, struct s3_error *reterr)
{
    struct reader_check *c = &r->check;
    int digits = (int)algos[c->algo].size * 2;
    bool part = c->wrong_from || c->wrong_until < r->size;
    char again[80] = "";
    reader_blocks_spoilt_locked(r);
    if (c->again)
        snprintf(again, sizeof(again), ", also after those from %llu on were fetched again",
                 (unsigned long long)c->again_from);
    return s3_error_set(reterr, S3_ERROR_BAD_RESPONSE,
                        "bytes %llu to %llu that came of '%s' (%s) have the checksum %s %0*llx, "
                        "stored is %0*llx%s: they were changed on the way or where they lie",
                        (unsigned long long)c->wrong_from, (unsigned long long)c->wrong_until - 1,
                        r->key, r->etag, algos[c->algo].name, digits, (unsigned long long)c->came,
                        digits, (unsigned long long)(part ? c->part_stored : c->stored), again);
}

int reader_check_result_locked(struct reader *r, unsigned turn, uint64_t end,
                               struct s3_error *reterr)
{
    struct reader_check *c = &r->check;
    if (is_worth_asking_locked(r) && sums_is_whole(&c->sums, r->size))
        ask_locked(r, CHECK_ASKING, 0, told);
    for (;;) {
        if (c->state == CHECK_DOUBT)
            ask_locked(r, CHECK_PARTS, 1, part_told);
        else if (c->state == CHECK_WRONG)
            repair_locked(r);
        else if (c->state == CHECK_PARTS ||
                 (c->state == CHECK_ASKING && sums_is_whole(&c->sums, r->size)))
            interrupt_wait(&r->cond, &r->lock);
        else
            break;
        if (interrupt_is_over())
            return -EINTR;
    }
    if (c->state == CHECK_SPOILT)
        return spoilt_locked(r, reterr);
    if (c->state == CHECK_GONE)
        return reader_stale(r, reterr);
    if (c->state == CHECK_UNTOLD) {
        c->state = CHECK_DOUBT; /* the next read asks again */
        return s3_error_set(reterr, S3_ERROR_BAD_RESPONSE,
                            "the checksums of the parts of '%s' (%s) that came are together not "
                            "the one that is stored, and whether they are right cannot be told: %s",
                            r->key, r->etag, c->why);
    }
    if (turn != c->turn && end > c->again_from)
        return -EAGAIN;
    c->given = MAX(c->given, end);
    if (c->state == CHECK_TOLD)
        sums_join(&c->sums, c->given);
    return 0;
}

bool reader_is_spoilt(struct reader *r)
{
    SCOPE_LOCK(&r->lock);
    return r->check.state == CHECK_SPOILT;
}
