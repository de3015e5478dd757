/* SPDX-License-Identifier: Apache-2.0 */
/* One multipart upload: parts go out in parallel, at most d->parallel at a time and as many as
 * d->pace allows, and the first failure stays.
 *
 * Life:    upload_begin -> upload_part/upload_copy... -> upload_complete -> upload_free, which
 *          aborts it in the store unless it was completed, once the parts under way have ended.
 *          What is under way holds references; data_free waits for it.
 * Threads: the functions are for one thread at a time (the writer serialises); parts end on any.
 * Errors:  0 or -errno with *reterr filled. */
#ifndef PAILFS_DATA_UPLOAD_H
#define PAILFS_DATA_UPLOAD_H

#include "data/buffer.h"

struct upload;

/* Sends the request that creates it, with the attributes (borrowed for the call). The share is the
 * one of all buffers that are given to upload_part; a reference is kept. */
int upload_begin(struct data_share *share, const char *key, const struct store_attrs *attrs,
                 struct upload **ret, struct s3_error *reterr);
/* Index of the next part, from 0. */
uint32_t upload_next_index(const struct upload *u);
/* Sends the buffer's content as the next part; the buffer is empty afterwards, its memory is given
 * back when the part is stored. Waits while as many requests as may be are under way. */
int upload_part(struct upload *u, struct buffer *b, struct s3_error *reterr);
/* As upload_part, but the buffer is kept: unchanged until upload_wait has returned. */
int upload_part_kept(struct upload *u, struct buffer *b, struct s3_error *reterr);
/* The next part is a range of an object in the store, of that version. */
int upload_copy(struct upload *u, const char *source_key, const char *source_etag, uint64_t offset,
                uint64_t length, struct s3_error *reterr);
/* The same, under a number that the caller has chosen, of each one once: not to be mixed with the
 * above, and all are given before upload_wait. upload_copy_as may run beside upload_part_as. */
int upload_part_as(struct upload *u, uint32_t number, struct buffer *b, struct s3_error *reterr);
int upload_copy_as(struct upload *u, uint32_t number, const char *source_key,
                   const char *source_etag, uint64_t offset, uint64_t length,
                   struct s3_error *reterr);
/* Waits for all parts; the first failure. Also after a failure nothing is under way then. */
int upload_wait(struct upload *u, struct s3_error *reterr);
/* Parts that could not be sent stay in memory, until that is wanted for something else. After
 * upload_wait: whether something has failed, all of that is there (with its owner, what
 * upload_part_kept was given), and what was retained besides is forgotten. */
bool upload_can_mend(struct upload *u);
/* Sends them once more, and waits for all parts. */
int upload_mend(struct upload *u, struct s3_error *reterr);
/* After upload_wait. A failure leaves the parts in place: it may be tried again, or after
 * upload_drop_last go on. An answer that was lost is recognised by the ETag that this upload, and
 * no other, results in. *ret of a failure: as store_upload_complete_in says. */
int upload_complete(struct upload *u, const char *if_match, bool if_absent,
                    struct store_version *ret, struct s3_error *reterr);
/* After upload_wait: the first failure was that of a copy. */
bool upload_copy_failed(struct upload *u);
/* Parts that were sent stay in memory for a while, as long as all of them fit: what was given to
 * upload_part, in order and without what was copied. After upload_wait: whether all of it is still
 * there. Also of an upload that has failed. */
bool upload_is_retained(struct upload *u);
/* Hands it out, position after position, until fn fails; then it is forgotten. False, and fn was
 * not called: it is gone by now. *ret: fn's last result. */
typedef int (*upload_piece_fn)(void *ctx, uint64_t position, const struct buffer *b);
bool upload_hand_out(struct upload *u, upload_piece_fn fn, void *ctx, int *ret);
/* What follows makes no sense of it. */
void upload_drop_retained(struct upload *u);
/* Memory is wanted: nothing is retained any more by any upload. */
void uploads_give_back(struct data *d);

/* Forgets the last part: the next one gets its number. */
void upload_drop_last(struct upload *u);
void upload_id(const struct upload *u, char ret[STORE_UPLOAD_ID_SIZE]);
/* upload_free will not abort it. */
void upload_keep(struct upload *u);
void upload_free(struct upload *u); /* NULL ok */

/* The server has put together other bytes than were sent: to complete it again would not help. */
bool upload_sum_differs(const struct s3_error *err);
/* True for errors after which the request may nevertheless have had its effect. */
bool upload_error_is_uncertain(const struct s3_error *err);

#endif
