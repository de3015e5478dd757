/* SPDX-License-Identifier: Apache-2.0 */
/* Collections: lazy queries that are values. Filters, a limit and a page size narrow them; nothing
 * is sent before the first step of an iterator. */
#include "example.h"
#include "s3/resource_bucket.h"
#include "s3/resource_object.h"

static unsigned count(struct s3_collection c, unsigned *ret_pages)
{
    struct s3_error err = {0};
    struct s3_iter *it = NULL;
    TRY(s3_iter_open(&c, &it, &err));
    unsigned n = 0;
    const void *entry;
    int r;
    while ((r = s3_iter_next(it, &entry, &err)) > 0)
        n++;
    TRY(r); /* an error is not the end */
    *ret_pages = s3_iter_pages(it);
    s3_iter_close(it);
    return n;
}

int main(void)
{
    struct s3_error err = {0};
    unsigned pages = 0;
    struct s3_service s3;
    TRY(s3_service_open(NULL, NULL, &s3, &err));
    const char *name = example_bucket_name();
    example_bucket_create(s3.meta.client, name);
    struct s3_bucket bucket;
    TRY(s3_service_bucket(&s3, name, &bucket, &err));
    example_fill(s3.meta.client, name, "a/", 60);
    example_fill(s3.meta.client, name, "b/", 40);

    /* All of them: 100 objects fit one page of 1,000. */
    struct s3_collection objects = s3_bucket_objects(&bucket);
    CHECK(count(objects, &pages) == 100 && pages == 1);

    /* A page size changes the requests, not the result. */
    CHECK(count(s3_collection_page_size(objects, 30), &pages) == 100 && pages == 4);

    /* A limit stops in the middle of a page, and no page behind it is fetched. */
    struct s3_collection some = s3_collection_limit(s3_collection_page_size(objects, 30), 45);
    CHECK(count(some, &pages) == 45 && pages == 2);

    /* By prefix, and behind a key. */
    struct s3_collection only_b = s3_collection_filter(objects, (struct s3_filter){.prefix = "b/"});
    CHECK(count(only_b, &pages) == 40);
    CHECK(count(s3_collection_filter(only_b, (struct s3_filter){.start_after = "b/f000029"}),
                &pages) == 10);

    /* With a delimiter, what is below one rolls up into prefixes: two folders, no object. */
    struct s3_collection folders =
        s3_collection_filter(objects, (struct s3_filter){.delimiter = "/"});
    struct s3_iter *it = NULL;
    const void *entries;
    size_t n_entries, n_prefixes;
    TRY(s3_iter_open(&folders, &it, &err));
    CHECK(s3_iter_next_page(it, &entries, &n_entries, &err) == 1);
    const char *const *prefixes = s3_iter_prefixes(it, &n_prefixes);
    CHECK(n_entries == 0 && n_prefixes == 2);
    CHECK(strcmp(prefixes[0], "a/") == 0 && strcmp(prefixes[1], "b/") == 0);
    s3_iter_close(it);

    /* Items as resources; what the listing told needs no further request. */
    TRY(s3_iter_open(&only_b, &it, &err));
    struct s3_object object;
    CHECK(s3_iter_next_object(it, &object, &err) == 1);
    const struct s3_object_summary *summary = NULL;
    TRY(s3_object_summary(&object, &summary, &err));
    CHECK(strcmp(s3_object_key(&object), "b/f000000") == 0 && summary->size == 9);
    s3_object_done(&object);
    s3_iter_close(it);

    /* The service's collection. */
    struct s3_collection buckets = s3_service_buckets(&s3);
    CHECK(count(buckets, &pages) >= 1);

    /* A batch action: one DeleteObjects for each page. */
    struct s3_delete_report report;
    s3_delete_report_init(&report);
    struct s3_collection in_tens = s3_collection_page_size(only_b, 10);
    TRY(s3_collection_delete(&in_tens, &report, &err));
    CHECK(report.deleted == 40 && report.n_failed == 0 && report.requests == 4);
    s3_delete_report_done(&report);
    CHECK(count(objects, &pages) == 60);

    s3_bucket_done(&bucket);
    s3_service_done(&s3);
    return 0;
}
