/* SPDX-License-Identifier: Apache-2.0 */
/* How many keys per second of CPU time one core takes out of ListObjectsV2 pages, as AWS and as
 * Ceph write them.
 *
 *   xml_bench [PAGES] [CHUNK]     default 2000 pages of 1,000 keys in chunks of 16 KiB (what TLS
 *                                 records and curl deliver) */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/limits.h"
#include "base/strbuf.h"
#include "s3/op.h"

#define KEYS 1000

static double cpu_seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_page(struct strbuf *sb, bool aws)
{
    strbuf_append_str(sb, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult "
                          "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>bucket</Name>"
                          "<Prefix></Prefix><NextContinuationToken>token</NextContinuationToken>"
                          "<KeyCount>1000</KeyCount><MaxKeys>1000</MaxKeys>"
                          "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>");
    for (unsigned i = 0; i < KEYS; i++)
        strbuf_appendf(sb,
                       "<Contents><Key>photos/2026/11/IMG%%20%08u.jpeg</Key>"
                       "<LastModified>2026-11-22T15:%02u:%02u.000Z</LastModified>"
                       "<ETag>&quot;d41d8cd98f00b204e9800998%08x&quot;</ETag>%s<Size>%u</Size>"
                       "<StorageClass>STANDARD</StorageClass>%s</Contents>",
                       i, i / 60 % 60, i % 60, i,
                       aws ? "<ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"
                             "<ChecksumType>FULL_OBJECT</ChecksumType>"
                           : "",
                       i * 1000, aws ? "" : "<Type>Normal</Type>");
    strbuf_append_str(sb, "</ListBucketResult>");
}

static int parse(const struct strbuf *page, size_t chunk, size_t *ret_keys)
{
    struct s3_list_objects_v2_out out = {0};
    struct xml_parser *p = NULL;
    int r;

    arena_init(&out.arena, LIMIT_PAGE_STRINGS);
    r = xml_parser_new(&s3_xml_list_objects_v2, &out, &out.arena, &p);
    for (size_t at = 0; r == 0 && at < page->len; at += chunk)
        r = xml_parser_feed(p, page->data + at, page->len - at < chunk ? page->len - at : chunk);
    if (r == 0)
        r = xml_parser_finish(p);
    *ret_keys += out.n_objects;
    xml_parser_free(p);
    s3_list_objects_v2_out_done(&out);
    return r;
}

static int run(const char *name, bool aws, unsigned pages, size_t chunk)
{
    CLEANUP_STRBUF struct strbuf page = STRBUF_INIT(LIMIT_XML_BODY);
    size_t keys = 0;
    int r = 0;

    make_page(&page, aws);
    double start = cpu_seconds();
    for (unsigned i = 0; r == 0 && i < pages; i++)
        r = parse(&page, chunk, &keys);
    double seconds = cpu_seconds() - start;
    printf("%-4s  %zu bytes a key  %.2f M keys/s  %.0f MB/s%s\n", name, page.len / KEYS,
           (double)keys / seconds / 1e6, (double)page.len * pages / seconds / 1e6,
           r ? "  FAILED" : "");
    return r;
}

int main(int argc, char **argv)
{
    unsigned pages = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 2000;
    size_t chunk = argc > 2 ? strtoul(argv[2], NULL, 10) : 16384;

    if (!pages || !chunk) {
        fprintf(stderr, "usage: xml_bench [PAGES] [CHUNK]\n");
        return 2;
    }
    int r = run("aws", true, pages, chunk);
    return r | run("ceph", false, pages, chunk) ? 1 : 0;
}
