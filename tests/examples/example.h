/* SPDX-License-Identifier: Apache-2.0 */
/* What every example needs and none is about: a bucket of its own that is gone in the end, and a
 * way to stop when something is not as it should be. Endpoint, region and keys come from where
 * boto3 takes them: AWS_ENDPOINT_URL, AWS_DEFAULT_REGION, AWS_ACCESS_KEY_ID, ~/.aws ... */
#ifndef PAILFS_TESTS_EXAMPLE_H
#define PAILFS_TESTS_EXAMPLE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "s3/client.h"

/* Stops with the error when a call of the library failed. */
#define TRY(call)                                                                                  \
    do {                                                                                           \
        if ((call) < 0)                                                                            \
            example_stop(__FILE__, __LINE__, #call, &err);                                         \
    } while (0)

/* Stops when a result is not the expected one. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            example_stop(__FILE__, __LINE__, #condition, NULL);                                    \
    } while (0)

_Noreturn void example_stop(const char *file, int line, const char *what,
                            const struct s3_error *err);

/* A bucket name that nobody else uses; valid until the program ends. */
const char *example_bucket_name(void);
/* Makes the bucket; at exit it is removed with all that is in it, also after example_stop. */
void example_bucket_create(struct s3_client *client, const char *bucket);
/* Now instead of at exit, for programs that free what the client needs. */
void example_bucket_remove(void);
/* At exit only, for a bucket that the example makes itself. */
void example_bucket_remove_at_exit(struct s3_client *client, const char *bucket);
/* n objects "PREFIXf000000" ..., several at a time. */
void example_fill(struct s3_client *client, const char *bucket, const char *prefix, unsigned n);

#endif
