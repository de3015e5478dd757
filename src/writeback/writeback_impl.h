/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of writeback: the table of pending changes, and what its files share.
 *
 * A change is one PUT, COPY or DELETE of one key. Its life:
 *     PREPARING  in the chain of its key, being journaled; not yet seen by readers
 *     READY      acknowledged; waits for those before it (blockers), its time and a free place
 *     SENDING    a request is under way, or its answer is being looked into
 *     ENDING     the store has it; its row is being dropped, again and again when that fails
 * and then it leaves the chain and those that waited for it go on. A change that the journal could
 * not take is `direct`: it has no row, nobody but its caller knows of it, and it ends with the
 * first answer of the store.
 *
 * What must wait for what: a change of a key for the one before it on the key, and for the pending
 * copies that read the key; a copy for the change before it on its source; the release of a lock
 * for everything before it, for who gets the lock next must see it.
 *
 * Functions named _locked are called with wb->lock held. wb_unlock runs what became due: no
 * callback and no submit happens under the lock. */
#ifndef PAILFS_WRITEBACK_WRITEBACK_IMPL_H
#define PAILFS_WRITEBACK_WRITEBACK_IMPL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/pool.h"
#include "writeback/alias.h"
#include "writeback/key_table.h"
#include "writeback/record.h"
#include "writeback/writeback.h"

struct wb_op;
TAILQ_HEAD(wb_op_all, wb_op);
TAILQ_HEAD(wb_op_queue, wb_op);

/* A request from above. */
struct wb_call {
    struct writeback *wb;
    enum store_op op;
    const void *in; /* borrowed, as out */
    void *out;
    store_done_fn done;
    void *ctx;
    struct wb_call *next; /* in one list at a time */
    int result;
    struct s3_error err;
    unsigned tries;    /* a read that found what it was to read moved on */
    uint64_t since_ns; /* it waits for room */
};
struct wb_calls {
    struct wb_call *head, **tail;
};

/* Content, shared by the changes that have it. */
struct wb_body {
    unsigned refs; /* protected by wb->lock */
    uint64_t size;
    uint64_t file;        /* number in the folder; 0 = in the row of each change */
    void *data;           /* a copy in memory, or NULL: constant once a change is acknowledged */
    bool counted;         /* in wb->cached */
    atomic_bool verified; /* the file had the content that was announced, when it was looked at */
    struct wb_body *next_dead;
};

/* succ waits for pred. */
struct wb_edge {
    struct wb_op *pred; /* NULL = has ended */
    struct wb_op *succ;
    struct wb_edge *next; /* of pred's */
};

struct wb_key {
    struct key_node node;
    TAILQ_HEAD(wb_op_chain, wb_op) ops;       /* oldest first */
    TAILQ_HEAD(wb_op_readers, wb_op) readers; /* pending copies of it */
    struct wb_calls stalled;                  /* until the newest change is decided */
    struct wb_op *ghost; /* the last that ended, while a listing from before that is under way */
    unsigned pins;       /* changes that have it as their source */
    char key[];
};

enum wb_state { WB_PREPARING, WB_READY, WB_SENDING, WB_ENDING };

struct wb_op {
    uint64_t seq;
    enum wb_kind kind;
    enum wb_cond cond;
    struct wb_key *key;
    char *etag;     /* announced; NULL for WB_DELETE */
    char *if_match; /* of WB_ETAG, the store's; of WB_ANY what was made here before it, not sent */
    uint64_t size;
    int64_t mtime_ns;
    void *attrs; /* encoded */
    size_t attrs_len;
    struct wb_body *body;    /* WB_PUT */
    struct wb_key *source;   /* WB_COPY */
    struct wb_op *source_op; /* the pending change to copy; NULL = source_etag */
    char *source_etag;       /* the store's; NULL = any */
    bool keep_attrs;
    bool after_all; /* waits for every change before it */
    bool of_many;   /* came as one of many, and goes with others also on condition; until refused */

    enum wb_state state;
    bool acked;      /* shown to readers */
    bool direct;     /* no row: see above */
    bool empty;      /* nothing to send: another change has taken its place */
    bool held;       /* not to be sent: a change that may take its place is being journaled */
    bool maybe_sent; /* a request may have had its effect already */
    bool looked;     /* and the key was looked at since: it may be sent again */
    bool lost;       /* it lost a conflict, or builds on a version that did */
    bool lost_told;
    bool stored;  /* the store has it */
    bool stuck;   /* the journal did not drop its row: who flushes need not wait for that */
    bool no_cond; /* the store refuses its own ETag */
    unsigned tries;
    unsigned confirmed; /* looks that found the key gone */
    unsigned copies;    /* changes with this one as source_op */
    unsigned blockers;
    uint64_t since_ns; /* monotonic */
    uint64_t ready_ns;
    uint64_t again_ns;  /* not before */
    uint64_t flush_seq; /* when the oldest change that this one stands for was acknowledged */
    char *real_etag;    /* once stored */
    struct wb_call *call;
    struct wb_op *absorbs; /* takes the place of this one when journaled, and then has: */
    enum wb_cond merged_cond;
    char *merged_if_match;
    bool merged_empty;

    struct wb_edge *edges; /* what it waits for; an array */
    unsigned n_edges;
    struct wb_edge *waiters;
    TAILQ_ENTRY(wb_op) chain; /* of the key */
    TAILQ_ENTRY(wb_op) reader;
    bool reading; /* in source->readers */
    TAILQ_ENTRY(wb_op) all;
    TAILQ_ENTRY(wb_op) queue;
    struct wb_op_queue *in; /* that it is in; NULL = none */

    struct journal_change change;
    struct journal_row row;
    uint64_t drop;
    void *record;
    uint64_t ghost_stamp;
};

/* Somebody waits until what was pending is stored. */
struct wb_flush {
    struct wb_call *call;
    struct wb_key *key; /* pinned; NULL = all */
    uint64_t seq;       /* acks when it began */
    uint64_t left;
    TAILQ_ENTRY(wb_flush) link;
};

struct wb_list; /* a listing under way, list.c */
TAILQ_HEAD(wb_lists, wb_list);

struct writeback {
    struct store store; /* first */
    struct writeback_options opts;
    struct store *inner;
    bool leave_inner;
    struct journal *journal;
    struct clock *clock;
    char *dir;
    int dir_fd;
    struct threadpool *pool;
    pthread_t sender;
    bool sender_started;

    pthread_mutex_t lock;
    pthread_cond_t wake; /* the sender's */
    pthread_cond_t idle; /* something ended */
    /* protected by lock: */
    bool stopping;
    bool resting; /* the sender has nothing to do before a certain time, or is woken */
    struct key_table keys;
    struct alias_table *aliases;
    struct wb_op_all ops; /* by number */
    struct wb_op *fence;  /* the newest with after_all that is pending */
    uint64_t n_ops;
    uint64_t bytes;
    uint64_t cached; /* bytes of bodies in memory */
    uint64_t next_seq;
    uint64_t acks;  /* counts them */
    uint64_t stamp; /* counts ends and listings */
    struct wb_lists lists;
    struct wb_op_queue ghosts; /* by stamp */
    struct wb_op_queue ready, ready_deletes, ready_direct, sleeping;
    unsigned running;
    unsigned running_deletes;
    unsigned tasks; /* journal changes, tasks and passed requests under way */
    uint64_t running_bytes;
    uint64_t pause_until_ns; /* the store cannot be reached: one try at a time from then on */
    unsigned pauses;         /* in a row */
    TAILQ_HEAD(, wb_flush) flushes;
    unsigned draining;
    unsigned directs; /* changes that somebody waits for */
    struct wb_calls throttled;
    struct wb_calls finished;     /* to be told */
    struct wb_calls again;        /* to be dispatched anew */
    struct wb_op_queue empties;   /* ended without a request: they leave at wb_unlock */
    struct wb_op_queue endings;   /* their rows are to be dropped */
    bool endings_now;             /* somebody waits for one of them */
    struct wb_op_queue undropped; /* the journal has refused to drop theirs; not again before: */
    uint64_t undropped_again_ns;
    struct wb_op_queue failing; /* direct ones that end with what they wait for */
    struct wb_op_queue losing;  /* for lost+found */
    struct wb_body *dead;       /* files to be removed */
    uint64_t *damaged;          /* rows that do not hold; at the start */
    size_t n_damaged;
    uint64_t random;
    uint64_t mark; /* of this process, in the ETags that it makes up; does not change */
    struct writeback_stats stats;
    uint64_t last_log_ns;
};

/* ---- writeback.c ---- */

void wb_unlock(struct writeback *wb);
void wb_dispatch(struct wb_call *c);
static inline void wb_calls_init(struct wb_calls *l)
{
    l->head = NULL;
    l->tail = &l->head;
}
static inline void wb_calls_add(struct wb_calls *l, struct wb_call *c)
{
    c->next = NULL;
    *l->tail = c;
    l->tail = &c->next;
}
/* The call's done runs at wb_unlock. err may be NULL. */
void wb_finish_locked(struct wb_call *c, int result, const struct s3_error *err);
/* The same, at once; not under the lock. */
void wb_finish(struct wb_call *c, int result, const struct s3_error *err);
int wb_no_memory(struct s3_error *err);
int wb_no_such_key(const char *key, struct s3_error *err);
int wb_precondition(const char *key, struct s3_error *err);
uint64_t wb_now(const struct writeback *wb);
static inline void wb_wake_locked(struct writeback *wb)
{
    wb->resting = false;
    pthread_cond_signal(&wb->wake);
}

/* ---- overlay.c: keys, chains, what waits for what ---- */

/* NULL = no memory (with make) or not there. */
struct wb_key *wb_key_get_locked(struct writeback *wb, const char *key, bool make);
/* Forgets it when nothing needs it. */
void wb_key_put_locked(struct writeback *wb, struct wb_key *k);
/* What readers see: the newest acknowledged change; NULL = what the store has. */
struct wb_op *wb_visible_locked(const struct wb_key *k);
/* A change of it is not decided yet, or is on its way to lost+found. */
bool wb_undecided_locked(const struct wb_key *k);
struct wb_op *wb_op_new(enum wb_kind kind);
void wb_op_free_locked(struct writeback *wb, struct wb_op *op);
/* Puts it at the end of the chain; takes a number. 0 or -ENOMEM. */
int wb_link_locked(struct writeback *wb, struct wb_op *op, struct wb_key *k, struct wb_key *source);
/* It leaves, whatever it came to; those that waited go on. */
void wb_unlink_locked(struct writeback *wb, struct wb_op *op);
/* Those that waited for the newest change are dispatched anew. */
void wb_wake_stalled_locked(struct writeback *wb, struct wb_key *k);
/* Prepares that op takes the place of the change before it, if it may. */
void wb_absorb_locked(struct writeback *wb, struct wb_op *op);
void wb_absorbed_locked(struct writeback *wb, struct wb_op *op, bool journaled);
/* Acknowledged, or direct: the sender may have it when nothing blocks it. */
void wb_ready_locked(struct writeback *wb, struct wb_op *op);
void wb_enqueue_locked(struct writeback *wb, struct wb_op *op);
void wb_dequeue_locked(struct wb_op *op);
void wb_queue_locked(struct wb_op_queue *q, struct wb_op *op);
/* The object that a change makes, as HEAD tells it; 0 or -ENOMEM. */
int wb_object_locked(const struct wb_op *op, struct store_object *ret);
void wb_ghosts_locked(struct writeback *wb);
/* 0, or what the store would say. */
int wb_check_locked(const struct wb_op *visible, const char *key, const char *if_match,
                    bool if_absent, struct s3_error *err);

/* ---- body.c: content on disk ---- */

struct wb_body *wb_body_new(uint64_t size);
void wb_body_unref_locked(struct writeback *wb, struct wb_body *b);
/* Writes and syncs a file; etag gets the quoted MD5. 0 or -errno. */
int wb_body_write(struct writeback *wb, uint64_t number, const struct iovec *iov, int n_iov,
                  char etag[STORE_ETAG_SIZE]);
int wb_body_open(struct writeback *wb, const struct wb_body *b);
/* All of it into memory of the caller's (free()). op must not end meanwhile. */
int wb_body_load(struct writeback *wb, const struct wb_body *b, uint64_t seq, void **ret);
/* The content of a row, or that of a file, is the announced one; a file is gone through once. 0,
 * -EBADMSG or why it cannot be told. */
int wb_data_check(const void *data, uint64_t size, const char *etag);
int wb_file_check(struct wb_body *b, int fd, const char *etag);
int wb_etag_of(const struct iovec *iov, int n_iov, char etag[STORE_ETAG_SIZE]);
void wb_bodies_remove(struct writeback *wb, struct wb_body *dead);

/* ---- salvage.c: at the start, before there are other threads ---- */

/* A row that does not hold. 0 or -ENOMEM. */
int wb_damaged_add(struct writeback *wb, uint64_t seq);
/* Content that no change has is removed, or kept in lost+found when rows may be missing. */
void wb_salvage(struct writeback *wb);

/* ---- change.c: what alters something ---- */

void wb_put(struct wb_call *c);
void wb_copy(struct wb_call *c);
void wb_delete(struct wb_call *c);
void wb_delete_many(struct wb_call *c);
/* UPLOAD_COMPLETE, UPLOAD_PART_COPY: wait for the keys, then go to the store. */
void wb_complete(struct wb_call *c);
void wb_part_copy(struct wb_call *c);
/* The row of a change as it is now, to be written anew. */
int wb_encode_locked(const struct wb_op *op, bool merged, void **ret, size_t *ret_len);
bool wb_full_locked(const struct writeback *wb);
/* A direct change has its answer. */
void wb_direct_done_locked(struct writeback *wb, struct wb_op *op, int result,
                           const struct s3_error *err);

/* ---- read.c, list.c ---- */

void wb_head(struct wb_call *c);
void wb_get(struct wb_call *c);
void wb_list(struct wb_call *c);
/* The oldest listing under way began then; UINT64_MAX = none is. */
uint64_t wb_list_oldest_locked(const struct writeback *wb);
/* Passes a request on as it is. */
void wb_pass(struct wb_call *c);

/* ---- flush.c ---- */

void wb_flush(struct wb_call *c);
/* op ended; absorbed: `by` stands for it from now on. */
void wb_flush_ended_locked(struct writeback *wb, const struct wb_op *op);
void wb_flush_absorbed_locked(struct writeback *wb, struct wb_op *op, struct wb_op *by);
/* Nothing that was put off is put off any longer. */
void wb_hurry_locked(struct writeback *wb);
/* A try of op failed: tells who waits for it; everybody when nothing else would go better. */
void wb_flush_failed_locked(struct writeback *wb, struct wb_op *op, bool general, int result,
                            const struct s3_error *err);
/* op has ended but for its row, which cannot be dropped now: who waits for op alone goes on, what
 * must wait for the row fails. */
void wb_flush_stuck_locked(struct writeback *wb, struct wb_op *op, int result,
                           const struct s3_error *err);
bool wb_urgent_locked(const struct writeback *wb);
/* What is pending for the key must be stored before the call goes on (it is dispatched anew). */
int wb_wait_for_key_locked(struct wb_call *c, struct wb_key *k);

/* ---- send.c, outcome.c: the sender ---- */

void *wb_sender_main(void *arg);
/* Starts what wb->endings and wb->losing hold; not under the lock. */
void wb_endings_run(struct writeback *wb);
/* Without a condition it must not be sent twice blindly: another host may have been there since. */
static inline bool wb_looks_first(const struct wb_op *op)
{
    return op->maybe_sent && !op->looked && op->cond == WB_ANY && !op->direct;
}
/* The change of the key after it that has something to send. */
struct wb_op *wb_next_to_send_locked(const struct wb_op *op);
/* The store has it under this ETag. */
void wb_stored_locked(struct writeback *wb, struct wb_op *op, const char *etag);
/* It lost: what its key or source has become. */
void wb_lose_locked(struct writeback *wb, struct wb_op *op, enum lost_reason why, const char *text);
void wb_retry_locked(struct writeback *wb, struct wb_op *op, int result,
                     const struct s3_error *err);

struct wb_send;
/* The answer to a request for one change; sends more, or decides. */
void wb_outcome(struct wb_send *s, int result, const struct s3_error *err);

#endif
