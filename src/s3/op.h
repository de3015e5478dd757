/* SPDX-License-Identifier: Apache-2.0 */
/* Private to src/s3: the description of an operation, and what its build and parse functions work
 * with. One row per operation in ops_table.c; the functions live in op_<subject>.c.
 *
 * To add an operation: types in types.h, its enum s3_op, a build function, a schema or a parse
 * function, a row in the table, a wrapper in client.c. Nothing else knows the operations by name.
 */
#ifndef PAILFS_S3_OP_H
#define PAILFS_S3_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aws/retry.h"
#include "aws/sigv4.h"
#include "base/arena.h"
#include "base/strbuf.h"
#include "http/http.h"
#include "s3/client.h"
#include "s3/types.h"
#include "s3/xml.h"

enum s3_path { S3_PATH_SERVICE, S3_PATH_BUCKET, S3_PATH_KEY };

#define S3_OP_F_ARENA       1u   /* the output begins with a struct arena */
#define S3_OP_F_CONTENT_MD5 2u   /* refused by some servers without Content-MD5 */
#define S3_OP_F_PAYLOAD     4u   /* the body is the user's data: unsigned over TLS */
#define S3_OP_F_STREAM      8u   /* the answer's body goes to the caller's sink (GetObject) */
#define S3_OP_F_NO_BUCKET   16u  /* the bucket need not exist yet: no region to learn */
#define S3_OP_F_PRESIGN     32u  /* s3_presign_url takes it */
#define S3_OP_F_MAYBE_GET   64u  /* servers that lack the operation answer with the object itself */
#define S3_OP_F_REPEATABLE  256u /* two at the same time do what one does, see http/http_hedge.h */
#define S3_OP_F_UPLOAD      128u /* about an upload that exists: a 404 speaks of it, not of the key */

/* Operations that copy or put together data inside S3 may be silent for minutes. */
#define S3_SLOW_FIRST_BYTE_MS 600000u

#define S3_STATUSES_MAX 2

/* A request under construction; filled once per call, kept over retries. */
struct s3_build {
    struct arena *arena; /* borrowed; everything added is copied here or borrowed from `in` */
    const char *region;  /* of the client, for CreateBucket */
    bool custom_endpoint;
    struct sigv4_param params[16];
    size_t n_params;
    struct http_header *headers; /* in the arena */
    size_t n_headers;
    size_t headers_alloc;
    struct strbuf xml;        /* owned: a request body of our own */
    const struct iovec *body; /* borrowed: the user's data */
    int n_body;
    enum s3_checksum_algo checksum_algo; /* of the body, to be computed and sent */
    const struct s3_checksum *checksum;  /* borrowed: it is known already; or NULL */
    int error;                           /* first failure: -ENOMEM or -EINVAL, and why: */
    char problem[256];
};

/* An answer with a success status, for parse functions. */
struct s3_answer {
    const struct http_response *resp;
    struct arena *arena; /* of the output, or of the call where the output has none */
    const void *in;
    bool may_come;     /* another try was sent that the server may carry out yet */
    bool url_encoded;  /* the page's keys were percent-encoded (and are decoded now) */
    char problem[160]; /* set on -EBADMSG */
};

struct s3_op_def {
    const char *name;
    enum http_method method;
    enum s3_path path;
    struct sigv4_param query; /* fixed parameter; name NULL = none */
    enum aws_idempotency idempotency;
    int statuses[S3_STATUSES_MAX]; /* success; others are errors */
    unsigned flags;
    uint32_t min_first_byte_ms; /* deadlines for silence are never shorter */
    size_t bucket_offset;       /* of const char * in the input; by path */
    size_t key_offset;
    size_t out_size;
    /* Adds parameters, headers and body; reports through b->error. NULL = nothing to add. */
    void (*build)(struct s3_build *b, const void *in);
    /* Schema of the body; NULL = the body of the answer is not looked at. */
    const struct xml_element *xml;
    /* Takes the headers and checks what the schema cannot; runs after the XML. 0, -EBADMSG or
     * -ENOMEM. NULL = nothing. */
    int (*parse)(struct s3_answer *a, void *out);
    void (*out_done)(void *out); /* NULL = nothing owned */
};

/* Never NULL for a valid op. */
const struct s3_op_def *s3_op_find(enum s3_op op);

/* ---- build.c: for build functions. Failures are kept in b->error. ---- */

void s3_build_fail(struct s3_build *b, int error, const char *fmt, ...) ATTR_PRINTF(3, 4);
/* NULL or "" = not sent. Borrowed. */
void s3_build_param(struct s3_build *b, const char *name, const char *value);
void s3_build_param_u32(struct s3_build *b, const char *name, uint32_t value); /* 0 = not sent */
/* A required parameter: NULL or "" is an error. */
void s3_build_param_needed(struct s3_build *b, const char *name, const char *value);
/* NULL = not sent; "" is sent empty. Control characters are an error. Value is borrowed. */
void s3_build_header(struct s3_build *b, const char *name, const char *value);
void s3_build_headerf(struct s3_build *b, const char *name, const char *fmt, ...) ATTR_PRINTF(3, 4);
/* Replaces the header of that name, or removes it (value NULL). */
void s3_build_replace_header(struct s3_build *b, const char *name, const char *value);
void s3_build_conditions(struct s3_build *b, const struct s3_conditions *c);
/* x-amz-copy-source and its conditions. */
void s3_build_copy_source(struct s3_build *b, const char *bucket, const char *key,
                          const char *version_id, const struct s3_conditions *c);
/* "bytes=a-b"; length 0 = to the end. */
void s3_build_range(struct s3_build *b, const char *header, uint64_t offset, uint64_t length);
void s3_build_attrs(struct s3_build *b, const struct s3_object_attrs *a);
void s3_build_part(struct s3_build *b, uint32_t part_number, const char *upload_id);
/* <name>text</name> into the body; fails the build when XML cannot hold it. */
void s3_build_xml(struct s3_build *b, const char *name, const char *text);
void s3_build_xml_raw(struct s3_build *b, const char *markup);

/* ---- answer.c: for parse functions. 0, -EBADMSG (problem set) or -ENOMEM. ---- */

int s3_answer_fail(struct s3_answer *a, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* Copies the header's value into the arena; *ret stays as it is when there is none. */
int s3_answer_text(struct s3_answer *a, const char *header, const char **ret);
/* The same into an array. */
int s3_answer_chars(struct s3_answer *a, const char *header, char *buf, size_t size);
int s3_answer_etag(struct s3_answer *a, char *buf, size_t size); /* with quotes */
/* A body was sent, and the ETag is that of none. */
int s3_answer_not_empty(struct s3_answer *a, const char *etag, const struct iovec *body,
                        int n_body);
int s3_answer_u32(struct s3_answer *a, const char *header, uint32_t *ret);
int s3_answer_time(struct s3_answer *a, const char *header, int64_t *ret_ns);
int s3_answer_bool(struct s3_answer *a, const char *header, bool *ret);
/* "bytes 0-9/100"; *ret_total is UINT64_MAX for "*". -ENOENT when there is no such header. */
int s3_answer_content_range(struct s3_answer *a, uint64_t *ret_first, uint64_t *ret_last,
                            uint64_t *ret_total);
/* Everything of a HeadObject or GetObject answer. */
int s3_answer_object(struct s3_answer *a, struct s3_head_object_out *out);

/* ---- op_<subject>.c ---- */

void s3_build_create_bucket(struct s3_build *b, const void *in);
void s3_build_put_bucket_versioning(struct s3_build *b, const void *in);
int s3_parse_head_bucket(struct s3_answer *a, void *out);
int s3_parse_get_bucket_location(struct s3_answer *a, void *out);
extern const struct xml_element s3_xml_bucket_location;
extern const struct xml_element s3_xml_bucket_versioning;

void s3_build_list_buckets(struct s3_build *b, const void *in);
void s3_build_list_objects_v2(struct s3_build *b, const void *in);
void s3_build_list_object_versions(struct s3_build *b, const void *in);
void s3_build_list_multipart_uploads(struct s3_build *b, const void *in);
void s3_build_list_parts(struct s3_build *b, const void *in);
int s3_parse_list_objects_v2(struct s3_answer *a, void *out);
int s3_parse_list_object_versions(struct s3_answer *a, void *out);
int s3_parse_list_multipart_uploads(struct s3_answer *a, void *out);
int s3_parse_list_parts(struct s3_answer *a, void *out);
int s3_parse_list_buckets(struct s3_answer *a, void *out);
extern const struct xml_element s3_xml_list_buckets;
extern const struct xml_element s3_xml_list_objects_v2;
extern const struct xml_element s3_xml_list_object_versions;
extern const struct xml_element s3_xml_list_multipart_uploads;
extern const struct xml_element s3_xml_list_parts;

void s3_build_head_object(struct s3_build *b, const void *in);
void s3_build_get_object(struct s3_build *b, const void *in);
void s3_build_put_object(struct s3_build *b, const void *in);
void s3_build_copy_object(struct s3_build *b, const void *in);
void s3_build_get_object_attributes(struct s3_build *b, const void *in);
int s3_parse_head_object(struct s3_answer *a, void *out);
int s3_parse_put_object(struct s3_answer *a, void *out);
int s3_parse_copy_object(struct s3_answer *a, void *out);
int s3_parse_get_object_attributes(struct s3_answer *a, void *out);
extern const struct xml_element s3_xml_copy_object;
extern const struct xml_element s3_xml_get_object_attributes;

void s3_build_delete_object(struct s3_build *b, const void *in);
void s3_build_delete_objects(struct s3_build *b, const void *in);
int s3_parse_delete_object(struct s3_answer *a, void *out);
int s3_parse_delete_objects(struct s3_answer *a, void *out);
extern const struct xml_element s3_xml_delete_objects;

void s3_build_create_multipart_upload(struct s3_build *b, const void *in);
void s3_build_upload_part(struct s3_build *b, const void *in);
void s3_build_upload_part_copy(struct s3_build *b, const void *in);
void s3_build_complete_multipart_upload(struct s3_build *b, const void *in);
void s3_build_abort_multipart_upload(struct s3_build *b, const void *in);
int s3_parse_create_multipart_upload(struct s3_answer *a, void *out);
int s3_parse_upload_part(struct s3_answer *a, void *out);
int s3_parse_complete_multipart_upload(struct s3_answer *a, void *out);
extern const struct xml_element s3_xml_create_multipart_upload;
extern const struct xml_element s3_xml_upload_part_copy;
extern const struct xml_element s3_xml_complete_multipart_upload;

#endif
