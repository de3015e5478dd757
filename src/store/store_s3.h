/* SPDX-License-Identifier: Apache-2.0 */
/* The store over a bucket: keys get the mount's prefix, errors stay as the S3 layer tells them.
 * Deleting an absent key and aborting an absent upload succeed, as the port says. */
#ifndef PAILFS_STORE_STORE_S3_H
#define PAILFS_STORE_STORE_S3_H

#include <stdatomic.h>

#include "base/attr.h"
#include "s3/client.h"
#include "store/store.h"
#include "store/store_caps.h"

struct store_s3_options {
    struct s3_client *client;            /* a reference is taken */
    const char *bucket;                  /* copied */
    const char *prefix;                  /* copied; a '/' is added where it does not end in one */
    const char *storage_class;           /* of new objects; NULL = the bucket's default; copied */
    enum s3_checksum_algo checksum;      /* sent with every PUT */
    enum s3_checksum_algo part_checksum; /* sent with every part of an upload */
    /* The server is known to hold a completed upload against the checksum and size of the whole. */
    bool whole_checksum;
    bool check_whole;    /* a GET of a whole object asks for the stored checksum, and looks at it */
    struct clock *clock; /* for times the server does not tell; NULL = clock_system() */
    const struct store_caps *caps; /* copied; NULL = all conditions are held */
    /* Called once, with the first change when it is not known which conditions the server holds.
     * Must not block. May be NULL. */
    void (*unknown)(void *ctx);
    void *unknown_ctx;
};

int store_s3_new(const struct store_s3_options *opts, struct store **ret, struct s3_error *reterr);
void store_s3_caps(const struct store *store, struct store_caps *ret);
void store_s3_set_caps(struct store *store, const struct store_caps *caps);
/* Finds out what the server does, with about 15 requests on objects that begin with `key` and are
 * gone afterwards. Blocks; ends early when *stop is set. err is not NULL. A failure says nothing
 * about the server: no permission to write, a bucket whose versions cannot be deleted. */
#define STORE_S3_PROBE_COPY "-copy"
int store_s3_probe(struct store *store, const char *key, const atomic_bool *stop,
                   struct store_caps *ret, struct s3_error *err);
/* The largest object whose copy onto itself is GET and PUT where that is safer
 * (store_s3_rewrite.c). It is in memory between the two, several at a time, and crosses the network
 * twice: worth it for what was written by one PUT (a first part is 8 MiB), not for the change of a
 * mode of a film. */
#define STORE_S3_REWRITE_MAX (8 * MIB)
/* What it puts before keys: "" or with a '/' at the end. Borrowed. */
const char *store_s3_prefix(const struct store *store);

#endif
