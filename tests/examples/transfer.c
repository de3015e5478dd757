/* SPDX-License-Identifier: Apache-2.0 */
/* Managed transfers: a file up in parallel parts, across inside S3, and down in parallel ranges. */
#include "example.h"
#include "s3/resource_object.h"

enum { SIZE = 23 * 1024 * 1024 + 1 };

static void progress(void *ctx, uint64_t done, uint64_t total)
{
    *(unsigned *)ctx += 1;
    printf("%5.1f %%\n", 100.0 * (double)done / (double)total);
}

static void make_file(const char *path, char *data)
{
    unsigned x = 1;
    for (size_t i = 0; i < SIZE; i++) {
        x = x * 1103515245 + 12345;
        data[i] = (char)(x >> 16);
    }
    FILE *f = fopen(path, "w");
    CHECK(f && fwrite(data, 1, SIZE, f) == SIZE);
    CHECK(fclose(f) == 0);
}

static void compare_file(const char *path, const char *data)
{
    char *got = malloc(SIZE + 1);
    FILE *f = fopen(path, "r");
    CHECK(got && f && fread(got, 1, SIZE + 1, f) == SIZE);
    CHECK(memcmp(got, data, SIZE) == 0);
    fclose(f);
    free(got);
}

int main(void)
{
    struct s3_error err = {0};
    struct s3_service s3;
    TRY(s3_service_open(NULL, NULL, &s3, &err));
    const char *bucket = example_bucket_name();
    example_bucket_create(s3.meta.client, bucket);

    char up[] = "/tmp/pailfs-example.XXXXXX", down[sizeof(up) + 5];
    CLEANUP_FD int fd = mkstemp(up);
    CHECK(fd >= 0);
    snprintf(down, sizeof(down), "%s.down", up);
    CLEANUP_FREE char *data = malloc(SIZE);
    CHECK(data);
    make_file(up, data);

    /* 23 MiB in parts of 5 MiB, four at a time. */
    unsigned steps = 0;
    struct s3_metadata color = {.name = "color", .value = "blue"};
    struct s3_transfer_options opts = {.part_size = 5 * MIB,
                                       .concurrency = 4,
                                       .attrs = {.metadata = &color, .n_metadata = 1},
                                       .progress = progress,
                                       .ctx = &steps};
    struct s3_object object;
    TRY(s3_service_object(&s3, bucket, "big", &object, &err));
    TRY(s3_object_upload_file(&object, up, &opts, NULL, &err));
    CHECK(steps == 5);
    const struct s3_head_object_out *head = NULL;
    TRY(s3_object_attributes(&object, &head, &err));
    CHECK(head->object_size == SIZE);

    /* In parts as well, and the metadata goes along. */
    struct s3_transfer_options copy_opts = {.part_size = 8 * MIB};
    TRY(s3_copy(s3.meta.client, bucket, "big", bucket, "copy", &copy_opts, NULL, &err));

    /* The file appears when it is complete. */
    struct s3_head_object_out got = {0};
    opts = (struct s3_transfer_options){.part_size = 4 * MIB};
    TRY(s3_download_file(s3.meta.client, bucket, "copy", down, &opts, &got, &err));
    CHECK(got.n_metadata == 1 && strcmp(got.metadata[0].value, "blue") == 0);
    s3_head_object_out_done(&got);
    compare_file(down, data);

    /* What is not there leaves no file. */
    CHECK(unlink(down) == 0);
    CHECK(s3_download_file(s3.meta.client, bucket, "absent", down, NULL, NULL, &err) < 0);
    CHECK(err.kind == S3_ERROR_NO_SUCH_KEY);
    CHECK(access(down, F_OK) < 0);

    CHECK(unlink(up) == 0);
    s3_object_done(&object);
    s3_service_done(&s3);
    return 0;
}
