/* SPDX-License-Identifier: Apache-2.0 */
/* state.db: what was acknowledged is there after the next open; what is damaged is put aside. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "meta/state.h"
#include "meta/state_impl.h"
#include "meta/state_note.h"
#include "tempfolder.h"

struct bed {
    char *folder;
    struct state *st;
    struct clock_fake clock;
};

static struct state_options options(struct bed *b)
{
    return (struct state_options){.path = b->folder,
                                  .endpoint = "http://127.0.0.1:9000",
                                  .bucket = "bucket",
                                  .prefix = "",
                                  .clock = &b->clock.clock};
}

static void open_state(struct bed *b)
{
    struct state_options o = options(b);
    struct s3_error err = {0};
    int r = state_open(&o, &b->st, &err);

    if (r < 0)
        fail_msg("open: %d %s", r, err.message);
}

static int setup(void **state)
{
    struct bed *b = calloc(1, sizeof(*b));

    log_set_level(LOG_LEVEL_ERROR);
    clock_fake_init(&b->clock, 1000 * NS_PER_S);
    b->folder = tempfolder_make();
    open_state(b);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bed *b = *state;

    state_close(b->st);
    tempfolder_remove(b->folder);
    free(b);
    return 0;
}

static void reopen(struct bed *b)
{
    state_close(b->st);
    open_state(b);
}

/* ---- intents ---- */

struct seen {
    char text[4096];
    unsigned n;
    struct state *end_in;
};

static int note(void *ctx, const struct state_intent *in)
{
    struct seen *s = ctx;
    size_t at = strlen(s->text);

    s->n++;
    (void)snprintf(s->text + at, sizeof(s->text) - at, "%s %s>%s %.*s@%lld;",
                   state_intent_kind_name(in->kind), in->key, in->key2 ? in->key2 : "-",
                   (int)in->payload_len, in->payload ? (const char *)in->payload : "",
                   (long long)(in->time_ns / NS_PER_S));
    if (s->end_in)
        assert_int_equal(state_intent_end(s->end_in, in->id), 0);
    return 0;
}

static void intents_survive(void **state)
{
    struct bed *b = *state;
    struct seen seen = {.text = ""};
    uint64_t one = 0, two = 0, three = 0, four = 0;

    assert_int_equal(state_intent_begin(b->st, STATE_INTENT_RENAME_DIR, "a/", "b/", "x", 1, &one),
                     0);
    assert_int_equal(state_intent_begin(b->st, STATE_INTENT_DELETE, "c", NULL, NULL, 0, &two), 0);
    assert_int_equal(
        state_intent_begin(b->st, STATE_INTENT_ATTRS, "\xc3\xa4", NULL, "mode", 4, &three), 0);
    assert_int_equal(state_intent_update(b->st, one, "step 2", 6), 0);
    assert_int_equal(state_intent_end(b->st, two), 0);
    assert_int_equal(state_intent_end(b->st, 999), 0);
    assert_int_equal(state_intent_update(b->st, two, "x", 1), -ENOENT);
    assert_true(state_unfinished(b->st));
    /* Those of this life are not for the recovery. */
    assert_int_equal(state_intents_before(b->st, 0, note, &seen), 0);
    assert_int_equal(seen.n, 0);

    reopen(b);
    assert_int_equal(state_intent_begin(b->st, STATE_INTENT_DELETE, "new", NULL, NULL, 0, &four),
                     0);
    assert_true(four > three);
    assert_int_equal(state_intents_before(b->st, 0, note, &seen), 0);
    assert_string_equal(seen.text, "rename-dir a/>b/ step 2@1000;attributes \xc3\xa4>- mode@1000;");
    memset(&seen, 0, sizeof(seen));
    assert_int_equal(state_intents_before(b->st, STATE_INTENT_ATTRS, note, &seen), 0);
    assert_int_equal(seen.n, 1);
    memset(&seen, 0, sizeof(seen));
    seen.end_in = b->st;
    assert_int_equal(state_intents_now(b->st, 0, note, &seen), 0);
    assert_int_equal(seen.n, 3);
    assert_false(state_unfinished(b->st));
}

static void many_intents_are_paged(void **state)
{
    struct bed *b = *state;
    struct seen seen = {.text = ""};
    char *large = calloc(1, 3 << 20);
    uint64_t id;

    memset(large, 'x', 3 << 20);
    for (int i = 0; i < 150; i++)
        assert_int_equal(state_intent_begin(b->st, STATE_INTENT_DELETE, "k", NULL, NULL, 0, &id),
                         0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(
            state_intent_begin(b->st, STATE_INTENT_ATTRS, "l", NULL, large, 3 << 20, &id), 0);
    free(large);
    reopen(b);
    seen.end_in = b->st;
    assert_int_equal(state_intents_before(b->st, 0, note, &seen), 0);
    assert_int_equal(seen.n, 154);
}

static void too_long_is_refused(void **state)
{
    struct bed *b = *state;
    char key[STATE_KEY_MAX + 2];
    uint64_t id;

    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    assert_int_equal(state_intent_begin(b->st, STATE_INTENT_DELETE, key, NULL, NULL, 0, &id),
                     -E2BIG);
    assert_int_equal(
        state_intent_begin(b->st, STATE_INTENT_DELETE, "k", NULL, "x", STATE_PAYLOAD_MAX + 1, &id),
        -E2BIG);
}

/* ---- uploads ---- */

static int note_upload(void *ctx, const struct state_upload *u)
{
    struct seen *s = ctx;
    size_t at = strlen(s->text);

    s->n++;
    (void)snprintf(s->text + at, sizeof(s->text) - at, "%s=%s%s@%lld;", u->key,
                   u->upload_id ? u->upload_id : "?", u->keep ? "!" : "",
                   (long long)(u->begun_ns / NS_PER_S));
    return 0;
}

static void uploads_survive(void **state)
{
    struct bed *b = *state;
    struct state_upload_note n = {.what = STATE_UPLOAD_BEGIN, .key = "a"};
    struct seen seen = {.text = ""};
    uint64_t rows[3];

    for (int i = 0; i < 3; i++) {
        const char *const keys[] = {"a", "b", "c"};
        n.key = keys[i];
        assert_int_equal(state_upload_write(b->st, &n), 0);
        rows[i] = n.row;
    }
    n = (struct state_upload_note){
        .what = STATE_UPLOAD_CREATED, .row = rows[0], .upload_id = "id-a"};
    assert_int_equal(state_upload_write(b->st, &n), 0);
    n.row = rows[1];
    n.upload_id = "id-b";
    assert_int_equal(state_upload_write(b->st, &n), 0);
    n = (struct state_upload_note){.what = STATE_UPLOAD_END, .upload_id = "id-a"};
    assert_int_equal(state_upload_write(b->st, &n), 0);
    assert_int_equal(state_upload_keep(b->st, "id-b", true), 0);
    assert_int_equal(state_upload_keep(b->st, "id-x", true), -ENOENT);
    reopen(b);
    assert_int_equal(state_uploads_before(b->st, note_upload, &seen), 0);
    assert_string_equal(seen.text, "b=id-b!@1000;c=?@1000;");
    n = (struct state_upload_note){.what = STATE_UPLOAD_END, .row = rows[2]};
    assert_int_equal(state_upload_write(b->st, &n), 0);
    n = (struct state_upload_note){.what = STATE_UPLOAD_END, .upload_id = "id-b"};
    assert_int_equal(state_upload_write(b->st, &n), 0);
    assert_false(state_unfinished(b->st));
}

/* ---- the writer thread ---- */

#define THREADS 16
#define EACH    20

static void *many_writes(void *arg)
{
    struct bed *b = arg;
    uint64_t id;

    for (int i = 0; i < EACH; i++) {
        if (state_intent_begin(b->st, STATE_INTENT_DELETE, "k", NULL, NULL, 0, &id) < 0)
            return arg;
    }
    return NULL;
}

static void writers_share_commits(void **state)
{
    struct bed *b = *state;
    pthread_t threads[THREADS];
    struct state_stats stats;
    uint64_t n = 0;

    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_writes, b), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    state_stats(b->st, &stats);
    assert_int_equal(stats.jobs, THREADS * EACH + 1);
    assert_true(stats.commits <= stats.jobs);
    assert_int_equal(state_intent_count(b->st, &n), 0);
    assert_int_equal(n, THREADS * EACH);
}

struct chain {
    struct state_job job;
    bool fails;
    int result;
    struct chain *gate; /* waits for none: only orders */
};

static int chain_run(struct sqlite3 *db, void *ctx)
{
    struct chain *c = ctx;
    int r = state_exec(db, "INSERT INTO uploads(key, time, keep, crc) VALUES('x', 0, 0, 0)", "");

    return c->fails ? -EXDEV : r;
}

static pthread_mutex_t chain_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t chain_cond = PTHREAD_COND_INITIALIZER;
static unsigned chain_done_n;

static void chain_done(void *ctx, int result)
{
    struct chain *c = ctx;

    c->result = result;
    pthread_mutex_lock(&chain_lock);
    chain_done_n++;
    pthread_cond_signal(&chain_cond);
    pthread_mutex_unlock(&chain_lock);
}

static void one_failure_spoils_no_other(void **state)
{
    struct bed *b = *state;
    struct chain jobs[9];
    uint64_t n = 0;

    memset(jobs, 0, sizeof(jobs));
    chain_done_n = 0;
    for (int i = 0; i < 9; i++) {
        jobs[i].fails = i % 3 == 1;
        jobs[i].job = (struct state_job){.run = chain_run, .done = chain_done, .ctx = &jobs[i]};
        state_submit(b->st, &jobs[i].job);
    }
    pthread_mutex_lock(&chain_lock);
    while (chain_done_n < 9)
        pthread_cond_wait(&chain_cond, &chain_lock);
    pthread_mutex_unlock(&chain_lock);
    for (int i = 0; i < 9; i++)
        assert_int_equal(jobs[i].result, i % 3 == 1 ? -EXDEV : 0);
    assert_int_equal(state_upload_count(b->st, &n), 0);
    assert_int_equal(n, 6);
}

/* What was acknowledged is there although the process went without a close. */
static void acknowledged_survives_a_kill(void **state)
{
    struct bed *b = *state;
    struct seen seen = {.text = ""};
    int status;
    pid_t pid;

    state_close(b->st);
    b->st = NULL;
    pid = fork();
    if (pid == 0) {
        struct state_options o = options(b);
        uint64_t id;

        if (state_open(&o, &b->st, NULL) < 0 ||
            state_intent_begin(b->st, STATE_INTENT_DELETE, "kept", NULL, NULL, 0, &id) < 0)
            _exit(1);
        kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    open_state(b);
    assert_int_equal(state_intents_before(b->st, 0, note, &seen), 0);
    assert_string_equal(seen.text, "delete kept>- @1000;");
}

/* ---- whose it is ---- */

static void run_sql(struct bed *b, const char *sql)
{
    char path[512];
    sqlite3 *db;

    (void)snprintf(path, sizeof(path), "%s/state.db", b->folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    sqlite3_close(db);
}

static void another_bucket_is_refused(void **state)
{
    struct bed *b = *state;
    struct state_options o = options(b);
    struct state *other = NULL;
    struct s3_error err = {0};

    state_close(b->st);
    b->st = NULL;
    o.bucket = "other";
    assert_int_equal(state_open(&o, &other, &err), -EINVAL);
    assert_non_null(strstr(err.message, "'bucket'"));
    o = options(b);
    o.prefix = "p/";
    assert_int_equal(state_open(&o, &other, &err), -EINVAL);
    open_state(b);
}

static void a_newer_schema_is_refused(void **state)
{
    struct bed *b = *state;
    struct state_options o = options(b);
    struct s3_error err = {0};
    char sql[256];

    state_close(b->st);
    b->st = NULL;
    (void)snprintf(sql, sizeof(sql),
                   "PRAGMA user_version = 99; UPDATE meta SET value = '99', crc = %u WHERE name = "
                   "'schema'",
                   state_crc_text(state_crc_text(0, "schema"), "99"));
    run_sql(b, sql);
    assert_int_equal(state_open(&o, &b->st, &err), -ENOTSUP);
    assert_non_null(strstr(err.message, "newer pailfs (schema 99"));
    b->st = NULL;
}

/* ---- damage ---- */

static unsigned broken_files(struct bed *b)
{
    return tempfolder_count(b->folder, "state.db.broken-");
}

static void a_damaged_row_is_put_aside(void **state)
{
    struct bed *b = *state;
    struct state_stats stats;
    struct seen seen = {.text = ""};
    uint64_t id;

    for (int i = 0; i < 7; i++)
        assert_int_equal(state_intent_begin(b->st, STATE_INTENT_DELETE, "key", NULL, "pay", 3, &id),
                         0);
    state_close(b->st);
    run_sql(b, "UPDATE intents SET kind = 77 WHERE id = 1;"
               "UPDATE intents SET key = 'kez' WHERE id = 2;"
               "UPDATE intents SET payload = 'text' WHERE id = 3;"
               "UPDATE intents SET key = x'6b00' WHERE id = 4;"
               "UPDATE intents SET time = 5 WHERE id = 5;"
               "UPDATE intents SET payload = zeroblob(17000000) WHERE id = 6;");
    open_state(b);
    log_set_level(LOG_LEVEL_ERROR);
    assert_int_equal(state_intents_before(b->st, 0, note, &seen), 0);
    assert_int_equal(seen.n, 1);
    state_stats(b->st, &stats);
    assert_int_equal(stats.rows_aside, 6);
    assert_int_equal(state_intent_count(b->st, &id), 0);
    assert_int_equal(id, 1);
    assert_int_equal(broken_files(b), 0);
}

static void no_database_is_moved_aside(void **state)
{
    struct bed *b = *state;
    char path[512];
    uint64_t id;
    FILE *f;

    state_close(b->st);
    (void)snprintf(path, sizeof(path), "%s/state.db", b->folder);
    f = fopen(path, "w");
    for (int i = 0; i < 1000; i++)
        fputs("this is no database\n", f);
    fclose(f);
    open_state(b);
    assert_int_equal(broken_files(b), 1);
    assert_int_equal(state_intent_begin(b->st, STATE_INTENT_DELETE, "k", NULL, NULL, 0, &id), 0);
}

static void a_foreign_schema_is_moved_aside(void **state)
{
    struct bed *b = *state;
    struct seen seen = {.text = ""};
    uint64_t id;

    assert_int_equal(state_intent_begin(b->st, STATE_INTENT_DELETE, "k", NULL, NULL, 0, &id), 0);
    state_close(b->st);
    run_sql(b, "DROP TABLE uploads; CREATE TABLE uploads(something TEXT)");
    open_state(b);
    assert_true(broken_files(b) >= 1); /* with its -wal */
    /* The rest of it is taken over. */
    assert_int_equal(state_intents_before(b->st, 0, note, &seen), 0);
    assert_string_equal(seen.text, "delete k>- @1000;");
}

static void flip_file(const char *path, uint64_t *seed, unsigned n)
{
    int fd = open(path, O_RDWR);
    struct stat st;

    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    for (unsigned i = 0; i < n && st.st_size > 0; i++) {
        uint8_t byte;
        off_t at;

        *seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
        /* Half of the hits go to the header and the schema. */
        at = (off_t)((*seed >> 33) %
                     (uint64_t)((*seed >> 20 & 1) ? MIN(st.st_size, 600) : st.st_size));
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= (uint8_t)(1u << (*seed >> 60 & 7));
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
}

/* Whatever is in the file: a state that works, and only rows that were once written. */
static int check_row(void *ctx, const struct state_intent *in)
{
    assert_string_equal(in->key, "some/key");
    assert_int_equal(in->payload_len, 5);
    assert_memory_equal(in->payload, "bytes", 5);
    (*(unsigned *)ctx)++;
    return 0;
}

static int check_upload(void *ctx, const struct state_upload *u)
{
    assert_string_equal(u->key, "up/key");
    return 0;
}

static void flipped_bytes_never_crash(void **state)
{
    struct bed *b = *state;
    unsigned whole = 0, rounds = 150, anew = 0;
    uint64_t seed = 20261122, id;
    char path[512], wal[512];

    print_message("seed %llu\n", (unsigned long long)seed);
    log_set_level(LOG_LEVEL_ERROR);
    (void)log_open(LOG_TARGET_FILE, "/dev/null");
    (void)snprintf(path, sizeof(path), "%s/state.db", b->folder);
    (void)snprintf(wal, sizeof(wal), "%s/state.db-wal", b->folder);
    for (unsigned i = 0; i < rounds; i++) {
        struct state_options o = options(b);
        struct s3_error err = {0};
        unsigned rows = 0;
        int r;

        for (int k = 0; k < 20 && i % 10 == 0; k++) {
            struct state_upload_note n = {.what = STATE_UPLOAD_BEGIN, .key = "up/key"};

            assert_int_equal(state_intent_begin(b->st, STATE_INTENT_RENAME_FILE, "some/key", NULL,
                                                "bytes", 5, &id),
                             0);
            assert_int_equal(state_upload_write(b->st, &n), 0);
        }
        state_close(b->st);
        b->st = NULL;
        flip_file(path, &seed, 1 + i % 3);
        r = state_open(&o, &b->st, &err);
        if (r < 0)
            fail_msg("round %u: %d %s", i, r, err.message);
        assert_int_equal(state_intents_now(b->st, 0, check_row, &rows), 0);
        assert_int_equal(state_uploads_now(b->st, check_upload, NULL), 0);
        assert_int_equal(
            state_intent_begin(b->st, STATE_INTENT_RENAME_FILE, "some/key", NULL, "bytes", 5, &id),
            0);
        whole += rows;
    }
    anew = broken_files(b);
    print_message("%u rounds: %u times begun anew, %u whole rows read\n", rounds, anew, whole);
    assert_true(anew > 5);
    assert_true(whole > rounds);
    (void)log_open(LOG_TARGET_STDERR, NULL);
}

/* ---- notes ---- */

static int take_payload(void *ctx, const struct state_intent *t)
{
    char *text = ctx;
    snprintf(text + strlen(text), 256 - strlen(text), "%s=%.*s ", t->key, (int)t->payload_len,
             (const char *)t->payload);
    return 0;
}

static void expect_notes(struct bed *b, const char *want)
{
    char text[256] = "";
    assert_int_equal(state_intents_now(b->st, STATE_INTENT_ATTRS, take_payload, text), 0);
    assert_string_equal(text, want);
}

static void the_last_of_a_note_survives(void **state)
{
    struct bed *b = *state;
    struct state_note *n[3];
    char text[16];
    for (int i = 0; i < 3; i++) {
        snprintf(text, sizeof(text), "k%d", i);
        n[i] = state_note_new(b->st, STATE_INTENT_ATTRS, text);
        assert_non_null(n[i]);
    }
    expect_notes(b, "");
    for (int i = 0; i < 100; i++) {
        snprintf(text, sizeof(text), "%d", i);
        assert_int_equal(state_note_set(n[0], text, strlen(text)), 0);
        assert_int_equal(state_note_set(n[1], text, strlen(text)), 0);
    }
    state_note_end(n[1]);
    assert_int_equal(state_note_set(n[2], "left", 4), 0);
    state_note_leave(n[2]);
    reopen(b);
    /* Closing waits for what was submitted; n[0]'s owner is gone like after a crash. */
    expect_notes(b, "k0=99 k2=left ");
    state_note_leave(n[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(intents_survive, setup, teardown),
        cmocka_unit_test_setup_teardown(many_intents_are_paged, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_of_a_note_survives, setup, teardown),
        cmocka_unit_test_setup_teardown(too_long_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(uploads_survive, setup, teardown),
        cmocka_unit_test_setup_teardown(writers_share_commits, setup, teardown),
        cmocka_unit_test_setup_teardown(one_failure_spoils_no_other, setup, teardown),
        cmocka_unit_test_setup_teardown(acknowledged_survives_a_kill, setup, teardown),
        cmocka_unit_test_setup_teardown(another_bucket_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_newer_schema_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_row_is_put_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(no_database_is_moved_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(a_foreign_schema_is_moved_aside, setup, teardown),
        cmocka_unit_test_setup_teardown(flipped_bytes_never_crash, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
