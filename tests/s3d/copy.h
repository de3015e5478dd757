/* SPDX-License-Identifier: Apache-2.0 */
/* The source of CopyObject and UploadPartCopy. */
#ifndef S3D_COPY_H
#define S3D_COPY_H

#include <stdbool.h>
#include <stddef.h>

struct bucket;
struct request;
struct version;

struct copy_source {
    struct bucket *bucket;
    char *decoded; /* owned */
    const char *key;
    size_t key_len;
    char version_id[64];     /* "": the current one */
    struct version *version; /* referenced */
};

/* Finds what x-amz-copy-source names and checks x-amz-copy-source-if-*. False: refused. */
bool copy_source_find(struct request *r, struct copy_source *src);
void copy_source_done(struct request *r, struct copy_source *src);

#endif
