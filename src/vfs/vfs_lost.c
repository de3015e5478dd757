/* SPDX-License-Identifier: Apache-2.0 */
/* A commit that lost to another host: the program is told with its errno, and what it wrote is kept
 * in the local lost+found (meta/lost.h), where a person can get it back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "meta/lost.h"
#include "meta/state.h"
#include "vfs/vfs_impl.h"

/* Only what the store said for certain. Anything else is tried again. */
static enum lost_reason reason_of(int result, const struct s3_error *err)
{
    if (err->kind == S3_ERROR_PRECONDITION && result == -EEXIST)
        return LOST_EXISTS;
    if (err->kind == S3_ERROR_PRECONDITION && result == -ESTALE)
        return LOST_REPLACED;
    if (err->kind == S3_ERROR_NO_SUCH_KEY && result == -ESTALE)
        return LOST_REMOVED;
    return LOST_UNKNOWN;
}

static const char *what_happened(enum lost_reason reason)
{
    switch (reason) {
    case LOST_EXISTS:
        return "was made by somebody else";
    case LOST_REMOVED:
        return "was removed by somebody else";
    case LOST_REPLACED:
    case LOST_UNKNOWN:
        break;
    }
    return "was replaced by somebody else";
}

/* Fills a file of lost+found; 0 with an empty path when there was nothing to keep. */
static int save(struct vfs *v, struct open_file *of, struct lost_note *note,
                struct writer_saved *saved, char path[PATH_MAX])
{
    struct lost_file f;
    path[0] = '\0';
    int r = lost_begin(v->opts.lost, &f);
    if (r < 0)
        return r;
    r = writer_save(of->writer, f.fd, saved, NULL);
    if (r < 0 || saved->size == 0) {
        lost_cancel(v->opts.lost, &f);
        return r;
    }
    note->size = saved->size;
    note->missing_offset = saved->missing_offset;
    note->missing_length = saved->missing_length;
    if (saved->missing_length && saved->upload_id[0]) {
        note->upload_id = saved->upload_id;
        note->upload_length = saved->upload_length;
    }
    r = lost_end(v->opts.lost, &f, note, path);
    if (r < 0 || !note->upload_id)
        return r;
    /* Its parts are all that there is of the beginning. */
    writer_keep_upload(of->writer);
    r = v->opts.state ? state_upload_keep(v->opts.state, note->upload_id, true) : 0;
    if (r < 0 && r != -ENOENT) /* what is not noted is not aborted */
        log_error("'%s': the upload that has the beginning may be aborted at the next mount: %s",
                  path, strerror(-r));
    return 0;
}

void vfs_keep_lost_locked(struct vfs *v, struct open_file *of, int result,
                          const struct s3_error *err)
{
    char key[COMPONENT_LENGTH_MAX + 1], base[STORE_ETAG_SIZE], path[PATH_MAX];
    enum lost_reason reason = reason_of(result, err);
    if (reason == LOST_UNKNOWN || of->lost_is_current ||
        inode_key(of->inode, COMPONENT_LENGTH_MAX, key) < 0)
        return;
    struct writer_saved *saved = calloc(1, sizeof(*saved));
    struct lost_note note = {
        .key = key, .base = base, .reason = reason, .time_ns = clock_realtime_ns(v->clock)};
    memcpy(base, of->absent ? "" : of->inode->attr.etag, of->absent ? 1 : sizeof(base));
    char *before = TAKE_PTR(of->lost_path);
    of->lost_is_current = true;
    pthread_mutex_unlock(&v->lock);

    int r = !v->opts.lost ? -ENOTSUP : saved ? save(v, of, &note, saved, path) : -ENOMEM;
    if (r < 0)
        log_error("'%s' %s while it was written here: what was written is LOST, it could not be "
                  "kept: %s",
                  key, what_happened(reason), strerror(-r));
    else if (!path[0])
        log_warn("'%s' %s while it was written here; it was empty here", key,
                 what_happened(reason));
    else
        log_error("'%s' %s while it was written here: what was written is kept in '%s'%s", key,
                  what_happened(reason), path,
                  note.missing_length ? " (without a part that is not here any more)" : "");
    /* All that the one before has is in this one. */
    if (r == 0 && before)
        lost_forget(v->opts.lost, before);
    free(saved);
    char *now = r == 0 && path[0] ? strdup(path) : NULL;
    if (r == 0)
        free(before);
    pthread_mutex_lock(&v->lock);
    of->lost_path = r == 0 ? now : before;
}
