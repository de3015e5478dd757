/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that this mount has changed, and that are to be asked for when they are settled, so that
 * they can be remembered (meta/store_remember.h): what was sent cannot be, for within the second of
 * LastModified another host may have changed the attributes, and nothing would show it.
 *
 * Only what a walk would ask for comes out again: objects that were sent with metadata, others in
 * directories whose marker says that attributes are kept there. Each key once, at the time of its
 * last change.
 *
 * Life:    remember_own_new -> ... -> remember_own_free.
 * Threads: one at a time.
 * Errors:  without memory, and beyond LIMIT_METADATA_OWN, keys are not noted. */
#ifndef PAILFS_META_REMEMBER_OWN_H
#define PAILFS_META_REMEMBER_OWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct remember_own;

/* every: walks ask for all objects (posix=on). NULL without memory. */
struct remember_own *remember_own_new(bool every);
void remember_own_free(struct remember_own *o); /* NULL ok */

/* due_ns: not before the one of the call before. metadata: it was sent with some. */
void remember_own_changed(struct remember_own *o, const char *key, bool metadata, uint64_t due_ns);
/* The key that was taken is taken once more then. */
void remember_own_again(struct remember_own *o, const char *key, uint64_t due_ns);
void remember_own_gone(struct remember_own *o, const char *key);
/* Attributes are kept in the directory of this marker; one that does not end in '/' stands for the
 * root. */
void remember_own_marked(struct remember_own *o, const char *marker);
bool remember_own_is_marked(const struct remember_own *o, const char *marker);

/* UINT64_MAX: there is none. */
uint64_t remember_own_due_ns(const struct remember_own *o);
/* The next one that is due and wanted, which the caller frees; NULL = none. *ret_again (NULL ok):
 * it is taken once more. */
char *remember_own_take(struct remember_own *o, uint64_t now_ns, bool *ret_again);
size_t remember_own_count(const struct remember_own *o);

#endif
