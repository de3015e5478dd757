/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/state_journal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/log.h"
#include "meta/state_impl.h"

#define PAGE_ROWS 64

struct state_journal {
    struct journal journal; /* first */
    struct state *state;
};

struct change_job {
    struct state_job job;
    const struct journal_change *change;
};

/* ---- changes ---- */

static int write_row(sqlite3 *db, const struct journal_row *row)
{
    if (row->update)
        return state_exec(db, "UPDATE journal SET record = ? WHERE seq = ?", "bi", row->record,
                          row->record_len, (int64_t)row->seq);
    return state_exec(db, "INSERT OR REPLACE INTO journal(seq, record, body) VALUES(?, ?, ?)",
                      "ibb", (int64_t)row->seq, row->record, row->record_len, row->body,
                      row->body_len);
}

static int run_change(struct sqlite3 *db, void *ctx)
{
    const struct change_job *j = ctx;
    const struct journal_change *c = j->change;
    int r = 0;

    for (size_t i = 0; i < c->n_rows && r == 0; i++)
        r = write_row(db, &c->rows[i]);
    for (size_t i = 0; i < c->n_drops && r == 0; i++)
        r = state_exec(db, "DELETE FROM journal WHERE seq = ?", "i", (int64_t)c->drops[i]);
    return r;
}

static void change_done(void *ctx, int result)
{
    struct change_job *j = ctx;
    const struct journal_change *c = j->change;

    free(j);
    c->done(c->ctx, result);
}

static int journal_state_submit(struct journal *j, const struct journal_change *c)
{
    struct state_journal *s = CONTAINER_OF(j, struct state_journal, journal);
    struct change_job *job = calloc(1, sizeof(*job));

    if (!job)
        return -ENOMEM;
    job->change = c;
    job->job = (struct state_job){.run = run_change, .done = change_done, .ctx = job};
    state_submit(s->state, &job->job);
    return 0;
}

/* ---- reading ---- */

struct load_page {
    struct arena arena;
    int64_t after;
    struct journal_row rows[PAGE_ROWS];
    size_t n;
};

static int read_page(struct sqlite3 *db, void *ctx)
{
    struct load_page *p = ctx;
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int r = state_prepare(db, &stmt,
                          "SELECT seq, record FROM journal WHERE seq > ? ORDER BY seq LIMIT ?",
                          "ii", p->after, (int64_t)PAGE_ROWS);

    arena_done(&p->arena);
    p->n = 0;
    while (r == 0 && (r = state_step(stmt)) == 1) {
        struct journal_row *row = &p->rows[p->n];
        int64_t seq = sqlite3_column_int64(stmt, 0);

        p->after = seq;
        *row = (struct journal_row){.seq = (uint64_t)seq};
        r = state_column_blob(stmt, 1, JOURNAL_RECORD_MAX, &p->arena, &row->record,
                              &row->record_len);
        if (r == -EBADMSG)
            r = 0; /* without a record: write-back keeps its content aside */
        if (r == 0)
            p->n++;
    }
    return r;
}

static int journal_state_load(struct journal *j,
                              int (*fn)(void *ctx, const struct journal_row *row), void *ctx)
{
    struct state_journal *s = CONTAINER_OF(j, struct state_journal, journal);
    struct load_page *p = calloc(1, sizeof(*p));
    int64_t before;
    int r = 0;

    if (!p)
        return -ENOMEM;
    arena_init(&p->arena, PAGE_ROWS * (JOURNAL_RECORD_MAX + 64));
    do {
        before = p->after;
        r = state_write(s->state, read_page, p);
        for (size_t i = 0; i < p->n && r == 0; i++)
            r = fn(ctx, &p->rows[i]);
    } while (r == 0 && p->after != before);
    arena_done(&p->arena);
    free(p);
    return r;
}

struct body_job {
    uint64_t seq;
    void *buf;
    size_t len;
};

static int read_body(struct sqlite3 *db, void *ctx)
{
    const struct body_job *b = ctx;
    const void *data;
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int r =
        state_prepare(db, &stmt, "SELECT body FROM journal WHERE seq = ?", "i", (int64_t)b->seq);

    if (r == 0)
        r = state_step(stmt);
    if (r <= 0)
        return r == 0 ? -ENOENT : r;
    data = sqlite3_column_blob(stmt, 0); /* of a damaged type too: who asked looks at the bytes */
    if (!data || (size_t)sqlite3_column_bytes(stmt, 0) != b->len)
        return -ENOENT;
    memcpy(b->buf, data, b->len);
    return 0;
}

struct size_job {
    uint64_t seq;
    size_t size;
};

static int read_size(struct sqlite3 *db, void *ctx)
{
    struct size_job *b = ctx;
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int r = state_prepare(db, &stmt, "SELECT length(CAST(body AS BLOB)) FROM journal WHERE seq = ?",
                          "i", (int64_t)b->seq);

    if (r == 0)
        r = state_step(stmt);
    if (r <= 0)
        return r == 0 ? -ENOENT : r;
    b->size = (size_t)sqlite3_column_int64(stmt, 0);
    return 0;
}

static int journal_state_body_size(struct journal *j, uint64_t seq, size_t *ret)
{
    struct state_journal *s = CONTAINER_OF(j, struct state_journal, journal);
    struct size_job b = {.seq = seq};
    int r = state_write(s->state, read_size, &b);

    *ret = b.size;
    return r;
}

static int journal_state_body(struct journal *j, uint64_t seq, void *buf, size_t len)
{
    struct state_journal *s = CONTAINER_OF(j, struct state_journal, journal);
    struct body_job b = {seq, buf, len};

    return state_write(s->state, read_body, &b);
}

static void journal_state_free(struct journal *j)
{
    free(CONTAINER_OF(j, struct state_journal, journal));
}

static const struct journal_ops STATE_OPS = {
    .submit = journal_state_submit,
    .load = journal_state_load,
    .body_size = journal_state_body_size,
    .body = journal_state_body,
    .free = journal_state_free,
};

int state_journal_new(struct state *st, struct journal **ret)
{
    struct state_journal *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    s->journal.ops = &STATE_OPS;
    s->state = st;
    *ret = &s->journal;
    return 0;
}
