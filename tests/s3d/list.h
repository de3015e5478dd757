/* SPDX-License-Identifier: Apache-2.0 */
/* What the listings (keys, versions, uploads) have in common. */
#ifndef S3D_LIST_H
#define S3D_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct request;

#define LIST_MAX 1000 /* entries of a page */

struct bytes {
    const char *p;
    size_t len;
};

/* "" when the parameter is absent. Borrowed from the request. */
struct bytes list_param(const struct request *r, const char *name);
bool list_starts_with(const char *key, size_t len, struct bytes prefix);
/* Length of the common prefix that the key is rolled up into, 0: none. The key starts with
 * prefix. */
size_t list_roll_up(const char *key, size_t len, struct bytes prefix, struct bytes delimiter);
/* max-keys, max-uploads: capped at LIST_MAX; and encoding-type. False: refused. */
bool list_limits(struct request *r, const char *max_name, uint64_t *ret_max, bool *ret_url);

#endif
