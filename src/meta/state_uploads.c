/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/log.h"
#include "meta/state_impl.h"

#define UPLOAD_ID_MAX 2048u
#define PAGE_ROWS     64
#define PAGE_MAX      (PAGE_ROWS * (STATE_KEY_MAX + UPLOAD_ID_MAX + 64))
#define SELECT_UPLOAD "SELECT id, key, upload, time, keep, crc FROM uploads "

static uint32_t upload_crc(const struct state_upload *u)
{
    uint32_t crc = state_crc_int(0, (int64_t)u->row);

    crc = state_crc_text(crc, u->key);
    crc = state_crc_text(crc, u->upload_id);
    crc = state_crc_int(crc, u->begun_ns);
    return state_crc_int(crc, u->keep);
}

static int read_upload(sqlite3_stmt *stmt, struct arena *a, struct state_upload *ret)
{
    int64_t id = 0, keep = 0, crc = 0;
    int r = state_column_int(stmt, 0, &id);

    if (r == 0)
        r = state_column_text(stmt, 1, STATE_KEY_MAX, false, a, &ret->key);
    if (r == 0)
        r = state_column_text(stmt, 2, UPLOAD_ID_MAX, true, a, &ret->upload_id);
    if (r == 0)
        r = state_column_int(stmt, 3, &ret->begun_ns);
    if (r == 0)
        r = state_column_int(stmt, 4, &keep);
    if (r == 0)
        r = state_column_int(stmt, 5, &crc);
    if (r < 0)
        return r;
    ret->row = (uint64_t)id;
    ret->keep = keep != 0;
    return crc == upload_crc(ret) ? 0 : -EBADMSG;
}

static int store_crc(sqlite3 *db, const struct state_upload *u)
{
    return state_exec(db, "UPDATE uploads SET upload = ?, keep = ?, crc = ? WHERE id = ?", "siii",
                      u->upload_id, (int64_t)u->keep, (int64_t)upload_crc(u), (int64_t)u->row);
}

/* ---- notes ---- */

static int note_begin(sqlite3 *db, struct state_upload_note *n)
{
    struct state_upload u = {.key = n->key, .begun_ns = n->time_ns};
    int r = state_exec(db, "INSERT INTO uploads(key, time, keep, crc) VALUES(?, ?, 0, 0)", "si",
                       n->key, n->time_ns);

    if (r < 0)
        return r;
    u.row = (uint64_t)sqlite3_last_insert_rowid(db);
    n->row = u.row;
    return store_crc(db, &u);
}

/* Changes a row that is there and holds; others are left. */
static int note_change(sqlite3 *db, const struct state_upload_note *n)
{
    CLEANUP_ARENA struct arena a = ARENA_INIT(PAGE_MAX);
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    struct state_upload u = {0};
    int r;

    if (n->what == STATE_UPLOAD_CREATED)
        r = state_prepare(db, &stmt, SELECT_UPLOAD "WHERE id = ?", "i", (int64_t)n->row);
    else
        r = state_prepare(db, &stmt, SELECT_UPLOAD "WHERE upload = ?", "s", n->upload_id);
    if (r == 0)
        r = state_step(stmt);
    if (r <= 0)
        return r == 0 ? -ENOENT : r;
    r = read_upload(stmt, &a, &u);
    if (r == -EBADMSG)
        return state_row_aside(db, "uploads", sqlite3_column_int64(stmt, 0), "is damaged");
    if (r < 0)
        return r;
    if (n->what == STATE_UPLOAD_CREATED)
        u.upload_id = n->upload_id;
    else
        u.keep = n->what == STATE_UPLOAD_KEEP;
    return store_crc(db, &u);
}

static int run_note(struct sqlite3 *db, void *ctx)
{
    struct state_upload_note *n = ctx;

    switch (n->what) {
    case STATE_UPLOAD_BEGIN:
        return note_begin(db, n);
    case STATE_UPLOAD_CREATED:
    case STATE_UPLOAD_KEEP:
    case STATE_UPLOAD_LET_GO:
        return note_change(db, n);
    case STATE_UPLOAD_END:
        break;
    }
    return n->row ? state_exec(db, "DELETE FROM uploads WHERE id = ?", "i", (int64_t)n->row)
                  : state_exec(db, "DELETE FROM uploads WHERE upload = ?", "s", n->upload_id);
}

void state_upload_submit(struct state *st, struct state_upload_note *n)
{
    if (n->what == STATE_UPLOAD_BEGIN)
        n->time_ns = clock_realtime_ns(state_clock(st));
    n->job.run = run_note;
    n->job.ctx = n;
    state_submit(st, &n->job);
}

int state_upload_write(struct state *st, struct state_upload_note *n)
{
    if (n->what == STATE_UPLOAD_BEGIN)
        n->time_ns = clock_realtime_ns(state_clock(st));
    return state_write(st, run_note, n);
}

int state_upload_keep(struct state *st, const char *upload_id, bool keep)
{
    struct state_upload_note n = {.what = keep ? STATE_UPLOAD_KEEP : STATE_UPLOAD_LET_GO,
                                  .upload_id = upload_id};

    return state_upload_write(st, &n);
}

/* ---- iteration ---- */

struct page {
    int64_t after, before;
    struct arena arena;
    struct state_upload rows[PAGE_ROWS];
    size_t n;
    bool end;
};

static int run_page(struct sqlite3 *db, void *ctx)
{
    struct page *p = ctx;
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int64_t after = p->after;
    int r;

    /* May run twice: from the start then. */
    arena_done(&p->arena);
    arena_init(&p->arena, PAGE_MAX);
    p->n = 0;
    p->end = false;
    r = state_prepare(db, &stmt, SELECT_UPLOAD "WHERE id > ? AND id < ? ORDER BY id", "ii", after,
                      p->before);
    while (r >= 0 && p->n < PAGE_ROWS) {
        r = state_step(stmt);
        if (r == 0)
            p->end = true;
        if (r <= 0)
            break;
        after = sqlite3_column_int64(stmt, 0);
        r = read_upload(stmt, &p->arena, &p->rows[p->n]);
        if (r == -EBADMSG)
            r = state_row_aside(db, "uploads", after, "is damaged");
        else if (r == 0)
            p->n++;
    }
    if (r >= 0)
        p->after = after;
    return r < 0 ? r : 0;
}

static int iterate(struct state *st, int64_t before, state_upload_fn fn, void *ctx)
{
    struct page *p = calloc(1, sizeof(*p));
    int r = 0;

    if (!p)
        return -ENOMEM;
    p->before = before;
    while (r == 0 && !p->end) {
        r = state_write(st, run_page, p);
        for (size_t i = 0; r == 0 && i < p->n; i++)
            r = fn(ctx, &p->rows[i]);
    }
    arena_done(&p->arena);
    free(p);
    return r;
}

int state_uploads_before(struct state *st, state_upload_fn fn, void *ctx)
{
    return iterate(st, state_first_id(st, "uploads"), fn, ctx);
}

int state_uploads_now(struct state *st, state_upload_fn fn, void *ctx)
{
    return iterate(st, INT64_MAX, fn, ctx);
}

static int run_count(struct sqlite3 *db, void *ctx)
{
    return state_query_int(db, "SELECT count(*) FROM uploads", ctx);
}

int state_upload_count(struct state *st, uint64_t *ret)
{
    int64_t n = 0;
    int r = state_write(st, run_count, &n);

    if (r == 0)
        *ret = (uint64_t)n;
    return r;
}
