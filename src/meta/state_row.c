/* SPDX-License-Identifier: Apache-2.0 */
/* Statements and columns: what every table of state.db needs. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/crc.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "meta/state_impl.h"

/* Of a row that is kept aside for a person to look at. */
#define ASIDE_TEXT_MAX 8192u

int state_errno(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return 0;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EUCLEAN;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_TOOBIG:
        return -E2BIG;
    /* Statements are constants that fit state_schema.c: the file's schema is another one. */
    case SQLITE_ERROR:
    case SQLITE_SCHEMA:
        return -EPROTO;
    case SQLITE_CONSTRAINT:
        return -EEXIST;
    default:
        return -EIO;
    }
}

static int bind_all(sqlite3_stmt *stmt, const char *format, va_list ap)
{
    int rc = SQLITE_OK;

    for (int i = 1; *format && rc == SQLITE_OK; format++, i++) {
        if (*format == 'i') {
            rc = sqlite3_bind_int64(stmt, i, va_arg(ap, int64_t));
        } else if (*format == 's') {
            rc = sqlite3_bind_text(stmt, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
        } else {
            const void *data = va_arg(ap, const void *);
            size_t len = va_arg(ap, size_t);

            rc = sqlite3_bind_blob64(stmt, i, data, len, SQLITE_STATIC);
        }
    }
    return state_errno(rc);
}

static int prepare_va(sqlite3 *db, sqlite3_stmt **ret, const char *sql, const char *format,
                      va_list ap)
{
    sqlite3_stmt *stmt = NULL;
    int r = state_errno(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL));

    if (r == 0)
        r = bind_all(stmt, format, ap);
    if (r < 0) {
        log_debug("state.db: %s (%s)", sqlite3_errmsg(db), sql);
        sqlite3_finalize(stmt);
        return r;
    }
    *ret = stmt;
    return 0;
}

int state_prepare(sqlite3 *db, sqlite3_stmt **ret, const char *sql, const char *format, ...)
{
    va_list ap;
    int r;

    va_start(ap, format);
    r = prepare_va(db, ret, sql, format, ap);
    va_end(ap);
    return r;
}

int state_step(sqlite3_stmt *stmt)
{
    int rc = sqlite3_step(stmt);

    if (rc == SQLITE_ROW)
        return 1;
    if (rc == SQLITE_DONE)
        return 0;
    log_debug("state.db: %s", sqlite3_errmsg(sqlite3_db_handle(stmt)));
    return state_errno(rc);
}

int state_exec(sqlite3 *db, const char *sql, const char *format, ...)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    va_list ap;
    int r;

    va_start(ap, format);
    r = prepare_va(db, &stmt, sql, format, ap);
    va_end(ap);
    while (r >= 0) {
        r = state_step(stmt);
        if (r == 0)
            return 0;
    }
    return r;
}

int state_query_int(sqlite3 *db, const char *sql, int64_t *ret)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int r = state_prepare(db, &stmt, sql, "");

    if (r == 0)
        r = state_step(stmt);
    if (r == 1)
        r = state_column_int(stmt, 0, ret);
    else if (r == 0)
        *ret = 0;
    return r == -EBADMSG ? -EUCLEAN : r;
}

int state_column_int(sqlite3_stmt *stmt, int column, int64_t *ret)
{
    if (sqlite3_column_type(stmt, column) != SQLITE_INTEGER)
        return -EBADMSG;
    *ret = sqlite3_column_int64(stmt, column);
    return 0;
}

int state_column_text(sqlite3_stmt *stmt, int column, size_t max, bool nullable, struct arena *a,
                      const char **ret)
{
    const char *text;
    size_t len;

    if (nullable && sqlite3_column_type(stmt, column) == SQLITE_NULL) {
        *ret = NULL;
        return 0;
    }
    if (sqlite3_column_type(stmt, column) != SQLITE_TEXT)
        return -EBADMSG;
    len = (size_t)sqlite3_column_bytes(stmt, column);
    text = (const char *)sqlite3_column_text(stmt, column);
    if (!text)
        return -ENOMEM;
    if (len > max || memchr(text, '\0', len))
        return -EBADMSG;
    *ret = arena_strndup(a, text, len);
    return *ret ? 0 : -ENOMEM;
}

int state_column_blob(sqlite3_stmt *stmt, int column, size_t max, struct arena *a, const void **ret,
                      size_t *ret_len)
{
    const void *data;
    size_t len;

    *ret = NULL;
    *ret_len = 0;
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
        return 0;
    if (sqlite3_column_type(stmt, column) != SQLITE_BLOB)
        return -EBADMSG;
    len = (size_t)sqlite3_column_bytes(stmt, column);
    data = sqlite3_column_blob(stmt, column);
    if (len > max)
        return -EBADMSG;
    if (len > 0 && !data)
        return -ENOMEM;
    *ret = arena_strndup(a, data ? data : "", len);
    *ret_len = len;
    return *ret ? 0 : -ENOMEM;
}

uint32_t state_crc_int(uint32_t crc, int64_t value)
{
    uint8_t bytes[9] = {'i'};

    for (int i = 0; i < 8; i++)
        bytes[1 + i] = (uint8_t)((uint64_t)value >> (8 * i));
    return crc32c_update(crc, bytes, sizeof(bytes));
}

uint32_t state_crc_text(uint32_t crc, const char *s)
{
    return s ? state_crc_blob(crc32c_update(crc, "s", 1), s, strlen(s))
             : crc32c_update(crc, "n", 1);
}

uint32_t state_crc_blob(uint32_t crc, const void *data, size_t len)
{
    if (!data)
        return crc32c_update(crc, "n", 1);
    return crc32c_update(state_crc_int(crc, (int64_t)len), data, len);
}

int state_row_aside(sqlite3 *db, const char *table, int64_t id, const char *why)
{
    char sql[256];
    sqlite3_stmt *stmt = NULL;
    int r;

    log_error("state.db: row %" PRId64 " of table %s %s; it is put aside", id, table, why);
    /* The columns as far as they can be read, for a person. A row that cannot even be read is
     * left to the deletion below. */
    (void)snprintf(sql, sizeof(sql), "SELECT * FROM %s WHERE id = ?", table);
    r = state_prepare(db, &stmt, sql, "i", id);
    if (r == 0 && state_step(stmt) == 1) {
        struct strbuf text = STRBUF_INIT(ASIDE_TEXT_MAX);

        for (int i = 0; i < sqlite3_column_count(stmt); i++) {
            const char *value = (const char *)sqlite3_column_text(stmt, i);
            int len = sqlite3_column_bytes(stmt, i);

            (void)strbuf_appendf(&text, "%s=", sqlite3_column_name(stmt, i));
            (void)strbuf_append(&text, value ? value : "",
                                value ? (size_t)(len > 1024 ? 1024 : len) : 0);
            (void)strbuf_append_char(&text, '\n');
        }
        sqlite3_finalize(stmt);
        stmt = NULL;
        r = state_exec(db, "INSERT INTO aside(source, row, content) VALUES(?, ?, ?)", "sib", table,
                       id, (const void *)strbuf_str(&text), text.len);
        strbuf_done(&text);
        if (r < 0)
            return r;
    }
    sqlite3_finalize(stmt);
    (void)snprintf(sql, sizeof(sql), "DELETE FROM %s WHERE id = ?", table);
    return state_exec(db, sql, "i", id);
}
