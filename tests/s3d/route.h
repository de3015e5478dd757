/* SPDX-License-Identifier: Apache-2.0 */
/* Which operation a request is: one table, first match wins. */
#ifndef S3D_ROUTE_H
#define S3D_ROUTE_H

#include <stdbool.h>

#include "body.h"

struct request;

enum route_level {
    LEVEL_SERVICE,
    LEVEL_BUCKET,
    LEVEL_OBJECT,
};

enum route_flags {
    ROUTE_READ = 1,      /* allowed to --anonymous-read */
    ROUTE_NO_BUCKET = 2, /* the bucket need not exist */
    ROUTE_OWN_SUM = 4,   /* x-amz-checksum-* is not about the request's body */
};

struct route {
    const char *name; /* S3's name of the operation */
    const char *method;
    enum route_level level;
    const char *param;  /* query parameter that must be there, or NULL */
    const char *value;  /* and its value, or NULL for any */
    const char *header; /* header that must be there, or NULL */
    unsigned flags;
    enum body_kind body;
    /* Before the body: refuse early. May be NULL. false: reply filled. */
    bool (*begin)(struct request *r);
    void (*run)(struct request *r);
};

/* NULL: none fits, and the reply says so. */
const struct route *route_find(struct request *r);
/* For counters. */
unsigned route_index(const struct route *rt);
unsigned route_count(void);
const char *route_name(unsigned index);

#endif
