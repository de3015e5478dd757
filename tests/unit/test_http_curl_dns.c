/* SPDX-License-Identifier: Apache-2.0 */
/* Names and addresses. This program's getaddrinfo stands before the C library's, so that libcurl's
 * resolver threads get answers that the tests decide. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "http/http_resolve.h"
#include "http_curl_fixture.h"

#define ADDRESSES 8

static struct gate asked = GATE_INIT;    /* lookups of blocked.test that began */
static struct gate answer = GATE_INIT;   /* lets them go on */
static struct gate answered = GATE_INIT; /* and they did */
static struct gate changes = GATE_INIT;  /* lookups that ended */
static atomic_uint lookups;              /* of any name */
static atomic_bool name_is_gone;         /* moody.test */
static atomic_uint per_address[ADDRESSES + 1];

typedef int (*getaddrinfo_fn)(const char *, const char *, const struct addrinfo *,
                              struct addrinfo **);

static int numeric(const char *const *ips, const char *service, const struct addrinfo *hints,
                   struct addrinfo **ret)
{
    getaddrinfo_fn real = (getaddrinfo_fn)(uintptr_t)dlsym(RTLD_NEXT, "getaddrinfo");
    struct addrinfo any = hints ? *hints : (struct addrinfo){0};
    struct addrinfo **end = ret;

    any.ai_family = AF_UNSPEC;
    any.ai_flags = AI_NUMERICHOST;
    for (; *ips; ips++) {
        int r = real(*ips, service, &any, end);
        if (r)
            return r;
        while (*end)
            end = &(*end)->ai_next;
    }
    return 0;
}

__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **ret)
{
    static const char *const many[] = {"127.0.0.1", "127.0.0.2", "127.0.0.3",
                                       "127.0.0.4", "127.0.0.5", "127.0.0.6",
                                       "127.0.0.7", "127.0.0.8", NULL};
    static const char *const one_dead[] = {"::1", "127.0.0.1", NULL};

    static const char *const mixed[] = {"127.0.0.1", "::1", "127.0.0.2", "::2", NULL};

    atomic_fetch_add(&lookups, 1);
    if (strcmp(node, "moody.test") == 0)
        return name_is_gone ? EAI_NONAME : numeric(mixed, service, hints, ret);
    if (strcmp(node, "many.test") == 0)
        return numeric(many, service, hints, ret);
    if (strcmp(node, "one-dead.test") == 0)
        return numeric(one_dead, service, hints, ret);
    if (strstr(node, "blocked.test")) {
        gate_raise(&asked);
        gate_wait(&answer, 1);
        gate_raise(&answered);
        return EAI_AGAIN;
    }
    if (strstr(node, ".invalid") || strstr(node, ".test"))
        return EAI_NONAME;
    const char *const given[] = {node, NULL};
    return numeric(given, service, hints, ret);
}

static void script(struct wire_conn *c, void *ctx)
{
    struct wire_request *r = calloc(1, sizeof(*r));
    struct sockaddr_in sa = {0};
    socklen_t len = sizeof(sa);

    getsockname(c->fd, (struct sockaddr *)&sa, &len);
    unsigned last_byte = ntohl(sa.sin_addr.s_addr) & 0xff;
    if (last_byte <= ADDRESSES)
        atomic_fetch_add(&per_address[last_byte], 1);
    while (r && wire_read_head(c, r))
        wire_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    free(r);
}

static int setup(void **state)
{
    gate_reset(&asked);
    gate_reset(&answer);
    gate_reset(&answered);
    fixture_start(NULL, script);
    return 0;
}

static int teardown(void **state)
{
    fixture_stop();
    return 0;
}

static const char *url_at(const char *host)
{
    static char url[128];

    snprintf(url, sizeof(url), "http://%s:%u/k?sig=secret", host, wire_server_port(fx.server));
    return url;
}

static void test_unknown_host(void **state)
{
    const struct http_request req = {.method = HTTP_GET,
                                     .url = "http://no.invalid:81/k?sig=secret"};
    struct http_response r;

    assert_int_equal(http_perform(fx.t, &req, &r), 0);
    assert_int_equal(r.kind, S3_ERROR_CONNECT);
    assert_false(r.request_sent);
    assert_string_equal(r.message, "could not resolve the host name of no.invalid:81: "
                                   "Name or service not known");
    http_response_done(&r);
}

static void test_silent_name_server_blocks_nobody_else(void **state)
{
    struct waiter timed = {.req = {.method = HTTP_GET,
                                   .url = url_at("blocked.test"),
                                   .deadlines = {.connect_ms = 50}}};
    struct waiter cancelled = {.req = {.method = HTTP_GET, .url = timed.req.url}};
    struct waiter freed = {.req = {.method = HTTP_GET, .url = timed.req.url}};

    waiter_submit(&timed);
    waiter_submit(&cancelled);
    waiter_submit(&freed);
    gate_wait(&asked, 1);

    /* All of this happens while the lookup hangs. */
    waiter_wait(&timed);
    assert_int_equal(timed.resp.kind, S3_ERROR_TIMEOUT);
    assert_false(timed.resp.request_sent);
    assert_non_null(strstr(timed.resp.message, "no connection to blocked.test"));
    http_cancel(fx.t, cancelled.call);
    waiter_wait(&cancelled);
    assert_int_equal(cancelled.resp.kind, S3_ERROR_CANCELLED);
    assert_false(cancelled.resp.request_sent);
    expect("/", 200, S3_ERROR_NONE, "ok");
    http_transport_free(fx.t);
    waiter_wait(&freed);
    assert_int_equal(freed.resp.kind, S3_ERROR_CANCELLED);
    assert_int_equal(gate_count(&answered), 0);

    gate_raise(&answer);
    gate_wait(&answered, 1);
    assert_int_equal(gate_count(&asked), 1); /* one for all three */
    http_response_done(&timed.resp);
    http_response_done(&cancelled.resp);
    http_response_done(&freed.resp);
    static const struct http_curl_options opts = {.io_threads = 1};
    assert_int_equal(http_curl_new(&opts, &fx.t), 0);
}

static void test_dead_address_is_passed_over(void **state)
{
    const struct http_request req = {
        .method = HTTP_GET, .url = url_at("one-dead.test"), .deadlines = {.connect_ms = 60000}};

    for (int i = 0; i < 10; i++) {
        struct http_response r;
        assert_int_equal(http_perform(fx.t, &req, &r), 0);
        if (r.status != 200)
            fail_msg("%s", r.message);
        http_response_done(&r);
    }
    assert_int_equal(wire_server_accepted(fx.server), 10);
}

static void test_connections_spread_over_addresses(void **state)
{
    enum { N = 64 };
    static const struct http_curl_options opts = {.io_threads = 2, .max_connections = N};
    struct waiter *w = calloc(N, sizeof(*w));
    const char *url = url_at("many.test");
    unsigned used = 0, total = 0;

    assert_non_null(w);
    http_transport_free(fx.t);
    assert_int_equal(http_curl_new(&opts, &fx.t), 0);
    lookups = 0;
    for (int i = 0; i <= ADDRESSES; i++)
        per_address[i] = 0;
    for (int i = 0; i < N; i++) {
        w[i].req = (struct http_request){.method = HTTP_GET, .url = url};
        waiter_submit(&w[i]);
    }
    for (int i = 0; i < N; i++) {
        waiter_wait(&w[i]);
        if (w[i].resp.status != 200)
            fail_msg("%s", w[i].resp.message);
        http_response_done(&w[i].resp);
    }
    for (int i = 1; i <= ADDRESSES; i++) {
        used += per_address[i] > 0;
        total += per_address[i];
    }
    assert_int_equal(total, N);
    assert_int_equal(used, ADDRESSES);
    assert_int_equal(lookups, 1);
    free(w);
}

static void test_failed_lookup_is_not_remembered(void **state)
{
    const struct http_request req = {.method = HTTP_GET, .url = url_at("moody.test")};
    struct http_response r;

    name_is_gone = true;
    assert_int_equal(http_perform(fx.t, &req, &r), 0);
    assert_int_equal(r.kind, S3_ERROR_CONNECT);
    http_response_done(&r);
    name_is_gone = false;
    assert_int_equal(http_perform(fx.t, &req, &r), 0);
    assert_int_equal(r.status, 200);
    http_response_done(&r);
}

/* With a proxy, libcurl's own resolver threads are at work, and a call must still end at once. */
static void test_proxy_with_a_silent_name_server(void **state)
{
    static const struct http_curl_options opts = {.io_threads = 1};
    struct waiter w = {.req = {.method = HTTP_GET, .url = url_at("many.test")}};

    http_transport_free(fx.t);
    setenv("http_proxy", "http://blocked.test:3128", 1);
    assert_int_equal(http_curl_new(&opts, &fx.t), 0);
    waiter_submit(&w);
    gate_wait(&asked, 1);
    http_cancel(fx.t, w.call);
    waiter_wait(&w);
    assert_int_equal(w.resp.kind, S3_ERROR_CANCELLED);
    http_response_done(&w.resp);

    const struct http_request direct = {.method = HTTP_GET, .url = url_of("/"), .direct = true};
    struct http_response r;
    assert_int_equal(http_perform(fx.t, &direct, &r), 0);
    assert_int_equal(r.status, 200);
    http_response_done(&r);
    unsetenv("http_proxy");
    gate_raise(&answer);
    gate_wait(&answered, 1);
}

/* The resolver by itself */

static void count_change(void *ctx)
{
    gate_raise(&changes);
}

static const char *resolved(struct http_resolver *r, const char *host)
{
    static char buf[HTTP_RESOLVE_BUF];

    assert_int_equal(http_resolver_get(r, host, 0, buf, sizeof(buf)), HTTP_RESOLVED);
    return buf;
}

static void test_resolver(void **state)
{
    static struct clock_fake clock; /* lookups may outlive the resolver */
    struct http_resolver *r;
    char buf[HTTP_RESOLVE_BUF];
    unsigned n;

    clock_fake_init(&clock, 0);
    clock_fake_advance(&clock, NS_PER_S);
    gate_reset(&changes);
    lookups = 0;
    name_is_gone = false;
    assert_int_equal(http_resolver_new(&clock.clock, count_change, NULL, &r), 0);

    assert_int_equal(http_resolver_get(r, "moody.test", 0, buf, sizeof(buf)), HTTP_RESOLVE_WAIT);
    gate_wait(&changes, 1);
    /* Turns are taken within a family; the preferred one stays first. */
    assert_string_equal(resolved(r, "moody.test"), "127.0.0.1,127.0.0.2,[::1],[::2]");
    assert_string_equal(resolved(r, "moody.test"), "127.0.0.2,127.0.0.1,[::2],[::1]");
    assert_string_equal(resolved(r, "moody.test"), "127.0.0.1,127.0.0.2,[::1],[::2]");
    assert_int_equal(lookups, 1);

    /* After a minute the old ones are handed out while new ones are fetched. */
    clock_fake_advance(&clock, 61 * NS_PER_S);
    name_is_gone = true;
    assert_string_equal(resolved(r, "moody.test"), "127.0.0.2,127.0.0.1,[::2],[::1]");
    gate_wait(&changes, 2);
    assert_int_equal(lookups, 2);
    /* That failed: they serve on, and it is tried again after five seconds, not before. */
    resolved(r, "moody.test");
    assert_int_equal(lookups, 2);
    clock_fake_advance(&clock, 6 * NS_PER_S);
    resolved(r, "moody.test");
    gate_wait(&changes, 3);
    /* But not for ever. */
    clock_fake_advance(&clock, 600 * NS_PER_S);
    assert_int_equal(http_resolver_get(r, "moody.test", UINT64_MAX, buf, sizeof(buf)),
                     HTTP_RESOLVE_WAIT);
    gate_wait(&changes, 4);
    assert_int_equal(http_resolver_get(r, "moody.test", 0, buf, sizeof(buf)), HTTP_RESOLVE_FAILED);
    assert_string_equal(buf, "Name or service not known");

    /* Addresses at which nobody answers */
    name_is_gone = false;
    assert_int_equal(http_resolver_get(r, "moody.test", UINT64_MAX, buf, sizeof(buf)),
                     HTTP_RESOLVE_WAIT);
    gate_wait(&changes, 5);
    http_resolver_forget(r, "moody.test"); /* they are new: no effect */
    resolved(r, "moody.test");
    clock_fake_advance(&clock, 6 * NS_PER_S);
    http_resolver_forget(r, "moody.test");
    http_resolver_forget(r, "never-asked.test");
    assert_int_equal(http_resolver_get(r, "moody.test", UINT64_MAX, buf, sizeof(buf)),
                     HTTP_RESOLVE_WAIT);
    gate_wait(&changes, 6);
    resolved(r, "moody.test");

    /* A list without an end is not kept; names do not pile up. */
    for (n = 0; n < 200; n++) {
        snprintf(buf, sizeof(buf), "n%u.invalid", n);
        assert_int_equal(http_resolver_get(r, buf, UINT64_MAX, buf, sizeof(buf)),
                         HTTP_RESOLVE_WAIT);
        gate_wait(&changes, 7 + n);
    }
    assert_int_equal(http_resolver_get(r, "moody.test", UINT64_MAX, buf, sizeof(buf)),
                     HTTP_RESOLVE_WAIT); /* gone with the oldest */
    gate_wait(&changes, 7 + n);

    /* Every name busy: somebody else must do it. */
    unsigned started = 0;
    for (n = 0; n < 65; n++) {
        snprintf(buf, sizeof(buf), "%u.blocked.test", n);
        enum http_resolution got = http_resolver_get(r, buf, UINT64_MAX, buf, sizeof(buf));
        started += got == HTTP_RESOLVE_WAIT;
        assert_int_equal(got, n < 64 ? HTTP_RESOLVE_WAIT : HTTP_RESOLVE_UNABLE);
    }
    gate_wait(&asked, started);
    http_resolver_free(r); /* does not wait */
    unsigned before = gate_count(&changes);
    gate_raise(&answer);
    gate_wait(&answered, started);
    assert_int_equal(gate_count(&changes), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unknown_host, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silent_name_server_blocks_nobody_else, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_dead_address_is_passed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connections_spread_over_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed_lookup_is_not_remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(test_proxy_with_a_silent_name_server, setup, teardown),
        cmocka_unit_test_setup_teardown(test_resolver, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
