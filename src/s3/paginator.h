/* SPDX-License-Identifier: Apache-2.0 */
/* Iterates the pages of one list operation: a constant description per operation, one driver.
 *
 * Life:    s3_paginator_new -> s3_paginator_next ... -> s3_paginator_free (NULL ok).
 * Owner:   the caller; it holds a reference to the client and copies nothing of `in`, which must
 *          stay valid. A page is borrowed until the next call.
 * Threads: one at a time.
 * Errors:  S3_ERROR_BAD_RESPONSE for a page that does not parse, that says "truncated" without a
 *          token, or whose token was used before; a broken page is never the end. After an error
 *          the same call may be tried again and asks for the same page. A resume token that is
 *          damaged or belongs to another operation is S3_ERROR_CONFIG. */
#ifndef PAILFS_S3_PAGINATOR_H
#define PAILFS_S3_PAGINATOR_H

#include "s3/client.h"

#define S3_PAGINATOR_TOKENS      2
#define S3_PAGINATOR_NUMBER_SIZE 24

struct s3_paginator_def {
    enum s3_op op;
    size_t in_size;
    size_t out_size;
    /* Puts the tokens into the input (0, or -EINVAL for a token that cannot be one) / takes them
     * out of a page (NULL or "" = none, into buf of S3_PAGINATOR_NUMBER_SIZE where it is a number).
     * A token is text; part numbers are written as decimals. */
    int (*set_tokens)(void *in, const char *const tokens[S3_PAGINATOR_TOKENS]);
    void (*get_tokens)(const void *out, const char *tokens[S3_PAGINATOR_TOKENS], char *buf);
    bool (*is_truncated)(const void *out); /* NULL = there is more when there is a token */
    void (*set_page_size)(void *in, uint32_t n);
    uint32_t max_page_size;
    /* The items are the operation's primary list (objects, not common prefixes). */
    size_t (*item_count)(const void *out);
    const void *(*item_at)(const void *out, size_t index);
    /* Keeps only the items [first, first + count); with first > 0 the common prefixes go too, for
     * they were delivered with the page's beginning. */
    void (*cut)(void *out, size_t first, size_t count);
    void (*out_done)(void *out);
};

extern const struct s3_paginator_def s3_paginator_list_buckets;
extern const struct s3_paginator_def s3_paginator_list_objects_v2;
extern const struct s3_paginator_def s3_paginator_list_object_versions;
extern const struct s3_paginator_def s3_paginator_list_multipart_uploads;
extern const struct s3_paginator_def s3_paginator_list_parts;

struct s3_paginator;

struct s3_paginator_options {
    uint32_t page_size;       /* 0 = as `in` says; capped at what the operation takes */
    uint64_t max_items;       /* over all pages; 0 = no limit. The last page is cut */
    const char *resume_token; /* from s3_paginator_resume_token; copied */
};

/* opts may be NULL. Sends nothing. */
int s3_paginator_new(struct s3_client *client, const struct s3_paginator_def *def, const void *in,
                     const struct s3_paginator_options *opts, struct s3_paginator **ret,
                     struct s3_error *reterr);
/* 1 = *ret_page is the operation's out struct (borrowed), 0 = no more, <0 = error. */
int s3_paginator_next(struct s3_paginator *p, const void **ret_page, struct s3_error *reterr);
/* Items of the current page, limits applied. Borrowed until the next page. */
size_t s3_paginator_item_count(const struct s3_paginator *p);
const void *s3_paginator_item_at(const struct s3_paginator *p, size_t index);
unsigned s3_paginator_pages(const struct s3_paginator *p);
/* Opaque text from which a later paginator goes on behind the last item delivered; owned by the
 * caller, NULL when the list is at its end or memory is out. */
char *s3_paginator_resume_token(const struct s3_paginator *p);
void s3_paginator_free(struct s3_paginator *p);

#endif
