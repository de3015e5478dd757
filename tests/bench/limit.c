/* SPDX-License-Identifier: Apache-2.0 */
/* What the wire gives: the requests of a workload sent by plain libcurl, one easy handle per
 * thread. The benchmark divides by its times, fills the bucket with it, and compares with it what
 * was stored: bodies are what pattern.h says, and every byte that arrives is compared. Path style,
 * presigned URLs. A failed request or a wrong byte ends it with status 1; else it prints
 * "seconds N". */
/* What the wire gives: the requests of a workload sent by plain libcurl, one easy handle per
 * thread. The benchmark divides by its times, fills the bucket with it, and compares with it what
 * was stored: bodies are what pattern.h says, and every byte that arrives is compared.
 *
 *     limit [-t FILE] get CONCURRENCY PART KEY BYTES [KEY BYTES ...]    ranges of objects, one
 * after the other limit [-t FILE] put CONCURRENCY PART KEY BYTES [KEY BYTES ...]    multipart
 * uploads side by side, or one PUT where it fits a part; CONCURRENCY for each limit each LIST
 * CONCURRENCY BYTES       whole objects, one key a line; BYTES each, 0: any, not compared limit
 * range LIST CONCURRENCY            "KEY OFFSET LENGTH" a line limit puts LIST BYTES CONCURRENCY an
 * object a line limit list PREFIX                       pages one after the other, no delimiter
 *     limit delete LIST CONCURRENCY           one DELETE per key
 *     limit batch LIST                        DeleteObjects, 1,000 keys each
 *     limit copy LIST CONCURRENCY             "FROM TO" a line: one CopyObject each
 *     limit move LIST CONCURRENCY             the same, and a DELETE of FROM each
 *     limit patch KEY BYTES OFFSET            a new version by copies of what is before and behind
 * 5 MiB round OFFSET, which are uploaded limit append KEY BYTES MORE             a new version by a
 * copy and an upload of MORE bytes limit repeat KEY BYTES FROM TIMES       KEY is FROM (of BYTES)
 * so many times, by copies of parts
 *
 * Endpoint, bucket and keys: S3_ENDPOINT, BUCKET, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY,
 * CURL_CA_BUNDLE. Path style, presigned URLs. A failed request or a wrong byte ends it with status
 * 1; else it prints "seconds N". */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "limit_http.h"
#include "meter.h"
#include "pattern.h"

static const char usage[] =
    "Usage: limit [-t FILE] COMMAND ...     -t: \"seconds bytes\" so far, a line each 2 ms\n"
    "  get CONCURRENCY PART KEY BYTES [KEY BYTES ...]  ranges of objects, in this order\n"
    "  put CONCURRENCY PART KEY BYTES [KEY BYTES ...]  multipart uploads side by side, "
    "CONCURRENCY\n"
    "                               for each; one PUT where it fits a part\n"
    "  each LIST CONCURRENCY BYTES  whole objects, one key a line; BYTES 0: any, not compared\n"
    "  range LIST CONCURRENCY       \"KEY OFFSET LENGTH\" a line\n"
    "  puts LIST BYTES CONCURRENCY  an object a line\n"
    "  list PREFIX                  pages one after the other, no delimiter\n"
    "  delete LIST CONCURRENCY      one DELETE per key\n"
    "  batch LIST                   DeleteObjects, 1,000 keys each\n"
    "  copy LIST CONCURRENCY        \"FROM TO\" a line: one CopyObject each\n"
    "  move LIST CONCURRENCY        the same, and a DELETE of FROM each\n"
    "  patch KEY BYTES OFFSET       a new version: copies of what is before and behind the 5 MiB\n"
    "                               round OFFSET, which are uploaded\n"
    "  append KEY BYTES MORE        a new version: a copy and an upload of MORE bytes\n"
    "  repeat KEY BYTES FROM TIMES  KEY is FROM (of BYTES) so many times, by copies of parts\n"
    "Environment: S3_ENDPOINT, BUCKET, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, CURL_CA_BUNDLE.\n";

#define THREADS_MAX 1024
#define MIB         ((uint64_t)1 << 20)
#define COPY_MAX    ((uint64_t)5 << 30) /* of one UploadPartCopy */

struct piece { /* of an object: one request */
    const char *key, *from;
    uint64_t offset, size;
    bool copied; /* from `from`, else the object's own bytes */
    char etag[128];
};

struct job {
    bool (*one)(struct job *j, CURL *c, size_t i);
    struct piece *pieces;
    size_t n;
    uint64_t bytes;
    const char *upload_id;
    bool compare;
    _Atomic size_t next;
    size_t n_threads;
};

static void *work(void *ctx)
{
    struct job *j = ctx;
    CURL *c = curl_easy_init();
    size_t i;
    if (!c)
        meter_fail();
    while (c && !meter_failed() && (i = j->next++) < j->n)
        if (!j->one(j, c, i))
            meter_fail();
    curl_easy_cleanup(c);
    return NULL;
}

static void run(struct job *j)
{
    pthread_t threads[THREADS_MAX];
    size_t n = j->n_threads < j->n ? j->n_threads : j->n, started = 0;
    for (; started < n && started < THREADS_MAX; started++)
        if (pthread_create(&threads[started], NULL, work, j))
            break;
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    if (started == 0 && j->n > 0)
        meter_fail();
}

/* ---- one request each ---- */

static bool one_get(struct job *j, CURL *c, size_t i)
{
    struct piece *p = &j->pieces[i];
    struct limit_request r = {.method = "GET",
                              .key = p->key,
                              .offset = p->offset,
                              .size = p->size,
                              .whole = j->bytes,
                              .compare = j->compare};
    return limit_perform(c, &r, NULL);
}

static bool one_put(struct job *j, CURL *c, size_t i)
{
    struct limit_request r = {.method = "PUT", .key = j->pieces[i].key, .size = j->bytes};
    return limit_perform(c, &r, NULL);
}

static bool one_delete(struct job *j, CURL *c, size_t i)
{
    struct limit_request r = {.method = "DELETE", .key = j->pieces[i].key};
    return limit_perform(c, &r, NULL);
}

static bool one_copy(struct job *j, CURL *c, size_t i)
{
    char source[LIMIT_KEY_MAX];
    struct limit_request r = {.method = "PUT", .key = j->pieces[i].key, .copy_source = source};
    snprintf(source, sizeof(source), "/%s/%s", limit_bucket(), j->pieces[i].from);
    return limit_perform(c, &r, NULL);
}

static bool one_move(struct job *j, CURL *c, size_t i)
{
    struct limit_request r = {.method = "DELETE", .key = j->pieces[i].from};
    return one_copy(j, c, i) && limit_perform(c, &r, NULL);
}

static bool one_part(struct job *j, CURL *c, size_t i)
{
    struct piece *p = &j->pieces[i];
    char query[1500], source[LIMIT_KEY_MAX], range[64];
    struct limit_answer a = {0};
    struct limit_request r = {
        .method = "PUT", .key = p->key, .query = query, .offset = p->offset, .size = p->size};
    snprintf(query, sizeof(query), "partNumber=%zu&uploadId=%s", i + 1, j->upload_id);
    if (p->copied) {
        char text[8192];
        a.text = text; /* the ETag is in the document */
        r.size = 0;
        r.copy_source = source;
        r.copy_source_range = range;
        snprintf(source, sizeof(source), "/%s/%s", limit_bucket(), p->from);
        snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, p->offset,
                 p->offset + p->size - 1);
        if (!limit_perform(c, &r, &a))
            return false;
        const char *at = strstr(text, "<ETag>");
        return at && sscanf(at + 6, "%127[^<]", p->etag) == 1;
    }
    if (!limit_perform(c, &r, &a))
        return false;
    memcpy(p->etag, a.etag, sizeof(p->etag));
    return true;
}

/* ---- multipart uploads ---- */

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

static bool complete(struct job *j, CURL *c, struct limit_answer *a)
{
    size_t room = 200 + j->n * 256, len = 0;
    char *xml = malloc(room), query[1100];
    struct limit_request r = {.method = "POST", .key = j->pieces[0].key, .query = query};
    if (!xml)
        return false;
    len += (size_t)snprintf(xml, room, "<CompleteMultipartUpload>");
    for (size_t i = 0; i < j->n; i++)
        len += (size_t)snprintf(xml + len, room - len,
                                "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag></Part>", i + 1,
                                j->pieces[i].etag);
    len += (size_t)snprintf(xml + len, room - len, "</CompleteMultipartUpload>");
    r.text = xml;
    r.size = len;
    snprintf(query, sizeof(query), "uploadId=%s", j->upload_id);
    a->len = 0;
    bool ok = limit_perform(c, &r, a) && !strstr(a->text, "<Error>");
    free(xml);
    return ok;
}

static void multipart(struct job *j)
{
    struct limit_answer a = {.text = calloc(1, LIMIT_TEXT_MAX)};
    CURL *c = curl_easy_init();
    char id[1024] = "";
    struct limit_request begin = {.method = "POST", .key = j->pieces[0].key, .query = "uploads="};
    j->one = one_part;
    j->upload_id = id;
    if (!c || !a.text || !limit_perform(c, &begin, &a) ||
        !element(a.text, "UploadId", id, sizeof(id))) {
        meter_fail();
    } else {
        run(j);
        if (!meter_failed() && !complete(j, c, &a))
            meter_fail();
    }
    free(a.text);
    curl_easy_cleanup(c);
}

static void *put_one(void *ctx)
{
    struct job *j = ctx;
    if (j->n > 1) {
        multipart(j);
    } else {
        j->one = one_put;
        run(j);
    }
    return NULL;
}

/* ---- what a command is made of ---- */

static struct piece *add(struct job *j, const char *key)
{
    struct piece *more = realloc(j->pieces, (j->n + 1) * sizeof(*more));
    if (!more)
        exit(1);
    j->pieces = more;
    j->pieces[j->n] = (struct piece){.key = key};
    return &j->pieces[j->n++];
}

static void add_ranges(struct job *j, const char *key, uint64_t bytes, uint64_t part)
{
    for (uint64_t at = 0; at < bytes || at == 0; at += part) {
        struct piece *p = add(j, key);
        p->offset = at;
        p->size = bytes - at < part ? bytes - at : part;
    }
}

static void add_copies(struct job *j, const char *key, const char *from, uint64_t start,
                       uint64_t end)
{
    while (start < end) {
        struct piece *p = add(j, key);
        p->from = from;
        p->copied = true;
        p->offset = start;
        p->size = end - start < COPY_MAX ? end - start : COPY_MAX;
        start += p->size;
    }
}

static void add_upload(struct job *j, const char *key, uint64_t start, uint64_t end)
{
    struct piece *p = add(j, key);
    p->offset = start;
    p->size = end - start;
}

static void read_list(struct job *j, const char *path, bool two_keys)
{
    FILE *f = fopen(path, "re");
    char line[2 * LIMIT_KEY_MAX + 64], key[LIMIT_KEY_MAX], to[LIMIT_KEY_MAX];
    if (!f) {
        fprintf(stderr, "limit: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    while (fgets(line, sizeof(line), f)) {
        struct piece *p = add(j, NULL);
        int n = two_keys ? sscanf(line, "%1199s %1199s", key, to)
                         : sscanf(line, "%1199s %" SCNu64 " %" SCNu64, key, &p->offset, &p->size);
        p->key = strdup(two_keys ? to : key);
        p->from = two_keys ? strdup(key) : NULL;
        if (n < (two_keys ? 2 : 1) || !p->key || (two_keys && !p->from))
            exit(1);
    }
    fclose(f);
}

static void list(const char *prefix_text)
{
    CURL *c = curl_easy_init();
    char *prefix = c ? curl_easy_escape(c, prefix_text, 0) : NULL;
    struct limit_answer a = {.text = calloc(1, LIMIT_TEXT_MAX)};
    char token[2048] = "", query[3000];
    bool more = prefix && a.text;
    if (!more)
        meter_fail();
    while (more) {
        struct limit_request r = {.method = "GET", .key = "", .query = query};
        char *escaped = token[0] ? curl_easy_escape(c, token, 0) : NULL;
        /* In the order that the signature wants. */
        snprintf(query, sizeof(query), "%s%s%slist-type=2&prefix=%s",
                 escaped ? "continuation-token=" : "", escaped ? escaped : "", escaped ? "&" : "",
                 prefix);
        curl_free(escaped);
        a.len = 0;
        a.text[0] = '\0';
        if (!limit_perform(c, &r, &a)) {
            meter_fail();
            break;
        }
        meter_add(1);
        more = element(a.text, "NextContinuationToken", token, sizeof(token));
    }
    curl_free(prefix);
    free(a.text);
    curl_easy_cleanup(c);
}

static void batch(struct job *j)
{
    CURL *c = curl_easy_init();
    struct limit_answer a = {.text = calloc(1, LIMIT_TEXT_MAX)};
    size_t room = 1000 * (LIMIT_KEY_MAX + 64), at = 0;
    char *xml = malloc(room);
    if (!c || !a.text || !xml)
        meter_fail();
    while (at < j->n && !meter_failed()) {
        struct limit_request r = {.method = "POST", .key = "", .query = "delete=", .text = xml};
        size_t len = (size_t)snprintf(xml, room, "<Delete><Quiet>true</Quiet>");
        for (size_t end = at + 1000; at < end && at < j->n; at++)
            len += (size_t)snprintf(xml + len, room - len, "<Object><Key>%s</Key></Object>",
                                    j->pieces[at].key);
        len += (size_t)snprintf(xml + len, room - len, "</Delete>");
        r.size = len;
        a.len = 0;
        if (!limit_perform(c, &r, &a) || strstr(a.text, "<Error>"))
            meter_fail();
    }
    free(xml);
    free(a.text);
    curl_easy_cleanup(c);
}

static uint64_t number(const char *text)
{
    return strtoull(text, NULL, 10);
}

/* put: a thread for each object, which has its own for the parts. */
static void put(char **arg, int n)
{
    struct job jobs[64] = {0};
    pthread_t threads[64];
    int objects = (n - 2) / 2, started = 0;
    for (int i = 0; i < objects; i++) {
        jobs[i].n_threads = number(arg[0]);
        jobs[i].bytes = number(arg[3 + 2 * i]);
        add_ranges(&jobs[i], arg[2 + 2 * i], jobs[i].bytes, number(arg[1]));
    }
    meter_start();
    for (; started < objects; started++)
        if (pthread_create(&threads[started], NULL, put_one, &jobs[started]))
            break;
    for (int i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    if (started < objects)
        meter_fail();
}

static bool take_lists(struct job *j, const char *word, char **arg, int n)
{
    static const struct {
        const char *word;
        int n;
        bool (*one)(struct job *, CURL *, size_t);
        int bytes, concurrency; /* which argument; 0: none */
    } table[] = {
        {"each", 3, one_get, 2, 1},      {"range", 2, one_get, 0, 1}, {"puts", 3, one_put, 1, 2},
        {"delete", 2, one_delete, 0, 1}, {"copy", 2, one_copy, 0, 1}, {"move", 2, one_move, 0, 1},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (strcmp(word, table[i].word) != 0 || n != table[i].n)
            continue;
        read_list(j, arg[0], table[i].one == one_copy || table[i].one == one_move);
        j->one = table[i].one;
        j->n_threads = number(arg[table[i].concurrency]);
        j->bytes = table[i].bytes ? number(arg[table[i].bytes]) : 0;
        j->compare = j->bytes || strcmp(word, "range") == 0;
        meter_start();
        run(j);
        return true;
    }
    return false;
}

static bool take_rewrites(struct job *j, const char *word, char **arg, int n)
{
    uint64_t bytes = n > 1 ? number(arg[1]) : 0;
    j->n_threads = 8;
    if (strcmp(word, "patch") == 0 && n == 3) {
        uint64_t start = number(arg[2]) / (5 * MIB) * 5 * MIB, end = start + 5 * MIB;
        add_copies(j, arg[0], arg[0], 0, start);
        add_upload(j, arg[0], start, end < bytes ? end : bytes);
        add_copies(j, arg[0], arg[0], end, bytes);
    } else if (strcmp(word, "append") == 0 && n == 3) {
        add_copies(j, arg[0], arg[0], 0, bytes);
        add_upload(j, arg[0], bytes, bytes + number(arg[2]));
    } else if (strcmp(word, "repeat") == 0 && n == 4) {
        for (uint64_t i = number(arg[3]); i > 0; i--)
            add_copies(j, arg[0], arg[2], 0, bytes);
    } else {
        return false;
    }
    meter_start();
    multipart(j);
    return true;
}

static bool command(const char *word, char **arg, int n)
{
    struct job j = {0};
    if (strcmp(word, "get") == 0 && n >= 4 && n % 2 == 0 && number(arg[1])) {
        for (int i = 2; i < n; i += 2)
            add_ranges(&j, arg[i], number(arg[i + 1]), number(arg[1]));
        j.one = one_get;
        j.n_threads = number(arg[0]);
        j.compare = true;
        meter_start();
        run(&j);
    } else if (strcmp(word, "put") == 0 && n >= 4 && n % 2 == 0 && n <= 130 && number(arg[1])) {
        put(arg, n);
    } else if (strcmp(word, "list") == 0 && n == 1) {
        meter_start();
        list(arg[0]);
    } else if (strcmp(word, "batch") == 0 && n == 1) {
        read_list(&j, arg[0], false);
        meter_start();
        batch(&j);
    } else if (!take_lists(&j, word, arg, n)) {
        return take_rewrites(&j, word, arg, n);
    }
    return true;
}

int main(int argc, char **argv)
{
    int c;
    while ((c = getopt(argc, argv, "+t:")) != -1) {
        if (c != 't')
            return 2;
        meter_timeline(optarg);
    }
    pattern_init();
    if (!limit_http_init() || argc - optind < 2 ||
        !command(argv[optind], argv + optind + 1, argc - optind - 1)) {
        fputs(usage, stderr);
        return 2;
    }
    return meter_end(true);
}
