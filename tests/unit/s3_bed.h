/* SPDX-License-Identifier: Apache-2.0 */
/* A client on the fake transport and a fake clock, for tests of the funnel and the operations.
 * Life: bed_open (or bed_open_with) -> bed_answer..., calls, bed_... -> bed_close. */
#ifndef PAILFS_TESTS_S3_BED_H
#define PAILFS_TESTS_S3_BED_H

#include "http/http_fake.h"
#include "s3/client.h"
#include "s3/session.h"

#define BED_TIME_NS 1795359600000000000 /* 2026-11-22T15:00:00Z */
#define BED_DATE    "20261122T150000Z"
#define BED_AWS     "https://bkt.s3.us-east-1.amazonaws.com"
#define BED_CUSTOM  "http://127.0.0.1:9000"

struct bed {
    struct clock_fake clock;
    struct http_fake *http;
    struct http_transport *transport; /* the fake one, or with http_hedge over it */
    struct s3_session *session;
    struct s3_client *client;
};

struct bed_options {
    const char *endpoint_url; /* NULL = AWS */
    const char *region;       /* NULL = us-east-1 */
    const char *session_token;
    bool anonymous;
    bool hedge;
    const struct aws_credentials_provider *chain;
    struct s3_client_options client; /* transport is set by bed_open */
};

void bed_open(struct bed *b); /* AWS, us-east-1 */
void bed_open_with(struct bed *b, const struct bed_options *opts);
/* Also checks that every answer was used and no request came that had none. */
void bed_close(struct bed *b);

/* The answers to come, in order. Texts are borrowed. */
void bed_answer(struct bed *b, int status, const char *headers, const char *body);
void bed_answer_cut(struct bed *b, int status, const char *headers, const char *body,
                    size_t cut_after);
void bed_fail(struct bed *b, enum s3_error_kind kind, bool request_sent);
void bed_error(struct bed *b, int status, const char *code); /* with an <Error> body */

size_t bed_requests(const struct bed *b);
/* Borrowed; fails the test when there were fewer requests. */
const struct http_fake_request *bed_request(const struct bed *b, size_t index);
/* Value of a header, "" when it was not sent. A static buffer per call site is not needed: four
 * results stay valid. */
const char *bed_header(const struct bed *b, size_t index, const char *name);

/* A sink that keeps what arrives in a fixed buffer and counts calls of begin. */
struct bed_sink {
    struct http_sink sink;
    char data[4096];
    size_t len;
    unsigned begins;
    int status;           /* that begin saw */
    uint64_t length;      /* content_length that begin saw */
    size_t fail_after;    /* write returns -ENOSPC once so much has arrived; 0 = never */
    struct s3_call *call; /* cancelled from write when not NULL */
};
void bed_sink_init(struct bed_sink *s);

#endif
