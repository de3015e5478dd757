/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of store_memory: the tables, shared by objects and listings (store_memory.c) and uploads
 * (store_memory_upload.c). Functions named _locked are called with m->lock held. */
#ifndef PAILFS_STORE_STORE_MEMORY_IMPL_H
#define PAILFS_STORE_STORE_MEMORY_IMPL_H

#include <pthread.h>

#include "base/clock.h"
#include "base/limits.h"
#include "base/pool.h"
#include "store/blob.h"
#include "store/store_memory.h"

struct memory_object {
    char *key;
    struct blob *blob;
    struct store_object head; /* size, time, ETag, attributes; owns its arena */
};

struct memory_part {
    uint32_t number;
    char etag[STORE_ETAG_SIZE];
    struct blob *blob;
};

struct memory_upload {
    char *key;
    char id[32];              /* grows with the number of the upload, so it orders by age */
    struct store_object head; /* attributes; owns its arena */
    int64_t initiated_ns;
    struct memory_part *parts; /* ascending by number */
    size_t n_parts, alloc_parts;
    struct memory_upload *next; /* newest last */
};

struct store_memory {
    struct store store;      /* first */
    struct threadpool *pool; /* NULL = complete inside submit */
    struct clock *clock;
    size_t get_piece;
    uint64_t part_size_min;
    uint32_t page_size;

    pthread_mutex_t lock;
    struct memory_object **objects; /* protected by lock; ascending by key's bytes */
    size_t n_objects, alloc_objects;
    struct memory_upload *uploads; /* protected by lock */
    uint64_t next_upload;          /* protected by lock */
    uint64_t next_etag;            /* protected by lock; for objects without an MD5 */
};

int memory_fail(struct s3_error *err, enum s3_error_kind kind, int status, const char *code,
                const char *fmt, ...) ATTR_PRINTF(5, 6);
/* Index of the first object whose key is >= key. */
size_t memory_lower_bound_locked(const struct store_memory *m, const char *key);
struct memory_object *memory_find_locked(const struct store_memory *m, const char *key);
/* If-Match / If-None-Match: * on a write to key. */
int memory_check_locked(const struct store_memory *m, const char *key, const char *if_match,
                        bool if_absent, struct s3_error *err);
/* Stores bytes under key; takes the reference to blob and the arena of head, also on failure. */
int memory_store_locked(struct store_memory *m, const char *key, struct blob *blob,
                        struct store_object *head, struct store_version *ret, struct s3_error *err);
int64_t memory_now(const struct store_memory *m);
/* "\"<hex>\"" or "\"<hex>-<parts>\"" when parts > 0. */
void memory_etag(const uint8_t md5[16], size_t parts, char etag[STORE_ETAG_SIZE]);
/* Of what is copied; fresh: a number that no other has, for what takes too long to hash. 0 or
 * -ENOMEM. */
int memory_blob_etag(const struct blob *blob, uint64_t fresh, char etag[STORE_ETAG_SIZE]);
int memory_check_key(const char *key, struct s3_error *err);

int memory_upload_create(struct store_memory *m, const struct store_upload_create_in *in,
                         struct store_upload *out, struct s3_error *err);
int memory_upload_part(struct store_memory *m, const struct store_upload_part_in *in,
                       struct store_part *out, struct s3_error *err);
int memory_upload_part_copy(struct store_memory *m, const struct store_upload_part_copy_in *in,
                            struct store_part *out, struct s3_error *err);
int memory_upload_complete(struct store_memory *m, const struct store_upload_complete_in *in,
                           struct store_version *out, struct s3_error *err);
int memory_upload_abort(struct store_memory *m, const struct store_upload_abort_in *in,
                        struct s3_error *err);
int memory_upload_list(struct store_memory *m, const struct store_upload_list_in *in,
                       struct store_upload_page *out, struct s3_error *err);
int memory_upload_parts(struct store_memory *m, const struct store_upload_parts_in *in,
                        struct store_parts *out, struct s3_error *err);
void memory_upload_free(struct memory_upload *u);

#endif
