/* SPDX-License-Identifier: Apache-2.0 */
/* The memory store keeps S3's rules; everything above is tested against it. */
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
#include "store/store_memory.h"

static struct store *open_store(unsigned threads, uint32_t page_size)
{
    struct store *s = NULL;
    struct store_memory_options o = {.threads = threads, .page_size = page_size, .get_piece = 7};
    assert_int_equal(store_memory_new(&o, &s), 0);
    return s;
}

static int put_text(struct store *s, const char *key, const char *text, const char *if_match,
                    bool if_absent, struct store_version *ret, struct s3_error *err)
{
    struct iovec iov = {(void *)text, strlen(text)};
    struct store_put_in in = {
        .key = key, .body = &iov, .n_body = 1, .if_match = if_match, .if_absent = if_absent};
    struct store_version v;
    return store_put(s, &in, ret ? ret : &v, err);
}

struct text_sink {
    char data[256];
    size_t len;
    uint64_t size;
    int begins;
};

static int text_begin(void *ctx, const struct store_object *o)
{
    struct text_sink *t = ctx;
    t->begins++;
    t->size = o->size;
    return 0;
}

static int text_write(void *ctx, const void *data, size_t len)
{
    struct text_sink *t = ctx;
    assert_int_equal(t->begins, 1);
    assert_true(t->len + len < sizeof(t->data));
    memcpy(t->data + t->len, data, len);
    t->len += len;
    return 0;
}

static int get_text(struct store *s, const char *key, uint64_t offset, uint64_t length,
                    const char *if_match, struct text_sink *t, struct s3_error *err)
{
    *t = (struct text_sink){0};
    struct store_sink sink = {text_begin, text_write, t};
    struct store_get_in in = {
        .key = key, .offset = offset, .length = length, .if_match = if_match, .sink = &sink};
    struct store_object o;
    int r = store_get(s, &in, &o, err);
    if (!r)
        store_object_done(&o);
    return r;
}

static void put_get_delete(void **state)
{
    for (unsigned threads = 0; threads < 3; threads++) {
        struct store *s = open_store(threads, 0);
        struct store_version v;
        struct s3_error err = {0};
        struct text_sink t;
        assert_int_equal(put_text(s, "a", "hello world", NULL, false, &v, &err), 0);
        assert_string_equal(v.etag, "\"5eb63bbbe01eeed093cb22bb8f5acdc3\"");

        assert_int_equal(get_text(s, "a", 0, 0, NULL, &t, &err), 0);
        assert_int_equal(t.len, 11);
        assert_memory_equal(t.data, "hello world", 11);
        assert_int_equal(get_text(s, "a", 6, 100, v.etag, &t, &err), 0);
        assert_int_equal(t.len, 5);
        assert_int_equal(t.size, 11);
        assert_memory_equal(t.data, "world", 5);
        assert_int_equal(get_text(s, "a", 11, 1, NULL, &t, &err), -EIO);
        assert_int_equal(err.kind, S3_ERROR_BAD_RANGE);
        assert_int_equal(get_text(s, "a", 0, 1, "\"other\"", &t, &err), -ESTALE);
        assert_int_equal(err.kind, S3_ERROR_PRECONDITION);
        assert_int_equal(t.begins, 0);

        struct store_object o;
        assert_int_equal(store_head(s, "a", &o, &err), 0);
        assert_int_equal(o.size, 11);
        assert_string_equal(o.etag, v.etag);
        store_object_done(&o);

        assert_int_equal(store_delete(s, "a", "\"other\"", &err), -ESTALE);
        assert_int_equal(store_delete(s, "a", v.etag, &err), 0);
        assert_int_equal(store_delete(s, "a", NULL, &err), 0);
        assert_int_equal(store_head(s, "a", &o, &err), -ENOENT);
        assert_int_equal(err.kind, S3_ERROR_NO_SUCH_KEY);
        store_free(s);
    }
}

static void conditions(void **state)
{
    struct store *s = open_store(0, 0);
    struct store_version v, v2;
    struct s3_error err = {0};
    assert_int_equal(put_text(s, "k", "1", "\"any\"", false, NULL, &err), -ENOENT);
    assert_int_equal(put_text(s, "k", "1", NULL, true, &v, &err), 0);
    assert_int_equal(put_text(s, "k", "2", NULL, true, NULL, &err), -ESTALE);
    assert_int_equal(put_text(s, "k", "2", v.etag, false, &v2, &err), 0);
    assert_int_equal(put_text(s, "k", "3", v.etag, false, NULL, &err), -ESTALE);

    struct store_copy_in copy = {.source_key = "k", .source_if_match = v.etag, .key = "c"};
    assert_int_equal(store_copy(s, &copy, &v, &err), -ESTALE);
    copy.source_if_match = v2.etag;
    copy.if_absent = true;
    assert_int_equal(store_copy(s, &copy, &v, &err), 0);
    assert_string_equal(v.etag, v2.etag);
    assert_int_equal(store_copy(s, &copy, &v, &err), -ESTALE);
    copy = (struct store_copy_in){.source_key = "k", .key = "k"};
    assert_int_equal(store_copy(s, &copy, &v, &err), -EIO);
    copy.replace_attrs = true;
    struct store_metadata m = {"mode", "420"};
    copy.attrs = (struct store_attrs){.content_type = "text/x", .metadata = &m, .n_metadata = 1};
    assert_int_equal(store_copy(s, &copy, &v, &err), 0);
    struct store_object o;
    assert_int_equal(store_head(s, "k", &o, &err), 0);
    assert_string_equal(o.attrs.content_type, "text/x");
    assert_int_equal(o.attrs.n_metadata, 1);
    assert_string_equal(o.attrs.metadata[0].value, "420");
    store_object_done(&o);
    store_free(s);
}

static void list_all(struct store *s, const char *prefix, bool delimited, const char *start_after,
                     char *buf, size_t size, int *pages)
{
    char *token = NULL;
    *buf = '\0';
    *pages = 0;
    do {
        struct store_list_in in = {
            .prefix = prefix, .delimited = delimited, .start_after = start_after, .token = token};
        struct store_page p;
        assert_int_equal(store_list(s, &in, &p, NULL), 0);
        for (size_t i = 0; i < p.n_entries; i++) {
            strncat(buf, p.entries[i].key, size - strlen(buf) - 2);
            strncat(buf, " ", 2);
        }
        for (size_t i = 0; i < p.n_prefixes; i++) {
            strncat(buf, "[", 2);
            strncat(buf, p.prefixes[i], size - strlen(buf) - 3);
            strncat(buf, "] ", 3);
        }
        free(token);
        token = p.next_token ? strdup(p.next_token) : NULL;
        store_page_done(&p);
        (*pages)++;
    } while (token);
}

static void listing(void **state)
{
    static const char *const KEYS[] = {"b", "a/1", "a/2", "a", "a-", "a/2/x", "\xff", "z/", "z/q"};
    for (uint32_t page = 1; page < 12; page++) {
        struct store *s = open_store(0, page);
        for (size_t i = 0; i < ARRAY_SIZE(KEYS); i++)
            assert_int_equal(put_text(s, KEYS[i], "", NULL, false, NULL, NULL), 0);
        char buf[512];
        int pages;
        list_all(s, "", false, NULL, buf, sizeof(buf), &pages);
        assert_string_equal(buf, "a a- a/1 a/2 a/2/x b z/ z/q \xff ");
        assert_int_equal(pages, (ARRAY_SIZE(KEYS) + page - 1) / page);
        list_all(s, "", false, "a/2", buf, sizeof(buf), &pages);
        assert_string_equal(buf, "a/2/x b z/ z/q \xff ");
        if (page >= 6) {
            list_all(s, "", true, NULL, buf, sizeof(buf), &pages);
            assert_string_equal(buf, "a a- b \xff [a/] [z/] ");
            assert_int_equal(pages, 1);
        }
        if (page == 1) {
            list_all(s, "", true, NULL, buf, sizeof(buf), &pages);
            assert_string_equal(buf, "a a- [a/] b [z/] \xff ");
            assert_int_equal(pages, 6);
            list_all(s, "a/", true, NULL, buf, sizeof(buf), &pages);
            assert_string_equal(buf, "a/1 a/2 [a/2/] ");
        }
        store_free(s);
    }
}

static void thousand_keys_a_page(void **state)
{
    struct store *s = open_store(0, 0);
    for (int i = 0; i < 2500; i++) {
        char key[32];
        snprintf(key, sizeof(key), "d/%04d", (i * 7) % 2500);
        assert_int_equal(put_text(s, key, "x", NULL, false, NULL, NULL), 0);
    }
    struct store_list_in in = {.prefix = "d/", .max_keys = 5000};
    struct store_page p;
    size_t n = 0;
    int pages = 0;
    char token[64] = "";
    do {
        in.token = *token ? token : NULL;
        assert_int_equal(store_list(s, &in, &p, NULL), 0);
        assert_true(p.n_entries <= 1000);
        for (size_t i = 0; i < p.n_entries; i++, n++) {
            char key[32];
            snprintf(key, sizeof(key), "d/%04zu", n);
            assert_string_equal(p.entries[i].key, key);
        }
        snprintf(token, sizeof(token), "%s", p.next_token ? p.next_token : "");
        store_page_done(&p);
        pages++;
    } while (*token);
    assert_int_equal(n, 2500);
    assert_int_equal(pages, 3);

    const char *keys[] = {"d/0001", "d/0002", "d/none"};
    struct store_delete_many_in many = {.keys = keys, .n_keys = 3};
    struct store_delete_many_out many_out;
    assert_int_equal(store_call(s, STORE_DELETE_MANY, &many, &many_out, NULL), 0);
    assert_int_equal(many_out.n_failures, 0);
    store_delete_many_out_done(&many_out);
    assert_int_equal(store_memory_object_count(s), 2498);
    store_free(s);
}

static int put_part(struct store *s, const char *id, uint32_t number, const char *data, size_t len,
                    struct store_part *ret, struct s3_error *err)
{
    struct iovec iov = {(void *)data, len};
    struct store_upload_part_in in = {
        .key = "m", .upload_id = id, .number = number, .body = &iov, .n_body = 1};
    return store_call(s, STORE_UPLOAD_PART, &in, ret, err);
}

static void multipart(void **state)
{
    struct store *s = open_store(1, 0);
    struct s3_error err = {0};
    struct store_metadata meta = {"mtime", "1"};
    struct store_upload_create_in create = {.key = "m",
                                            .attrs = {.metadata = &meta, .n_metadata = 1}};
    struct store_upload up;
    assert_int_equal(store_call(s, STORE_UPLOAD_CREATE, &create, &up, &err), 0);
    assert_int_equal(store_memory_upload_count(s), 1);

    size_t five = 5 * MIB;
    char *data = malloc(five);
    memset(data, 'x', five);
    struct store_part parts[3];
    assert_int_equal(put_part(s, up.id, 1, data, five, &parts[0], &err), 0);
    assert_int_equal(put_part(s, up.id, 2, data, five - 1, &parts[1], &err), 0);
    assert_int_equal(put_part(s, up.id, 0, data, 1, &parts[2], &err), -EIO);
    assert_int_equal(put_part(s, up.id, 10001, data, 1, &parts[2], &err), -EIO);
    assert_int_equal(put_part(s, "none", 1, data, 1, &parts[2], &err), -EIO);
    assert_int_equal(err.kind, S3_ERROR_NO_SUCH_UPLOAD);
    assert_int_equal(put_part(s, up.id, 3, "tail", 4, &parts[2], &err), 0);

    struct store_upload_complete_in complete = {
        .key = "m", .upload_id = up.id, .parts = parts, .n_parts = 3};
    struct store_version v;
    assert_int_equal(store_call(s, STORE_UPLOAD_COMPLETE, &complete, &v, &err), -EIO);
    assert_string_equal(err.code, "EntityTooSmall");
    assert_int_equal(put_part(s, up.id, 2, data, five, &parts[1], &err), 0);

    struct store_part swapped[2] = {parts[1], parts[0]};
    complete.parts = swapped;
    complete.n_parts = 2;
    assert_int_equal(store_call(s, STORE_UPLOAD_COMPLETE, &complete, &v, &err), -EIO);
    assert_string_equal(err.code, "InvalidPartOrder");
    complete.parts = parts;
    complete.n_parts = 3;
    complete.if_match = "\"none\"";
    assert_int_equal(store_call(s, STORE_UPLOAD_COMPLETE, &complete, &v, &err), -ENOENT);
    complete.if_match = NULL;
    complete.if_absent = true;

    struct store_upload_parts_in list = {.key = "m", .upload_id = up.id};
    struct store_parts listed;
    assert_int_equal(store_call(s, STORE_UPLOAD_PARTS, &list, &listed, &err), 0);
    assert_int_equal(listed.n_parts, 3);
    assert_int_equal(listed.parts[2].size, 4);
    store_parts_done(&listed);

    assert_int_equal(store_call(s, STORE_UPLOAD_COMPLETE, &complete, &v, &err), 0);
    assert_non_null(strstr(v.etag, "-3\""));
    assert_int_equal(store_memory_upload_count(s), 0);
    struct text_sink t;
    assert_int_equal(get_text(s, "m", 2 * five - 2, 100, v.etag, &t, &err), 0);
    assert_int_equal(t.len, 6);
    assert_memory_equal(t.data, "xxtail", 6);
    assert_int_equal(t.size, 2 * five + 4);

    /* A copied range and an abort. */
    assert_int_equal(store_call(s, STORE_UPLOAD_CREATE, &create, &up, &err), 0);
    struct store_upload_part_copy_in copy = {.key = "m",
                                             .upload_id = up.id,
                                             .number = 1,
                                             .source_key = "m",
                                             .source_if_match = v.etag,
                                             .offset = 2 * five - 2,
                                             .length = 5};
    assert_int_equal(store_call(s, STORE_UPLOAD_PART_COPY, &copy, &parts[0], &err), 0);
    copy.length = 7;
    assert_int_equal(store_call(s, STORE_UPLOAD_PART_COPY, &copy, &parts[1], &err), -EIO);
    copy.source_if_match = "\"other\"";
    assert_int_equal(store_call(s, STORE_UPLOAD_PART_COPY, &copy, &parts[1], &err), -ESTALE);
    complete = (struct store_upload_complete_in){
        .key = "m", .upload_id = up.id, .parts = parts, .n_parts = 1, .if_match = v.etag};
    assert_int_equal(store_call(s, STORE_UPLOAD_COMPLETE, &complete, &v, &err), 0);
    assert_int_equal(get_text(s, "m", 0, 0, NULL, &t, &err), 0);
    assert_int_equal(t.len, 5);
    assert_memory_equal(t.data, "xxtai", 5);

    assert_int_equal(store_call(s, STORE_UPLOAD_CREATE, &create, &up, &err), 0);
    struct store_upload_abort_in abort_in = {.key = "m", .upload_id = up.id};
    assert_int_equal(store_call(s, STORE_UPLOAD_ABORT, &abort_in, NULL, &err), 0);
    assert_int_equal(store_call(s, STORE_UPLOAD_ABORT, &abort_in, NULL, &err), -EIO);
    assert_int_equal(store_memory_upload_count(s), 0);
    free(data);
    store_free(s);
}

static void upload_listing(void **state)
{
    struct store *s = open_store(0, 2);
    static const char *const KEYS[] = {"b", "a", "p/c", "a", "p/d"};
    for (size_t i = 0; i < ARRAY_SIZE(KEYS); i++) {
        struct store_upload_create_in create = {.key = KEYS[i]};
        struct store_upload up;
        assert_int_equal(store_call(s, STORE_UPLOAD_CREATE, &create, &up, NULL), 0);
    }
    char seen[64] = "", token[128] = "";
    int pages = 0;
    do {
        struct store_upload_list_in in = {.prefix = "", .token = *token ? token : NULL};
        struct store_upload_page p;
        assert_int_equal(store_call(s, STORE_UPLOAD_LIST, &in, &p, NULL), 0);
        for (size_t i = 0; i < p.n_uploads; i++) {
            strncat(seen, p.uploads[i].key, 8);
            strncat(seen, " ", 2);
        }
        snprintf(token, sizeof(token), "%s", p.next_token ? p.next_token : "");
        store_upload_page_done(&p);
        pages++;
    } while (*token);
    assert_string_equal(seen, "a a b p/c p/d ");
    assert_int_equal(pages, 3);
    store_free(s);
}

static void zeros_take_no_memory(void **state)
{
    struct store *s = open_store(0, 0);
    assert_int_equal(store_memory_put_zeros(s, "big", 6 * TIB), 0);
    struct text_sink t;
    assert_int_equal(get_text(s, "big", 6 * TIB - 3, 10, NULL, &t, NULL), 0);
    assert_int_equal(t.len, 3);
    assert_int_equal(t.data[2], 0);
    assert_int_equal(t.size, 6 * TIB);
    store_free(s);
}

static void limits_of_a_key(void **state)
{
    struct store *s = open_store(0, 0);
    char key[1026];
    memset(key, 'k', sizeof(key));
    key[1024] = '\0';
    assert_int_equal(put_text(s, key, "x", NULL, false, NULL, NULL), 0);
    key[1024] = 'k';
    key[1025] = '\0';
    assert_int_equal(put_text(s, key, "x", NULL, false, NULL, NULL), -ENAMETOOLONG);
    assert_int_equal(put_text(s, "", "x", NULL, false, NULL, NULL), -EIO);
    store_free(s);
}

static void every_operation_has_a_name(void **state)
{
    for (int op = 0; op < STORE_OP_MAX; op++)
        assert_non_null(store_op_name(op));
    assert_string_equal(store_op_name(STORE_OP_MAX), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_get_delete),
        cmocka_unit_test(conditions),
        cmocka_unit_test(listing),
        cmocka_unit_test(thousand_keys_a_page),
        cmocka_unit_test(multipart),
        cmocka_unit_test(upload_listing),
        cmocka_unit_test(zeros_take_no_memory),
        cmocka_unit_test(limits_of_a_key),
        cmocka_unit_test(every_operation_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
