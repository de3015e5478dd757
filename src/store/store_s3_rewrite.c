/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of an object onto itself (new attributes) as GET and PUT, for servers that hold If-Match
 * on PUT but not on the target of a copy. There a copy puts what it has read over what another host
 * has stored since; the PUT is refused. Both take two requests, as the copy with its look does.
 *
 * Once the content is here the request is a PUT in every respect: its conditions, the form of its
 * ETag and what its failures mean are those of a PUT. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_s3_impl.h"

struct store_s3_content {
    char *data; /* owned */
    size_t len, size;
    bool large, no_memory;
    char etag[STORE_ETAG_SIZE]; /* of what the GET has found; "" = it was not told */
    struct iovec body;
    struct store_put_in put;
};

static enum store_cap_state state_of(const struct store_s3_request *r, enum store_cap cap)
{
    return (enum store_cap_state)atomic_load(&r->s->caps[cap]);
}

/* What is not known yet may well be held, and a PUT with a condition asks for no less than a copy
 * without one. */
bool store_s3_can_rewrite(const struct store_s3_request *r)
{
    const struct store_copy_in *in = r->in;

    return r->op == STORE_COPY && in->if_match && in->replace_attrs &&
           in->size_hint <= STORE_S3_REWRITE_MAX && strcmp(in->source_key, in->key) == 0 &&
           (!in->source_if_match || strcmp(in->source_if_match, in->if_match) == 0) &&
           state_of(r, STORE_CAP_COPY_IF_MATCH) != STORE_CAP_HELD &&
           (state_of(r, STORE_CAP_PUT_IF_MATCH) == STORE_CAP_HELD ||
            state_of(r, STORE_CAP_PUT_IF_MATCH) == STORE_CAP_UNKNOWN);
}

static void take_etag(struct store_s3_content *c, const struct s3_head_object_out *head)
{
    (void)snprintf(c->etag, sizeof(c->etag), "%s", head->etag ? head->etag : "");
}

/* A PUT would lose the tags, which a copy keeps. */
static int content_head(void *ctx, const struct s3_head_object_out *head)
{
    struct store_s3_content *c = ctx;

    take_etag(c, head);
    c->large = head->object_size > STORE_S3_REWRITE_MAX || head->tags_count > 0;
    if (c->large)
        return -EFBIG;
    c->data = malloc((size_t)head->object_size);
    c->no_memory = !c->data && head->object_size > 0;
    c->size = (size_t)head->object_size;
    return c->no_memory ? -ENOMEM : 0;
}

static int content_write(void *ctx, const void *data, size_t len)
{
    struct store_s3_content *c = ctx;

    if (len > c->size - c->len)
        return -EFBIG;
    memcpy(c->data + c->len, data, len);
    c->len += len;
    return 0;
}

int store_s3_rewrite_begin(struct store_s3_request *r)
{
    const struct store_copy_in *in = r->in;
    const char *whole = store_s3_key(r, in->key);

    r->content = calloc(1, sizeof(*r->content));
    if (!whole || !r->content)
        return s3_error_set(&r->err, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    r->look = STORE_S3_LOOK_CONTENT;
    r->sink = (struct http_sink){.write = content_write, .ctx = r->content};
    memset(&r->s3_in, 0, sizeof(r->s3_in));
    r->s3_in.get = (struct s3_get_object_in){.bucket = r->s->bucket,
                                             .key = whole,
                                             .conditions = {.if_match = in->if_match},
                                             .checksum_mode = r->s->checksum != S3_CHECKSUM_NONE,
                                             .sink = &r->sink,
                                             .head = content_head};
    return -EINPROGRESS;
}

int store_s3_rewrite_got(struct store_s3_request *r, int result, const char **ret_etag)
{
    const struct store_copy_in *in = r->in;
    struct store_s3_content *c = r->content;

    *ret_etag = c->etag;
    if (result < 0 && c->no_memory)
        return s3_error_set(&r->err, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    if (result < 0)
        return c->large ? 0 : result;
    /* Without a body nothing has called content_head. */
    take_etag(c, &r->s3_out.head);
    c->large |= r->s3_out.head.tags_count > 0;
    s3_head_object_out_done(&r->s3_out.head);
    if (c->large)
        return 0;
    c->body = (struct iovec){c->data, c->len};
    c->put = (struct store_put_in){.key = in->key,
                                   .body = &c->body,
                                   .n_body = c->len ? 1 : 0,
                                   .attrs = in->attrs,
                                   .if_match = in->if_match,
                                   .through = in->through};
    r->op = STORE_PUT; /* whose output is a copy's, too */
    r->in = &c->put;
    return 0;
}

void store_s3_rewrite_done(struct store_s3_request *r)
{
    if (r->content)
        free(r->content->data);
    free(r->content);
}
