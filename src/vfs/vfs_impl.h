/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of src/vfs share. Only they include this.
 *
 * One lock, vfs.lock, protects the inode table, everything in inodes and listings, and the fields
 * marked below. It is never held over a store or data call; `changed` is signalled when somebody
 * may have waited for a listing page, or for a file to be free (open_file.busy).
 * Order: the lock of a writer or reader (data/) may be held when vfs.lock is taken (attrs callback,
 * version callback), never the other way round: writer_* and reader_* calls happen unlocked. */
#ifndef PAILFS_VFS_VFS_IMPL_H
#define PAILFS_VFS_VFS_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "base/cleanup.h"
#include "data/reader.h"
#include "data/writer.h"
#include "meta/attrs.h"
#include "meta/dir.h"
#include "meta/inode.h"
#include "vfs/vfs.h"

/* Stands for the root of a whole bucket, which has no key that could carry metadata. Not shown. */
#define VFS_ROOT_KEY ".pailfs-root"

/* A prefix for what has no name; not shown, and nothing can be made in it. */
#define VFS_HIDDEN_DIR      ".pailfs-unlinked"
#define VFS_HIDDEN_KEY_SIZE 64u

struct vfs_hidden {
    uint64_t intent; /* to delete it, 0 = none */
    char key[VFS_HIDDEN_KEY_SIZE];
    char etag[STORE_ETAG_SIZE];
};

TAILQ_HEAD(open_files, open_file);
TAILQ_HEAD(pending_files, open_file);

/* Own changes that are remembered while a listing of several directories is under way. */
#define VFS_WALK_CHANGES 64u

/* Keys of a page. */
#define VFS_WALK_MARKED 1000u

/* Inodes whose attributes were asked for before their names were. */
#define VFS_AHEAD 256u

/* Threads of a program that ask for names in order at the same time; git takes one for 500. */
#define VFS_WALKS 8u

/* Copies of objects onto themselves under way, at most. */
#define VFS_ATTR_THREADS 8u

/* An operation that changes something, for as long as it runs: it neither begins below a directory
 * that is being renamed, nor is a rename begun above it. On its stack, taken before anything else:
 *     VFS_GUARD(v, inode);     the file that is changed, or the directory whose names are
 * Lock held at the beginning, where it may wait, and at the end. */
struct vfs_guard {
    struct vfs *vfs;
    struct inode *inode; /* referenced */
    LIST_ENTRY(vfs_guard) link;
};
void vfs_guard_begin_locked(struct vfs *v, struct vfs_guard *g, struct inode *inode);
void vfs_guard_end_locked(struct vfs_guard *g);
#define VFS_GUARD_NAMED(name, v, inode)                                                            \
    CLEANUP(vfs_guard_end_locked) struct vfs_guard name;                                           \
    vfs_guard_begin_locked(v, &(name), inode)
#define VFS_GUARD(v, inode) VFS_GUARD_NAMED(guard, v, inode)

/* vfs_sibling.c: files that were fetched before their open, */
#define VFS_SIBLINGS 64u
struct vfs_sibling {
    char *key; /* owned */
    char etag[STORE_ETAG_SIZE];
    uint64_t bytes;        /* that were asked for */
    bool large;            /* for which the walk must have earned trust */
    uint64_t since_ns;     /* monotonic; when it was asked for */
    uint64_t walk;         /* its id */
    struct reader *reader; /* NULL = a free place */
};
struct vfs_siblings {
    struct vfs_sibling at[VFS_SIBLINGS];
    uint64_t bytes; /* of all in it */
};

/* vfs_order.c: programs that read the files of a tree in an order that is known. */
#define VFS_FILE_WALKS 8u
enum vfs_file_order {
    VFS_ORDER_IN_PLACE,    /* as listed, what is in a directory where that stands */
    VFS_ORDER_FILES_FIRST, /* as listed, files before the directories beside them */
    VFS_ORDER_BY_NUMBER,   /* as IN_PLACE, but by inode number */
    VFS_ORDERS
};
/* A place in the order of a walk. */
struct vfs_place {
    struct inode *dir; /* borrowed */
    size_t at;         /* place among its entries in that order, SIZE_MAX = before the first */
    bool dirs;         /* the files have been passed, of a walk that takes these first */
};
struct vfs_file_walk {
    uint64_t id;               /* 0 = unused */
    uint64_t tick;             /* of the newest file; the walk that rested longest goes first */
    uint64_t ino;              /* of its directory */
    const struct dir *listing; /* only compared */
    size_t last;               /* its number there */
    uint64_t last_ns;          /* when it was read for the first time */
    uint64_t step_ns;          /* from one file to the next, the mean of the last ones */
    uint64_t trust;            /* bytes of larger files that may be fetched ahead */
    unsigned files;            /* in order */
    unsigned skipped;          /* of those passed, not read; what comes late is taken off */
    unsigned even;             /* files since one was skipped or came late */
    unsigned faults;           /* it has not kept to an order: so often in the last time */
    bool from_start;           /* it began with the first file of a directory */
    bool crossed;              /* it has gone on from one directory to another */
    enum vfs_file_order order;
    uint64_t number;  /* of the last file's inode */
    unsigned upwards; /* files in a row that were in no order, but had greater numbers each */
};

struct vfs {
    /* constant */
    struct vfs_options opts;
    struct store *store;
    struct clock *clock;
    int64_t started_ns; /* realtime; the time of directories that carry none */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* protected by lock */
    struct inode_table inodes;
    struct open_files open_files;
    LIST_HEAD(, vfs_guard) guards;
    unsigned moves; /* directories with ->moving */
    struct {
        bool busy; /* with a directory; one at a time, so that none waits for another */
        const struct inode *ends[2]; /* being exchanged in the store just now; NULL = none */
    } exchange;
    uint64_t listing_bytes;       /* of them, and of pages that were asked for ahead of a walk */
    unsigned n_list_calls;        /* of vfs_ranges.c, under way */
    TAILQ_HEAD(, inode) listings; /* inodes with a listing, least recently used first */

    struct { /* vfs_walk.c; protected by lock */
        struct vfs_walked {
            char key[COMPONENT_LENGTH_MAX + 1]; /* of the last directory */
            uint64_t since_ns;                  /* when; 0 = never */
            unsigned steps;                     /* in a row that look like a walk */
        } read,                                 /* directories that are read */
            asked[VFS_WALKS]; /* directories in which names are asked for: by several threads */
        bool off;             /* the store does not list as S3 does */
        uint64_t n_changes;   /* of names, made by this mount */
        uint64_t marked[VFS_WALK_MARKED]; /* inode numbers of the last page's directories that
                                             have markers, in its order */
        size_t n_marked;
        uint64_t changed[VFS_WALK_CHANGES]; /* key_hash of their directories; a ring */
        struct vfs_walk_ahead *ahead;       /* NULL = no pages are asked for ahead */
        struct {                            /* where the page that follows the last one begins */
            char base[COMPONENT_LENGTH_MAX + 1];
            char after[COMPONENT_LENGTH_MAX + 2]; /* "" = not known */
        } next;
    } walk;

    struct vfs_window {   /* vfs_window.c; protected by lock */
        uint64_t ino;     /* of the directory; 0 = none */
        struct dir *d;    /* the page; referenced, NULL = none */
        uint64_t changes; /* of the directory, when it was asked for */
        uint64_t asked_ns;
        char last[COMPONENT_LENGTH_MAX + 1]; /* component that was asked for last */
        unsigned ascents;
        bool busy; /* a page is under way */
    } window;

    /* vfs_pending.c; protected by lock */
    struct pending_files pending; /* by due_ns; each with a reference */
    unsigned n_pending;
    pthread_cond_t due;
    pthread_t threads[VFS_ATTR_THREADS];
    unsigned n_threads;
    unsigned n_idle;
    bool stopping;
    uint64_t idle_due_ns; /* vfs_idle.c: the next look; UINT64_MAX = there is nothing to free */

    struct vfs_siblings siblings; /* protected by lock, as the next ones */
    struct vfs_file_walk file_walks[VFS_FILE_WALKS];
    uint64_t n_file_walks; /* the last id */
    uint64_t file_walks_tick;

    struct {                         /* vfs_ahead.c; protected by lock */
        struct inode *at[VFS_AHEAD]; /* referenced; a ring */
        unsigned next;
    } ahead;

    const atomic_bool *recover_stop; /* of vfs_recover while it runs, on its thread */
};

/* A file that is open for writing, or a file or directory whose attributes are to be stored: one
 * for all its handles, hung on inode->open. */
struct open_file {
    struct vfs *vfs;
    struct inode *inode; /* referenced */
    TAILQ_ENTRY(open_file) link;
    /* protected by vfs.lock */
    unsigned refs;              /* handles and operations under way */
    unsigned handles;           /* open for writing */
    struct writer *writer;      /* made at the first change, freed with this; used unlocked */
    bool absent;                /* nothing is in the store under the name yet */
    bool exclusive;             /* the first commit must not replace anything */
    bool dirty;                 /* content was changed since the last commit */
    bool attrs_dirty;           /* mode, owner, times or extended attributes were */
    bool storing;               /* the attributes are under way to the store */
    bool busy;                  /* a commit, rename or change of attributes is under way */
    unsigned waiting;           /* threads that want to be busy with it */
    unsigned writing;           /* threads inside writer_write */
    unsigned reading;           /* threads inside writer_read */
    bool held;                  /* the writer only holds the content of what is being removed */
    bool kept;                  /* referenced for the readers of a file without a name */
    struct vfs_hidden *hidden;  /* where the content of that is; owned, NULL = with the writer */
    char stub[STORE_ETAG_SIZE]; /* of the empty object that made the file, while it is that */
    bool failed;                /* a commit failed, and somebody was told */
    int refused;                /* what the store said to the last write, when that failed */
    bool lost_is_current;       /* lost+found has what was written, or could not have it */
    char *lost_path;            /* there; owned, NULL = nothing */
    bool pending;               /* in vfs.pending */
    TAILQ_ENTRY(open_file) by_due;
    uint64_t due_ns;           /* monotonic */
    uint64_t pending_since_ns; /* when the first of the changes was made */
    unsigned tries;            /* to store them that failed */
    struct state_note *note;   /* of the attributes; owned; NULL = none */
    /* The times that the upload under way was begun with. */
    struct {
        bool known;
        bool times_set;
        int64_t mtime_ns;
        int64_t atime_ns;
        int64_t ctime_ns;
    } sent;
    /* used by the one who is busy, and by the attrs callback */
    struct arena attrs_arena;
    struct store_object *base; /* headers and foreign metadata to keep; owned, NULL = none */
};

struct vfs_file {
    struct inode *inode; /* referenced */
    int flags;           /* of open(2) */
    bool direct;         /* vfs_file_is_direct */
    /* The page cache was kept at the open, with bytes of that version; "" = it was not. */
    char kept_etag[STORE_ETAG_SIZE];
    uint64_t kept_changes; /* inode->changes then */
    /* protected by vfs.lock */
    struct open_file *open;     /* referenced; NULL when only for reading */
    struct file_reader *reader; /* made at the first read; referenced */
};

/* A reader of one version, shared by the threads that read through one handle. */
struct file_reader {
    struct vfs *vfs;
    struct inode *inode; /* borrowed from the handle */
    struct reader *reader;
    unsigned refs;    /* protected by vfs.lock */
    uint64_t changes; /* inode->changes when it was made; then it is of the version before ours */
    char etag[STORE_ETAG_SIZE]; /* of the version that it reads; protected by vfs.lock, as all below
                                 */
    uint64_t walk;              /* that has come to this file; 0 = none */
    uint64_t bytes;             /* that were read */
    uint64_t more_at;           /* offset from which on the next files are wanted; 0 = none */
};

static inline uint64_t vfs_now(struct vfs *v)
{
    return clock_monotonic_ns(v->clock);
}
uint64_t vfs_after(uint64_t now_ns, uint64_t ttl_ns);

/* ---- vfs.c ---- */

/* All with the lock held. */
/* The directory of that number, or -ENOTDIR / -ESTALE. Borrowed. */
int vfs_find_dir_locked(struct vfs *v, uint64_t ino, struct inode **ret);
int vfs_find_locked(struct vfs *v, uint64_t ino, struct inode **ret);
/* name_to_component and the checks that every operation on a name needs: -ENAMETOOLONG, and
 * -ENOENT for what is not shown. */
int vfs_decode_name(struct vfs *v, const struct inode *dir, const char *name,
                    struct name_target *ret);
/* The same for a name that is to be made: -EINVAL for a hash, -EPERM for what is not shown. */
int vfs_decode_new_name(struct vfs *v, const struct inode *dir, const char *name,
                        enum node_kind kind, struct name_target *ret,
                        char key[COMPONENT_LENGTH_MAX + 1]);
void vfs_default_attr_locked(struct vfs *v, struct inode *i);
void vfs_fill_stat_locked(struct vfs *v, const struct inode *i, struct stat *st);
/* Fills ret for an inode and counts a lookup. */
void vfs_fill_entry_locked(struct vfs *v, struct inode *i, struct vfs_entry *ret);
void vfs_fill_attr_locked(struct vfs *v, struct inode *i, struct vfs_entry *ret);
/* An own change of the directory's content: its times, and the count that lookups watch. */
void vfs_dir_changed_locked(struct vfs *v, struct inode *dir);
/* Waits while the inode is below a directory that is being renamed. Whether it had to. */
bool vfs_wait_settled_locked(struct vfs *v, const struct inode *i);
/* Nothing below the directory is changed by others from the return of begin to end. */
void vfs_move_begin_locked(struct vfs *v, struct inode *dir);
/* Of two, of which neither is below the other, in the order that keeps those who take two from
 * waiting for each other. */
void vfs_move_begin_both_locked(struct vfs *v, struct inode *a, struct inode *b);
void vfs_move_end_locked(struct vfs *v, struct inode *dir);
void vfs_notify_inode(struct vfs *v, const struct inode *i);
/* Takes over a version that the store told. */
void vfs_apply_version_locked(struct vfs *v, struct inode *i, uint64_t size, int64_t modified_ns,
                              const char *etag, uint64_t until_ns);
/* The same for who is busy with the file. */
void vfs_take_version_locked(struct vfs *v, struct inode *i, uint64_t size, int64_t modified_ns,
                             const char *etag, uint64_t until_ns);
/* And the attributes in its metadata, NULL = it has none. */
void vfs_apply_posix_locked(struct vfs *v, struct inode *i, const struct store_attrs *attrs);

/* Whether the content type is what a file of that name gets by itself. */
bool vfs_is_derived_type(const char *type, const char *name);

/* ---- vfs_lost.c ---- */

/* After a commit that failed: when it has positively lost to another host, what was written is kept
 * in lost+found, and the log says where. Lock given up meanwhile. */
void vfs_keep_lost_locked(struct vfs *v, struct open_file *of, int result,
                          const struct s3_error *err);

/* ---- vfs_listing.c ---- all with the lock held, which fetching gives up meanwhile */

/* The listing in force, possibly still without a page; NULL when there is none that is fresh. */
struct dir *vfs_listing_fresh_locked(struct vfs *v, struct inode *dir);
/* That, or a new one. Referenced for the caller. */
int vfs_listing_get_locked(struct vfs *v, struct inode *dir, struct dir **ret);
/* One more page of d, by this thread or another that is at it. The caller has references on both.
 * walk: from vfs_walk_note_locked, or VFS_NO_WALK, or VFS_FIRST_PAGE: no others will follow. */
int vfs_listing_more_locked(struct vfs *v, struct inode *dir, struct dir *d, size_t walk,
                            struct s3_error *err);
/* Loads the first page if there is no fresh listing, and remembers if there are more. walk: from
 * vfs_walk_asked_locked, or VFS_FIRST_PAGE. */
int vfs_listing_first_locked(struct vfs *v, struct inode *dir, size_t walk, struct s3_error *err);
/* A page that tells something, or the last one: a server may give empty ones before. Without the
 * lock. */
int vfs_list_some(struct vfs *v, const struct store_list_in *in, struct store_page *page,
                  struct s3_error *err);
/* Something of the cached listing's has another size: by_number. */
void vfs_listing_grown_locked(struct vfs *v, struct dir *d, size_t before, size_t after);
/* The inode may go with it, unless the caller has a reference. */
void vfs_listing_drop_locked(struct vfs *v, struct inode *dir);
/* The kernel has forgotten the directory: its listing stays only if it is whole and believed. */
void vfs_listing_forgotten_locked(struct vfs *v, struct inode *dir);
/* Of the directory and of all below it. */
void vfs_listing_drop_below_locked(struct vfs *v, const struct inode *dir);
/* A listing without a page, in force from then on. Borrowed. */
int vfs_listing_new_locked(struct vfs *v, struct inode *dir, uint64_t since_ns, struct dir **ret);
/* After something was added to the directory's listing d, which had `before` bytes: -ENOMEM drops
 * it, 0 learns from it. */
void vfs_listing_added_locked(struct vfs *v, struct inode *dir, struct dir *d, size_t before,
                              int result);
/* Gives a directory that is known to be empty a complete listing. */
void vfs_listing_empty_locked(struct vfs *v, struct inode *dir);
/* Own changes; a listing that cannot take them in is dropped. */
void vfs_listing_put_locked(struct vfs *v, struct inode *dir, const struct inode *child);
void vfs_listing_remove_locked(struct vfs *v, struct inode *dir, const char *component,
                               enum node_kind kind);

/* ---- vfs_ranges.c ---- lock held, which fetching gives up meanwhile */

/* The listing d goes on with several requests at a time, after its page, which has a token. 0 or
 * -ENOMEM: as if nothing were asked. */
int vfs_pager_new(struct vfs *v, const char *prefix, const struct store_page *page, struct dir *d);
/* Until no request of any listing is under way: a directory may go before its pages have come. */
void vfs_pager_wait_locked(struct vfs *v);
/* Some more pages. */
int vfs_pager_more_locked(struct vfs *v, struct inode *dir, struct dir *d, const char *prefix,
                          struct s3_error *err);

/* ---- vfs_walk.c ---- lock held, which fetching gives up meanwhile */

#define VFS_FIRST_PAGE SIZE_MAX
#define VFS_NO_WALK    (SIZE_MAX - 1)
/* Somebody begins to read the directory. When that looks like a walk of a tree: the length of the
 * key of the directory that is walked, else VFS_NO_WALK. */
size_t vfs_walk_note_locked(struct vfs *v, const struct inode *dir);
/* The same when the store must be asked for a name in it, without anybody having read it. */
size_t vfs_walk_asked_locked(struct vfs *v, const struct inode *dir);
/* The first page of the directory's listing d, with listings of what follows it in the tree.
 * -EAGAIN: ask for the directory alone. */
int vfs_walk_fetch_locked(struct vfs *v, struct inode *dir, struct dir *d, const char *prefix,
                          size_t walk, struct s3_error *err);
/* Somebody wants to know whether the directory is marked (vfs_posix_known_locked): asks for it and,
 * at the same time, for the markers of those that come after it. */
void vfs_walk_markers_locked(struct vfs *v, struct inode *dir);
/* Before the attributes of directories are asked for: with a store that remembers them of what a
 * listing tells, the directories are listed. Whoever walks a tree would do that next. The caller
 * has references. Nothing comes of it where it fails. */
void vfs_list_markers_locked(struct vfs *v, struct inode *const *inodes, size_t n);
bool vfs_remembers(struct vfs *v);
/* A key before all that are in the directory, and after nearly all that are before it. 0, or
 * -EAGAIN when it is too long. */
int vfs_walk_before(const char *prefix, char after[COMPONENT_LENGTH_MAX + 2]);
/* The directory's names were changed by this mount: what is under way may not tell of it. */
void vfs_walk_changed_locked(struct vfs *v, const struct inode *dir);
/* Of every directory. */
void vfs_walk_all_changed_locked(struct vfs *v);

/* ---- vfs_walk_ahead.c ---- */

/* A walk of what is below base is to go on after that page, with what sorts after `resume` (without
 * base): asks for pages ahead, in the place of those of another walk. Lock given up. */
void vfs_walk_ahead_begin_locked(struct vfs *v, const char *base, const struct store_page *page,
                                 const char *resume);
/* The length of the key below which pages are asked for ahead, if the directory is; VFS_NO_WALK. */
size_t vfs_walk_ahead_base_locked(const struct vfs *v, const char *prefix);
/* A page of that walk which has the directory, if one was asked for, after which key and when;
 * waits for it. Lock given up. */
bool vfs_walk_ahead_take_locked(struct vfs *v, const char *prefix,
                                char after[COMPONENT_LENGTH_MAX + 2], struct store_page *page,
                                uint64_t *start_ns, uint64_t *n_changes);
void vfs_walk_ahead_drop_locked(struct vfs *v);

/* ---- vfs_window.c ---- */

/* What a lookup says when it knows nothing. */
#define VFS_MUST_ASK 1
/* A name of a large directory that has no listing: the inode, referenced, out of a page for many,
 * or VFS_MUST_ASK. Lock held, given up for a request. */
int vfs_window_ask_locked(struct vfs *v, struct inode *dir, const char *name,
                          const struct name_target *t, struct inode **ret);
/* Its entry in the page that is there, window.d; NULL = not in it. No request. */
struct dir_entry *vfs_window_find_locked(struct vfs *v, const struct inode *dir, const char *name,
                                         const struct name_target *t);

/* ---- vfs_posix.c ---- */

/* Whether attributes of the directory's children are in their metadata. May ask the store for the
 * marker, with the lock given up. */
int vfs_posix_known_locked(struct vfs *v, struct inode *dir, bool *ret, struct s3_error *err);
/* Whether that would not ask. */
bool vfs_marker_listed_locked(struct vfs *v, const struct inode *dir);
bool vfs_mark_known_locked(struct vfs *v, const struct inode *dir);
/* The same question, asked while the caller asks something else: begin and end with the lock held,
 * the caller's request between them without it. */
struct marker_call;
struct marker_call *vfs_marker_begin_locked(struct vfs *v, struct inode *dir);
void vfs_marker_end_locked(struct vfs *v, struct inode *dir, struct marker_call *c);
/* The type of an entry of the directory's listing (S_IFREG ...), as far as it is known without
 * asking; 0 = it is not. */
uint32_t vfs_posix_type_locked(struct vfs *v, const struct inode *dir, const struct dir_entry *e);
/* What was read of a directory's marker is too old: the next load asks for it. */
void vfs_expire_posix_locked(struct vfs *v, struct inode *i);
/* Makes sure that the attributes of the inodes are their own, with requests in parallel. The caller
 * has references. Inodes that turn out to be gone get attr_until_ns 0. */
int vfs_posix_load_locked(struct vfs *v, struct inode *const *inodes, size_t n,
                          struct s3_error *err);
/* Whether what is set differs from what a listing alone would show. */
bool vfs_posix_deviates_locked(struct vfs *v, const struct inode *i);
/* Marks the directory as having children with attributes, in the store. Lock given up. */
int vfs_posix_mark_locked(struct vfs *v, struct inode *dir, struct s3_error *err);
/* The key of the object that carries the directory's metadata. */
int vfs_marker_key_locked(struct vfs *v, const struct inode *dir,
                          char key[COMPONENT_LENGTH_MAX + 1]);
/* The attributes of an inode as metadata. old may be NULL. Strings in arena or old's. */
int vfs_posix_metadata_locked(struct vfs *v, const struct inode *i, bool flag,
                              const struct store_attrs *old, struct arena *arena,
                              struct store_attrs *ret);
/* Whether a request on condition that was refused had been carried out itself: the answer to its
 * first try was lost. The object then carries the very times, to the nanosecond, that were sent.
 * Without the lock. */
bool vfs_posix_is_own(struct vfs *v, const char *key, const struct store_attrs *sent,
                      const struct s3_error *refusal, struct store_version *ret);
/* Writes the directory's marker with its attributes. Lock given up. */
int vfs_marker_write_locked(struct vfs *v, struct inode *dir, bool flag, struct s3_error *err);
/* It was, just now, by this mount. */
void vfs_marker_written_locked(struct vfs *v, struct inode *dir);

/* ---- vfs_lookup.c ---- */

/* The inode of a name, referenced, with attributes that are fresh enough for a reply. Lock held,
 * given up for requests. */
int vfs_resolve_locked(struct vfs *v, struct inode *dir, const char *name, struct inode **ret,
                       struct s3_error *err);

/* The time of a file that was just uploaded in parts, if it is not known. Lock given up. */
int vfs_ask_time_locked(struct vfs *v, struct inode *i, struct s3_error *err);
/* Attributes of its own for a child of the directory, where there are any. */
int vfs_complete_locked(struct vfs *v, struct inode *dir, struct inode *i, struct s3_error *err);

/* vfs_ahead.c: vfs_posix_load_locked for one name that was looked up, and for those that will be.
 * The caller has a reference on i. Lock given up. */
int vfs_load_in_order_locked(struct vfs *v, struct inode *dir, struct inode *i,
                             struct s3_error *err);

/* The inode of an entry of the directory's listing d, referenced. Lock held. */
int vfs_inode_of_entry_locked(struct vfs *v, struct inode *dir, const struct dir *d,
                              const struct dir_entry *e, struct inode **ret);
/* What the kernel is told of such an entry of a file whose attributes are in no metadata; counts a
 * lookup. -EEXIST: there is an inode. */
int vfs_tell_entry_locked(struct vfs *v, struct inode *dir, const struct dir *d,
                          struct dir_entry *e, struct vfs_entry *ret);
/* Of the inode table: somebody wants more of the file. */
void vfs_woken(void *ctx, struct inode *i, const struct dir_entry *e, uint64_t until_ns);
/* As vfs_resolve_locked, asking the store whatever the cache believes; attributes are not
 * completed. */
int vfs_resolve_anew_locked(struct vfs *v, struct inode *dir, const char *name, struct inode **ret,
                            struct s3_error *err);
/* As vfs_resolve_locked, but content with an inode however old: for what the kernel has looked up
 * and is about to change. */
int vfs_resolve_any_locked(struct vfs *v, struct inode *dir, const char *name, struct inode **ret,
                           struct s3_error *err);

/* ---- vfs_dir.c ---- */

/* What a new file or directory belongs to. */
void vfs_new_attr_locked(struct vfs *v, const struct vfs_caller *caller, const struct inode *dir,
                         mode_t mode, struct inode *i);
/* Whether the name is taken, as far as is known without asking: the upload's condition decides. */
bool vfs_is_taken_locked(struct vfs *v, struct inode *dir, const char *component);
/* Called before a child goes: if it is the last one of a directory that exists by its children
 * alone, its marker is written, so that it stays. Lock given up. */
int vfs_keep_dir_locked(struct vfs *v, struct inode *dir, struct s3_error *err);
/* 0 when nothing but its marker is in the directory, -ENOTEMPTY; asks the store. */
int vfs_check_empty_locked(struct vfs *v, struct inode *dir, bool *ret_marker,
                           struct s3_error *err);
/* The directory with that key is gone: so must be a marker of another tool's for it. */
int vfs_folder_mark_delete_locked(struct vfs *v, struct inode *dir, const char *key,
                                  struct s3_error *err);
/* The name is gone from the store: the same here. */
void vfs_forget_name_locked(struct vfs *v, struct inode *i);

/* ---- vfs_node.c ---- */

/* A new object that is whole at once: a FIFO, a socket, a link with its target. mode with type. */
int vfs_make_node(struct vfs *v, const struct vfs_caller *caller, uint64_t parent, const char *name,
                  mode_t mode, const char *target, struct vfs_entry *ret, struct s3_error *err);

/* ---- vfs_copy.c ---- without the lock ---- */

struct vfs_copy {
    const char *source;
    const char *if_match; /* the source's ETag, NULL = any */
    uint64_t size;        /* the source's */
    const char *key;
    bool if_absent;
    bool through;                    /* see store_copy_in */
    const char *replaces;            /* the ETag of what may be there; NULL = whatever it is */
    const struct store_attrs *attrs; /* NULL = the source's */
};
/* Any size: over 5 GiB as a multipart upload whose parts are copied in parallel. */
int vfs_copy_object(struct vfs *v, const struct vfs_copy *c, struct store_version *ret,
                    struct s3_error *err);

/* ---- vfs_same.c ---- without the lock ---- */

struct vfs_content {
    const char *key;
    const char *etag; /* this version of it */
    uint64_t size;
};
/* 1: the two have the same bytes. 0: they have not, or one of them is another version by now, or
 * is archived. An error decides nothing, -EACCES least of all. stop: ends it with -ECANCELED; may
 * be NULL. */
int vfs_same_content(struct vfs *v, const struct vfs_content *one, const struct vfs_content *other,
                     const atomic_bool *stop, struct s3_error *err);

/* ---- vfs_pending.c ---- */

/* The attributes, which are dirty, are stored after a while. False when they must be stored now. */
bool vfs_pending_add_locked(struct vfs *v, struct open_file *of);
/* The store has another version than the one whose attributes were changed: nothing is stored. */
void vfs_pending_conflict_locked(struct vfs *v, struct open_file *of);
/* Storing them failed, and somebody is told: for good, or they stay pending. */
void vfs_pending_failed_locked(struct vfs *v, struct open_file *of, int r,
                               const struct s3_error *err);
/* All that is pending is due now. */
void vfs_pending_hurry_locked(struct vfs *v);
/* The threads look again at when they have something to do. */
void vfs_pending_wake_locked(struct vfs *v);
void vfs_pending_init(struct vfs *v);
/* Ends the threads; what was not stored is lost. */
void vfs_pending_done(struct vfs *v);
/* Whether what is known here of the attributes is newer than what the store tells. */
static inline bool vfs_attrs_pending(const struct inode *i)
{
    return i->open && (i->open->attrs_dirty || i->open->storing);
}

/* ---- vfs_idle.c ---- */

/* From then on there is something that may be freed, if nobody has used it meanwhile. */
void vfs_idle_note_locked(struct vfs *v, uint64_t at_ns);
/* Frees what is of no more use, if it is time to look. False: it is not. Lock given up. */
bool vfs_idle_run_locked(struct vfs *v);
/* Its parts, each with its owner: they free, and note what is left. */
void vfs_listings_expire_locked(struct vfs *v);
void vfs_walk_ahead_expire_locked(struct vfs *v);
void vfs_window_expire_locked(struct vfs *v);
/* Lock given up. */
void vfs_siblings_expire_locked(struct vfs *v);

/* ---- vfs_note.c ---- */

struct state_intent;
struct state_note;
/* Notes the attributes as they are now, for the time after a crash. */
void vfs_note_locked(struct vfs *v, struct open_file *of);
/* Stored, or never to be: the note goes. */
void vfs_note_settle_locked(struct open_file *of);
/* The same, or it is left for the next mount. */
void vfs_note_leave_locked(struct open_file *of);
/* See vfs_recover.c. */
int vfs_recover_attrs(struct vfs *v, const struct state_intent *t, struct s3_error *err);

/* ---- vfs_attr.c ---- */

/* Stores the attributes of a file that has no upload coming, as a copy onto itself; of a directory,
 * in its marker. The caller is busy with it. Lock given up. */
int vfs_store_attrs_locked(struct vfs *v, struct open_file *of, struct s3_error *err);
/* Attributes were changed: stored in a while, or now. The caller is busy with the file. Lock given
 * up. */
int vfs_attrs_changed_locked(struct vfs *v, struct open_file *of, struct s3_error *err);
/* What storing attributes later than they were set came to, once. */
int vfs_take_attrs_error(struct inode *i);
/* Whether times are kept in the metadata of what is written there; elsewhere LastModified tells. */
bool vfs_keeps_times_locked(const struct vfs *v, const struct inode *i);
/* The time of change of a file that is written now. */
int64_t vfs_write_time_locked(struct vfs *v, const struct inode *i);
/* Asks for attributes of a file that are too old. Lock given up. */
int vfs_refresh_locked(struct vfs *v, struct inode *i, struct s3_error *err);
/* Whether nobody has to be asked what the object's metadata is. */
bool vfs_metadata_is_own_locked(struct vfs *v, const struct inode *i);
/* Before a change of some of the attributes: the rest, so that it is kept. Lock given up. */
int vfs_know_attrs_locked(struct vfs *v, struct open_file *of, struct s3_error *err);
int vfs_know_dir_locked(struct vfs *v, struct inode *dir, struct s3_error *err);

/* ---- vfs_read.c ---- */

/* The handle's reader goes. Lock given up. */
void vfs_reader_drop_locked(struct vfs *v, struct vfs_file *file);

/* ---- vfs_order.c ---- lock held */

/* A file is read for the first time: the walk that has come to it, or one that begins with it.
 * Borrowed until the lock is given up; NULL = none is known here. */
struct vfs_file_walk *vfs_order_note_locked(struct vfs *v, const struct inode *i);
/* NULL when others have taken its place. */
struct vfs_file_walk *vfs_order_find_locked(struct vfs *v, uint64_t id);
/* How many files ahead are worth fetching, small ones and larger ones. */
unsigned vfs_order_small(const struct vfs_file_walk *w);
unsigned vfs_order_large(const struct vfs_file_walk *w);
/* Where the walk is; false when that is not listed any more. */
bool vfs_order_place_locked(struct vfs *v, const struct vfs_file_walk *w, struct vfs_place *ret);
/* The file that follows; NULL = none is known within *budget entries. */
const struct dir_entry *vfs_order_next_locked(struct vfs *v, const struct vfs_file_walk *w,
                                              struct vfs_place *p, unsigned *budget);
/* A file of that size was read to its end / was closed before, / what was fetched was not read. */
void vfs_order_whole(struct vfs_file_walk *w, uint64_t size, uint64_t trust_max);
void vfs_order_left(struct vfs_file_walk *w);
void vfs_order_wasted(struct vfs_file_walk *w);

/* ---- vfs_sibling.c ---- */

/* A handle is read for the first time: fetches the files behind it, if it is in the order in which
 * they are read. Lock given up. */
void vfs_sibling_read_locked(struct vfs *v, struct file_reader *fr);
/* And so many bytes of it were read, up to end. Lock given up. */
void vfs_sibling_progress_locked(struct vfs *v, struct file_reader *fr, uint64_t end, size_t len);
/* It is not read any more. */
void vfs_sibling_left_locked(struct vfs *v, const struct file_reader *fr);
/* The reader of that version, if it was fetched; the caller's. *ret_old: one that is out of date,
 * to be freed without the lock. */
struct reader *vfs_sibling_take_locked(struct vfs *v, const char *key, const char *etag,
                                       struct reader **ret_old);
void vfs_siblings_free(struct vfs *v);

/* ---- vfs_recover_names.c ---- see vfs_recover.c ---- */

struct state_intent;
/* The inode of a key, with those above it, without asking whether they are there. Referenced. Lock
 * held. */
int vfs_inode_of_key_locked(struct vfs *v, const char *key, struct inode **ret);
/* Of two directories, with nothing above either of them being moved. Lock given up meanwhile. */
int vfs_dirs_of_keys_locked(struct vfs *v, const char *key, const char *key2, struct inode *ret[2]);
int vfs_recover_rename_file(struct vfs *v, const struct state_intent *t, struct s3_error *err);
int vfs_recover_rename_dir(struct vfs *v, const struct state_intent *t, struct s3_error *err);
int vfs_recover_hidden(struct vfs *v, const struct state_intent *t, struct s3_error *err);

/* ---- vfs_exclusive.c ---- */

/* What is known of a name that looks like a lock is believed no longer than this. */
#define VFS_LOCK_TTL_NS ((uint64_t)NS_PER_S)
bool vfs_is_lock_name(const struct vfs *v, const char *name);
/* It, or the directory that it is in: some programs lock with files in one. dir may be NULL. */
bool vfs_is_lock(const struct vfs *v, const struct inode *dir, const char *name);
uint64_t vfs_lock_name_ttl(const struct vfs *v, const char *name, uint64_t ttl_ns);
/* Whether O_EXCL of the name is decided by the store, at the open. */
bool vfs_excl_at_open(const struct vfs *v, const char *name);
/* Puts an empty object for a new file, which must not be there: else -EEXIST. Lock given up. */
int vfs_make_stub_locked(struct vfs *v, struct open_file *of, struct s3_error *err);
/* The content did not get there: the empty object goes, unless it is another one by now. */
void vfs_remove_stub_locked(struct vfs *v, struct open_file *of);

/* ---- vfs_exchange.c ---- */

/* The caller is busy with both; the second is in dir. Lock given up. */
int vfs_exchange_locked(struct vfs *v, struct open_file *of[2], struct inode *dir,
                        struct s3_error *err);
struct state_intent;
int vfs_recover_exchange(struct vfs *v, const struct state_intent *t, const char *etag_a,
                         const char *etag_b, const char *hidden, struct s3_error *err);

/* ---- vfs_exchange_dir.c ---- */

/* One exchange with a directory at a time; taken before any guard. */
void vfs_exchange_begin_locked(struct vfs *v);
void vfs_exchange_end_locked(struct vfs *v);
/* Waits while the name, or the directory that it is in, is being exchanged: the store shows neither
 * or a mixture. name NULL = of the directory alone. The caller has a reference, and no guard. */
void vfs_exchange_wait_locked(struct vfs *v, const struct inode *dir, const char *name);
/* One of them is a directory at least. Within begin and end, and guards of both parents. Lock given
 * up. */
int vfs_exchange_dir_locked(struct vfs *v, struct inode *i, struct inode *k, struct s3_error *err);
int vfs_recover_exchange_dir(struct vfs *v, const struct state_intent *t, struct s3_error *err);

/* ---- vfs_unlinked.c ---- the caller is busy with the file; lock given up ---- */

/* Before its key goes: sees to it that those who have the file open can read on. */
int vfs_preserve_locked(struct vfs *v, struct open_file *of, struct s3_error *err);
/* The name has gone / has not gone after all. */
void vfs_name_lost_locked(struct vfs *v, struct open_file *of);
void vfs_name_kept_locked(struct vfs *v, struct open_file *of);
/* A new key for what has no name. */
int vfs_hidden_key(char key[VFS_HIDDEN_KEY_SIZE]);
/* A handle that could read is closed. */
void vfs_reader_left_locked(struct vfs *v, struct inode *i);

/* ---- vfs_write.c ---- */

/* The shared state of an inode, made when it is not there; referenced. Lock held. */
int vfs_open_file_get_locked(struct vfs *v, struct inode *i, struct open_file **ret);
/* Gives a reference back; the last one frees the writer. Lock held, given up meanwhile. */
void vfs_open_file_put_locked(struct vfs *v, struct open_file *of);
/* Waits until nobody else is busy with the file, and is it then; and the end of that. */
void vfs_open_file_begin_locked(struct vfs *v, struct open_file *of);
/* The same; -ENOENT, and this thread is not busy with it, when the file does not have this name any
 * more. */
int vfs_open_file_begin_named_locked(struct vfs *v, struct open_file *of, const struct inode *dir,
                                     const char *component);
void vfs_open_file_end_locked(struct vfs *v, struct open_file *of);
/* The writer, made when there is none; truncated: without the old content. */
int vfs_writer_locked(struct vfs *v, struct open_file *of, bool truncated, struct s3_error *err);
/* Frees the writer, which has nothing to store. The caller is busy with the file. Lock given up. */
void vfs_writer_drop_locked(struct vfs *v, struct open_file *of);
/* Puts content and attributes into the store. The caller is busy with the file. Lock held, given
 * up meanwhile. */
int vfs_commit_locked(struct vfs *v, struct open_file *of, struct s3_error *err);
/* The content alone, with the attributes that its upload takes along. */
int vfs_commit_content_locked(struct vfs *v, struct open_file *of, struct s3_error *err);
/* Asks for the version that is about to be changed: its headers and foreign metadata are kept for
 * the next one; with attrs its own attributes become the inode's. -ESTALE when it is not the one
 * that was known (which it is from then on), or gone. Lock given up. */
int vfs_load_base_locked(struct vfs *v, struct open_file *of, bool attrs, struct s3_error *err);
/* The content has this size by writing, and waits for a commit. */
void vfs_written_locked(struct vfs *v, struct open_file *of, uint64_t size);
/* The content is in the store, as this version. */
void vfs_committed_locked(struct vfs *v, struct open_file *of, const struct store_version *version,
                          uint64_t size);
/* Cuts or grows the content; the caller is busy with the file. Lock given up. */
int vfs_truncate_locked(struct vfs *v, struct open_file *of, uint64_t size, struct s3_error *err);
/* Takes a handle and a reference back; the last handle's commits. Lock given up. */
int vfs_close_locked(struct vfs *v, struct open_file *of, struct s3_error *err);
/* A new file that did not reach the store: the name was only here. */
void vfs_never_stored_locked(struct vfs *v, struct inode *i);
/* Whether an upload is still to come, which takes the attributes along. */
static inline bool vfs_upload_pending(const struct open_file *of)
{
    return of->writer && (of->dirty || of->absent);
}
/* Whether reads must go to the writer. */
static inline bool vfs_open_file_unclean(const struct open_file *of)
{
    return of->writer && (of->dirty || of->busy || of->absent);
}

/* ---- vfs_rename.c, vfs_rename_dir.c ---- lock held, given up for requests */

/* Attributes of its own that move into the directory are marked there first. */
int vfs_rename_mark_locked(struct vfs *v, struct inode *dir, const struct inode *i,
                           struct s3_error *err);
/* What is cached of the files below is of objects that are no longer there. */
void vfs_expire_below_locked(struct vfs *v, struct inode *dir);
/* The inode gets a new name in memory; what had it before loses it. */
int vfs_rename_inode_locked(struct vfs *v, struct inode *i, struct inode *dir,
                            const char *component);
/* target: the directory that has the new name, to be replaced if it is empty; NULL = none. */
int vfs_rename_dir_locked(struct vfs *v, struct inode *i, struct inode *dir, const char *component,
                          const char *key, struct inode *target, bool noreplace,
                          struct s3_error *err);

/* ---- vfs_rename_attrs.c ---- */

/* What a rename's copy carries under the new name, when it is not just what the source does: c's
 * attrs, from *attrs, arena and *o (an answer of the store, filled if it was asked). */
int vfs_rename_attrs_locked(struct vfs *v, struct open_file *of, const char *component,
                            struct vfs_copy *c, char etag[STORE_ETAG_SIZE], struct arena *arena,
                            struct store_object *o, struct store_attrs *attrs,
                            struct s3_error *err);
/* After it: what the file is like now. Lock given up. */
void vfs_renamed_attrs_locked(struct vfs *v, struct inode *i, struct inode *dir,
                              const struct store_object *o, int64_t modified_ns);

/* ---- vfs_fanout.c ---- requests in parallel */

struct fanout;
typedef void (*fanout_fn)(void *ctx, int result, const struct s3_error *err);
int fanout_new(struct store *store, unsigned limit, struct fanout **ret);
/* Waits while `limit` requests are under way. done runs on a store thread; it must not block. NULL:
 * only the first failure is kept. 0, or a failure of this or an earlier request, and then this one
 * was not sent. */
int fanout_submit(struct fanout *f, enum store_op op, const void *in, void *out, fanout_fn done,
                  void *ctx);
/* Waits for all. The first failure (without a done function, or as it returned). */
int fanout_wait(struct fanout *f, struct s3_error *err);
void fanout_free(struct fanout *f); /* waits too; NULL ok */

#endif
