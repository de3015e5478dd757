/* SPDX-License-Identifier: Apache-2.0 */
/* Sends the parts of a staged commit. Those that are copied and those that are sent go side by
 * side; neighbours that must be fetched are, by several threads, while the upload is being begun
 * and the copies are made. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/cleanup.h"
#include "data/writer_impl.h"

#define THREADS_MAX 8u

struct sender {
    struct writer *w;
    const struct plan *plan;
    pthread_mutex_t memory_lock; /* one waits for memory at a time: first come, first served */
    pthread_mutex_t part_lock;   /* one hands its part in at a time */

    pthread_mutex_t lock;
    pthread_cond_t begun_or_failed;
    bool begun;       /* protected by lock, as all below: there is an upload */
    uint32_t next;    /* of the plan's parts, the first that nobody has looked at to send it */
    unsigned reading; /* have been granted memory, and are filling it */
    int result;       /* the first failure */
    struct s3_error err;
};

static void note_failure(struct sender *s, int result, const struct s3_error *err)
{
    SCOPE_LOCK(&s->lock);
    if (!s->result) {
        s->result = result;
        s->err = *err;
    }
    pthread_cond_broadcast(&s->begun_or_failed);
}

/* The next part to be sent; false when there is none, or something has failed. */
static bool next_to_send(struct sender *s, uint32_t *ret)
{
    SCOPE_LOCK(&s->lock);
    while (s->next < s->plan->n_parts && s->plan->parts[s->next].copy)
        s->next++;
    if (s->result || s->next == s->plan->n_parts)
        return false;
    *ret = s->next++;
    return true;
}

static bool wait_begun(struct sender *s)
{
    SCOPE_LOCK(&s->lock);
    while (!s->begun && !s->result)
        pthread_cond_wait(&s->begun_or_failed, &s->lock);
    return !s->result;
}

/* Memory for a part. */
static void wait_for_memory(struct sender *s, uint64_t bytes)
{
    SCOPE_LOCK(&s->memory_lock);
    data_share_load(s->w->share, bytes);
    SCOPE_LOCK(&s->lock);
    s->reading++;
}

/* What was granted and not taken is given back, once nobody else may be about to take it. */
static void end_reading(struct sender *s)
{
    SCOPE_LOCK(&s->lock);
    if (--s->reading == 0)
        data_share_drop_load(s->w->share);
}

static int send_one(struct sender *s, uint32_t index, struct s3_error *err)
{
    const struct plan_part *p = &s->plan->parts[index];
    struct writer *w = s->w;
    struct buffer b;
    buffer_init(&b, w->share);
    b.leaving = true;
    wait_for_memory(s, stage_buffer_cost(w->stage, p->offset, p->length));
    int r = stage_read_buffer(w->stage, p->offset, p->length, &b, err);
    end_reading(s);
    if (!r && wait_begun(s)) {
        SCOPE_LOCK(&s->part_lock);
        r = upload_part_as(w->upload, index + 1, &b, err);
    }
    buffer_done(&b);
    return r;
}

static void send_all(struct sender *s)
{
    uint32_t index;
    while (next_to_send(s, &index)) {
        struct s3_error err = {0};
        int r = send_one(s, index, &err);
        if (r)
            note_failure(s, r, &err);
    }
}

static void *run(void *arg)
{
    send_all(arg);
    return NULL;
}

static void copy_all(struct sender *s)
{
    struct writer *w = s->w;
    for (uint32_t i = 0; i < s->plan->n_parts; i++) {
        const struct plan_part *p = &s->plan->parts[i];
        struct s3_error err = {0};
        if (!p->copy)
            continue;
        int r = upload_copy_as(w->upload, i + 1, w->key, w->base_etag, p->offset, p->length, &err);
        if (r) {
            note_failure(s, r, &err);
            return;
        }
    }
}

/* As many threads as there are parts to be sent, at most `parallel`. Fewer, or none, do as well. */
static unsigned start(struct sender *s, pthread_t threads[THREADS_MAX])
{
    sigset_t all, before;
    unsigned n = 0, most = MIN(s->w->d->parallel, THREADS_MAX);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (uint32_t i = 0; i < s->plan->n_parts && n < most; i++) {
        if (s->plan->parts[i].copy)
            continue;
        if (pthread_create(&threads[n], NULL, run, s))
            break;
        pthread_setname_np(threads[n++], "commit");
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return n;
}

static void begin(struct sender *s)
{
    struct writer *w = s->w;
    struct store_attrs attrs;
    struct s3_error err = {0};
    int r = writer_get_attrs(w, &attrs, &err);
    if (!r)
        r = upload_begin(w->share, w->key, &attrs, &w->upload, &err);
    if (r) {
        note_failure(s, r, &err);
        return;
    }
    SCOPE_LOCK(&s->lock);
    s->begun = true;
    pthread_cond_broadcast(&s->begun_or_failed);
}

int writer_send_plan(struct writer *w, const struct plan *plan, struct s3_error *err)
{
    struct sender s = {.w = w, .plan = plan};
    pthread_t threads[THREADS_MAX];
    pthread_mutex_init(&s.memory_lock, NULL);
    pthread_mutex_init(&s.part_lock, NULL);
    pthread_mutex_init(&s.lock, NULL);
    pthread_cond_init(&s.begun_or_failed, NULL);
    writer_reads_begin(w);

    unsigned n = start(&s, threads);
    begin(&s);
    if (w->upload) {
        copy_all(&s);
        send_all(&s);
    }
    for (unsigned i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    if (w->upload) {
        struct s3_error waited = {0};
        int r = upload_wait(w->upload, &waited);
        if (r)
            note_failure(&s, r, &waited);
    }

    writer_reads_end(w);
    pthread_cond_destroy(&s.begun_or_failed);
    pthread_mutex_destroy(&s.lock);
    pthread_mutex_destroy(&s.part_lock);
    pthread_mutex_destroy(&s.memory_lock);
    if (s.result)
        *err = s.err;
    return s.result;
}
