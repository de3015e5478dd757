/* SPDX-License-Identifier: Apache-2.0 */
/* lost+found: local files with what a program wrote and the store could not take, because another
 * host had changed the object meanwhile. Each item is two files in the folder (FORMAT.md):
 *     20261122T184501Z-report.txt         the content
 *     20261122T184501Z-report.txt.info    which key, based on which version, why, when
 * The content is renamed into place before its description: an item is never a description of
 * nothing, and content without a description is listed too.
 *
 * Life:    lost_open -> lost_begin, the caller fills the file, lost_end (or lost_cancel) ->
 * lost_close. Listing and dropping need the folder's name alone, so that pailctl does without a
 * mount. Threads: any. Everything here may block on the disk: hold no lock of the filesystem's.
 * Errors:  -errno of the disk; nothing is left behind then, and what was to be kept is untouched.
 */
#ifndef PAILFS_META_LOST_H
#define PAILFS_META_LOST_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/arena.h"

#define LOST_NAME_SIZE 160u /* of an item, with its NUL */

enum lost_reason {
    LOST_UNKNOWN,  /* the description is missing or broken */
    LOST_REPLACED, /* another version is there than the one that was changed */
    LOST_EXISTS,   /* the file was to be made, and is there already */
    LOST_REMOVED,  /* the version that was changed is gone, and nothing is there */
};
const char *lost_reason_name(enum lost_reason reason); /* "replaced" ... */

struct lost_note {
    /* Any bytes but NUL. Given: without the mount's prefix, as the store's port has it; told by a
     * list: the whole key. */
    const char *key;
    const char *base; /* ETag of the version that was changed; NULL or "" = none, a new file */
    enum lost_reason reason;
    uint64_t size; /* of the content */
    int64_t time_ns;
    /* What the file lacks: it has a hole there. length 0 = nothing. */
    uint64_t missing_offset, missing_length;
    /* An unfinished upload to the key whose parts hold [0, upload_length); NULL or "" = none. */
    const char *upload_id;
    uint64_t upload_length;
    bool has_content_crc; /* told by a list: what lost_verify goes by */
    uint32_t content_crc;
    /* Filled by the module when an item is made, told when it is listed. */
    const char *bucket, *endpoint, *prefix;
};

struct lost_options {
    const char *folder; /* made if it is not there; all copied */
    const char *bucket;
    const char *endpoint;
    const char *prefix; /* of the mount, "" = none */
};

struct lost;
/* Removes what a crash has left of unfinished items, which nobody was told of. */
int lost_open(const struct lost_options *opts, struct lost **ret);
void lost_close(struct lost *l); /* NULL ok */

struct lost_file {
    int fd; /* empty, read-write; closed by lost_end and lost_cancel */
    char temporary[LOST_NAME_SIZE];
};
int lost_begin(struct lost *l, struct lost_file *ret);
/* On the disk for good when it returns 0. ret_path: of the content; may be NULL. The file is gone
 * after a failure. */
int lost_end(struct lost *l, struct lost_file *f, const struct lost_note *note,
             char ret_path[PATH_MAX]);
void lost_cancel(struct lost *l, struct lost_file *f);
/* A body from memory. */
int lost_add_bytes(struct lost *l, const struct lost_note *note, const struct iovec *body,
                   int n_body, char ret_path[PATH_MAX]);
/* A file of this file system, which is moved; untouched after a failure. */
int lost_add_file(struct lost *l, const struct lost_note *note, const char *path,
                  char ret_path[PATH_MAX]);
/* Removes an item whose content is in a newer one. */
void lost_forget(struct lost *l, const char *path);

/* ---- for pailctl, by folder ---- */

struct lost_item {
    const char *name;      /* of the content's file */
    struct lost_note note; /* strings in the list's arena; reason LOST_UNKNOWN: key is "" */
};
struct lost_list {
    struct arena arena;
    struct lost_item *items; /* oldest first */
    size_t n;
};
/* A folder that is not there is an empty list. */
int lost_list(const char *folder, struct lost_list *ret);
void lost_list_done(struct lost_list *l);
/* -EBADMSG: its content is not what was kept, but damaged or changed. */
int lost_verify(const char *folder, const struct lost_item *item);
int lost_drop(const char *folder, const char *name);

#endif
