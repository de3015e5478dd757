/* SPDX-License-Identifier: Apache-2.0 */
/* Runs every operation of the client against a real server and checks what comes back.
 *
 *   S3_ENDPOINT=http://127.0.0.1:7480 AWS_ACCESS_KEY_ID=... AWS_SECRET_ACCESS_KEY=... client_ops
 *
 * S3_LOCATION is the location of the bucket that it makes, where the server wants one.
 * TEST_SERVER=rgw leaves out what Ceph 16 does not have. Makes a bucket of its own and removes it.
 * Exit status 0 when every check held. */
#include "client_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Whatever a failed part has left behind. */
static void remove_everything(struct ops *o)
{
    struct s3_list_object_versions_in in = {.bucket = o->bucket};
    struct s3_list_object_versions_out page;
    struct s3_error err = {0};
    struct s3_bucket_in bucket = {.bucket = o->bucket};
    int r;

    while (s3_list_object_versions(o->client, &in, &page, &err) == 0) {
        size_t n = page.n_versions;
        for (size_t i = 0; i < n; i++) {
            struct s3_delete_object_in del = {.bucket = o->bucket,
                                              .key = page.versions[i].key,
                                              .version_id = page.versions[i].version_id};
            struct s3_delete_object_out out;
            r = s3_delete_object(o->client, &del, &out, &err);
            CHECK_OK(o, r, &err);
        }
        s3_list_object_versions_out_done(&page);
        if (n == 0)
            break;
    }
    r = s3_delete_bucket(o->client, &bucket, &err);
    CHECK_OK(o, r, &err);
}

static int connect_client(struct ops *o)
{
    struct s3_session_options opts;
    struct s3_session *session = NULL;
    struct s3_error err = {0};

    s3_session_options_init(&opts);
    opts.args.endpoint_url = getenv("S3_ENDPOINT");
    if (s3_session_new(&opts, &session, &err) ||
        s3_session_client_new(session, NULL, &o->client, &err)) {
        fprintf(stderr, "client_ops: %s\n", ops_describe(&err));
        s3_session_unref(session);
        return -1;
    }
    s3_session_unref(session); /* the client has its own reference */
    return 0;
}

int main(void)
{
    struct ops o = {0};
    const char *server = getenv("TEST_SERVER");
    struct timespec now;

    if (!getenv("S3_ENDPOINT")) {
        fprintf(stderr, "client_ops: S3_ENDPOINT is not set\n");
        return 77;
    }
    o.strict = !server || strcmp(server, "rgw") != 0;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)snprintf(o.bucket, sizeof(o.bucket), "client-ops-%d-%lld", (int)getpid(),
                   (long long)now.tv_sec);
    if (connect_client(&o))
        return 1;
    ops_test_buckets(&o);
    if (o.failures == 0) {
        ops_test_objects(&o);
        ops_test_conditions(&o);
        ops_test_listings(&o);
        ops_test_multipart(&o);
        ops_test_access(&o);
        ops_test_versions(&o);
    }
    remove_everything(&o);
    s3_client_unref(o.client);
    printf("client_ops: %u checks, %u failed\n", o.checks, o.failures);
    return o.failures ? 1 : 0;
}
