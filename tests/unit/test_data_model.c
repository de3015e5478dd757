/* SPDX-License-Identifier: Apache-2.0 */
/* Random writes, truncations, reads and commits through a writer, and reads through readers,
 * compared with a plain array. Nothing is refused; injected
 * failures must leave the store's object as it was, or as a commit whose answer was lost has made
 * it.
 *
 *   test_data_model [FIRST_SEED [COUNT]] */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "data/landing_impl.h"
#include "data_bed.h"
#include "data/data_impl.h"
#include "tempfolder.h"

#define MODEL_MAX (40 * MIB)

struct model {
    struct bed b;
    struct writer *w;
    struct landing *landing;
    char *now; /* the content as written */
    uint64_t size;
    char *stored; /* as of the last commit */
    uint64_t stored_size;
    bool exists;
    char *buf;
    uint64_t random;
    bool faults;
    struct data_share *hog; /* has all the memory for a while; NULL = nobody does */
    bool hogging;
    unsigned checkpoints, commits, uploads, failed;
};

static unsigned taken; /* blocks of landings, by writers */

static void give_up(struct model *m);

static uint64_t pick(struct model *m, uint64_t n)
{
    return n ? next_random(&m->random) % n : 0;
}

/* An offset: mostly the end, its neighbourhood or an edge that the code knows. */
static uint64_t pick_offset(struct model *m)
{
    static const uint64_t EDGES[] = {0, 5 * MIB, 6 * MIB, 12 * MIB, 128 * KIB, 64 * KIB, 11 * MIB};
    uint64_t at;
    switch (pick(m, 6)) {
    case 0:
        at = pick(m, m->size + MIB);
        break;
    case 1:
        at = EDGES[pick(m, ARRAY_SIZE(EDGES))] + pick(m, 3);
        at = at ? at - 1 : 0;
        break;
    case 2:
        at = m->size > 100000 ? m->size - pick(m, 100000) : m->size;
        break;
    case 3:
        at = m->size + pick(m, 200000);
        break;
    default:
        at = m->size;
    }
    return MIN(at, MODEL_MAX - 1);
}

static uint64_t pick_length(struct model *m)
{
    static const uint64_t MOST[] = {10, 5000, 200000, 4 * MIB};
    return pick(m, MOST[pick(m, 4)]);
}

/* The bytes arrive in blocks, which the writer may take. */
static int write_landed(struct model *m, uint64_t at, size_t len)
{
    struct iovec iov[LANDING_IOV];
    assert_true(landing_iov(m->landing, iov));
    for (size_t i = 0, done = 0; done < len; done += iov[i++].iov_len)
        memcpy(iov[i].iov_base, m->buf + done, MIN(len - done, iov[i].iov_len));
    int r = writer_write_landed(m->w, at, m->landing, len, NULL);
    if (r == -EXDEV)
        r = writer_write(m->w, at, m->buf, len, NULL);
    for (int i = 0; i < LANDING_IOV; i++)
        taken += !m->landing->blocks[i];
    return r;
}

static void write_at(struct model *m, uint64_t at, uint64_t len)
{
    content_fill(m->random, at, m->buf, len);
    int r = len <= LANDING_SIZE && pick(m, 2) ? write_landed(m, at, len)
                                              : writer_write(m->w, at, m->buf, len, NULL);
    if (r && m->faults) {
        give_up(m);
        return;
    }
    assert_int_equal(r, 0);
    if (!len)
        return;
    if (at > m->size)
        memset(m->now + m->size, 0, at - m->size);
    memcpy(m->now + at, m->buf, len);
    m->size = MAX(m->size, at + len);
}

static void do_write(struct model *m)
{
    uint64_t at = pick_offset(m);
    write_at(m, at, MIN(pick_length(m), MODEL_MAX - at));
}

/* Whole blocks one after the other, as of a copy. */
static void do_write_blocks(struct model *m)
{
    uint64_t block = LANDING_SIZE / LANDING_IOV;
    for (uint64_t n = pick(m, 12); n && m->size < 12 * MIB; n--) {
        uint64_t to_border = (block - m->size % block) % block;
        write_at(m, m->size,
                 to_border ? to_border
                           : (1 + pick(m, LANDING_IOV)) * block - pick(m, 2) * pick(m, 5000));
    }
}

static void do_truncate(struct model *m)
{
    uint64_t size = pick(m, 4) ? pick_offset(m) : 0;
    int r = writer_truncate(m->w, size, NULL);
    if (r && m->faults) {
        give_up(m);
        return;
    }
    assert_int_equal(r, 0);
    if (size > m->size)
        memset(m->now + m->size, 0, size - m->size);
    m->size = size;
}

static void do_zero(struct model *m)
{
    uint64_t at = pick_offset(m), len = pick_length(m);
    int r = writer_zero(m->w, at, len, NULL);
    if (r && m->faults) {
        give_up(m);
        return;
    }
    assert_int_equal(r, 0);
    if (at < m->size)
        memset(m->now + at, 0, MIN(len, m->size - at));
}

static void do_read(struct model *m)
{
    uint64_t at = pick_offset(m), len = pick_length(m);
    size_t n = 0;
    int r = writer_read(m->w, at, m->buf, len, &n, NULL);
    if (r && m->faults)
        return; /* the next one may succeed */
    assert_int_equal(r, 0);
    assert_int_equal(n, at < m->size ? MIN(len, m->size - at) : 0);
    assert_memory_equal(m->buf, m->now + at, n);
}

static void check_stored(struct model *m)
{
    uint64_t size = 0;
    long n = bed_get(&m->b, "f", 0, m->buf, MODEL_MAX, &size);
    if (!m->exists) {
        assert_int_equal(n, -1);
        return;
    }
    assert_int_equal(size, m->stored_size);
    assert_int_equal(n, m->stored_size);
    assert_memory_equal(m->buf, m->stored, m->stored_size);
}

/* A stream became staged: what was sent is the object until the next commit. */
static void checkpoint(void *ctx, const struct store_version *version, uint64_t size)
{
    struct model *m = ctx;
    assert_true(size <= m->size);
    memcpy(m->stored, m->now, size);
    m->stored_size = size;
    m->exists = true;
    m->checkpoints++;
}

static void open_file(struct model *m)
{
    struct store_object o;
    struct writer_options opts = {
        .key = "f", .if_absent = true, .stored = checkpoint, .stored_ctx = m};
    bool there = store_head(m->b.memory, "f", &o, NULL) == 0;
    if (there) {
        opts.base_etag = o.etag;
        opts.base_size = o.size;
        opts.if_match = o.etag;
        opts.if_absent = false;
    }
    assert_int_equal(writer_new(m->b.data, &opts, &m->w), 0);
    if (there)
        store_object_done(&o);
    m->size = m->stored_size;
    memcpy(m->now, m->stored, m->size);
}

/* Something failed: the old object is there, or all of the new one. */
static void give_up(struct model *m)
{
    m->failed++;
    writer_free(m->w);
    uint64_t size = 0;
    long n = bed_get(&m->b, "f", 0, m->buf, MODEL_MAX, &size);
    if (n >= 0 && size == m->size && memcmp(m->buf, m->now, size) == 0) {
        memcpy(m->stored, m->now, size);
        m->stored_size = size;
        m->exists = true;
    }
    check_stored(m);
    open_file(m);
}

static void do_commit(struct model *m)
{
    struct writer_result res;
    int r = writer_commit(m->w, &res, NULL);
    if (r && m->faults && pick(m, 2))
        r = writer_commit(m->w, &res, NULL);
    if (r && m->faults) {
        give_up(m);
        return;
    }
    assert_int_equal(r, 0);
    assert_int_equal(res.size, m->size);
    assert_false(writer_dirty(m->w));
    memcpy(m->stored, m->now, m->size);
    m->stored_size = m->size;
    m->exists = true;
    m->commits++;
    check_stored(m);
}

static void do_read_object(struct model *m)
{
    if (!m->exists)
        return;
    struct reader_options o = {.key = "f", .size = m->stored_size};
    struct store_object head;
    assert_int_equal(store_head(m->b.memory, "f", &head, NULL), 0);
    o.etag = head.etag;
    struct reader *r = NULL;
    assert_int_equal(reader_new(m->b.data, &o, &r), 0);
    store_object_done(&head);
    uint64_t at = pick(m, m->stored_size + 1);
    for (int i = 0; i < 8; i++) {
        size_t n = 0, len = 1 + pick_length(m);
        int result = reader_read(r, at, m->buf, len, &n, NULL);
        if (result && m->faults)
            continue;
        assert_int_equal(result, 0);
        assert_int_equal(n, at < m->stored_size ? MIN(len, m->stored_size - at) : 0);
        assert_memory_equal(m->buf, m->stored + at, n);
        at = pick(m, 3) ? at + n : pick(m, m->stored_size + 1);
    }
    reader_free(r);
}

static void add_faults(struct model *m)
{
    static const enum s3_error_kind KINDS[] = {S3_ERROR_CONNECT, S3_ERROR_SERVER, S3_ERROR_QUOTA};
    static const enum store_op OPS[] = {
        STORE_UPLOAD_CREATE,   STORE_UPLOAD_PART, STORE_UPLOAD_PART_COPY,
        STORE_UPLOAD_COMPLETE, STORE_PUT,         STORE_GET};
    for (size_t i = 0; i < ARRAY_SIZE(OPS); i++) {
        struct store_fault_rule rule = {.op = OPS[i],
                                        .after = pick(m, 10),
                                        .every = 5 + pick(m, 5),
                                        .error = KINDS[pick(m, ARRAY_SIZE(KINDS))],
                                        .cut = pick(m, 2),
                                        .cut_after = pick(m, 100000),
                                        .lose_answer = pick(m, 2)};
        assert_int_equal(store_fault_add(m->b.fault, &rule), 0);
    }
}

/* Nobody else gets memory, or they do again. */
static void hog(struct model *m, bool on)
{
    if (on && !m->hogging)
        data_share_force(m->hog, 64 * MIB);
    else if (!on && m->hogging)
        data_share_drop_credit(m->hog);
    m->hogging = on;
}

static void run(uint64_t seed, unsigned threads, bool faults, bool tight, unsigned steps)
{
    print_message("# seed %llu, %u threads%s%s\n", (unsigned long long)seed, threads,
                  faults ? ", faults" : "", tight ? ", no memory" : "");
    char *folder = tight ? tempfolder_make() : NULL;
    struct data_options o = {.memory_limit = 64 * MIB,
                             .write_part_size = 6 * MIB,
                             .read_part_size = MIB,
                             .parallel = 3,
                             .dirty_dir = folder};
    struct model m = {.random = seed + 1000 * faults, .faults = faults};
    bed_open(&m.b, threads, &o, NULL);
    m.hog = data_share_new(m.b.data, DATA_READER);
    m.now = malloc(MODEL_MAX);
    m.stored = malloc(MODEL_MAX);
    m.buf = malloc(MODEL_MAX);
    m.landing = landing_new(m.b.data);
    assert_non_null(m.landing);
    if (faults)
        add_faults(&m);
    open_file(&m);
    for (unsigned i = 0; i < steps; i++) {
        uint64_t what = pick(&m, 20);
        if (tight)
            hog(&m, pick(&m, 4) != 0);
        if (what < 7) {
            do_write(&m);
        } else if (what < 10) {
            do_write_blocks(&m);
        } else if (what < 11) {
            do_zero(&m);
        } else if (what < 12) {
            do_truncate(&m);
        } else if (what < 16) {
            do_read(&m);
        } else if (what < 18) {
            do_commit(&m);
        } else if (what < 19) {
            do_read_object(&m);
        } else {
            /* Closed, with or without a commit, and opened again. */
            if (pick(&m, 2))
                do_commit(&m);
            writer_free(m.w);
            check_stored(&m);
            open_file(&m);
        }
        assert_int_equal(writer_size(m.w), m.size);
    }
    writer_free(m.w);
    m.uploads = (unsigned)store_count_requests(m.b.store, STORE_UPLOAD_COMPLETE);
    print_message("# %u commits, %u by upload, %u checkpoints, %u failed\n", m.commits, m.uploads,
                  m.checkpoints, m.failed);
    assert_true(m.commits > 0 && m.uploads > 0 && (m.failed > 0) == faults);
    landing_free(m.landing);
    struct data_stats stats;
    data_stats(m.b.data, &stats);
    assert_int_equal(stats.spilled > 0, tight);
    hog(&m, false);
    data_share_unref(m.hog);
    bed_close(&m.b);
    tempfolder_remove(folder);
    free(m.now);
    free(m.stored);
    free(m.buf);
}

static uint64_t first_seed = 1, n_seeds = 3;

static void random_operations(void **state)
{
    for (uint64_t seed = first_seed; seed < first_seed + n_seeds; seed++)
        run(seed, seed % 3, false, false, 250);
    assert_true(taken > 0 || n_seeds < 3);
}

static void random_operations_and_faults(void **state)
{
    for (uint64_t seed = first_seed; seed < first_seed + n_seeds; seed++)
        run(seed, seed % 3, true, false, 250);
}

static void random_operations_without_memory(void **state)
{
    for (uint64_t seed = first_seed; seed < first_seed + n_seeds; seed++)
        run(seed, seed % 3, seed % 2, true, 120);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        n_seeds = strtoull(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations),
        cmocka_unit_test(random_operations_and_faults),
        cmocka_unit_test(random_operations_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
