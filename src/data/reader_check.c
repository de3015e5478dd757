/* SPDX-License-Identifier: Apache-2.0 */
/* Large objects come in ranges, and no answer to those tells a checksum. So a reader that begins at
 * the start adds up the CRCs of its ranges, asks once by HEAD for the one that is stored, and
 * compares them when all bytes have come. By then the first of them are with the program: what it
 * can be told is EIO, before it has the last ones.
 *
 * Until that is told, all the CRCs that it may be are computed: while the bytes are hot they cost
 * little beside their way through the socket.
 *
 * The HEAD goes out early, so that its answer is there in time; who reads the end waits for it. */
#include <errno.h>
#include <string.h>

#include "base/encode.h"
#include "data/reader_impl.h"

/* An object is worth the HEAD when so much of it has come, or a quarter. */
#define ASK_COVERED (32 * MIB)
/* So many objects in a row of which no checksum is told: the server does not keep them. */
#define VAIN_MAX 4u

void reader_check_range_locked(struct reader *r, struct range *g)
{
    const struct data *d = r->d;
    /* What begins elsewhere will hardly see the whole. */
    if (g->offset == 0 && !g->whole && r->size > READER_WHOLE_MAX && d->verify_min &&
        r->size >= d->verify_min &&
        atomic_load_explicit(&d->vain_checks, memory_order_relaxed) < VAIN_MAX &&
        r->check.state == CHECK_OFF)
        r->check.state = CHECK_SUMMING;
    if (g->whole || r->check.state == CHECK_OFF || r->check.state == CHECK_SPOILT)
        g->sum = 0;
    else
        g->sum = r->check.state == CHECK_TOLD ? 1u << r->check.algo : SUMS_ALL;
}

static void compare_locked(struct reader *r)
{
    struct reader_check *c = &r->check;
    if (c->state != CHECK_TOLD || !sums_is_whole(&c->sums, r->size))
        return;
    bool known = sums_get(&c->sums, c->algo, &c->came);
    c->state = !known || c->came == c->stored ? CHECK_OFF : CHECK_SPOILT;
    sums_done(&c->sums);
}

void reader_check_add_locked(struct range *g)
{
    struct reader *r = g->reader;
    unsigned algos = g->sum;
    if (!algos)
        return;
    g->sum = 0;
    if (r->check.state == CHECK_OFF || r->check.state == CHECK_SPOILT)
        return;
    sums_add(&r->check.sums, g->offset, g->filled, &g->crcs, algos);
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

/* Composite ones end in "-N". */
static bool parse_crc(const char *text, unsigned size, uint64_t *ret)
{
    uint8_t bytes[8];
    size_t len;
    if (!text || decode_base64(text, bytes, sizeof(bytes), &len) < 0 || len != size)
        return false;
    *ret = 0;
    for (size_t i = 0; i < len; i++)
        *ret = *ret << 8 | bytes[i];
    return true;
}

/* A CRC of the whole object. */
static bool stored_crc(const struct store_object *o, struct reader_check *c)
{
    const char *type = fact(o, "checksum-type");
    if (type && strcmp(type, "FULL_OBJECT") != 0)
        return false;
    for (unsigned i = 0; i < SUMS_ALGO_MAX; i++) {
        if (parse_crc(fact(o, algos[i].fact), algos[i].size, &c->stored)) {
            c->algo = (enum sums_algo)i;
            return true;
        }
    }
    return false;
}

static void told(void *ctx, int result, const struct s3_error *err)
{
    struct reader *r = ctx;
    struct reader_check *c = &r->check;
    pthread_mutex_lock(&r->lock);
    bool same = !result && strcmp(c->out.etag, r->etag) == 0 && c->out.size == r->size;
    if (same && stored_crc(&c->out, c)) {
        c->state = CHECK_TOLD;
        sums_only(&c->sums, c->algo);
        atomic_store_explicit(&r->d->vain_checks, 0, memory_order_relaxed);
        compare_locked(r);
    } else {
        if (same)
            atomic_fetch_add_explicit(&r->d->vain_checks, 1, memory_order_relaxed);
        c->state = CHECK_OFF;
        sums_done(&c->sums);
    }
    pthread_cond_broadcast(&r->cond);
    pthread_mutex_unlock(&r->lock);
    if (!result)
        store_object_done(&c->out);
    reader_unref(r);
}

/* The lock is given up meanwhile. */
static void ask_locked(struct reader *r)
{
    struct reader_check *c = &r->check;
    c->state = CHECK_ASKING;
    c->in = (struct store_head_in){.key = r->key, .facts = true};
    r->refs++;
    pthread_mutex_unlock(&r->lock);
    int result = store_submit(r->d->store, STORE_HEAD, &c->in, &c->out, told, r);
    if (result)
        told(r, result, NULL);
    pthread_mutex_lock(&r->lock);
}

void reader_check_ask_locked(struct reader *r)
{
    if (r->check.state == CHECK_SUMMING && r->state == READER_KNOWN &&
        (r->check.sums.covered >= ASK_COVERED || r->check.sums.covered >= r->size / 4))
        ask_locked(r);
}

int reader_check_result_locked(struct reader *r, struct s3_error *reterr)
{
    if (r->check.state == CHECK_SUMMING && sums_is_whole(&r->check.sums, r->size))
        ask_locked(r);
    while (r->check.state == CHECK_ASKING && sums_is_whole(&r->check.sums, r->size))
        pthread_cond_wait(&r->cond, &r->lock);
    if (r->check.state != CHECK_SPOILT)
        return 0;
    reader_blocks_spoilt_locked(r);
    int digits = (int)algos[r->check.algo].size * 2;
    return s3_error_set(reterr, S3_ERROR_BAD_RESPONSE,
                        "the bytes that came of '%s' (%s) have the checksum %s %0*llx, "
                        "stored is %0*llx: they were changed on the way or where they lie",
                        r->key, r->etag, algos[r->check.algo].name, digits,
                        (unsigned long long)r->check.came, digits,
                        (unsigned long long)r->check.stored);
}

bool reader_is_spoilt(struct reader *r)
{
    SCOPE_LOCK(&r->lock);
    return r->check.state == CHECK_SPOILT;
}
