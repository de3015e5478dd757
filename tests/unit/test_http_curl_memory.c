/* SPDX-License-Identifier: Apache-2.0 */
/* Every single allocation of libcurl fails once, in the life of a transport that sends two GETs and
 * two PUTs: each ends with an error or an answer, and the transport works on afterwards. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "http_curl_fixture.h"

static atomic_long countdown = -1;
static atomic_bool failed;

static bool fails_now(void)
{
    if (atomic_load(&countdown) < 0 || atomic_fetch_sub(&countdown, 1) != 0)
        return false;
    failed = true;
    return true;
}

static void *failing_malloc(size_t size)
{
    return fails_now() ? NULL : malloc(size);
}

static void *failing_calloc(size_t n, size_t size)
{
    return fails_now() ? NULL : calloc(n, size);
}

static void *failing_realloc(void *p, size_t size)
{
    return fails_now() ? NULL : realloc(p, size);
}

static char *failing_strdup(const char *s)
{
    return fails_now() ? NULL : strdup(s);
}

static void script(struct wire_conn *c, void *ctx)
{
    struct wire_request *r = calloc(1, sizeof(*r));

    while (r && wire_read_head(c, r) && wire_read_body(c, r->length) != UINT64_MAX)
        wire_send(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    free(r);
}

static void test_every_allocation_fails_once(void **state)
{
    static char data[300000];
    const struct iovec v[2] = {{data, 100000}, {data + 100000, 200000}};
    unsigned answered = 0, refused = 0, not_made = 0;
    long n;

    fixture_start(NULL, script);
    http_transport_free(fx.t);
    for (n = 0;; n++) {
        const struct http_curl_options opts = {.io_threads = 1, .max_connections = 2};

        failed = false;
        countdown = n;
        int r = http_curl_new(&opts, &fx.t);
        if (r < 0) {
            assert_int_equal(r, -ENOMEM);
            not_made++;
            continue;
        }
        for (int i = 0; i < 4; i++) {
            struct http_request req = {.method = i < 2 ? HTTP_GET : HTTP_PUT,
                                       .url = url_of("/"),
                                       .body = i < 2 ? NULL : v,
                                       .n_body = i < 2 ? 0 : 2,
                                       .deadlines = {.total_ms = 60000}};
            struct http_response resp;

            assert_int_equal(http_perform(fx.t, &req, &resp), 0);
            if (resp.status == 200) {
                answered++;
            } else {
                assert_true(failed);
                if (resp.kind != S3_ERROR_OUT_OF_MEMORY && resp.kind != S3_ERROR_CONNECT)
                    fail_msg("allocation %ld: kind %d: %s", n, (int)resp.kind, resp.message);
                refused++;
            }
            http_response_done(&resp);
        }
        countdown = -1;
        expect("/", 200, S3_ERROR_NONE, "ok");
        http_transport_free(fx.t);
        if (!failed)
            break;
    }
    print_message("%ld allocations: %u transports not made, %u requests failed, %u answered\n", n,
                  not_made, refused, answered);
    assert_true(not_made > 0 && refused > 0);
    wire_server_free(fx.server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_allocation_fails_once),
    };

    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, failing_malloc, free, failing_realloc,
                             failing_strdup, failing_calloc) != CURLE_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
