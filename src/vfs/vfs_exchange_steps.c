/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/crash_point.h"
#include "base/log.h"
#include "vfs/vfs_exchange.h"

#define HEAD         12u /* bytes before the strings of the payload */
#define PAYLOAD_SIZE (HEAD + VFS_HIDDEN_KEY_SIZE + 2 * STORE_ETAG_SIZE)

static void fill_names(struct exchange *x)
{
    size_t len = strlen(x->key), len2 = strlen(x->key2);
    x->with_file = x->key2[len2 - 1] != '/';
    memcpy(x->plain, x->key, len);
    x->plain[len - 1] = '\0';
    memcpy(x->beside, x->key2, len2 + 1);
    if (x->with_file)
        memcpy(x->beside + len2, "/", 2);
}

static bool usable(const char *key, bool dir)
{
    size_t len = key ? strlen(key) : 0;
    return len > (dir ? 1 : 0) && len <= COMPONENT_LENGTH_MAX && (!dir || key[len - 1] == '/');
}

int exchange_init(struct exchange *x)
{
    if (!usable(x->key, true) || !usable(x->key2, false))
        return -ENAMETOOLONG;
    int r = vfs_hidden_key(x->hidden);
    size_t len = strlen(x->hidden);
    if (r == 0 && len + 2 > sizeof(x->hidden))
        r = -ENAMETOOLONG;
    if (r < 0)
        return r;
    memcpy(x->hidden + len, "/", 2);
    fill_names(x);
    return 0;
}

unsigned exchange_steps(const struct exchange *x)
{
    return x->with_file ? 2 : 3;
}

bool exchange_step(const struct exchange *x, unsigned step, const char **ret_from,
                   const char **ret_to)
{
    const char *dirs[] = {x->key, x->hidden, x->key2, x->key, x->hidden, x->key2};
    const char *file[] = {x->key, x->beside, x->key2, x->plain};
    const char **names = (x->with_file ? file : dirs) + 2 * (size_t)(step - 1);
    *ret_from = names[0];
    *ret_to = names[1];
    return !x->with_file || step == 1;
}

/* ---- the intent ---- */

/* An earlier version understands the note while it need not know that. */
static bool has_another_etag(const struct exchange *x)
{
    return x->copied[0] && strcmp(x->copied, x->etag) != 0;
}

static size_t write_payload(const struct exchange *x, char payload[PAYLOAD_SIZE])
{
    size_t hidden = strlen(x->hidden) + 1, etag = strlen(x->etag) + 1;
    payload[0] = (char)VFS_INTENT_VERSION;
    payload[1] = (char)x->step;
    payload[2] = (char)x->phase;
    payload[3] = (char)x->back;
    for (size_t k = 0; k < 8; k++)
        payload[4 + k] = (char)(uint8_t)((uint64_t)x->time_ns >> (8 * k));
    memcpy(payload + HEAD, x->hidden, hidden);
    memcpy(payload + HEAD + hidden, x->etag, etag);
    size_t n = HEAD + hidden + etag;
    if (has_another_etag(x)) {
        size_t copied = strlen(x->copied) + 1;
        memcpy(payload + n, x->copied, copied);
        n += copied;
    }
    return n;
}

int exchange_begin(struct exchange *x)
{
    char payload[PAYLOAD_SIZE];
    x->step = 1;
    x->phase = VFS_INTENT_COPYING;
    x->time_ns = clock_realtime_ns(x->v->clock);
    size_t n = write_payload(x, payload);
    return vfs_intent_require(x->v, STATE_INTENT_EXCHANGE, x->key, x->key2, payload, n, &x->intent);
}

int exchange_enter(struct exchange *x, unsigned step, uint8_t phase, bool back)
{
    char payload[PAYLOAD_SIZE];
    struct exchange before = *x;
    if (step != x->step || back != x->back)
        x->time_ns = clock_realtime_ns(x->v->clock);
    x->step = step;
    x->phase = phase;
    x->back = back;
    size_t n = write_payload(x, payload);
    int r = state_intent_update(x->v->opts.state, x->intent, payload, n);
    if (r < 0) {
        x->step = before.step;
        x->phase = before.phase;
        x->back = before.back;
        x->time_ns = before.time_ns;
    }
    return r;
}

/* A string with its NUL from *at on. */
static bool take_text(const char **at, const char *end, char *ret, size_t size)
{
    size_t len = strnlen(*at, (size_t)(end - *at));
    if (len >= size || *at + len == end)
        return false;
    memcpy(ret, *at, len + 1);
    *at += len + 1;
    return true;
}

int exchange_load(struct exchange *x, const struct state_intent *t)
{
    const unsigned char *p = t->payload;
    const char *text = (const char *)p + HEAD, *end = (const char *)p + t->payload_len;
    uint64_t time = 0;
    if (t->payload_len <= HEAD || !usable(t->key, true) || !usable(t->key2, false) ||
        p[0] != VFS_INTENT_VERSION)
        return -EBADMSG;
    if (!take_text(&text, end, x->hidden, sizeof(x->hidden)) ||
        !take_text(&text, end, x->etag, sizeof(x->etag)) ||
        (text < end && !take_text(&text, end, x->copied, sizeof(x->copied))) || text != end)
        return -EBADMSG;
    size_t hidden = strlen(x->hidden), least = strlen(VFS_HIDDEN_DIR "/");
    if (strncmp(x->hidden, VFS_HIDDEN_DIR "/", least) != 0 || hidden == least ||
        x->hidden[hidden - 1] != '/')
        return -EBADMSG;
    x->key = t->key;
    x->key2 = t->key2;
    fill_names(x);
    x->intent = t->id;
    x->step = p[1];
    x->phase = p[2];
    x->back = p[3] != 0;
    for (size_t k = 0; k < 8; k++)
        time |= (uint64_t)p[4 + k] << (8 * k);
    x->time_ns = (int64_t)time;
    bool known = x->step >= 1 && x->step <= exchange_steps(x) &&
                 (x->phase == VFS_INTENT_COPYING || x->phase == VFS_INTENT_DELETING) &&
                 strncmp(x->key, x->beside, MIN(strlen(x->key), strlen(x->beside))) != 0;
    return known ? 0 : -EBADMSG;
}

/* ---- the file ---- */

int exchange_move_file(struct exchange *x, uint64_t size, struct store_version *ret,
                       struct s3_error *err)
{
    struct s3_error local = {0};
    struct vfs_copy c = {.source = x->key2,
                         .if_match = x->etag,
                         .size = size,
                         .key = x->plain,
                         .if_absent = true,
                         .attrs = x->carried};
    int r = vfs_copy_object(x->v, &c, ret, err);
    CRASH_POINT("exchange.file.copied");
    if (r < 0)
        return r;
    memcpy(x->copied, ret->etag, sizeof(x->copied));
    x->phase = VFS_INTENT_DELETING;
    /* Without the note a crash costs a comparison. */
    if (has_another_etag(x))
        (void)exchange_enter(x, x->step, VFS_INTENT_DELETING, x->back);
    r = store_delete(x->v->store, x->key2, x->etag, &local);
    /* Replaced since it was copied: as if that had been after the exchange. */
    if (r < 0 && (local.kind == S3_ERROR_PRECONDITION || local.kind == S3_ERROR_NO_SUCH_KEY))
        r = 0;
    else if (r < 0 && err)
        *err = local;
    return r;
}

/* 1 when it is there, 0 when it is not. */
static int look(struct vfs *v, const char *key, struct store_object *o, struct s3_error *err)
{
    struct s3_error local = {0};
    int r = store_head(v->store, key, o, &local);
    if (r == 0)
        return 1;
    if (local.kind == S3_ERROR_NO_SUCH_KEY)
        return 0;
    if (err)
        *err = local;
    return r;
}

/* What is noted as the file: it, or its copy. */
static bool is_noted(const struct exchange *x, const struct store_object *o)
{
    return strcmp(o->etag, x->etag) == 0 || (x->copied[0] && strcmp(o->etag, x->copied) == 0);
}

/* 1: what is under the one name is under the other too. */
static int is_at_both(struct exchange *x, const char *from, const struct store_object *old,
                      const char *to, const struct store_object *new, struct s3_error *err)
{
    struct vfs_content here = {from, old->etag, old->size}, there = {to, new->etag, new->size};
    if (is_noted(x, old) && is_noted(x, new))
        return 1;
    return vfs_same_content(x->v, &here, &there, x->stop, err);
}

static bool is_taken(const struct s3_error *err)
{
    return err->kind == S3_ERROR_PRECONDITION || err->kind == S3_ERROR_NO_SUCH_KEY;
}

/* The noted version, or its copy, goes from one name to the other, unless that is taken. Deleted is
 * only what the other name has as well: anything else may be another host's. */
static int settle_file(struct exchange *x, const char *from, const char *to, struct s3_error *err)
{
    struct store_object old = {0}, new = {0};
    struct store_version version;
    struct s3_error local = {0};
    bool moved = false;
    int r = look(x->v, from, &old, err);
    if (r <= 0)
        return r;
    r = look(x->v, to, &new, &local);
    if (r > 0) {
        r = is_at_both(x, from, &old, to, &new, &local);
        moved = r > 0;
    } else if (r == 0 && is_noted(x, &old)) {
        struct vfs_copy c = {
            .source = from, .if_match = old.etag, .size = old.size, .key = to, .if_absent = true};
        r = vfs_copy_object(x->v, &c, &version, &local);
        moved = r == 0;
    }
    if (moved)
        r = store_delete(x->v->store, from, old.etag, &local);
    if (r < 0 && is_taken(&local)) { /* by another host, meanwhile */
        moved = false;
        r = 0;
    }
    if (r >= 0 && !moved)
        log_warn("'%s' has been stored, or '%s' been made, since the exchange of '%s' and '%s': "
                 "it stays",
                 from, to, x->key, x->key2);
    else if (r < 0 && err)
        *err = local;
    store_object_done(&old);
    store_object_done(&new);
    return MIN(r, 0);
}

/* ---- on, and back ---- */

static bool is_hidden_prefix(const struct exchange *x, const char *key)
{
    return strcmp(key, x->hidden) == 0;
}

/* What could not be moved because something else is in its place. */
static int tell_left(struct exchange *x, const char *from, const char *to, uint64_t left)
{
    if (left == 0)
        return 0;
    if (!is_hidden_prefix(x, from)) {
        log_warn("the exchange of '%s' and '%s' left %llu objects under '%s', which were stored "
                 "since, or have another one in their new place",
                 x->key, x->key2, (unsigned long long)left, from);
        return 0;
    }
    log_error("the exchange of '%s' and '%s' left %llu objects under '%s', for there are others in "
              "their places under '%s': move them with another tool, or remove those and mount "
              "again",
              x->key, x->key2, (unsigned long long)left, from, to);
    return -EEXIST;
}

static int step_forward(struct exchange *x, struct s3_error *err)
{
    const char *from, *to;
    uint64_t left = 0;
    if (!exchange_step(x, x->step, &from, &to))
        return settle_file(x, from, to, err);
    int r =
        vfs_move_resume(x->v, from, to, x->phase == VFS_INTENT_DELETING, x->time_ns, &left, err);
    return r < 0 ? r : tell_left(x, from, to, left);
}

int exchange_delete_again(struct exchange *x, const struct s3_error *failure, struct s3_error *err)
{
    bool may_come = failure->maybe_done || failure->kind == S3_ERROR_CANCELLED;
    x->only_on = x->phase == VFS_INTENT_DELETING && may_come;
    return x->only_on ? step_forward(x, err) : -EIO;
}

static int step_back(struct exchange *x, struct s3_error *err)
{
    const char *from, *to;
    uint64_t left = 0;
    if (!exchange_step(x, x->step, &from, &to))
        return settle_file(x, to, from, err);
    /* Without all its copies a step has deleted nothing. What else is there is of others, except in
     * the hidden prefix. */
    bool deleting = x->phase == VFS_INTENT_COPYING && !is_hidden_prefix(x, to);
    int r = vfs_move_undo(x->v, to, from, deleting, x->time_ns, x->stop, &left, err);
    return r < 0 ? r : tell_left(x, to, from, left);
}

static int all_back(struct exchange *x, struct s3_error *err)
{
    int r;
    for (;;) {
        r = step_back(x, err);
        CRASH_POINT("exchange.back");
        if (r < 0 || x->step == 1)
            return r;
        r = exchange_enter(x, x->step - 1, VFS_INTENT_DELETING, true);
        if (r < 0)
            return r;
    }
}

int exchange_resume(struct exchange *x, struct s3_error *err)
{
    int r = 0;
    if (!x->back && x->step == 1 && x->phase == VFS_INTENT_COPYING)
        r = exchange_enter(x, 1, x->phase, true);
    if (r == 0 && x->back)
        return all_back(x, err);
    while (r == 0) {
        r = step_forward(x, err);
        if (r < 0 || x->step == exchange_steps(x))
            return r;
        r = exchange_enter(x, x->step + 1, VFS_INTENT_COPYING, false);
    }
    return r;
}

int exchange_go_back(struct exchange *x, struct s3_error *err)
{
    /* A first step without all its copies is undone by the next mount too: that need not be noted,
     * and perhaps it cannot. */
    int r = 0;
    if (x->only_on) {
        log_error(
            "the exchange of '%s' and '%s' stopped in the middle: some of it may be below '%s'; "
            "the next mount goes on with it",
            x->key, x->key2, x->with_file ? x->beside : x->hidden);
        return -EIO;
    }
    if (x->step == 1 && x->phase == VFS_INTENT_COPYING)
        x->back = true;
    else
        r = exchange_enter(x, x->step, x->phase, true);
    if (r == 0)
        r = all_back(x, err);
    if (r == 0) {
        vfs_intent_end(x->v, x->intent);
        return 0;
    }
    log_error("the exchange of '%s' and '%s' could not be undone: %s%s%s; the next mount tries "
              "again",
              x->key, x->key2,
              x->with_file ? "what was below the one may be below the other"
                           : "what the first had may be under '",
              x->with_file ? "" : x->hidden, x->with_file ? "" : "'");
    return r;
}
