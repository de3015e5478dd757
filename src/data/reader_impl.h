/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of a reader: its ranges. A range is one GET and the bytes it brought; the reader has a
 * short list of them, each byte of the object in at most a few.
 *
 * A range is in the list (findable) or cut loose; it is freed when it is loose, its request has
 * ended and nobody copies from it. The request holds a reference to the reader. */
#ifndef PAILFS_DATA_READER_IMPL_H
#define PAILFS_DATA_READER_IMPL_H

#include "data/buffer.h"
#include "data/prefetch.h"
#include "data/reader.h"
#include "data/sums.h"

/* Objects up to this size are fetched whole, without a range: then the store can check the
 * checksum of the whole, and the bytes are served when it has. */
#define READER_WHOLE_MAX MIB

/* Requests that one read may send. */
#define READER_BATCH 64

enum reader_state {
    READER_UNKNOWN, /* no answer yet: which version is not decided */
    READER_ASKING,  /* one thread has sent the request that decides */
    READER_KNOWN,
};

/* See reader_check.c. */
enum check_state {
    CHECK_OFF, /* not begun, not possible, or nothing to complain of */
    CHECK_SUMMING,
    CHECK_ASKING, /* for the stored checksum */
    CHECK_TOLD,   /* it is known; bytes are still to come */
    CHECK_DOUBT,  /* of parts whose sizes are not known for certain: they are to be asked for */
    CHECK_PARTS,  /* they are being asked for */
    CHECK_UNTOLD, /* one could not be asked for: to be told, then it is CHECK_DOUBT again */
    CHECK_WRONG,  /* what came is not what is stored: what nobody has read is to be fetched again */
    CHECK_SPOILT, /* nor is what came then, or all of it was read */
    CHECK_GONE,   /* it differed, and the object was replaced before it was known why */
};
struct reader_check {
    enum check_state state;
    struct sums sums;
    enum sums_algo algo; /* of the stored one; from CHECK_TOLD on */
    uint64_t stored, came;
    uint64_t part_stored; /* of the part that is wrong */
    uint64_t part_size;   /* 0 = it is of the whole object */
    uint64_t n_parts;
    uint64_t wrong_from, wrong_until; /* when wrong or spoilt */
    uint64_t given;                   /* what readers have got lies before that */
    bool again;                       /* what lies from again_from on was fetched again */
    uint64_t again_from;
    unsigned turn;           /* that was so often */
    char why[160];           /* untold */
    bool decided, left_out;  /* whether it is one of those that are not asked about */
    bool fetched;            /* not all of it is from the disk cache */
    bool warned;             /* that it cannot be asked for */
    struct store_head_in in; /* of the request */
    struct store_object out;
};

/* A thread that waits until a range has so many bytes, or has ended. On its stack. */
struct range_waiter {
    struct range_waiter *next;
    uint64_t until;
    bool woken;
    pthread_cond_t cond;
};

struct range {
    struct range *next; /* in reader->ranges */
    struct reader *reader;
    /* Set before the request and constant, but for length, which begin cuts at the object's end. */
    uint64_t offset;
    uint64_t sent_ns;
    bool whole;    /* GET without a range */
    bool decides;  /* the request without a condition that decides about the version */
    bool started;  /* by reader_start, and decides: nobody waits for its end */
    bool guess;    /* sent under the version that the hint tells, before an answer has told one */
    unsigned sum;  /* CRCs that are wanted of it; set before, constant, as the next */
    unsigned turn; /* the check's */
    struct sums_crcs crcs; /* of [summed, filled); the request's thread's own, as the next */
    uint64_t summed;
    bool demand;       /* somebody waits for it from the start; else prefetched */
    uint64_t demanded; /* bytes that the budget counts so, until it is done */
    bool local;        /* from the disk cache, no request */

    /* Protected by the reader's lock: */
    uint64_t length;
    uint64_t read;   /* bytes that reads have had; the same ones may count twice */
    uint64_t filled; /* bytes [0, filled) of the buffer are valid and never change */
    bool done;
    bool too_large; /* whole: the object turned out to be too large for that */
    bool listed;
    bool unread; /* by reader_start, and nobody has read of it */
    unsigned pins;
    struct range_waiter *waiters;
    uint64_t last_use;
    int result; /* when done */

    struct buffer buffer;
    struct s3_error err; /* when done with result < 0 */
    struct store_get_in in;
    struct store_sink sink;
    struct store_object out;
};

/* What the disk cache has for a reader. */
struct reader_blocks {
    struct block_object object; /* of the version that the hint tells, then of the one it is */
    bool usable;                /* object is set */
    bool believed;
    bool looking; /* it is not decided whether the cache or the store tells the version */
    bool all;     /* the whole object is there, as far as is known */
};

struct reader {
    struct data *d;
    char *key;
    uint64_t hint_size;
    char hint_etag[STORE_ETAG_SIZE]; /* "" = none */
    void (*version_changed)(void *ctx, const struct store_object *o);
    void *ctx;
    struct data_share share;
    struct reader *next, **link; /* in d's list; protected by d->readers_lock */

    pthread_mutex_t lock;
    pthread_cond_t cond; /* the version was told, or the request for it has ended */
    unsigned refs;       /* protected by lock, as all below */
    enum reader_state state;
    bool closed;     /* reader_free was called */
    bool stale;      /* the store has another version by now */
    bool adopted;    /* was begun ahead, and has not been read since it was handed over */
    bool hint_wrong; /* the store has another version than the hint, or none */
    uint64_t size;   /* as the hint has it, until the version is known */
    char etag[STORE_ETAG_SIZE];
    struct store_object changed; /* for version_changed, until it was called */
    bool has_changed;
    struct prefetch prefetch;
    struct reader_blocks blocks;
    struct reader_check check;
    struct range *ranges;
    unsigned in_flight;
    bool ahead;                        /* reader_start, and not adopted yet */
    bool is_stream;                    /* counted in d->streams */
    bool refused;                      /* the last new range, by the budget */
    unsigned waiting;                  /* reads that wait for bytes */
    uint64_t waiting_since, waited_ns; /* from the first to the last of them; until it was told */
    uint64_t tick;
    uint64_t last_read_ns;
};

/* ---- reader.c ---- */

/* After in_flight or ahead has changed. */
void reader_count_locked(struct reader *r);
/* Cut the reader's reference; frees it with the last one. Not locked. */
void reader_unref(struct reader *r);
void reader_set_version_locked(struct reader *r, const struct store_object *o);
/* Returns when the version is known, or the error of the request that should have told it. That
 * request is *ret_first for the thread that sent it, pinned, or NULL. For others it may return
 * while that is under way, when there is a hint to go by until then. Not locked. */
int reader_learn_version(struct reader *r, const struct prefetch_run *run, uint64_t offset,
                         size_t len, struct range **ret_first, struct s3_error *reterr);
/* The start and length of the request that fetches pos, when nobody reads sequentially there. */
void reader_plan_random_locked(const struct reader *r, uint64_t pos, uint64_t end,
                               uint64_t *ret_offset, uint64_t *ret_length);
/* Ranges ahead of the run, listed and to be submitted: as far as window, parallelism and budget
 * allow. */
unsigned reader_plan_ahead_locked(struct reader *r, const struct prefetch_run *run,
                                  struct range **batch, unsigned max, bool *ret_refused);
int reader_stale(const struct reader *r, struct s3_error *reterr);
int reader_no_memory(struct s3_error *reterr);

/* ---- reader_blocks.c ---- */

void reader_blocks_init(struct reader *r, bool believed);
/* The version is known; it is not the hint's. */
void reader_blocks_version_locked(struct reader *r);
/* How the version is found out. KNOWN: it is, without a request, and the bytes at offset are there.
 * Not locked. */
enum reader_ask { READER_ASK_GET, READER_ASK_HEAD, READER_ASK_NONE };
enum reader_ask reader_blocks_begin(struct reader *r, uint64_t offset, size_t len);
/* The cache decided nothing more: who waits for that goes on. */
void reader_blocks_begun_locked(struct reader *r);
/* Whether the cache has anything of the version that the hint tells. Not locked. */
bool reader_blocks_has_some(struct reader *r);
/* Whether it has the byte at pos, of the version that is known; never before that. */
bool reader_blocks_has_locked(struct reader *r, uint64_t pos);
/* End of what it has from pos on, a block at least; pos when it has nothing there. As far as the
 * hint tells while the version is not known, as the next one: for planning. */
uint64_t reader_blocks_end_locked(struct reader *r, uint64_t pos);
/* The first byte in [pos, end) that it has, or end. */
uint64_t reader_blocks_next_locked(struct reader *r, uint64_t pos, uint64_t end);
/* Reads pos, and what of [pos, end) is in the same block, into a range. False: it is not there. The
 * lock is given up meanwhile. */
bool reader_blocks_load_locked(struct reader *r, uint64_t pos, uint64_t end);
/* The range has brought all its bytes: blocks that are complete by that go to the cache. */
void reader_blocks_offer_locked(struct reader *r, struct range *g);
/* What came is not what is stored: nothing of it is kept. The lock is given up meanwhile. */
void reader_blocks_spoilt_locked(struct reader *r);

/* ---- reader_check.c ---- */

/* It is about to be asked for. */
void reader_check_range_locked(struct reader *r, struct range *g);
/* Bytes are about to be added at the end of it. The request's thread, not locked. */
void reader_check_bytes(struct range *g, const char *data, size_t len);
/* It has come, all of it or what will be used of it. */
void reader_check_add_locked(struct range *g);
/* The same for a range of the disk cache, which begins at a chunk's begin. Sets the CRCs of its
 * chunks that are wanted: if there are any, they are summed without the lock, and added. */
void reader_check_local_locked(struct range *g);
void reader_check_sum_local(unsigned algos, const struct iovec *iov, int n_iov,
                            struct sums_crcs crcs[BLOCK_FILE_CHUNKS]);
void reader_check_add_local_locked(struct range *g, const struct sums_crcs crcs[BLOCK_FILE_CHUNKS]);
/* Asks for the stored checksum when it is time. May give up the lock. */
void reader_check_ask_locked(struct reader *r);
/* After a read that ends there, which was begun when check.turn was that: 0, or that the bytes were
 * not what is stored, or -EAGAIN: they are to be read anew. May wait for the answer to that
 * question, once all bytes have come. */
int reader_check_result_locked(struct reader *r, unsigned turn, uint64_t end,
                               struct s3_error *reterr);

/* ---- range.c ---- */

/* Allocates a range and lists it; NULL when refused (r->refused) or out of memory. DATA_TRY: it is
 * ahead of any read. */
struct range *range_new_locked(struct reader *r, uint64_t offset, uint64_t length,
                               enum data_reserve_mode mode);
/* A demanded one was refused: waits until it may be had. Gives up the lock meanwhile. 0 or -EINTR.
 */
int range_wait_room_locked(struct reader *r);
struct range *range_find_locked(struct reader *r, uint64_t pos);
/* End of the nearest range at or before pos / start of the nearest behind it. */
uint64_t range_end_before_locked(const struct reader *r, uint64_t pos);
uint64_t range_start_after_locked(const struct reader *r, uint64_t pos);
/* Sends the request. Without the lock: it may complete before this returns. */
void range_submit(struct range *g);
void range_pin_locked(struct range *g);
void range_unpin_locked(struct range *g);
/* Takes it out of the list; freed at once or when its request ends. */
void range_cut_locked(struct range *g);
/* Bytes from pos on that can be copied now. */
uint64_t range_available_locked(const struct range *g, uint64_t pos);
/* Waits until the first `until` bytes are valid, or it is done. It may be in the list or not. 0, or
 * -EINTR: nobody waits for them any more. */
int range_wait_locked(struct range *g, uint64_t until);
/* A range that was filled otherwise than by a request has ended. It may be gone after that. */
void range_end_locked(struct range *g, int result);
/* Gives up what no run is about to read, oldest first. */
void range_trim_locked(struct reader *r);
/* The reader is closed. What has come stays while something is under way that makes a block of the
 * disk cache with it. */
void range_drop_closed_locked(struct reader *r);
/* Gives up all that nobody waits for. */
void range_drop_idle_locked(struct reader *r);

#endif
