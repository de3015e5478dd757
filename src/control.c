/* SPDX-License-Identifier: Apache-2.0 */
#include "control.h"

#include <inttypes.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "control_lost.h"
#include "meta/store_remember.h"

static void append_lost(const struct control *c, struct strbuf *out)
{
    CLEANUP(lost_list_done) struct lost_list list = {0};

    if (lost_list(c->start->state_dir->lost, &list) == 0)
        (void)strbuf_appendf(out, "lost_and_found: %zu\n", list.n);
}

/* What is noted for the next mount, and what this one found. */
static void append_state(const struct control *c, struct strbuf *out)
{
    struct state *st = c->start->state;
    struct recover *rec = c->recover;
    uint64_t intents = 0, uploads = 0;
    struct state_stats stats;

    if (!st) {
        (void)strbuf_append_str(out, "state_directory: none\n");
        return;
    }
    (void)state_intent_count(st, &intents);
    (void)state_upload_count(st, &uploads);
    state_stats(st, &stats);
    (void)strbuf_appendf(out, "state_directory: %s\n", state_path(st));
    append_lost(c, out);
    (void)strbuf_appendf(out, "intents: %" PRIu64 "\n", intents);
    (void)strbuf_appendf(out, "uploads_noted: %" PRIu64 "\n", uploads);
    (void)strbuf_appendf(out, "rows_aside: %" PRIu64 "\n", stats.rows_aside);
    SCOPE_LOCK(&rec->lock);
    (void)strbuf_appendf(out, "recovery: %s\n", rec->done ? "done" : "under way");
    (void)strbuf_appendf(out, "recovered: %" PRIu64 "\n", rec->names.finished);
    (void)strbuf_appendf(out, "uploads_aborted: %" PRIu64 "\n", rec->uploads.aborted);
    (void)strbuf_appendf(out, "recovery_left: %" PRIu64 "\n", rec->names.left + rec->uploads.left);
}

/* What is acknowledged and not in S3 yet. */
static void append_writeback(const struct control *c, struct strbuf *out)
{
    struct writeback_stats w;

    if (!c->start->writeback)
        return;
    writeback_stats(c->start->writeback, &w);
    (void)strbuf_appendf(out, "writeback_pending: %" PRIu64 "\n", w.changes);
    (void)strbuf_appendf(out, "writeback_bytes: %" PRIu64 "\n", w.bytes);
    (void)strbuf_appendf(out, "writeback_oldest_seconds: %" PRIu64 "\n",
                         w.oldest_age_ns / (uint64_t)NS_PER_S);
    (void)strbuf_appendf(out, "writeback_waiting: %" PRIu64 "\n", w.waiting);
    (void)strbuf_appendf(out, "writeback_stored: %" PRIu64 "\n", w.stored);
    (void)strbuf_appendf(out, "writeback_coalesced: %" PRIu64 "\n", w.coalesced);
    (void)strbuf_appendf(out, "writeback_failures: %" PRIu64 "\n", w.failures);
    (void)strbuf_appendf(out, "writeback_conflicts: %" PRIu64 "\n", w.conflicts);
    (void)strbuf_appendf(out, "writeback_last_error: %s\n", w.last_error);
}

static void append_remembered(const struct control *c, struct strbuf *out)
{
    struct store_remember_figures f = {.off = true};

    if (c->start->remember)
        store_remember_get(c->start->remember, &f);
    (void)strbuf_appendf(out, "remembered: %s\n", f.off ? "off" : "on");
    (void)strbuf_appendf(out, "remembered_rows: %" PRIu64 "\n", f.rows);
    (void)strbuf_appendf(out, "remembered_found: %" PRIu64 "\n", f.found);
    (void)strbuf_appendf(out, "remembered_asked: %" PRIu64 "\n", f.asked);
    (void)strbuf_appendf(out, "remembered_own: %" PRIu64 "\n", f.own);
    (void)strbuf_appendf(out, "remembered_waiting: %" PRIu64 "\n", f.waiting);
}

/* File content on the local disk. */
static void append_cache(const struct data_stats *d, struct strbuf *out)
{
    const struct block_cache_stats *b = &d->cache;

    if (!b->limit)
        return;
    (void)strbuf_appendf(out, "cache_size: %" PRIu64 "\n", b->limit);
    (void)strbuf_appendf(out, "cache_used: %" PRIu64 "\n", b->used);
    (void)strbuf_appendf(out, "cache_blocks: %" PRIu64 "\n", b->blocks);
    (void)strbuf_appendf(out, "cache_hits: %" PRIu64 "\n", b->hits);
    (void)strbuf_appendf(out, "cache_hit_bytes: %" PRIu64 "\n", b->hit_bytes);
    (void)strbuf_appendf(out, "cache_misses: %" PRIu64 "\n", b->misses);
    (void)strbuf_appendf(out, "cache_miss_bytes: %" PRIu64 "\n", b->miss_bytes);
    (void)strbuf_appendf(out, "cache_stored: %" PRIu64 "\n", b->stored);
    (void)strbuf_appendf(out, "cache_waiting: %" PRIu64 "\n", b->waiting);
    (void)strbuf_appendf(out, "cache_left_out: %" PRIu64 "\n", b->left_out);
    (void)strbuf_appendf(out, "cache_evicted: %" PRIu64 "\n", b->evicted);
    (void)strbuf_appendf(out, "cache_damaged: %" PRIu64 "\n", b->damaged);
    (void)strbuf_appendf(out, "cache_ready: %s\n", b->ready ? "yes" : "no");
}

/* Requests that were sent twice, and what came that was held against its checksum. */
static void append_requests(const struct control *c, const struct data_stats *d, struct strbuf *out)
{
    struct s3_client_figures f;

    s3_client_figures(c->start->client, &f);
    (void)strbuf_appendf(out, "hedges_sent: %" PRIu64 "\n", f.hedges);
    (void)strbuf_appendf(out, "hedges_won: %" PRIu64 "\n", f.hedges_won);
    (void)strbuf_appendf(out, "hedges_held_back: %" PRIu64 "\n", f.hedges_held);
    (void)strbuf_appendf(out, "answers_broken_off: %" PRIu64 "\n", f.broken_off);
    (void)strbuf_appendf(out, "verified_bytes: %" PRIu64 "\n", f.checked_bytes + d->checked_bytes);
    (void)strbuf_appendf(out, "verify_mismatches: %" PRIu64 "\n", f.mismatches + d->mismatches);
    (void)strbuf_appendf(out, "verify_refetched: %" PRIu64 "\n", d->refetched);
}

static int verb_status(void *ctx, const char *args, struct strbuf *out, struct s3_error *reterr)
{
    const struct control *c = ctx;
    const struct s3_client_meta *meta = s3_client_meta(c->start->client);
    uint64_t up = clock_monotonic_ns(clock_system()) - c->since_ns;
    struct data_stats d;

    data_stats(c->start->data, &d);
    (void)strbuf_appendf(out, "version: %s\n", PAILFS_VERSION);
    (void)strbuf_appendf(out, "pid: %d\n", (int)getpid());
    (void)strbuf_appendf(out, "bucket: %s\n", c->options->bucket);
    (void)strbuf_appendf(out, "prefix: %s\n", c->options->prefix);
    (void)strbuf_appendf(out, "endpoint: %s\n", meta->endpoint_url);
    (void)strbuf_appendf(out, "region: %s\n", meta->region);
    caps_status(&c->start->caps, out);
    (void)strbuf_appendf(out, "uptime_seconds: %" PRIu64 "\n", up / (uint64_t)NS_PER_S);
    (void)strbuf_appendf(out, "dirty_bytes: %" PRIu64 "\n", d.dirty_bytes);
    (void)strbuf_appendf(out, "uploads: %u\n", d.uploads);
    (void)strbuf_appendf(out, "readers: %u\n", d.readers);
    (void)strbuf_appendf(out, "writers: %u\n", d.writers);
    (void)strbuf_appendf(out, "memory_used: %" PRIu64 "\n", d.memory_used);
    (void)strbuf_appendf(out, "memory_peak: %" PRIu64 "\n", d.memory_peak);
    (void)strbuf_appendf(out, "memory_limit: %" PRIu64 "\n", d.memory_limit);
    (void)strbuf_appendf(out, "spilled_bytes: %" PRIu64 "\n", d.spilled);
    append_requests(c, &d, out);
    append_cache(&d, out);
    append_state(c, out);
    append_writeback(c, out);
    append_remembered(c, out);
    (void)strbuf_appendf(out, "log_level: %s\n", log_level_name(log_get_level()));
    return out->error;
}

static int verb_flush(void *ctx, const char *args, struct strbuf *out, struct s3_error *reterr)
{
    const struct control *c = ctx;

    int r = vfs_sync(c->start->vfs, reterr);

    return r < 0 ? r : store_flush(c->start->store, NULL, reterr);
}

static int verb_log_level(void *ctx, const char *args, struct strbuf *out, struct s3_error *reterr)
{
    enum log_level level;

    if (log_level_parse(args, &level) < 0)
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "unknown log level '%.32s': error, warn, info or debug", args);
    log_set_level(level);
    return 0;
}

const struct ctl_verb control_verbs[] = {
    {"status", verb_status},
    {"flush", verb_flush},
    {"log-level", verb_log_level},
    {"lost-drop", control_lost_drop},
    {"lost-complete", control_lost_complete},
    {NULL, NULL},
};
