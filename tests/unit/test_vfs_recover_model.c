/* SPDX-License-Identifier: Apache-2.0 */
/* Random renames and exchanges, with a request that fails, loses its answer or is carried out long
 * after it was given up, a process that dies at any request, in its recovery too, and another host
 * that stores something at any moment. No content may vanish that no completed operation has
 * overwritten; and when no other host is in the way, nothing may be left over. The contents are of
 * one size, and half of them of parts, so that neither sizes nor ETags tell copies.
 *   test_vfs_recover_model [FIRST_SEED [COUNT]] */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "vfs/vfs_impl.h"
#include "vfs_bed.h"

#define CONTENTS_MAX 64
#define CONTENT_SIZE 8
#define LATE_MAX     4

static uint64_t first_seed = 1, n_seeds = 300;

enum fate {
    PASSES,
    FAILS,       /* not done */
    LOSES,       /* done, the answer is lost */
    COMES_LATE,  /* done after the operation */
    COMES_LATER, /* after the next mount */
    FATES,
};

struct late {
    enum fate fate;
    enum store_op op;
    char key[64], source[64], if_match[STORE_ETAG_SIZE], source_if_match[STORE_ETAG_SIZE];
    bool if_absent;
};

struct content {
    char text[CONTENT_SIZE + 1];
    bool may_go; /* something was stored over it */
};

struct world {
    struct store store; /* what the filesystem sees; first */
    struct vfs_bed bed;
    uint64_t random;
    struct content contents[CONTENTS_MAX];
    size_t n_contents;
    bool others; /* another host has stored something since the first operation */
    /* requests */
    unsigned n;
    unsigned fail_at;  /* 0 = never */
    unsigned store_at; /* another host does, before that one; 0 = never */
    enum fate fate;
    bool dies;
    bool dead;
    struct late late[LATE_MAX];
    size_t n_late;
    /* the operation under way */
    const char *overwrites; /* key, NULL = none */
};

static unsigned pick(struct world *w, unsigned n)
{
    w->random = w->random * 6364136223846793005ull + 1442695040888963407ull;
    return (unsigned)(w->random >> 33) % n;
}

/* ---- contents ---- */

static void may_go(struct world *w, const char *key)
{
    const char *text = fixture_get(&w->bed.f, key);
    for (size_t i = 0; text && i < w->n_contents; i++) {
        if (strcmp(w->contents[i].text, text) == 0)
            w->contents[i].may_go = true;
    }
}

/* A new one, as another host puts it. */
static void put_new(struct world *w, const char *key)
{
    assert_true(w->n_contents < CONTENTS_MAX);
    struct content *c = &w->contents[w->n_contents];
    may_go(w, key);
    snprintf(c->text, sizeof(c->text), "c%07zu", w->n_contents++);
    if (pick(w, 2))
        fixture_object_parts(&w->bed.f, key, c->text);
    else
        fixture_object(&w->bed.f, key, c->text);
    c->may_go = w->overwrites && strcmp(w->overwrites, key) == 0;
}

static void check_contents(struct world *w, const char *when)
{
    static char all[8192];
    char keys[2048], *rest = keys;
    size_t n = 0;
    snprintf(keys, sizeof(keys), "%s", fixture_keys(&w->bed.f));
    all[0] = '\0';
    for (const char *key; (key = strsep(&rest, " ")) && *key;)
        n += (size_t)snprintf(all + n, sizeof(all) - n, "%s=%s ", key, fixture_get(&w->bed.f, key));
    for (size_t i = 0; i < w->n_contents; i++) {
        if (w->contents[i].may_go || strstr(all, w->contents[i].text))
            continue;
        print_message("%s: '%s' has vanished: %s\n", when, w->contents[i].text, all);
        fail();
    }
}

/* ---- the store, and what goes wrong with it ---- */

static void keep_state(struct world *w)
{
    char command[256];
    snprintf(command, sizeof(command), "rm -rf '%s.kept' && cp -a '%s' '%s.kept'", w->bed.folder,
             w->bed.folder, w->bed.folder);
    assert_int_equal(system(command), 0);
}

static void note_late(struct world *w, enum store_op op, const void *in)
{
    struct late *l = &w->late[w->n_late];
    if (w->n_late == LATE_MAX || (op != STORE_COPY && op != STORE_DELETE))
        return;
    *l = (struct late){.fate = w->fate, .op = op};
    const struct store_copy_in *copy = in;
    const struct store_delete_in *remove = in;
    const char *key = op == STORE_COPY ? copy->key : remove->key;
    const char *if_match = op == STORE_COPY ? copy->if_match : remove->if_match;
    snprintf(l->key, sizeof(l->key), "%s", key);
    snprintf(l->if_match, sizeof(l->if_match), "%s", if_match ? if_match : "");
    if (op == STORE_COPY) {
        snprintf(l->source, sizeof(l->source), "%s", copy->source_key);
        snprintf(l->source_if_match, sizeof(l->source_if_match), "%s",
                 copy->source_if_match ? copy->source_if_match : "");
        l->if_absent = copy->if_absent;
    }
    w->n_late++;
}

static const char *or_null(const char *text)
{
    return text[0] ? text : NULL;
}

static void run_late(struct world *w, enum fate fate)
{
    struct s3_error err;
    for (size_t i = 0; i < w->n_late; i++) {
        struct late *l = &w->late[i];
        struct store_version version;
        struct store_copy_in copy = {.source_key = l->source,
                                     .source_if_match = or_null(l->source_if_match),
                                     .key = l->key,
                                     .if_match = or_null(l->if_match),
                                     .if_absent = l->if_absent};
        if (l->fate != fate)
            continue;
        if (l->op == STORE_COPY)
            (void)store_copy(w->bed.f.memory, &copy, &version, &err);
        else
            (void)store_delete(w->bed.f.memory, l->key, or_null(l->if_match), &err);
        l->fate = PASSES;
    }
}

static void store_something(struct world *w)
{
    static const char *const keys[] = {"a", "b", "n", "d", "d/x", "d/y", "e/x", "e/z", "n/x"};
    struct fixture *f = &w->bed.f;
    struct vfs *vfs = TAKE_PTR(f->vfs); /* it is busy; nothing has to be settled */
    w->others = true;
    put_new(w, keys[pick(w, ARRAY_SIZE(keys))]);
    f->vfs = vfs;
}

static void answer(enum store_op op, const void *in, enum s3_error_kind kind, store_done_fn done,
                   void *ctx)
{
    struct s3_error err;
    int r = s3_error_set(&err, kind, "%s of '%s' fails", store_op_name(op), store_in_key(op, in));
    err.tries = 1;
    err.maybe_done = kind == S3_ERROR_TIMEOUT;
    done(ctx, r, &err);
}

static int world_submit(struct store *s, enum store_op op, const void *in, void *out,
                        store_done_fn done, void *ctx)
{
    struct world *w = CONTAINER_OF(s, struct world, store);
    struct store *inner = w->bed.f.count;
    struct s3_error err;
    if (w->dead) {
        answer(op, in, S3_ERROR_CONNECT, done, ctx);
        return 0;
    }
    bool fails = ++w->n == w->fail_at, stores = w->n == w->store_at;
    if (fails && w->dies) {
        keep_state(w);
        w->dead = true;
    }
    /* What is stored between the listing of a page and the request that deletes its keys is not
     * seen, and goes: src/README.md says so. */
    if (stores && op != STORE_DELETE_MANY)
        store_something(w);
    if (fails && w->fate == LOSES) {
        int r = store_call(inner, op, in, out, &err);
        if (r == 0 && out)
            store_out_done(op, out);
    } else if (fails && w->fate != FAILS) {
        note_late(w, op, in);
    }
    if (fails)
        answer(op, in, w->fate == FAILS ? S3_ERROR_ACCESS_DENIED : S3_ERROR_TIMEOUT, done, ctx);
    else if (stores && op == STORE_DELETE_MANY) {
        int r = store_call(inner, op, in, out, &err);
        store_something(w);
        done(ctx, r, &err);
    } else {
        return store_submit(inner, op, in, out, done, ctx);
    }
    return 0;
}

/* ---- lives ---- */

static void plan(struct world *w, unsigned within)
{
    w->n = w->fail_at = w->store_at = 0;
    w->dies = w->dead = false;
    w->fate = 1 + pick(w, FATES - 1);
    if (pick(w, 3)) {
        w->fail_at = 1 + pick(w, within);
        w->dies = pick(w, 2);
    }
    if (pick(w, 2))
        w->store_at = 1 + pick(w, within);
}

static void be_calm(struct world *w)
{
    w->fail_at = w->store_at = 0;
    w->dead = false;
}

/* The process is gone; its state is what it was when it died. */
static void die(struct world *w)
{
    char command[256];
    vfs_bed_crash(&w->bed);
    if (w->dead) {
        snprintf(command, sizeof(command), "rm -r '%s' && mv '%s.kept' '%s'", w->bed.folder,
                 w->bed.folder, w->bed.folder);
        assert_int_equal(system(command), 0);
    }
}

static void next_life(struct world *w, bool calm)
{
    die(w);
    be_calm(w);
    vfs_bed_mount(&w->bed);
    if (!calm)
        plan(w, 20);
    vfs_bed_recover(&w->bed);
    check_contents(w, "after a recovery");
}

static void operate(struct world *w)
{
    static const char *const names[] = {"a", "b", "n", "d", "e"};
    const char *from = names[pick(w, ARRAY_SIZE(names))], *to = names[pick(w, ARRAY_SIZE(names))];
    static const unsigned all_flags[] = {0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_EXCHANGE};
    unsigned flags = all_flags[pick(w, ARRAY_SIZE(all_flags))];
    w->overwrites = flags == 0 ? to : NULL;
    if (w->overwrites)
        may_go(w, to);
    plan(w, flags == RENAME_EXCHANGE ? 30 : 15);
    int r = fixture_rename(&w->bed.f, from, to, flags);
    print_message("%s %s %s, flags %u: %d; %u requests%s\n", "rename", from, to, flags, r, w->n,
                  w->dead ? ", dead" : "");
    check_contents(w, "after an operation");
    run_late(w, COMES_LATE);
    check_contents(w, "after a late request");
}

static const struct store_ops world_ops = {.submit = world_submit};

static void run(uint64_t seed)
{
    static struct world w;
    w = (struct world){.store.ops = &world_ops, .random = seed};
    print_message("# seed %llu\n", (unsigned long long)seed);
    for (int i = 0; i < 4; i++)
        (void)pick(&w, 2);
    vfs_bed_begin(&w.bed);
    w.bed.opts.store = &w.store;
    vfs_bed_crash(&w.bed);
    vfs_bed_mount(&w.bed);
    static const char *const keys[] = {"a", "b", "d/x", "d/y", "d/s/z", "e/x", "e/z"};
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
        put_new(&w, keys[i]);
    (void)fixture_ls(&w.bed.f, "", true);
    for (unsigned k = 1 + pick(&w, 3); k > 0 && !w.dead; k--)
        operate(&w);
    bool calm = w.n_late == 0;
    w.overwrites = NULL;
    next_life(&w, false);
    while (w.dead)
        next_life(&w, false);
    run_late(&w, COMES_LATER);
    check_contents(&w, "after a later request");
    next_life(&w, true);
    run_late(&w, COMES_LATER);
    check_contents(&w, "after the last request");
    clock_fake_advance(&w.bed.f.clock, 3601 * (uint64_t)NS_PER_S);
    next_life(&w, true);
    next_life(&w, true);
    if (calm && !w.others && w.n_late == 0) {
        assert_int_equal(w.bed.figures.left, 0);
        assert_int_equal(vfs_bed_intents(&w.bed), 0);
        assert_null(strstr(fixture_keys(&w.bed.f), VFS_HIDDEN_DIR));
    }
    vfs_bed_end(&w.bed);
}

static void test_seeds(void **state)
{
    for (uint64_t seed = first_seed; seed < first_seed + n_seeds; seed++)
        run(seed);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeds),
    };
    if (argc > 1)
        first_seed = strtoull(argv[1], NULL, 10);
    if (argc > 2)
        n_seeds = strtoull(argv[2], NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
