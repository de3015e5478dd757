/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the journal: what was written is read again; what is torn, flipped or random is
 * refused, whole, and nothing outside of it is touched. The seed is printed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc.h"
#include "writeback/record.h"

#define ROUNDS 20000

static uint64_t seed = 11;

static unsigned pick(unsigned n)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(seed >> 33) % n;
}

static const char *const TEXTS[] = {"", "k", "a/b", "\"5d41402abc4b2a76b9719d911017c592\"",
                                    "key with spaces and \xff bytes"};

static struct wb_record sample(struct strbuf *attrs)
{
    struct store_metadata m[2] = {{"mode", "33188"}, {"mtime", "1"}};
    struct store_attrs a = {
        .content_type = pick(2) ? "text/plain" : NULL, .metadata = m, .n_metadata = pick(3)};
    wb_attrs_encode(attrs, &a);
    return (struct wb_record){.kind = WB_PUT + pick(3),
                              .cond = pick(2) ? WB_ANY : WB_PREV,
                              .keep_attrs = pick(2),
                              .after_all = pick(2),
                              .seq = 2 + pick(1000),
                              .size = pick(5000),
                              .mtime_ns = (int64_t)pick(5000) - 2500,
                              .body_file = pick(2),
                              .source_seq = pick(2),
                              .key = TEXTS[1 + pick(4)],
                              .etag = TEXTS[pick(5)],
                              .if_match = TEXTS[pick(5)],
                              .source_key = TEXTS[1 + pick(4)],
                              .source_etag = TEXTS[pick(5)],
                              .attrs = attrs->data,
                              .attrs_len = attrs->len};
}

/* In memory of its own, so that a sanitizer sees a step over its end. */
static int decode(const char *data, size_t len)
{
    char *copy = malloc(len + !len);
    struct wb_record r;
    assert_non_null(copy);
    memcpy(copy, data, len);
    int result = wb_record_decode(copy, len, &r);
    if (result == 0) {
        struct arena arena = ARENA_INIT(1 << 20);
        struct store_attrs attrs;
        assert_true(strlen(r.key) > 0 && r.seq > 0);
        assert_true(strlen(r.etag) < STORE_ETAG_SIZE && strlen(r.source_etag) < STORE_ETAG_SIZE);
        assert_in_range(r.kind, WB_PUT, WB_DELETE);
        assert_in_range(r.cond, WB_ANY, WB_PREV);
        assert_true(r.cond != WB_ETAG || *r.if_match);
        (void)wb_attrs_decode(r.attrs, r.attrs_len, &arena, &attrs);
        arena_done(&arena);
    } else {
        assert_int_equal(result, -EBADMSG);
    }
    free(copy);
    return result;
}

static void what_was_written_is_read(void **state)
{
    for (int i = 0; i < 500; i++) {
        CLEANUP_STRBUF struct strbuf attrs = STRBUF_INIT(4096), sb = STRBUF_INIT(4096);
        struct wb_record in = sample(&attrs), out;
        wb_record_encode(&sb, &in);
        assert_int_equal(sb.error, 0);
        assert_int_equal(wb_record_decode(sb.data, sb.len, &out), 0);
        assert_int_equal(out.kind, in.kind);
        assert_int_equal(out.cond, in.cond);
        assert_int_equal(out.keep_attrs, in.keep_attrs);
        assert_int_equal(out.after_all, in.after_all);
        assert_int_equal(out.seq, in.seq);
        assert_int_equal(out.size, in.size);
        assert_int_equal(out.mtime_ns, in.mtime_ns);
        assert_int_equal(out.source_seq, in.source_seq);
        assert_string_equal(out.key, in.key);
        assert_string_equal(out.etag, in.etag);
        assert_string_equal(out.if_match, in.if_match);
        assert_string_equal(out.source_key, in.source_key);
        assert_int_equal(out.attrs_len, in.attrs_len);
        assert_memory_equal(out.attrs, in.attrs, in.attrs_len);
    }
}

static void what_is_torn_is_refused(void **state)
{
    CLEANUP_STRBUF struct strbuf attrs = STRBUF_INIT(4096), sb = STRBUF_INIT(4096);
    struct wb_record in = sample(&attrs);
    wb_record_encode(&sb, &in);
    for (size_t len = 0; len < sb.len; len++)
        assert_int_equal(decode(sb.data, len), -EBADMSG);
    for (size_t i = 0; i < sb.len * 8; i++) {
        sb.data[i / 8] ^= (char)(1u << (i % 8));
        assert_int_equal(decode(sb.data, sb.len), -EBADMSG);
        sb.data[i / 8] ^= (char)(1u << (i % 8));
    }
    assert_int_equal(decode(sb.data, sb.len), 0);
}

/* Also with a checksum that holds: the lengths within are not believed. */
static void what_is_random_does_no_harm(void **state)
{
    print_message("seed %llu\n", (unsigned long long)seed);
    unsigned refused = 0;
    for (int i = 0; i < ROUNDS; i++) {
        CLEANUP_STRBUF struct strbuf attrs = STRBUF_INIT(4096), sb = STRBUF_INIT(8192);
        struct wb_record in = sample(&attrs);
        wb_record_encode(&sb, &in);
        size_t len = sb.len - 4;
        for (unsigned n = 1 + pick(4); n; n--) {
            size_t at = pick((unsigned)len);
            sb.data[at] = (char)(pick(3) ? pick(256) : 0xff);
        }
        if (pick(4) == 0)
            len = pick((unsigned)len);
        uint32_t crc = crc32c_update(0, sb.data, len);
        for (int b = 0; b < 4; b++)
            sb.data[len + (size_t)b] = (char)(crc >> (8 * b));
        refused += decode(sb.data, len + 4) < 0;
    }
    assert_in_range(refused, ROUNDS / 10, ROUNDS - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(what_is_torn_is_refused),
        cmocka_unit_test(what_is_random_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
