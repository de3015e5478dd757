/* SPDX-License-Identifier: Apache-2.0 */
/* The four waiters: a bucket or an object exists, or does not exist any more. Each asks every five
 * seconds, twenty times at most, unless told otherwise. */
#include <errno.h>

#include "example.h"
#include "s3/resource_bucket.h"
#include "s3/resource_object.h"

int main(void)
{
    struct s3_error err = {0};
    struct s3_service s3;
    TRY(s3_service_open(NULL, NULL, &s3, &err));
    struct s3_client *client = s3.meta.client;
    const char *name = example_bucket_name();
    example_bucket_create(client, name);

    struct s3_waiter_options often = {.delay_ms = 100, .max_attempts = 50};
    TRY(s3_waiter_wait(client, &s3_waiter_bucket_exists, name, NULL, &often, &err));

    struct s3_object object;
    TRY(s3_service_object(&s3, name, "key", &object, &err));

    /* What does not come to be is an error after the last attempt. */
    struct s3_waiter_options twice = {.delay_ms = 10, .max_attempts = 2};
    CHECK(s3_waiter_wait(client, &s3_waiter_object_exists, name, "key", &twice, &err) ==
          -ETIMEDOUT);
    CHECK(err.kind == S3_ERROR_TIMEOUT && err.tries == 2);
    printf("as expected: %s\n", err.message);

    /* Resources have them as actions. */
    TRY(s3_object_put_memory(&object, "x", 1, &err));
    TRY(s3_object_wait_until_exists(&object, &often, &err));
    TRY(s3_object_delete(&object, NULL, NULL, &err));
    TRY(s3_object_wait_until_not_exists(&object, &often, &err));
    s3_object_done(&object);

    struct s3_bucket bucket;
    TRY(s3_service_bucket(&s3, name, &bucket, &err));
    TRY(s3_bucket_delete(&bucket, &err));
    TRY(s3_bucket_wait_until_not_exists(&bucket, &often, &err));
    CHECK(s3_bucket_wait_until_exists(&bucket, &twice, &err) == -ETIMEDOUT);

    /* By name, as a command line gives it. */
    CHECK(s3_waiter_find("object_not_exists") == &s3_waiter_object_not_exists);

    s3_bucket_done(&bucket);
    s3_service_done(&s3);
    return 0;
}
