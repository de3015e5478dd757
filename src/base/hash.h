/* SPDX-License-Identifier: Apache-2.0 */
/* uthash, configured so that running out of memory is an error that can be seen (the macro leaves
 * the element's hh.tbl NULL) and never an exit. Include this, never uthash.h itself. */
#ifndef PAILFS_BASE_HASH_H
#define PAILFS_BASE_HASH_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

/* True when the last HASH_ADD* of elt did not find the memory for it. */
#define HASH_ADD_FAILED(elt) ((elt)->hh.tbl == NULL)

#endif
