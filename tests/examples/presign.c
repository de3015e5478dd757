/* SPDX-License-Identifier: Apache-2.0 */
/* Presigned URLs: who has the URL may do this one thing for a while, without any keys. */
#include "example.h"
#include "http/http_curl.h"
#include "s3/resource_object.h"

/* A stranger with nothing but the URL. */
static int fetch(struct http_transport *transport, enum http_method method, const char *url,
                 const char *send, struct strbuf *got)
{
    struct iovec body = {.iov_base = (char *)send, .iov_len = send ? strlen(send) : 0};
    struct http_request req = {
        .method = method, .url = url, .body = send ? &body : NULL, .n_body = send ? 1 : 0};
    struct http_response resp = {0};
    CHECK(http_perform(transport, &req, &resp) == 0);
    int status = resp.status;
    strbuf_reset(got);
    strbuf_append(got, strbuf_str(&resp.body), resp.body.len);
    http_response_done(&resp);
    return status;
}

int main(void)
{
    struct s3_error err = {0};
    struct s3_service s3;
    TRY(s3_service_open(NULL, NULL, &s3, &err));
    const char *bucket = example_bucket_name();
    example_bucket_create(s3.meta.client, bucket);
    struct http_transport *transport = NULL;
    CHECK(http_curl_new(&(struct http_curl_options){0}, &transport) == 0);
    CLEANUP_STRBUF struct strbuf got = STRBUF_INIT(10000);

    struct s3_object object;
    TRY(s3_service_object(&s3, bucket, "a key & more+\xc3\xa4.txt", &object, &err));

    /* For uploading... */
    CLEANUP_FREE char *put_url = NULL;
    TRY(s3_object_presign(&object, S3_OP_PUT_OBJECT, 60, &put_url, &err));
    CHECK(fetch(transport, HTTP_PUT, put_url, "from a stranger", &got) == 200);

    /* ... and for downloading. */
    CLEANUP_FREE char *get_url = NULL;
    TRY(s3_object_presign(&object, S3_OP_GET_OBJECT, 60, &get_url, &err));
    printf("%s\n", get_url);
    CHECK(fetch(transport, HTTP_GET, get_url, NULL, &got) == 200);
    CHECK(strcmp(strbuf_str(&got), "from a stranger") == 0);

    /* The URL is for that one thing: another method does not fit its signature. */
    CHECK(fetch(transport, HTTP_DELETE, get_url, NULL, &got) == 403);
    TRY(s3_object_load(&object, &err));

    /* Longer than a week is refused before anything is signed. */
    char *none = NULL;
    CHECK(s3_object_presign(&object, S3_OP_GET_OBJECT, S3_PRESIGN_EXPIRY_MAX + 1, &none, &err) < 0);
    CHECK(err.kind == S3_ERROR_INVALID && !none);

    http_transport_free(transport);
    s3_object_done(&object);
    s3_service_done(&s3);
    return 0;
}
