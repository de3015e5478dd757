/* SPDX-License-Identifier: Apache-2.0 */
/* A decorator of the store that remembers over mounts what HEAD told of objects
 * (meta/metadata_db.h). A HEAD whose asker knows the version from a listing (store_head_in.known)
 * is answered from there when exactly that version is remembered; every other request passes
 * through, and what HEADs find out is remembered. Keys that this mount changes are
 * forgotten, and asked for by and by when nothing else has been for own_after_ns
 * (meta/remember_own.h): the first walk of the next mount finds them remembered.
 *
 * It gives way: rows are written in groups, in the background, and dropped while too many wait; an
 * error of the disk is told once and ends its use for this mount, and while the disk does not
 * answer HEADs pass through. It never fails a request.
 *
 * Life:    store_remember_new(inner) -> store_... -> store_free (frees inner; writes what waits).
 * Threads: any. One thread of its own owns the database; it looks up, passes on what it does not
 *          find, and runs completions of what it does. */
#ifndef PAILFS_META_STORE_REMEMBER_H
#define PAILFS_META_STORE_REMEMBER_H

#include "meta/metadata_db.h"
#include "store/store.h"

struct store_remember_options {
    struct metadata_db_options db; /* strings are copied */
    uint64_t own_after_ns;         /* 0: own changes are not asked for */
    bool every;                    /* walks ask for the attributes of all objects (posix=on) */
};

/* Takes inner on success. */
int store_remember_new(struct store *inner, const struct store_remember_options *opts,
                       struct store **ret);
/* Whether there is anything that could be remembered of objects. */
bool store_remember_has_rows(struct store *s);

struct store_remember_figures {
    uint64_t rows;
    uint64_t found;   /* HEADs that were answered from here */
    uint64_t asked;   /* HEADs that were passed on */
    uint64_t own;     /* HEADs of own changes */
    uint64_t waiting; /* own changes that are to be asked for */
    uint64_t dropped; /* rows that were not written because too many waited */
    bool off;
};
void store_remember_get(struct store *s, struct store_remember_figures *ret);
/* Waits until all that was remembered is written, and own changes that are due have been asked for.
 * For tests. */
void store_remember_settle(struct store *s);

#endif
