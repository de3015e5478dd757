/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/metadata_db.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/attr.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/strbuf.h"
#include "meta/state_impl.h"

/* "meta" in the header of the file, for file(1). */
#define APPLICATION_ID 0x6d657461
#define SCHEMA_VERSION 1

#define TEXT2(x) #x
#define TEXT(x)  TEXT2(x)

/* A use is noted when the last one is as long ago: reading does not write. */
#define USED_GRAIN_S (24 * 60 * 60)
#define TOUCHED_MAX  1024u
/* Rows that go at a time when the file is too large, and how often in one transaction. */
#define EVICT_ROWS  256u
#define EVICT_TIMES 16

enum statement { SQL_GET, SQL_PUT, SQL_REMOVE, SQL_TOUCH, SQL_EVICT, SQL_COUNT, SQL_MAX };

static const char *const sql[SQL_MAX] = {
    [SQL_GET] =
        "SELECT etag, modified, size, observed, attrs, crc, used FROM objects WHERE key = ?",
    [SQL_PUT] = "INSERT INTO objects(key, etag, modified, size, observed, attrs, crc, used) "
                "VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
    [SQL_REMOVE] = "DELETE FROM objects WHERE key = ?",
    [SQL_TOUCH] = "UPDATE objects SET used = ? WHERE key = ?",
    [SQL_EVICT] = "DELETE FROM objects WHERE key IN "
                  "(SELECT key FROM objects ORDER BY used LIMIT ?)",
    [SQL_COUNT] = "INSERT OR REPLACE INTO meta VALUES('rows', ?)",
};

struct metadata_db {
    sqlite3 *db;
    sqlite3_stmt *stmt[SQL_MAX];
    char *folder;
    char *identity;
    struct clock *clock;
    uint64_t max_rows;
    uint64_t max_bytes;
    uint64_t rows;
    int64_t page_size;
    bool begun_anew;
    bool told_row;
    char *touched[TOUCHED_MAX];
    size_t n_touched;
};

bool metadata_is_settled(int64_t modified_ns, int64_t observed_ns)
{
    int64_t second = modified_ns - modified_ns % NS_PER_S;

    return modified_ns > 0 && observed_ns >= second && observed_ns - second >= METADATA_RACY_NS;
}

static int64_t now_s(const struct metadata_db *db)
{
    return clock_realtime_ns(db->clock) / NS_PER_S;
}

/* ---- the attributes of a row ---- */

static const size_t texts[] = {
    offsetof(struct store_attrs, content_type),
    offsetof(struct store_attrs, content_encoding),
    offsetof(struct store_attrs, content_disposition),
    offsetof(struct store_attrs, content_language),
    offsetof(struct store_attrs, cache_control),
};

static const char **text_at(struct store_attrs *a, size_t i)
{
    return (const char **)((char *)a + texts[i]);
}

/* Strings with their NULs: of each header that is there its letter and value, then of each entry
 * of the metadata 'm' and name, and the value. */
static int pack(const struct store_attrs *attrs, struct strbuf *sb)
{
    struct store_attrs a = *attrs;

    for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
        if (!*text_at(&a, i))
            continue;
        (void)strbuf_append_char(sb, (char)('A' + i));
        (void)strbuf_append(sb, *text_at(&a, i), strlen(*text_at(&a, i)) + 1);
    }
    for (size_t i = 0; i < a.n_metadata; i++) {
        (void)strbuf_append_char(sb, 'm');
        (void)strbuf_append(sb, a.metadata[i].name, strlen(a.metadata[i].name) + 1);
        (void)strbuf_append(sb, a.metadata[i].value, strlen(a.metadata[i].value) + 1);
    }
    return sb->error;
}

/* The string at *at, which moves behind its NUL; NULL when there is none. */
static const char *next_string(const char **at, const char *end)
{
    const char *s = *at;
    const char *nul = s < end ? memchr(s, '\0', (size_t)(end - s)) : NULL;

    if (nul)
        *at = nul + 1;
    return nul ? s : NULL;
}

static int unpack(const char *data, size_t len, struct arena *arena, struct store_attrs *ret)
{
    const char *end, *at, *s, *value;
    struct store_metadata *metadata;
    size_t n = 0;

    *ret = (struct store_attrs){0};
    at = arena_strndup(arena, data, len);
    /* Each entry has three bytes at least. */
    metadata = arena_alloc(arena, (len / 3 + 1) * sizeof(*metadata));
    if (!at || !metadata)
        return -ENOMEM;
    end = at + len;
    while ((s = next_string(&at, end))) {
        if (*s == 'm') {
            if (!(value = next_string(&at, end)))
                return -EBADMSG;
            metadata[n++] = (struct store_metadata){s + 1, value};
        } else if (*s >= 'A' && *s < 'A' + (int)ARRAY_SIZE(texts)) {
            *text_at(ret, (size_t)(*s - 'A')) = s + 1;
        } else {
            return -EBADMSG;
        }
    }
    ret->metadata = metadata;
    ret->n_metadata = n;
    return at == end ? 0 : -EBADMSG;
}

/* Of what a row says; when it was used is not worth one. */
static uint32_t row_crc(const char *key, const char *etag, int64_t modified, int64_t size,
                        int64_t observed, const void *attrs, size_t len)
{
    uint32_t crc = state_crc_text(0, key);

    crc = state_crc_text(crc, etag);
    crc = state_crc_int(crc, modified);
    crc = state_crc_int(crc, size);
    crc = state_crc_int(crc, observed);
    return state_crc_blob(crc, attrs, len);
}

/* ---- opening ---- */

static void close_db(struct metadata_db *db)
{
    for (size_t i = 0; i < SQL_MAX; i++) {
        sqlite3_finalize(db->stmt[i]);
        db->stmt[i] = NULL;
    }
    sqlite3_close(db->db);
    db->db = NULL;
}

static int open_file(struct metadata_db *db)
{
    static const char *const pragmas[] = {
        "PRAGMA locking_mode = EXCLUSIVE", /* no shared memory file, whose pages could fault */
        "PRAGMA mmap_size = 0",
        "PRAGMA trusted_schema = 0",
        "PRAGMA cell_size_check = 1",
        "PRAGMA temp_store = MEMORY",
        "PRAGMA journal_mode = WAL",
        "PRAGMA synchronous = OFF", /* after a power loss it may begin anew */
        "PRAGMA journal_size_limit = 4194304",
        "PRAGMA cache_size = -4096",
    };
    CLEANUP_FREE char *path = state_file(db->folder, "metadata.db");
    int r, fd;

    if (!path)
        return -ENOMEM;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    (void)close(fd);
    r = state_errno(
        sqlite3_open_v2(path, &db->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
    if (r == 0) {
        (void)sqlite3_limit(db->db, SQLITE_LIMIT_LENGTH, 4 * LIMIT_METADATA_ROW);
        (void)sqlite3_extended_result_codes(db->db, 1);
        (void)sqlite3_db_config(db->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    }
    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(pragmas); i++)
        r = state_exec(db->db, pragmas[i], "");
    return r;
}

static int make_tables(struct metadata_db *db)
{
    static const char *const steps[] = {
        "CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID",
        "CREATE TABLE objects(key TEXT PRIMARY KEY, etag TEXT NOT NULL, modified INTEGER NOT NULL, "
        "size INTEGER NOT NULL, observed INTEGER NOT NULL, attrs BLOB NOT NULL, crc INTEGER NOT "
        "NULL, used INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE INDEX objects_used ON objects(used)",
        "INSERT INTO meta VALUES('rows', 0)",
        "PRAGMA application_id = " TEXT(APPLICATION_ID),
        "PRAGMA user_version = " TEXT(SCHEMA_VERSION),
    };
    int r = state_exec(db->db, "BEGIN IMMEDIATE", "");

    for (size_t i = 0; r == 0 && i < ARRAY_SIZE(steps); i++)
        r = state_exec(db->db, steps[i], "");
    if (r == 0)
        r = state_exec(db->db, "INSERT INTO meta VALUES('identity', ?)", "s", db->identity);
    return r == 0 ? state_exec(db->db, "COMMIT", "") : r;
}

/* 1: it is ours. 0: there is nothing in it. */
static int check_tables(struct metadata_db *db)
{
    CLEANUP_ARENA struct arena a = ARENA_INIT(64 << 10);
    CLEANUP_STMT sqlite3_stmt *stmt = NULL;
    int64_t version = 0, tables = 0, rows = 0;
    const char *text = NULL;
    int r = state_query_int(db->db, "PRAGMA user_version", &version);

    if (r == 0)
        r = state_query_int(db->db, "SELECT count(*) FROM sqlite_schema", &tables);
    if (r < 0 || tables == 0)
        return r;
    if (version != SCHEMA_VERSION)
        return -ESTALE;
    r = state_prepare(db->db, &stmt, "SELECT value FROM meta WHERE name = 'identity'", "");
    if (r == 0)
        r = state_step(stmt);
    if (r == 1)
        r = state_column_text(stmt, 0, 32 << 10, false, &a, &text);
    if (r < 0)
        return r;
    if (!text || strcmp(text, db->identity) != 0)
        return -ESTALE;
    r = state_query_int(db->db, "SELECT value FROM meta WHERE name = 'rows'", &rows);
    /* It has no CRC. Believed, it would let each write evict all that there is. */
    if (r == 0 && (rows < 0 || (uint64_t)rows > db->max_rows))
        r = state_query_int(db->db, "SELECT count(*) FROM objects", &rows);
    db->rows = rows < 0 ? 0 : (uint64_t)rows;
    return r < 0 ? r : 1;
}

static int open_once(struct metadata_db *db)
{
    int r = open_file(db);

    db->rows = 0;
    if (r == 0)
        r = check_tables(db);
    if (r == 0)
        r = make_tables(db);
    if (r > 0)
        r = 0;
    if (r == 0)
        r = state_query_int(db->db, "PRAGMA page_size", &db->page_size);
    for (size_t i = 0; r == 0 && i < SQL_MAX; i++)
        r = state_prepare(db->db, &db->stmt[i], sql[i], "");
    if (r < 0)
        close_db(db);
    return r;
}

static void delete_files(const struct metadata_db *db)
{
    static const char *const names[] = {"metadata.db-wal", "metadata.db-journal", "metadata.db-shm",
                                        "metadata.db"};

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        CLEANUP_FREE char *path = state_file(db->folder, names[i]);

        if (path && unlink(path) < 0 && errno != ENOENT)
            log_debug("'%s': %s", path, strerror(errno));
    }
}

static bool is_damage(int r)
{
    return r == -EUCLEAN || r == -EPROTO || r == -EBADMSG || r == -EEXIST;
}

/* Nothing in it is worth keeping. 0, or why it cannot. */
static int begin_anew(struct metadata_db *db, int why)
{
    close_db(db);
    if (db->begun_anew && why != -ESTALE)
        return -EUCLEAN;
    if (why == -ESTALE)
        log_info("'%s/metadata.db' is of another bucket or another pailfs: it begins anew",
                 db->folder);
    else
        log_warn("'%s/metadata.db' is damaged: it begins anew, attributes will be asked for",
                 db->folder);
    db->begun_anew = true;
    delete_files(db);
    return open_once(db);
}

int metadata_db_open(const struct metadata_db_options *opts, struct metadata_db **ret)
{
    struct metadata_db *db = calloc(1, sizeof(*db));
    int r;

    if (!db)
        return -ENOMEM;
    db->clock = opts->clock ? opts->clock : clock_system();
    db->max_rows = opts->max_rows ? opts->max_rows : LIMIT_METADATA_ROWS;
    db->max_bytes = opts->max_bytes ? opts->max_bytes : LIMIT_METADATA_BYTES;
    db->folder = strdup(opts->folder);
    if (asprintf(&db->identity, "%s\n%s\n%s", opts->endpoint, opts->bucket, opts->prefix) < 0)
        db->identity = NULL;
    r = db->folder && db->identity ? open_once(db) : -ENOMEM;
    if (is_damage(r) || r == -ESTALE)
        r = begin_anew(db, r);
    if (r < 0) {
        metadata_db_close(db);
        return r;
    }
    *ret = db;
    return 0;
}

static void drop_touched(struct metadata_db *db)
{
    while (db->n_touched > 0)
        free(db->touched[--db->n_touched]);
}

void metadata_db_close(struct metadata_db *db)
{
    if (!db)
        return;
    close_db(db);
    drop_touched(db);
    free(db->folder);
    free(db->identity);
    free(db);
}

uint64_t metadata_db_rows(const struct metadata_db *db)
{
    return db->rows;
}

/* ---- rows ---- */

static int bind_text(sqlite3_stmt *stmt, int at, const char *s)
{
    return state_errno(sqlite3_bind_text(stmt, at, s, -1, SQLITE_STATIC));
}

static int bind_int(sqlite3_stmt *stmt, int at, int64_t value)
{
    return state_errno(sqlite3_bind_int64(stmt, at, value));
}

static void reset(sqlite3_stmt *stmt)
{
    (void)sqlite3_reset(stmt);
    (void)sqlite3_clear_bindings(stmt);
}

/* 1, 0 = the row is of another version or cannot be trusted yet, -EBADMSG. */
static int read_row(sqlite3_stmt *stmt, const char *key, const struct store_known *known,
                    struct store_object *ret, int64_t *ret_used)
{
    int64_t modified, size, observed, crc;
    const char *etag = NULL;
    const void *attrs = NULL;
    size_t len = 0;
    int r = state_column_text(stmt, 0, STORE_ETAG_SIZE - 1, false, &ret->arena, &etag);

    if (r == 0)
        r = state_column_int(stmt, 1, &modified);
    if (r == 0)
        r = state_column_int(stmt, 2, &size);
    if (r == 0)
        r = state_column_int(stmt, 3, &observed);
    if (r == 0)
        r = state_column_blob(stmt, 4, LIMIT_METADATA_ROW, &ret->arena, &attrs, &len);
    if (r == 0)
        r = state_column_int(stmt, 5, &crc);
    if (r == 0)
        r = state_column_int(stmt, 6, ret_used);
    if (r < 0)
        return r;
    if (crc != row_crc(key, etag, modified, size, observed, attrs, len))
        return -EBADMSG;
    if (strcmp(etag, known->etag) != 0 || (uint64_t)size != known->size ||
        modified != known->mtime_ns / NS_PER_S ||
        !metadata_is_settled(modified * NS_PER_S, observed))
        return 0;
    r = unpack(attrs ? attrs : "", len, &ret->arena, &ret->attrs);
    if (r < 0)
        return r;
    ret->size = known->size;
    ret->mtime_ns = modified * NS_PER_S;
    ret->remembered = true;
    (void)snprintf(ret->etag, sizeof(ret->etag), "%s", etag);
    return 1;
}

static int remove_row(struct metadata_db *db, const char *key)
{
    sqlite3_stmt *stmt = db->stmt[SQL_REMOVE];
    int r = bind_text(stmt, 1, key);

    if (r == 0)
        r = state_step(stmt);
    if (r >= 0)
        db->rows -= MIN(db->rows, (uint64_t)sqlite3_changes(db->db));
    reset(stmt);
    return r;
}

int metadata_db_get(struct metadata_db *db, const char *key, const struct store_known *known,
                    struct store_object *ret)
{
    sqlite3_stmt *stmt = db->stmt[SQL_GET];
    int64_t used = 0;
    int r = bind_text(stmt, 1, key);

    *ret = (struct store_object){0};
    arena_init(&ret->arena, 4 * LIMIT_METADATA_ROW);
    if (r == 0)
        r = state_step(stmt);
    if (r == 1)
        r = read_row(stmt, key, known, ret, &used);
    reset(stmt);
    if (r == 1) {
        int64_t idle = now_s(db) - used;

        if ((idle < 0 || idle >= USED_GRAIN_S) && db->n_touched < TOUCHED_MAX &&
            (db->touched[db->n_touched] = strdup(key)))
            db->n_touched++;
        return 1;
    }
    store_object_done(ret);
    if (r == -EBADMSG) {
        if (!db->told_row)
            log_warn("'%s/metadata.db': a row does not hold: the store is asked for those",
                     db->folder);
        db->told_row = true;
        r = remove_row(db, key);
    }
    if (is_damage(r))
        r = begin_anew(db, r);
    return r == -ENOMEM ? 0 : r;
}

static int put_row(struct metadata_db *db, const struct metadata_row *row)
{
    CLEANUP_STRBUF struct strbuf attrs = STRBUF_INIT(LIMIT_METADATA_ROW);
    const struct store_object *o = &row->object;
    sqlite3_stmt *stmt = db->stmt[SQL_PUT];
    int64_t modified = o->mtime_ns / NS_PER_S;
    int64_t size = (int64_t)o->size;
    int r;

    if (!metadata_is_settled(o->mtime_ns, row->observed_ns) || pack(&o->attrs, &attrs) < 0 ||
        strlen(row->key) > STATE_KEY_MAX)
        return 0;
    r = remove_row(db, row->key);
    if (r < 0)
        return r;
    uint32_t crc =
        row_crc(row->key, o->etag, modified, size, row->observed_ns, strbuf_str(&attrs), attrs.len);
    r = bind_text(stmt, 1, row->key);
    if (r == 0)
        r = bind_text(stmt, 2, o->etag);
    if (r == 0)
        r = bind_int(stmt, 3, modified);
    if (r == 0)
        r = bind_int(stmt, 4, size);
    if (r == 0)
        r = bind_int(stmt, 5, row->observed_ns);
    if (r == 0)
        r = state_errno(sqlite3_bind_blob64(stmt, 6, strbuf_str(&attrs), attrs.len, SQLITE_STATIC));
    if (r == 0)
        r = bind_int(stmt, 7, (int64_t)crc);
    if (r == 0)
        r = bind_int(stmt, 8, now_s(db));
    if (r == 0)
        r = state_step(stmt);
    reset(stmt);
    if (r == 0)
        db->rows++;
    return r;
}

static int touch_row(struct metadata_db *db, const char *key)
{
    sqlite3_stmt *stmt = db->stmt[SQL_TOUCH];
    int r = bind_int(stmt, 1, now_s(db));

    if (r == 0)
        r = bind_text(stmt, 2, key);
    if (r == 0)
        r = state_step(stmt);
    reset(stmt);
    return r;
}

static int evict_oldest(struct metadata_db *db, uint64_t n)
{
    sqlite3_stmt *stmt = db->stmt[SQL_EVICT];
    int r = bind_int(stmt, 1, (int64_t)n);

    if (r == 0)
        r = state_step(stmt);
    if (r >= 0)
        db->rows -= MIN(db->rows, (uint64_t)sqlite3_changes(db->db));
    reset(stmt);
    return r;
}

static int is_large(struct metadata_db *db, bool *ret)
{
    int64_t pages = 0, unused = 0;
    int r = state_query_int(db->db, "PRAGMA page_count", &pages);

    if (r == 0)
        r = state_query_int(db->db, "PRAGMA freelist_count", &unused);
    *ret = (uint64_t)((pages - unused) * db->page_size) > db->max_bytes;
    return r;
}

static int evict(struct metadata_db *db)
{
    bool large = false;
    int r = 0;

    if (db->rows > db->max_rows)
        r = evict_oldest(db, db->rows - db->max_rows);
    if (r == 0)
        r = is_large(db, &large);
    for (int i = 0; r == 0 && large && i < EVICT_TIMES; i++) {
        r = evict_oldest(db, MIN(db->rows / EVICT_TIMES + 1, (uint64_t)EVICT_ROWS));
        if (r == 0)
            r = is_large(db, &large);
    }
    return r;
}

static int write_all(struct metadata_db *db, const struct metadata_row *rows, size_t n_rows,
                     const char *const *gone, size_t n_gone)
{
    uint64_t before = db->rows;
    int r = state_exec(db->db, "BEGIN IMMEDIATE", "");

    for (size_t i = 0; r == 0 && i < n_gone; i++)
        r = remove_row(db, gone[i]);
    for (size_t i = 0; r == 0 && i < db->n_touched; i++)
        r = touch_row(db, db->touched[i]);
    for (size_t i = 0; r == 0 && i < n_rows; i++)
        r = put_row(db, &rows[i]);
    if (r == 0)
        r = evict(db);
    if (r == 0) {
        r = bind_int(db->stmt[SQL_COUNT], 1, (int64_t)db->rows);
        if (r == 0)
            r = state_step(db->stmt[SQL_COUNT]);
        reset(db->stmt[SQL_COUNT]);
    }
    if (r == 0)
        r = state_exec(db->db, "COMMIT", "");
    if (r < 0) {
        (void)state_exec(db->db, "ROLLBACK", "");
        db->rows = before;
    }
    return r;
}

int metadata_db_write(struct metadata_db *db, const struct metadata_row *rows, size_t n_rows,
                      const char *const *gone, size_t n_gone)
{
    int r = write_all(db, rows, n_rows, gone, n_gone);

    drop_touched(db);
    if (is_damage(r))
        r = begin_anew(db, r);
    return r;
}
