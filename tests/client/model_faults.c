/* SPDX-License-Identifier: Apache-2.0 */
/* One step of the higher level against a misbehaving server; model_faults.sh sets the faults.
 * Prints "ok" or the kind of the error, and fails when the outcome is neither whole nor an error.
 *
 *   model_faults list N | list-retry N | delete N PREFIX | uploads N
 *                upload FILE KEY | download KEY FILE | copy KEY NEW */
#include "base/parse.h"
#include "example.h"
#include "s3/resource_bucket.h"
#include "s3/resource_object.h"
#include "s3/resource_upload.h"

static struct s3_service s3;
static struct s3_bucket bucket;

static void outcome(int r, const struct s3_error *err)
{
    CHECK(r >= 0 || err->kind != S3_ERROR_NONE);
    puts(r < 0 ? s3_error_kind_name(err->kind) : "ok");
    if (r < 0)
        fprintf(stderr, "%s\n", err->message);
}

/* n keys "f000000" ... in order; with `again`, a failed step is taken again. */
static void list(size_t n, bool again)
{
    struct s3_error err = {0};
    struct s3_collection all = s3_bucket_objects(&bucket);
    struct s3_iter *it = NULL;
    const void *entry;
    size_t seen = 0;
    int r, failures = 0;
    TRY(s3_iter_open(&all, &it, &err));
    for (;;) {
        r = s3_iter_next(it, &entry, &err);
        if (r < 0 && again && failures++ < 20)
            continue;
        if (r <= 0)
            break;
        char key[16];
        snprintf(key, sizeof(key), "f%06zu", seen++);
        CHECK(strcmp(((const struct s3_object_entry *)entry)->key, key) == 0);
    }
    /* The end is only where the list ends. */
    CHECK(r < 0 || seen == n);
    outcome(r, &err);
    s3_iter_close(it);
}

static void delete_all(size_t n, const char *prefix)
{
    struct s3_error err = {0};
    struct s3_delete_report report;
    s3_delete_report_init(&report);
    struct s3_collection some =
        s3_collection_filter(s3_bucket_objects(&bucket), (struct s3_filter){.prefix = prefix});
    int r = s3_collection_delete(&some, &report, &err);
    CHECK(r < 0 || (report.deleted == n && report.n_failed == 0));
    outcome(r, &err);
    s3_delete_report_done(&report);
}

static void count_uploads(size_t n)
{
    struct s3_error err = {0};
    struct s3_collection uploads = s3_bucket_multipart_uploads(&bucket);
    struct s3_iter *it = NULL;
    const void *entry;
    int r;
    TRY(s3_iter_open(&uploads, &it, &err));
    while ((r = s3_iter_next(it, &entry, &err)) > 0)
        n--;
    TRY(r);
    CHECK(n == 0);
    s3_iter_close(it);
    puts("ok");
}

static void transfer(const char *what, const char *from, const char *to)
{
    struct s3_error err = {0};
    struct s3_client *client = s3.meta.client;
    const char *name = s3_bucket_name(&bucket);
    struct s3_transfer_options opts = {.part_size = 5 * MIB, .concurrency = 3};
    int r;
    if (strcmp(what, "upload") == 0)
        r = s3_upload_file(client, from, name, to, &opts, NULL, &err);
    else if (strcmp(what, "download") == 0)
        r = s3_download_file(client, name, from, to, &opts, NULL, &err);
    else
        r = s3_copy(client, name, from, name, to, &opts, NULL, &err);
    outcome(r, &err);
}

int main(int argc, char **argv)
{
    struct s3_error err = {0};
    uint64_t n = 0;
    /* Retries without their waits. */
    struct s3_client_options opts = {.retry = {.max_attempts = 3, .base_ms = 1, .max_ms = 5},
                                     .deadlines = {.first_byte_ms = 3000, .stall_ms = 3000}};
    TRY(s3_service_open(NULL, &opts, &s3, &err));
    TRY(s3_service_bucket(&s3, getenv("BUCKET"), &bucket, &err));
    const char *what = argc > 2 ? argv[1] : "";
    if (strcmp(what, "list") == 0 && parse_u64(argv[2], &n) == 0)
        list(n, false);
    else if (strcmp(what, "list-retry") == 0 && parse_u64(argv[2], &n) == 0)
        list(n, true);
    else if (strcmp(what, "uploads") == 0 && parse_u64(argv[2], &n) == 0)
        count_uploads(n);
    else if (strcmp(what, "delete") == 0 && argc > 3 && parse_u64(argv[2], &n) == 0)
        delete_all(n, argv[3]);
    else if (argc > 3)
        transfer(what, argv[2], argv[3]);
    else
        CHECK(!"usage");
    s3_bucket_done(&bucket);
    s3_service_done(&s3);
    return 0;
}
