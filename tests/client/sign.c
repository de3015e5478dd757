/* SPDX-License-Identifier: Apache-2.0 */
/* Signs what standard input describes, for comparison with another implementation
 * (test_sigv4_botocore.py). One request a line, fields separated by tabs, each percent-encoded
 * where it may hold other bytes:
 *     method key query headers payload-hash region service time access-key secret token expires
 * key      the object's key, not encoded further; the path is '/' and this
 * query    name=value&name=value..., name and value percent-encoded
 * headers  the same
 * expires  0: prints the Authorization header; else the seconds: prints the presigned query
 * "-" stands for an empty field. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/credentials.h"
#include "aws/sigv4.h"
#include "base/attr.h"
#include "base/encode.h"
#include "base/parse.h"
#include "base/timefmt.h"

#define MAX_PAIRS 64
#define N_FIELDS  12

enum { METHOD, KEY, QUERY, HEADERS, HASH, REGION, SERVICE, TIME, ID, SECRET, TOKEN, EXPIRES };

/* In place; returns s. The length goes to *ret_len when that is not NULL. */
static char *decode(char *s, size_t *ret_len)
{
    size_t len = 0;

    if (decode_percent(s, false, s, &len) < 0) {
        fprintf(stderr, "broken escape: %s\n", s);
        exit(2);
    }
    s[len] = '\0';
    if (ret_len)
        *ret_len = len;
    return s;
}

struct pair {
    char *name, *value;
};

static size_t split_pairs(char *s, struct pair *out)
{
    size_t n = 0;

    while (s && *s && n < MAX_PAIRS) {
        char *next = strchr(s, '&');
        char *eq;

        if (next)
            *next++ = '\0';
        eq = strchr(s, '=');
        if (eq)
            *eq++ = '\0';
        out[n].name = decode(s, NULL);
        out[n].value = eq ? decode(eq, NULL) : NULL;
        n++;
        s = next;
    }
    return n;
}

static enum http_method find_method(const char *name)
{
    for (int m = 0; m < HTTP_METHOD_MAX; m++)
        if (strcmp(http_method_name((enum http_method)m), name) == 0)
            return (enum http_method)m;
    fprintf(stderr, "unknown method: %s\n", name);
    exit(2);
}

static int sign(char *field[N_FIELDS])
{
    static struct pair pairs[2][MAX_PAIRS];
    static struct sigv4_param params[MAX_PAIRS];
    static struct http_header headers[MAX_PAIRS];
    CLEANUP_STRBUF struct strbuf path = STRBUF_INIT(1 << 20);
    CLEANUP_STRBUF struct strbuf out = STRBUF_INIT(1 << 20);
    struct aws_credentials *keys = NULL;
    struct sigv4_input in = {.params = params, .headers = headers, .payload_hash = field[HASH]};
    uint64_t expires = 0;
    size_t key_len;
    int r;

    decode(field[KEY], &key_len);
    strbuf_append_char(&path, '/');
    encode_percent(&path, field[KEY], key_len, true);
    in.path = path.data;
    in.n_params = split_pairs(field[QUERY], pairs[0]);
    for (size_t i = 0; i < in.n_params; i++)
        params[i] = (struct sigv4_param){pairs[0][i].name, pairs[0][i].value};
    in.n_headers = split_pairs(field[HEADERS], pairs[1]);
    for (size_t i = 0; i < in.n_headers; i++)
        headers[i] = (struct http_header){pairs[1][i].name, pairs[1][i].value};
    in.method = find_method(field[METHOD]);
    in.region = field[REGION];
    in.service = field[SERVICE];
    if (timefmt_parse_basic(field[TIME], &in.time_ns) < 0 ||
        parse_u64(field[EXPIRES], &expires) < 0 ||
        aws_credentials_new(decode(field[ID], NULL), decode(field[SECRET], NULL),
                            decode(field[TOKEN], NULL), AWS_CREDENTIALS_NO_EXPIRY, "test",
                            &keys) < 0)
        return 2;
    in.credentials = keys;
    r = expires ? sigv4_presign_query(&in, (uint32_t)expires, &out)
                : sigv4_authorization(&in, &out);
    aws_credentials_unref(keys);
    if (r < 0) {
        fprintf(stderr, "signing: %s\n", strerror(-r));
        return 1;
    }
    printf("%s\n", out.data);
    return 0;
}

int main(void)
{
    char *line = NULL;
    size_t size = 0;
    int r = 0;

    while (r == 0 && getline(&line, &size, stdin) > 0) {
        char *field[N_FIELDS], *rest = line;
        int n = 0;

        line[strcspn(line, "\n")] = '\0';
        while (n < N_FIELDS && rest) {
            field[n] = strsep(&rest, "\t");
            if (strcmp(field[n], "-") == 0)
                *field[n] = '\0';
            n++;
        }
        if (n != N_FIELDS || rest) {
            fprintf(stderr, "%d fields instead of %d\n", n, N_FIELDS);
            r = 2;
            break;
        }
        r = sign(field);
    }
    free(line);
    return r;
}
