/* SPDX-License-Identifier: Apache-2.0 */
/* The low level: one function per S3 operation, with an input and an output struct named as in the
 * API reference. */
#include "example.h"
#include "s3/session.h"

/* Bytes of an object come through a sink; this one keeps them in a strbuf with a cap. */
static int append(void *ctx, const void *data, size_t len)
{
    return strbuf_append(ctx, data, len);
}

int main(void)
{
    struct s3_error err = {0};
    struct s3_session *session = NULL;
    struct s3_client *client = NULL;
    TRY(s3_session_default(&session, &err));
    TRY(s3_session_client_new(session, NULL, &client, &err));
    s3_session_unref(session); /* the client holds a reference of its own */
    const char *bucket = example_bucket_name();
    example_bucket_create(client, bucket);

    /* PutObject with metadata, only if the key is free. */
    char text[] = "0123456789";
    struct iovec body = {.iov_base = text, .iov_len = strlen(text)};
    struct s3_metadata metadata = {.name = "color", .value = "blue"};
    struct s3_put_object_in put = {
        .bucket = bucket,
        .key = "a key/with spaces & \xc3\xa4",
        .body = &body,
        .n_body = 1,
        .attrs = {.content_type = "text/plain", .metadata = &metadata, .n_metadata = 1},
        .conditions = {.if_none_match = "*"},
    };
    struct s3_put_object_out stored = {0};
    TRY(s3_put_object(client, &put, &stored, &err));
    printf("stored as %s\n", stored.etag);

    /* The second time the key is taken, and the error says so. */
    struct s3_put_object_out again = {0};
    CHECK(s3_put_object(client, &put, &again, &err) < 0);
    CHECK(err.kind == S3_ERROR_PRECONDITION && err.http_status == 412);

    /* HeadObject. Outputs with dynamic parts are released by s3_..._out_done. */
    struct s3_head_object_out head = {0};
    TRY(s3_head_object(client, &(struct s3_head_object_in){.bucket = bucket, .key = put.key}, &head,
                       &err));
    CHECK(head.content_length == 10);
    CHECK(strcmp(head.etag, stored.etag) == 0);
    CHECK(head.n_metadata == 1 && strcmp(head.metadata[0].value, "blue") == 0);
    s3_head_object_out_done(&head);

    /* GetObject: a range, if the object is still the same. */
    CLEANUP_STRBUF struct strbuf got = STRBUF_INIT(100);
    struct http_sink sink = {.write = append, .ctx = &got};
    struct s3_get_object_in get = {.bucket = bucket,
                                   .key = put.key,
                                   .conditions = {.if_match = stored.etag},
                                   .has_range = true,
                                   .range_offset = 2,
                                   .range_length = 3,
                                   .sink = &sink};
    TRY(s3_get_object(client, &get, &head, &err));
    CHECK(strcmp(strbuf_str(&got), "234") == 0);
    CHECK(head.object_size == 10);
    s3_head_object_out_done(&head);

    struct s3_delete_object_out deleted = {0};
    TRY(s3_delete_object(client, &(struct s3_delete_object_in){.bucket = bucket, .key = put.key},
                         &deleted, &err));
    CHECK(s3_get_object(client, &get, &head, &err) < 0);
    CHECK(err.kind == S3_ERROR_NO_SUCH_KEY);

    s3_client_unref(client);
    return 0;
}
