/* SPDX-License-Identifier: Apache-2.0 */
/* How many parts are under way, with servers that are computed: each part takes a round trip and
 * its time on a connection, and all together no more than the server takes in. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/attr.h"
#include "data/pace.h"

#define PART (8 * MIB)
#define MOST 8u

struct world {
    struct pace pace;
    uint64_t now_ns;
    unsigned streams;
    double latency_s; /* of a part alone */
    double capacity;  /* parts per second */
};

static void begin(struct world *w, unsigned streams)
{
    *w = (struct world){.streams = streams, .now_ns = 1, .latency_s = 0.1, .capacity = 1e9};
    pace_init(&w->pace, MOST);
    for (unsigned i = 0; i < streams; i++)
        pace_count(&w->pace, 1, w->now_ns);
}

/* Writers that are faster than the store. */
static void store(struct world *w, unsigned parts)
{
    while (parts--) {
        double rate = pace_share(&w->pace) * w->streams / w->latency_s;
        w->now_ns += (uint64_t)((double)NS_PER_S / MIN(rate, w->capacity));
        pace_waits(&w->pace);
        pace_stored(&w->pace, PART, w->now_ns);
    }
}

static void one_stream_has_all_from_the_first_part(void **state)
{
    struct world w;
    begin(&w, 1);
    assert_int_equal(pace_share(&w.pace), MOST);
    w.capacity = 10;
    store(&w, 2000);
    assert_int_equal(pace_share(&w.pace), MOST);
    pace_done(&w.pace);
}

static void distance_needs_more(void **state)
{
    struct world w;
    begin(&w, 8);
    assert_int_equal(pace_share(&w.pace), 2);
    store(&w, 400);
    assert_int_equal(pace_share(&w.pace), MOST);
    /* And keeps them: fewer are tried, and cost. */
    unsigned fewer = 0;
    for (int i = 0; i < 10000; i++) {
        store(&w, 1);
        fewer += pace_share(&w.pace) < MOST;
    }
    assert_in_range(fewer, 1, 1000);
    pace_done(&w.pace);
}

static void what_is_busy_gets_no_more(void **state)
{
    struct world w;
    begin(&w, 8);
    w.capacity = 16 / w.latency_s;
    unsigned more = 0;
    for (int i = 0; i < 10000; i++) {
        store(&w, 1);
        more += pace_share(&w.pace) > 2;
    }
    assert_in_range(more, 1, 1000);
    pace_done(&w.pace);
}

static void follows_what_changes(void **state)
{
    struct world w;
    begin(&w, 8);
    store(&w, 2000);
    assert_int_equal(pace_share(&w.pace), MOST);
    w.capacity = 8 / w.latency_s;
    store(&w, 30000);
    assert_in_range(pace_share(&w.pace), 2, 3);
    w.capacity = 1e9;
    store(&w, 30000);
    assert_in_range(pace_share(&w.pace), 5, MOST);
    pace_done(&w.pace);
}

static void slow_writers_tell_nothing(void **state)
{
    struct world w;
    begin(&w, 8);
    for (int i = 0; i < 1000; i++)
        pace_stored(&w.pace, PART, w.now_ns += NS_PER_S / (1 + (uint64_t)i));
    assert_int_equal(pace_share(&w.pace), 2);
    for (int i = 0; i < 6; i++)
        pace_count(&w.pace, -1, w.now_ns);
    assert_int_equal(pace_share(&w.pace), 4);
    pace_done(&w.pace);
}

/* 8 files of 8 parts at once, then a pause, over a line that takes 1.5 s for a part. */
static void a_slow_line_has_all_at_once(void **state)
{
    struct world w;
    begin(&w, 8);
    w.latency_s = 1.5;
    store(&w, 64);
    assert_int_equal(pace_share(&w.pace), MOST);
    for (int i = 0; i < 20; i++) {
        pace_count(&w.pace, -8, w.now_ns);
        w.now_ns += 10 * NS_PER_S;
        pace_count(&w.pace, 8, w.now_ns);
        uint64_t start_ns = w.now_ns;
        store(&w, 64);
        assert_in_range(w.now_ns - start_ns, 1, NS_PER_S * 16 / 10);
    }
    /* As fast as others, it is none any more. */
    w.latency_s = 0.1;
    w.capacity = 8 / w.latency_s;
    store(&w, 30000);
    assert_in_range(pace_share(&w.pace), 2, 3);
    pace_done(&w.pace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_stream_has_all_from_the_first_part),
        cmocka_unit_test(distance_needs_more),
        cmocka_unit_test(what_is_busy_gets_no_more),
        cmocka_unit_test(follows_what_changes),
        cmocka_unit_test(slow_writers_tell_nothing),
        cmocka_unit_test(a_slow_line_has_all_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
