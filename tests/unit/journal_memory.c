/* SPDX-License-Identifier: Apache-2.0 */
#include "journal_memory.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/pool.h"

struct row {
    uint64_t seq;
    void *record, *body;
    size_t record_len, body_len;
    struct row *next; /* ascending */
};

struct journal_disk {
    pthread_mutex_t lock;
    struct row *rows; /* protected by lock */
    bool full;        /* protected by lock */
    bool stuck;       /* protected by lock */
    bool held;        /* protected by lock */
    pthread_cond_t released;
};

struct memory_journal {
    struct journal journal; /* first */
    struct journal_disk *disk;
    struct threadpool *thread;
};

struct task {
    struct journal_disk *disk;
    const struct journal_change *change;
};

static void *copy(const void *data, size_t len)
{
    void *p = malloc(len + 1);
    if (p && len)
        memcpy(p, data, len);
    return p;
}

static void row_free(struct row *r)
{
    free(r->record);
    free(r->body);
    free(r);
}

static struct row **find(struct journal_disk *d, uint64_t seq)
{
    struct row **link = &d->rows;
    while (*link && (*link)->seq < seq)
        link = &(*link)->next;
    return link;
}

static void put(struct journal_disk *d, const struct journal_row *in)
{
    struct row **link = find(d, in->seq), *r = *link;
    bool there = r && r->seq == in->seq;
    if (in->update) {
        if (there) {
            free(r->record);
            r->record = copy(in->record, in->record_len);
            r->record_len = in->record_len;
        }
        return;
    }
    if (there) {
        *link = r->next;
        row_free(r);
    }
    r = calloc(1, sizeof(*r));
    r->seq = in->seq;
    r->record = copy(in->record, in->record_len);
    r->record_len = in->record_len;
    r->body = copy(in->body, in->body_len);
    r->body_len = in->body_len;
    r->next = *link;
    *link = r;
}

static void run(void *arg)
{
    struct task *t = arg;
    const struct journal_change *c = t->change;
    struct journal_disk *d = t->disk;
    pthread_mutex_lock(&d->lock);
    while (d->held)
        pthread_cond_wait(&d->released, &d->lock);
    bool adds = false;
    for (size_t i = 0; i < c->n_rows; i++)
        adds |= !c->rows[i].update;
    int result = (d->full && adds) || (d->stuck && c->n_drops) ? -ENOSPC : 0;
    for (size_t i = 0; result == 0 && i < c->n_rows; i++)
        put(d, &c->rows[i]);
    for (size_t i = 0; result == 0 && i < c->n_drops; i++) {
        struct row **link = find(d, c->drops[i]), *r = *link;
        if (r && r->seq == c->drops[i]) {
            *link = r->next;
            row_free(r);
        }
    }
    pthread_mutex_unlock(&d->lock);
    c->done(c->ctx, result);
    free(t);
}

static int memory_submit(struct journal *j, const struct journal_change *c)
{
    struct memory_journal *m = CONTAINER_OF(j, struct memory_journal, journal);
    struct task *t = malloc(sizeof(*t));
    if (!t)
        return -ENOMEM;
    *t = (struct task){m->disk, c};
    return threadpool_submit(m->thread, run, t);
}

static int memory_load(struct journal *j, int (*fn)(void *ctx, const struct journal_row *row),
                       void *ctx)
{
    struct memory_journal *m = CONTAINER_OF(j, struct memory_journal, journal);
    int result = 0;
    SCOPE_LOCK(&m->disk->lock);
    for (const struct row *r = m->disk->rows; r && result == 0; r = r->next) {
        struct journal_row row = {.seq = r->seq, .record = r->record, .record_len = r->record_len};
        result = fn(ctx, &row);
    }
    return result;
}

static int memory_body_size(struct journal *j, uint64_t seq, size_t *ret)
{
    struct memory_journal *m = CONTAINER_OF(j, struct memory_journal, journal);
    SCOPE_LOCK(&m->disk->lock);
    const struct row *r = *find(m->disk, seq);
    *ret = r && r->seq == seq ? r->body_len : 0;
    return r && r->seq == seq ? 0 : -ENOENT;
}

static int memory_body(struct journal *j, uint64_t seq, void *buf, size_t len)
{
    struct memory_journal *m = CONTAINER_OF(j, struct memory_journal, journal);
    SCOPE_LOCK(&m->disk->lock);
    const struct row *r = *find(m->disk, seq);
    if (!r || r->seq != seq || r->body_len != len)
        return -ENOENT;
    memcpy(buf, r->body, len);
    return 0;
}

static void memory_free(struct journal *j)
{
    struct memory_journal *m = CONTAINER_OF(j, struct memory_journal, journal);
    threadpool_free(m->thread);
    free(m);
}

static const struct journal_ops MEMORY_OPS = {memory_submit, memory_load, memory_body_size,
                                              memory_body, memory_free};

struct journal *journal_memory_new(struct journal_disk *d)
{
    struct memory_journal *m = calloc(1, sizeof(*m));
    m->journal.ops = &MEMORY_OPS;
    m->disk = d;
    if (threadpool_new(1, "journal", &m->thread))
        abort();
    return &m->journal;
}

struct journal_disk *journal_disk_new(void)
{
    struct journal_disk *d = calloc(1, sizeof(*d));
    pthread_mutex_init(&d->lock, NULL);
    pthread_cond_init(&d->released, NULL);
    return d;
}

struct journal_disk *journal_disk_copy(struct journal_disk *d)
{
    struct journal_disk *to = journal_disk_new();
    SCOPE_LOCK(&d->lock);
    for (const struct row *r = d->rows; r; r = r->next)
        put(to, &(struct journal_row){.seq = r->seq,
                                      .record = r->record,
                                      .record_len = r->record_len,
                                      .body = r->body,
                                      .body_len = r->body_len});
    return to;
}

void journal_disk_fill(struct journal_disk *d, bool full)
{
    SCOPE_LOCK(&d->lock);
    d->full = full;
}

void journal_disk_stick(struct journal_disk *d, bool stuck)
{
    SCOPE_LOCK(&d->lock);
    d->stuck = stuck;
}

void journal_disk_hold(struct journal_disk *d, bool held)
{
    SCOPE_LOCK(&d->lock);
    d->held = held;
    pthread_cond_broadcast(&d->released);
}

size_t journal_disk_rows(struct journal_disk *d)
{
    size_t n = 0;
    SCOPE_LOCK(&d->lock);
    for (const struct row *r = d->rows; r; r = r->next)
        n++;
    return n;
}

void journal_disk_damage_body(struct journal_disk *d)
{
    SCOPE_LOCK(&d->lock);
    struct row *last = d->rows;
    while (last->next)
        last = last->next;
    ((char *)last->body)[0] ^= 1;
}

void journal_disk_damage_record(struct journal_disk *d, size_t n)
{
    SCOPE_LOCK(&d->lock);
    struct row *r = d->rows;
    while (n--)
        r = r->next;
    ((char *)r->record)[r->record_len / 2] ^= 1;
}

void journal_disk_lose(struct journal_disk *d)
{
    SCOPE_LOCK(&d->lock);
    while (d->rows) {
        struct row *next = d->rows->next;
        row_free(d->rows);
        d->rows = next;
    }
}

void journal_disk_free(struct journal_disk *d)
{
    while (d->rows) {
        struct row *next = d->rows->next;
        row_free(d->rows);
        d->rows = next;
    }
    pthread_mutex_destroy(&d->lock);
    pthread_cond_destroy(&d->released);
    free(d);
}
