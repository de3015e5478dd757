/* SPDX-License-Identifier: Apache-2.0 */
#include "s3/transfer_parts.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* How often `cancelled` is asked while nothing else happens. */
#define CANCEL_POLL_NS (200 * NS_PER_MS)

enum { PART_IDLE, PART_BUSY, PART_DONE };

struct s3_parts_run {
    const struct s3_parts_job *job;
    struct s3_part *parts;
    unsigned n_parts; /* slots, not parts of the object */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a part became PART_DONE */
};

uint32_t s3_parts_count(uint64_t size, uint64_t part_size)
{
    return (uint32_t)((size + part_size - 1) / part_size);
}

uint64_t s3_parts_size(uint64_t wanted, uint64_t fallback, uint64_t size)
{
    uint64_t n = MAX(wanted ? wanted : fallback, (uint64_t)S3_PART_SIZE_MIN);
    uint64_t needed = (size + S3_PARTS_MAX - 1) / S3_PARTS_MAX;
    if (needed > n)
        n = (needed + MIB - 1) / MIB * MIB;
    return n;
}

bool s3_transfer_cancelled(const struct s3_transfer_options *opts)
{
    return opts->cancelled && opts->cancelled(opts->ctx);
}

void s3_transfer_progress(const struct s3_transfer_options *opts, uint64_t done, uint64_t total)
{
    if (opts->progress)
        opts->progress(opts->ctx, done, total);
}

int s3_transfer_file_error(struct s3_error *reterr, int err, const char *what, const char *path)
{
    errno = err;
    s3_error_set(reterr, S3_ERROR_CONFIG, "cannot %s '%s': %m", what, path);
    return -err;
}

/* ---- slots ---- */

static void part_done(void *ctx, int result, const struct s3_error *err)
{
    struct s3_part *part = ctx;
    struct s3_parts_run *run = part->run;
    pthread_mutex_lock(&run->lock);
    part->result = result;
    if (err)
        part->err = *err;
    part->call = NULL;
    part->state = PART_DONE;
    pthread_cond_signal(&run->changed);
    pthread_mutex_unlock(&run->lock);
}

static int part_start(struct s3_parts_run *run, struct s3_part *part, uint32_t number,
                      struct s3_error *reterr)
{
    const struct s3_parts_job *job = run->job;
    part->number = number;
    part->offset = (number - 1) * job->part_size;
    part->length = MIN(job->part_size, job->size - part->offset);
    part->received = 0;
    memset(&part->in, 0, sizeof(part->in));
    memset(&part->out, 0, sizeof(part->out));
    memset(&part->err, 0, sizeof(part->err));
    int r = job->prepare(job->ctx, part, reterr);
    if (r < 0)
        return r;

    pthread_mutex_lock(&run->lock);
    part->state = PART_BUSY;
    pthread_mutex_unlock(&run->lock);
    struct s3_call *call = NULL;
    r = s3_client_submit(job->client, job->op, &part->in, &part->out, part_done, part, &call);
    pthread_mutex_lock(&run->lock);
    if (r < 0)
        part->state = PART_IDLE;
    else if (part->state == PART_BUSY)
        part->call = call; /* part_done has not returned, so the call is still there */
    pthread_mutex_unlock(&run->lock);
    if (r < 0)
        return s3_error_set(reterr, r == -ENOMEM ? S3_ERROR_OUT_OF_MEMORY : S3_ERROR_CANCELLED,
                            "the request could not be started");
    return 0;
}

static struct s3_part *part_in_state(struct s3_parts_run *run, int state)
{
    for (unsigned i = 0; i < run->n_parts; i++)
        if (run->parts[i].state == state)
            return &run->parts[i];
    return NULL;
}

static struct s3_part *find_part(struct s3_parts_run *run, int state)
{
    pthread_mutex_lock(&run->lock);
    struct s3_part *part = part_in_state(run, state);
    pthread_mutex_unlock(&run->lock);
    return part;
}

/* The next part that ended, or NULL when none is under way. Waits at most once for
 * CANCEL_POLL_NS when `cancelled` is to be asked (NULL and *ret_busy then). */
static struct s3_part *wait_part(struct s3_parts_run *run, bool *ret_busy)
{
    pthread_mutex_lock(&run->lock);
    struct s3_part *part;
    *ret_busy = false;
    while (!(part = part_in_state(run, PART_DONE)) && part_in_state(run, PART_BUSY)) {
        if (!run->job->opts->cancelled) {
            pthread_cond_wait(&run->changed, &run->lock);
            continue;
        }
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        uint64_t ns = (uint64_t)until.tv_nsec + CANCEL_POLL_NS;
        until.tv_sec += (time_t)(ns / NS_PER_S);
        until.tv_nsec = (long)(ns % NS_PER_S);
        if (pthread_cond_timedwait(&run->changed, &run->lock, &until) == ETIMEDOUT) {
            *ret_busy = true;
            break;
        }
    }
    if (part)
        part->state = PART_IDLE;
    pthread_mutex_unlock(&run->lock);
    return part;
}

/* A cancel may end the call at once, on this thread: not under the lock that part_done takes. */
static void cancel_all(struct s3_parts_run *run)
{
    for (unsigned i = 0; i < run->n_parts; i++) {
        struct s3_call *call = NULL;
        pthread_mutex_lock(&run->lock);
        if (run->parts[i].call)
            call = s3_call_ref(run->parts[i].call);
        pthread_mutex_unlock(&run->lock);
        if (call)
            s3_call_cancel(call);
        s3_call_unref(call);
    }
}

/* ---- the run ---- */

static int run_init(struct s3_parts_run *run, const struct s3_parts_job *job, uint32_t todo,
                    struct s3_error *reterr)
{
    unsigned n = job->opts->concurrency ? job->opts->concurrency : S3_TRANSFER_CONCURRENCY;
    n = MAX(MIN(n, todo), 1u);
    *run = (struct s3_parts_run){.job = job};
    run->parts = calloc(n, sizeof(*run->parts));
    if (!run->parts)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    for (unsigned i = 0; i < n; i++) {
        struct s3_part *part = &run->parts[i];
        part->run = run;
        part->buf = job->buffers ? malloc((size_t)MIN(job->part_size, job->size)) : NULL;
        if (job->buffers && !part->buf)
            break; /* fewer at a time will do */
        run->n_parts++;
    }
    if (run->n_parts == 0) {
        free(run->parts);
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "no memory for a part of %llu bytes",
                            (unsigned long long)job->part_size);
    }
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&run->lock, NULL);
    pthread_cond_init(&run->changed, &attr);
    pthread_condattr_destroy(&attr);
    return 0;
}

static void run_done(struct s3_parts_run *run)
{
    for (unsigned i = 0; i < run->n_parts; i++)
        free(run->parts[i].buf);
    free(run->parts);
    pthread_cond_destroy(&run->changed);
    pthread_mutex_destroy(&run->lock);
}

static int part_finish(struct s3_parts_run *run, struct s3_part *part, bool wanted,
                       struct s3_error *reterr)
{
    const struct s3_parts_job *job = run->job;
    int r = part->result;
    if (r < 0) {
        if (wanted && reterr)
            *reterr = part->err;
        return r;
    }
    r = wanted ? job->finish(job->ctx, part, reterr) : 0;
    if (job->op == S3_OP_GET_OBJECT)
        s3_head_object_out_done(&part->out.get);
    return r;
}

int s3_parts_run(const struct s3_parts_job *job, struct s3_error *reterr)
{
    uint32_t last = s3_parts_count(job->size, job->part_size);
    uint32_t next = job->first;
    if (next > last)
        return 0;
    struct s3_parts_run run;
    int r = run_init(&run, job, last - next + 1, reterr);
    if (r < 0)
        return r;

    uint64_t done = (next - 1) * job->part_size;
    for (;;) {
        struct s3_part *part;
        while (r == 0 && next <= last && (part = find_part(&run, PART_IDLE))) {
            r = part_start(&run, part, next++, reterr);
            if (r < 0)
                cancel_all(&run);
        }
        bool busy;
        part = wait_part(&run, &busy);
        if (!part && !busy)
            break;
        if (part) {
            int pr = part_finish(&run, part, r == 0, reterr);
            if (pr < 0 && r == 0) {
                r = pr;
                cancel_all(&run);
            } else if (r == 0) {
                done += part->length;
                s3_transfer_progress(job->opts, done, job->size);
            }
        }
        if (r == 0 && s3_transfer_cancelled(job->opts)) {
            r = s3_error_set(reterr, S3_ERROR_CANCELLED, "the transfer was cancelled");
            cancel_all(&run);
        }
    }
    run_done(&run);
    return r;
}

/* ---- the multipart upload round them ---- */

int s3_multipart_writer_begin(struct s3_multipart_writer *w, struct s3_client *client,
                              const struct s3_create_multipart_upload_in *in, uint32_t n_parts,
                              struct s3_error *reterr)
{
    *w = (struct s3_multipart_writer){
        .client = client, .bucket = in->bucket, .key = in->key, .n_parts = n_parts};
    w->parts = calloc(n_parts, sizeof(*w->parts));
    w->etags = calloc(n_parts, sizeof(*w->etags));
    int r;
    if (!w->parts || !w->etags) {
        r = s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    } else {
        struct s3_create_multipart_upload_out out = {0};
        r = s3_create_multipart_upload(client, in, &out, reterr);
        memcpy(w->upload_id, out.upload_id, sizeof(w->upload_id));
    }
    if (r < 0) {
        free(w->parts);
        free(w->etags);
    }
    return r;
}

void s3_multipart_writer_part(struct s3_multipart_writer *w, uint32_t number, const char *etag,
                              const struct s3_checksum *checksum)
{
    struct s3_completed_part *p = &w->parts[number - 1];
    snprintf(w->etags[number - 1], sizeof(w->etags[0]), "%s", etag);
    p->part_number = number;
    p->etag = w->etags[number - 1];
    if (checksum)
        p->checksum = *checksum;
}

int s3_multipart_writer_end(struct s3_multipart_writer *w, int r,
                            const struct s3_conditions *conditions, struct s3_put_object_out *ret,
                            struct s3_error *reterr)
{
    if (r == 0) {
        struct s3_complete_multipart_upload_in in = {.bucket = w->bucket,
                                                     .key = w->key,
                                                     .upload_id = w->upload_id,
                                                     .parts = w->parts,
                                                     .n_parts = w->n_parts,
                                                     .conditions = *conditions};
        struct s3_put_object_out out = {0};
        r = s3_complete_multipart_upload(w->client, &in, ret ? ret : &out, reterr);
    }
    if (r < 0) {
        /* Its own failure is not the caller's news; the error that led here is. */
        struct s3_abort_multipart_upload_in in = {
            .bucket = w->bucket, .key = w->key, .upload_id = w->upload_id};
        struct s3_error err;
        if (s3_abort_multipart_upload(w->client, &in, &err) < 0)
            log_debug("upload '%s' of '%s/%s' could not be aborted: %s, ignoring", w->upload_id,
                      w->bucket, w->key, err.message);
    }
    free(w->parts);
    free(w->etags);
    return r;
}
