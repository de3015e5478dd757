/* SPDX-License-Identifier: Apache-2.0 */
#include "data/pace.h"

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/clock.h"

/* One part is sent while another is answered. */
#define SHARE_MIN 2u
/* What half as many again must bring, and a third fewer may cost, at least. */
#define WORTH 1.2
#define COST  0.93
/* Rounds that are slower because uploads begin. */
#define BEGIN_ROUNDS 2u
/* Bytes per second of all uploads: below it is slow, until it is FAST. A tenth of a core then. */
#define SLOW 150e6
#define FAST 200e6
/* Rounds between two tries. */
#define HOLD_MIN 4u
#define HOLD_MAX 64u

void pace_init(struct pace *p, unsigned most)
{
    *p = (struct pace){.most = most, .window = most, .down = true, .hold = HOLD_MIN};
    pthread_mutex_init(&p->lock, NULL);
}

void pace_done(struct pace *p)
{
    pthread_mutex_destroy(&p->lock);
}

static unsigned share_locked(const struct pace *p)
{
    unsigned n = MAX(p->active, 1u);
    if (p->slow)
        return p->most;
    return MIN(MAX((p->window + n - 1) / n, SHARE_MIN), p->most);
}

/* What the window amounts to. */
static unsigned window_locked(const struct pace *p)
{
    return share_locked(p) * MAX(p->active, 1u);
}

static void begin_round_locked(struct pace *p, uint64_t now_ns)
{
    p->start_ns = now_ns;
    p->bytes = p->parts = 0;
    p->limited = false;
}

void pace_count(struct pace *p, int uploads, uint64_t now_ns)
{
    SCOPE_LOCK(&p->lock);
    if (p->active == 0) {
        begin_round_locked(p, now_ns);
        if (p->state == PACE_SETTLE || p->state == PACE_PROBE)
            p->window = p->before;
        p->left = p->state == PACE_HOLD ? MAX(p->left, BEGIN_ROUNDS) : BEGIN_ROUNDS;
        p->state = PACE_HOLD;
    }
    p->active += (unsigned)uploads;
}

unsigned pace_share(struct pace *p)
{
    SCOPE_LOCK(&p->lock);
    return share_locked(p);
}

void pace_waits(struct pace *p)
{
    SCOPE_LOCK(&p->lock);
    p->limited = true;
}

/* Another window is tried, if there is one in that direction. */
static bool try_locked(struct pace *p, bool down)
{
    unsigned now = window_locked(p), n = MAX(p->active, 1u);
    unsigned next = down ? MAX(now * 2 / 3, MAX(SHARE_MIN * n, p->most))
                         : MIN(MAX(now * 3 / 2, now + n), p->most * n);
    if (down ? next >= now : next <= now)
        return false;
    p->before = now;
    p->down = down;
    p->window = next;
    p->state = PACE_SETTLE;
    return true;
}

static void hold_locked(struct pace *p)
{
    p->state = PACE_HOLD;
    p->left = p->hold;
}

/* Whether that decides how many there are. Once it is fast again fewer than all are tried. */
static bool is_slow_locked(struct pace *p, double rate)
{
    unsigned all = p->most * MAX(p->active, 1u);
    bool was = p->slow;
    p->slow = rate < (was ? FAST : SLOW);
    if (p->slow || was) {
        p->window = all;
        p->state = PACE_HOLD;
        p->left = BEGIN_ROUNDS;
    }
    return p->slow || was;
}

static void end_round_locked(struct pace *p, double rate)
{
    if (is_slow_locked(p, rate))
        return;
    switch (p->state) {
    case PACE_MEASURE:
        p->rate = rate;
        /* In turns; more first. */
        if (!try_locked(p, !p->down) && !try_locked(p, p->down))
            hold_locked(p);
        break;
    case PACE_SETTLE: /* parts that began with the other window */
        p->state = PACE_PROBE;
        break;
    case PACE_PROBE:
        if (rate >= p->rate * (p->down ? COST : WORTH)) {
            p->hold = HOLD_MIN;
            p->rate = p->down ? MAX(rate, p->rate) : rate;
            if (!try_locked(p, p->down))
                hold_locked(p);
        } else {
            p->window = p->before;
            p->hold = MIN(p->hold * 2, HOLD_MAX);
            hold_locked(p);
        }
        break;
    case PACE_HOLD:
        if (p->left-- <= 1)
            p->state = PACE_MEASURE;
        break;
    }
}

void pace_stored(struct pace *p, uint64_t bytes, uint64_t now_ns)
{
    SCOPE_LOCK(&p->lock);
    p->bytes += bytes;
    if (++p->parts < window_locked(p) || now_ns <= p->start_ns)
        return;
    if (p->limited)
        end_round_locked(p, (double)p->bytes * (double)NS_PER_S / (double)(now_ns - p->start_ns));
    begin_round_locked(p, now_ns);
}
