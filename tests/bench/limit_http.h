/* SPDX-License-Identifier: Apache-2.0 */
/* One S3 request by libcurl alone, for the limit program: a presigned URL, a body made of
 * pattern.h's bytes or of text, an answer that is compared, kept or thrown away. Blocks; any
 * thread, with a handle of its own. */
#ifndef BENCH_LIMIT_HTTP_H
#define BENCH_LIMIT_HTTP_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIMIT_KEY_MAX  1200
#define LIMIT_TEXT_MAX (8u << 20) /* bytes kept of an answer */

struct limit_request {
    const char *method;
    const char *key;
    const char *query;             /* sorted and escaped as the signature wants it, or NULL */
    uint64_t offset;               /* of the range or of the body's bytes in the object */
    uint64_t size;                 /* of the range, 0: whole object; of the body */
    uint64_t whole;                /* size that the whole object must have, 0: any */
    const char *text;              /* the body, or NULL: the object's bytes */
    bool compare;                  /* the answer with the object's bytes */
    const char *copy_source;       /* "/bucket/key", or NULL */
    const char *copy_source_range; /* "bytes=a-b", or NULL */
};

struct limit_answer { /* kept only where text is not NULL */
    char *text;
    size_t len;
    char etag[128];
};

/* From the environment; false: something is missing. */
bool limit_http_init(void);
const char *limit_bucket(void);
bool limit_perform(CURL *c, const struct limit_request *r, struct limit_answer *ret);

#endif
