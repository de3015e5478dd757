/* SPDX-License-Identifier: Apache-2.0 */
/* The higher level: service -> bucket -> object, with attributes that are loaded when they are
 * first asked for, and actions. */
#include "example.h"
#include "s3/resource_bucket.h"
#include "s3/resource_object.h"
#include "s3/resource_upload.h"

int main(void)
{
    struct s3_error err = {0};

    /* boto3.resource('s3'): the default session's S3. */
    struct s3_service s3;
    TRY(s3_service_open(NULL, NULL, &s3, &err));
    const char *name = example_bucket_name();
    example_bucket_create(s3.meta.client, name);

    struct s3_bucket bucket;
    TRY(s3_service_bucket(&s3, name, &bucket, &err));
    const struct s3_bucket_attributes *about = NULL;
    TRY(s3_bucket_attributes(&bucket, &about, &err));
    CHECK(about->creation_ns > 0);

    /* An object before it is there: no request is made by naming it. */
    struct s3_object object;
    TRY(s3_bucket_object(&bucket, "notes.txt", &object, &err));
    CHECK(s3_object_load(&object, &err) < 0);
    CHECK(err.kind == S3_ERROR_NO_SUCH_KEY);

    TRY(s3_object_put_memory(&object, "hello", 5, &err));
    const struct s3_head_object_out *head = NULL;
    TRY(s3_object_attributes(&object, &head, &err)); /* HeadObject */
    CHECK(head->object_size == 5);
    TRY(s3_object_attributes(&object, &head, &err)); /* no request */

    CLEANUP_STRBUF struct strbuf text = STRBUF_INIT(1000);
    TRY(s3_object_get_memory(&object, &text, &err));
    CHECK(strcmp(strbuf_str(&text), "hello") == 0);

    /* A copy inside S3, made by the object that is to come. */
    struct s3_object copy;
    TRY(s3_bucket_object(&bucket, "copy.txt", &copy, &err));
    struct s3_copy_object_in source = {.source_bucket = name, .source_key = "notes.txt"};
    TRY(s3_object_copy_from(&copy, &source, NULL, &err));
    const struct s3_object_summary *summary = NULL;
    TRY(s3_object_summary(&copy, &summary, &err));
    CHECK(summary->size == 5);

    /* A multipart upload, from the object to its parts and back. */
    struct s3_multipart_upload upload;
    TRY(s3_object_initiate_multipart_upload(&object, NULL, &upload, &err));
    char part_text[] = "the last part may be small";
    struct iovec body = {.iov_base = part_text, .iov_len = strlen(part_text)};
    struct s3_upload_part_in part = {.body = &body, .n_body = 1};
    TRY(s3_multipart_upload_upload_part(&upload, 1, &part, NULL, &err));
    TRY(s3_multipart_upload_complete_listed(&upload, NULL, &err));
    struct s3_object completed;
    TRY(s3_multipart_upload_object(&upload, &completed, &err));
    CHECK(s3_resource_equal(&completed.meta, &object.meta));
    TRY(s3_object_load(&object, &err)); /* load = reload: it was changed behind its back */
    CHECK(object.head.object_size == strlen(part_text));

    TRY(s3_object_delete(&copy, NULL, NULL, &err));
    CHECK(s3_object_load(&copy, &err) < 0);

    s3_object_done(&completed);
    s3_multipart_upload_done(&upload);
    s3_object_done(&copy);
    s3_object_done(&object);
    s3_bucket_done(&bucket);
    s3_service_done(&s3);
    return 0;
}
