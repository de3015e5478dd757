/* SPDX-License-Identifier: Apache-2.0 */
/* The paginator: 3,000 objects in exactly three requests, counted by the transport; a list that is
 * left off in the middle and taken up later from a token. */
#include "example.h"
#include "http/http_curl.h"
#include "s3/paginator.h"
#include "s3/session.h"

static uint64_t list_requests(struct http_transport *transport)
{
    struct http_stat stat;
    http_curl_stat(transport, S3_OP_LIST_OBJECTS_V2, &stat);
    return stat.requests;
}

int main(void)
{
    struct s3_error err = {0};

    /* A transport of our own, to look at its counters; a client makes its own otherwise. */
    struct http_transport *transport = NULL;
    CHECK(http_curl_new(&(struct http_curl_options){.n_stats = S3_OP_MAX}, &transport) == 0);
    struct s3_session *session = NULL;
    struct s3_client *client = NULL;
    TRY(s3_session_default(&session, &err));
    TRY(s3_session_client_new(session, &(struct s3_client_options){.transport = transport}, &client,
                              &err));
    s3_session_unref(session);
    const char *bucket = example_bucket_name();
    example_bucket_create(client, bucket);
    example_fill(client, bucket, "", 3000);

    struct s3_list_objects_v2_in in = {.bucket = bucket};
    struct s3_paginator *p = NULL;
    TRY(s3_paginator_new(client, &s3_paginator_list_objects_v2, &in, NULL, &p, &err));
    CHECK(list_requests(transport) == 0); /* nothing is sent yet */

    size_t n = 0;
    char last[64] = "";
    const void *page;
    int r;
    while ((r = s3_paginator_next(p, &page, &err)) > 0) {
        const struct s3_list_objects_v2_out *out = page; /* the operation's output */
        CHECK(out->n_objects == 1000);
        for (size_t i = 0; i < out->n_objects; i++, n++) {
            CHECK(strcmp(last, out->objects[i].key) < 0); /* in order, none twice */
            snprintf(last, sizeof(last), "%s", out->objects[i].key);
        }
    }
    TRY(r); /* 0 = the end; an error is never taken for it */
    CHECK(n == 3000);
    CHECK(s3_paginator_pages(p) == 3);
    CHECK(list_requests(transport) == 3);
    s3_paginator_free(p);

    /* The first 1,234, and a token for the rest. */
    TRY(s3_paginator_new(client, &s3_paginator_list_objects_v2, &in,
                         &(struct s3_paginator_options){.max_items = 1234}, &p, &err));
    for (n = 0; (r = s3_paginator_next(p, NULL, &err)) > 0;)
        n += s3_paginator_item_count(p);
    TRY(r);
    CHECK(n == 1234);
    CLEANUP_FREE char *token = s3_paginator_resume_token(p);
    CHECK(token);
    s3_paginator_free(p);

    TRY(s3_paginator_new(client, &s3_paginator_list_objects_v2, &in,
                         &(struct s3_paginator_options){.resume_token = token}, &p, &err));
    while ((r = s3_paginator_next(p, NULL, &err)) > 0) {
        if (n == 1234) {
            const struct s3_object_entry *first = s3_paginator_item_at(p, 0);
            CHECK(strcmp(first->key, "f001234") == 0);
        }
        n += s3_paginator_item_count(p);
    }
    TRY(r);
    CHECK(n == 3000);
    s3_paginator_free(p);

    /* First the users of the transport, then the transport. */
    example_bucket_remove();
    s3_client_unref(client);
    http_transport_free(transport);
    return 0;
}
