/* SPDX-License-Identifier: Apache-2.0 */
/* Meta: what a client or a resource is about, and the way from one to the other: from a resource to
 * its client, to do what the higher level does not offer, and back from names to the resource. */
#include "example.h"
#include "s3/resource_bucket.h"
#include "s3/resource_object.h"

int main(void)
{
    struct s3_error err = {0};
    char text[200];
    struct s3_service s3;
    TRY(s3_service_open(NULL, NULL, &s3, &err));
    const char *name = example_bucket_name();
    example_bucket_create(s3.meta.client, name);
    struct s3_object object;
    TRY(s3_service_object(&s3, name, "key", &object, &err));
    TRY(s3_object_put_memory(&object, "x", 1, &err));

    /* The client's: service, region, endpoint, configuration. */
    const struct s3_client_meta *client_meta = s3_client_meta(s3.meta.client);
    CHECK(strcmp(client_meta->service, "s3") == 0);
    CHECK(client_meta->region[0] && strncmp(client_meta->endpoint_url, "http", 4) == 0);
    printf("%s in %s at %s\n", client_meta->service, client_meta->region,
           client_meta->endpoint_url);

    /* The resource's: type, identifiers by name, whether attributes are loaded. */
    const struct s3_resource_meta *meta = &object.meta;
    printf("%s\n", s3_resource_describe(meta, text, sizeof(text)));
    CHECK(strcmp(meta->type->name, "Object") == 0);
    CHECK(strcmp(meta->type->id_names[0], "bucket_name") == 0 && strcmp(meta->ids[0], name) == 0);
    CHECK(strcmp(meta->type->id_names[1], "key") == 0 && strcmp(meta->ids[1], "key") == 0);
    CHECK(!meta->loaded);
    TRY(s3_object_load(&object, &err));
    CHECK(meta->loaded);

    /* From the resource to its client: the same one, and of the low level. */
    struct s3_client *client = object.meta.client;
    CHECK(client == s3.meta.client);
    struct s3_head_object_out head = {0};
    TRY(s3_head_object(client, &(struct s3_head_object_in){.bucket = name, .key = "key"}, &head,
                       &err));
    CHECK(strcmp(head.etag, object.head.etag) == 0);
    s3_head_object_out_done(&head);

    /* And back: the client and the identifiers make the same resource. */
    struct s3_object again;
    TRY(s3_object_init(&again, client, meta->ids[0], meta->ids[1], &err));
    CHECK(s3_resource_equal(&again.meta, meta));
    struct s3_bucket bucket;
    TRY(s3_object_bucket(&again, &bucket, &err));
    CHECK(bucket.meta.client == client);

    s3_bucket_done(&bucket);
    s3_object_done(&again);
    s3_object_done(&object);
    s3_service_done(&s3);
    return 0;
}
