/* SPDX-License-Identifier: Apache-2.0 */
/* A lazy query: a value that says what to list. Nothing is sent before an iterator's first step.
 *
 *   struct s3_collection jpgs = s3_collection_limit(
 *       s3_collection_filter(s3_bucket_objects(&bucket), (struct s3_filter){.prefix = "2026/"}),
 *       100);
 *   s3_iter_open(&jpgs, &it, &err);
 *   while ((r = s3_iter_next_object(it, &object, &err)) > 0) { ...; s3_object_done(&object); }
 *   s3_iter_close(it);
 *
 * Where collections come from: s3_service_buckets, s3_bucket_objects, s3_bucket_object_versions,
 * s3_bucket_multipart_uploads, s3_multipart_upload_parts.
 *
 * Life:    a collection is a plain value, copied at will; it borrows everything it points to from
 *          the resource and the filter, until the last iterator over it is closed.
 * Threads: an iterator is used by one thread at a time.
 * Errors:  iterators return 1, 0 at the end, or -errno; an error is never the end, and the same
 *          step may be tried again. A filter that the operation does not have is S3_ERROR_CONFIG.
 */
#ifndef PAILFS_S3_COLLECTION_H
#define PAILFS_S3_COLLECTION_H

#include "s3/batch_delete.h"
#include "s3/client.h"

struct s3_bucket;
struct s3_object;
struct s3_object_version;
struct s3_multipart_upload;

enum s3_collection_kind {
    S3_COLLECTION_BUCKETS,           /* struct s3_bucket_entry */
    S3_COLLECTION_OBJECTS,           /* struct s3_object_entry */
    S3_COLLECTION_OBJECT_VERSIONS,   /* struct s3_version_entry */
    S3_COLLECTION_MULTIPART_UPLOADS, /* struct s3_upload_entry */
    S3_COLLECTION_PARTS,             /* struct s3_part_entry */
};

/* NULL = as before. */
struct s3_filter {
    const char *prefix;      /* buckets (where the endpoint has it), objects, versions, uploads */
    const char *delimiter;   /* objects, versions, uploads: what rolls up is in s3_iter_prefixes */
    const char *start_after; /* objects: the key behind which to start; versions and uploads: the
                                key marker; parts: a part number in decimal */
    const char *id_marker;   /* versions, uploads: with start_after, the version or upload id */
};

struct s3_collection {
    enum s3_collection_kind kind;
    struct s3_client *client;
    const char *bucket;
    const char *key;
    const char *upload_id;
    struct s3_filter filter;
    uint64_t limit;           /* items in all; 0 = no limit */
    uint32_t page_size;       /* items per request; 0 = the operation's default */
    const char *resume_token; /* from s3_iter_resume_token */
};

/* Each returns a copy with one thing changed. */
struct s3_collection s3_collection_filter(struct s3_collection c, struct s3_filter f);
struct s3_collection s3_collection_limit(struct s3_collection c, uint64_t limit);
struct s3_collection s3_collection_page_size(struct s3_collection c, uint32_t page_size);
struct s3_collection s3_collection_resume(struct s3_collection c, const char *token);

/* Deletes what an objects or versions collection yields, one DeleteObjects per page, as boto3's
 * batch action; see batch_delete.h for the report and what counts as an error. */
int s3_collection_delete(const struct s3_collection *c, struct s3_delete_report *report,
                         struct s3_error *reterr);

/* ---- iterating ---- */

struct s3_iter;

int s3_iter_open(const struct s3_collection *c, struct s3_iter **ret, struct s3_error *reterr);
void s3_iter_close(struct s3_iter *it); /* NULL ok */

/* Item by item, as entries: see enum s3_collection_kind for the type. Borrowed until the next
 * step. */
int s3_iter_next(struct s3_iter *it, const void **ret_entry, struct s3_error *reterr);
/* Item by item, as resources; the caller releases *ret. The kind must be the collection's. */
int s3_iter_next_bucket(struct s3_iter *it, struct s3_bucket *ret, struct s3_error *reterr);
int s3_iter_next_object(struct s3_iter *it, struct s3_object *ret, struct s3_error *reterr);
int s3_iter_next_version(struct s3_iter *it, struct s3_object_version *ret,
                         struct s3_error *reterr);
int s3_iter_next_upload(struct s3_iter *it, struct s3_multipart_upload *ret,
                        struct s3_error *reterr);

/* Page by page: an array of *ret_n entries, of the kind's type. Goes to the next request's answer
 * whatever was read of this one. Pages may be empty. Borrowed until the next step. */
int s3_iter_next_page(struct s3_iter *it, const void **ret_entries, size_t *ret_n,
                      struct s3_error *reterr);
/* Common prefixes of the current page. Borrowed until the next step to another page. */
const char *const *s3_iter_prefixes(const struct s3_iter *it, size_t *ret_n);
unsigned s3_iter_pages(const struct s3_iter *it);
/* For s3_collection_resume: goes on behind the current page, or behind the limit where that ended
 * the iteration. Owned by the caller; NULL at the end of the list or when memory is out. */
char *s3_iter_resume_token(const struct s3_iter *it);

#endif
