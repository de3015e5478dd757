/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of one directory's content: the pages of its listing so far, patched by our own
 * changes. About 85 bytes per entry beside its name; no entry has an inode until it is looked up.
 *
 * Life:    dir_new -> dir_add_page until ->complete; shared by the directory's inode and the open
 *          handles that read it (dir_ref, dir_unref).
 * Order:   entries are numbered as they come and never renumbered while the listing lives, so a
 *          number is a stable readdir offset. A removed entry leaves a hole, a new one comes last.
 * Own changes win: while pages still come, what we put or removed is kept against a page that was
 *          made before. After that a change patches the complete listing, which stays complete.
 * Beside:  an object `a` where `a/b` exists is shown under an escaped name (meta/names.h). Between
 *          "a" and "a/" in the listing's order there may be thousands of keys ("a-1"): the object
 *          is held back until the page that would show the directory has come.
 * Threads: the owner locks (vfs: the mount's lock). Pointers to entries: until the next change. */
#ifndef PAILFS_META_DIR_H
#define PAILFS_META_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "meta/names.h"
#include "store/store.h"

enum node_kind { NODE_FILE, NODE_DIR };

enum dir_entry_flag {
    DIR_ENTRY_DIR = 1u << 0,
    DIR_ENTRY_OWN = 1u << 1,    /* our change, made while pages still came */
    DIR_ENTRY_GONE = 1u << 2,   /* removed */
    DIR_ENTRY_BESIDE = 1u << 3, /* an object beside a directory of the same component */
    DIR_ENTRY_ODD = 1u << 4,    /* the component is not its own file name */
    DIR_ENTRY_FOLDER = 1u << 5, /* a directory that has a marker x_$folder$ */
    DIR_ENTRY_SHARED = 1u << 6, /* somebody else has it, too: whoever goes last frees it */
};

struct dir_entry {
    uint32_t next; /* in the hash chain: number + 1, 0 = end */
    uint16_t name_len;
    uint8_t etag_len;
    uint8_t flags;    /* DIR_ENTRY_* */
    uint64_t size;    /* files: bytes */
    int64_t mtime_ns; /* files: LastModified */
    char text[];      /* component NUL etag NUL */
};

/* The object that stands for a directory, as a listing told it. */
struct dir_marker {
    uint64_t key_hash; /* of its key: a renamed directory has another one; 0 = not told */
    uint64_t size;
    int64_t mtime_ns;
    char etag[STORE_ETAG_SIZE];
};

struct dir {
    unsigned refs;
    bool complete; /* every page has come: what is not here does not exist */
    bool loading;  /* one thread is fetching the next page */
    bool marker;   /* an object stands for the directory itself */
    struct dir_marker marker_version;
    bool broken;          /* no memory for what came: nothing more comes */
    unsigned pages;       /* that have come */
    unsigned stale;       /* of those the last ones, in a row, had nothing new */
    unsigned empty;       /* and nothing at all */
    uint64_t since_ns;    /* monotonic; the first page was asked for then */
    uint64_t prefix_hash; /* of the prefix that the token belongs to; 0 before the first page */
    char *token;          /* of the next page; NULL before the first and after the last */
    char *after;          /* without a token: the next page begins after that key; NULL = at all */
    void *pager;          /* the owner's, for pages out of order; NULL = none */
    void (*pager_free)(void *pager);
    void *by_number; /* the owner's, freed with the listing: its entries by inode number; may be
                        NULL */
    size_t bytes;    /* of memory */
    size_t n_live;   /* entries that are there */
    size_t n_long;   /* entries whose name may be a hash */

    struct dir_entry **entries; /* by number; NULL = removed */
    size_t n;
    size_t alloc;
    uint32_t *buckets; /* by component and kind */
    size_t n_buckets;
    struct dir_entry **held; /* objects that may yet turn out to be beside a directory */
    size_t n_held;
};

int dir_new(uint64_t now_ns, struct dir **ret);
struct dir *dir_ref(struct dir *d);
void dir_unref(struct dir *d); /* NULL ok */

/* Takes in the next page of the delimited listing of `prefix`. -EIO with *reterr when the page is
 * not what was asked for, or there have been too many that tell nothing new (a server that goes
 * round in circles); the listing is unchanged then. -ENOMEM: the listing is of no more use. */
int dir_add_page(struct dir *d, const char *prefix, const struct store_page *page,
                 struct s3_error *reterr);

/* Whether all of the page belongs to the listing: 0, or -EIO with *reterr. */
int dir_check_page(const char *prefix, const struct store_page *page, struct s3_error *reterr);

/* A stretch of names that is not known yet: what sorts after `from` (without the prefix), up to
 * and with `to`; NULL = to the end. */
struct dir_gap {
    const char *from;
    const char *to;
};
/* The same for pages in any order: the gaps that are left with this page, none = complete. The next
 * page is the caller's affair: the token and `after` are let alone. */
int dir_add_part(struct dir *d, const char *prefix, const struct store_page *page,
                 const struct dir_gap *gaps, size_t n_gaps, struct s3_error *reterr);

/* Whether its first keys have come, of which the marker's is the first: pages may be empty. */
bool dir_has_begun(const struct dir *d);
/* An object of that key is the marker. */
void dir_set_marker(struct dir *d, const char *key, uint64_t size, int64_t mtime_ns,
                    const char *etag);
/* Of a key, never 0. */
uint64_t dir_key_hash(const char *key);

/* The entry, or NULL when it is removed or not known. */
struct dir_entry *dir_find(struct dir *d, const char *component, enum node_kind kind);

/* Its number, or -ENOENT. */
int dir_number(struct dir *d, const char *component, enum node_kind kind, size_t *ret);

enum dir_answer { DIR_FOUND, DIR_ABSENT, DIR_UNKNOWN };
/* What a file name stands for; a directory goes before an object. DIR_UNKNOWN only while the
 * listing is not complete. */
enum dir_answer dir_lookup(struct dir *d, const char *name, const struct name_target *target,
                           struct dir_entry **ret);

/* Our own change. etag NULL = "" (not in the store yet). -ENOMEM: the listing is of no more use. */
int dir_put(struct dir *d, const char *component, enum node_kind kind, uint64_t size,
            int64_t mtime_ns, const char *etag);
int dir_remove(struct dir *d, const char *component, enum node_kind kind);

/* The entry of that number (below d->n), NULL for a hole. */
static inline struct dir_entry *dir_at(struct dir *d, size_t number)
{
    struct dir_entry *e = d->entries[number];
    return e && !(e->flags & DIR_ENTRY_GONE) ? e : NULL;
}
static inline const char *dir_entry_component(const struct dir_entry *e)
{
    return e->text;
}
static inline const char *dir_entry_etag(const struct dir_entry *e)
{
    return e->text + e->name_len + 1;
}
static inline enum node_kind dir_entry_kind(const struct dir_entry *e)
{
    return e->flags & DIR_ENTRY_DIR ? NODE_DIR : NODE_FILE;
}
/* For one owner beside the listing, which may go first: the entry, and its end for either. */
static inline struct dir_entry *dir_entry_share(struct dir_entry *e)
{
    e->flags |= DIR_ENTRY_SHARED;
    return e;
}
void dir_entry_release(struct dir_entry *e); /* NULL ok */
/* 0, or as name_from_component. */
int dir_entry_name(const struct dir_entry *e, char out[NAME_LENGTH_MAX + 1]);

#endif
