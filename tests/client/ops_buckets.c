/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets, wrong keys, presigned URLs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client_ops.h"
#include "http/http_curl.h"

static bool bucket_listed(struct ops *o)
{
    struct s3_list_buckets_in in = {0};
    struct s3_list_buckets_out out = {0};
    struct s3_error err = {0};
    bool found = false;
    int r = s3_list_buckets(o->client, &in, &out, &err);

    CHECK_OK(o, r, &err);
    for (size_t i = 0; r == 0 && i < out.n_buckets; i++) {
        if (strcmp(out.buckets[i].name, o->bucket) != 0)
            continue;
        found = true;
        CHECK(o, out.buckets[i].creation_ns > 0);
    }
    s3_list_buckets_out_done(&out);
    return found;
}

void ops_test_buckets(struct ops *o)
{
    struct s3_create_bucket_in create = {.bucket = o->bucket, .location = getenv("S3_LOCATION")};
    struct s3_bucket_in in = {.bucket = o->bucket};
    struct s3_bucket_in missing = {.bucket = "client-ops-no-such-bucket"};
    struct s3_head_bucket_out head = {0};
    struct s3_get_bucket_location_out location = {0};
    struct s3_get_bucket_versioning_out versioning = {.status = S3_VERSIONING_ENABLED};
    struct s3_error err = {0};
    int r;

    CHECK(o, !bucket_listed(o));
    r = s3_create_bucket(o->client, &create, &err);
    CHECK_OK(o, r, &err);
    CHECK(o, bucket_listed(o));
    r = s3_head_bucket(o->client, &in, &head, &err);
    CHECK_OK(o, r, &err);
    r = s3_get_bucket_location(o->client, &in, &location, &err);
    CHECK_OK(o, r, &err);
    CHECK(o, location.location[0] != '\0');
    r = s3_get_bucket_versioning(o->client, &in, &versioning, &err);
    CHECK_OK(o, r, &err);
    CHECK_NUM(o, versioning.status, S3_VERSIONING_NEVER);

    r = s3_head_bucket(o->client, &missing, &head, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_NO_SUCH_BUCKET);
    CHECK_STR(o, err.operation, "HeadBucket");
    CHECK_NUM(o, err.http_status, 404);
    CHECK_NUM(o, err.tries, 1);
    r = s3_delete_bucket(o->client, &missing, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_NO_SUCH_BUCKET);
    CHECK_STR(o, err.code, "NoSuchBucket");
    CHECK(o, err.request_id[0] != '\0');

    (void)ops_put(o, "keeps-it", "x", NULL);
    r = s3_delete_bucket(o->client, &in, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_BUCKET_NOT_EMPTY);
}

/* ---- wrong keys ---- */

static struct s3_client *client_with(struct ops *o, const char *id, const char *secret)
{
    struct s3_session_options opts;
    struct s3_session *session = NULL;
    struct s3_client *client = NULL;
    struct s3_error err = {0};
    int r;

    s3_session_options_init(&opts);
    opts.args.endpoint_url = getenv("S3_ENDPOINT");
    opts.args.access_key_id = id;
    opts.args.secret_access_key = secret;
    opts.args.session_token = id ? getenv("AWS_SESSION_TOKEN") : NULL;
    opts.args.no_sign_request = !id;
    r = s3_session_new(&opts, &session, &err);
    if (r == 0)
        r = s3_session_client_new(session, NULL, &client, &err);
    CHECK_OK(o, r, &err);
    s3_session_unref(session);
    return client;
}

static void test_keys(struct ops *o)
{
    struct s3_list_objects_v2_in in = {.bucket = o->bucket};
    struct s3_list_objects_v2_out out = {0};
    struct s3_error err = {0};
    struct s3_client *c = client_with(o, "AKIDOESNOTEXIST12345", "whatever");
    int r;

    if (!c)
        return;
    r = s3_list_objects_v2(c, &in, &out, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_BAD_CREDENTIALS);
    CHECK_STR(o, err.code, "InvalidAccessKeyId");
    CHECK(o, strstr(err.message, "access key id is not known") != NULL);
    s3_client_unref(c);

    c = client_with(o, getenv("AWS_ACCESS_KEY_ID"), "not-the-secret");
    if (!c)
        return;
    r = s3_list_objects_v2(c, &in, &out, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_BAD_CREDENTIALS);
    CHECK_STR(o, err.code, "SignatureDoesNotMatch");
    CHECK(o, strstr(err.message, "not-the-secret") == NULL);
    s3_client_unref(c);

    c = client_with(o, NULL, NULL);
    if (!c)
        return;
    r = s3_list_objects_v2(c, &in, &out, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_ACCESS_DENIED);
    s3_client_unref(c);
}

/* ---- presigned URLs ---- */

static int fetch(struct ops *o, enum http_method method, const char *url, const struct iovec *body,
                 struct http_response *resp)
{
    struct http_curl_options opts = {.ca_bundle = getenv("AWS_CA_BUNDLE")};
    struct http_transport *t = NULL;
    struct http_request req = {.method = method,
                               .url = url,
                               .body = body,
                               .n_body = body ? 1 : 0,
                               .deadlines = {.total_ms = 30000}};
    int r = http_curl_new(&opts, &t);

    if (r == 0)
        r = http_perform(t, &req, resp);
    CHECK_NUM(o, r, 0);
    http_transport_free(t);
    return r;
}

static void test_presign(struct ops *o)
{
    struct s3_put_object_in put = {.bucket = o->bucket, .key = "pre signed+&?=/\xc3\xa4"};
    struct s3_get_object_in get = {.bucket = o->bucket, .key = put.key};
    struct ops_sink sink;
    struct iovec body = {(void *)(uintptr_t) "by url", 6};
    struct http_response resp = {0};
    struct s3_error err = {0};
    char *url = NULL;
    int r = s3_presign_url(o->client, S3_OP_PUT_OBJECT, &put, 60, &url, &err);

    CHECK_OK(o, r, &err);
    if (r == 0 && fetch(o, HTTP_PUT, url, &body, &resp) == 0) {
        CHECK_NUM(o, resp.status, 200);
        http_response_done(&resp);
    }
    free(url);

    ops_sink_init(&sink);
    get.sink = &sink.sink;
    r = s3_presign_url(o->client, S3_OP_GET_OBJECT, &get, 60, &url, &err);
    CHECK_OK(o, r, &err);
    if (r == 0 && fetch(o, HTTP_GET, url, NULL, &resp) == 0) {
        CHECK_NUM(o, resp.status, 200);
        CHECK_STR(o, strbuf_str(&resp.body), "by url");
        http_response_done(&resp);
    }
    /* One character of the signature changed. */
    if (r == 0) {
        char *last = url + strlen(url) - 1;
        *last = *last == '0' ? '1' : '0';
        if (fetch(o, HTTP_GET, url, NULL, &resp) == 0) {
            CHECK_NUM(o, resp.status, 403);
            http_response_done(&resp);
        }
        free(url);
    }
    ops_sink_done(&sink);
    r = s3_presign_url(o->client, S3_OP_LIST_OBJECTS_V2, &get, 60, &url, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_INVALID);
    r = s3_presign_url(o->client, S3_OP_GET_OBJECT, &get, S3_PRESIGN_EXPIRY_MAX + 1, &url, &err);
    CHECK_KIND(o, r, &err, S3_ERROR_INVALID);
}

void ops_test_access(struct ops *o)
{
    test_keys(o);
    test_presign(o);
}
