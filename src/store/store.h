/* SPDX-License-Identifier: Apache-2.0 */
/* The port through which the filesystem sees objects: a flat map from key to immutable versions of
 * bytes. Implementations: S3 (store_s3.h), memory for tests (store_memory.h), and decorators that
 * inject faults or count (store_fault.h, store_count.h). Keys are relative to the mount's prefix.
 *
 * One function carries every operation, so that a decorator is one function too:
 *     store_submit(store, STORE_GET, &in, &out, done, ctx)
 * in, what it points to, and out are borrowed until done has run, exactly once, on any thread and
 * possibly before store_submit returns: hold no lock across a submit that done takes. done must
 * not block. The blocking forms below wait for it; they must not be used inside a done callback.
 *
 * Errors: 0 or -errno; the struct s3_error tells the kind. Outputs are filled on success only and
 *         released with store_<type>_done where there is one. */
#ifndef PAILFS_STORE_STORE_H
#define PAILFS_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/arena.h"
#include "base/error.h"

#define STORE_ETAG_SIZE      96u
#define STORE_UPLOAD_ID_SIZE 1024u
#define STORE_CHECKSUM_SIZE  80u

enum store_op {
    STORE_LIST,
    STORE_HEAD,
    STORE_GET,
    STORE_PUT,
    STORE_COPY,
    STORE_DELETE,
    STORE_DELETE_MANY,
    STORE_UPLOAD_CREATE,
    STORE_UPLOAD_PART,
    STORE_UPLOAD_PART_COPY,
    STORE_UPLOAD_COMPLETE,
    STORE_UPLOAD_ABORT,
    STORE_UPLOAD_LIST,
    STORE_UPLOAD_PARTS,
    STORE_FLUSH,
    STORE_OP_MAX,
};
const char *store_op_name(enum store_op op); /* "list", "get" ... */

struct store_metadata { /* user metadata; names lower case */
    const char *name;
    const char *value;
};

/* What a new object carries besides its bytes. NULL = not set. */
struct store_attrs {
    const char *content_type;
    const char *content_encoding;
    const char *content_disposition;
    const char *content_language;
    const char *cache_control;
    const char *storage_class; /* NULL = the mount's */
    const struct store_metadata *metadata;
    size_t n_metadata;
};

/* An object as HEAD and GET tell it. */
struct store_object {
    struct arena arena;         /* holds the strings */
    uint64_t size;              /* of the whole object */
    uint64_t length;            /* of what was asked for of it; 0 = not told */
    int64_t mtime_ns;           /* LastModified */
    char etag[STORE_ETAG_SIZE]; /* with quotes */
    int64_t date_ns;            /* the server's clock when it answered; 0 = not told */
    bool remembered;            /* nobody was asked: as old as store_head_in.known */
    bool pending;               /* nobody was asked: the store does not have it yet; no facts */
    struct store_attrs attrs;
    /* Asked for by store_head_in.facts: version-id, checksum-type, checksum-crc32c ..., restore. */
    const struct store_metadata *facts;
    size_t n_facts;
};
void store_object_done(struct store_object *o);
/* A deep copy; 0 or -ENOMEM. */
int store_object_copy(const struct store_object *o, struct store_object *ret);
/* Copies the strings into a; 0 or -ENOMEM. */
int store_attrs_copy(const struct store_attrs *attrs, struct arena *a, struct store_attrs *ret);

struct store_entry { /* an object as a listing tells it */
    const char *key;
    uint64_t size;
    int64_t mtime_ns;
    const char *etag;
    const char *storage_class; /* NULL = not told */
};
struct store_list_in {
    const char *prefix;      /* "" = all */
    bool delimited;          /* '/' rolls keys up into prefixes */
    const char *start_after; /* NULL = from the start */
    const char *token;       /* of the page before; NULL = first page */
    uint32_t max_keys;       /* 0 = 1,000 */
};
struct store_page {
    struct arena arena;
    struct store_entry *entries; /* in byte order of key (directory buckets: unordered) */
    size_t n_entries;
    const char **prefixes; /* with the '/' at the end, in byte order */
    size_t n_prefixes;
    const char *next_token; /* NULL = the last page */
};
void store_page_done(struct store_page *p);

/* A version as a listing told it. */
struct store_known {
    const char *etag;
    int64_t mtime_ns;
    uint64_t size;
};
struct store_head_in {
    const char *key;
    bool facts;
    uint32_t part; /* of a multipart upload, from 1: its length and checksum; 0 = the object */
    /* What was remembered of exactly that version will do (meta/store_remember.h), but for its
     * storage class, which changes by itself. NULL = the store is asked. */
    const struct store_known *known;
};

struct store_sink {
    /* Once, before the first write, also for an empty body; 0 or -errno to refuse. o is borrowed.
     * May be NULL. */
    int (*begin)(void *ctx, const struct store_object *o);
    int (*write)(void *ctx, const void *data, size_t len);
    void *ctx;
    /* Asked now and then while no byte comes: true ends the request with S3_ERROR_CANCELLED. May be
     * NULL, and is not asked by every store. */
    bool (*unwanted)(void *ctx);
};
struct store_get_in { /* out: struct store_object */
    const char *key;
    uint64_t offset;
    uint64_t length;               /* 0 = the whole object, no range (offset must be 0) */
    const char *if_match;          /* ETag; S3_ERROR_PRECONDITION when another version is there */
    bool fresh;                    /* over a new connection: what came before was damaged */
    const struct store_sink *sink; /* bytes in order, each once */
};

struct store_put_in { /* out: struct store_version */
    const char *key;
    const struct iovec *body;
    int n_body;
    struct store_attrs attrs;
    const char *if_match; /* replace this version only */
    bool if_absent;       /* create only */
    /* The answer must be the store's own: a write-back layer (writeback/) does not acknowledge it
     * before. For what is exclusive between hosts, as lock files and RENAME_NOREPLACE are. */
    bool through;
};
struct store_version {
    char etag[STORE_ETAG_SIZE]; /* "" when a server (Ceph 16 on COMPLETE) does not tell it */
    int64_t mtime_ns; /* the server's time of the change, or the local one when it is not told */
};

struct store_copy_in { /* out: struct store_version */
    const char *source_key;
    const char *source_if_match; /* NULL = any version */
    const char *key;
    const char *if_match;
    bool if_absent;
    bool through;       /* as in store_put_in */
    bool replace_attrs; /* false: the source's attributes are kept */
    uint64_t size_hint; /* what the source's size is thought to be; 0 = no idea */
    struct store_attrs attrs;
};

struct store_delete_in { /* out: NULL */
    const char *key;
    const char *if_match; /* NULL = whatever is there; deleting an absent key succeeds */
    /* Not before all that was acknowledged until now is stored: the release of a lock. For a
     * write-back layer. */
    bool after_all;
};
struct store_delete_many_in { /* out: struct store_delete_many_out */
    const char *const *keys;
    size_t n_keys; /* at most 1,000 */
    /* Of each key, the version that alone is to go: another one is a failure of that key,
     * S3_ERROR_PRECONDITION, as may be one that is gone. Only where the store has such conditions:
     * elsewhere whatever is there goes. NULL, or NULL for a key: whatever is there. */
    const char *const *etags;
};
struct store_delete_failure {
    const char *key;
    enum s3_error_kind kind;
    const char *message;
};
struct store_delete_many_out {
    struct arena arena;
    struct store_delete_failure *failures;
    size_t n_failures;
};
void store_delete_many_out_done(struct store_delete_many_out *o);

struct store_upload_create_in { /* out: struct store_upload */
    const char *key;
    struct store_attrs attrs;
};
struct store_upload {
    char id[STORE_UPLOAD_ID_SIZE];
};
struct store_part {  /* out of PART and PART_COPY, in of COMPLETE */
    uint32_t number; /* 1 to 10,000 */
    char etag[STORE_ETAG_SIZE];
    char checksum[STORE_CHECKSUM_SIZE]; /* the store's own text, given back on complete */
    uint64_t size;
    bool
        late; /* of PART: it was sent more than once, and may be stored again, after an abort too */
};
struct store_upload_part_in {
    const char *key;
    const char *upload_id;
    uint32_t number;
    const struct iovec *body;
    int n_body;
    bool has_crc64; /* else the store computes it, if it sends one */
    uint64_t crc64; /* CRC-64/NVME of the body */
};
struct store_upload_part_copy_in {
    const char *key;
    const char *upload_id;
    uint32_t number;
    const char *source_key;
    const char *source_if_match;
    uint64_t offset;
    uint64_t length; /* > 0 */
};
/* out: struct store_version; also of an object that was made and is not what was sent: -EIO with
 * the code "BadDigest". Of one that was not made the out is left alone. */
struct store_upload_complete_in {
    const char *key;
    const char *upload_id;
    const struct store_part *parts; /* ascending */
    size_t n_parts;
    const char *if_match;
    bool if_absent;
};
struct store_upload_abort_in { /* out: NULL */
    const char *key;
    const char *upload_id;
};
struct store_upload_entry {
    const char *key;
    const char *upload_id;
    int64_t initiated_ns;
};
struct store_upload_list_in { /* one page */
    const char *prefix;
    const char *token; /* opaque */
};
struct store_upload_page {
    struct arena arena;
    struct store_upload_entry *uploads;
    size_t n_uploads;
    const char *next_token;
};
void store_upload_page_done(struct store_upload_page *p);
struct store_upload_parts_in { /* all parts; out: struct store_parts */
    const char *key;
    const char *upload_id;
};
struct store_parts {
    struct arena arena;
    struct store_part *parts;
    size_t n_parts;
};
void store_parts_done(struct store_parts *p);

/* Not a request: 0 when all that was acknowledged before is in the store. A store that acknowledges
 * nothing before it has it answers 0 at once. An error says that a try since then has failed; the
 * work is kept and goes on. */
struct store_flush_in { /* out: NULL */
    const char *key;    /* NULL = of all keys */
};

typedef void (*store_done_fn)(void *ctx, int result, const struct s3_error *err);

struct store;
struct store_ops {
    int (*submit)(struct store *s, enum store_op op, const void *in, void *out, store_done_fn done,
                  void *ctx);
    void (*free)(struct store *s);
};
struct store { /* embedded first in an implementation */
    const struct store_ops *ops;
};

/* 0, or -ENOMEM / -ESHUTDOWN and then done does not run. */
int store_submit(struct store *s, enum store_op op, const void *in, void *out, store_done_fn done,
                 void *ctx);
/* Submit and wait. */
int store_call(struct store *s, enum store_op op, const void *in, void *out,
               struct s3_error *reterr);
/* A decorator frees what it wraps. NULL ok. */
void store_free(struct store *s);

/* For decorators: the key (or prefix) that an input is about, never NULL, and the release of an
 * output whatever its type. */
const char *store_in_key(enum store_op op, const void *in);
void store_out_done(enum store_op op, void *out);

static inline int store_list(struct store *s, const struct store_list_in *in,
                             struct store_page *out, struct s3_error *reterr)
{
    return store_call(s, STORE_LIST, in, out, reterr);
}
static inline int store_head(struct store *s, const char *key, struct store_object *out,
                             struct s3_error *reterr)
{
    struct store_head_in in = {.key = key};
    return store_call(s, STORE_HEAD, &in, out, reterr);
}
static inline int store_get(struct store *s, const struct store_get_in *in,
                            struct store_object *out, struct s3_error *reterr)
{
    return store_call(s, STORE_GET, in, out, reterr);
}
static inline int store_put(struct store *s, const struct store_put_in *in,
                            struct store_version *out, struct s3_error *reterr)
{
    return store_call(s, STORE_PUT, in, out, reterr);
}
static inline int store_copy(struct store *s, const struct store_copy_in *in,
                             struct store_version *out, struct s3_error *reterr)
{
    return store_call(s, STORE_COPY, in, out, reterr);
}
static inline int store_flush(struct store *s, const char *key, struct s3_error *reterr)
{
    struct store_flush_in in = {.key = key};
    return store_call(s, STORE_FLUSH, &in, NULL, reterr);
}
static inline int store_delete(struct store *s, const char *key, const char *if_match,
                               struct s3_error *reterr)
{
    struct store_delete_in in = {.key = key, .if_match = if_match};
    return store_call(s, STORE_DELETE, &in, NULL, reterr);
}

#endif
