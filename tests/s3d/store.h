/* SPDX-License-Identifier: Apache-2.0 */
/* What s3d keeps: buckets, keys with their versions, unfinished uploads, and the bytes.
 *
 * Bytes live in blobs: files that are written once, never changed, named by a number. A version
 * is a list of segments of blobs, so completing an upload or copying an object moves no data; a
 * blob's file goes away with its last reference. Everything else lives in memory and in a journal
 * (journal.h) that is replayed at start.
 *
 * Locks: store.lock protects the set of buckets, bucket.lock what is inside one; take store.lock
 * first, and two bucket locks in the order of their addresses. A request holds bucket.lock for
 * writing from its condition check to the publication of the new version: that is what makes
 * conditional requests atomic. Versions and parts do not change once published and are
 * reference-counted, so readers drop the lock before they send bytes.
 * Bucket structs stay allocated after DeleteBucket (deleted is set): users check the flag. */
#ifndef S3D_STORE_H
#define S3D_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "checksum.h"
#include "skiplist.h"

#define STORE_KEY_MAX        1024
#define STORE_VERSION_ID_MAX 40
#define STORE_UPLOAD_ID_MAX  48
#define STORE_PARTS_MAX      10000

struct journal;
struct strbuf;

struct blob {
    _Atomic unsigned refs;
    uint64_t id;
    struct known_crc *known; /* blob.c */
};

struct segment {
    struct blob *blob;
    uint64_t offset;
    uint64_t len;
};

struct field {
    char *name; /* as sent back: "Content-Type", "x-amz-meta-a" */
    char *value;
};

/* Headers that come back with the object: Content-Type and its like, user metadata. */
struct fields {
    struct field *list;
    unsigned count;
};

/* A part of an unfinished upload; of a finished one, what GetObjectAttributes tells. */
struct part {
    _Atomic unsigned refs;
    unsigned number;
    uint64_t size;
    int64_t mtime_ns;
    char etag[48]; /* without quotes */
    struct checksum checksum;
    struct segment *segments;
    unsigned n_segments;
};

struct part_size {
    uint64_t size;
    struct checksum checksum;
    uint32_t number;
};

struct version {
    _Atomic unsigned refs;
    char id[STORE_VERSION_ID_MAX]; /* "null" for those made without versioning */
    bool delete_marker;
    uint64_t size;
    int64_t mtime_ns; /* whole seconds, as S3 keeps them */
    char etag[48];    /* without quotes */
    char storage_class[24];
    struct checksum checksum;
    struct fields fields;
    struct segment *segments;
    unsigned n_segments;
    struct part_size *parts; /* of a multipart object, else NULL */
    unsigned n_parts;
};

/* A key's versions, oldest first: the last one is the current one. */
struct entry {
    struct version **versions;
    unsigned count;
    unsigned alloc;
};

struct upload {
    char id[STORE_UPLOAD_ID_MAX];
    uint64_t seq; /* order of initiation */
    int64_t initiated_ns;
    uint8_t algo;      /* enum checksum_algo */
    uint8_t type;      /* enum checksum_type */
    bool algo_implied; /* the client named none */
    char storage_class[24];
    struct fields fields;
    struct part **parts; /* by number - 1 */
    unsigned alloc;
    unsigned n_parts;
};

/* Remembered so that a repeated CompleteMultipartUpload gets the same answer. */
struct completed {
    char upload_id[STORE_UPLOAD_ID_MAX];
    char version_id[STORE_VERSION_ID_MAX];
    char etag[48];
    struct checksum checksum;
    char *key;
    size_t key_len;
    struct completed *next;
};

enum versioning {
    VERSIONING_OFF,
    VERSIONING_ENABLED,
    VERSIONING_SUSPENDED,
};

struct bucket {
    char name[64];
    char region[32];
    int64_t created_ns;
    pthread_rwlock_t lock;
    _Atomic enum versioning versioning; /* changed under lock */
    /* all below: protected by lock */
    bool deleted;
    struct skiplist keys;    /* key -> struct entry */
    struct skiplist uploads; /* (key, upload.seq) -> struct upload */
    struct completed *completed;
    unsigned n_completed;
};

struct store {
    int dir_fd;
    int data_fd;
    struct journal *journal;
    _Atomic uint64_t next_blob;
    _Atomic uint64_t next_upload;
    pthread_rwlock_t lock;
    struct skiplist buckets; /* name -> struct bucket; protected by lock */
};

/* Opens or creates the directory and replays the journal; files that nothing refers to are
 * removed. One process at a time (-EBUSY). */
int store_open(struct store *st, const char *dir);
void store_close(struct store *st);

/* Borrowed for good (see above); NULL when there is none. */
struct bucket *store_find_bucket(struct store *st, const char *name);
/* 0 or -EEXIST, -ENOMEM, -EIO. */
int store_create_bucket(struct store *st, const char *name, const char *region, int64_t now_ns);
/* 0 or -ENOENT, -ENOTEMPTY, -EIO. */
int store_delete_bucket(struct store *st, const char *name);
struct bucket *bucket_new(const char *name, const char *region, int64_t now_ns);

/* The functions below need bucket.lock: for reading with find, for writing with the others. */

struct entry *bucket_find_entry(const struct bucket *b, const char *key, size_t len);
/* The current version, also when it is a delete marker; NULL when the key has none. Borrowed. */
struct version *entry_latest(const struct entry *e);
struct version *entry_find_version(const struct entry *e, const char *version_id);
/* Adds v (its reference is taken over on success) as the current version and writes the journal;
 * a version with the same id (always "null") is replaced. *ret_old, when not NULL: the replaced
 * version, to be unreferenced by the caller after unlocking. */
int bucket_publish(struct store *st, struct bucket *b, const char *key, size_t len,
                   struct version *v, struct version **ret_old);
/* Removes one version for good; *ret_old as above. */
int bucket_remove_version(struct store *st, struct bucket *b, const char *key, size_t len,
                          struct version *v, struct version **ret_old);
int bucket_set_versioning(struct store *st, struct bucket *b, enum versioning v);

struct upload *bucket_find_upload(struct bucket *b, const char *key, size_t len, const char *id);
int bucket_add_upload(struct store *st, struct bucket *b, const char *key, size_t len,
                      struct upload *u);
/* Takes p's reference over on success. */
int bucket_add_part(struct store *st, struct bucket *b, const char *key, size_t len,
                    struct upload *u, struct part *p, struct part **ret_old);
/* Forgets the upload; *ret_old is to be freed by upload_free after unlocking. */
int bucket_end_upload(struct store *st, struct bucket *b, const char *key, size_t len,
                      struct upload *u, struct upload **ret_old);

/* The same without the journal, for its replay. */
int bucket_publish_quiet(struct bucket *b, const char *key, size_t len, struct version *v,
                         struct version **ret_old);
void bucket_remove_quiet(struct bucket *b, const char *key, size_t len, struct version *v);
int bucket_add_upload_quiet(struct bucket *b, const char *key, size_t len, struct upload *u);
int upload_add_part_quiet(struct upload *u, struct part *p, struct part **ret_old);

struct version *version_new(void);
struct version *version_ref(struct version *v);
/* A private copy that may be changed until it is published; shares the blobs. NULL: no memory. */
struct version *version_clone(const struct version *v);
/* Removes the blobs that nothing else refers to. NULL is fine. */
void version_unref(struct store *st, struct version *v);
void version_make_id(char out[STORE_VERSION_ID_MAX], int64_t now_ns);

struct part *part_new(void);
void part_unref(struct store *st, struct part *p);

void upload_free(struct store *st, struct upload *u);

int fields_add(struct fields *f, const char *name, const char *value);
const char *fields_find(const struct fields *f, const char *name);
int fields_copy(struct fields *to, const struct fields *from);
void fields_done(struct fields *f);

/* A new blob, open for writing. Its file is removed again with the last reference. */
int blob_create(struct store *st, struct blob **ret, int *ret_fd);
int blob_open(struct store *st, const struct blob *b);
struct blob *blob_ref(struct blob *b);
void blob_unref(struct store *st, struct blob *b);

/* Appends the bytes [offset, offset + len) of a segment list to another; references are taken. */
int segments_slice(const struct segment *from, unsigned n_from, uint64_t offset, uint64_t len,
                   struct segment **to, unsigned *n_to);
/* Reads the segments through; md5 (16 bytes) and sum may be NULL. Without md5 a CRC is put together
 * from those of the segments, which are remembered: the next copy of them reads nothing. */
int segments_digest(struct store *st, const struct segment *list, unsigned n, uint8_t *md5,
                    struct checksum *sum, enum checksum_algo algo);
void segments_free(struct store *st, struct segment *list, unsigned n);

#endif
