/* SPDX-License-Identifier: Apache-2.0 */
/* Versioning: an overwritten or deleted object is still there, as a version. */
#include "example.h"
#include "s3/resource_bucket.h"
#include "s3/resource_object.h"

int main(void)
{
    struct s3_error err = {0};
    struct s3_service s3;
    TRY(s3_service_open(NULL, NULL, &s3, &err));
    const char *name = example_bucket_name();
    example_bucket_create(s3.meta.client, name);
    struct s3_bucket bucket;
    TRY(s3_service_bucket(&s3, name, &bucket, &err));

    enum s3_versioning status;
    TRY(s3_bucket_versioning(&bucket, &status, &err));
    CHECK(status == S3_VERSIONING_NEVER);
    TRY(s3_bucket_set_versioning(&bucket, S3_VERSIONING_ENABLED, &err));
    TRY(s3_bucket_versioning(&bucket, &status, &err));
    CHECK(status == S3_VERSIONING_ENABLED);

    struct s3_object object;
    TRY(s3_bucket_object(&bucket, "key", &object, &err));
    TRY(s3_object_put_memory(&object, "one", 3, &err));
    TRY(s3_object_put_memory(&object, "two", 3, &err));
    struct s3_delete_object_out deleted = {0};
    TRY(s3_object_delete(&object, NULL, &deleted, &err));
    CHECK(deleted.delete_marker);
    CHECK(s3_object_load(&object, &err) < 0 && err.kind == S3_ERROR_NO_SUCH_KEY);

    /* Newest first: the delete marker, "two", "one". */
    struct s3_collection versions = s3_bucket_object_versions(&bucket);
    struct s3_object_version found[3];
    struct s3_iter *it = NULL;
    TRY(s3_iter_open(&versions, &it, &err));
    for (int i = 0; i < 3; i++)
        CHECK(s3_iter_next_version(it, &found[i], &err) == 1);
    struct s3_object_version none;
    CHECK(s3_iter_next_version(it, &none, &err) == 0);
    s3_iter_close(it);
    CHECK(found[0].summary.is_delete_marker && found[0].summary.is_latest);
    CHECK(!found[1].summary.is_delete_marker && !found[1].summary.is_latest);
    CHECK(found[2].summary.size == 3);

    CLEANUP_STRBUF struct strbuf text = STRBUF_INIT(100);
    TRY(s3_object_version_get_memory(&found[2], &text, &err));
    CHECK(strcmp(strbuf_str(&text), "one") == 0);

    /* Without its delete marker the object is back, as "two". */
    TRY(s3_object_version_delete(&found[0], NULL, &err));
    strbuf_reset(&text);
    TRY(s3_object_get_memory(&object, &text, &err));
    CHECK(strcmp(strbuf_str(&text), "two") == 0);

    /* Restored for good: an old version copied over the newest. */
    struct s3_copy_object_in old = {.source_bucket = name,
                                    .source_key = "key",
                                    .source_version_id = s3_object_version_id(&found[2])};
    TRY(s3_object_copy_from(&object, &old, NULL, &err));
    strbuf_reset(&text);
    TRY(s3_object_get_memory(&object, &text, &err));
    CHECK(strcmp(strbuf_str(&text), "one") == 0);

    /* All versions at once, by the collection's batch action. */
    struct s3_delete_report report;
    s3_delete_report_init(&report);
    TRY(s3_collection_delete(&versions, &report, &err));
    CHECK(report.deleted == 3 && report.requests == 1);
    s3_delete_report_done(&report);

    for (int i = 0; i < 3; i++)
        s3_object_version_done(&found[i]);
    s3_object_done(&object);
    s3_bucket_done(&bucket);
    s3_service_done(&s3);
    return 0;
}
