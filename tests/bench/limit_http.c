/* SPDX-License-Identifier: Apache-2.0 */
#include "limit_http.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "meter.h"
#include "pattern.h"

#define URL_MAX 6000

static const char *endpoint, *bucket, *access_key, *secret_key, *ca_bundle;

struct transfer {
    const struct limit_request *request;
    struct limit_answer *answer; /* or NULL */
    uint64_t start;              /* of the object's bytes */
    uint64_t at;                 /* bytes sent or received so far */
    CURL *curl;
    bool wrong;
};

bool limit_http_init(void)
{
    access_key = getenv("AWS_ACCESS_KEY_ID");
    secret_key = getenv("AWS_SECRET_ACCESS_KEY");
    endpoint = getenv("S3_ENDPOINT");
    bucket = getenv("BUCKET");
    ca_bundle = getenv("CURL_CA_BUNDLE");
    curl_global_init(CURL_GLOBAL_DEFAULT);
    return access_key && secret_key && endpoint && bucket;
}

const char *limit_bucket(void)
{
    return bucket;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    struct limit_answer *a = t->answer;
    size_t len = size * n;
    long status = 0;
    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    if (t->request->compare && status / 100 == 2) {
        uint64_t from = t->request->offset + t->at;
        uint64_t same = pattern_compare((const uint8_t *)data, len, t->start, from);
        if (same < len) {
            fprintf(stderr, "limit: WRONG CONTENT: '%s' has a wrong byte at %" PRIu64 "\n",
                    t->request->key, from + same);
            t->wrong = true;
            return 0;
        }
        meter_add(len);
    }
    t->at += len;
    if (a && a->text && a->len + len < LIMIT_TEXT_MAX) {
        memcpy(a->text + a->len, data, len);
        a->len += len;
        a->text[a->len] = '\0';
    }
    return len;
}

static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    if (t->answer && n > 6 && strncasecmp(data, "ETag:", 5) == 0)
        (void)sscanf(data + 5, " %127[^\r\n]", t->answer->etag);
    return size * n;
}

static size_t on_read(char *to, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;
    uint64_t left = t->request->size - t->at;
    size_t len = size * n < left ? size * n : (size_t)left;
    if (len > PATTERN_SLICE)
        len = PATTERN_SLICE;
    if (t->request->text)
        memcpy(to, t->request->text + t->at, len);
    else
        memcpy(to, pattern_at(t->start, t->request->offset + t->at), len);
    t->at += len;
    if (!t->request->text)
        meter_add(len);
    return len;
}

/* ---- presigned URLs (Signature Version 4 in the query) ---- */

static void hmac(const void *key, size_t key_len, const char *text, uint8_t out[32])
{
    unsigned len = 32;
    HMAC(EVP_sha256(), key, (int)key_len, (const uint8_t *)text, strlen(text), out, &len);
}

static void hex_of(const uint8_t *bytes, char hex[65])
{
    for (int i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

/* Keys as the benchmark makes them need no escaping; a query begins with a lower case letter. */
static void url_of(const struct limit_request *r, char url[URL_MAX])
{
    const char *host = strstr(endpoint, "://");
    char date[32], day[16], args[URL_MAX / 2], text[2 * URL_MAX], hex[65], start[512];
    char headers[3 * LIMIT_KEY_MAX];
    uint8_t k[32];
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &tm);
    strftime(day, sizeof(day), "%Y%m%d", &tm);
    host = host ? host + 3 : endpoint;
    snprintf(headers, sizeof(headers), "host:%s\n%s%s%s%s%s%s", host,
             r->copy_source ? "x-amz-copy-source:" : "", r->copy_source ? r->copy_source : "",
             r->copy_source ? "\n" : "", r->copy_source_range ? "x-amz-copy-source-range:" : "",
             r->copy_source_range ? r->copy_source_range : "", r->copy_source_range ? "\n" : "");
    const char *names = r->copy_source_range ? "host;x-amz-copy-source;x-amz-copy-source-range"
                        : r->copy_source     ? "host;x-amz-copy-source"
                                             : "host";
    const char *escaped = r->copy_source_range
                              ? "host%3Bx-amz-copy-source%3Bx-amz-copy-source-range"
                          : r->copy_source ? "host%3Bx-amz-copy-source"
                                           : "host";
    snprintf(args, sizeof(args),
             "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%s%%2F%s%%2Fus-east-1%%2Fs3%%2F"
             "aws4_request&X-Amz-Date=%s&X-Amz-Expires=86400&X-Amz-SignedHeaders=%s%s%s",
             access_key, day, date, escaped, r->query ? "&" : "", r->query ? r->query : "");
    snprintf(text, sizeof(text), "%s\n/%s/%s\n%s\n%s\n%s\nUNSIGNED-PAYLOAD", r->method, bucket,
             r->key, args, headers, names);
    EVP_Digest(text, strlen(text), k, NULL, EVP_sha256(), NULL);
    hex_of(k, hex);
    snprintf(text, sizeof(text), "AWS4-HMAC-SHA256\n%s\n%s/us-east-1/s3/aws4_request\n%s", date,
             day, hex);
    snprintf(start, sizeof(start), "AWS4%s", secret_key);
    hmac(start, strlen(start), day, k);
    hmac(k, 32, "us-east-1", k);
    hmac(k, 32, "s3", k);
    hmac(k, 32, "aws4_request", k);
    hmac(k, 32, text, k);
    hex_of(k, hex);
    snprintf(url, URL_MAX, "%s/%s/%s?%s&X-Amz-Signature=%s", endpoint, bucket, r->key, args, hex);
}

static struct curl_slist *headers_of(const struct limit_request *r)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    char line[LIMIT_KEY_MAX + 64], sum[32];
    uint8_t md5[16];
    list = curl_slist_append(list, "Content-Type:");
    if (r->copy_source) {
        snprintf(line, sizeof(line), "x-amz-copy-source: %s", r->copy_source);
        list = curl_slist_append(list, line);
    }
    if (r->copy_source_range) {
        snprintf(line, sizeof(line), "x-amz-copy-source-range: %s", r->copy_source_range);
        list = curl_slist_append(list, line);
    }
    if (r->query && strcmp(r->query, "delete=") == 0) { /* the only one that wants a digest */
        EVP_Digest(r->text, r->size, md5, NULL, EVP_md5(), NULL);
        EVP_EncodeBlock((uint8_t *)sum, md5, sizeof(md5));
        snprintf(line, sizeof(line), "Content-MD5: %s", sum);
        list = curl_slist_append(list, line);
    }
    return list;
}

bool limit_perform(CURL *c, const struct limit_request *r, struct limit_answer *ret)
{
    struct transfer t = {.request = r, .answer = ret, .start = pattern_start(r->key), .curl = c};
    struct curl_slist *headers = headers_of(r);
    bool upload = strcmp(r->method, "PUT") == 0 || strcmp(r->method, "POST") == 0;
    char url[URL_MAX], range[64];
    long status = 0;
    url_of(r, url);
    curl_easy_reset(c);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256L << 10);
    curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, &t);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, &t);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    if (ca_bundle)
        curl_easy_setopt(c, CURLOPT_CAINFO, ca_bundle);
    if (upload) {
        curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(c, CURLOPT_READDATA, &t);
        curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->size);
    }
    if (strcmp(r->method, "GET") != 0)
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, r->method);
    if (strcmp(r->method, "GET") == 0 && r->size) {
        snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64, r->offset, r->offset + r->size - 1);
        curl_easy_setopt(c, CURLOPT_RANGE, range);
    }
    CURLcode code = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    if (code != CURLE_OK || status / 100 != 2 || t.wrong) {
        fprintf(stderr, "limit: %s %s: %s, status %ld\n", r->method, r->key,
                curl_easy_strerror(code), status);
        return false;
    }
    uint64_t want = r->size && r->compare ? r->size : r->whole;
    if (want && r->compare && t.at != want) {
        fprintf(stderr, "limit: WRONG CONTENT: '%s' has %" PRIu64 " bytes, not %" PRIu64 "\n",
                r->key, t.at, want);
        return false;
    }
    return true;
}
