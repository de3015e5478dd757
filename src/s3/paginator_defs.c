/* SPDX-License-Identifier: Apache-2.0 */
/* One description per list operation, in the order of paginator.h. A new list operation adds a
 * block here and nothing to the driver. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/parse.h"
#include "s3/paginator.h"

/* The functions that differ between operations only in the names of fields. */
#define DEFINE_ITEMS(op, items, n_items)                                                           \
    static size_t op##_item_count(const void *out)                                                 \
    {                                                                                              \
        return ((const struct s3_##op##_out *)out)->n_items;                                       \
    }                                                                                              \
    static const void *op##_item_at(const void *out, size_t index)                                 \
    {                                                                                              \
        return &((const struct s3_##op##_out *)out)->items[index];                                 \
    }                                                                                              \
    static void op##_done(void *out)                                                               \
    {                                                                                              \
        s3_##op##_out_done(out);                                                                   \
    }

/* Items live in the page's arena, so cutting moves the bounds only. */
#define DEFINE_CUT(op, items, n_items)                                                             \
    static void op##_cut(void *out, size_t first, size_t count)                                    \
    {                                                                                              \
        struct s3_##op##_out *o = out;                                                             \
        if (first > 0)                                                                             \
            o->items += first;                                                                     \
        o->n_items = count;                                                                        \
    }

#define DEFINE_CUT_WITH_PREFIXES(op, items, n_items)                                               \
    static void op##_cut(void *out, size_t first, size_t count)                                    \
    {                                                                                              \
        struct s3_##op##_out *o = out;                                                             \
        if (first > 0) {                                                                           \
            o->items += first;                                                                     \
            o->n_common_prefixes = 0;                                                              \
        }                                                                                          \
        o->n_items = count;                                                                        \
    }

#define DEFINE_TRUNCATED(op)                                                                       \
    static bool op##_is_truncated(const void *out)                                                 \
    {                                                                                              \
        return ((const struct s3_##op##_out *)out)->is_truncated;                                  \
    }

#define DEFINE_PAGE_SIZE(op, field)                                                                \
    static void op##_set_page_size(void *in, uint32_t n)                                           \
    {                                                                                              \
        ((struct s3_##op##_in *)in)->field = n;                                                    \
    }

#define DEF_COMMON(name, operation)                                                                \
    .op = (operation), .in_size = sizeof(struct s3_##name##_in),                                   \
    .out_size = sizeof(struct s3_##name##_out), .set_tokens = name##_set_tokens,                   \
    .get_tokens = name##_get_tokens, .set_page_size = name##_set_page_size,                        \
    .item_count = name##_item_count, .item_at = name##_item_at, .cut = name##_cut,                 \
    .out_done = name##_done

/* ---- ListBuckets: one token, and its presence says that more follow ---- */

DEFINE_ITEMS(list_buckets, buckets, n_buckets)
DEFINE_CUT(list_buckets, buckets, n_buckets)
DEFINE_PAGE_SIZE(list_buckets, max_buckets)

static int list_buckets_set_tokens(void *in, const char *const tokens[])
{
    ((struct s3_list_buckets_in *)in)->continuation_token = tokens[0];
    return 0;
}

static void list_buckets_get_tokens(const void *out, const char *tokens[], char *buf ATTR_UNUSED)
{
    tokens[0] = ((const struct s3_list_buckets_out *)out)->continuation_token;
}

const struct s3_paginator_def s3_paginator_list_buckets = {
    DEF_COMMON(list_buckets, S3_OP_LIST_BUCKETS),
    .max_page_size = 10000,
};

/* ---- ListObjectsV2: an opaque token ---- */

DEFINE_ITEMS(list_objects_v2, objects, n_objects)
DEFINE_CUT_WITH_PREFIXES(list_objects_v2, objects, n_objects)
DEFINE_TRUNCATED(list_objects_v2)
DEFINE_PAGE_SIZE(list_objects_v2, max_keys)

static int list_objects_v2_set_tokens(void *in, const char *const tokens[])
{
    ((struct s3_list_objects_v2_in *)in)->continuation_token = tokens[0];
    return 0;
}

static void list_objects_v2_get_tokens(const void *out, const char *tokens[], char *buf ATTR_UNUSED)
{
    tokens[0] = ((const struct s3_list_objects_v2_out *)out)->next_continuation_token;
}

const struct s3_paginator_def s3_paginator_list_objects_v2 = {
    DEF_COMMON(list_objects_v2, S3_OP_LIST_OBJECTS_V2),
    .is_truncated = list_objects_v2_is_truncated,
    .max_page_size = S3_LIST_PAGE_MAX,
};

/* ---- ListObjectVersions: key and version id travel together; the version id is absent when the
 * page ends at a common prefix ---- */

DEFINE_ITEMS(list_object_versions, versions, n_versions)
DEFINE_CUT_WITH_PREFIXES(list_object_versions, versions, n_versions)
DEFINE_TRUNCATED(list_object_versions)
DEFINE_PAGE_SIZE(list_object_versions, max_keys)

static int list_object_versions_set_tokens(void *in, const char *const tokens[])
{
    struct s3_list_object_versions_in *i = in;
    i->key_marker = tokens[0];
    i->version_id_marker = tokens[1];
    return 0;
}

static void list_object_versions_get_tokens(const void *out, const char *tokens[],
                                            char *buf ATTR_UNUSED)
{
    const struct s3_list_object_versions_out *o = out;
    tokens[0] = o->next_key_marker;
    tokens[1] = o->next_version_id_marker;
}

const struct s3_paginator_def s3_paginator_list_object_versions = {
    DEF_COMMON(list_object_versions, S3_OP_LIST_OBJECT_VERSIONS),
    .is_truncated = list_object_versions_is_truncated,
    .max_page_size = S3_LIST_PAGE_MAX,
};

/* ---- ListMultipartUploads: key and upload id travel together ---- */

DEFINE_ITEMS(list_multipart_uploads, uploads, n_uploads)
DEFINE_CUT_WITH_PREFIXES(list_multipart_uploads, uploads, n_uploads)
DEFINE_TRUNCATED(list_multipart_uploads)
DEFINE_PAGE_SIZE(list_multipart_uploads, max_uploads)

static int list_multipart_uploads_set_tokens(void *in, const char *const tokens[])
{
    struct s3_list_multipart_uploads_in *i = in;
    i->key_marker = tokens[0];
    i->upload_id_marker = tokens[1];
    return 0;
}

static void list_multipart_uploads_get_tokens(const void *out, const char *tokens[],
                                              char *buf ATTR_UNUSED)
{
    const struct s3_list_multipart_uploads_out *o = out;
    tokens[0] = o->next_key_marker;
    tokens[1] = o->next_upload_id_marker;
}

const struct s3_paginator_def s3_paginator_list_multipart_uploads = {
    DEF_COMMON(list_multipart_uploads, S3_OP_LIST_MULTIPART_UPLOADS),
    .is_truncated = list_multipart_uploads_is_truncated,
    .max_page_size = S3_LIST_PAGE_MAX,
};

/* ---- ListParts: the token is the number of the last part; 0 = none ---- */

DEFINE_ITEMS(list_parts, parts, n_parts)
DEFINE_CUT(list_parts, parts, n_parts)
DEFINE_TRUNCATED(list_parts)
DEFINE_PAGE_SIZE(list_parts, max_parts)

static int list_parts_set_tokens(void *in, const char *const tokens[])
{
    uint64_t n;
    if (parse_u64(tokens[0], &n) < 0 || n == 0 || n > UINT32_MAX)
        return -EINVAL;
    ((struct s3_list_parts_in *)in)->part_number_marker = (uint32_t)n;
    return 0;
}

static void list_parts_get_tokens(const void *out, const char *tokens[], char *buf)
{
    uint32_t n = ((const struct s3_list_parts_out *)out)->next_part_number_marker;
    if (n == 0)
        return;
    snprintf(buf, S3_PAGINATOR_NUMBER_SIZE, "%" PRIu32, n);
    tokens[0] = buf;
}

const struct s3_paginator_def s3_paginator_list_parts = {
    DEF_COMMON(list_parts, S3_OP_LIST_PARTS),
    .is_truncated = list_parts_is_truncated,
    .max_page_size = S3_LIST_PAGE_MAX,
};
