/* SPDX-License-Identifier: Apache-2.0 */
/* Provisioning: each command is a few lines over the library's collections and waiters. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/timefmt.h"
#include "ctl/pailctl.h"
#include "s3/batch_delete.h"
#include "s3/collection.h"
#include "s3/resource.h"
#include "s3/resource_bucket.h"
#include "s3/resource_upload.h"
#include "s3/waiter.h"

DEFINE_CLEANUP(cleanup_iter, struct s3_iter *, s3_iter_close)
#define CLEANUP_ITER   CLEANUP(cleanup_iter)
#define CLEANUP_BUCKET CLEANUP(s3_bucket_done)

static const char *format_time(int64_t ns, char buf[TIMEFMT_ISO8601_SIZE])
{
    if (ns == 0)
        return NULL;
    timefmt_iso8601(ns, buf);
    return buf;
}

static const char *format_number(uint64_t n, char buf[24])
{
    (void)snprintf(buf, 24, "%" PRIu64, n);
    return buf;
}

/* Parses the operand and makes the bucket resource; prints what is wrong. */
static int open_bucket(struct pailctl *p, const char *operand, struct s3_bucket *bucket,
                       char **ret_key)
{
    CLEANUP_FREE char *name = NULL;
    struct s3_client *client;
    struct s3_error err = {0};

    if (pailctl_parse_uri(operand, &name, ret_key) < 0)
        return PAILCTL_USAGE;
    client = pailctl_client(p);
    if (!client)
        return PAILCTL_FAILED;
    if (s3_bucket_init(bucket, client, name, &err) < 0)
        return pailctl_failed(operand, &err);
    return PAILCTL_OK;
}

/* True and a message when the operand names more than a bucket. */
static bool refuse_key(const char *verb, const char *operand, const char *key)
{
    if (*key)
        fprintf(stderr, "pailctl: '%s' names a key: %s whole buckets\n", operand, verb);
    return *key != '\0';
}

int pailctl_buckets(struct pailctl *p, int argc, char **argv)
{
    struct s3_client *client = pailctl_client(p);
    struct s3_collection all = {.kind = S3_COLLECTION_BUCKETS, .client = client};
    CLEANUP_ITER struct s3_iter *it = NULL;
    struct s3_error err = {0};
    const void *entry;
    int r;

    if (!client)
        return PAILCTL_FAILED;
    if (s3_iter_open(&all, &it, &err) < 0)
        return pailctl_failed("buckets", &err);
    while ((r = s3_iter_next(it, &entry, &err)) > 0) {
        const struct s3_bucket_entry *b = entry;
        char time[TIMEFMT_ISO8601_SIZE];

        pailctl_out_row(p->out,
                        (struct pailctl_field[]){{"created", format_time(b->creation_ns, time)},
                                                 {"name", b->name}},
                        2);
    }
    return r < 0 ? pailctl_failed("buckets", &err) : PAILCTL_OK;
}

int pailctl_mb(struct pailctl *p, int argc, char **argv)
{
    CLEANUP_BUCKET struct s3_bucket bucket = {0};
    CLEANUP_FREE char *key = NULL;
    struct s3_error err = {0};
    int status = open_bucket(p, argv[0], &bucket, &key);

    if (status != PAILCTL_OK)
        return status;
    if (refuse_key("mb makes", argv[0], key))
        return PAILCTL_USAGE;
    if (s3_bucket_create(&bucket, NULL, &err) < 0 ||
        s3_bucket_wait_until_exists(&bucket, NULL, &err) < 0)
        return pailctl_failed(argv[0], &err);
    return PAILCTL_OK;
}

/* Versions cover objects too; uploads are not in any listing of objects. */
static int empty_bucket(struct s3_bucket *bucket, struct s3_error *err)
{
    struct s3_collection versions = s3_bucket_object_versions(bucket);
    struct s3_collection uploads = s3_bucket_multipart_uploads(bucket);
    CLEANUP_ITER struct s3_iter *it = NULL;
    struct s3_multipart_upload upload;
    int r = s3_collection_delete(&versions, NULL, err);

    if (r < 0)
        return r;
    r = s3_iter_open(&uploads, &it, err);
    if (r < 0)
        return r;
    while ((r = s3_iter_next_upload(it, &upload, err)) > 0) {
        int aborted = s3_multipart_upload_abort(&upload, err);

        s3_multipart_upload_done(&upload);
        if (aborted < 0)
            return aborted;
    }
    return r;
}

int pailctl_rb(struct pailctl *p, int argc, char **argv)
{
    CLEANUP_BUCKET struct s3_bucket bucket = {0};
    CLEANUP_FREE char *key = NULL;
    struct s3_error err = {0};
    int status = open_bucket(p, argv[0], &bucket, &key);

    if (status != PAILCTL_OK)
        return status;
    if (refuse_key("rb removes", argv[0], key))
        return PAILCTL_USAGE;
    if ((p->options.force && empty_bucket(&bucket, &err) < 0) ||
        s3_bucket_delete(&bucket, &err) < 0)
        return pailctl_failed(argv[0], &err);
    return PAILCTL_OK;
}

static void print_object(struct pailctl *p, const struct s3_object_entry *o)
{
    char time[TIMEFMT_ISO8601_SIZE], size[24];
    const struct pailctl_field fields[] = {
        {"last_modified", format_time(o->last_modified_ns, time)},
        {"size", format_number(o->size, size), true},
        {"etag", o->etag},
        {"key", o->key}};

    if (p->options.long_format || p->options.json)
        pailctl_out_row(p->out, fields, ARRAY_SIZE(fields));
    else
        pailctl_out_row(p->out, &fields[3], 1);
}

int pailctl_ls(struct pailctl *p, int argc, char **argv)
{
    CLEANUP_BUCKET struct s3_bucket bucket = {0};
    CLEANUP_FREE char *prefix = NULL;
    CLEANUP_ITER struct s3_iter *it = NULL;
    struct s3_error err = {0};
    struct s3_collection objects;
    const void *entries;
    size_t n;
    int r, status = open_bucket(p, argv[0], &bucket, &prefix);

    if (status != PAILCTL_OK)
        return status;
    objects = s3_collection_filter(
        s3_bucket_objects(&bucket),
        (struct s3_filter){.prefix = prefix, .delimiter = p->options.recursive ? NULL : "/"});
    if (s3_iter_open(&objects, &it, &err) < 0)
        return pailctl_failed(argv[0], &err);
    while ((r = s3_iter_next_page(it, &entries, &n, &err)) > 0) {
        const struct s3_object_entry *o = entries;
        size_t n_prefixes;
        const char *const *prefixes = s3_iter_prefixes(it, &n_prefixes);

        for (size_t i = 0; i < n_prefixes; i++)
            pailctl_out_row(p->out, (struct pailctl_field[]){{"prefix", prefixes[i]}}, 1);
        for (size_t i = 0; i < n; i++)
            print_object(p, &o[i]);
    }
    return r < 0 ? pailctl_failed(argv[0], &err) : PAILCTL_OK;
}

int pailctl_versions(struct pailctl *p, int argc, char **argv)
{
    CLEANUP_BUCKET struct s3_bucket bucket = {0};
    CLEANUP_FREE char *prefix = NULL;
    CLEANUP_ITER struct s3_iter *it = NULL;
    struct s3_error err = {0};
    struct s3_collection versions;
    const void *entry;
    int r, status = open_bucket(p, argv[0], &bucket, &prefix);

    if (status != PAILCTL_OK)
        return status;
    versions = s3_collection_filter(s3_bucket_object_versions(&bucket),
                                    (struct s3_filter){.prefix = prefix});
    if (s3_iter_open(&versions, &it, &err) < 0)
        return pailctl_failed(argv[0], &err);
    while ((r = s3_iter_next(it, &entry, &err)) > 0) {
        const struct s3_version_entry *v = entry;
        char time[TIMEFMT_ISO8601_SIZE], size[24];
        const struct pailctl_field fields[] = {
            {"last_modified", format_time(v->last_modified_ns, time)},
            {"size", v->is_delete_marker ? NULL : format_number(v->size, size), true},
            {"version_id", v->version_id},
            {"state", v->is_delete_marker ? "deleted"
                      : v->is_latest      ? "latest"
                                          : "older"},
            {"key", v->key}};

        pailctl_out_row(p->out, fields, ARRAY_SIZE(fields));
    }
    return r < 0 ? pailctl_failed(argv[0], &err) : PAILCTL_OK;
}

int pailctl_uploads(struct pailctl *p, int argc, char **argv)
{
    CLEANUP_BUCKET struct s3_bucket bucket = {0};
    CLEANUP_FREE char *prefix = NULL;
    CLEANUP_ITER struct s3_iter *it = NULL;
    struct s3_error err = {0};
    struct s3_collection uploads;
    const void *entry;
    int r, status = open_bucket(p, argv[0], &bucket, &prefix);

    if (status != PAILCTL_OK)
        return status;
    uploads = s3_collection_filter(s3_bucket_multipart_uploads(&bucket),
                                   (struct s3_filter){.prefix = prefix});
    if (s3_iter_open(&uploads, &it, &err) < 0)
        return pailctl_failed(argv[0], &err);
    while ((r = s3_iter_next(it, &entry, &err)) > 0) {
        const struct s3_upload_entry *u = entry;
        char time[TIMEFMT_ISO8601_SIZE];
        const struct pailctl_field fields[] = {{"initiated", format_time(u->initiated_ns, time)},
                                               {"upload_id", u->upload_id},
                                               {"key", u->key}};

        pailctl_out_row(p->out, fields, ARRAY_SIZE(fields));
    }
    return r < 0 ? pailctl_failed(argv[0], &err) : PAILCTL_OK;
}

int pailctl_wait(struct pailctl *p, int argc, char **argv)
{
    CLEANUP_BUCKET struct s3_bucket bucket = {0};
    CLEANUP_FREE char *key = NULL;
    struct s3_waiter_options options = {.delay_ms = p->options.delay_ms,
                                        .max_attempts = p->options.attempts};
    char name[32];
    const struct s3_waiter_def *def;
    struct s3_error err = {0};
    bool wants_key;
    int status, r;

    /* The library's names have underscores, a command line dashes. */
    (void)snprintf(name, sizeof(name), "%s", argv[0]);
    for (char *c = name; *c; c++)
        if (*c == '-')
            *c = '_';
    def = s3_waiter_find(name);
    if (!def) {
        fprintf(stderr,
                "pailctl: unknown state '%s': bucket-exists, bucket-not-exists, object-exists or "
                "object-not-exists\n",
                argv[0]);
        return PAILCTL_USAGE;
    }
    status = open_bucket(p, argv[1], &bucket, &key);
    if (status != PAILCTL_OK)
        return status;
    wants_key = strncmp(name, "object", 6) == 0;
    if (wants_key != (*key != '\0')) {
        fprintf(stderr, "pailctl: '%s': %s\n", argv[1],
                wants_key ? "this state needs a key: s3://BUCKET/KEY"
                          : "this state needs a bucket alone: s3://BUCKET");
        return PAILCTL_USAGE;
    }
    r = s3_waiter_wait(p->client, def, s3_bucket_name(&bucket), wants_key ? key : NULL, &options,
                       &err);
    if (r < 0)
        (void)pailctl_failed(argv[1], &err);
    return r == 0 ? PAILCTL_OK : r == -ETIMEDOUT ? PAILCTL_TIMEOUT : PAILCTL_FAILED;
}
