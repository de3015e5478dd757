/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/store_ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/crash_point.h"
#include "base/log.h"

struct store_ledger {
    struct store store; /* first */
    struct store *inner;
    struct state *state;
    struct clock *clock;
    atomic_bool told; /* that it cannot be written */
};

static void note_failed(struct store_ledger *l, int result)
{
    if (!atomic_exchange(&l->told, true))
        log_warn("state.db: multipart uploads cannot be noted (%s): a crash would leave their "
                 "parts in the bucket",
                 strerror(-result));
}

/* ---- notes that nobody waits for ---- */

struct later {
    struct state_upload_note note;
    char id[STORE_UPLOAD_ID_SIZE];
};

static void later_done(void *ctx, int result)
{
    struct state_upload_note *note = ctx;

    CRASH_POINT3("upload", note->what == STATE_UPLOAD_CREATED ? "created" : "ended", "noted");
    if (result < 0 && result != -ENOENT)
        log_debug("state.db: note of an upload: %s", strerror(-result));
    free(CONTAINER_OF(note, struct later, note));
}

static void note_later(struct store_ledger *l, enum state_upload_what what, uint64_t row,
                       const char *upload_id)
{
    struct later *n = calloc(1, sizeof(*n));

    if (!n)
        return; /* the row stays: the next mount looks and finds nothing to do */
    (void)snprintf(n->id, sizeof(n->id), "%s", upload_id ? upload_id : "");
    n->note = (struct state_upload_note){
        .what = what, .row = row, .upload_id = n->id, .job = {.done = later_done}};
    state_upload_submit(l->state, &n->note);
}

/* ---- calls ---- */

struct ledger_call {
    struct store_ledger *l;
    enum store_op op;
    const void *in;
    void *out;
    store_done_fn done;
    void *ctx;
    struct state_upload_note note; /* of CREATE, before it */
    char id[STORE_UPLOAD_ID_SIZE]; /* of COMPLETE and ABORT: what follows done may have freed in */
};

/* The server has said no: there is no such upload. After a lost answer there may be one. */
static bool certainly_not_created(const struct s3_error *err)
{
    return err && err->http_status >= 400 && err->http_status < 500 && err->tries <= 1;
}

static void call_done(void *ctx, int result, const struct s3_error *err)
{
    struct ledger_call *c = ctx;

    if (c->op == STORE_UPLOAD_CREATE && c->note.row) {
        if (result == 0)
            note_later(c->l, STATE_UPLOAD_CREATED, c->note.row,
                       ((const struct store_upload *)c->out)->id);
        else if (certainly_not_created(err))
            note_later(c->l, STATE_UPLOAD_END, c->note.row, NULL);
    } else if (c->op != STORE_UPLOAD_CREATE &&
               (result == 0 || (err && err->kind == S3_ERROR_NO_SUCH_UPLOAD))) {
        note_later(c->l, STATE_UPLOAD_END, 0, c->id);
    }
    c->done(c->ctx, result, err);
    free(c);
}

static void call_send(struct ledger_call *c)
{
    int r = store_submit(c->l->inner, c->op, c->in, c->out, call_done, c);
    struct s3_error err = {0};

    if (r == 0)
        return;
    if (c->note.row)
        note_later(c->l, STATE_UPLOAD_END, c->note.row, NULL);
    (void)s3_error_set(&err, r == -ENOMEM ? S3_ERROR_OUT_OF_MEMORY : S3_ERROR_CANCELLED,
                       "the request was not sent");
    c->done(c->ctx, r, &err);
    free(c);
}

static void begin_noted(void *ctx, int result)
{
    struct state_upload_note *note = ctx;
    struct ledger_call *c = CONTAINER_OF(note, struct ledger_call, note);

    CRASH_POINT("upload.noted");
    if (result < 0) {
        note_failed(c->l, result);
        note->row = 0;
    }
    call_send(c);
}

static int ledger_submit(struct store *s, enum store_op op, const void *in, void *out,
                         store_done_fn done, void *ctx)
{
    struct store_ledger *l = CONTAINER_OF(s, struct store_ledger, store);
    struct ledger_call *c;
    int r;

    if (op != STORE_UPLOAD_CREATE && op != STORE_UPLOAD_COMPLETE && op != STORE_UPLOAD_ABORT)
        return store_submit(l->inner, op, in, out, done, ctx);
    c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    *c = (struct ledger_call){.l = l, .op = op, .in = in, .out = out, .done = done, .ctx = ctx};
    if (op == STORE_UPLOAD_CREATE) {
        c->note = (struct state_upload_note){
            .what = STATE_UPLOAD_BEGIN, .key = store_in_key(op, in), .job = {.done = begin_noted}};
        state_upload_submit(l->state, &c->note);
        return 0;
    }
    (void)snprintf(c->id, sizeof(c->id), "%s",
                   op == STORE_UPLOAD_COMPLETE
                       ? ((const struct store_upload_complete_in *)in)->upload_id
                       : ((const struct store_upload_abort_in *)in)->upload_id);
    r = store_submit(l->inner, op, in, out, call_done, c);
    if (r < 0)
        free(c);
    return r;
}

static void ledger_free(struct store *s)
{
    struct store_ledger *l = CONTAINER_OF(s, struct store_ledger, store);

    store_free(l->inner);
    free(l);
}

static const struct store_ops LEDGER_OPS = {.submit = ledger_submit, .free = ledger_free};

int store_ledger_new(struct store *inner, struct state *st, struct clock *clock, struct store **ret)
{
    struct store_ledger *l = calloc(1, sizeof(*l));

    if (!l)
        return -ENOMEM;
    l->store.ops = &LEDGER_OPS;
    l->inner = inner;
    l->state = st;
    l->clock = clock ? clock : clock_system();
    *ret = &l->store;
    return 0;
}

/* ---- after a crash ---- */

/* How far the times of an upload's beginning may lie apart on the two clocks, beside what is known
 * of their difference: LastModified and Initiated count whole seconds on some servers. */
#define WINDOW_BEFORE_NS (3 * NS_PER_S)
/* And the longest that a CREATE may have been on its way, tried several times. */
#define WINDOW_AFTER_NS (180 * NS_PER_S)

/* Keys below it have random names: every upload of one is ours (vfs, caps). */
#define OWN_KEYS ".pailfs-unlinked/"

/* Pages of uploads of one key that are looked at: more is not what a crash leaves. */
#define PAGES_MAX 20

struct recovery {
    struct store_ledger *l;
    const atomic_bool *stop;
    struct store_ledger_recovery *figures;
};

static void end_row(struct store_ledger *l, uint64_t row)
{
    struct state_upload_note n = {.what = STATE_UPLOAD_END, .row = row};
    int r = state_upload_write(l->state, &n);

    if (r < 0)
        log_debug("state.db: %s", strerror(-r));
}

/* 1 aborted, 0 was not there, -errno. */
static int abort_upload(struct store_ledger *l, const char *key, const char *id)
{
    struct store_upload_abort_in in = {.key = key, .upload_id = id};
    struct s3_error err = {0};
    char text[512];
    int r = store_call(l->inner, STORE_UPLOAD_ABORT, &in, NULL, &err);

    if (r == 0)
        return 1;
    if (err.kind == S3_ERROR_NO_SUCH_UPLOAD)
        return 0;
    log_warn("an unfinished upload of '%s' from before stays in the bucket: %s", key,
             s3_error_describe(&err, text, sizeof(text)));
    return r;
}

/* Calls fn for the uploads of exactly that key until it returns non-zero, which is returned. */
static int each_upload(struct store_ledger *l, const char *key,
                       int (*fn)(void *ctx, const struct store_upload_entry *u), void *ctx)
{
    char token[4096] = "";
    int r = 0;

    for (unsigned page = 0; r == 0 && page < PAGES_MAX; page++) {
        struct store_upload_list_in in = {.prefix = key, .token = *token ? token : NULL};
        struct store_upload_page out = {0};

        r = store_call(l->inner, STORE_UPLOAD_LIST, &in, &out, NULL);
        if (r < 0)
            return r;
        for (size_t i = 0; r == 0 && i < out.n_uploads; i++) {
            if (strcmp(out.uploads[i].key, key) == 0)
                r = fn(ctx, &out.uploads[i]);
        }
        if (!out.next_token || strlen(out.next_token) >= sizeof(token)) {
            store_upload_page_done(&out);
            break;
        }
        (void)snprintf(token, sizeof(token), "%s", out.next_token);
        store_upload_page_done(&out);
    }
    return r;
}

struct search {
    struct store_ledger *l;
    const char *probe_id;
    int64_t probe_ns; /* the server's time of the probe's beginning */
    int64_t from_ns, to_ns;
    const char *key;
    unsigned aborted;
    unsigned doubtful; /* without parts too, but begun at another time */
    int failed;
};

static int find_probe(void *ctx, const struct store_upload_entry *u)
{
    struct search *s = ctx;

    if (strcmp(u->upload_id, s->probe_id) != 0)
        return 0;
    s->probe_ns = u->initiated_ns;
    return 1;
}

static int abort_lost(void *ctx, const struct store_upload_entry *u)
{
    struct search *s = ctx;
    struct store_upload_parts_in in = {.key = s->key, .upload_id = u->upload_id};
    struct store_parts parts = {0};
    size_t n;
    int r;

    if (strcmp(u->upload_id, s->probe_id) == 0)
        return 0;
    if (strncmp(s->key, OWN_KEYS, strlen(OWN_KEYS)) == 0) {
        r = abort_upload(s->l, s->key, u->upload_id);
        s->aborted += r == 1;
        s->failed = r < 0 ? r : s->failed;
        return 0;
    }
    r = store_call(s->l->inner, STORE_UPLOAD_PARTS, &in, &parts, NULL);
    n = parts.n_parts;
    store_parts_done(&parts);
    if (r == 0 && n == 0) {
        if (u->initiated_ns >= s->from_ns && u->initiated_ns <= s->to_ns)
            r = abort_upload(s->l, s->key, u->upload_id);
        else
            s->doubtful++;
    }
    if (r < 0)
        s->failed = r;
    else
        s->aborted += r == 1;
    return 0;
}

/* The probe is noted like any other, for this too may be killed. 0 or -errno. */
static int search_lost(struct store_ledger *l, const struct state_upload *u, struct search *s)
{
    struct store_upload_create_in create = {.key = u->key};
    struct store_upload probe = {0};
    int64_t now_ns, begun_there_ns;
    int r = store_call(&l->store, STORE_UPLOAD_CREATE, &create, &probe, NULL);

    if (r < 0)
        return r;
    s->probe_id = probe.id;
    now_ns = clock_realtime_ns(l->clock);
    r = each_upload(l, u->key, find_probe, s);
    if (r == 1) {
        begun_there_ns = u->begun_ns + (s->probe_ns - now_ns);
        s->from_ns = begun_there_ns - WINDOW_BEFORE_NS;
        s->to_ns = MIN(begun_there_ns + WINDOW_AFTER_NS, s->probe_ns);
        r = each_upload(l, u->key, abort_lost, s);
    } else if (r == 0) {
        r = -ENOENT;
    }
    {
        struct store_upload_abort_in in = {.key = u->key, .upload_id = probe.id};

        (void)store_call(&l->store, STORE_UPLOAD_ABORT, &in, NULL, NULL);
    }
    return r < 0 ? r : s->failed;
}

static int recover_one(void *ctx, const struct state_upload *u)
{
    struct recovery *rec = ctx;
    struct search s = {.l = rec->l, .key = u->key};
    int r;

    if (atomic_load(rec->stop))
        return -ECANCELED;
    if (u->keep) {
        rec->figures->kept++;
        return 0;
    }
    if (u->upload_id) {
        r = abort_upload(rec->l, u->key, u->upload_id);
        s.aborted = r == 1;
    } else {
        r = search_lost(rec->l, u, &s);
    }
    if (r < 0) {
        rec->figures->left++;
        return 0;
    }
    if (s.doubtful && !s.aborted)
        log_warn(
            "an upload of '%s' that was begun before the end of the mount before may be in the "
            "bucket: %u without parts are there, but of another time; see pailctl uploads",
            u->key, s.doubtful);
    if (s.aborted)
        log_info("an unfinished upload of '%s' from before was aborted", u->key);
    rec->figures->aborted += s.aborted;
    rec->figures->finished += !s.aborted;
    end_row(rec->l, u->row);
    return 0;
}

void store_ledger_recover(struct store *ledger, const atomic_bool *stop,
                          struct store_ledger_recovery *ret)
{
    struct store_ledger *l = CONTAINER_OF(ledger, struct store_ledger, store);
    struct recovery rec = {.l = l, .stop = stop, .figures = ret};
    int r;

    memset(ret, 0, sizeof(*ret));
    r = state_uploads_before(l->state, recover_one, &rec);
    if (r < 0 && r != -ECANCELED)
        log_warn("state.db: unfinished uploads cannot be read: %s", strerror(-r));
}
