/* SPDX-License-Identifier: Apache-2.0 */
#include "control_lost.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "control.h"

/* Borrowed from list. */
static const struct lost_item *find(const struct control *c, const char *name,
                                    struct lost_list *list, struct s3_error *reterr)
{
    int r = c->start->state_dir ? lost_list(c->start->state_dir->lost, list) : -ENOENT;

    for (size_t i = 0; r == 0 && i < list->n; i++)
        if (strcmp(list->items[i].name, name) == 0)
            return &list->items[i];
    (void)s3_error_set(reterr, S3_ERROR_CONFIG, "'%.150s' is not in lost+found", name);
    return NULL;
}

static bool has_upload(const struct lost_note *n)
{
    return n->upload_id && *n->upload_id;
}

/* As the store's port has it. */
static const char *relative_key(const struct control *c, const struct lost_note *n)
{
    const char *prefix = n->prefix ? n->prefix : "";

    return strncmp(n->key, prefix, strlen(prefix)) == 0 ? n->key + strlen(prefix) : NULL;
}

static void let_go(const struct control *c, const struct lost_note *n)
{
    int r = c->start->state ? state_upload_keep(c->start->state, n->upload_id, false) : 0;

    if (r < 0 && r != -ENOENT)
        log_warn("upload '%s' stays noted: %s", n->upload_id, strerror(-r));
}

int control_lost_drop(void *ctx, const char *args, struct strbuf *out, struct s3_error *reterr)
{
    const struct control *c = ctx;
    CLEANUP(lost_list_done) struct lost_list list = {0};
    const struct lost_item *item = find(c, args, &list, reterr);
    int r;

    if (!item)
        return -ENOENT;
    if (has_upload(&item->note) && relative_key(c, &item->note)) {
        struct store_upload_abort_in in = {.key = relative_key(c, &item->note),
                                           .upload_id = item->note.upload_id};

        r = store_call(c->start->store, STORE_UPLOAD_ABORT, &in, NULL, reterr);
        if (r < 0)
            return r;
        let_go(c, &item->note);
    }
    r = lost_drop(c->start->state_dir->lost, item->name);
    return r < 0 ? s3_error_set(reterr, S3_ERROR_CONFIG, "%s", strerror(-r)) : 0;
}

int control_lost_complete(void *ctx, const char *args, struct strbuf *out, struct s3_error *reterr)
{
    const struct control *c = ctx;
    CLEANUP(lost_list_done) struct lost_list list = {0};
    bool over = strncmp(args, "over ", 5) == 0;
    const struct lost_item *item = find(c, args + strcspn(args, " ") + 1, &list, reterr);
    const char *key = item ? relative_key(c, &item->note) : NULL;
    struct store_upload_complete_in complete = {.key = key, .if_absent = !over};
    struct store_upload_parts_in parts_in = {.key = key};
    struct store_parts parts;
    struct store_version version;
    int r;

    if (!item)
        return -ENOENT;
    if (!has_upload(&item->note) || !key)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "it has no upload");
    parts_in.upload_id = complete.upload_id = item->note.upload_id;
    r = store_call(c->start->store, STORE_UPLOAD_PARTS, &parts_in, &parts, reterr);
    if (r < 0)
        return r;
    complete.parts = parts.parts;
    complete.n_parts = parts.n_parts;
    r = store_call(c->start->store, STORE_UPLOAD_COMPLETE, &complete, &version, reterr);
    store_parts_done(&parts);
    if (r < 0 && reterr->kind == S3_ERROR_PRECONDITION)
        return s3_error_set(reterr, S3_ERROR_PRECONDITION,
                            "there is a file already: --overwrite replaces it");
    return r;
}
