/* SPDX-License-Identifier: Apache-2.0 */
/* The five lists of a real server, page by page: whatever the page size, the limit and the place of
 * a resume, the items are the same, in the same order, each once. */
#include "example.h"
#include "s3/paginator.h"
#include "s3/resource_bucket.h"
#include "s3/resource_object.h"
#include "s3/resource_upload.h"

enum { ITEMS_MAX = 400, TEXT_MAX = 300 };

/* What identifies an item, as text. */
struct items {
    size_t n;
    char text[ITEMS_MAX][TEXT_MAX];
};

static void describe(enum s3_collection_kind kind, const void *entry, char *buf)
{
    switch (kind) {
    case S3_COLLECTION_BUCKETS:
        snprintf(buf, TEXT_MAX, "%s", ((const struct s3_bucket_entry *)entry)->name);
        break;
    case S3_COLLECTION_OBJECTS: {
        const struct s3_object_entry *e = entry;
        snprintf(buf, TEXT_MAX, "%s %s", e->key, e->etag);
        break;
    }
    case S3_COLLECTION_OBJECT_VERSIONS: {
        const struct s3_version_entry *e = entry;
        snprintf(buf, TEXT_MAX, "%s %s %d %d", e->key, e->version_id, e->is_latest,
                 e->is_delete_marker);
        break;
    }
    case S3_COLLECTION_MULTIPART_UPLOADS: {
        const struct s3_upload_entry *e = entry;
        snprintf(buf, TEXT_MAX, "%s %s", e->key, e->upload_id);
        break;
    }
    case S3_COLLECTION_PARTS: {
        const struct s3_part_entry *e = entry;
        snprintf(buf, TEXT_MAX, "%u %s %d", e->part_number, e->etag, (int)e->size);
        break;
    }
    }
}

/* Adds what the collection yields to *ret; returns the token to go on with, NULL at the end. */
static char *collect(struct s3_collection c, struct items *ret, unsigned *ret_pages)
{
    struct s3_error err = {0};
    struct s3_iter *it = NULL;
    const void *entry;
    int r;
    TRY(s3_iter_open(&c, &it, &err));
    while ((r = s3_iter_next(it, &entry, &err)) > 0) {
        CHECK(ret->n < ITEMS_MAX);
        describe(c.kind, entry, ret->text[ret->n++]);
    }
    TRY(r);
    if (ret_pages)
        *ret_pages = s3_iter_pages(it);
    char *token = s3_iter_resume_token(it);
    s3_iter_close(it);
    return token;
}

static void check_same(const struct items *got, const struct items *want)
{
    for (size_t i = 0; i < got->n && i < want->n; i++)
        if (strcmp(got->text[i], want->text[i]) != 0) {
            printf("item %zu: '%s' instead of '%s'\n", i, got->text[i], want->text[i]);
            CHECK(!"the same items");
        }
    CHECK(got->n == want->n);
}

/* honours: whether the server cuts its pages to our size (ListBuckets is newer than many). */
static void check_list(const char *name, struct s3_collection c, size_t expected, bool honours)
{
    static struct items all, some;
    unsigned pages;
    memset(&all, 0, sizeof(all));
    CHECK(!collect(c, &all, NULL));
    printf("%s: %zu items\n", name, all.n);
    CHECK(expected == 0 ? all.n > 0 : all.n == expected);
    for (size_t i = 1; i < all.n; i++)
        for (size_t j = 0; j < i; j++)
            CHECK(strcmp(all.text[i], all.text[j]) != 0);

    static const uint32_t SIZES[] = {1, 2, 3, 7, 10, 1000};
    for (size_t s = 0; s < sizeof(SIZES) / sizeof(SIZES[0]); s++) {
        struct s3_collection paged = s3_collection_page_size(c, SIZES[s]);
        memset(&some, 0, sizeof(some));
        CHECK(!collect(paged, &some, &pages));
        check_same(&some, &all);
        /* A server may find out only with an empty page that nothing follows. */
        size_t full = (all.n + SIZES[s] - 1) / SIZES[s];
        CHECK(!honours || pages == full || pages == full + 1);

        /* In portions, each a list of its own that goes on where the last one left off. */
        static const uint64_t LIMITS[] = {1, 4, 9, 50};
        for (size_t l = 0; l < sizeof(LIMITS) / sizeof(LIMITS[0]); l++) {
            char *token = NULL;
            memset(&some, 0, sizeof(some));
            do {
                struct s3_collection portion =
                    s3_collection_resume(s3_collection_limit(paged, LIMITS[l]), token);
                char *next = collect(portion, &some, NULL);
                free(token);
                token = next;
            } while (token);
            check_same(&some, &all);
        }
    }
}

/* Objects and prefixes of a delimited list, in whatever pages: each once. */
static void check_delimited(struct s3_collection c, size_t n_objects, size_t n_prefixes)
{
    struct s3_error err = {0};
    c = s3_collection_filter(c, (struct s3_filter){.delimiter = "/"});
    for (uint32_t size = 1; size <= 20; size++) {
        struct s3_collection paged = s3_collection_page_size(c, size);
        struct s3_iter *it = NULL;
        TRY(s3_iter_open(&paged, &it, &err));
        char last[TEXT_MAX] = "";
        size_t objects = 0, prefixes = 0, n;
        const void *entries;
        int r;
        while ((r = s3_iter_next_page(it, &entries, &n, &err)) > 0) {
            objects += n;
            const char *const *p = s3_iter_prefixes(it, &n);
            for (size_t i = 0; i < n; i++, prefixes++) {
                CHECK(strcmp(last, p[i]) < 0);
                snprintf(last, sizeof(last), "%s", p[i]);
            }
        }
        TRY(r);
        s3_iter_close(it);
        CHECK(objects == n_objects && prefixes == n_prefixes);
    }
}

static const char *const KEYS[] = {
    "a",    "a b", "a%20b",      "a+b",         "a&b<c>\"d'",       "b/1", "b/2", "b/sub/3",
    "c//d", "c/e", "line\nfeed", "t\xc3\xa4st", "\xf0\x9f\xaa\xa3", "z",
};
enum { N_KEYS = sizeof(KEYS) / sizeof(KEYS[0]) };

int main(void)
{
    struct s3_error err = {0};
    struct s3_service s3;
    TRY(s3_service_open(NULL, NULL, &s3, &err));
    const char *name = example_bucket_name();
    example_bucket_create(s3.meta.client, name);
    struct s3_bucket bucket;
    TRY(s3_service_bucket(&s3, name, &bucket, &err));

    struct s3_object object;
    for (size_t i = 0; i < N_KEYS; i++) {
        TRY(s3_bucket_object(&bucket, KEYS[i], &object, &err));
        TRY(s3_object_put_memory(&object, KEYS[i], strlen(KEYS[i]), &err));
        s3_object_done(&object);
    }
    check_list("objects", s3_bucket_objects(&bucket), N_KEYS, true);
    check_delimited(s3_bucket_objects(&bucket), N_KEYS - 5, 2);
    check_list("objects below b/",
               s3_collection_filter(s3_bucket_objects(&bucket), (struct s3_filter){.prefix = "b/"}),
               3, true);

    /* Two more versions of each key, the last a delete marker for every second. */
    TRY(s3_bucket_set_versioning(&bucket, S3_VERSIONING_ENABLED, &err));
    for (size_t i = 0; i < N_KEYS; i++) {
        TRY(s3_bucket_object(&bucket, KEYS[i], &object, &err));
        TRY(s3_object_put_memory(&object, "2", 1, &err));
        if (i % 2)
            TRY(s3_object_delete(&object, NULL, NULL, &err));
        else
            TRY(s3_object_put_memory(&object, "3", 1, &err));
        s3_object_done(&object);
    }
    check_list("versions", s3_bucket_object_versions(&bucket), 3 * N_KEYS, true);

    /* Several uploads of the same key, and one with parts. */
    struct s3_multipart_upload upload;
    for (size_t i = 0; i < 12; i++) {
        TRY(s3_bucket_object(&bucket, KEYS[i / 3], &object, &err));
        TRY(s3_object_initiate_multipart_upload(&object, NULL, &upload, &err));
        if (i < 11)
            s3_multipart_upload_done(&upload);
        s3_object_done(&object);
    }
    check_list("uploads", s3_bucket_multipart_uploads(&bucket), 12, true);
    for (uint32_t part = 1; part <= 23; part += 2) {
        char text[8];
        snprintf(text, sizeof(text), "%u", part);
        struct iovec body = {.iov_base = text, .iov_len = strlen(text)};
        struct s3_upload_part_in in = {.body = &body, .n_body = 1};
        TRY(s3_multipart_upload_upload_part(&upload, part, &in, NULL, &err));
    }
    check_list("parts", s3_multipart_upload_parts(&upload), 12, true);
    s3_multipart_upload_done(&upload);

    /* On the gateway that all tests share, others make buckets between two listings. */
    const char *server = getenv("TEST_SERVER");
    if (!server || strcmp(server, "s3d") == 0)
        check_list("buckets", s3_service_buckets(&s3), 0, false);

    s3_bucket_done(&bucket);
    s3_service_done(&s3);
    return 0;
}
