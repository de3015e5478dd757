/* SPDX-License-Identifier: Apache-2.0 */
#include "conditions.h"

#include <string.h>

#include "base/timefmt.h"
#include "request.h"
#include "route.h"

static bool etag_matches(const char *condition, const struct version *v)
{
    char want[128];

    if (!strcmp(condition, "*"))
        return true;
    return !strcmp(etag_strip(condition, want, sizeof(want)), v->etag);
}

/* A date that cannot be parsed is as if it were not there (RFC 9110). */
static bool parse_date(const char *s, int64_t *ret)
{
    return s && (timefmt_parse_http(s, ret) == 0 || timefmt_parse_iso8601(s, ret) == 0);
}

static enum s3d_error evaluate(const char *match, const char *none_match, const char *modified,
                               const char *unmodified, const struct version *v)
{
    int64_t when;

    if (match) {
        if (!etag_matches(match, v))
            return ERR_PRECONDITION_FAILED;
    } else if (parse_date(unmodified, &when) && v->mtime_ns > when) {
        return ERR_PRECONDITION_FAILED;
    }
    if (none_match) {
        if (etag_matches(none_match, v))
            return ERR_NOT_MODIFIED;
    } else if (parse_date(modified, &when) && v->mtime_ns <= when) {
        return ERR_NOT_MODIFIED;
    }
    return ERR_NONE;
}

enum s3d_error condition_read(const struct request *r, const struct version *v)
{
    return evaluate(request_header(r, "If-Match"), request_header(r, "If-None-Match"),
                    request_header(r, "If-Modified-Since"),
                    request_header(r, "If-Unmodified-Since"), v);
}

/* --ignore-conditions */
static bool is_ignored(const struct request *r)
{
    const char *list = r->s->config.ignore_conditions, *name = r->route ? r->route->name : "";
    const char *at = list ? strstr(list, name) : NULL;
    size_t len = strlen(name);

    return at && len && (at == list || at[-1] == ',') && (!at[len] || at[len] == ',');
}

enum s3d_error condition_copy_source(const struct request *r, const struct version *v)
{
    enum s3d_error e =
        is_ignored(r) ? ERR_NONE
                      : evaluate(request_header(r, "x-amz-copy-source-if-match"),
                                 request_header(r, "x-amz-copy-source-if-none-match"),
                                 request_header(r, "x-amz-copy-source-if-modified-since"),
                                 request_header(r, "x-amz-copy-source-if-unmodified-since"), v);

    return e == ERR_NONE ? ERR_NONE : ERR_PRECONDITION_FAILED;
}

enum s3d_error condition_write_supported(const struct request *r)
{
    const char *none_match = request_header(r, "If-None-Match");

    if (none_match && strcmp(none_match, "*"))
        return ERR_NOT_IMPLEMENTED;
    if (none_match && request_header(r, "If-Match"))
        return ERR_NOT_IMPLEMENTED;
    return ERR_NONE;
}

enum s3d_error condition_write(const struct request *r, const struct version *v)
{
    const char *match = request_header(r, "If-Match");
    bool exists = v && !v->delete_marker;

    if (is_ignored(r))
        return ERR_NONE;
    if (request_header(r, "If-None-Match") && exists)
        return ERR_PRECONDITION_FAILED;
    if (match && !exists)
        return ERR_NO_SUCH_KEY;
    if (match && !etag_matches(match, v))
        return ERR_PRECONDITION_FAILED;
    return ERR_NONE;
}

enum s3d_error condition_delete(const struct request *r, const char *if_match,
                                const struct version *v)
{
    if (!if_match || is_ignored(r))
        return ERR_NONE;
    if (!v || v->delete_marker || !etag_matches(if_match, v))
        return ERR_PRECONDITION_FAILED;
    return ERR_NONE;
}
