/* SPDX-License-Identifier: Apache-2.0 */
/* Deletes any number of keys or versions in DeleteObjects requests of 1,000, and tells for each
 * that failed why.
 * Errors: a key that S3 refused does not stop the rest, but makes the result negative (the kind of
 *         the first failure); a request that failed does stop. Either way the report tells what
 *         was done. An answer that does not account for every key is S3_ERROR_BAD_RESPONSE. */
#ifndef PAILFS_S3_BATCH_DELETE_H
#define PAILFS_S3_BATCH_DELETE_H

#include "s3/client.h"

struct s3_delete_report {
    uint64_t deleted;
    uint64_t n_failed;
    enum s3_error_kind first_kind;     /* of the first failure */
    struct s3_delete_result *failures; /* owned; their strings are in the arena */
    size_t n_failures;                 /* listed: at most 10,000 */
    size_t alloc_failures;
    struct arena arena;
    unsigned requests;
};

void s3_delete_report_init(struct s3_delete_report *r);
void s3_delete_report_done(struct s3_delete_report *r);
/* 0 when nothing failed, else the error that sums it up. */
int s3_delete_report_result(const struct s3_delete_report *r, struct s3_error *reterr);

/* report may be NULL; otherwise initialised, and added to. */
int s3_batch_delete(struct s3_client *client, const char *bucket,
                    const struct s3_delete_entry *entries, size_t n_entries,
                    struct s3_delete_report *report, struct s3_error *reterr);
/* One request of at most 1,000: 0 also when S3 refused some keys, which only the report tells. */
int s3_batch_delete_request(struct s3_client *client, const char *bucket,
                            const struct s3_delete_entry *entries, size_t n_entries,
                            struct s3_delete_report *report, struct s3_error *reterr);

#endif
