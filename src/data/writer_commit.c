/* SPDX-License-Identifier: Apache-2.0 */
/* From a writer's content to an object: one PUT, or the end of an upload. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "data/writer_impl.h"

const char *writer_condition(const struct writer *w)
{
    return w->if_match[0] ? w->if_match : NULL;
}

int writer_conflict(const struct writer *w, int result, const struct s3_error *err)
{
    if (err->kind == S3_ERROR_PRECONDITION)
        return w->if_absent ? -EEXIST : -ESTALE;
    if (err->kind == S3_ERROR_NO_SUCH_KEY && writer_condition(w))
        return -ESTALE;
    return result;
}

/* All of our metadata is the object's. */
static bool same_metadata(const struct store_attrs *ours, const struct store_attrs *theirs)
{
    for (size_t i = 0; i < ours->n_metadata; i++) {
        bool found = false;
        for (size_t k = 0; k < theirs->n_metadata && !found; k++)
            found = strcmp(ours->metadata[i].name, theirs->metadata[k].name) == 0 &&
                    strcmp(ours->metadata[i].value, theirs->metadata[k].value) == 0;
        if (!found)
            return false;
    }
    return true;
}

/* ---- one PUT ---- */

static bool etag_of(const struct iovec *iov, int n_iov, char etag[STORE_ETAG_SIZE])
{
    uint8_t md5[DIGEST_MD5_SIZE];
    char hex[2 * DIGEST_MD5_SIZE + 1];
    if (digest_iov(DIGEST_MD5, iov, n_iov, md5))
        return false;
    for (int i = 0; i < DIGEST_MD5_SIZE; i++)
        snprintf(hex + 2 * i, 3, "%02x", md5[i]);
    snprintf(etag, STORE_ETAG_SIZE, "\"%s\"", hex);
    return true;
}

static void forget_doubt(struct writer *w)
{
    arena_done(&w->doubt.arena);
    w->doubt.etag[0] = '\0';
}

/* The request may have had its effect: remembers what that would be. An empty object proves
 * nothing: of two hosts that create the same lock file, both would believe to have done it. */
static void note_doubt(struct writer *w, const struct store_put_in *in)
{
    forget_doubt(w);
    if (in->n_body && !store_attrs_copy(&in->attrs, &w->doubt.arena, &w->doubt.attrs))
        (void)etag_of(in->body, in->n_body, w->doubt.etag);
}

/* Whether what is in the store now is the effect of the PUT in doubt. */
static bool doubt_came_true(struct writer *w, struct store_version *ret)
{
    struct store_object o;
    if (!w->doubt.etag[0] || store_head(w->d->store, w->key, &o, NULL))
        return false;
    bool ours = strcmp(o.etag, w->doubt.etag) == 0 && same_metadata(&w->doubt.attrs, &o.attrs);
    memcpy(ret->etag, o.etag, sizeof(ret->etag));
    ret->mtime_ns = o.mtime_ns;
    store_object_done(&o);
    return ours;
}

static int put_once(struct writer *w, struct store_put_in *in, struct store_version *ret,
                    struct s3_error *err)
{
    in->if_match = writer_condition(w);
    in->if_absent = w->if_absent;
    in->through = w->through;
    data_count_dirty(w->d, 0, 1);
    int r = store_put(w->d->store, in, ret, err);
    data_count_dirty(w->d, 0, -1);
    return r;
}

static int put_buffer(struct writer *w, const struct buffer *b, struct store_version *ret,
                      struct s3_error *err)
{
    struct store_put_in in = {.key = w->key};
    int r = writer_get_attrs(w, &in.attrs, err);
    if (r)
        return r;
    CLEANUP_FREE struct iovec *iov = NULL;
    if (buffer_iov(b, &iov, &in.n_body))
        return writer_no_memory(err);
    in.body = iov;

    r = put_once(w, &in, ret, err);
    bool refused = err->kind == S3_ERROR_PRECONDITION || err->kind == S3_ERROR_NO_SUCH_KEY;
    if (r && refused && doubt_came_true(w, ret)) {
        /* Then the version that stands there is the one to replace, unless it is this already. */
        char now[STORE_ETAG_SIZE];
        if (etag_of(in.body, in.n_body, now) && strcmp(now, ret->etag) == 0) {
            r = 0;
        } else {
            snprintf(w->if_match, sizeof(w->if_match), "%s", ret->etag);
            w->if_absent = false;
            r = put_once(w, &in, ret, err);
        }
    }
    if (r && upload_error_is_uncertain(err))
        note_doubt(w, &in);
    else if (!r)
        forget_doubt(w);
    return r;
}

int writer_put(struct writer *w, struct store_version *ret, struct s3_error *err)
{
    if (!w->spill)
        return put_buffer(w, &w->buffer, ret, err);
    struct buffer loaded;
    int r = writer_load(w, &loaded, err);
    if (r)
        return r;
    r = put_buffer(w, &loaded, ret, err);
    buffer_done(&loaded);
    return r;
}

/* ---- an upload ---- */

/* An object that was made wrong is ours nevertheless: what the next commit replaces. */
int writer_complete(struct writer *w, struct store_version *ret, struct s3_error *err)
{
    int r = upload_complete(w->upload, writer_condition(w), w->if_absent, ret, err);
    if (r && ret->etag[0]) {
        snprintf(w->if_match, sizeof(w->if_match), "%s", ret->etag);
        w->if_absent = false;
    }
    return r;
}

static int send_last(struct writer *w, struct buffer *b, struct s3_error *err)
{
    uint32_t before = upload_next_index(w->upload);
    int r = b->len ? upload_part_kept(w->upload, b, err) : 0;
    int waited = upload_wait(w->upload, r ? NULL : err);
    r = r ? r : waited;
    if (r && upload_next_index(w->upload) > before)
        upload_drop_last(w->upload);
    return r;
}

/* What is left of the content goes as the last part, which stays in the buffer: there may be more
 * to come. After a failure it has no number. */
static int send_rest(struct writer *w, struct s3_error *err)
{
    if (!w->spill)
        return send_last(w, &w->buffer, err);
    struct buffer loaded;
    int r = writer_load(w, &loaded, err);
    if (r)
        return r;
    r = send_last(w, &loaded, err);
    buffer_done(&loaded);
    return r;
}

static int commit_upload(struct writer *w, struct store_version *ret, struct s3_error *err)
{
    int r = writer_need_upload(w, err);
    if (r)
        return w->upload ? writer_stream_failed(w, r, err) : r;
    r = send_rest(w, err);
    if (r == -EFBIG)
        return r;
    if (r && upload_can_mend(w->upload) && !upload_mend(w->upload, err)) {
        *err = (struct s3_error){0};
        r = send_rest(w, err);
    }
    if (r)
        return writer_stream_failed(w, r, err);
    r = writer_complete(w, ret, err);
    if (r) {
        /* The buffer may still grow; its part is then sent anew under the same number. */
        if (writer_held(w))
            upload_drop_last(w->upload);
        if (err->kind == S3_ERROR_NO_SUCH_UPLOAD || upload_sum_differs(err))
            (void)writer_stream_failed(w, r, err);
        return r;
    }
    upload_free(TAKE_PTR(w->upload));
    writer_cut_base(w, w->size);
    data_share_set_least(w->share, w->d->write_part_size);
    return 0;
}

void writer_builds_on(struct writer *w, const struct store_version *version)
{
    snprintf(w->base_etag, sizeof(w->base_etag), "%s", version->etag);
    snprintf(w->if_match, sizeof(w->if_match), "%s", version->etag);
    w->if_absent = false;
}

/* Brings everything into the store. */
static int store_content(struct writer *w, struct store_version *ret, bool *ret_attrs_stale,
                         struct s3_error *err)
{
    uint64_t first = w->d->write_part_size;
    int r = 0;
    if (w->stage) {
        *ret_attrs_stale = w->upload != NULL;
        return writer_commit_stage(w, ret, err);
    }
    *ret_attrs_stale = w->upload != NULL;
    if (w->base_keep && w->base_keep <= first && !w->upload)
        r = writer_open_base(w, 0, w->base_keep, err);
    if (!r)
        r = writer_fill_to(w, w->size, err);
    if (r == WRITER_NEEDS_STAGE)
        r = writer_to_stage(w, err);
    if (r)
        return r;
    if (w->stage)
        return writer_commit_stage(w, ret, err);
    if (!w->upload && !w->base_keep && writer_held(w) <= first)
        return writer_put(w, ret, err);
    r = commit_upload(w, ret, err);
    if (r && w->stage && w->no_copies) {
        *err = (struct s3_error){0};
        r = writer_commit_stage(w, ret, err);
    }
    return r;
}

static int commit_inside(struct writer *w, struct s3_error *reterr)
{
    int r = writer_old_failure(w, reterr);
    if (r || !w->dirty || writer_is_orphan(w))
        return writer_is_orphan(w) ? 0 : r;
    struct s3_error err = {0};
    struct store_version version = {0};
    bool attrs_stale = false;
    r = store_content(w, &version, &attrs_stale, &err);
    if (r) {
        if (reterr)
            *reterr = err;
        return writer_conflict(w, r, &err);
    }
    writer_builds_on(w, &version);
    w->last =
        (struct writer_result){.version = version, .size = w->size, .attrs_stale = attrs_stale};
    writer_set_size(w, w->size, false);
    return 0;
}

int writer_commit(struct writer *w, struct writer_result *ret, struct s3_error *reterr)
{
    writer_enter(w);
    int r = commit_inside(w, reterr);
    if (!r && ret)
        *ret = w->last;
    writer_leave(w);
    return r;
}
