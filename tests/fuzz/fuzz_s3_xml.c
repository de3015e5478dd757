/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of any bytes, in pieces of any size, against every schema: the parser ends, and what it
 * makes of a document does not depend on where the pieces were cut. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/limits.h"
#include "fuzz.h"
#include "s3/op.h"

const char *const fuzz_seeds[] = {
    "",
    "<ListBucketResult xmlns=\"x\"><IsTruncated>true</IsTruncated><EncodingType>url</EncodingType>"
    "<Contents><Key>a%20+b</Key><Size>1</Size><ETag>&quot;e&quot;</ETag><LastModified>"
    "2026-11-22T15:00:00.000Z</LastModified></Contents><CommonPrefixes><Prefix>p/</Prefix>"
    "</CommonPrefixes><NextContinuationToken>t</NextContinuationToken></ListBucketResult>",
    "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>&#x01;&amp;&#13;</Key>"
    "<Size>2</Size></Contents></ListBucketResult>",
    "<?xml version=\"1.0\"?>\n<ListVersionsResult><IsTruncated>true</IsTruncated><Version><Key>k"
    "</Key><VersionId>v</VersionId><IsLatest>true</IsLatest><Size>1</Size></Version><DeleteMarker>"
    "<Key>k</Key><VersionId>w</VersionId><IsLatest>false</IsLatest></DeleteMarker>"
    "<NextKeyMarker>k</NextKeyMarker></ListVersionsResult>",
    "<ListPartsResult><IsTruncated>false</IsTruncated><Part><PartNumber>1</PartNumber><ETag>e"
    "</ETag><Size>5</Size><ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part></ListPartsResult>",
    "<GetObjectAttributesResponse><ObjectSize>1</ObjectSize><Checksum><ChecksumSHA1>x"
    "</ChecksumSHA1></Checksum><ObjectParts><Part><PartNumber>1</PartNumber><Size>1</Size></Part>"
    "</ObjectParts></GetObjectAttributesResponse>",
    "<DeleteResult><Deleted><Key>k</Key></Deleted><Error><Code>c</Code></Error></DeleteResult>",
    " \n<Error><Code>InternalError</Code><Message>m</Message><Region>r</Region></Error>",
    "<!DOCTYPE a [<!ENTITY b \"c\">]><a>&b;</a><!-- x --><?y?><![CDATA[z]]>",
    NULL,
};

static const enum s3_op ops[] = {S3_OP_LIST_BUCKETS,         S3_OP_LIST_OBJECTS_V2,
                                 S3_OP_LIST_OBJECT_VERSIONS, S3_OP_LIST_PARTS,
                                 S3_OP_DELETE_OBJECTS,       S3_OP_LIST_MULTIPART_UPLOADS,
                                 S3_OP_GET_OBJECT_ATTRIBUTES};

struct result {
    int r;
    bool is_error;
    size_t n; /* of the two large lists */
    struct s3_list_objects_v2_out objects;
};

static void run(const struct s3_op_def *def, const char *text, size_t size, size_t chunk,
                struct result *ret)
{
    void *out = calloc(1, def->out_size);
    struct xml_parser *p = NULL;

    memset(ret, 0, sizeof(*ret));
    if (!out)
        return;
    arena_init(out, LIMIT_PAGE_STRINGS);
    FUZZ_CHECK(xml_parser_new(def->xml, out, out, &p) == 0);
    for (size_t at = 0; ret->r == 0 && at < size; at += chunk)
        ret->r = xml_parser_feed(p, text + at, size - at < chunk ? size - at : chunk);
    if (ret->r == 0)
        ret->r = xml_parser_finish(p);
    FUZZ_CHECK(ret->r == 0 || ret->r == -EBADMSG);
    FUZZ_CHECK((ret->r == 0) == (xml_parser_problem(p)[0] == '\0'));
    ret->is_error = xml_parser_error(p) != NULL;
    if (def == s3_op_find(S3_OP_LIST_OBJECTS_V2)) {
        struct s3_list_objects_v2_out *o = out;
        FUZZ_CHECK(ret->r == 0 || !o->objects);
        for (size_t i = 0; i < o->n_objects; i++)
            FUZZ_CHECK(o->objects[i].key && o->objects[i].etag);
        ret->objects = *o;
        memset(out, 0, sizeof(*o));
    }
    def->out_done(out);
    xml_parser_free(p);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1); /* a block of its own: reading past its end is seen */
    size_t chunk = size ? 1 + data[size / 2] % 61 : 1;

    if (!text)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    for (size_t i = 0; i < ARRAY_SIZE(ops); i++) {
        const struct s3_op_def *def = s3_op_find(ops[i]);
        struct result whole;
        struct result pieces;
        run(def, text, size, size + 1, &whole);
        run(def, text, size, chunk, &pieces);
        FUZZ_CHECK(whole.r == pieces.r);
        FUZZ_CHECK(whole.is_error == pieces.is_error);
        FUZZ_CHECK(whole.objects.n_objects == pieces.objects.n_objects);
        for (size_t k = 0; k < whole.objects.n_objects; k++)
            FUZZ_CHECK(!strcmp(whole.objects.objects[k].key, pieces.objects.objects[k].key));
        s3_list_objects_v2_out_done(&whole.objects);
        s3_list_objects_v2_out_done(&pieces.objects);
    }
    free(text);
    return 0;
}
