/* SPDX-License-Identifier: Apache-2.0 */
/* Long listings in several stretches: every name exactly as a plain listing tells it, few requests,
 * and servers that do not list as S3 does. The server here is a sorted array. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/encode.h"
#include "meta/ranges.h"

#define PAGE 10u

enum server { S3, IGNORES_AFTER, UNORDERED, SHUFFLED_LATER };

struct bucket {
    char **keys; /* "p/name", "p/directory/"; in the order that the server has */
    size_t n;
    enum server kind;
};

static uint64_t seed;

static unsigned pick(unsigned n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((seed >> 33) % n);
}

static int by_key(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void fill(struct bucket *b, size_t n, void (*name)(char *out, size_t size, size_t number))
{
    *b = (struct bucket){.keys = calloc(n, sizeof(char *))};
    assert_non_null(b->keys);
    for (size_t i = 0; i < n; i++) {
        char text[128];
        name(text, sizeof(text), i);
        char key[140];
        snprintf(key, sizeof(key), "p/%s", text);
        assert_non_null(b->keys[b->n++] = strdup(key));
    }
    qsort(b->keys, b->n, sizeof(char *), by_key);
    size_t unique = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (unique > 0 && strcmp(b->keys[unique - 1], b->keys[i]) == 0)
            free(b->keys[i]);
        else
            b->keys[unique++] = b->keys[i];
    }
    b->n = unique;
}

static void empty(struct bucket *b)
{
    for (size_t i = 0; i < b->n; i++)
        free(b->keys[i]);
    free(b->keys);
}

struct page {
    struct store_page page;
    struct store_entry entries[PAGE];
    const char *prefixes[PAGE];
    char token[32];
};

/* token: the number of the first key of the page. */
static void serve(const struct bucket *b, const char *token, const char *after, struct page *ret)
{
    size_t i = token ? strtoul(token, NULL, 10) : 0;
    if (!token && after) {
        assert_true(utf8_valid(after, strlen(after)));
        while (b->kind != IGNORES_AFTER && i < b->n && strcmp(b->keys[i] + 2, after) <= 0)
            i++;
    }
    *ret = (struct page){0};
    ret->page.entries = ret->entries;
    ret->page.prefixes = ret->prefixes;
    for (size_t n = 0; n < PAGE && i < b->n; n++, i++) {
        if (b->keys[i][strlen(b->keys[i]) - 1] == '/')
            ret->prefixes[ret->page.n_prefixes++] = b->keys[i];
        else
            ret->entries[ret->page.n_entries++] =
                (struct store_entry){.key = b->keys[i], .etag = ""};
    }
    if (i < b->n) {
        snprintf(ret->token, sizeof(ret->token), "%zu", i);
        ret->page.next_token = ret->token;
    }
}

struct cost {
    unsigned requests;
    unsigned rounds; /* when all that are under way are answered at the same time */
    bool distrusted;
};

/* Lists with so many requests under way, answered in any order, into d. */
static struct cost run(const struct bucket *b, unsigned limit, bool failures, struct dir *d)
{
    struct cost c = {.requests = 1, .rounds = 1};
    struct ranges *r;
    struct page *page = calloc(1, sizeof(*page));
    struct range_request *asked = calloc(limit, sizeof(*asked));
    const struct dir_gap *gaps;
    struct s3_error err;
    assert_true(page && asked);
    serve(b, NULL, NULL, page);
    assert_int_equal(dir_add_page(d, "p/", &page->page, &err), 0);
    if (d->complete) {
        free(page);
        free(asked);
        return c;
    }
    assert_int_equal(ranges_new("p/", &page->page, &r), 0);
    for (bool more = true; more;) {
        size_t n = 0;
        while (n < limit && ranges_next(r, limit, &asked[n]))
            n++;
        assert_true(n > 0);
        c.requests += (unsigned)n;
        c.rounds++;
        while (n > 0 && more) {
            size_t k = pick((unsigned)n);
            struct range_request q = asked[k];
            bool use;
            asked[k] = asked[--n];
            if (failures && pick(5) == 0) {
                ranges_failed(r, q.id);
                continue;
            }
            serve(b, q.token, q.after, page);
            assert_int_equal(ranges_answer(r, q.id, &page->page, &use), 0);
            size_t n_gaps = ranges_gaps(r, &gaps);
            if (use || n_gaps == 0)
                assert_int_equal(dir_add_part(d, "p/", &page->page, gaps, n_gaps, &err), 0);
            more = n_gaps > 0;
            assert_true(c.requests < 100000);
        }
    }
    c.distrusted = ranges_distrusted(r);
    ranges_free(r);
    free(page);
    free(asked);
    return c;
}

static void assert_listed(const struct bucket *b, struct dir *d)
{
    assert_true(d->complete);
    for (size_t i = 0; i < b->n; i++) {
        char name[128];
        snprintf(name, sizeof(name), "%s", b->keys[i] + 2);
        size_t len = strlen(name);
        enum node_kind kind = len > 0 && name[len - 1] == '/' ? NODE_DIR : NODE_FILE;
        if (kind == NODE_DIR)
            name[len - 1] = '\0';
        const struct dir_entry *e = dir_find(d, name, kind);
        if (!e)
            fail_msg("'%s' is missing", b->keys[i]);
        else if (kind == NODE_FILE)
            assert_true(!(e->flags & DIR_ENTRY_BESIDE) == !dir_find(d, name, NODE_DIR));
    }
    assert_int_equal(d->n_live, b->n);
}

static struct cost check(const struct bucket *b, unsigned limit, bool failures)
{
    struct dir *d;
    assert_int_equal(dir_new(0, &d), 0);
    struct cost c = run(b, limit, failures, d);
    assert_listed(b, d);
    dir_unref(d);
    return c;
}

/* ---- names ---- */

static void counter(char *out, size_t size, size_t number)
{
    snprintf(out, size, "file-%06zu.txt", number);
}

static void bare_counter(char *out, size_t size, size_t number)
{
    snprintf(out, size, "%zu", number);
}

static void hashed(char *out, size_t size, size_t number ATTR_UNUSED)
{
    unsigned hi = pick(1u << 30), lo = pick(1u << 30);
    snprintf(out, size, "%08x%08x", hi * 4u + pick(4), lo);
}

static void dated(char *out, size_t size, size_t number)
{
    snprintf(out, size, "log.2024-%02zu-%02zu.%02zu%02zu", number / 1200 % 12 + 1,
             number / 40 % 28 + 1, number % 24, number % 60);
}

static void word(char *out, size_t size, size_t number ATTR_UNUSED)
{
    static const char *const parts[] = {"al",
                                        "be",
                                        "ga",
                                        "de",
                                        "ep",
                                        "Ze",
                                        "et",
                                        "th",
                                        "io",
                                        "ka",
                                        "la",
                                        "mu",
                                        "\xc3\xa9",
                                        "\xe6\x97\xa5",
                                        "-",
                                        " ",
                                        "\xf0\x9f\x8e\x89",
                                        "9"};
    size_t len = 0;
    for (unsigned n = 1 + pick(5); n > 0; n--)
        len += (size_t)snprintf(out + len, size - len, "%s", parts[pick(ARRAY_SIZE(parts))]);
    if (pick(4) == 0)
        snprintf(out + len, size - len, "/");
}

static void clustered(char *out, size_t size, size_t number)
{
    if (number % 3 == 0)
        snprintf(out, size, "a%04zu", number);
    else if (number % 3 == 1)
        snprintf(out, size, "zzzz/%s", "");
    else
        snprintf(out, size,
                 "m-very-long-common-beginning-of-all-of-these-names-which-differ-late-%05zu",
                 number);
}

/* Objects beside directories, and what sorts between them. */
static void beside(char *out, size_t size, size_t number)
{
    static const char *const ends[] = {"", "/", "-1", ".x", "0", "-/"};
    snprintf(out, size, "n%04zu%s", number / 6, ends[pick(ARRAY_SIZE(ends))]);
}

static const struct {
    const char *title;
    void (*name)(char *out, size_t size, size_t number);
    unsigned rounds; /* for 1,000 names in pages of 10, at most; one by one it were 100 */
} kinds[] = {
    {"counter", counter, 20}, {"bare counter", bare_counter, 20},
    {"hashed", hashed, 22},   {"dated", dated, 32},
    {"words", word, 45},      {"clustered", clustered, 50},
    {"beside", beside, 50},
};

/* ---- the tests ---- */

static void test_requests(void **state ATTR_UNUSED)
{
    for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
        struct bucket b;
        seed = 7;
        fill(&b, 1000, kinds[k].name);
        unsigned pages = (unsigned)((b.n + PAGE - 1) / PAGE);
        struct cost c = check(&b, 32, false);
        print_message("# %s: %u pages, %u requests in %u rounds\n", kinds[k].title, pages,
                      c.requests, c.rounds);
        assert_true(c.requests * 10 <= pages * 13);
        assert_true(c.rounds <= kinds[k].rounds);
        assert_false(c.distrusted);
        empty(&b);
    }
}

static void test_random(void **state ATTR_UNUSED)
{
    for (uint64_t s = 1; s <= 300; s++) {
        struct bucket b;
        seed = s;
        fill(&b, 1 + pick(600), kinds[s % ARRAY_SIZE(kinds)].name);
        print_message("# seed %llu: %s, %zu names\n", (unsigned long long)s,
                      kinds[s % ARRAY_SIZE(kinds)].title, b.n);
        unsigned pages = (unsigned)((b.n + PAGE - 1) / PAGE);
        bool failures = s % 3 == 0;
        struct cost c = check(&b, 1 + pick(20), failures);
        if (!failures)
            assert_true(c.requests * 10 <= pages * 13);
        empty(&b);
    }
}

/* A server that ignores the name to begin after, or has an order of its own, is listed all the
 * same, page by page. */
static void test_other_servers(void **state ATTR_UNUSED)
{
    for (uint64_t s = 1; s <= 60; s++) {
        struct bucket b;
        seed = s;
        fill(&b, 400, kinds[s % ARRAY_SIZE(kinds)].name);
        unsigned pages = (unsigned)((b.n + PAGE - 1) / PAGE);
        b.kind = IGNORES_AFTER + s % 3;
        size_t from = b.kind == SHUFFLED_LATER ? b.n / 2 : 0;
        for (size_t i = from; b.kind != IGNORES_AFTER && i < b.n; i++) {
            size_t other = from + pick((unsigned)(b.n - from));
            char *key = b.keys[i];
            b.keys[i] = b.keys[other];
            b.keys[other] = key;
        }
        struct cost c = check(&b, 8, false);
        print_message("# seed %llu: server %d, %u pages, %u requests\n", (unsigned long long)s,
                      (int)b.kind, pages, c.requests);
        if (pages > 6)
            assert_true(c.distrusted);
        empty(&b);
    }
}

static void answer(struct ranges *r, struct store_entry *entries, size_t n, const char *token)
{
    struct store_page page = {.entries = entries, .n_entries = n, .next_token = (char *)token};
    struct range_request next;
    bool use;
    assert_true(ranges_next(r, 1, &next));
    assert_int_equal(ranges_answer(r, next.id, &page, &use), 0);
    assert_true(use);
}

/* The directory's own object has no name. A first page of what has been deleted has none either. */
static void test_marker_after_an_empty_page(void **state ATTR_UNUSED)
{
    struct store_page none = {.next_token = (char *)"1"};
    struct store_entry marker[] = {{.key = "p/", .etag = ""}},
                       all[] = {{.key = "p/", .etag = ""}, {.key = "p/a", .etag = ""}};
    struct ranges *r;
    assert_int_equal(ranges_new("p/", &none, &r), 0);
    answer(r, NULL, 0, "2");
    answer(r, all, 2, "3");
    assert_false(ranges_distrusted(r));
    /* But once. */
    answer(r, marker, 1, "4");
    assert_true(ranges_distrusted(r));
    ranges_free(r);

    assert_int_equal(ranges_new("p/", &none, &r), 0);
    answer(r, marker, 1, "2");
    assert_false(ranges_distrusted(r));
    answer(r, marker, 1, "3");
    assert_true(ranges_distrusted(r));
    ranges_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_other_servers),
        cmocka_unit_test(test_marker_after_an_empty_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
