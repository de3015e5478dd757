/* SPDX-License-Identifier: Apache-2.0 */
/* An explicit session: keys, region and endpoint given by the program. What is given wins over the
 * environment and the files; what is not given still comes from there. */
#include "example.h"
#include "s3/session.h"

int main(void)
{
    struct s3_error err = {0};

    /* A real program has these from its own configuration. */
    struct s3_session_options opts;
    s3_session_options_init(&opts);
    opts.args.access_key_id = getenv("AWS_ACCESS_KEY_ID");
    opts.args.secret_access_key = getenv("AWS_SECRET_ACCESS_KEY");
    opts.args.session_token = getenv("AWS_SESSION_TOKEN");
    opts.args.endpoint_url = getenv("AWS_ENDPOINT_URL");
    opts.args.region = "us-east-1";
    CHECK(opts.args.access_key_id && opts.args.secret_access_key);

    struct s3_session *session = NULL;
    TRY(s3_session_new(&opts, &session, &err));
    struct s3_client *client = NULL;
    TRY(s3_session_client_new(session, NULL, &client, &err));
    CHECK(strcmp(s3_client_meta(client)->region, "us-east-1") == 0);

    const char *bucket = example_bucket_name();
    example_bucket_create(client, bucket);
    struct s3_head_bucket_out head = {0};
    TRY(s3_head_bucket(client, &(struct s3_bucket_in){.bucket = bucket}, &head, &err));

    /* A second session beside it, with a wrong secret: the keys in the environment, though right,
     * are not used for it. */
    opts.args.secret_access_key = "not-the-secret";
    struct s3_session *wrong = NULL;
    TRY(s3_session_new(&opts, &wrong, &err));
    struct s3_client *stranger = NULL;
    TRY(s3_session_client_new(wrong, NULL, &stranger, &err));
    struct s3_list_buckets_out out = {0};
    CHECK(s3_list_buckets(stranger, &(struct s3_list_buckets_in){0}, &out, &err) < 0);
    CHECK(err.kind == S3_ERROR_BAD_CREDENTIALS);
    printf("as expected: %s\n", err.message);

    s3_client_unref(stranger);
    s3_session_unref(wrong);
    s3_client_unref(client);
    s3_session_unref(session);
    return 0;
}
