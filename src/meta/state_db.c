/* SPDX-License-Identifier: Apache-2.0 */
/* The file state.db: opening, checking, moving aside what is damaged, taking over what is readable
 * of it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "base/timefmt.h"
#include "meta/state_impl.h"
#include "meta/state_wal.h"

/* "pail" in the header of the file, for file(1). */
#define APPLICATION_ID 0x7061696c
/* A database over this size is not read through at the mount: it must not wait long. */
#define CHECK_BYTES (32ll << 20)
/* One value; a damaged length must not ask for more. */
#define VALUE_MAX (64 << 20)
#define ID_MAX    (INT64_MAX / 2)

#define TEXT2(x) #x
#define TEXT(x)  TEXT2(x)

static int folder_sync(const char *folder)
{
    CLEANUP_FD int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

char *state_file(const char *folder, const char *name)
{
    char *path = NULL;

    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static char *db_path(const char *folder, const char *suffix)
{
    char *path = NULL;

    return asprintf(&path, "%s/state.db%s", folder, suffix) < 0 ? NULL : path;
}

/* ---- moving aside ---- */

/* Until what the database may have known of is settled, see state_doubtful. */
static void mark_doubtful(const char *folder)
{
    CLEANUP_FREE char *path = state_file(folder, STATE_DOUBTFUL);
    CLEANUP_FD int fd = path ? open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;

    if (fd < 0 || folder_sync(folder) < 0)
        log_warn("'%s/" STATE_DOUBTFUL "': %s", folder, strerror(errno));
}

static int move_one(const char *folder, const char *suffix, const char *broken)
{
    CLEANUP_FREE char *from = db_path(folder, suffix);
    CLEANUP_FREE char *to = NULL;
    struct stat st;

    if (!from || asprintf(&to, "%s%s", broken, suffix) < 0)
        return -ENOMEM;
    if (*suffix && stat(from, &st) == 0 && st.st_size == 0) /* a log that never was one */
        return unlink(from) < 0 ? -errno : 0;
    return rename(from, to) < 0 && errno != ENOENT ? -errno : 0;
}

/* A path that nothing is at, nor at it with "-wal"; NULL without memory. */
static char *broken_path(const char *folder, struct clock *clock)
{
    char time[TIMEFMT_BASIC_SIZE];
    struct stat st;

    timefmt_basic(clock_realtime_ns(clock), time);
    for (unsigned i = 0;; i++) {
        char tail[48], wal[56];

        (void)snprintf(tail, sizeof(tail), i ? ".broken-%s.%u" : ".broken-%s", time, i);
        (void)snprintf(wal, sizeof(wal), "%s-wal", tail);
        CLEANUP_FREE char *broken = db_path(folder, tail);
        CLEANUP_FREE char *log = db_path(folder, wal);
        if (!broken || !log)
            return NULL;
        if (lstat(broken, &st) < 0 && lstat(log, &st) < 0)
            return TAKE_PTR(broken);
    }
}

/* *ret: the new path, owned by the caller. */
static int move_aside(const char *folder, struct clock *clock, char **ret)
{
    CLEANUP_FREE char *broken = broken_path(folder, clock);
    CLEANUP_FREE char *end = state_file(folder, STATE_WAL_END);
    int r;

    if (!broken || !end)
        return -ENOMEM;
    mark_doubtful(folder);
    (void)unlink(end);
    /* The log first: a new database must never meet the log of the old one. */
    r = move_one(folder, "-wal", broken);
    if (r == 0)
        r = move_one(folder, "", broken);
    if (r == 0)
        r = folder_sync(folder);
    if (r == 0)
        *ret = TAKE_PTR(broken);
    return r;
}

static int copy_file(const char *from, const char *to)
{
    CLEANUP_FD int in = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    CLEANUP_FD int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    char buf[16384];
    ssize_t n = 0;

    if (in < 0 || out < 0)
        return -errno;
    while ((n = read(in, buf, sizeof(buf))) > 0) {
        if (write(out, buf, (size_t)n) != n)
            return errno ? -errno : -EIO;
    }
    return n < 0 || fsync(out) < 0 ? -errno : 0;
}

/* SQLite is going to write over what it cannot read of its log. */
static void keep_log(const char *folder, struct clock *clock)
{
    CLEANUP_FREE char *broken = broken_path(folder, clock);
    CLEANUP_FREE char *from = db_path(folder, "-wal"), *to = NULL;
    CLEANUP_FREE char *end = state_file(folder, STATE_WAL_END);

    mark_doubtful(folder);
    if (!broken || !from || !end || asprintf(&to, "%s-wal", broken) < 0)
        return;
    int r = copy_file(from, to);
    if (r == 0)
        log_error("the damaged log is kept as '%s'", to);
    else if (r != -ENOENT)
        log_error("the damaged log could not be kept as '%s': %s", to, strerror(-r));
    (void)unlink(end); /* told */
}

/* ---- taking over ---- */

static int copy_row(sqlite3_stmt *from, sqlite3 *to, const char *table)
{
    CLEANUP_STRBUF struct strbuf sql = STRBUF_INIT(1024);
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int n = sqlite3_column_count(from);
    int r;

    (void)strbuf_appendf(&sql, "INSERT OR IGNORE INTO %s VALUES(", table);
    for (int i = 0; i < n; i++)
        (void)strbuf_append_str(&sql, i ? ",?" : "?");
    (void)strbuf_append_char(&sql, ')');
    r = sql.error ? sql.error : state_prepare(to, &stmt, strbuf_str(&sql), "");
    for (int i = 0; r == 0 && i < n; i++)
        r = state_errno(sqlite3_bind_value(stmt, i + 1, sqlite3_column_value(from, i)));
    if (r == 0)
        r = state_step(stmt);
    return r;
}

/* Rows in one direction until the damage. */
static uint64_t copy_rows(sqlite3 *from, sqlite3 *to, const char *table, const char *order)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    uint64_t n = 0;
    char sql[256];

    (void)snprintf(sql, sizeof(sql), "SELECT * FROM %s ORDER BY 1 %s", table, order);
    if (state_prepare(from, &stmt, sql, "") < 0)
        return 0;
    while (state_step(stmt) == 1) {
        int r = copy_row(stmt, to, table);

        /* A row that does not fit (NULL where there must be none) is not worth the others. */
        if (r == -ENOSPC || r == -EIO || r == -ENOMEM)
            break;
        n++;
    }
    return n;
}

static void take_over(const char *broken, sqlite3 *db)
{
    sqlite3 *old = NULL;
    uint64_t n = 0;
    int before;

    if (sqlite3_open_v2(broken, &old, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK) {
        sqlite3_close(old);
        return;
    }
    (void)sqlite3_limit(old, SQLITE_LIMIT_LENGTH, VALUE_MAX);
    (void)sqlite3_db_config(old, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    (void)state_exec(old, "PRAGMA locking_mode = EXCLUSIVE", "");
    (void)state_exec(old, "PRAGMA trusted_schema = 0", "");
    (void)state_exec(old, "PRAGMA query_only = 1", "");
    (void)state_exec(db, "BEGIN", "");
    before = sqlite3_total_changes(db);
    for (size_t i = 1; i < state_n_tables; i++) { /* not meta */
        (void)copy_rows(old, db, state_tables[i].name, "ASC");
        (void)copy_rows(old, db, state_tables[i].name, "DESC");
    }
    n = (uint64_t)(sqlite3_total_changes(db) - before);
    if (state_exec(db, "COMMIT", "") < 0)
        n = 0;
    log_warn("state.db: %" PRIu64 " rows of the damaged database could be read and were taken over",
             n);
    sqlite3_close(old);
}

/* ---- opening ---- */

static int open_file(const char *path, sqlite3 **ret)
{
    static const char *const pragmas[] = {
        "PRAGMA busy_timeout = 3000",
        "PRAGMA locking_mode = EXCLUSIVE", /* no shared memory file, whose pages could fault */
        "PRAGMA mmap_size = 0",
        "PRAGMA trusted_schema = 0",
        "PRAGMA cell_size_check = 1",
        "PRAGMA temp_store = MEMORY",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = FULL",
    };
    int r = 0, fd;

    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return errno == EROFS ? -EACCES : -errno;
    (void)close(fd);
    r = state_errno(sqlite3_open_v2(path, ret, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
    if (r == 0) {
        (void)sqlite3_limit(*ret, SQLITE_LIMIT_LENGTH, VALUE_MAX);
        (void)sqlite3_extended_result_codes(*ret, 1);
        (void)sqlite3_db_config(*ret, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    }
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(pragmas); i++)
        r = state_exec(*ret, pragmas[i], "");
    return r;
}

static int meta_set(sqlite3 *db, const char *name, const char *value)
{
    uint32_t crc = state_crc_text(state_crc_text(0, name), value);

    return state_exec(db, "INSERT OR REPLACE INTO meta VALUES(?, ?, ?)", "ssi", name, value,
                      (int64_t)crc);
}

/* 1 with the value in a, 0 absent, -EUCLEAN damaged. */
static int meta_get(sqlite3 *db, const char *name, struct arena *a, const char **ret)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int64_t crc = 0;
    int r = state_prepare(db, &stmt, "SELECT value, crc FROM meta WHERE name = ?", "s", name);

    if (r == 0)
        r = state_step(stmt);
    if (r <= 0)
        return r;
    r = state_column_text(stmt, 0, STATE_KEY_MAX, false, a, ret);
    if (r == 0)
        r = state_column_int(stmt, 1, &crc);
    if (r == 0 && crc != state_crc_text(state_crc_text(0, name), *ret))
        r = -EBADMSG;
    return r == -EBADMSG ? -EUCLEAN : r < 0 ? r : 1;
}

static int make_tables(sqlite3 *db)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < state_n_tables; i++) {
        const struct state_table *t = &state_tables[i];
        CLEANUP_STMT sqlite3_stmt *stmt = NULL;

        r = state_prepare(db, &stmt,
                          "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", "s",
                          t->name);
        if (r == 0)
            r = state_step(stmt);
        if (r == 1) {
            const char *sql = (const char *)sqlite3_column_text(stmt, 0);

            r = sql && strcmp(sql, t->sql) == 0 ? 0 : -EUCLEAN;
        } else if (r == 0) {
            r = state_exec(db, t->sql, "");
        }
    }
    return r;
}

static int set_identity(sqlite3 *db, const struct state_options *identity)
{
    char version[16], pragma[64];
    int r;

    (void)snprintf(version, sizeof(version), "%d", STATE_SCHEMA_VERSION);
    (void)snprintf(pragma, sizeof(pragma), "PRAGMA user_version = %d", STATE_SCHEMA_VERSION);
    r = meta_set(db, "schema", version);
    if (r == 0)
        r = meta_set(db, "endpoint", identity->endpoint);
    if (r == 0)
        r = meta_set(db, "bucket", identity->bucket);
    if (r == 0)
        r = meta_set(db, "prefix", identity->prefix);
    if (r == 0)
        r = state_exec(db, pragma, "");
    if (r == 0)
        r = state_exec(db, "PRAGMA application_id = " TEXT(APPLICATION_ID), "");
    return r;
}

static int check_identity(sqlite3 *db, const struct state_options *identity, struct s3_error *err)
{
    static const char *const names[] = {"endpoint", "bucket", "prefix"};
    const char *want[] = {identity->endpoint, identity->bucket, identity->prefix};
    CLEANUP_ARENA struct arena a = ARENA_INIT(64 << 10);

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        const char *have = NULL;
        int r = meta_get(db, names[i], &a, &have);

        if (r <= 0)
            return r == 0 ? -EUCLEAN : r;
        if (strcmp(have, want[i]) != 0) {
            (void)s3_error_set(err, S3_ERROR_CONFIG,
                               "state directory '%.200s' is that of %s '%.100s', not of '%.100s': "
                               "give another -o state_dir=",
                               identity->path, names[i], have, want[i]);
            return -EINVAL;
        }
    }
    return 0;
}

/* A version that the table meta does not confirm is damage, not a newer pailfs. */
static int check_version(sqlite3 *db, const struct state_options *identity, struct s3_error *err)
{
    CLEANUP_ARENA struct arena a = ARENA_INIT(64 << 10);
    int64_t version = 0, tables = 0;
    const char *text = NULL;
    int r = state_query_int(db, "PRAGMA user_version", &version);

    if (r == 0)
        r = state_query_int(db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (r < 0 || (version == 0 && tables == 0))
        return r;
    r = meta_get(db, "schema", &a, &text);
    if (r < 0)
        return r;
    if (r == 0 || strtoll(text, NULL, 10) != version || version <= 0)
        return -EUCLEAN;
    if (version > STATE_SCHEMA_VERSION) {
        (void)s3_error_set(err, S3_ERROR_CONFIG,
                           "state directory '%.300s' was written by a newer pailfs (schema %" PRId64
                           ", this one knows %d): use that one, or another -o state_dir=",
                           identity->path, version, STATE_SCHEMA_VERSION);
        return -ENOTSUP;
    }
    return 1;
}

static int check_content(sqlite3 *db, const char *path)
{
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    struct stat st;
    const char *text;
    int r;

    if (stat(path, &st) < 0)
        return -errno;
    if (st.st_size > CHECK_BYTES)
        return 0;
    r = state_prepare(db, &stmt, "PRAGMA integrity_check(1)", "");
    if (r == 0)
        r = state_step(stmt);
    if (r < 0)
        return r;
    text = (const char *)sqlite3_column_text(stmt, 0);
    if (text && strcmp(text, "ok") == 0)
        return 0;
    log_error("state.db: %s", text ? text : "?");
    return -EUCLEAN;
}

static int find_first_ids(sqlite3 *db, int64_t *first_ids)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < state_n_tables; i++) {
        int64_t last = 0;
        char sql[128];

        if (!strstr(state_tables[i].sql, "AUTOINCREMENT")) {
            first_ids[i] = 0;
            continue;
        }
        (void)snprintf(sql, sizeof(sql), "SELECT seq FROM sqlite_sequence WHERE name = '%s'",
                       state_tables[i].name);
        r = state_query_int(db, sql, &last);
        if (r == 0) {
            int64_t highest = 0;

            (void)snprintf(sql, sizeof(sql), "SELECT id FROM %s ORDER BY id DESC LIMIT 1",
                           state_tables[i].name);
            r = state_query_int(db, sql, &highest);
            last = MAX(last, highest);
        }
        if (r == 0 && (last < 0 || last > ID_MAX))
            r = -EUCLEAN;
        first_ids[i] = last + 1;
    }
    return r;
}

static int prepare_schema(sqlite3 *db, const struct state_options *identity, struct s3_error *err)
{
    int known = check_version(db, identity, err), r = known;

    if (r == 1)
        r = check_identity(db, identity, err);
    if (r < 0)
        return r;
    r = state_exec(db, "BEGIN IMMEDIATE", "");
    if (r < 0)
        return r;
    r = make_tables(db);
    if (r == 0 && !known)
        r = set_identity(db, identity);
    if (r == 0)
        r = state_exec(db, "COMMIT", "");
    if (r < 0)
        (void)state_exec(db, "ROLLBACK", "");
    return r;
}

static int open_once(const char *folder, const struct state_options *identity, sqlite3 **ret,
                     int64_t *first_ids, struct s3_error *err)
{
    CLEANUP_FREE char *path = db_path(folder, "");
    sqlite3 *db = NULL;
    int r = path ? open_file(path, &db) : -ENOMEM;

    if (r == 0)
        r = prepare_schema(db, identity, err);
    if (r == 0)
        r = check_content(db, path);
    if (r == 0)
        r = find_first_ids(db, first_ids);
    if (r < 0) {
        /* The log stays with what it belongs to. */
        if (db)
            (void)sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        sqlite3_close(db);
        /* The file could be opened for writing: what says otherwise is its header. */
        return r == -EPROTO || r == -EROFS ? -EUCLEAN : r;
    }
    *ret = db;
    return 0;
}

static int begin_anew(const char *folder, const struct state_options *identity, struct clock *clock,
                      sqlite3 **ret, int64_t *first_ids, struct s3_error *err)
{
    CLEANUP_FREE char *broken = NULL;
    int r = move_aside(folder, clock, &broken);

    if (r < 0)
        return r;
    log_error("the database of local state is damaged: moved to '%s', a new one is begun", broken);
    r = open_once(folder, identity, ret, first_ids, err);
    if (r == 0) {
        take_over(broken, *ret);
        r = find_first_ids(*ret, first_ids);
        if (r < 0) {
            sqlite3_close(*ret);
            *ret = NULL;
        }
    }
    return r == -EUCLEAN ? -EIO : r;
}

int state_db_open(const char *folder, const struct state_options *identity, struct clock *clock,
                  sqlite3 **ret, int64_t *first_ids, struct s3_error *err)
{
    struct s3_error said = {0};
    bool lost = state_wal_check(folder) == STATE_WAL_LOST;

    if (lost)
        keep_log(folder, clock);
    int r = open_once(folder, identity, ret, first_ids, &said);

    if (r == -EUCLEAN) {
        r = begin_anew(folder, identity, clock, ret, first_ids, &said);
        lost = true;
    }
    if (r >= 0)
        r = lost;
    if (r < 0 && !said.message[0])
        (void)s3_error_set(&said, S3_ERROR_CONFIG, "'%.300s/state.db': %s", folder,
                           r == -EBUSY ? "another program has it open" : strerror(-r));
    if (r < 0 && err)
        *err = said;
    return r;
}

int state_db_restart(const char *folder, const struct state_options *identity, struct clock *clock,
                     sqlite3 **db, struct s3_error *err)
{
    int64_t *first_ids = calloc(state_n_tables, sizeof(*first_ids));
    int r;

    if (!first_ids)
        return -ENOMEM;
    sqlite3_close(*db);
    *db = NULL;
    r = begin_anew(folder, identity, clock, db, first_ids, err);
    free(first_ids);
    return r;
}
