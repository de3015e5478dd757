/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/state_note.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "meta/state_impl.h"

struct state_note {
    struct state *st;
    struct state_intent intent; /* what the job writes; the job's while it is under way */
    struct state_job job;
    enum { DID_NOTHING, DID_WRITE, DID_REMOVE } did; /* by the job, when it is committed */
    pthread_mutex_t lock;
    /* protected by lock */
    bool busy;       /* the job is under way */
    bool changed;    /* next is to be written */
    bool over;       /* nobody calls any more */
    bool remove;     /* and the row is to go */
    bool written;    /* there is a row */
    bool complained; /* the log was told */
    char *next;      /* owned; NULL = as it is */
    size_t next_len;
};

/* On the writer thread. May run twice, with what the first time did undone. */
static int run_write(struct sqlite3 *db, void *ctx)
{
    struct state_note *n = ctx;
    bool gone, written;
    {
        SCOPE_LOCK(&n->lock);
        gone = n->over && n->remove;
        written = n->written;
    }
    if (gone) {
        n->did = written ? DID_REMOVE : DID_NOTHING; /* over before it was written */
        return written ? state_intent_row_remove(db, n->intent.id) : 0;
    }
    n->did = DID_WRITE;
    return written ? state_intent_row_update(db, &n->intent)
                   : state_intent_row_insert(db, &n->intent);
}

static void free_note(struct state_note *n)
{
    pthread_mutex_destroy(&n->lock);
    free(n->next);
    free((void *)n->intent.payload);
    free((void *)n->intent.key);
    free(n);
}

static void submit_locked(struct state_note *n)
{
    n->busy = true;
    n->changed = false;
    if (n->next) {
        free((void *)n->intent.payload);
        n->intent.payload = TAKE_PTR(n->next);
        n->intent.payload_len = n->next_len;
    }
    state_submit(n->st, &n->job);
}

static void write_done(void *ctx, int result)
{
    struct state_note *n = ctx;
    {
        SCOPE_LOCK(&n->lock);
        n->busy = false;
        if (result == 0 && n->did != DID_NOTHING)
            n->written = n->did == DID_WRITE;
        if (result < 0 && !n->complained) {
            log_warn("state.db: the %s of '%s' could not be noted, a crash would lose them: %s",
                     state_intent_kind_name(n->intent.kind), n->intent.key, strerror(-result));
            n->complained = true;
        }
        /* A row that could not be removed is looked at by the next mount, which finds it done. */
        bool again = n->over && n->remove ? n->written && result == 0 : n->changed;
        if (again)
            submit_locked(n);
        if (again || !n->over)
            return;
    }
    free_note(n);
}

struct state_note *state_note_new(struct state *st, enum state_intent_kind kind, const char *key)
{
    struct state_note *n = strlen(key) <= STATE_KEY_MAX ? calloc(1, sizeof(*n)) : NULL;

    if (!n)
        return NULL;
    n->st = st;
    n->intent = (struct state_intent){
        .kind = kind, .key = strdup(key), .time_ns = clock_realtime_ns(state_clock(st))};
    n->job = (struct state_job){.run = run_write, .done = write_done, .ctx = n};
    if (!n->intent.key) {
        free(n);
        return NULL;
    }
    pthread_mutex_init(&n->lock, NULL);
    return n;
}

int state_note_set(struct state_note *n, const void *payload, size_t payload_len)
{
    char *copy;

    if (payload_len > STATE_PAYLOAD_MAX)
        return -E2BIG;
    copy = malloc(payload_len + 1);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, payload, payload_len);
    copy[payload_len] = '\0';
    SCOPE_LOCK(&n->lock);
    free(n->next);
    n->next = copy;
    n->next_len = payload_len;
    if (n->busy)
        n->changed = true;
    else
        submit_locked(n);
    return 0;
}

static void give_back(struct state_note *n, bool remove)
{
    if (!n)
        return;
    {
        SCOPE_LOCK(&n->lock);
        n->over = true;
        n->remove = remove;
        if (!n->busy && remove && n->written)
            submit_locked(n);
        if (n->busy)
            return; /* write_done sees to the rest */
    }
    free_note(n);
}

void state_note_end(struct state_note *n)
{
    give_back(n, true);
}

void state_note_leave(struct state_note *n)
{
    give_back(n, false);
}
