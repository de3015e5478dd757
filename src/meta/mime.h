/* SPDX-License-Identifier: Apache-2.0 */
/* Media types of file names: from the host's /etc/mime.types, else shared-mime-info's globs2, else
 * a small table of our own. Extensions are compared without case; of "a.tar.gz" the longest that
 * is known counts.
 *
 * Life:    mime_type reads the files once, at its first call. The strings live for ever.
 * Threads: mime_type from any. A table of one's own (tests) is constant once made. */
#ifndef PAILFS_META_MIME_H
#define PAILFS_META_MIME_H

#define MIME_DEFAULT "application/octet-stream"

/* Never NULL: MIME_DEFAULT when the name tells nothing. */
const char *mime_type(const char *name);

struct mime_table;
/* Either path may be NULL or absent. Lines that make no sense are passed over. 0 or -ENOMEM. */
int mime_table_new(const char *mime_types, const char *globs2, struct mime_table **ret);
void mime_table_free(struct mime_table *t); /* NULL ok */
const char *mime_table_find(const struct mime_table *t, const char *name);

#endif
