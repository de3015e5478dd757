/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions on changes, over servers that keep them, ignore them or do not know them
 * (store_caps.h). Whatever the server, the port's promise is the same as far as it can be held.
 *
 * Before: a condition that is not known to be held is looked after here: HEAD, compare, and only
 * then the request. What happens in between is not seen; that window is one round trip.
 *
 * A small object's copy onto itself is no copy then, but GET and PUT (store_s3_rewrite.c): most of
 * those servers hold the condition there, and the window is gone.
 *
 * After: an answer that may mean something else is held against a look before it is believed:
 *
 * - 412 to If-Match on PUT: Ceph up to 18 compares the ETag without its quotes. When exactly the
 *   demanded version is there, the request is sent again in the other form, with the condition in
 *   force all the time.
 * - 409 to a condition: somebody is at the same object, also after the client's tries. A conflict
 *   if its version is another one now.
 * - 412 to If-Match on a completion or DELETE, from a server that is known not to hold every
 *   condition: Swift compares that of an object of parts with another ETag than it tells. When
 *   exactly the demanded version is there, it is looked after here from now on.
 * - 412 to the version of a source: Swift compares that of an object of parts with another ETag
 *   than it tells. When exactly the demanded version is there, the source is looked at before from
 *   now on, and the request says nothing of it.
 * - 404 to If-Match or about a source: believed only if the object is not there when looked for.
 * - 404 to a completion: of the upload, believed only if its parts cannot be listed.
 * - 404 to what makes an object or an upload: about nothing that could be missing, as a 5xx.
 * - 416 to a source's range: a conflict if the source is another version now.
 * - 501: the server does not take the condition. From now on it is looked after here.
 * - 501 or MalformedXML to a DeleteObjects with ETags: sent again without, from now on.
 *
 * An answer to the look that is neither a version nor "not there" decides nothing: its error is the
 * result, and no error of that kind is a conflict. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "store/store_s3_impl.h"

struct condition {
    const char *key;
    const char *if_match;
    bool if_absent;
    enum store_cap cap;
};

/* What the request demands of the object that it changes; false = nothing. */
static bool condition_of(const struct store_s3_request *r, struct condition *c)
{
    switch ((int)r->op) {
    case STORE_PUT: {
        const struct store_put_in *in = r->in;
        *c = (struct condition){in->key, in->if_match, in->if_absent,
                                in->if_absent ? STORE_CAP_PUT_IF_ABSENT : STORE_CAP_PUT_IF_MATCH};
        break;
    }
    case STORE_COPY: {
        const struct store_copy_in *in = r->in;
        *c = (struct condition){in->key, in->if_match, in->if_absent,
                                in->if_absent ? STORE_CAP_COPY_IF_ABSENT : STORE_CAP_COPY_IF_MATCH};
        break;
    }
    case STORE_UPLOAD_COMPLETE: {
        const struct store_upload_complete_in *in = r->in;
        *c = (struct condition){in->key, in->if_match, in->if_absent,
                                in->if_absent ? STORE_CAP_COMPLETE_IF_ABSENT
                                              : STORE_CAP_COMPLETE_IF_MATCH};
        break;
    }
    case STORE_DELETE: {
        const struct store_delete_in *in = r->in;
        *c = (struct condition){in->key, in->if_match, false, STORE_CAP_DELETE_IF_MATCH};
        break;
    }
    default:
        return false;
    }
    return c->if_match || c->if_absent;
}

/* What is read or copied from; *etag NULL = any version of it. NULL = the request has none. */
static const char *source_of(const struct store_s3_request *r, const char **etag)
{
    if (r->op == STORE_COPY) {
        const struct store_copy_in *in = r->in;
        *etag = in->source_if_match;
        return in->source_key;
    }
    if (r->op == STORE_GET) {
        const struct store_get_in *in = r->in;
        *etag = in->if_match;
        return in->if_match ? in->key : NULL;
    }
    if (r->op == STORE_UPLOAD_PART_COPY) {
        const struct store_upload_part_copy_in *in = r->in;
        *etag = in->source_if_match;
        return in->source_key;
    }
    return NULL;
}

static enum store_cap_state cap_state(const struct store_s3_request *r, enum store_cap cap)
{
    return (enum store_cap_state)atomic_load(&r->s->caps[cap]);
}

static bool is_held(const struct store_s3_request *r, enum store_cap cap)
{
    return cap_state(r, cap) == STORE_CAP_HELD;
}

static bool holds_all(const struct store_s3 *s)
{
    for (int cap = 0; cap < STORE_CAP_MAX; cap++)
        if (atomic_load(&s->caps[cap]) != STORE_CAP_HELD)
            return false;
    return true;
}

/* Somebody is told with the first change. */
static void tell_unknown(struct store_s3_request *r)
{
    bool changes = r->op == STORE_PUT || r->op == STORE_COPY || r->op == STORE_UPLOAD_CREATE ||
                   r->op == STORE_DELETE;
    bool unknown = false;

    if (!changes || !r->s->unknown || atomic_load(&r->s->unknown_told))
        return;
    for (int cap = 0; cap < STORE_CAP_MAX; cap++)
        unknown |= cap_state(r, (enum store_cap)cap) == STORE_CAP_UNKNOWN;
    if (unknown && !atomic_exchange(&r->s->unknown_told, true))
        r->s->unknown(r->s->unknown_ctx);
}

/* ---- sending ---- */

static int look_at(struct store_s3_request *r, enum store_s3_look look, const char *key)
{
    const char *whole = store_s3_key(r, key);

    if (!whole)
        return s3_error_set(&r->err, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    r->look = look;
    memset(&r->s3_in, 0, sizeof(r->s3_in));
    r->s3_in.head = (struct s3_head_object_in){.bucket = r->s->bucket, .key = whole};
    return -EINPROGRESS;
}

/* Whether the request as it was sent had its condition; another request may have found out
 * meanwhile that the server refuses it. */
static bool was_told(const struct store_s3_request *r)
{
    switch ((int)r->op) {
    case STORE_PUT:
        return r->s3_in.put.conditions.if_match || r->s3_in.put.conditions.if_none_match;
    case STORE_COPY:
        return r->s3_in.copy.conditions.if_match || r->s3_in.copy.conditions.if_none_match;
    case STORE_UPLOAD_COMPLETE:
        return r->s3_in.complete.conditions.if_match || r->s3_in.complete.conditions.if_none_match;
    default:
        return r->s3_in.remove.if_match;
    }
}

/* Whether it had a condition on its source, and no other one. */
static bool source_was_told(const struct store_s3_request *r)
{
    if (r->op == STORE_COPY)
        return r->s3_in.copy.source_conditions.if_match && !was_told(r);
    return r->op == STORE_UPLOAD_PART_COPY && r->s3_in.part_copy.source_conditions.if_match;
}

/* What a server refuses to be told is not told. */
static void strip(struct store_s3_request *r)
{
    struct condition c;
    bool no_source = cap_state(r, STORE_CAP_COPY_SOURCE) == STORE_CAP_REFUSED;

    if (no_source && r->op == STORE_COPY)
        r->s3_in.copy.source_conditions = (struct s3_conditions){0};
    if (no_source && r->op == STORE_UPLOAD_PART_COPY)
        r->s3_in.part_copy.source_conditions = (struct s3_conditions){0};
    if (!condition_of(r, &c) || cap_state(r, c.cap) != STORE_CAP_REFUSED)
        return;
    switch ((int)r->op) {
    case STORE_PUT:
        r->s3_in.put.conditions = (struct s3_conditions){0};
        break;
    case STORE_COPY:
        r->s3_in.copy.conditions = (struct s3_conditions){0};
        break;
    case STORE_UPLOAD_COMPLETE:
        r->s3_in.complete.conditions = (struct s3_conditions){0};
        break;
    default:
        r->s3_in.remove.if_match = NULL;
    }
}

/* The request itself. */
static int ask(struct store_s3_request *r)
{
    int result;

    memset(&r->s3_in, 0, sizeof(r->s3_in));
    result = store_s3_rows[r->op].prepare(r);
    if (result < 0)
        return s3_error_set(&r->err, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    strip(r);
    return -EINPROGRESS;
}

int store_s3_guard_begin(struct store_s3_request *r)
{
    const char *etag = NULL, *source = source_of(r, &etag);
    struct condition c;

    tell_unknown(r);
    if (store_s3_can_rewrite(r))
        return store_s3_rewrite_begin(r);
    if (source && etag && r->op != STORE_GET && !is_held(r, STORE_CAP_COPY_SOURCE))
        return look_at(r, STORE_S3_LOOK_SOURCE_FIRST, source);
    if (condition_of(r, &c) && !is_held(r, c.cap))
        return look_at(r, STORE_S3_LOOK_FIRST, c.key);
    return 0;
}

/* ---- after the request ---- */

static int look_after(struct store_s3_request *r, enum store_s3_look look, const char *key)
{
    r->refusal = r->err;
    return look_at(r, look, key);
}

static int set_error(struct store_s3_request *r, enum s3_error_kind kind, const char *what)
{
    struct s3_error about = r->err;
    int result = s3_error_set(&r->err, kind, "'%s': %s", store_in_key(r->op, r->in), what);

    (void)snprintf(r->err.request_id, sizeof(r->err.request_id), "%s", about.request_id);
    (void)snprintf(r->err.operation, sizeof(r->err.operation), "%s", about.operation);
    return result;
}

static int look_at_upload(struct store_s3_request *r)
{
    const struct store_upload_complete_in *in = r->in;
    const char *whole = store_s3_key(r, in->key);

    if (!whole)
        return s3_error_set(&r->err, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    r->refusal = r->err;
    r->look = STORE_S3_LOOK_UPLOAD;
    memset(&r->s3_in, 0, sizeof(r->s3_in));
    r->s3_in.parts = (struct s3_list_parts_in){
        .bucket = r->s->bucket, .key = whole, .upload_id = in->upload_id, .max_parts = 1};
    return -EINPROGRESS;
}

static int begin_without(struct store_s3_request *r, const struct condition *c)
{
    if (atomic_exchange(&r->s->caps[c->cap], STORE_CAP_REFUSED) != STORE_CAP_REFUSED)
        log_warn(
            "the server does not take conditions (%s): they are looked after here, which two hosts "
            "that change one object at the same moment can slip through",
            store_cap_name(c->cap));
    return look_at(r, STORE_S3_LOOK_FIRST, c->key);
}

static int without_etags(struct store_s3_request *r, int result)
{
    unsigned char held = STORE_CAP_HELD;
    bool told = false;

    for (size_t i = 0; i < r->s3_in.remove_many.n_entries && !told; i++)
        told = r->s3_in.remove_many.entries[i].etag != NULL;
    if (!told)
        return result;
    if (atomic_compare_exchange_strong(&r->s->caps[STORE_CAP_DELETE_MANY_IF_MATCH], &held,
                                       STORE_CAP_REFUSED))
        log_warn("the server does not take ETags in DeleteObjects: they are left out, and what "
                 "another host stores just before is deleted");
    return ask(r);
}

int store_s3_guard_end(struct store_s3_request *r, int result)
{
    enum s3_error_kind kind = r->err.kind;
    const char *etag = NULL, *source = source_of(r, &etag);
    struct condition c;

    if (source && (kind == S3_ERROR_NO_SUCH_KEY || kind == S3_ERROR_BAD_RANGE))
        return look_after(r, STORE_S3_LOOK_SOURCE_AFTER, source);
    if (kind == S3_ERROR_PRECONDITION && source_was_told(r))
        return look_after(r, STORE_S3_LOOK_SOURCE_AFTER, source);
    if (kind == S3_ERROR_NO_SUCH_UPLOAD && r->op == STORE_UPLOAD_COMPLETE &&
        strcmp(r->err.code, "NoSuchKey") == 0)
        return look_at_upload(r);
    if (kind == S3_ERROR_NO_SUCH_KEY &&
        (r->op == STORE_UPLOAD_CREATE ||
         (r->op == STORE_PUT && !((const struct store_put_in *)r->in)->if_match)))
        return set_error(r, S3_ERROR_SERVER,
                         "the server says that something is missing which is to be made");
    if (r->op == STORE_DELETE_MANY && ((const struct store_delete_many_in *)r->in)->etags &&
        (kind == S3_ERROR_UNSUPPORTED || strcmp(r->err.code, "MalformedXML") == 0))
        return without_etags(r, result);
    if (!condition_of(r, &c))
        return result;
    /* Ceph 16 refuses If-Match in both forms once the bucket has versions, which may be from now.
     */
    if (kind == S3_ERROR_PRECONDITION && r->op == STORE_PUT && r->s3_in.put.conditions.if_match &&
        (!atomic_load(&r->s->etag_form_known) || atomic_load(&r->s->bare_etags)))
        return look_after(r, STORE_S3_LOOK_AFTER, c.key);
    if (kind == S3_ERROR_PRECONDITION && c.if_match && was_told(r) && !holds_all(r->s) &&
        (r->op == STORE_UPLOAD_COMPLETE || r->op == STORE_DELETE))
        return look_after(r, STORE_S3_LOOK_AFTER, c.key);
    if (kind == S3_ERROR_NO_SUCH_KEY && c.if_match && r->op != STORE_DELETE)
        return look_after(r, STORE_S3_LOOK_AFTER, c.key);
    if (kind == S3_ERROR_CONFLICT)
        return look_after(r, STORE_S3_LOOK_AFTER, c.key);
    if (kind == S3_ERROR_UNSUPPORTED && was_told(r))
        return begin_without(r, &c);
    return result;
}

/* ---- after a look ---- */

static int other_version(struct store_s3_request *r)
{
    return set_error(r, S3_ERROR_PRECONDITION, "another version is there than the one demanded");
}

static int not_there(struct store_s3_request *r)
{
    return set_error(r, S3_ERROR_NO_SUCH_KEY, "there is no such object");
}

/* etag NULL = the object is not there. */
static int judge_first(struct store_s3_request *r, const struct condition *c, const char *etag)
{
    if (c->if_absent)
        return etag ? set_error(r, S3_ERROR_PRECONDITION, "there is an object already") : ask(r);
    if (!etag)
        return not_there(r);
    return strcmp(etag, c->if_match) == 0 ? ask(r) : other_version(r);
}

static int judge_source_first(struct store_s3_request *r, const char *etag)
{
    const char *want = NULL, *source = source_of(r, &want);
    struct condition c;

    if (!etag)
        return not_there(r);
    if (strcmp(etag, want) != 0)
        return other_version(r);
    if (!condition_of(r, &c) || is_held(r, c.cap))
        return ask(r);
    /* A copy onto itself is one object. */
    return strcmp(source, c.key) == 0 ? judge_first(r, &c, etag)
                                      : look_at(r, STORE_S3_LOOK_FIRST, c.key);
}

static int upload_is_there(struct store_s3_request *r)
{
    return set_error(r, S3_ERROR_SERVER, "the server said that the upload is not there, but it is");
}

static int judge_after(struct store_s3_request *r, const struct condition *c, const char *etag)
{
    bool as_demanded = c->if_absent ? !etag : etag && strcmp(etag, c->if_match) == 0;
    int refused = -s3_error_errno(r->err.kind);

    if (r->err.kind == S3_ERROR_CONFLICT)
        return as_demanded ? refused : other_version(r);
    if (r->err.kind == S3_ERROR_NO_SUCH_UPLOAD && !as_demanded)
        return etag ? other_version(r) : not_there(r);
    if (r->err.kind == S3_ERROR_NO_SUCH_UPLOAD)
        return upload_is_there(r);
    if (r->err.kind == S3_ERROR_NO_SUCH_KEY) {
        if (as_demanded)
            return set_error(r, S3_ERROR_SERVER,
                             "the server said that the object is not there, but it is");
        return etag ? other_version(r) : refused;
    }
    if (!as_demanded)
        return refused;
    if (r->both_forms || r->op != STORE_PUT)
        return begin_without(r, c);
    r->both_forms = true;
    r->bare_etag = !r->bare_etag;
    return ask(r);
}

static int judge_source_after(struct store_s3_request *r, const char *etag)
{
    const char *want = NULL;
    enum s3_error_kind kind = r->err.kind;

    (void)source_of(r, &want);
    if (!etag)
        return kind == S3_ERROR_NO_SUCH_KEY ? -s3_error_errno(kind) : not_there(r);
    if (want && strcmp(etag, want) != 0)
        return other_version(r);
    if (kind == S3_ERROR_PRECONDITION) {
        if (atomic_exchange(&r->s->caps[STORE_CAP_COPY_SOURCE], STORE_CAP_REFUSED) !=
            STORE_CAP_REFUSED)
            log_warn("the server does not know its own versions when it copies: they are looked "
                     "after here, which a change at the same moment can slip through");
        return ask(r);
    }
    return kind == S3_ERROR_NO_SUCH_KEY
               ? set_error(r, S3_ERROR_SERVER,
                           "the server said that the source is not there, but it is")
               : -s3_error_errno(kind);
}

/* The completion was answered with NoSuchKey: of the upload (Ceph), of the object that is to be
 * replaced (AWS), or because the server is out of sorts. */
static int upload_looked(struct store_s3_request *r, int result)
{
    struct condition c;

    if (result < 0 && r->err.kind != S3_ERROR_NO_SUCH_UPLOAD)
        return result;
    r->err = r->refusal;
    if (result < 0)
        return -s3_error_errno(r->err.kind);
    s3_list_parts_out_done(&r->s3_out.parts);
    return condition_of(r, &c) && c.if_match ? look_after(r, STORE_S3_LOOK_AFTER, c.key)
                                             : upload_is_there(r);
}

static int content_looked(struct store_s3_request *r, int result)
{
    const char *etag;
    struct condition c;

    result = store_s3_rewrite_got(r, result, &etag);
    if (result < 0)
        return r->err.kind == S3_ERROR_NO_SUCH_KEY ? not_there(r) : result;
    r->err = (struct s3_error){0};
    return condition_of(r, &c) ? judge_first(r, &c, etag) : -EINVAL;
}

int store_s3_guard_looked(struct store_s3_request *r, int result)
{
    enum store_s3_look look = r->look;
    char buf[STORE_ETAG_SIZE];
    const char *etag = NULL;
    struct condition c;

    r->look = STORE_S3_LOOK_NONE;
    if (look == STORE_S3_LOOK_UPLOAD)
        return upload_looked(r, result);
    if (look == STORE_S3_LOOK_CONTENT)
        return content_looked(r, result);
    if (result < 0 && r->err.kind != S3_ERROR_NO_SUCH_KEY)
        return result;
    if (result == 0) {
        (void)snprintf(buf, sizeof(buf), "%s", r->s3_out.head.etag ? r->s3_out.head.etag : "");
        s3_head_object_out_done(&r->s3_out.head);
        etag = buf;
    }
    switch (look) {
    case STORE_S3_LOOK_UPLOAD: /* above */
    case STORE_S3_LOOK_CONTENT:
        break;
    case STORE_S3_LOOK_SOURCE_FIRST:
        return judge_source_first(r, etag);
    case STORE_S3_LOOK_SOURCE_AFTER:
        r->err = r->refusal;
        return judge_source_after(r, etag);
    case STORE_S3_LOOK_FIRST:
        return condition_of(r, &c) ? judge_first(r, &c, etag) : -EINVAL;
    case STORE_S3_LOOK_AFTER:
        r->err = r->refusal;
        return condition_of(r, &c) ? judge_after(r, &c, etag) : -EINVAL;
    case STORE_S3_LOOK_NONE:
        break;
    }
    return -EINVAL;
}
