/* SPDX-License-Identifier: Apache-2.0 */
/* Inside state.db: for the modules of meta/ that keep a table there. A table is a row in
 * state_schema.c and a file state_<table>.c. All of it runs on the writer thread, in jobs. */
#ifndef PAILFS_META_STATE_IMPL_H
#define PAILFS_META_STATE_IMPL_H

#include <sqlite3.h>

#include "base/arena.h"
#include "meta/state.h"

#define STATE_SCHEMA_VERSION 1

/* File in the folder: rows that were acknowledged may be missing (state_doubtful). */
#define STATE_DOUBTFUL "doubtful"

struct state_table {
    const char *name;
    const char *sql; /* CREATE TABLE ..., as sqlite_schema must show it */
    const char
        *unfinished; /* SELECT of one row when something is left for the next mount, or NULL */
};
extern const struct state_table state_tables[];
extern const size_t state_n_tables;

/* -ENOSPC, -EIO, -ENOMEM, -EUCLEAN (damaged), -EPROTO (no such table or column) ... for a result
 * code of SQLite; 0 for OK, ROW, DONE. */
int state_errno(int rc);

DEFINE_CLEANUP(state_stmt_cleanup, sqlite3_stmt *, sqlite3_finalize)
#define CLEANUP_STMT CLEANUP(state_stmt_cleanup)

/* Prepares and binds: format has a letter for each '?': i (int64_t), s (const char *, NULL ok), b
 * (const void *, size_t; NULL ok). What is bound is borrowed until the statement is finalised. */
int state_prepare(sqlite3 *db, sqlite3_stmt **ret, const char *sql, const char *format, ...);
/* 1 a row, 0 the end, or -errno. */
int state_step(sqlite3_stmt *stmt);
/* Prepare, bind, step to the end. */
int state_exec(sqlite3 *db, const char *sql, const char *format, ...);

/* One number; 0 when there is no row. */
int state_query_int(sqlite3 *db, const char *sql, int64_t *ret);

/* Readers of columns that trust nothing: -EBADMSG for another type or a length over max. Texts hold
 * no NUL; *ret is a copy in a. NULL columns give NULL where nullable. */
int state_column_int(sqlite3_stmt *stmt, int column, int64_t *ret);
int state_column_text(sqlite3_stmt *stmt, int column, size_t max, bool nullable, struct arena *a,
                      const char **ret);
int state_column_blob(sqlite3_stmt *stmt, int column, size_t max, struct arena *a, const void **ret,
                      size_t *ret_len);

/* CRC-32C of a row's fields, to go into its column crc. Feed every other field, id included, in the
 * order of the columns. */
uint32_t state_crc_int(uint32_t crc, int64_t value);
uint32_t state_crc_text(uint32_t crc, const char *s); /* NULL and "" differ */
uint32_t state_crc_blob(uint32_t crc, const void *data, size_t len);

/* Moves a row that does not hold what it should to the table aside, with a line in the log. */
int state_row_aside(sqlite3 *db, const char *table, int64_t id, const char *why);

/* "folder/name", or NULL without memory. */
char *state_file(const char *folder, const char *name);

/* state.db in folder, opened, checked and of this schema; what is damaged is moved aside, and what
 * can be read of it taken over (then 1 is returned). first_ids: see state_first_id, by row of
 * state_tables. */
int state_db_open(const char *folder, const struct state_options *identity, struct clock *clock,
                  sqlite3 **ret, int64_t *first_ids, struct s3_error *err);
/* Moves state.db aside while in use, after it turned out to be damaged. Closes db. */
int state_db_restart(const char *folder, const struct state_options *identity, struct clock *clock,
                     sqlite3 **db, struct s3_error *err);

/* The lowest id that rows of this life can have in a table with AUTOINCREMENT: those below were
 * there when the state was opened. */
int64_t state_first_id(struct state *st, const char *table);

struct clock *state_clock(struct state *st);

/* Rows of intents, within a job. insert sets in->id; update writes the payload of the row in->id,
 * whose other fields are those of in. */
int state_intent_row_insert(sqlite3 *db, struct state_intent *in);
int state_intent_row_update(sqlite3 *db, const struct state_intent *in);
int state_intent_row_remove(sqlite3 *db, uint64_t id);

#endif
