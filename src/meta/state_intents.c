/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/crash_point.h"
#include "base/log.h"
#include "meta/state_impl.h"

/* Rows that iteration reads at once, and the bytes after which it pauses earlier. */
#define PAGE_ROWS  64
#define PAGE_BYTES (4u << 20)
#define PAGE_MAX   (PAGE_BYTES + STATE_PAYLOAD_MAX + 4 * STATE_KEY_MAX)

static const char *const kind_names[STATE_INTENT_KIND_MAX] = {
    [STATE_INTENT_RENAME_DIR] = "rename-dir", [STATE_INTENT_RENAME_FILE] = "rename-file",
    [STATE_INTENT_DELETE] = "delete",         [STATE_INTENT_ATTRS] = "attributes",
    [STATE_INTENT_UPLOAD] = "upload",         [STATE_INTENT_EXCHANGE] = "exchange",
};

const char *state_intent_kind_name(enum state_intent_kind kind)
{
    const char *name = (unsigned)kind < STATE_INTENT_KIND_MAX ? kind_names[kind] : NULL;

    return name ? name : "?";
}

static uint32_t intent_crc(int64_t id, const struct state_intent *in)
{
    uint32_t crc = state_crc_int(0, id);

    crc = state_crc_int(crc, in->kind);
    crc = state_crc_text(crc, in->key);
    crc = state_crc_text(crc, in->key2);
    crc = state_crc_blob(crc, in->payload, in->payload_len);
    return state_crc_int(crc, in->time_ns);
}

/* ---- begin, update, end ---- */

int state_intent_row_insert(sqlite3 *db, struct state_intent *in)
{
    int64_t id;
    int r;

    /* The id is part of what the CRC covers: first the row, then its CRC. */
    r = state_exec(db,
                   "INSERT INTO intents(kind, key, key2, payload, time, crc) "
                   "VALUES(?, ?, ?, ?, ?, 0)",
                   "issbi", (int64_t)in->kind, in->key, in->key2, in->payload, in->payload_len,
                   in->time_ns);
    if (r < 0)
        return r;
    id = sqlite3_last_insert_rowid(db);
    in->id = (uint64_t)id;
    return state_exec(db, "UPDATE intents SET crc = ? WHERE id = ?", "ii",
                      (int64_t)intent_crc(id, in), id);
}

static int run_begin(struct sqlite3 *db, void *ctx)
{
    return state_intent_row_insert(db, ctx);
}

int state_intent_begin(struct state *st, enum state_intent_kind kind, const char *key,
                       const char *key2, const void *payload, size_t payload_len, uint64_t *ret_id)
{
    struct state_intent in = {.kind = kind,
                              .key = key,
                              .key2 = key2,
                              .payload = payload,
                              .payload_len = payload ? payload_len : 0,
                              .time_ns = clock_realtime_ns(state_clock(st))};
    int r;

    if (strlen(key) > STATE_KEY_MAX || (key2 && strlen(key2) > STATE_KEY_MAX) ||
        payload_len > STATE_PAYLOAD_MAX)
        return -E2BIG;
    CRASH_POINT3("state", state_intent_kind_name(kind), "begin.before");
    r = state_write(st, run_begin, &in);
    if (r == 0)
        *ret_id = in.id;
    CRASH_POINT3("state", state_intent_kind_name(kind), "begin.after");
    return r;
}

/* Of the row in stmt: id, kind, key, key2, payload, time, crc. -EBADMSG: not what it should be. */
static int read_intent(sqlite3_stmt *stmt, struct arena *a, struct state_intent *ret)
{
    int64_t id = 0, kind = 0, crc = 0;
    int r = state_column_int(stmt, 0, &id);

    if (r == 0)
        r = state_column_int(stmt, 1, &kind);
    if (r == 0 && (kind <= 0 || kind >= STATE_INTENT_KIND_MAX))
        r = -EBADMSG;
    if (r == 0)
        r = state_column_text(stmt, 2, STATE_KEY_MAX, false, a, &ret->key);
    if (r == 0)
        r = state_column_text(stmt, 3, STATE_KEY_MAX, true, a, &ret->key2);
    if (r == 0)
        r = state_column_blob(stmt, 4, STATE_PAYLOAD_MAX, a, &ret->payload, &ret->payload_len);
    if (r == 0)
        r = state_column_int(stmt, 5, &ret->time_ns);
    if (r == 0)
        r = state_column_int(stmt, 6, &crc);
    if (r < 0)
        return r;
    ret->id = (uint64_t)id;
    ret->kind = (enum state_intent_kind)kind;
    return crc == intent_crc(id, ret) ? 0 : -EBADMSG;
}

#define SELECT_INTENT "SELECT id, kind, key, key2, payload, time, crc FROM intents "

int state_intent_row_update(sqlite3 *db, const struct state_intent *in)
{
    return state_exec(db, "UPDATE intents SET payload = ?, crc = ? WHERE id = ?", "bii",
                      in->payload, in->payload_len, (int64_t)intent_crc((int64_t)in->id, in),
                      (int64_t)in->id);
}

struct update {
    uint64_t id;
    const void *payload;
    size_t payload_len;
};

static int run_update(struct sqlite3 *db, void *ctx)
{
    const struct update *u = ctx;
    CLEANUP_ARENA struct arena a = ARENA_INIT(PAGE_MAX);
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    struct state_intent in = {0};
    int r = state_prepare(db, &stmt, SELECT_INTENT "WHERE id = ?", "i", (int64_t)u->id);

    if (r == 0)
        r = state_step(stmt);
    if (r <= 0)
        return r == 0 ? -ENOENT : r;
    r = read_intent(stmt, &a, &in);
    if (r < 0)
        return r == -EBADMSG ? state_row_aside(db, "intents", (int64_t)u->id, "is damaged") : r;
    in.payload = u->payload;
    in.payload_len = u->payload_len;
    return state_intent_row_update(db, &in);
}

int state_intent_update(struct state *st, uint64_t id, const void *payload, size_t payload_len)
{
    struct update u = {.id = id, .payload = payload, .payload_len = payload ? payload_len : 0};
    int r;

    if (payload_len > STATE_PAYLOAD_MAX)
        return -E2BIG;
    CRASH_POINT("state.intent.update.before");
    r = state_write(st, run_update, &u);
    CRASH_POINT("state.intent.update.after");
    return r;
}

int state_intent_row_remove(sqlite3 *db, uint64_t id)
{
    return state_exec(db, "DELETE FROM intents WHERE id = ?", "i", (int64_t)id);
}

static int run_end(struct sqlite3 *db, void *ctx)
{
    const uint64_t *id = ctx;

    return state_intent_row_remove(db, *id);
}

int state_intent_end(struct state *st, uint64_t id)
{
    int r;

    CRASH_POINT("state.intent.end.before");
    r = state_write(st, run_end, &id);
    CRASH_POINT("state.intent.end.after");
    return r;
}

struct end_later {
    struct state_job job;
    uint64_t id;
};

static int run_end_later(struct sqlite3 *db, void *ctx)
{
    struct end_later *e = ctx;

    return run_end(db, &e->id);
}

static void end_later_done(void *ctx, int result)
{
    if (result < 0)
        log_warn("state.db: an intent that is done could not be taken out: %s", strerror(-result));
    free(ctx);
}

void state_intent_end_later(struct state *st, uint64_t id)
{
    struct end_later *e = calloc(1, sizeof(*e));

    if (!e) {
        (void)state_intent_end(st, id);
        return;
    }
    e->id = id;
    e->job = (struct state_job){.run = run_end_later, .done = end_later_done, .ctx = e};
    state_submit(st, &e->job);
}

/* ---- iteration ---- */

struct page {
    int kind;
    int64_t after;  /* in: ids over this; out: the last one seen */
    int64_t before; /* ids below this */
    struct arena arena;
    struct state_intent rows[PAGE_ROWS];
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
    r = state_prepare(db, &stmt, SELECT_INTENT "WHERE id > ? AND id < ? ORDER BY id", "ii", after,
                      p->before);
    while (r >= 0 && p->n < PAGE_ROWS && p->arena.used < PAGE_BYTES) {
        r = state_step(stmt);
        if (r == 0)
            p->end = true;
        if (r <= 0)
            break;
        after = sqlite3_column_int64(stmt, 0);
        r = read_intent(stmt, &p->arena, &p->rows[p->n]);
        if (r == -EBADMSG)
            r = state_row_aside(db, "intents", after, "is damaged");
        else if (r == 0 && (p->kind == 0 || p->kind == (int)p->rows[p->n].kind))
            p->n++;
    }
    if (r >= 0)
        p->after = after;
    return r < 0 ? r : 0;
}

static int iterate(struct state *st, int kind, int64_t before, state_intent_fn fn, void *ctx)
{
    struct page *p = calloc(1, sizeof(*p));
    int r = 0;

    if (!p)
        return -ENOMEM;
    p->kind = kind;
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

int state_intents_before(struct state *st, int kind, state_intent_fn fn, void *ctx)
{
    return iterate(st, kind, state_first_id(st, "intents"), fn, ctx);
}

int state_intents_now(struct state *st, int kind, state_intent_fn fn, void *ctx)
{
    return iterate(st, kind, INT64_MAX, fn, ctx);
}

static int run_count(struct sqlite3 *db, void *ctx)
{
    return state_query_int(db, "SELECT count(*) FROM intents", ctx);
}

int state_intent_count(struct state *st, uint64_t *ret)
{
    int64_t n = 0;
    int r = state_write(st, run_count, &n);

    if (r == 0)
        *ret = (uint64_t)n;
    return r;
}
