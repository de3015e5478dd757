/* SPDX-License-Identifier: Apache-2.0 */
/* Flipped bytes in the files of a mount that was killed: FORMAT.md says what becomes of each. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/crc.h"
#include "base/log.h"
#include "meta/state.h"
#include "meta/state_journal.h"
#include "tempfolder.h"

#define INTENTS 24
#define UPLOADS 6
#define CHANGES 8
#define BODY    3000u
/* Bytes between two that are flipped: a prime, so that all parts of pages have their turn. */
#define STEP 7919u

enum { DB, WAL, END, N_FILES };
static const char *const names[N_FILES] = {"state.db", "state.db-wal", "wal-end"};

struct image {
    uint8_t *data[N_FILES];
    size_t len[N_FILES];
};

struct bed {
    char *folder, *log;
    struct clock_fake clock;
    struct image image;
};

struct found {
    unsigned intents, uploads, changes, bodies;
    bool begun_anew, doubtful;
};

static int open_state(struct bed *b, struct state **ret)
{
    struct state_options o = {.path = b->folder,
                              .endpoint = "http://127.0.0.1:9000",
                              .bucket = "bucket",
                              .prefix = "",
                              .clock = &b->clock.clock};
    struct s3_error err = {0};
    int r = state_open(&o, ret, &err);
    if (r < 0)
        print_error("open: %d %s\n", r, err.message);
    return r;
}

static void in_folder(const struct bed *b, const char *name, char path[512])
{
    snprintf(path, 512, "%s/%s", b->folder, name);
}

static void load_file(const struct bed *b, int i, struct image *im)
{
    char path[512];
    struct stat st;
    in_folder(b, names[i], path);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0);
    im->len[i] = (size_t)st.st_size;
    im->data[i] = malloc(im->len[i]);
    assert_int_equal(read(fd, im->data[i], im->len[i]), st.st_size);
    close(fd);
}

static void store_image(const struct bed *b)
{
    char command[600], path[512];
    snprintf(command, sizeof(command), "rm -rf '%s'/*", b->folder);
    assert_int_equal(system(command), 0);
    for (int i = 0; i < N_FILES; i++) {
        in_folder(b, names[i], path);
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        assert_int_equal(write(fd, b->image.data[i], b->image.len[i]), b->image.len[i]);
        close(fd);
    }
}

/* ---- what is written, and what may be read ---- */

static void body_of(uint64_t seq, uint8_t body[BODY])
{
    for (size_t i = 0; i < BODY; i++)
        body[i] = (uint8_t)(seq * 31 + i * 7);
}

static void noted(void *ctx, int result)
{
    *(int *)ctx = result;
}

static void write_rows(struct state *st)
{
    struct journal *j;
    char key[64];
    uint64_t id;
    for (int i = 0; i < INTENTS; i++) {
        snprintf(key, sizeof(key), "key %d", i);
        assert_int_equal(
            state_intent_begin(st, STATE_INTENT_RENAME_FILE, key, "other", key, strlen(key), &id),
            0);
    }
    for (int i = 0; i < UPLOADS; i++) {
        struct state_upload_note n = {.what = STATE_UPLOAD_BEGIN, .key = "up/key"};
        assert_int_equal(state_upload_write(st, &n), 0);
    }
    assert_int_equal(state_journal_new(st, &j), 0);
    for (uint64_t seq = 1; seq <= CHANGES; seq++) {
        uint8_t body[BODY];
        struct journal_row row = {
            .seq = seq, .record = key, .record_len = sizeof(key), .body = body, .body_len = BODY};
        int result = 1;
        struct journal_change c = {.rows = &row, .n_rows = 1, .done = noted, .ctx = &result};
        body_of(seq, body);
        memset(key, (int)seq, sizeof(key));
        assert_int_equal(journal_submit(j, &c), 0);
        assert_true(state_unfinished(st)); /* behind it in the queue: it is written */
        assert_int_equal(result, 0);
    }
    j->ops->free(j);
}

static int check_intent(void *ctx, const struct state_intent *in)
{
    struct found *f = ctx;
    int n;
    assert_int_equal(sscanf(in->key, "key %d", &n), 1);
    assert_in_range(n, 0, INTENTS - 1);
    assert_string_equal(in->key2, "other");
    assert_int_equal(in->payload_len, strlen(in->key));
    assert_memory_equal(in->payload, in->key, in->payload_len);
    f->intents++;
    return 0;
}

static int check_upload(void *ctx, const struct state_upload *u)
{
    struct found *f = ctx;
    assert_string_equal(u->key, "up/key");
    assert_null(u->upload_id);
    f->uploads++;
    return 0;
}

/* What a record and a body must be is checked above the journal; here: that they can be had. */
static int check_row(void *ctx, const struct journal_row *row)
{
    struct found *f = ctx;
    uint8_t want[64];
    memset(want, (int)row->seq, sizeof(want));
    f->changes += row->record_len == sizeof(want) && memcmp(row->record, want, sizeof(want)) == 0;
    return 0;
}

static void look(struct bed *b, struct found *f)
{
    struct state *st;
    struct journal *j;
    *f = (struct found){0};
    assert_int_equal(open_state(b, &st), 0);
    f->begun_anew = state_begun_anew(st);
    f->doubtful = state_doubtful(st);
    assert_int_equal(state_intents_before(st, 0, check_intent, f), 0);
    assert_int_equal(state_uploads_before(st, check_upload, f), 0);
    assert_int_equal(state_journal_new(st, &j), 0);
    assert_int_equal(j->ops->load(j, check_row, f), 0);
    for (uint64_t seq = 1; seq <= CHANGES; seq++) {
        uint8_t want[BODY], have[BODY];
        body_of(seq, want);
        f->bodies += j->ops->body(j, seq, have, BODY) == 0 && memcmp(have, want, BODY) == 0;
    }
    j->ops->free(j);
    state_close(st);
}

static bool all_of_it(const struct found *f)
{
    return f->intents == INTENTS && f->uploads == UPLOADS && f->changes == CHANGES &&
           f->bodies == CHANGES;
}

static bool log_has(const struct bed *b, const char *text)
{
    char command[700];
    snprintf(command, sizeof(command), "grep -q -- '%s' '%s'", text, b->log);
    return system(command) == 0;
}

static void clear_log(const struct bed *b)
{
    assert_int_equal(log_open(LOG_TARGET_STDERR, NULL), 0);
    unlink(b->log);
    assert_int_equal(log_open(LOG_TARGET_FILE, b->log), 0);
}

/* ---- life ---- */

static int setup(void **state)
{
    struct bed *b = calloc(1, sizeof(*b));
    struct state *st;
    clock_fake_init(&b->clock, 1000 * NS_PER_S);
    b->folder = tempfolder_make();
    assert_true(asprintf(&b->log, "%s.log", b->folder) > 0);
    assert_int_equal(open_state(b, &st), 0);
    write_rows(st);
    for (int i = 0; i < N_FILES; i++) /* as a kill leaves them */
        load_file(b, i, &b->image);
    state_close(st);
    assert_true(tempfolder_count(b->folder, "wal-end") == 0); /* it ends with the log */
    log_set_level(LOG_LEVEL_ERROR);
    clear_log(b);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bed *b = *state;
    (void)log_open(LOG_TARGET_STDERR, NULL);
    unlink(b->log);
    for (int i = 0; i < N_FILES; i++)
        free(b->image.data[i]);
    tempfolder_remove(b->folder);
    free(b->log);
    free(b);
    return 0;
}

/* ---- tests ---- */

static void a_whole_image_is_whole(void **state)
{
    struct bed *b = *state;
    struct found f;
    store_image(b);
    look(b, &f);
    assert_true(all_of_it(&f) && !f.begun_anew && !f.doubtful);
    assert_false(log_has(b, "."));
}

/* Any one byte of the log: it is put right, and nothing that was acknowledged is lost. */
static void a_flipped_byte_of_the_log_is_put_right(void **state)
{
    struct bed *b = *state;
    struct found f;
    size_t n = 0;
    for (size_t at = 0; at < b->image.len[WAL]; at += at < 64 ? 3 : STEP, n++) {
        b->image.data[WAL][at] ^= (uint8_t)(1u << at % 8);
        clear_log(b);
        store_image(b);
        look(b, &f);
        if (!all_of_it(&f) || f.begun_anew || !log_has(b, "state.db-wal was damaged in 1 places"))
            fail_msg("byte %zu: %u intents, %u uploads, %u changes, %u bodies, damaged %d", at,
                     f.intents, f.uploads, f.changes, f.bodies, f.begun_anew);
        b->image.data[WAL][at] ^= (uint8_t)(1u << at % 8);
    }
    print_message("%zu bytes of %zu\n", n, b->image.len[WAL]);
}

/* More damage than that: said, kept aside, and what comes before it is used. */
static void a_damaged_page_of_the_log_is_told(void **state)
{
    struct bed *b = *state;
    struct found f;
    memset(b->image.data[WAL] + b->image.len[WAL] / 2, 0x5a, 4096);
    store_image(b);
    look(b, &f);
    assert_true(f.begun_anew && f.doubtful);
    assert_in_range(f.intents, 1, INTENTS);
    assert_int_equal(f.changes, 0);
    assert_true(log_has(b, "what was acknowledged in it and after it cannot be read"));
    assert_true(log_has(b, "the damaged log is kept as"));
    assert_int_equal(tempfolder_count(b->folder, "state.db.broken-"), 1);
    /* The doubt lasts until it is settled; the loss is told once. */
    clear_log(b);
    look(b, &f);
    assert_true(!f.begun_anew && f.doubtful);
    assert_false(log_has(b, "."));
}

static void a_log_that_is_cut_or_gone_is_told(void **state)
{
    struct bed *b = *state;
    struct found f;
    char path[512];
    in_folder(b, "state.db-wal", path);
    for (int i = 0; i < 3; i++) {
        clear_log(b);
        store_image(b);
        assert_int_equal(i == 2 ? unlink(path)
                                : truncate(path, i == 1 ? 0 : (off_t)b->image.len[WAL] - 5000),
                         0);
        look(b, &f);
        assert_true(f.begun_anew && f.doubtful && !all_of_it(&f));
        assert_true(log_has(b, i == 0   ? "cannot be read"
                               : i == 1 ? "state.db-wal is empty"
                                        : "is missing"));
    }
}

/* What a crash cuts short was never acknowledged: nothing to tell. */
static void a_torn_end_is_no_damage(void **state)
{
    struct bed *b = *state;
    struct found f;
    b->image.data[WAL] = realloc(b->image.data[WAL], b->image.len[WAL] + 2000);
    memset(b->image.data[WAL] + b->image.len[WAL], 7, 2000);
    b->image.len[WAL] += 2000;
    store_image(b);
    look(b, &f);
    assert_true(all_of_it(&f) && !f.begun_anew);
    assert_false(log_has(b, "."));
}

static uint32_t word(const uint8_t *p, bool big)
{
    return big ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3]
               : (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static void put_word(uint8_t *p, bool big, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * (big ? 3 - i : i));
}

/* The note becomes that of a log so many before. */
static void age_note(struct bed *b, uint32_t logs)
{
    uint8_t *h = b->image.data[END];
    uint32_t s0 = 0, s1 = 0;
    bool big = h[3] & 1;
    put_word(h + 16, true, word(h + 16, true) - logs);
    for (int i = 0; i < 24; i += 8) {
        s0 += word(h + i, big) + s1;
        s1 += word(h + i + 4, big) + s0;
    }
    put_word(h + 24, true, s0);
    put_word(h + 28, true, s1);
    put_word(h + 44, false, crc32c_update(0, h, 44));
}

/* It is not synced: after a power loss it may be older than the log by more than one. */
static void an_old_note_is_no_damage(void **state)
{
    struct bed *b = *state;
    struct found f;
    uint8_t *note = malloc(b->image.len[END]);
    memcpy(note, b->image.data[END], b->image.len[END]);
    for (uint32_t logs = 0; logs < 4; logs++) {
        memcpy(b->image.data[END], note, b->image.len[END]);
        age_note(b, logs);
        store_image(b);
        look(b, &f);
        assert_true(all_of_it(&f) && !f.begun_anew && !f.doubtful);
        assert_false(log_has(b, "."));
    }
    /* Later than the log, or far from it: not the same database's. */
    for (int i = 0; i < 2; i++) {
        memcpy(b->image.data[END], note, b->image.len[END]);
        age_note(b, i ? 1u << 20 : UINT32_MAX);
        clear_log(b);
        store_image(b);
        look(b, &f);
        assert_true(f.begun_anew && f.doubtful);
        assert_true(log_has(b, "is not the log that was written last"));
    }
    free(note);
}

/* A damaged note costs the knowledge, nothing else. */
static void a_flipped_byte_of_the_note_is_told(void **state)
{
    struct bed *b = *state;
    struct found f;
    log_set_level(LOG_LEVEL_WARN);
    for (size_t at = 0; at < b->image.len[END]; at += at < 48 ? 3 : 7) {
        b->image.data[END][at] ^= 0x10;
        clear_log(b);
        store_image(b);
        look(b, &f);
        b->image.data[END][at] ^= 0x10;
        assert_true(all_of_it(&f) && !f.begun_anew);
        /* Behind the end are the CRCs, for when a frame is damaged. */
        assert_true(log_has(b, "wal-end. does not hold") == (at < 48));
    }
}

/* The pages have no checksums of their own, the rows do: never a row that was not written. With
 * a log beside it, most of the database is taken from there: here it is in state.db. */
static void a_flipped_byte_of_the_database_spoils_no_other_row(void **state)
{
    struct bed *b = *state;
    struct state *st;
    struct found f;
    unsigned whole = 0, told = 0, rounds = 0;
    char path[512];
    store_image(b);
    assert_int_equal(open_state(b, &st), 0);
    state_close(st); /* a checkpoint */
    free(b->image.data[DB]);
    load_file(b, DB, &b->image);
    for (size_t at = 0; at < b->image.len[DB]; at += at < 128 ? 5 : STEP, rounds++) {
        clear_log(b);
        store_image(b);
        in_folder(b, names[WAL], path);
        unlink(path);
        in_folder(b, names[END], path);
        unlink(path);
        in_folder(b, names[DB], path);
        int fd = open(path, O_WRONLY);
        uint8_t byte = b->image.data[DB][at] ^ (uint8_t)(1u << at % 7);
        assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
        close(fd);
        look(b, &f);
        whole += all_of_it(&f);
        told += log_has(b, ".");
        if (!all_of_it(&f) && !log_has(b, ".") && f.changes == CHANGES && f.bodies == CHANGES)
            fail_msg("byte %zu: rows are missing and nothing says so", at);
    }
    print_message("%u rounds: %u times all was there, %u times damage was told\n", rounds, whole,
                  told);
    assert_true(whole > 0 && told > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_whole_image_is_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flipped_byte_of_the_log_is_put_right, setup, teardown),
        cmocka_unit_test_setup_teardown(a_damaged_page_of_the_log_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_that_is_cut_or_gone_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_torn_end_is_no_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(an_old_note_is_no_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flipped_byte_of_the_note_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flipped_byte_of_the_database_spoils_no_other_row, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
