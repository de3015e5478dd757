/* SPDX-License-Identifier: Apache-2.0 */
/* What was found out about the server: one row, replaced as a whole. One that does not hold is as
 * if it were not there: it is found out anew. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "meta/state_impl.h"

#define CAPS_ID  1
#define TEXT_MAX 1024u

struct caps_row {
    const char *server;
    const char *text;
    int64_t time_ns;
    uint64_t max_age_ns;
    char *buf;
    size_t size;
    int found; /* of a get; 0 or -ENOENT */
};

static uint32_t caps_crc(const char *server, const char *text, int64_t time_ns)
{
    uint32_t crc = state_crc_int(0, CAPS_ID);

    crc = state_crc_text(crc, server);
    crc = state_crc_text(crc, text);
    return state_crc_int(crc, time_ns);
}

static int run_put(sqlite3 *db, void *ctx)
{
    const struct caps_row *row = ctx;

    return state_exec(
        db, "INSERT OR REPLACE INTO caps(id, server, caps, time, crc) VALUES(?, ?, ?, ?, ?)",
        "issii", (int64_t)CAPS_ID, row->server, row->text, row->time_ns,
        (int64_t)caps_crc(row->server, row->text, row->time_ns));
}

static int run_get(sqlite3 *db, void *ctx)
{
    CLEANUP_ARENA struct arena a = ARENA_INIT(4 * TEXT_MAX);
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    struct caps_row *row = ctx;
    const char *server = NULL, *text = NULL;
    int64_t time_ns = 0, crc = 0;
    int r = state_prepare(db, &stmt, "SELECT server, caps, time, crc FROM caps WHERE id = ?", "i",
                          (int64_t)CAPS_ID);

    row->found = -ENOENT;
    if (r < 0 || (r = state_step(stmt)) <= 0)
        return r;
    r = state_column_text(stmt, 0, TEXT_MAX, false, &a, &server);
    if (r == 0)
        r = state_column_text(stmt, 1, TEXT_MAX, false, &a, &text);
    if (r == 0)
        r = state_column_int(stmt, 2, &time_ns);
    if (r == 0)
        r = state_column_int(stmt, 3, &crc);
    if (r < 0)
        return r == -EBADMSG ? 0 : r;
    if (crc != caps_crc(server, text, time_ns) || strcmp(server, row->server) != 0 ||
        time_ns > row->time_ns || (uint64_t)(row->time_ns - time_ns) > row->max_age_ns ||
        strlen(text) >= row->size)
        return 0;
    memcpy(row->buf, text, strlen(text) + 1);
    row->found = 0;
    return 0;
}

int state_caps_put(struct state *st, const char *server, const char *text)
{
    struct caps_row row = {
        .server = server, .text = text, .time_ns = clock_realtime_ns(state_clock(st))};

    return state_write(st, run_put, &row);
}

int state_caps_get(struct state *st, const char *server, uint64_t max_age_ns, char *buf,
                   size_t size)
{
    struct caps_row row = {.server = server,
                           .max_age_ns = max_age_ns,
                           .time_ns = clock_realtime_ns(state_clock(st)),
                           .buf = buf,
                           .size = size};
    int r = state_write(st, run_get, &row);

    return r < 0 ? r : row.found;
}
