/* SPDX-License-Identifier: Apache-2.0 */
/* The default session: credentials, region and endpoint from the environment and ~/.aws, found out
 * once for the process, without a word in the program (boto3.client('s3')). */
#include "example.h"
#include "s3/session.h"

int main(void)
{
    struct s3_error err = {0};

    /* Sends nothing yet: a session is configuration. */
    struct s3_session *session = NULL;
    TRY(s3_session_default(&session, &err));

    struct s3_client *client = NULL;
    TRY(s3_session_client_new(session, NULL, &client, &err));
    printf("region %s, endpoint %s\n", s3_client_meta(client)->region,
           s3_client_meta(client)->endpoint_url);

    const char *bucket = example_bucket_name();
    example_bucket_create(client, bucket);

    struct s3_list_buckets_out out = {0};
    TRY(s3_list_buckets(client, &(struct s3_list_buckets_in){0}, &out, &err));
    bool found = false;
    for (size_t i = 0; i < out.n_buckets; i++)
        found = found || strcmp(out.buckets[i].name, bucket) == 0;
    CHECK(found);
    s3_list_buckets_out_done(&out);

    /* Asking again gives the same session. */
    struct s3_session *again = NULL;
    TRY(s3_session_default(&again, &err));
    CHECK(again == session);

    s3_session_unref(again);
    s3_client_unref(client);
    s3_session_unref(session);
    return 0;
}
