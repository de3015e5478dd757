/* SPDX-License-Identifier: Apache-2.0 */
/* What vfs_move.c, vfs_move_delete.c and vfs_move_resume.c share. */
#ifndef PAILFS_VFS_VFS_MOVE_IMPL_H
#define PAILFS_VFS_VFS_MOVE_IMPL_H

#include "store/store_limits.h"
#include "vfs/vfs_move.h"

/* All keys that begin with the prefix, page by page. */
struct move_cursor {
    const char *prefix;
    char *token; /* owned */
    bool end;
    unsigned pages;
};
/* 1 with a page, 0 at the end. */
int move_next_page(struct vfs *v, struct move_cursor *c, struct store_page *ret,
                   struct s3_error *err);
/* The key below the other prefix. Owned by the caller; NULL without memory. */
char *move_key(const char *key, const char *from, const char *to);

/* A set of hashes. */
struct move_set {
    uint64_t *slots; /* 0 = empty */
    size_t size;     /* a power of two */
    size_t n;
};
/* Of a key's version on one side ('s' source, 't' target), or, with etag "", of the key alone. */
uint64_t move_hash(char side, const char *key, const char *etag);
int move_set_add(struct move_set *s, uint64_t hash);
bool move_set_has(const struct move_set *s, uint64_t hash);

/* ---- vfs_move_attrs.c ---- */

/* What the copy of an entry carries, when it is not just what the source does. */
struct move_attrs {
    bool marker;      /* of a directory */
    bool ask;         /* a HEAD of the source tells */
    int64_t mtime_ns; /* what the copy says; with has_mtime */
    bool has_mtime;
    const struct store_attrs *attrs; /* NULL = as the source */
    /* its own */
    struct arena arena;
    struct store_attrs store;
    struct store_head_in head;
    struct store_object object;
    int result;
    struct s3_error error;
};

/* Directories below which a copy has another time than its LastModified. */
struct move_marks {
    enum known keeps;    /* whether times are kept at all */
    struct move_set set; /* their keys */
    char **dirs;         /* the same; owned */
    size_t n_dirs;
    struct store_page page; /* markers, which are copied when the rest is */
    size_t page_size;
};

/* With the first page of the old prefix: whether the directory is one that keeps attributes. */
int move_marks_begin(struct vfs *v, const struct vfs_move *m, struct move_marks *k,
                     const struct store_page *first, struct s3_error *err);
void move_marks_done(struct move_marks *k);
/* Puts a marker aside until the others are copied. */
int move_marks_defer(struct move_marks *k, const struct store_entry *e);
/* A copy with a time of its own is there. */
int move_marks_note(struct move_marks *k, const char *key, const struct move_attrs *a,
                    const struct store_version *version);
/* Fills all[i] for the entries; asks the store where it must. */
int move_attrs_load(struct vfs *v, const struct vfs_move *m, const struct move_marks *k,
                    const struct store_entry *entries, struct move_attrs *all, size_t n,
                    struct s3_error *err);
/* The same from an answer of the store, which stays the caller's. */
int move_attrs_from(const struct move_marks *k, const struct store_entry *e,
                    const struct store_object *o, struct move_attrs *a);
void move_attrs_done(struct move_attrs *a);
/* A marker for a directory that has none; key is the new one. */
int move_marker_put(struct vfs *v, const char *key, struct store_version *version,
                    struct s3_error *err);

/* Deletes in batches, some at a time; of each key the version that was listed, where the store has
 * such conditions. What it refuses is looked at when all is answered: gone, as the answer to a
 * request that was sent twice may say; there after all, and then it is deleted by itself; or
 * another version by now, which stays. */
struct move_deleter {
    struct vfs *v;
    const char *prefix; /* of all keys */
    struct fanout *f;
    uint64_t left; /* when it is done: keys with another version */
    pthread_mutex_t lock;
    /* protected by lock */
    int result; /* the first failure */
    struct s3_error error;
    struct move_set refused; /* keys, and versions */
};
struct move_batch {
    struct move_deleter *deleter;
    struct store_page page;                  /* whose keys these are */
    const char *keys[STORE_DELETE_MANY_MAX]; /* move_batch_add */
    const char *etags[STORE_DELETE_MANY_MAX];
    size_t n;
    struct store_delete_many_in in;
    struct store_delete_many_out out;
};
int move_deleter_init(struct move_deleter *d, struct vfs *v, const char *prefix);
struct move_batch *move_batch_new(struct move_deleter *d);
void move_batch_add(struct move_batch *b, const struct store_entry *e); /* of its page */
/* Takes the batch. With a result below 0 nothing is sent, and that is returned. b NULL ok. */
int move_batch_send(struct move_batch *b, int result);
/* Waits, and sees to what was refused. result is returned unless something failed. */
int move_deleter_done(struct move_deleter *d, int result, struct s3_error *err);

#endif
