/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <libxml/xmlmemory.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fail.h"
#include "base/limits.h"
#include "s3/op.h"

#define NS "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

/* As AWS writes it, with elements that the schema does not name at every level. */
static const char page[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<ListBucketResult " NS "><Name>b</Name><Prefix>p%2F</Prefix>"
    "<NextContinuationToken>1ueGc&amp;+%2F=</NextContinuationToken><KeyCount>4</KeyCount>"
    "<MaxKeys>4</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
    "<Contents><Key>p/a+b%2Bc</Key><LastModified>2026-11-22T15:00:00.000Z</LastModified>"
    "<ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag>"
    "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumAlgorithm>SHA1</ChecksumAlgorithm>"
    "<Size>0</Size><Owner><ID>x</ID><Key>not a key</Key></Owner>"
    "<StorageClass>STANDARD</StorageClass></Contents>\n"
    "<Contents><Key>%C3%A4%E2%82%AC%0A&apos;&lt;</Key><Size>18446744073709551615</Size>"
    "<ETag>nude</ETag></Contents>"
    "<CommonPrefixes><Prefix>p/x%20/</Prefix></CommonPrefixes>"
    "<CommonPrefixes><Prefix>p/%01/</Prefix></CommonPrefixes>"
    "</ListBucketResult>";

struct parsed {
    struct s3_list_objects_v2_out out;
    struct xml_error s3_error;
    bool is_error;
    char problem[160];
};

static void parsed_done(struct parsed *d)
{
    s3_list_objects_v2_out_done(&d->out);
}

static int parse_with(const struct xml_element *root, void *out, struct arena *arena,
                      const char *text, size_t len, size_t chunk, struct parsed *d)
{
    struct xml_parser *p = NULL;
    int r = xml_parser_new(root, out, arena, &p);

    for (size_t at = 0; r == 0 && at < len; at += chunk)
        r = xml_parser_feed(p, text + at, len - at < chunk ? len - at : chunk);
    if (r == 0)
        r = xml_parser_finish(p);
    if (p && r < 0)
        snprintf(d->problem, sizeof(d->problem), "%s", xml_parser_problem(p));
    if (r == 0 && xml_parser_error(p)) {
        d->s3_error = *xml_parser_error(p);
        d->is_error = true;
    }
    if (p && r < 0) { /* a failure stays */
        assert_int_equal(xml_parser_feed(p, " ", 1), r);
        assert_int_equal(xml_parser_finish(p), r);
    }
    xml_parser_free(p);
    return r;
}

static int parse_len(const char *text, size_t len, size_t chunk, struct parsed *d)
{
    memset(d, 0, sizeof(*d));
    arena_init(&d->out.arena, LIMIT_PAGE_STRINGS);
    return parse_with(&s3_xml_list_objects_v2, &d->out, &d->out.arena, text, len, chunk, d);
}

static int parse(const char *text, struct parsed *d)
{
    return parse_len(text, strlen(text), strlen(text) + 1, d);
}

static void check_page(const struct parsed *d)
{
    const struct s3_list_objects_v2_out *o = &d->out;

    assert_true(o->is_truncated);
    assert_string_equal(o->next_continuation_token, "1ueGc&+%2F="); /* tokens are not encoded */
    assert_int_equal(o->key_count, 4);
    assert_int_equal(o->n_objects, 2);
    assert_string_equal(o->objects[0].key, "p/a b+c");
    assert_string_equal(o->objects[0].etag, "\"d41d8cd98f00b204e9800998ecf8427e\"");
    assert_string_equal(o->objects[0].storage_class, "STANDARD");
    assert_int_equal(o->objects[0].size, 0);
    assert_int_equal(o->objects[0].last_modified_ns, 1795359600000000000);
    assert_string_equal(o->objects[1].key, "\xc3\xa4\xe2\x82\xac\n'<");
    assert_string_equal(o->objects[1].etag, "\"nude\"");
    assert_true(o->objects[1].size == UINT64_MAX);
    assert_null(o->objects[1].storage_class);
    assert_int_equal(o->n_common_prefixes, 2);
    assert_string_equal(o->common_prefixes[0], "p/x /");
    assert_string_equal(o->common_prefixes[1], "p/\x01/");
}

static void test_page_in_any_chunks(void **state)
{
    struct parsed d;

    for (size_t chunk = 1; chunk <= sizeof(page); chunk++) {
        assert_int_equal(parse_len(page, sizeof(page) - 1, chunk, &d), 0);
        check_page(&d);
        parsed_done(&d);
    }
}

/* A page that was cut anywhere is an error, never a shorter page. */
static void test_every_prefix_is_an_error(void **state)
{
    static const size_t chunks[] = {1, 7, sizeof(page)};
    struct parsed d;

    for (size_t len = 0; len < sizeof(page) - 1; len++) {
        for (size_t c = 0; c < 3; c++) {
            assert_int_equal(parse_len(page, len, chunks[c], &d), -EBADMSG);
            assert_true(d.problem[0] != '\0');
            assert_int_equal(d.out.n_objects, 0);
            assert_null(d.out.objects);
            parsed_done(&d);
        }
    }
}

/* A byte that is lost or another than it was: a page may change its meaning so, but it never comes
 * out with fewer entries. Exceptions are those inside names of elements that then are unknown. */
static void test_damaged_tags_are_errors(void **state)
{
    static const char *const broken[] = {
        "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult",
        "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResul>",
        "<ListBucketResult><IsTruncated>false<IsTruncated></ListBucketResult>",
        "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>x",
        "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult><a/>",
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents></ListBucketResult>",
        "<ListBucketResult>stray<IsTruncated>false</IsTruncated></ListBucketResult>",
        "<ListBucketResult><IsTruncated>false</IsTruncated>\xff</ListBucketResult>",
        "<ListBucketResult><IsTruncated>false</IsTruncated>&lost;</ListBucketResult>",
        "<ListBucketResult><IsTruncated>false</IsTruncated>&</ListBucketResult>",
        "<ListBucketResult><IsTruncated>false</IsTruncated><a b=c/></ListBucketResult>",
        "",
        " \r\n\t ",
        "\0",
        "<html><head><title>Login</title></head></html>",
        "<!DOCTYPE html><html></html>",
        "{\"error\": \"not xml\"}",
        "<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>",
        "\xff\xfe<\0a\0/\0>\0",
    };
    struct parsed d;

    for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
        int r = parse(broken[i], &d);
        if (r != -EBADMSG)
            print_message("not refused: %s\n", broken[i]);
        assert_int_equal(r, -EBADMSG);
        assert_true(d.problem[0] != '\0');
        parsed_done(&d);
    }
}

static void test_minimal_page(void **state)
{
    struct parsed d;

    assert_int_equal(
        parse("<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>\n", &d), 0);
    assert_int_equal(d.out.n_objects, 0);
    assert_false(d.is_error);
    parsed_done(&d);
}

/* body stands inside a page that is fine. */
static int parse_inside(const char *body, struct parsed *d)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(LIMIT_XML_BODY);

    strbuf_appendf(&sb,
                   "<ListBucketResult " NS "><IsTruncated>false</IsTruncated>%s"
                   "</ListBucketResult>",
                   body);
    assert_int_equal(sb.error, 0);
    return parse_len(sb.data, sb.len, 4096, d);
}

static void test_impossible_values(void **state)
{
    static const char *const bodies[] = {
        "<Contents><Key>k</Key><Size></Size></Contents>",
        "<Contents><Key>k</Key><Size>-1</Size></Contents>",
        "<Contents><Key>k</Key><Size>+1</Size></Contents>",
        "<Contents><Key>k</Key><Size> 1</Size></Contents>",
        "<Contents><Key>k</Key><Size>0x1</Size></Contents>",
        "<Contents><Key>k</Key><Size>1.5</Size></Contents>",
        "<Contents><Key>k</Key><Size>18446744073709551616</Size></Contents>",
        "<Contents><Key>k</Key><Size>184467440737095516150</Size></Contents>",
        "<Contents><Key>k</Key><Size>1</Size><LastModified>yesterday</LastModified></Contents>",
        "<Contents><Key>k</Key><Size>1</Size><Size>2</Size></Contents>",
        "<Contents><Key>k</Key><Key>l</Key><Size>1</Size></Contents>",
        "<Contents><Key>k<b/></Key><Size>1</Size></Contents>",
        "<Contents><Size>1</Size></Contents>",
        "<Contents><Key>k</Key></Contents>",
        "<Contents/>",
        "<CommonPrefixes/>",
        "<IsTruncated>false</IsTruncated>",
        "<KeyCount>many</KeyCount>",
        "<EncodingType>rot13</EncodingType>",
        "<EncodingType>url</EncodingType><Contents><Key>%0</Key><Size>1</Size></Contents>",
        "<EncodingType>url</EncodingType><Contents><Key>%zz</Key><Size>1</Size></Contents>",
        "<EncodingType>url</EncodingType><Contents><Key>a%00b</Key><Size>1</Size></Contents>",
        "<Contents><Key>&#0;</Key><Size>1</Size></Contents>",
        "<Contents><Key><![CDATA[k]]></Key><Size>1</Size></Contents>",
    };
    struct parsed d;

    for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
        int r = parse_inside(bodies[i], &d);
        if (r != -EBADMSG)
            print_message("not refused: %s\n", bodies[i]);
        assert_int_equal(r, -EBADMSG);
        parsed_done(&d);
    }
    assert_int_equal(
        parse("<ListBucketResult><IsTruncated>TRUE</IsTruncated></ListBucketResult>", &d),
        -EBADMSG);
    parsed_done(&d);
    assert_int_equal(parse("<ListBucketResult></ListBucketResult>", &d), -EBADMSG);
    assert_non_null(strstr(d.problem, "lacks <IsTruncated>"));
    parsed_done(&d);
}

static void test_optional_values(void **state)
{
    struct parsed d;

    assert_int_equal(parse_inside("<Contents><Key></Key><Size>007</Size><LastModified/><ETag/>"
                                  "</Contents><!-- c --><?pi?>",
                                  &d),
                     0);
    assert_int_equal(d.out.n_objects, 1);
    assert_string_equal(d.out.objects[0].key, "");
    assert_int_equal(d.out.objects[0].size, 7);
    assert_string_equal(d.out.objects[0].etag, "");
    assert_int_equal(d.out.objects[0].last_modified_ns, 0);
    parsed_done(&d);
    /* without EncodingType nothing is decoded */
    assert_int_equal(parse_inside("<Contents><Key>a+b%20</Key><Size>1</Size>"
                                  "<ETag>W/&quot;x&quot;</ETag></Contents>",
                                  &d),
                     0);
    assert_string_equal(d.out.objects[0].key, "a+b%20");
    assert_string_equal(d.out.objects[0].etag, "W/\"x\"");
    parsed_done(&d);
    /* and the order of the elements does not matter */
    assert_int_equal(parse_inside("<Contents><Size>1</Size><Key>a+b%2B</Key></Contents>"
                                  "<EncodingType>url</EncodingType>",
                                  &d),
                     0);
    assert_string_equal(d.out.objects[0].key, "a b+");
    parsed_done(&d);
}

/* Ceph writes control characters as references that XML 1.0 does not allow, and U+FFFF as it is;
 * others write whatever a key has. One such key must not hide all that is listed with it. */
static void test_what_xml_cannot_hold(void **state)
{
    static const struct {
        const char *text, *key;
    } rows[] = {
        {"a&#x01;b&#x1F;&#31;&#x000a;&#13;&amp;#x01;&quot;&#65;", "a\x01"
                                                                  "b\x1f\x1f\n\r&#x01;\"A"},
        {"\x01"
         "b\x1f",
         "\x01"
         "b\x1f"},
        {"\xef\xbf\xbf/\xef\xbf\xbe", "\xef\xbf\xbf/\xef\xbf\xbe"},
        {"&#xFFFE;&#65535;", "\xef\xbf\xbe\xef\xbf\xbf"},
        {"caf\xe9", "caf\xe9"},
        {"\xe9\xe9 \xf0\x9f\x97 \xed\xa0\x80\xc0\xaf\xf5",
         "\xe9\xe9 \xf0\x9f\x97 \xed\xa0\x80\xc0\xaf\xf5"},
        /* what passes as it is */
        {"\xc3\xa9\xe6\x97\xa5\xf0\x9f\x97\x91&#x1F5D1;",
         "\xc3\xa9\xe6\x97\xa5\xf0\x9f\x97\x91\xf0\x9f\x97\x91"},
        {"\xef\xbf\xbd\xef\xbb\xbf\xee\x80\x80", "\xef\xbf\xbd\xef\xbb\xbf\xee\x80\x80"},
        /* stand-ins that come for themselves, beside what they stand for */
        {"\xf4\x8f\xbc\x81&#x10FF02;&#x1;\x01", "\xf4\x8f\xbc\x81\xf4\x8f\xbc\x82\x01\x01"},
        {"\xf4\x8f\xbf\xbf\xf4\x8f\xbb\xbf&#1114111;",
         "\xf4\x8f\xbf\xbf\xf4\x8f\xbb\xbf\xf4\x8f\xbf\xbf"},
    };
    static const char begin[] = "<ListBucketResult><IsTruncated>false</IsTruncated><Other>\xff\x02"
                                "&#x02;</Other><Contents><Key>";
    static const char end[] = "</Key><Size>1</Size></Contents></ListBucketResult>";
    struct parsed d;

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        char text[512];
        int len = snprintf(text, sizeof(text), "%s%s%s", begin, rows[i].text, end);
        for (size_t chunk = 1; chunk <= (size_t)len; chunk++) {
            assert_int_equal(parse_len(text, (size_t)len, chunk, &d), 0);
            assert_string_equal(d.out.objects[0].key, rows[i].key);
            parsed_done(&d);
        }
    }
    /* What is no character, and what no key can hold, stay errors. */
    static const char *const bad[] = {"&#xD800;", "&#0;", "&#x110000;", "&foo;", "&;", "& "};
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        char text[512];
        int len = snprintf(text, sizeof(text), "%s%s%s", begin, bad[i], end);
        for (size_t chunk = 1; chunk <= (size_t)len; chunk++) {
            assert_int_equal(parse_len(text, (size_t)len, chunk, &d), -EBADMSG);
            parsed_done(&d);
        }
    }
}

static void test_entities_are_refused(void **state)
{
    static const char *const attacks[] = {
        "<!DOCTYPE ListBucketResult [<!ENTITY a \"x\">]><ListBucketResult><IsTruncated>false"
        "</IsTruncated><Contents><Key>&a;</Key><Size>1</Size></Contents></ListBucketResult>",
        "<!DOCTYPE l [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">"
        "<!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;\">]><ListBucketResult>&c;</ListBucketResult>",
        "<!DOCTYPE l [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><ListBucketResult>"
        "<IsTruncated>false</IsTruncated><Contents><Key>&x;</Key><Size>1</Size></Contents>"
        "</ListBucketResult>",
        "<!DOCTYPE ListBucketResult SYSTEM \"http://127.0.0.1:1/dtd\"><ListBucketResult>"
        "<IsTruncated>false</IsTruncated></ListBucketResult>",
        "<!DOCTYPE l [<!ATTLIST ListBucketResult a CDATA \"b\">]><ListBucketResult>"
        "<IsTruncated>false</IsTruncated></ListBucketResult>",
        "<!DOCTYPE l [<!ENTITY % p SYSTEM \"file:///etc/passwd\"> %p;]><ListBucketResult>"
        "<IsTruncated>false</IsTruncated></ListBucketResult>",
    };
    struct parsed d;

    for (size_t i = 0; i < ARRAY_SIZE(attacks); i++) {
        for (size_t chunk = 1; chunk < 400; chunk += 57) {
            assert_int_equal(parse_len(attacks[i], strlen(attacks[i]), chunk, &d), -EBADMSG);
            assert_null(d.out.objects);
            parsed_done(&d);
        }
    }
}

static void test_caps(void **state)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(LIMIT_XML_BODY + 4096);
    struct parsed d;

    /* depth: root, Contents and so on count */
    for (unsigned i = 0; i < LIMIT_XML_DEPTH - 1; i++)
        strbuf_append_str(&sb, "<a>");
    for (unsigned i = 0; i < LIMIT_XML_DEPTH - 1; i++)
        strbuf_append_str(&sb, "</a>");
    assert_int_equal(parse_inside(strbuf_str(&sb), &d), 0);
    parsed_done(&d);
    strbuf_reset(&sb);
    for (unsigned i = 0; i < LIMIT_XML_DEPTH; i++)
        strbuf_append_str(&sb, "<a>");
    assert_int_equal(parse_inside(strbuf_str(&sb), &d), -EBADMSG);
    parsed_done(&d);

    /* text of one element */
    for (size_t len = LIMIT_XML_TEXT; len <= LIMIT_XML_TEXT + 1; len++) {
        strbuf_reset(&sb);
        strbuf_append_str(&sb, "<Contents><Size>1</Size><Key>");
        for (size_t i = 0; i < len; i++)
            strbuf_append_char(&sb, 'k');
        strbuf_append_str(&sb, "</Key></Contents>");
        assert_int_equal(parse_inside(strbuf_str(&sb), &d), len > LIMIT_XML_TEXT ? -EBADMSG : 0);
        parsed_done(&d);
    }

    /* the whole document */
    strbuf_reset(&sb);
    strbuf_append_str(&sb, "<ListBucketResult><IsTruncated>false</IsTruncated>");
    while (sb.len < LIMIT_XML_BODY - 19)
        strbuf_append_char(&sb, ' ');
    strbuf_append_str(&sb, "</ListBucketResult>");
    assert_int_equal(sb.len, LIMIT_XML_BODY);
    assert_int_equal(parse_len(sb.data, sb.len, 65536, &d), 0);
    parsed_done(&d);
    strbuf_append_char(&sb, '\n');
    assert_int_equal(parse_len(sb.data, sb.len, 65536, &d), -EBADMSG);
    parsed_done(&d);
}

static void test_arena_full(void **state)
{
    struct parsed d = {0};

    arena_init(&d.out.arena, 64);
    assert_int_equal(parse_with(&s3_xml_list_objects_v2, &d.out, &d.out.arena, page,
                                sizeof(page) - 1, sizeof(page), &d),
                     -ENOMEM);
    parsed_done(&d);
}

static void test_error_document(void **state)
{
    static const char text[] =
        "\n \n<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>a &lt;b&gt;</Message>"
        "<RequestId>4442587FB7D0A2F9</RequestId><Region>eu-west-1</Region><Extra/></Error>";
    struct parsed d;

    assert_int_equal(parse(text, &d), 0);
    assert_true(d.is_error);
    assert_string_equal(d.s3_error.code, "SlowDown");
    assert_string_equal(d.s3_error.message, "a <b>");
    assert_string_equal(d.s3_error.region, "eu-west-1");
    assert_string_equal(d.s3_error.request_id, "4442587FB7D0A2F9");
    assert_null(d.out.objects);
    parsed_done(&d);
    assert_int_equal(parse("<Error><Message>without a code</Message></Error>", &d), -EBADMSG);
    parsed_done(&d);
    assert_int_equal(parse("<Error><Code>SlowDown</Code>", &d), -EBADMSG);
    assert_false(d.is_error);
    parsed_done(&d);
}

static void test_chars_and_root_value(void **state)
{
    struct s3_get_bucket_location_out out = {0};
    struct parsed d = {0};
    struct arena arena = ARENA_INIT(4096);
    const char *text = "<LocationConstraint " NS ">eu-central-1</LocationConstraint>";

    assert_int_equal(parse_with(&s3_xml_bucket_location, &out, &arena, text, strlen(text), 3, &d),
                     0);
    assert_string_equal(out.location, "eu-central-1");
    text = "<LocationConstraint>0123456789012345678901234567890123456789012345678901234567890123"
           "</LocationConstraint>";
    assert_int_equal(parse_with(&s3_xml_bucket_location, &out, &arena, text, strlen(text), 99, &d),
                     -EBADMSG);
    arena_done(&arena);
}

/* ---- out of memory ---- */

static void test_no_memory(void **state)
{
    struct parsed d;
    int r = 0;

    for (long n = 0;; n++) {
        alloc_fail_begin(n);
        r = parse(page, &d);
        if (!alloc_fail_end())
            break;
        /* Ours say so; libxml2 may report its own as any error, but never as a shorter page. */
        if (r == 0)
            check_page(&d);
        else
            assert_true(r == -ENOMEM || r == -EBADMSG);
        parsed_done(&d);
    }
    assert_int_equal(r, 0);
    check_page(&d);
    parsed_done(&d);
}

/* ---- writing ---- */

static void test_write_element(void **state)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(4096);
    static const char *const impossible[] = {"\x01",         "a\x1f",        "\xff",        "\xc3",
                                             "\xef\xbf\xbe", "\xef\xbf\xbf", "\xed\xa0\x80"};

    assert_int_equal(xml_write_element(&sb, "Key", "a&b<c>\"d'\r\n\t\xc3\xa4\xef\xbf\xbd"), 0);
    assert_string_equal(strbuf_str(&sb),
                        "<Key>a&amp;b&lt;c&gt;&quot;d'&#13;\n\t\xc3\xa4\xef\xbf\xbd</Key>");
    size_t len = sb.len;
    for (size_t i = 0; i < ARRAY_SIZE(impossible); i++) {
        assert_int_equal(xml_write_element(&sb, "Key", impossible[i]), -EILSEQ);
        assert_int_equal(sb.len, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_in_any_chunks),
        cmocka_unit_test(test_every_prefix_is_an_error),
        cmocka_unit_test(test_damaged_tags_are_errors),
        cmocka_unit_test(test_minimal_page),
        cmocka_unit_test(test_impossible_values),
        cmocka_unit_test(test_optional_values),
        cmocka_unit_test(test_what_xml_cannot_hold),
        cmocka_unit_test(test_entities_are_refused),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_arena_full),
        cmocka_unit_test(test_error_document),
        cmocka_unit_test(test_chars_and_root_value),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_write_element),
    };

    /* So that libxml2's allocations fail too. */
    xmlMemSetup(free, malloc, realloc, strdup);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
