/* SPDX-License-Identifier: Apache-2.0 */
/* s3d's memory across restarts: one append-only file, replayed at start and then rewritten
 * without what has been undone.
 *
 * Record: u32 length of payload, u32 CRC32C of payload, payload = u8 type and fields (little
 * endian; byte strings as u32 length and bytes). A record that is cut short or whose CRC does not
 * match ends the file: what a kill tore off was never acknowledged... except that nothing is
 * fsync'ed, so a power cut may lose acknowledged changes. s3d is a tool for trying and testing.
 *
 * Appends happen under the bucket's lock, so that the order of records is that of the changes. */
#ifndef S3D_JOURNAL_H
#define S3D_JOURNAL_H

#include "store.h"

/* Replays dir_fd/journal into st (buckets, next_blob, next_upload), rewrites it, and stays open
 * for appending. */
int journal_open(struct store *st, struct journal **ret);
void journal_close(struct journal *j);

int journal_bucket_created(struct journal *j, const struct bucket *b);
int journal_bucket_deleted(struct journal *j, const char *name);
int journal_versioning(struct journal *j, const struct bucket *b, enum versioning v);
int journal_published(struct journal *j, const struct bucket *b, const char *key, size_t len,
                      const struct version *v);
int journal_removed(struct journal *j, const struct bucket *b, const char *key, size_t len,
                    const struct version *v);
int journal_upload_created(struct journal *j, const struct bucket *b, const char *key, size_t len,
                           const struct upload *u);
int journal_part_added(struct journal *j, const struct bucket *b, const char *key, size_t len,
                       const struct upload *u, const struct part *p);
int journal_upload_ended(struct journal *j, const struct bucket *b, const char *key, size_t len,
                         const struct upload *u);

#endif
