/* SPDX-License-Identifier: Apache-2.0 */
#include "example.h"

#include <inttypes.h>
#include <sys/random.h>

#include "base/pool.h"
#include "s3/resource_bucket.h"
#include "s3/resource_upload.h"

static struct s3_bucket to_remove;

void example_stop(const char *file, int line, const char *what, const struct s3_error *err)
{
    char text[800];
    fprintf(stderr, "%s:%d: %s%s%s\n", file, line, what, err ? ": " : " does not hold",
            err ? s3_error_describe(err, text, sizeof(text)) : "");
    exit(1);
}

const char *example_bucket_name(void)
{
    static char name[40];
    uint64_t random;
    if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
        exit(1);
    snprintf(name, sizeof(name), "pailfs-example-%016" PRIx64, random);
    return name;
}

static void abort_uploads(struct s3_bucket *bucket)
{
    struct s3_collection uploads = s3_bucket_multipart_uploads(bucket);
    struct s3_multipart_upload upload;
    struct s3_iter *it = NULL;
    if (s3_iter_open(&uploads, &it, NULL) < 0)
        return;
    while (s3_iter_next_upload(it, &upload, NULL) > 0) {
        s3_multipart_upload_abort(&upload, NULL);
        s3_multipart_upload_done(&upload);
    }
    s3_iter_close(it);
}

void example_bucket_remove(void)
{
    if (!to_remove.meta.client)
        return;
    struct s3_error err = {0};
    char text[800];
    abort_uploads(&to_remove);
    struct s3_collection all = s3_bucket_object_versions(&to_remove);
    int r = s3_collection_delete(&all, NULL, &err);
    if (r == 0)
        r = s3_bucket_delete(&to_remove, &err);
    if (r < 0 && err.kind != S3_ERROR_NO_SUCH_BUCKET) {
        fprintf(stderr, "bucket %s is left behind: %s\n", s3_bucket_name(&to_remove),
                s3_error_describe(&err, text, sizeof(text)));
        _exit(1); /* exit() would not take another status here */
    }
    s3_bucket_done(&to_remove);
}

void example_bucket_remove_at_exit(struct s3_client *client, const char *bucket)
{
    struct s3_error err = {0};
    TRY(s3_bucket_init(&to_remove, client, bucket, &err));
    atexit(example_bucket_remove);
}

void example_bucket_create(struct s3_client *client, const char *bucket)
{
    struct s3_error err = {0};
    TRY(s3_create_bucket(client, &(struct s3_create_bucket_in){.bucket = bucket}, &err));
    example_bucket_remove_at_exit(client, bucket);
}

struct fill_task {
    struct s3_client *client;
    const char *bucket;
    char key[64];
};

static void fill_one(void *arg)
{
    struct fill_task *t = arg;
    struct s3_error err = {0};
    struct iovec body = {.iov_base = t->key, .iov_len = strlen(t->key)};
    struct s3_put_object_in in = {.bucket = t->bucket, .key = t->key, .body = &body, .n_body = 1};
    struct s3_put_object_out out = {0};
    TRY(s3_put_object(t->client, &in, &out, &err));
}

void example_fill(struct s3_client *client, const char *bucket, const char *prefix, unsigned n)
{
    struct threadpool *pool = NULL;
    struct fill_task *tasks = calloc(n, sizeof(*tasks));
    CHECK(tasks && threadpool_new(8, "fill", &pool) == 0);
    for (unsigned i = 0; i < n; i++) {
        tasks[i].client = client;
        tasks[i].bucket = bucket;
        snprintf(tasks[i].key, sizeof(tasks[i].key), "%sf%06u", prefix, i);
        CHECK(threadpool_submit(pool, fill_one, &tasks[i]) == 0);
    }
    threadpool_free(pool); /* runs what is queued */
    free(tasks);
}
