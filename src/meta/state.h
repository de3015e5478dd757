/* SPDX-License-Identifier: Apache-2.0 */
/* state.db: what a mount must know after a crash. SQLite, write-ahead log, synchronous=FULL: what a
 * call here has acknowledged survives kill -9 and power loss. FORMAT.md has every table.
 *
 * Life:    state_open -> calls -> state_close. A database that is damaged is moved aside
 *          (state.db.broken-<time>) and a new one begun, with a line in the log.
 * Threads: every function from any thread. One writer thread owns the connection; jobs that wait
 *          at the same time share a transaction and its fsync, each in a savepoint of its own, so
 *          that one that fails does not spoil the others. Jobs run in the order of their submit.
 *          Blocking forms must not be called from a job or its done.
 * Errors:  0 or -errno: -ENOSPC disk full, -EIO, -ENOMEM.
 * Trust:   rows are checked when they are read (types, lengths, a CRC). One that does not hold is
 *          moved to the table aside with a line in the log; it is never returned. */
#ifndef PAILFS_META_STATE_H
#define PAILFS_META_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"

struct state;
struct sqlite3;

#define STATE_KEY_MAX     4096u       /* bytes of a key in a row */
#define STATE_PAYLOAD_MAX (16u << 20) /* bytes of an intent's payload */

struct state_options {
    const char *path; /* the folder, see state_dir.h */
    /* What the folder is for: another one's folder is refused (-EINVAL). */
    const char *endpoint;
    const char *bucket;
    const char *prefix;
    struct clock *clock; /* borrowed; NULL = clock_system() */
};
int state_open(const struct state_options *opts, struct state **ret, struct s3_error *err);
/* Waits for what was submitted. NULL ok. */
void state_close(struct state *st);
/* Rows that the next mount has to look at are left (intents, uploads, journal). */
bool state_unfinished(struct state *st);
/* The folder. Borrowed. */
const char *state_path(struct state *st);
/* Whether the database was damaged, at the open or since: begun anew, or without the end of its
 * log. */
bool state_begun_anew(struct state *st);
/* Rows that were acknowledged may be missing since some open: what is on the disk and no row names
 * is not garbage then. It stays so, also over mounts, until all of that is settled. */
bool state_doubtful(struct state *st);
void state_settled(struct state *st);

/* ---- Jobs: for the modules that keep tables in state.db (they include state_impl.h) ---- */

struct state_job {
    /* On the writer thread, within a transaction. 0 or -errno (then its changes are undone). May
     * run more than once: when the transaction that it shared failed, it is tried alone. */
    int (*run)(struct sqlite3 *db, void *ctx);
    /* On the writer thread, after the commit (or the failure). Must not block; may submit. The job
     * belongs to the submitter again. */
    void (*done)(void *ctx, int result);
    void *ctx;
    /* the writer thread's */
    int result;
    struct state_job *next;
};
void state_submit(struct state *st, struct state_job *job);
/* Submit and wait. What only reads costs no fsync. */
int state_write(struct state *st, int (*run)(struct sqlite3 *db, void *ctx), void *ctx);

/* Commits (each one fsync) and jobs in them, since the open. */
struct state_stats {
    uint64_t commits;
    uint64_t jobs;
    uint64_t rows_aside; /* rows that did not hold what they should, ever */
};
void state_stats(struct state *st, struct state_stats *ret);

/* ---- Intents: operations of several steps, noted before the first and forgotten after the last */

enum state_intent_kind { /* values are on disk */
                         STATE_INTENT_RENAME_DIR = 1,
                         STATE_INTENT_RENAME_FILE = 2,
                         STATE_INTENT_DELETE = 3,
                         STATE_INTENT_ATTRS = 4,
                         STATE_INTENT_UPLOAD = 5, /* reserved: uploads have a table of their own */
                         STATE_INTENT_EXCHANGE = 6,
                         STATE_INTENT_KIND_MAX,
};
const char *state_intent_kind_name(enum state_intent_kind kind); /* "rename-dir" ... */

struct state_intent {
    uint64_t id;
    enum state_intent_kind kind;
    const char *key;     /* never NULL, at most STATE_KEY_MAX */
    const char *key2;    /* NULL = none */
    const void *payload; /* NULL = none; a NUL follows it */
    size_t payload_len;
    int64_t time_ns; /* wall clock at begin: for people, may have jumped */
};

/* Durable when it returns 0. Keys are relative to the mount's prefix; key2 and payload may be
 * NULL. */
int state_intent_begin(struct state *st, enum state_intent_kind kind, const char *key,
                       const char *key2, const void *payload, size_t payload_len, uint64_t *ret_id);
/* Another payload. -ENOENT: no such intent. Durable when it returns 0. */
int state_intent_update(struct state *st, uint64_t id, const void *payload, size_t payload_len);
/* An absent one is no error. */
int state_intent_end(struct state *st, uint64_t id);
/* The same without waiting for the disk: after a crash it may be there still, so what resumes it
 * must find its work done already. */
void state_intent_end_later(struct state *st, uint64_t id);

/* Calls fn for the intents of one kind (0 = all) that were there when the state was opened, oldest
 * first, on the caller's thread; fn may call everything here. Not those begun since. fn's non-zero
 * return ends it and is returned. */
typedef int (*state_intent_fn)(void *ctx, const struct state_intent *intent);
int state_intents_before(struct state *st, int kind, state_intent_fn fn, void *ctx);
/* All that there are now, of every age. */
int state_intents_now(struct state *st, int kind, state_intent_fn fn, void *ctx);
int state_intent_count(struct state *st, uint64_t *ret);

/* ---- What the server does with conditions, found out by a probe (one row) ---- */

/* server: what it calls itself; text: store_caps_print. */
int state_caps_put(struct state *st, const char *server, const char *text);
/* -ENOENT: never found out, of another server, too long ago (or in the future). */
int state_caps_get(struct state *st, const char *server, uint64_t max_age_ns, char *buf,
                   size_t size);

/* ---- Uploads: multipart uploads of this mount (written by store_ledger.h) ---- */

struct state_upload {
    uint64_t row;
    const char *key;
    const char *upload_id; /* NULL = the request to begin it may or may not have arrived */
    int64_t begun_ns;      /* wall clock of this host just before */
    bool keep;             /* somebody needs its parts: not to be aborted */
};
enum state_upload_what {
    STATE_UPLOAD_BEGIN,   /* key -> row */
    STATE_UPLOAD_CREATED, /* row, upload_id */
    STATE_UPLOAD_KEEP,    /* upload_id */
    STATE_UPLOAD_LET_GO,  /* upload_id */
    STATE_UPLOAD_END,     /* row, or when it is 0 upload_id */
};
struct state_upload_note {
    enum state_upload_what what;
    const char *key; /* borrowed until the note is written, like upload_id */
    const char *upload_id;
    uint64_t row;
    int64_t time_ns;      /* filled in by BEGIN */
    struct state_job job; /* for submit: done is the caller's; its ctx is the note */
};
/* -ENOENT: no row with that upload_id (KEEP, LET_GO, CREATED). */
int state_upload_write(struct state *st, struct state_upload_note *n);
void state_upload_submit(struct state *st, struct state_upload_note *n);
/* Its parts hold data that is nowhere else: store_ledger leaves it alone until it is let go of. */
int state_upload_keep(struct state *st, const char *upload_id, bool keep);
int state_upload_count(struct state *st, uint64_t *ret);
typedef int (*state_upload_fn)(void *ctx, const struct state_upload *upload);
/* As state_intents_before, _now. */
int state_uploads_before(struct state *st, state_upload_fn fn, void *ctx);
int state_uploads_now(struct state *st, state_upload_fn fn, void *ctx);

#endif
