/* SPDX-License-Identifier: Apache-2.0 */
/* What a crash interrupted: intents of an earlier life are finished or undone, each kind by its own
 * function. Runs in a thread of its own while the mount is in use already. What a function changes
 * it guards as any operation does (VFS_GUARD, vfs_move_begin_locked), so that others wait for it or
 * come before it; what came before it has changed the names, so that every step is looked at
 * anew: a function must not trust that the store is as the intent says. */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "meta/state.h"
#include "vfs/vfs_intent.h"

/* 0: finished or undone, the intent goes. -EINPROGRESS: taken over, it goes later. Anything else is
 * logged, and the next mount tries again. */
typedef int (*recover_fn)(struct vfs *v, const struct state_intent *intent, struct s3_error *err);

/* NULL: nobody knows this kind yet; it stays. */
static const recover_fn recover_table[STATE_INTENT_KIND_MAX] = {
    [STATE_INTENT_RENAME_DIR] = vfs_recover_rename_dir,
    [STATE_INTENT_RENAME_FILE] = vfs_recover_rename_file,
    [STATE_INTENT_DELETE] = vfs_recover_hidden,
    [STATE_INTENT_ATTRS] = vfs_recover_attrs,
    [STATE_INTENT_EXCHANGE] = vfs_recover_exchange_dir,
};

struct recovery {
    struct vfs *vfs;
    const atomic_bool *stop;
    struct vfs_recovery *figures;
    bool attrs; /* attributes come last: under the names that the others leave */
};

static int recover_one(void *ctx, const struct state_intent *intent)
{
    struct recovery *rec = ctx;
    recover_fn fn = recover_table[intent->kind];
    struct s3_error err = {0};
    char text[512];
    int r;

    if (atomic_load(rec->stop))
        return -ECANCELED;
    if ((intent->kind == STATE_INTENT_ATTRS) != rec->attrs)
        return 0;
    r = fn ? fn(rec->vfs, intent, &err) : -ENOSYS;
    if (r == -EINPROGRESS || r == -ECANCELED)
        return r == -ECANCELED ? r : 0;
    if (r == 0)
        r = state_intent_end(rec->vfs->opts.state, intent->id);
    if (r == 0) {
        log_info("what was interrupted is finished: %s of '%s'",
                 state_intent_kind_name(intent->kind), intent->key);
        rec->figures->finished++;
        return 0;
    }
    log_error("what was interrupted stays so until the next mount: %s of '%s': %s",
              state_intent_kind_name(intent->kind), intent->key,
              err.kind ? s3_error_describe(&err, text, sizeof(text)) : strerror(-r));
    rec->figures->left++;
    return 0;
}

int vfs_intent_require(struct vfs *v, enum state_intent_kind kind, const char *key,
                       const char *key2, const void *payload, size_t len, uint64_t *ret_id)
{
    if (!v->opts.state)
        return -EOPNOTSUPP;
    return state_intent_begin(v->opts.state, kind, key, key2, payload, len, ret_id);
}

uint64_t vfs_intent_begin(struct vfs *v, enum state_intent_kind kind, const char *key,
                          const char *key2, const void *payload, size_t len)
{
    uint64_t id = 0;
    int r = vfs_intent_require(v, kind, key, key2, payload, len, &id);
    if (r < 0 && v->opts.state)
        log_warn(
            "state.db: the %s of '%s' cannot be noted: %s: a crash in it would not be finished",
            state_intent_kind_name(kind), key, strerror(-r));
    return r < 0 ? 0 : id;
}

void vfs_intent_end(struct vfs *v, uint64_t id)
{
    if (id)
        state_intent_end_later(v->opts.state, id);
}

void vfs_recover(struct vfs *v, const atomic_bool *stop, struct vfs_recovery *ret)
{
    struct recovery rec = {.vfs = v, .stop = stop, .figures = ret};
    int r;

    memset(ret, 0, sizeof(*ret));
    if (!v->opts.state)
        return;
    v->recover_stop = stop;
    r = state_intents_before(v->opts.state, 0, recover_one, &rec);
    rec.attrs = true;
    if (r == 0)
        r = state_intents_before(v->opts.state, STATE_INTENT_ATTRS, recover_one, &rec);
    if (r < 0 && r != -ECANCELED)
        log_error("state.db: intents cannot be read: %s", strerror(-r));
    v->recover_stop = NULL;
}
