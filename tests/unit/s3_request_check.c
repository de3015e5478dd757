/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/attr.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/strbuf.h"
#include "s3_request_check.h"

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Takes the headers apart: *own gets those that every request has checked, the rest goes to
 * `others`, a line each. */
static void split_headers(const char *headers, struct strbuf *others, struct strbuf *signed_names)
{
    static const char *const every[] = {"Host", "x-amz-date", "x-amz-content-sha256"};
    char *names[64];
    size_t n = 0;

    for (const char *p = headers; *p;) {
        size_t len = strcspn(p, "\n");
        size_t name_len = strcspn(p, ":");
        bool own = false;
        for (size_t i = 0; i < ARRAY_SIZE(every); i++)
            own = own || (strlen(every[i]) == name_len && !strncasecmp(p, every[i], name_len));
        if (strncmp(p, "Authorization", name_len) != 0) {
            names[n] = strndup(p, name_len);
            for (char *c = names[n]; *c; c++)
                *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
            n++;
            if (!own)
                strbuf_append(others, p, len + 1);
        }
        p += len + (p[len] == '\n');
    }
    qsort(names, n, sizeof(names[0]), compare_strings);
    for (size_t i = 0; i < n; i++) {
        strbuf_appendf(signed_names, "%s%s", i ? ";" : "", names[i]);
        free(names[i]);
    }
}

void check_payload_hash(const struct bed *b, size_t index, bool unsigned_payload)
{
    const struct http_fake_request *r = bed_request(b, index);
    uint8_t hash[DIGEST_SHA256_SIZE];
    char hex[2 * DIGEST_SHA256_SIZE + 1];

    assert_int_equal(digest_buffer(DIGEST_SHA256, r->body, r->body_len, hash), 0);
    encode_hex(hash, sizeof(hash), hex);
    assert_string_equal(bed_header(b, index, "x-amz-content-sha256"),
                        unsigned_payload ? "UNSIGNED-PAYLOAD" : hex);
}

void check_request(const struct bed *b, const char *method, const char *host, const char *target,
                   const char *headers, const char *body, bool unsigned_payload)
{
    CLEANUP_STRBUF struct strbuf others = STRBUF_INIT(65536);
    CLEANUP_STRBUF struct strbuf names = STRBUF_INIT(65536);
    const struct http_fake_request *r = bed_request(b, 0);
    char text[2048];

    assert_int_equal(bed_requests(b), 1);
    assert_string_equal(http_method_name(r->method), method);
    (void)snprintf(text, sizeof(text), "https://%s%s", host, target);
    assert_string_equal(r->url, text);
    split_headers(r->headers, &others, &names);
    assert_string_equal(strbuf_str(&others), headers);
    assert_string_equal(r->body, body);
    assert_string_equal(bed_header(b, 0, "Host"), host);
    assert_string_equal(bed_header(b, 0, "x-amz-date"), BED_DATE);
    check_payload_hash(b, 0, unsigned_payload);
    (void)snprintf(text, sizeof(text),
                   "AWS4-HMAC-SHA256 Credential=AKID/20261122/us-east-1/s3/aws4_request, "
                   "SignedHeaders=%s, Signature=",
                   strbuf_str(&names));
    assert_int_equal(strncmp(bed_header(b, 0, "Authorization"), text, strlen(text)), 0);
    assert_int_equal(strlen(bed_header(b, 0, "Authorization")), strlen(text) + 64);
}
