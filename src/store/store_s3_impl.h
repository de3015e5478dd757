/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the S3 store share: one struct per request, filled by a prepare function,
 * turned back by a finish function. Private. */
#ifndef PAILFS_STORE_STORE_S3_IMPL_H
#define PAILFS_STORE_STORE_S3_IMPL_H

#include <stdatomic.h>

#include "store/store_s3.h"

struct store_s3 {
    struct store store; /* first */
    struct s3_client *client;
    char *bucket;
    char *prefix;
    size_t prefix_len;
    char *storage_class;
    enum s3_checksum_algo checksum, part_checksum;
    bool whole_checksum;
    bool check_whole;
    struct clock *clock;
    atomic_uchar caps[STORE_CAP_MAX]; /* enum store_cap_state */
    atomic_bool bare_etags;           /* the server takes If-Match on PUT without quotes only */
    atomic_bool etag_form_known;      /* which of both it takes: a 412 needs no second look */
    atomic_bool unknown_told;
    void (*unknown)(void *ctx);
    void *unknown_ctx;
};

/* A HEAD that is sent in place of the request, see store_s3_guard.c. */
enum store_s3_look {
    STORE_S3_LOOK_NONE,
    STORE_S3_LOOK_SOURCE_FIRST,
    STORE_S3_LOOK_FIRST,
    STORE_S3_LOOK_AFTER,
    STORE_S3_LOOK_SOURCE_AFTER,
    STORE_S3_LOOK_UPLOAD,  /* ListParts, not HEAD */
    STORE_S3_LOOK_CONTENT, /* GET, store_s3_rewrite.c */
};

/* A request under way. Everything it needs lives in its arena until it is done. */
struct store_s3_request {
    struct store_s3 *s;
    enum store_op op;
    const void *in; /* of the port; borrowed */
    void *out;
    store_done_fn done;
    void *ctx;
    struct arena arena;
    struct http_sink sink; /* STORE_GET */
    bool begun;            /* STORE_GET: the caller's begin has run */
    /* store_s3_guard.c */
    enum store_s3_look look;          /* under way in place of the request */
    struct s3_error refusal;          /* of the request, while looking afterwards */
    bool bare_etag;                   /* STORE_PUT: this try sends If-Match without quotes */
    bool both_forms;                  /* the other form was tried before */
    struct store_s3_content *content; /* store_s3_rewrite.c; NULL = none */
    struct s3_error err;              /* STORE_UPLOAD_PARTS goes on over several pages */
    union {
        struct s3_list_objects_v2_in list;
        struct s3_head_object_in head;
        struct s3_get_object_in get;
        struct s3_put_object_in put;
        struct s3_copy_object_in copy;
        struct s3_delete_object_in remove;
        struct s3_delete_objects_in remove_many;
        struct s3_create_multipart_upload_in create;
        struct s3_upload_part_in part;
        struct s3_upload_part_copy_in part_copy;
        struct s3_complete_multipart_upload_in complete;
        struct s3_abort_multipart_upload_in abort;
        struct s3_list_multipart_uploads_in uploads;
        struct s3_list_parts_in parts;
    } s3_in;
    union {
        struct s3_list_objects_v2_out list;
        struct s3_head_object_out head;
        struct s3_put_object_out put;
        struct s3_copy_object_out copy;
        struct s3_delete_object_out remove;
        struct s3_delete_objects_out remove_many;
        struct s3_create_multipart_upload_out create;
        struct s3_upload_part_out part;
        struct s3_list_multipart_uploads_out uploads;
        struct s3_list_parts_out parts;
    } s3_out;
};

/* One row per operation of the port. */
struct store_s3_row {
    enum s3_op op;
    bool has_out;
    /* Port's input to S3's; 0 or -ENOMEM / -EINVAL. */
    int (*prepare)(struct store_s3_request *r);
    /* S3's output to the port's; frees S3's. result is S3's; returns the final one. NULL = as is.
     */
    int (*finish)(struct store_s3_request *r, int result);
};
extern const struct store_s3_row store_s3_rows[STORE_OP_MAX];

/* The whole key in the request's arena; NULL when memory is out. */
const char *store_s3_key(struct store_s3_request *r, const char *key);
/* The part behind the mount's prefix. */
const char *store_s3_relative(const struct store_s3 *s, const char *key);
/* S3's attributes from the port's. */
int store_s3_attrs(struct store_s3_request *r, const struct store_attrs *in,
                   struct s3_object_attrs *ret);
/* Sends the request anew with its changed s3_in (next page); r is gone on failure. */
void store_s3_send(struct store_s3_request *r);

/* store_s3_guard.c: all return -EINPROGRESS when something is to be sent (r->look says what), else
 * the result, with r->err. */
int store_s3_guard_begin(struct store_s3_request *r);           /* 0 = send the request as it is */
int store_s3_guard_end(struct store_s3_request *r, int result); /* the request has failed */
int store_s3_guard_looked(struct store_s3_request *r, int result); /* the HEAD has ended */
/* store_s3_rewrite.c: a copy of an object onto itself as GET and PUT. */
bool store_s3_can_rewrite(const struct store_s3_request *r);
int store_s3_rewrite_begin(struct store_s3_request *r); /* -EINPROGRESS: the GET is to be sent */
/* The GET has ended. 0 = *ret_etag is what is there, and r is now what is to be sent if that is the
 * version demanded: a PUT, or still the copy where it is not for a PUT. Else the result, with
 * r->err. *ret_etag is valid as long as r. */
int store_s3_rewrite_got(struct store_s3_request *r, int result, const char **ret_etag);
void store_s3_rewrite_done(struct store_s3_request *r); /* with the request */
/* store_s3_object.c */
int store_s3_prepare_head(struct store_s3_request *r);
int store_s3_finish_head(struct store_s3_request *r, int result);
int store_s3_prepare_get(struct store_s3_request *r);
int store_s3_finish_get(struct store_s3_request *r, int result);
int store_s3_prepare_copy(struct store_s3_request *r);
int store_s3_finish_copy(struct store_s3_request *r, int result);
int store_s3_prepare_delete(struct store_s3_request *r);
int store_s3_finish_delete(struct store_s3_request *r, int result);
int store_s3_prepare_delete_many(struct store_s3_request *r);
int store_s3_finish_delete_many(struct store_s3_request *r, int result);
/* store_s3_put.c */
int store_s3_prepare_put(struct store_s3_request *r);
int store_s3_finish_put(struct store_s3_request *r, int result);
/* From S3's output of a PUT or a completion. */
int store_s3_finish_version(struct store_s3_request *r, int result);
/* store_s3_upload.c */
int store_s3_prepare_create(struct store_s3_request *r);
int store_s3_finish_create(struct store_s3_request *r, int result);
int store_s3_prepare_part(struct store_s3_request *r);
int store_s3_finish_part(struct store_s3_request *r, int result);
int store_s3_prepare_part_copy(struct store_s3_request *r);
int store_s3_finish_part_copy(struct store_s3_request *r, int result);
int store_s3_prepare_complete(struct store_s3_request *r);
int store_s3_finish_complete(struct store_s3_request *r, int result);
int store_s3_prepare_abort(struct store_s3_request *r);
int store_s3_finish_abort(struct store_s3_request *r, int result);
int store_s3_prepare_uploads(struct store_s3_request *r);
int store_s3_finish_uploads(struct store_s3_request *r, int result);
int store_s3_prepare_parts(struct store_s3_request *r);
int store_s3_finish_parts(struct store_s3_request *r, int result);

#endif
