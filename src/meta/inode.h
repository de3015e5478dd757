/* SPDX-License-Identifier: Apache-2.0 */
/* The files and directories that the kernel, an open handle or an operation knows: a table by inode
 * number and by (directory, component, kind). An entry of a listing has no inode until it is looked
 * up.
 *
 * Numbers: made from the key, so that a file has the same number in every mount (backup tools
 *          compare them); when another inode has the number, the next free one. A renamed file
 *          keeps its number. What does not follow from the key is noted (meta/inode_numbers.h).
 * Life:    an inode lives while the kernel counts lookups on it (inode_forget takes them back) or
 *          somebody holds a reference: a handle, an operation under way, a child.
 *          inode_unlink and inode_move change the name, never the inode.
 * Stubs:   a file that the kernel was told of out of a listing has none of its own before somebody
 *          looks for it (meta/inode_stub.h); inode_find and the others make it then.
 * Threads: the owner locks (vfs: the mount's lock). */
#ifndef PAILFS_META_INODE_H
#define PAILFS_META_INODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "meta/dir.h"
#include "meta/inode_numbers.h"
#include "meta/inode_stub.h"
#include "meta/names.h"
#include "store/store.h"

#define INODE_ROOT 1u

struct inode_attr {
    uint64_t size;
    int64_t mtime_ns;
    int64_t atime_ns;
    int64_t ctime_ns;
    uint32_t mode; /* st_mode with the type */
    uint32_t uid;
    uint32_t gid;
    bool posix_known; /* mode, owner and times are this version's own, not what a listing shows */
    bool times_set; /* the times are, or will be, in the metadata; else LastModified is the time */
    char etag[STORE_ETAG_SIZE]; /* "" = not in the store (yet) */
    int64_t modified_ns;        /* LastModified of that version */
    bool modified_guess;        /* not known at all: S3 may mean the beginning of an upload */
    bool modified_told; /* by a listing, HEAD or COPY; else near it, from an upload's answer */
};

/* The target of a symbolic link, as read from the version with that ETag. */
struct inode_link {
    char etag[STORE_ETAG_SIZE];
    char target[]; /* NUL-terminated */
};

enum known { KNOWN_NOT, KNOWN_NO, KNOWN_YES }; /* "not known", "known: no", "known: yes" */

struct inode {
    uint64_t ino;
    enum node_kind kind;
    bool unlinked;        /* has lost its name */
    uint64_t key_hash;    /* of the key, without the number's finishing */
    struct inode *parent; /* referenced; NULL for the root and after inode_unlink */
    char *name;           /* key component, owned; "" for the root */
    size_t name_len;
    uint64_t lookups; /* the kernel's */
    unsigned refs;    /* ours */
    struct inode *next_by_ino;
    struct inode *next_by_name;

    struct inode_attr attr;
    /* Of the version in attr, while attr.posix_known; owned: */
    char *xattr;             /* meta/xattr.h's metadata value; NULL = none */
    char *content_type;      /* set by a program; NULL = as the name says, or whatever it has */
    char *storage_class;     /* set by a program; NULL = whatever it has, or the mount's */
    bool own_metadata;       /* this mount wrote all of the object's metadata, out of this struct */
    struct inode_link *link; /* owned; NULL = not read yet, or no link */
    int attrs_error;         /* of storing attributes later than they were set; not told yet */
    uint64_t attr_until_ns;  /* monotonic; from then on the store must be asked; 0 = now */

    /* directories */
    struct dir *dir;       /* listing, referenced; NULL = none */
    uint64_t dir_until_ns; /* monotonic; the listing's end */
    enum known marker;     /* an object stands for the directory */
    bool folder_mark;      /* an object x_$folder$ beside it says that it is there */
    bool marker_own;       /* written by this mount: empty, without foreign metadata */
    bool marker_busy;      /* being written */
    uint64_t
        marker_until_ns; /* monotonic: so soon after it was written nobody else has changed it */
    int64_t names_changed_ns; /* realtime: when a name in it came or went through this mount; 0 =
                                 never */
    enum known posix;         /* children have attributes in their metadata */
    uint64_t posix_until_ns;
    unsigned misses;           /* names asked for one by one since there is no listing */
    bool moving;               /* its keys are being renamed: nothing below may be changed */
    bool large;                /* more than one page when it was last looked at */
    TAILQ_ENTRY(inode) by_use; /* in the owner's list, while there is a listing */

    uint64_t changes; /* made by this mount: of the content, or of the directory's names */

    /* files */
    struct open_file *open;  /* vfs' state of a file that is open for writing; NULL = none */
    bool beside;             /* a directory has the same component, and its plain name */
    bool outdated;           /* a read met another version, or none, and no open has told since */
    unsigned readers;        /* open handles that can read */
    unsigned handles;        /* all open ones */
    unsigned direct_handles; /* those that write past the kernel's page cache */
    uint64_t version;        /* counts the versions of the content that were seen */
    uint64_t kernel_version; /* the one that the kernel's page cache may hold */
#define INODE_NO_VERSION UINT64_MAX
};

struct inode_table {
    struct inode *root;
    struct inode **by_ino;
    struct inode **by_name;
    size_t n_buckets; /* of each */
    size_t n;
    struct inode_stubs stubs;
    struct inode_numbers numbers;
    void (*freed)(void *ctx, struct inode *inode); /* just before the memory goes; may be NULL */
    /* An inode has taken the place of a stub: the entry tells what the file is. */
    void (*woken)(void *ctx, struct inode *inode, const struct dir_entry *e, uint64_t until_ns);
    void *ctx;
};

/* 0 or -ENOMEM. The root has one lookup that is never taken back. */
int inode_table_init(struct inode_table *t);
/* Frees every inode, whatever its counts. */
void inode_table_done(struct inode_table *t);

/* Borrowed, NULL when not there (or there was a stub, and no memory for an inode). */
struct inode *inode_find(struct inode_table *t, uint64_t ino);
struct inode *inode_child(struct inode_table *t, const struct inode *parent, const char *name,
                          enum node_kind kind);
/* The same, but a stub stays one, and NULL is the answer. */
struct inode *inode_child_awake(struct inode_table *t, const struct inode *parent, const char *name,
                                enum node_kind kind);
/* The inode of that name with a reference for the caller; made when it is not there (attributes
 * zero, attr_until_ns 0). 0 or -ENOMEM. */
int inode_get(struct inode_table *t, struct inode *parent, const char *name, enum node_kind kind,
              struct inode **ret);
/* The number that inode_get would give, or has given. */
uint64_t inode_number(struct inode_table *t, const struct inode *parent, const char *name,
                      size_t name_len, enum node_kind kind);

struct inode *inode_ref(struct inode *i);
void inode_unref(struct inode_table *t, struct inode *i); /* NULL ok */
/* The kernel was told of the inode once more / has given back n of its lookups. */
void inode_lookup_add(struct inode *i);
void inode_forget(struct inode_table *t, struct inode *i, uint64_t n);

/* The kernel is told of a file as the entry of the directory's listing has it, until then: a stub,
 * with one lookup more. -EEXIST: there is an inode, or a stub of another version. */
int inode_stub_put(struct inode_table *t, struct inode *dir, struct dir_entry *e, uint64_t until_ns,
                   uint64_t *ret_ino);
/* As inode_forget; false when the number is no stub's. */
bool inode_stub_forget(struct inode_table *t, uint64_t ino, uint64_t n);
/* What the stubs below the directory tell is over. */
void inode_stubs_expire(struct inode_table *t, const struct inode *dir);

/* The name goes, the inode stays for those who have it. */
void inode_unlink(struct inode_table *t, struct inode *i);
/* A new name, which no other inode has. -ENOMEM: unchanged. */
int inode_move(struct inode_table *t, struct inode *i, struct inode *parent, const char *name);

/* Whether dir is i or above it. */
bool inode_is_under(const struct inode *i, const struct inode *dir);
/* The key, with '/' at the end for directories ("" for the root). -ENAMETOOLONG over max bytes
 * (max <= COMPONENT_LENGTH_MAX), -ENOENT when it has lost its name. */
int inode_key(const struct inode *i, size_t max, char out[COMPONENT_LENGTH_MAX + 1]);
/* The key of a child of the directory. */
int inode_child_key(const struct inode *dir, const char *name, enum node_kind kind, size_t max,
                    char out[COMPONENT_LENGTH_MAX + 1]);

#endif
