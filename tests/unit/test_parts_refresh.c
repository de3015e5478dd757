/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "data/parts_refresh.h"
#include "store/store_memory.h"

static void send_part(struct store *store, const struct store_upload *u, uint32_t number,
                      const char *text, struct store_part *ret)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    struct store_upload_part_in in = {
        .key = "k", .upload_id = u->id, .number = number, .body = &iov, .n_body = 1};

    assert_int_equal(store_call(store, STORE_UPLOAD_PART, &in, ret, NULL), 0);
    ret->number = number;
}

static void test_refresh(void **state)
{
    struct store_upload_create_in create = {.key = "k"};
    struct store_upload u;
    struct store_part stored[2], ours[2];
    struct store *store = NULL;

    (void)state;
    assert_int_equal(store_memory_new(NULL, &store), 0);
    assert_int_equal(store_call(store, STORE_UPLOAD_CREATE, &create, &u, NULL), 0);
    send_part(store, &u, 1, "first", &stored[0]);
    send_part(store, &u, 2, "second", &stored[1]);

    /* All is as it was thought: another try would end as the first. */
    memcpy(ours, stored, sizeof(ours));
    assert_false(parts_refresh(store, "k", u.id, true, ours, 2));

    /* Another ETag for the same bytes. */
    snprintf(ours[1].etag, sizeof(ours[1].etag), "\"of another request\"");
    assert_false(parts_refresh(store, "k", u.id, false, ours, 2)); /* who knows which bytes */
    assert_string_equal(ours[1].etag, "\"of another request\"");
    assert_true(parts_refresh(store, "k", u.id, true, ours, 2));
    assert_string_equal(ours[1].etag, stored[1].etag);

    /* Other bytes. */
    snprintf(ours[0].etag, sizeof(ours[0].etag), "\"of another request\"");
    ours[0].size++;
    assert_false(parts_refresh(store, "k", u.id, true, ours, 2));
    assert_string_equal(ours[0].etag, "\"of another request\"");

    /* One is missing, whatever became of the others. */
    memcpy(ours, stored, sizeof(ours));
    snprintf(ours[0].etag, sizeof(ours[0].etag), "\"of another request\"");
    ours[1].number = 3;
    assert_false(parts_refresh(store, "k", u.id, true, ours, 2));

    assert_false(parts_refresh(store, "k", "no such upload", true, ours, 2));
    store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_refresh)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
