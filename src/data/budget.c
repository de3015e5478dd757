/* SPDX-License-Identifier: Apache-2.0 */
/* Who gets memory: told in data_impl.h. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/interrupt.h"
#include "data/data_impl.h"
#include "data/upload.h"

/* Of the limit, while anything is open for writing: for content on its way from the local disk to
 * the store. It is never filled with what waits for a program, so a way out is always there. */
#define LOAD_SHARE 4u
/* What each of the other side may claim, up to a half of the rest. */
#define CLAIM (8 * MIB)
/* Of one reader, whatever an equal share is: requests of less cost more than they bring. */
#define READER_LEAST (2 * MIB)

/* Of the limit: reads under way are granted so much beyond it. */
#define DEMAND_SHARE 8u

struct data_waiter {
    struct data_waiter *next;
    struct data_share *share;
    uint64_t bytes;
    enum data_purpose purpose;
    uint64_t until; /* all that was under way, or waited, when it came has left then */
    enum { WAITS, GRANTED, REFUSED } state; /* protected by the lock */
    pthread_cond_t cond;
};

static enum data_purpose purpose_of(const struct data_share *s)
{
    return s->kind == DATA_READER ? DATA_FETCH : DATA_FILL;
}

/* What lies still until somebody reads it, or writes more. */
static uint64_t resting(const struct data *d, enum data_share_kind kind)
{
    return d->class_used[kind] - d->leaving[kind];
}

/* What readers and writers may have. */
static uint64_t limit_of(const struct data *d)
{
    return d->memory_limit - MIN(d->landed, d->memory_limit / 2);
}

/* For both sides together, but for what is under way to the store. */
static uint64_t room_of_both(const struct data *d)
{
    uint64_t limit = limit_of(d);
    return d->writers ? limit - limit / LOAD_SHARE : limit;
}

/* What the side may have in any case, so that the other keeps off it. */
static uint64_t claim(const struct data *d, enum data_share_kind kind)
{
    return MIN(room_of_both(d) / 2, d->holders[kind] * CLAIM);
}

static bool share_is_fair(const struct data *d, const struct data_share *s, uint64_t bytes,
                          uint64_t room)
{
    if (d->used + bytes <= d->memory_limit / 2)
        return true;
    unsigned holders = d->holders[s->kind] + (s->used ? 0 : 1);
    uint64_t least = s->kind == DATA_READER ? READER_LEAST : s->least;
    return s->used + bytes <= MAX(room / holders, least);
}

static bool fits_locked(const struct data *d, const struct data_share *s, uint64_t bytes,
                        enum data_purpose purpose)
{
    uint64_t limit = limit_of(d), both = room_of_both(d);
    if (d->used + bytes > limit)
        return false;
    enum data_share_kind other = s->kind == DATA_READER ? DATA_WRITER : DATA_READER;
    uint64_t theirs = MAX(resting(d, other), claim(d, other));
    uint64_t room = both > theirs ? both - theirs : 0;
    bool rests = resting(d, s->kind) + bytes <= room;
    switch (purpose) {
    case DATA_FETCH:
        return rests && share_is_fair(d, s, bytes, room);
    case DATA_FILL:
        return rests && d->class_used[DATA_WRITER] + bytes + theirs <= limit &&
               share_is_fair(d, s, bytes, limit - theirs);
    case DATA_LOAD:
        return d->class_used[s->kind] + bytes + theirs <= limit;
    }
    return false;
}

static void charge_locked(struct data *d, struct data_share *s, uint64_t bytes)
{
    if (!s->used && bytes)
        d->holders[s->kind]++;
    s->used += bytes;
    d->used += bytes;
    d->class_used[s->kind] += bytes;
    d->peak = MAX(d->peak, d->used);
    d->high = MAX(d->high, d->used);
}

/* Who waits longer would wait for what nobody has promised. */
static bool waits_in_vain(const struct data *d, const struct data_waiter *w)
{
    return d->leaving[DATA_READER] + d->leaving[DATA_WRITER] == 0 || d->left >= w->until;
}

static void answer_locked(struct data *d, struct data_waiter *w, bool granted)
{
    if (granted) {
        charge_locked(d, w->share, w->bytes);
        if (w->purpose == DATA_LOAD) {
            w->share->load += w->bytes;
            d->leaving[w->share->kind] += w->bytes;
        } else {
            w->share->credit += w->bytes;
        }
    }
    w->state = granted ? GRANTED : REFUSED;
    d->n_waiters--;
    d->waiting[w->share->kind]--;
    d->waiting_bytes -= w->bytes;
    pthread_cond_signal(&w->cond);
}

static void grant_locked(struct data *d)
{
    struct data_waiter **link = &d->waiters;
    bool blocked = false; /* what is free is for one who came before */
    while (*link) {
        struct data_waiter *w = *link;
        bool fits = !blocked && fits_locked(d, w->share, w->bytes, w->purpose);
        if (!fits && (blocked || !waits_in_vain(d, w))) {
            blocked |= d->used + w->bytes > limit_of(d);
            link = &w->next;
            continue;
        }
        /* What goes to the store goes there even if it does not fit: one at a time, as from now on
         * something is under way again. */
        *link = w->next;
        answer_locked(d, w, fits || w->purpose == DATA_LOAD);
    }
    d->waiters_tail = link;
}

static void release_locked(struct data *d, struct data_share *s, uint64_t bytes, bool leaving)
{
    s->used -= bytes;
    d->used -= bytes;
    d->class_used[s->kind] -= bytes;
    if (leaving) {
        d->leaving[s->kind] -= bytes;
        d->left += bytes;
    }
    if (!s->used && bytes)
        d->holders[s->kind]--;
    grant_locked(d);
    data_idle_note_locked(d);
}

/* ---- life of a share ---- */

void data_share_init(struct data_share *s, struct data *d, enum data_share_kind kind)
{
    *s = (struct data_share){.d = d, .kind = kind};
}

struct data_share *data_share_new(struct data *d, enum data_share_kind kind)
{
    struct data_share *s = malloc(sizeof(*s));
    if (s) {
        data_share_init(s, d, kind);
        s->refs = 1;
    }
    return s;
}

struct data_share *data_share_ref(struct data_share *s)
{
    SCOPE_LOCK(&s->d->lock);
    s->refs++;
    return s;
}

void data_share_unref(struct data_share *s)
{
    pthread_mutex_lock(&s->d->lock);
    bool last = --s->refs == 0;
    pthread_mutex_unlock(&s->d->lock);
    if (last)
        free(s);
}

void data_share_set_least(struct data_share *s, uint64_t least)
{
    SCOPE_LOCK(&s->d->lock);
    s->least = least;
    grant_locked(s->d);
}

/* ---- taking ---- */

/* Who comes later does not overtake who waits, but for what is its side's in any case. */
static bool may_take_locked(const struct data *d, const struct data_share *s, uint64_t bytes)
{
    if (!fits_locked(d, s, bytes, purpose_of(s)))
        return false;
    return !d->waiters ||
           (!d->waiting[s->kind] && d->class_used[s->kind] + bytes <= claim(d, s->kind));
}

static uint64_t demand_max(const struct data *d)
{
    return d->memory_limit / DEMAND_SHARE;
}

int data_share_reserve(struct data_share *s, uint64_t bytes, enum data_reserve_mode mode)
{
    struct data *d = s->d;
    SCOPE_LOCK(&d->lock);
    uint64_t *granted = mode == DATA_LOADED ? &s->load : &s->credit;
    uint64_t credit = MIN(*granted, bytes);
    uint64_t more = bytes - credit, landed = mode == DATA_LANDED ? bytes : 0;
    bool always = mode == DATA_FORCE || mode == DATA_LOADED ||
                  (mode == DATA_DEMAND && d->demanded < demand_max(d));
    d->landed -= landed;
    if (more && !always && !may_take_locked(d, s, more)) {
        d->landed += landed;
        return -EAGAIN;
    }
    *granted -= credit;
    charge_locked(d, s, more);
    if (mode == DATA_LOADED)
        d->leaving[s->kind] += more;
    return 0;
}

bool data_share_try(struct data_share *s, uint64_t bytes)
{
    struct data *d = s->d;
    SCOPE_LOCK(&d->lock);
    if (!may_take_locked(d, s, bytes))
        return false;
    charge_locked(d, s, bytes);
    s->credit += bytes;
    return true;
}

void data_share_force(struct data_share *s, uint64_t bytes)
{
    SCOPE_LOCK(&s->d->lock);
    charge_locked(s->d, s, bytes);
    s->credit += bytes;
}

static bool wait_for(struct data_share *s, uint64_t bytes, enum data_purpose purpose)
{
    struct data *d = s->d;
    struct data_waiter w = {.share = s, .bytes = bytes, .purpose = purpose};
    pthread_cond_init(&w.cond, NULL);
    pthread_mutex_lock(&d->lock);
    w.until = d->left + d->leaving[DATA_READER] + d->leaving[DATA_WRITER] + d->waiting_bytes;
    *d->waiters_tail = &w;
    d->waiters_tail = &w.next;
    d->n_waiters++;
    d->waiting[s->kind]++;
    d->waiting_bytes += bytes;
    grant_locked(d);
    while (w.state == WAITS)
        pthread_cond_wait(&w.cond, &d->lock);
    pthread_mutex_unlock(&d->lock);
    pthread_cond_destroy(&w.cond);
    return w.state == GRANTED;
}

void data_give_back(struct data *d)
{
    uploads_give_back(d);
    readers_give_back(d);
}

bool data_share_wait(struct data_share *s, uint64_t bytes, enum data_purpose purpose)
{
    struct data *d = s->d;
    pthread_mutex_lock(&d->retain_lock);
    d->no_retain++;
    pthread_mutex_unlock(&d->retain_lock);
    data_give_back(d);
    bool granted = wait_for(s, bytes, purpose);
    pthread_mutex_lock(&d->retain_lock);
    d->no_retain--;
    pthread_mutex_unlock(&d->retain_lock);
    return granted;
}

void data_share_load(struct data_share *s, uint64_t bytes)
{
    struct data *d = s->d;
    pthread_mutex_lock(&d->lock);
    bool fits = !d->waiters && fits_locked(d, s, bytes, DATA_LOAD);
    if (fits) {
        charge_locked(d, s, bytes);
        s->load += bytes;
        d->leaving[s->kind] += bytes;
    }
    pthread_mutex_unlock(&d->lock);
    if (!fits)
        (void)data_share_wait(s, bytes, DATA_LOAD);
}

/* ---- giving back ---- */

void data_share_release(struct data_share *s, uint64_t bytes)
{
    SCOPE_LOCK(&s->d->lock);
    release_locked(s->d, s, bytes, false);
}

void data_share_put_blocks(struct data_share *s, char *const *blocks, size_t n, uint64_t bytes,
                           bool leaving)
{
    struct data *d = s->d;
    SCOPE_LOCK(&d->lock);
    data_blocks_put_locked(d, blocks, n);
    release_locked(d, s, bytes, leaving);
    data_blocks_fit_locked(d);
}

void data_share_drop_credit(struct data_share *s)
{
    SCOPE_LOCK(&s->d->lock);
    uint64_t credit = s->credit;
    s->credit = 0;
    release_locked(s->d, s, credit, false);
}

void data_share_drop_load(struct data_share *s)
{
    SCOPE_LOCK(&s->d->lock);
    uint64_t load = s->load;
    s->load = 0;
    release_locked(s->d, s, load, true);
}

void data_share_leaving(struct data_share *s, uint64_t bytes)
{
    SCOPE_LOCK(&s->d->lock);
    s->d->leaving[s->kind] += bytes;
    grant_locked(s->d);
}

static void stay_locked(struct data *d, struct data_share *s, uint64_t bytes)
{
    d->leaving[s->kind] -= bytes;
    d->left += bytes;
    grant_locked(d);
}

void data_share_stay(struct data_share *s, uint64_t bytes)
{
    SCOPE_LOCK(&s->d->lock);
    stay_locked(s->d, s, bytes);
}

bool data_share_try_stay(struct data_share *s, uint64_t bytes)
{
    struct data *d = s->d;
    SCOPE_LOCK(&d->lock);
    enum data_share_kind other = s->kind == DATA_READER ? DATA_WRITER : DATA_READER;
    uint64_t theirs = MAX(resting(d, other), claim(d, other));
    if (d->waiters || d->used > limit_of(d) ||
        resting(d, s->kind) + bytes + theirs > room_of_both(d))
        return false;
    stay_locked(d, s, bytes);
    return true;
}

void data_note_demanded(struct data *d, int64_t bytes)
{
    SCOPE_LOCK(&d->lock);
    d->demanded += (uint64_t)bytes;
    if (bytes < 0 && d->demanded < demand_max(d))
        pthread_cond_broadcast(&d->demanded_less);
}

int data_wait_demanded(struct data *d)
{
    SCOPE_LOCK(&d->lock);
    while (d->demanded >= demand_max(d) && !interrupt_is_over())
        interrupt_wait(&d->demanded_less, &d->lock);
    return interrupt_is_over() ? -EINTR : 0;
}

void data_note_landed_locked(struct data *d, int64_t bytes)
{
    d->landed += (uint64_t)bytes;
    if (bytes < 0)
        grant_locked(d);
}

void data_note_landed(struct data *d, int64_t bytes)
{
    SCOPE_LOCK(&d->lock);
    data_note_landed_locked(d, bytes);
}

/* ---- how it stands ---- */

bool data_has_room(struct data *d)
{
    SCOPE_LOCK(&d->lock);
    return d->used <= d->memory_limit / 2 && !d->waiters;
}

bool data_is_tight(struct data *d)
{
    SCOPE_LOCK(&d->lock);
    return d->used > d->memory_limit || d->waiters;
}
