/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs and outputs of the S3 operations, named as in the API reference.
 *
 * Inputs:  borrowed until the call is complete. NULL / 0 = the parameter is not sent. Strings are
 *          raw (never percent-encoded); ETags are given as S3 returned them, with quotes.
 * Outputs: filled on success only; everything dynamic lives in ->arena and is released with
 *          s3_<name>_out_done, which also takes a zeroed or half-filled struct. Times are
 *          nanoseconds since 1970 UTC, sizes are bytes.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html
 */
#ifndef PAILFS_S3_TYPES_H
#define PAILFS_S3_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/arena.h"
#include "http/http.h"
#include "s3/s3_limits.h"

/* User metadata: names without "x-amz-meta-", lower case. */
struct s3_metadata {
    const char *name;
    const char *value;
};

enum s3_checksum_algo {
    S3_CHECKSUM_NONE,
    S3_CHECKSUM_CRC32,
    S3_CHECKSUM_CRC32C,
    S3_CHECKSUM_CRC64NVME,
    S3_CHECKSUM_SHA1,
    S3_CHECKSUM_SHA256,
    S3_CHECKSUM_MAX,
};

/* Base64 text of a checksum as it stands in x-amz-checksum-*; composite ones end in "-N". */
struct s3_checksum {
    enum s3_checksum_algo algo;
    char value[64];
};

/* What a new object carries besides its bytes. */
struct s3_object_attrs {
    const char *content_type;
    const char *content_encoding;
    const char *content_disposition;
    const char *content_language;
    const char *cache_control;
    const char *storage_class;
    const struct s3_metadata *metadata;
    size_t n_metadata;
};

struct s3_conditions {
    const char *if_match;      /* ETag; "*" where the operation takes it */
    const char *if_none_match; /* ETag or "*" */
    int64_t if_modified_since_ns;
    int64_t if_unmodified_since_ns;
};

/* ---- service and bucket ---- */

struct s3_bucket_entry {
    const char *name;
    int64_t creation_ns;
    const char *region; /* NULL when not told */
};
struct s3_list_buckets_in {
    const char *prefix;
    const char *continuation_token;
    uint32_t max_buckets; /* 0 = all in one answer */
};
struct s3_list_buckets_out {
    struct arena arena;
    struct s3_bucket_entry *buckets;
    size_t n_buckets;
    const char *continuation_token; /* NULL = the last page */
};

struct s3_create_bucket_in {
    const char *bucket;
    const char *location; /* NULL: the client's region when it is not us-east-1 */
};
struct s3_bucket_in { /* DeleteBucket, HeadBucket, GetBucketLocation, GetBucketVersioning */
    const char *bucket;
};
struct s3_head_bucket_out {
    char region[64]; /* "" when not told */
    char server[64]; /* what the server calls itself, "" when not told */
    int64_t date_ns; /* the answer's Date, 0 when not told */
};
struct s3_get_bucket_location_out {
    char location[64]; /* "us-east-1" for an empty LocationConstraint */
};
enum s3_versioning { S3_VERSIONING_NEVER, S3_VERSIONING_ENABLED, S3_VERSIONING_SUSPENDED };
struct s3_get_bucket_versioning_out {
    enum s3_versioning status;
};
struct s3_put_bucket_versioning_in {
    const char *bucket;
    enum s3_versioning status; /* ENABLED or SUSPENDED */
};

/* ---- listings ---- */

struct s3_object_entry {
    const char *key;  /* decoded, NUL-terminated; a key with a NUL byte cannot exist in S3 */
    const char *etag; /* with quotes; "" when not told */
    const char *storage_class; /* NULL when not told */
    uint64_t size;
    int64_t last_modified_ns;
};
struct s3_list_objects_v2_in {
    const char *bucket;
    const char *prefix;
    const char *delimiter;
    const char *start_after;
    const char *continuation_token;
    uint32_t max_keys; /* 0 = the server's default, 1,000 */
    bool fetch_owner;
};
struct s3_list_objects_v2_out {
    struct arena arena;
    struct s3_object_entry *objects;
    size_t n_objects;
    const char **common_prefixes; /* with the delimiter at the end */
    size_t n_common_prefixes;
    uint64_t key_count;
    bool is_truncated;
    const char *next_continuation_token; /* never NULL when is_truncated: else the page is broken */
};

struct s3_version_entry {
    const char *key;
    const char *version_id;
    const char *etag; /* NULL for a delete marker */
    const char *storage_class;
    uint64_t size;
    int64_t last_modified_ns;
    bool is_latest;
    bool is_delete_marker;
};
struct s3_list_object_versions_in {
    const char *bucket;
    const char *prefix;
    const char *delimiter;
    const char *key_marker;
    const char *version_id_marker;
    uint32_t max_keys;
};
struct s3_list_object_versions_out {
    struct arena arena;
    struct s3_version_entry *versions; /* versions and delete markers in the answer's order */
    size_t n_versions;
    const char **common_prefixes;
    size_t n_common_prefixes;
    bool is_truncated;
    const char *next_key_marker;
    const char *next_version_id_marker;
};

/* ---- objects ---- */

struct s3_head_object_in {
    const char *bucket;
    const char *key;
    const char *version_id;
    struct s3_conditions conditions;
    uint32_t part_number;
    bool checksum_mode; /* ask for the stored checksums */
};
/* Also what GetObject tells in its headers. */
struct s3_head_object_out {
    struct arena arena;
    uint64_t content_length; /* of this answer's body (a range's length) */
    uint64_t object_size;    /* of the whole object: from Content-Range, else content_length */
    int64_t last_modified_ns;
    int64_t date_ns;  /* the answer's Date, 0 when not told */
    const char *etag; /* with quotes, "" when not told */
    const char *version_id;
    const char *content_type;
    const char *content_encoding;
    const char *content_disposition;
    const char *content_language;
    const char *cache_control;
    const char *storage_class;
    const char *restore;
    const char *checksum_type; /* "FULL_OBJECT", "COMPOSITE" or NULL */
    struct s3_checksum checksums[S3_CHECKSUM_MAX];
    size_t n_checksums;
    struct s3_metadata *metadata;
    size_t n_metadata;
    uint32_t parts_count;
    uint32_t tags_count;
    bool delete_marker;
};

struct s3_get_object_in {
    const char *bucket;
    const char *key;
    const char *version_id;
    struct s3_conditions conditions;
    bool has_range;
    uint64_t range_offset;
    uint64_t range_length; /* 0 = to the end; otherwise > 0 */
    bool fresh;            /* over a new connection: what came before was damaged */
    bool checksum_mode;
    /* Receives the bytes in order, each once, also across retries (the funnel goes on after what
     * was delivered, by a Range and If-Match). NULL is not allowed. */
    const struct http_sink *sink;
    /* Called with sink->ctx before the first byte, with what the headers said (borrowed); 0, or
     * -errno to end the call. NULL = not wanted. */
    int (*head)(void *ctx, const struct s3_head_object_out *head);
};

struct s3_put_object_in {
    const char *bucket;
    const char *key;
    const struct iovec *body; /* borrowed until completion; NULL = empty */
    int n_body;
    struct s3_object_attrs attrs;
    struct s3_conditions conditions;     /* If-Match, If-None-Match */
    enum s3_checksum_algo checksum_algo; /* computed by the funnel and sent */
};
struct s3_put_object_out {
    char etag[S3_ETAG_SIZE]; /* "" when not told (Ceph 16 after Complete) */
    char version_id[S3_VERSION_ID_SIZE];
    int64_t date_ns;    /* the answer's Date: an upper bound for LastModified; 0 when not told */
    char crc64nvme[32]; /* of Complete: what the server has computed; "" when not told */
};

enum s3_metadata_directive { S3_METADATA_COPY, S3_METADATA_REPLACE };
struct s3_copy_object_in {
    const char *bucket;
    const char *key;
    const char *source_bucket;
    const char *source_key;
    const char *source_version_id;
    struct s3_conditions source_conditions;
    struct s3_conditions conditions; /* on the destination */
    enum s3_metadata_directive metadata_directive;
    struct s3_object_attrs attrs; /* sent with REPLACE; storage_class always */
};
struct s3_copy_object_out {
    char etag[S3_ETAG_SIZE];
    char version_id[S3_VERSION_ID_SIZE];
    int64_t last_modified_ns;
};

struct s3_delete_object_in {
    const char *bucket;
    const char *key;
    const char *version_id;
    const char *if_match;
};
struct s3_delete_object_out {
    char version_id[S3_VERSION_ID_SIZE];
    bool delete_marker;
};

struct s3_delete_entry {
    const char *key;
    const char *version_id;
    const char *etag; /* condition per key where the endpoint has it */
};
struct s3_delete_objects_in {
    const char *bucket;
    const struct s3_delete_entry *entries;
    size_t n_entries; /* 1 to S3_DELETE_BATCH_MAX */
    bool quiet;       /* report failures only */
};
struct s3_delete_result {
    const char *key;
    const char *version_id;
    const char *marker_version_id; /* of the delete marker that was made; NULL = none was */
    const char *code;              /* NULL = deleted */
    const char *message;
};
struct s3_delete_objects_out {
    struct arena arena;
    struct s3_delete_result *results; /* with quiet: failures only */
    size_t n_results;
    size_t n_failed;
};

struct s3_object_part {
    uint32_t part_number;
    uint64_t size;
    struct s3_checksum checksum;
};
struct s3_get_object_attributes_in {
    const char *bucket;
    const char *key;
    const char *version_id;
    uint32_t max_parts;
    uint32_t part_number_marker;
};
struct s3_get_object_attributes_out {
    struct arena arena;
    const char *etag; /* without quotes, as this operation returns it */
    const char *storage_class;
    const char *checksum_type;
    struct s3_checksum checksum;
    uint64_t object_size;
    int64_t last_modified_ns;
    uint32_t total_parts;
    struct s3_object_part *parts;
    size_t n_parts;
    bool is_truncated;
    uint32_t next_part_number_marker;
};

/* ---- multipart uploads ---- */

struct s3_create_multipart_upload_in {
    const char *bucket;
    const char *key;
    struct s3_object_attrs attrs;
    enum s3_checksum_algo checksum_algo;
};
struct s3_create_multipart_upload_out {
    char upload_id[S3_UPLOAD_ID_SIZE];
};

struct s3_upload_part_in {
    const char *bucket;
    const char *key;
    const char *upload_id;
    uint32_t part_number; /* 1 to S3_PARTS_MAX */
    const struct iovec *body;
    int n_body;
    enum s3_checksum_algo checksum_algo;
    struct s3_checksum checksum; /* of the body, if it is of that algorithm; else it is computed */
    bool one_at_a_time;          /* not sent once more while the first is under way */
};
struct s3_upload_part_out {
    char etag[S3_ETAG_SIZE];
    struct s3_checksum checksum; /* what was sent and repeated by the server, for Complete */
    bool may_come; /* it was sent more than once: the same bytes may be stored again, later */
};

struct s3_upload_part_copy_in {
    const char *bucket;
    const char *key;
    const char *upload_id;
    uint32_t part_number;
    const char *source_bucket;
    const char *source_key;
    const char *source_version_id;
    struct s3_conditions source_conditions;
    bool has_range;
    uint64_t range_offset;
    uint64_t range_length; /* > 0 with has_range */
};

struct s3_completed_part {
    uint32_t part_number;
    const char *etag;
    struct s3_checksum checksum;
};
struct s3_complete_multipart_upload_in {
    const char *bucket;
    const char *key;
    const char *upload_id;
    const struct s3_completed_part *parts; /* ascending */
    size_t n_parts;
    struct s3_conditions conditions;
    struct s3_checksum checksum; /* of the whole object; algo NONE = not sent */
    uint64_t object_size;        /* that all parts make together; 0 = not sent */
};

struct s3_abort_multipart_upload_in {
    const char *bucket;
    const char *key;
    const char *upload_id;
};

struct s3_upload_entry {
    const char *key;
    const char *upload_id;
    const char *storage_class;
    int64_t initiated_ns;
};
struct s3_list_multipart_uploads_in {
    const char *bucket;
    const char *prefix;
    const char *delimiter;
    const char *key_marker;
    const char *upload_id_marker;
    uint32_t max_uploads;
};
struct s3_list_multipart_uploads_out {
    struct arena arena;
    struct s3_upload_entry *uploads;
    size_t n_uploads;
    const char **common_prefixes;
    size_t n_common_prefixes;
    bool is_truncated;
    const char *next_key_marker;
    const char *next_upload_id_marker;
};

struct s3_part_entry {
    uint32_t part_number;
    const char *etag;
    uint64_t size;
    int64_t last_modified_ns;
    struct s3_checksum checksum;
};
struct s3_list_parts_in {
    const char *bucket;
    const char *key;
    const char *upload_id;
    uint32_t part_number_marker;
    uint32_t max_parts;
};
struct s3_list_parts_out {
    struct arena arena;
    struct s3_part_entry *parts;
    size_t n_parts;
    bool is_truncated;
    uint32_t next_part_number_marker;
};

#endif
