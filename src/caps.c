/* SPDX-License-Identifier: Apache-2.0 */
#include "caps.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "aws/endpoint.h"
#include "base/cleanup.h"
#include "base/log.h"

#define MAX_AGE_NS (30 * 86400 * (uint64_t)NS_PER_S)
#define TEXT_SIZE  512u
/* Below what the mount does not show (vfs). */
#define PROBE_KEY ".pailfs-unlinked/probe-"

/* What can go wrong between two hosts where the condition is not held. */
static const struct {
    enum store_cap cap;
    const char *what;
} dangers[] = {
    {STORE_CAP_PUT_IF_MATCH, "rewriting small files"},
    {STORE_CAP_COMPLETE_IF_MATCH, "rewriting large files"},
    {STORE_CAP_PUT_IF_ABSENT, "making files and directories"},
    {STORE_CAP_COMPLETE_IF_ABSENT, "making large files"},
    {STORE_CAP_COPY_SOURCE, "copying"},
    {STORE_CAP_COPY_IF_ABSENT, "renaming to a new name"},
    {STORE_CAP_COPY_IF_MATCH, "changing attributes"},
    {STORE_CAP_DELETE_IF_MATCH, "renaming what is being rewritten"},
    {STORE_CAP_DELETE_MANY_IF_MATCH, "renaming a directory in which something is being written"},
};

static bool is_weak(const struct store_caps *c, enum store_cap cap)
{
    return c->state[cap] == STORE_CAP_IGNORED || c->state[cap] == STORE_CAP_REFUSED;
}

static void list_dangers(const struct store_caps *c, struct strbuf *out)
{
    bool any = false;

    for (size_t i = 0; i < sizeof(dangers) / sizeof(dangers[0]); i++) {
        if (!is_weak(c, dangers[i].cap))
            continue;
        /* Smaller ones are written anew by a PUT (store/store_s3_rewrite.c). */
        bool large_only = dangers[i].cap == STORE_CAP_COPY_IF_MATCH &&
                          c->state[STORE_CAP_PUT_IF_MATCH] == STORE_CAP_HELD;
        (void)strbuf_appendf(out, "%s%s", any ? ", " : "", dangers[i].what);
        if (large_only)
            (void)strbuf_appendf(out, " of files over %llu MiB", STORE_S3_REWRITE_MAX / MIB);
        any = true;
    }
}

static void warn(const struct caps *c, const struct store_caps *caps)
{
    CLEANUP_STRBUF struct strbuf text = STRBUF_INIT(1024);

    list_dangers(caps, &text);
    if (text.len)
        log_warn(
            "the server%s%s does not hold every condition on changes; files are looked at before, "
            "but two hosts that do it within the same moment can overwrite each other when: %s",
            *c->server ? " " : "", c->server, strbuf_str(&text));
}

static bool kept(struct caps *c)
{
    char text[TEXT_SIZE];

    return c->state && state_caps_get(c->state, c->server, MAX_AGE_NS, text, sizeof(text)) == 0 &&
           store_caps_parse(text, &c->at_start) == 0;
}

void caps_init(struct caps *c, const char *endpoint, const char *server, struct state *state)
{
    memset(c, 0, sizeof(*c));
    c->server = server;
    c->state = state;
    pthread_mutex_init(&c->lock, NULL);
    c->as_aws = aws_endpoint_is_aws(endpoint) || strcmp(server, "s3d") == 0;
    if (c->as_aws)
        c->at_start = store_caps_all();
    else if (kept(c))
        warn(c, &c->at_start);
}

/* ---- the probe ---- */

/* What the probe makes is noted before, so that a crash in the middle of it leaves nothing. */
struct probe_notes {
    uint64_t ids[2];
    struct state_upload_note upload;
};

static void note_probe(struct caps *c, const char *key, struct probe_notes *n)
{
    const char *const tails[] = {"", STORE_S3_PROBE_COPY};
    char text[128];

    memset(n, 0, sizeof(*n));
    for (size_t i = 0; c->state && i < 2; i++) {
        (void)snprintf(text, sizeof(text), "%s%s", key, tails[i]);
        (void)state_intent_begin(c->state, STATE_INTENT_DELETE, text, NULL, NULL, 0, &n->ids[i]);
    }
    n->upload = (struct state_upload_note){.what = STATE_UPLOAD_BEGIN, .key = key};
    if (c->state)
        (void)state_upload_write(c->state, &n->upload);
}

static void forget_probe(struct caps *c, struct probe_notes *n)
{
    struct state_upload_note end = {.what = STATE_UPLOAD_END, .row = n->upload.row};

    for (size_t i = 0; i < 2; i++) {
        if (n->ids[i])
            (void)state_intent_end(c->state, n->ids[i]);
    }
    if (end.row)
        (void)state_upload_write(c->state, &end);
}

static void *probe_main(void *arg)
{
    CLEANUP_STRBUF struct strbuf text = STRBUF_INIT(TEXT_SIZE);
    struct caps *c = arg;
    struct store_caps found;
    struct s3_error err = {0};
    char key[sizeof(PROBE_KEY) + 16], described[1024];
    struct probe_notes notes;
    uint64_t random = 0;
    int r;

    (void)!getrandom(&random, sizeof(random), 0);
    (void)snprintf(key, sizeof(key), PROBE_KEY "%016" PRIx64, random);
    note_probe(c, key, &notes);
    r = store_s3_probe(c->store, key, &c->stop, &found, &err);
    if (r == 0) /* else the next mount sees to what may be left */
        forget_probe(c, &notes);
    if (r < 0) {
        if (r != -ECANCELED)
            log_info("which conditions the server holds could not be found out (%s): files are "
                     "looked at "
                     "before they are changed",
                     s3_error_describe(&err, described, sizeof(described)));
        return NULL;
    }
    store_s3_set_caps(c->store, &found);
    warn(c, &found);
    store_caps_print(&found, &text);
    log_info("conditions: %s", strbuf_str(&text));
    if (c->state && !text.error && (r = state_caps_put(c->state, c->server, text.data)) < 0)
        log_warn("what the server can do is not kept for the next mount: %s", strerror(-r));
    return NULL;
}

void caps_unknown(void *ctx)
{
    struct caps *c = ctx;
    SCOPE_LOCK(&c->lock);

    if (!c->running && atomic_load(&c->ready) && !atomic_load(&c->stop))
        c->running = pthread_create(&c->thread, NULL, probe_main, c) == 0;
}

void caps_begin(struct caps *c, struct store *store)
{
    c->store = store;
    atomic_store(&c->ready, true);
}

void caps_end(struct caps *c)
{
    bool running;

    if (!atomic_load(&c->ready))
        return;
    atomic_store(&c->stop, true);
    pthread_mutex_lock(&c->lock);
    running = c->running;
    pthread_mutex_unlock(&c->lock);
    if (running)
        pthread_join(c->thread, NULL);
    pthread_mutex_destroy(&c->lock);
}

void caps_status(struct caps *c, struct strbuf *out)
{
    CLEANUP_STRBUF struct strbuf dangerous = STRBUF_INIT(1024);
    struct store_caps now;

    if (!atomic_load(&c->ready))
        return;
    store_s3_caps(c->store, &now);
    list_dangers(&now, &dangerous);
    (void)strbuf_appendf(out, "server: %s\nconditions: ", c->server);
    store_caps_print(&now, out);
    (void)strbuf_appendf(out, "\nunsafe_between_hosts: %s\n", strbuf_str(&dangerous));
}
