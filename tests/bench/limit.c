/* SPDX-License-Identifier: Apache-2.0 */
/* What the wire gives: the requests of a workload sent by plain libcurl, one easy handle per
 * thread, bodies thrown away or made of zeros. The benchmark divides by its times.
 *
 *     limit get KEY BYTES PART CONCURRENCY        ranges of one object
 *     limit each FILE CONCURRENCY                 whole objects, one key a line
 *     limit range FILE CONCURRENCY                "KEY OFFSET LENGTH" a line
 *     limit put KEY BYTES PART CONCURRENCY        a multipart upload, or one PUT when it fits a
 * part limit puts PREFIX N BYTES CONCURRENCY       N objects limit list PREFIX pages one after the
 * other, no delimiter limit delete FILE CONCURRENCY               one DELETE per key Endpoint,
 * bucket and keys: S3_ENDPOINT, BUCKET, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY. Path style,
 * presigned URLs. A failed request ends it with status 1. */
#include <curl/curl.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEXT_MAX (8u << 20) /* bytes kept of an answer */
#define URL_MAX  4096

struct request {
    const char *method;
    char url[URL_MAX];
    char range[64];
    const char *body; /* NULL = size zeros */
    uint64_t size;    /* of the body; only with PUT and POST */
};

struct answer { /* kept only where asked for */
    char *text;
    size_t len;
    char etag[128];
};

struct job {
    size_t n;
    bool (*make)(const struct job *j, size_t i, struct request *r);
    void (*done)(const struct job *j, size_t i, struct answer *a);
    const char *key;
    const char *upload_id;
    uint64_t bytes, part;
    char **lines;
    char (*etags)[128];
    bool keep;
};

static const char *endpoint, *bucket, *access_key, *secret_key;
static _Atomic size_t next;
static _Atomic bool failed;

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
    struct answer *a = ctx;
    size_t len = size * n;
    if (a && a->text && a->len + len < TEXT_MAX) {
        memcpy(a->text + a->len, data, len);
        a->len += len;
        a->text[a->len] = '\0';
    }
    return len;
}

static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
    struct answer *a = ctx;
    if (a && n > 6 && strncasecmp(data, "ETag:", 5) == 0)
        (void)sscanf(data + 5, " %127[^\r\n]", a->etag);
    return size * n;
}

struct source {
    const char *body;
    uint64_t left;
};

static size_t on_read(char *to, size_t size, size_t n, void *ctx)
{
    struct source *s = ctx;
    size_t len = size * n < s->left ? size * n : (size_t)s->left;
    if (s->body) {
        memcpy(to, s->body, len);
        s->body += len;
    } else {
        memset(to, 0, len);
    }
    s->left -= len;
    return len;
}

static bool perform(CURL *c, const struct request *r, struct answer *a)
{
    struct source source = {.body = r->body, .left = r->size};
    struct curl_slist *headers = NULL;
    bool upload = strcmp(r->method, "PUT") == 0 || strcmp(r->method, "POST") == 0;
    long status = 0;
    headers = curl_slist_append(headers, "Expect:");
    headers = curl_slist_append(headers, "Content-Type:");
    curl_easy_reset(c);
    curl_easy_setopt(c, CURLOPT_URL, r->url);
    curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 256L << 10);
    curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, a);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, a);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    if (upload) {
        curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(c, CURLOPT_READDATA, &source);
        curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)r->size);
    }
    if (strcmp(r->method, "GET") != 0)
        curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, r->method);
    if (r->range[0])
        curl_easy_setopt(c, CURLOPT_RANGE, r->range);
    CURLcode code = curl_easy_perform(c);
    curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &status);
    curl_slist_free_all(headers);
    if (code != CURLE_OK || status / 100 != 2) {
        fprintf(stderr, "limit: %s %s: %s, status %ld\n", r->method, r->url,
                curl_easy_strerror(code), status);
        return false;
    }
    return true;
}

static void *work(void *ctx)
{
    const struct job *j = ctx;
    CURL *c = curl_easy_init();
    struct answer a = {.text = j->keep ? malloc(TEXT_MAX) : NULL};
    while (c && !failed) {
        struct request r = {.method = "GET"};
        size_t i = next++;
        if (i >= j->n)
            break;
        a.len = 0;
        if (!j->make(j, i, &r) || !perform(c, &r, &a))
            failed = true;
        else if (j->done)
            j->done(j, i, &a);
    }
    if (!c)
        failed = true;
    free(a.text);
    curl_easy_cleanup(c);
    return NULL;
}

static int run(struct job *j, size_t n_threads)
{
    pthread_t threads[1024];
    size_t n = n_threads < j->n ? n_threads : j->n, started = 0;
    next = 0;
    for (; started < n && started < 1024; started++)
        if (pthread_create(&threads[started], NULL, work, j))
            break;
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    return started == 0 || failed;
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

/* Keys as the benchmark makes them need no escaping; query: sorted and escaped, lower case first
 * letters, "" or "name=value&...". */
static void url_of(const char *method, const char *key, const char *query, char url[URL_MAX])
{
    const char *host = strstr(endpoint, "://");
    char date[32], day[16], args[3 * URL_MAX / 4], text[2 * URL_MAX], hex[65], start[512];
    uint8_t k[32];
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", &tm);
    strftime(day, sizeof(day), "%Y%m%d", &tm);
    snprintf(args, sizeof(args),
             "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=%s%%2F%s%%2Fus-east-1%%2Fs3%%2F"
             "aws4_request&X-Amz-Date=%s&X-Amz-Expires=86400&X-Amz-SignedHeaders=host%s%s",
             access_key, day, date, query[0] ? "&" : "", query);
    snprintf(text, sizeof(text), "%s\n/%s/%s\n%s\nhost:%s\n\nhost\nUNSIGNED-PAYLOAD", method,
             bucket, key, args, host ? host + 3 : endpoint);
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
    snprintf(url, URL_MAX, "%s/%s/%s?%s&X-Amz-Signature=%s", endpoint, bucket, key, args, hex);
}

/* ---- jobs ---- */

static bool make_get(const struct job *j, size_t i, struct request *r)
{
    uint64_t from = i * j->part, to = from + j->part < j->bytes ? from + j->part : j->bytes;
    url_of(r->method, j->key, "", r->url);
    snprintf(r->range, sizeof(r->range), "%llu-%llu", (unsigned long long)from,
             (unsigned long long)to - 1);
    return true;
}

static bool make_each(const struct job *j, size_t i, struct request *r)
{
    url_of(r->method, j->lines[i], "", r->url);
    return true;
}

static bool make_range(const struct job *j, size_t i, struct request *r)
{
    char key[1100];
    unsigned long long offset, length;
    if (sscanf(j->lines[i], "%1099s %llu %llu", key, &offset, &length) != 3)
        return false;
    url_of(r->method, key, "", r->url);
    snprintf(r->range, sizeof(r->range), "%llu-%llu", offset, offset + length - 1);
    return true;
}

static bool make_delete(const struct job *j, size_t i, struct request *r)
{
    r->method = "DELETE";
    url_of(r->method, j->lines[i], "", r->url);
    return true;
}

static bool make_puts(const struct job *j, size_t i, struct request *r)
{
    char key[1100];
    snprintf(key, sizeof(key), "%s%06zu", j->key, i);
    r->method = "PUT";
    r->size = j->bytes;
    url_of(r->method, key, "", r->url);
    return true;
}

static bool make_part(const struct job *j, size_t i, struct request *r)
{
    char query[1500];
    uint64_t from = i * j->part;
    snprintf(query, sizeof(query), "partNumber=%zu&uploadId=%s", i + 1, j->upload_id);
    r->method = "PUT";
    r->size = j->bytes - from < j->part ? j->bytes - from : j->part;
    url_of(r->method, j->key, query, r->url);
    return true;
}

static void done_part(const struct job *j, size_t i, struct answer *a)
{
    memcpy(j->etags[i], a->etag, sizeof(j->etags[i]));
}

static bool element(const char *xml, const char *name, char *to, size_t size)
{
    char open[64];
    snprintf(open, sizeof(open), "<%s>", name);
    const char *at = strstr(xml, open);
    if (!at)
        return false;
    at += strlen(open);
    size_t len = strcspn(at, "<");
    if (len >= size)
        return false;
    memcpy(to, at, len);
    to[len] = '\0';
    return true;
}

static int put(const char *key, uint64_t bytes, uint64_t part, size_t concurrency)
{
    struct job j = {
        .n = (size_t)((bytes + part - 1) / part), .key = key, .bytes = bytes, .part = part};
    struct answer a = {.text = malloc(TEXT_MAX)};
    CURL *c = curl_easy_init();
    char id[1024] = "";
    int r = 1;
    if (!c || !a.text)
        goto out;
    if (j.n <= 1) {
        struct request one = {.method = "PUT", .size = bytes};
        url_of("PUT", key, "", one.url);
        r = !perform(c, &one, &a);
        goto out;
    }
    struct request begin = {.method = "POST"};
    url_of("POST", key, "uploads=", begin.url);
    j.etags = calloc(j.n, sizeof(*j.etags));
    j.make = make_part;
    j.done = done_part;
    j.upload_id = id;
    if (!j.etags || !perform(c, &begin, &a) || !element(a.text, "UploadId", id, sizeof(id)) ||
        run(&j, concurrency))
        goto out;
    size_t room = 200 + j.n * 256, len = 0;
    char *xml = malloc(room);
    struct request end = {.method = "POST", .body = xml};
    char query[1100];
    if (!xml)
        goto out;
    len += (size_t)snprintf(xml, room, "<CompleteMultipartUpload>");
    for (size_t i = 0; i < j.n; i++)
        len += (size_t)snprintf(xml + len, room - len,
                                "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag></Part>", i + 1,
                                j.etags[i]);
    len += (size_t)snprintf(xml + len, room - len, "</CompleteMultipartUpload>");
    end.size = len;
    snprintf(query, sizeof(query), "uploadId=%s", id);
    url_of("POST", key, query, end.url);
    r = !perform(c, &end, &a);
    free(xml);
out:
    free(j.etags);
    free(a.text);
    curl_easy_cleanup(c);
    return r;
}

static int list(const char *prefix_text)
{
    CURL *c = curl_easy_init();
    char *prefix = c ? curl_easy_escape(c, prefix_text, 0) : NULL;
    struct answer a = {.text = malloc(TEXT_MAX)};
    char token[2048] = "", query[3000];
    size_t pages = 0;
    bool more = prefix && a.text, ok = more;
    while (more && ok) {
        struct request r = {.method = "GET"};
        char *escaped = token[0] ? curl_easy_escape(c, token, 0) : NULL;
        /* In the order that the signature wants. */
        snprintf(query, sizeof(query), "%s%s%slist-type=2&prefix=%s",
                 escaped ? "continuation-token=" : "", escaped ? escaped : "", escaped ? "&" : "",
                 prefix);
        curl_free(escaped);
        url_of("GET", "", query, r.url);
        a.len = 0;
        ok = perform(c, &r, &a);
        more = ok && element(a.text, "NextContinuationToken", token, sizeof(token));
        pages++;
    }
    printf("%zu pages\n", pages);
    curl_free(prefix);
    free(a.text);
    curl_easy_cleanup(c);
    return !ok;
}

static char **read_lines(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "re");
    char **lines = NULL, *line = NULL;
    size_t n = 0, size = 0;
    ssize_t len;
    while (f && (len = getline(&line, &size, f)) > 0) {
        char **bigger = realloc(lines, (n + 1) * sizeof(*lines));
        if (!bigger)
            exit(1);
        lines = bigger;
        if (line[len - 1] == '\n')
            line[len - 1] = '\0';
        if (!(lines[n++] = strdup(line)))
            exit(1);
    }
    if (!f) {
        fprintf(stderr, "limit: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    free(line);
    fclose(f);
    *ret_n = n;
    return lines;
}

static int by_lines(bool (*make)(const struct job *, size_t, struct request *), char **argv)
{
    struct job j = {.make = make};
    j.lines = read_lines(argv[0], &j.n);
    return run(&j, strtoul(argv[1], NULL, 10));
}

int main(int argc, char **argv)
{
    access_key = getenv("AWS_ACCESS_KEY_ID");
    secret_key = getenv("AWS_SECRET_ACCESS_KEY");
    endpoint = getenv("S3_ENDPOINT");
    bucket = getenv("BUCKET");
    if (!access_key || !secret_key || !endpoint || !bucket || argc < 3) {
        fputs("limit: see the head of limit.c for the arguments and the environment\n", stderr);
        return 2;
    }
    curl_global_init(CURL_GLOBAL_DEFAULT);
    const char *word = argv[1];
    char **arg = argv + 2;
    int n = argc - 2;
    if (strcmp(word, "get") == 0 && n == 4) {
        struct job j = {.make = make_get,
                        .key = arg[0],
                        .bytes = strtoull(arg[1], NULL, 10),
                        .part = strtoull(arg[2], NULL, 10)};
        if (j.part == 0)
            return 2;
        j.n = (size_t)((j.bytes + j.part - 1) / j.part);
        return run(&j, strtoul(arg[3], NULL, 10));
    }
    if (strcmp(word, "put") == 0 && n == 4 && strtoull(arg[2], NULL, 10) > 0)
        return put(arg[0], strtoull(arg[1], NULL, 10), strtoull(arg[2], NULL, 10),
                   strtoul(arg[3], NULL, 10));
    if (strcmp(word, "puts") == 0 && n == 4) {
        struct job j = {.make = make_puts,
                        .key = arg[0],
                        .n = strtoul(arg[1], NULL, 10),
                        .bytes = strtoull(arg[2], NULL, 10)};
        return run(&j, strtoul(arg[3], NULL, 10));
    }
    if (strcmp(word, "each") == 0 && n == 2)
        return by_lines(make_each, arg);
    if (strcmp(word, "range") == 0 && n == 2)
        return by_lines(make_range, arg);
    if (strcmp(word, "delete") == 0 && n == 2)
        return by_lines(make_delete, arg);
    if (strcmp(word, "list") == 0 && n == 1)
        return list(arg[0]);
    fprintf(stderr, "limit: '%s' with %d arguments: see the head of limit.c\n", word, n);
    return 2;
}
