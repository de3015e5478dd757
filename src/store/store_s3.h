/* SPDX-License-Identifier: Apache-2.0 */
/* The store over a bucket: keys get the mount's prefix, errors stay as the S3 layer tells them.
 * Deleting an absent key and aborting an absent upload succeed, as the port says. */
#ifndef PAILFS_STORE_STORE_S3_H
#define PAILFS_STORE_STORE_S3_H

#include "s3/client.h"
#include "store/store.h"

struct store_s3_options {
    struct s3_client *client;       /* a reference is taken */
    const char *bucket;             /* copied */
    const char *prefix;             /* copied; a '/' is added where it does not end in one */
    const char *storage_class;      /* of new objects; NULL = the bucket's default; copied */
    enum s3_checksum_algo checksum; /* sent with every upload */
    struct clock *clock;            /* for times the server does not tell; NULL = clock_system() */
};

int store_s3_new(const struct store_s3_options *opts, struct store **ret, struct s3_error *reterr);
/* What it puts before keys: "" or with a '/' at the end. Borrowed. */
const char *store_s3_prefix(const struct store *store);

#endif
