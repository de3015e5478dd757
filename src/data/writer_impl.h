/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a writer. writer.c changes the content, writer_commit.c brings it into the store,
 * writer_stage.c has both for a staged one.
 *
 * The content of a stream, from its start to w->size, is made of
 *
 *     [0, base_keep)        the first bytes of the version in the store, not in memory
 *     [base_keep, start)    sent as parts of the upload under way; empty without one
 *     [start, start + len)  the buffer, or when memory is short a local file (writer_spill.c)
 *     [start + len, size)   zeros that nobody has written: materialised when something follows
 *
 * Everything is in the buffer (base_keep = start = 0) as long as it fits the first part. With a
 * stage, all of it is there, and base_keep, start and the buffer are empty.
 *
 * All functions below but writer_is_orphan are for the one call that is inside. */
#ifndef PAILFS_DATA_WRITER_IMPL_H
#define PAILFS_DATA_WRITER_IMPL_H

#include "data/buffer.h"
#include "data/plan.h"
#include "data/stage.h"
#include "data/upload.h"
#include "data/writer.h"

/* A PUT whose answer was lost: what it would have made. etag "" = none. */
struct writer_doubt {
    char etag[STORE_ETAG_SIZE];
    struct arena arena; /* holds attrs */
    struct store_attrs attrs;
};

struct writer {
    struct data *d;
    struct data_share *share; /* a reference */
    int (*attrs)(void *ctx, struct store_attrs *ret);
    void *attrs_ctx;
    void (*stored)(void *ctx, const struct store_version *version, uint64_t size);
    void *stored_ctx;

    pthread_mutex_t lock;
    pthread_cond_t idle;
    bool busy; /* protected by lock: one call at a time is inside */
    /* Protected by lock: the one inside sends a stage that nobody changes, and reads of it run
     * beside.
     */
    bool open_for_reads;
    unsigned reads;
    /* Protected by lock; written by the one inside. */
    uint64_t size;
    bool dirty;
    bool orphan;

    /* For the one inside. */
    char *key;
    char base_etag[STORE_ETAG_SIZE]; /* the version that [0, base_keep) is of */
    uint64_t base_keep;
    uint64_t start;
    struct buffer buffer;
    struct stage *spill; /* instead of the buffer, which is empty then; NULL = none */
    uint64_t spill_len;
    bool no_spill;         /* the disk has refused this part */
    uint64_t counted;      /* bytes of the buffer that data counts as dirty */
    struct upload *upload; /* NULL = none under way */
    struct stage *stage;   /* NULL = a stream */
    bool changed; /* staged: since the completion was sent whose effect is not known (upload) */
    struct writer_doubt doubt;
    char if_match[STORE_ETAG_SIZE];
    bool if_absent;
    bool through;
    bool no_copies; /* the store has refused to copy what is there: it is fetched and sent */
    int failed;     /* stays */
    struct s3_error failed_err;
    struct writer_result last;

    struct writer *next_staged, **link_staged; /* protected by d->writers_lock */
};

/* What a stream cannot do: nothing was done that doing it again on the stage would not repeat. */
#define WRITER_NEEDS_STAGE 1

/* One call at a time. */
void writer_enter(struct writer *w);
void writer_leave(struct writer *w);
/* From begin to end nothing of the stage is changed. end waits for the reads. */
void writer_reads_begin(struct writer *w);
void writer_reads_end(struct writer *w);
/* false when somebody is inside. */
bool writer_try_enter(struct writer *w);

void writer_set_size(struct writer *w, uint64_t size, bool dirty);
bool writer_is_orphan(struct writer *w);

int writer_no_memory(struct s3_error *reterr);
/* Makes the failure one that stays; returns it. */
int writer_keep_failure(struct writer *w, int result, const struct s3_error *err);
int writer_old_failure(const struct writer *w, struct s3_error *reterr);

/* Reads [offset, offset + length) of the base. */
int writer_get_base(struct writer *w, uint64_t offset, uint64_t length, char *to,
                    struct s3_error *reterr);
/* Makes [from, ...) writable when it lies in a small base; of it [from, until) must keep its
 * content. Or WRITER_NEEDS_STAGE. */
int writer_open_base(struct writer *w, uint64_t from, uint64_t until, struct s3_error *reterr);
/* Forgets the base from `size` on, with all that follows. */
void writer_cut_base(struct writer *w, uint64_t size);
/* Appends zeros up to `end`. Or WRITER_NEEDS_STAGE. */
int writer_fill_to(struct writer *w, uint64_t end, struct s3_error *reterr);

int writer_get_attrs(struct writer *w, struct store_attrs *ret, struct s3_error *reterr);
/* Starts the upload and the copies of the base, if that has not been done. */
int writer_need_upload(struct writer *w, struct s3_error *reterr);

/* ---- writer_spill.c ---- */

/* Bytes of the buffer, or of what stands for it. */
uint64_t writer_held(const struct writer *w);
/* Memory was waited for in vain: the buffer goes to the local disk, where writing goes on. If that
 * cannot be, or for a few bytes (it is to hold `until`), memory beyond the limit is granted. */
void writer_spill(struct writer *w, uint64_t until);
void writer_drop_spill(struct writer *w);
/* What is there in a buffer that counts as leaving; the file stays until it is dropped. */
int writer_load(struct writer *w, struct buffer *ret, struct s3_error *reterr);
/* Writes at <= writer_held. *ret_done false: nothing was, and the content is in memory again. */
int writer_spill_write(struct writer *w, uint64_t at, const char *from, size_t len, bool *ret_done,
                       struct s3_error *reterr);
/* Cuts, or grows with zeros. */
int writer_spill_resize(struct writer *w, uint64_t len, struct s3_error *reterr);
/* Calls fn with what is held, piece by piece, without large holes, until it fails. */
typedef int (*writer_piece_fn)(void *ctx, uint64_t position, const char *data, size_t len);
int writer_held_visit(const struct writer *w, writer_piece_fn fn, void *ctx);

/* ---- writer_commit.c ---- */

/* The condition that the version in the store has to meet; NULL = none. */
const char *writer_condition(const struct writer *w);
/* Completes the upload, on that condition. */
int writer_complete(struct writer *w, struct store_version *ret, struct s3_error *err);
/* What a failed request means: the conditions are ours, so we know why one does not hold. Created
 * by somebody else, or replaced or removed since. */
int writer_conflict(const struct writer *w, int result, const struct s3_error *err);
/* One PUT of the buffer. */
int writer_put(struct writer *w, struct store_version *ret, struct s3_error *err);
/* A version of ours is in the store: what follows builds on it. */
void writer_builds_on(struct writer *w, const struct store_version *version);

/* ---- writer_stage.c ---- */

/* From a stream to a stage. What was sent and is not here any more becomes the base, by completing
 * its upload. */
int writer_to_stage(struct writer *w, struct s3_error *reterr);
/* A part could not be sent. Where all of the content is still at hand, the writer is staged and
 * tries again at the next commit; else the failure stays. Returns it. */
int writer_stream_failed(struct writer *w, int result, const struct s3_error *err);
/* The content goes with it. */
void writer_drop_stage(struct writer *w);
int writer_commit_stage(struct writer *w, struct store_version *ret, struct s3_error *err);

/* ---- writer_send.c ---- */

/* Begins an upload, w->upload, and sends or copies all parts. Also after a failure nothing is under
 * way then. */
int writer_send_plan(struct writer *w, const struct plan *plan, struct s3_error *err);

#endif
