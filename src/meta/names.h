/* SPDX-License-Identifier: Apache-2.0 */
/* File names for every key, and keys for every file name.
 *
 * A key is components between '/'. Nearly all components are file names as they stand; this module
 * gives a name to the rest, and a component to the few file names that cannot stand in a key.
 * "%@" marks what was changed: no text that was percent-encoded by someone else contains it.
 *
 * Component (in the bucket)              File name (in the mount)
 *   report.txt                             report.txt
 *   "" (as in a//b)  "."  ".."             %@   %@.   %@..
 *   bytes that are not UTF-8: caf\xE9      %@caf%E9
 *   begins with the mark itself: %@x       %@%25@x
 *   object a where a/b exists too          %@a%file       (a is the directory)
 *   longer than 255 bytes                  %@<its beginning>%+<20 hex digits of its SHA-256>
 *   %@=caf%E9                              caf\xE9        (a name that is not UTF-8)
 *   %@=%25@x%zz                            %@x%zz         (a name that only looks like one of ours)
 *
 * After the mark '%' stands as %25 and a byte that is no UTF-8 as %XX; everything else stays. Only
 * the one spelling that name_from_component makes is recognised, so both directions are unique:
 *     name_to_component(name_from_component(c)) == c    for every component
 *     name_from_component(name_to_component(n)) == n    for every name
 * A name with a hash cannot be turned back by itself: the directory is searched for the component
 * that gives this name (name_matches), and nothing can be created under it.
 *
 * Pure functions. Errors: -errno as said at each. */
#ifndef PAILFS_META_NAMES_H
#define PAILFS_META_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#define NAME_LENGTH_MAX      255u  /* bytes of a file name (Linux NAME_MAX) */
#define COMPONENT_LENGTH_MAX 1024u /* bytes of a whole key */

/* What a file name stands for. */
struct name_target {
    char component[COMPONENT_LENGTH_MAX + 1]; /* NUL-terminated; of a hashed name: its beginning */
    size_t len;
    bool file_only; /* the form of an object that has a directory of the same name beside it */
    bool hashed;    /* search the directory for components that begin with `component` */
};

/* Hadoop, EMR and their like mark directory x by an empty object x_$folder$. The length of x when
 * the component is such a marker's, else 0. */
#define FOLDER_MARK "_$folder$"
size_t name_folder_mark(const char *component, size_t len);
/* Whether the component is its own file name. */
bool name_is_plain(const char *component, size_t len);
/* beside_directory: the component is an object and a directory has the same component.
 * 0, or -ENOMEM / -EIO from the digest of an overlong component. */
int name_from_component(const char *component, size_t len, bool beside_directory,
                        char out[NAME_LENGTH_MAX + 1]);
/* name: not "", "." or "..", without '/'. 0, or -ENAMETOOLONG. */
int name_to_component(const char *name, struct name_target *ret);
/* Whether name_from_component(component, ...) is `name`, in either form. */
bool name_matches(const char *name, const char *component, size_t len);

#endif
