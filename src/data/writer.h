/* SPDX-License-Identifier: Apache-2.0 */
/* The new content of one object, shared by every handle that has the file open for writing.
 *
 * A stream goes up as a multipart upload, parts in parallel and growing by index, of which only the
 * unsent one goes to the local disk, when memory is short; content that fits the first part is kept
 * whole in memory and is one PUT. Whatever a stream cannot do (writes in the middle of something
 * large, reads of what has left memory) makes the writer staged: changes go into a file on the
 * local disk (stage.h), and a commit sends those and copies the rest inside the store (plan.h). The
 * store's old object stays until a commit has succeeded, with one exception: when a stream becomes
 * staged of which more was sent than is kept in memory for that (64 MiB, if there is room), what
 * was sent so far is completed first, as by a commit. After a commit the writer goes on: further
 * appends start a new upload whose first parts are copied inside the store from the committed
 * version.
 *
 * Life:    writer_new -> write/truncate/read -> writer_commit (any number) -> writer_free (aborts
 *          an upload that was not committed).
 * Threads: any; calls on one writer are serialised inside. Blocks for memory (back-pressure).
 * Errors:  a part that fails makes the writer staged when all that was sent is still at hand. What
 *          is staged is there after any failure, and the next commit tries again. Otherwise what
 *          could not be sent is kept, and the next write that sends something, or commit, sends it
 *          again; only when memory is so short that it had to go the failure stays: every later
 *          write and commit returns it until writer_free. The store's old object is untouched.
 * -ENOSPC: no room on the local disk; what a write that failed was to replace may have changed in
 * part. */
#ifndef PAILFS_DATA_WRITER_H
#define PAILFS_DATA_WRITER_H

#include "data/data.h"
#include "data/landing.h"

struct writer;

struct writer_options {
    const char *key; /* copied */
    /* The version that the content begins with: NULL etag = empty (new file or truncated). Small
     * ones (up to the first part) are read into memory on first need, large ones are copied inside
     * the store; of those the end (up to the first part's size) can be rewritten. */
    const char *base_etag;
    uint64_t base_size;
    /* Attributes for the object, asked for when an upload begins or a PUT is made, from inside a
     * write or commit: it must not call the writer. The result is borrowed until the next call with
     * the same ctx. May be NULL: none. */
    int (*attrs)(void *ctx, struct store_attrs *ret);
    void *attrs_ctx;
    /* A version was stored by something else than writer_commit (see above): called from inside a
     * write, read or truncate. May be NULL. */
    void (*stored)(void *ctx, const struct store_version *version, uint64_t size);
    void *stored_ctx;
    /* Conditions on the first commit; later ones carry If-Match of the version before. */
    const char *if_match; /* copied; NULL = none */
    bool if_absent;
    bool through; /* see store_put_in */
};

int writer_new(struct data *d, const struct writer_options *opts, struct writer **ret);
int writer_write(struct writer *w, uint64_t offset, const void *buf, size_t len,
                 struct s3_error *reterr);
/* Grows with zeros or cuts. */
int writer_truncate(struct writer *w, uint64_t size, struct s3_error *reterr);
/* Writes what has arrived, of which it may take blocks. -EXDEV, and nothing was done: not as things
 * are here, the bytes must be given to writer_write. */
int writer_write_landed(struct writer *w, uint64_t offset, struct landing *l, size_t len,
                        struct s3_error *reterr);
/* Zeros in [offset, offset + len) as far as that lies within the size. */
int writer_zero(struct writer *w, uint64_t offset, uint64_t len, struct s3_error *reterr);
/* A range of one version of an object in the store. */
struct writer_source {
    const char *key;
    const char *etag;
    uint64_t offset;
};
/* Appends the range, copied inside the store: it is there when this returns 0. -EXDEV, and nothing
 * was done: not as things are here, the bytes must be written. */
int writer_copy_range(struct writer *w, uint64_t offset, const struct writer_source *source,
                      uint64_t length, struct s3_error *reterr);
/* The caller has put a version of `size` bytes under the key, by a copy inside the store: that is
 * the content from now on. Only while the content is empty; else -EBUSY. */
int writer_adopt(struct writer *w, const struct store_version *version, uint64_t size);
int writer_read(struct writer *w, uint64_t offset, void *buf, size_t len, size_t *ret_len,
                struct s3_error *reterr);
/* The next data (or hole: zeros that nobody has written) from offset on; the end is a hole. -ENXIO:
 * offset, or all data, is before that. */
int writer_seek(struct writer *w, uint64_t offset, bool hole, uint64_t *ret);
uint64_t writer_size(struct writer *w);
/* Written or truncated (or never committed and new) since the last commit. Neither this nor the
 * size waits for a call that is under way. */
bool writer_dirty(struct writer *w);

struct writer_result {
    struct store_version version;
    uint64_t size;
    bool attrs_stale; /* the upload began with attributes that may have changed since */
};
/* Everything is in the store under the key when this returns 0. Nothing to do is 0 with the last
 * result. Where a condition does not hold: -EEXIST with if_absent, else -ESTALE (the object was
 * replaced or removed); the kind is S3_ERROR_PRECONDITION or S3_ERROR_NO_SUCH_KEY. After a failure
 * that no part has caused, another commit tries again. An answer that was lost on the way is
 * recognised by the ETag of what is stored. */
int writer_commit(struct writer *w, struct writer_result *ret, struct s3_error *reterr);
/* The object was renamed in the store (rename of an open file): later commits go to this key. Only
 * while nothing is under way: commit first. */
int writer_set_key(struct writer *w, const char *key, const char *etag);
/* It was removed: commits succeed without storing anything from now on. */
void writer_orphan(struct writer *w);

/* What writer_save has made. */
struct writer_saved {
    uint64_t size; /* of the content, and of the file */
    /* A hole in the file where content belongs that is not here any more: parts of a long stream
     * that have been sent, or the version that it began with, if that cannot be read. Length 0 =
     * the file is whole. */
    uint64_t missing_offset, missing_length;
    /* The upload that has it, "" = none: its parts in order are the content [0, upload_length).
     * writer_free aborts it unless writer_keep_upload was called. */
    char upload_id[STORE_UPLOAD_ID_SIZE];
    uint64_t upload_length;
};
/* Brings the current content into an empty file, zeros as holes; also when the writer has failed or
 * a commit has lost to another host. Nothing changes in
 * the writer. -errno of the file. */
int writer_save(struct writer *w, int fd, struct writer_saved *ret, struct s3_error *reterr);
/* The upload under way stays in the store: writer_free does not abort it. */
void writer_keep_upload(struct writer *w);
/* Brings here what is only in the store, so that the object may go. -EXDEV: too much, and then all
 * of it is in the object under the key. */
int writer_hold(struct writer *w, struct s3_error *reterr);
/* An orphan's: what is only in the store is under this key now. */
int writer_move_base(struct writer *w, const char *key, const char *etag);
void writer_free(struct writer *w); /* NULL ok */

#endif
