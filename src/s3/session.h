/* SPDX-License-Identifier: Apache-2.0 */
/* Credentials, region and configuration resolved once; the factory of clients. Sends nothing.
 *
 *   s3_session_default(&session, &err)                  as the environment and ~/.aws say
 *   s3_session_new(&(struct s3_session_options){ .region = "eu-west-1" }, &session, &err)
 *
 * Threads: create and use on one thread; the clients it makes are shared freely and hold a
 *          reference to it. */
#ifndef PAILFS_S3_SESSION_H
#define PAILFS_S3_SESSION_H

#include "aws/config.h"
#include "aws/credentials.h"
#include "aws/retry.h"
#include "base/clock.h"
#include "http/http.h"
#include "s3/client.h"

struct s3_session;

struct s3_session_options {
    struct aws_config_args
        args; /* copied; zeroed path_style means 0: use s3_session_options_init */
    const struct aws_credentials_provider *chain; /* NULL = the standard chain; borrowed */
    struct clock *clock;                          /* NULL = clock_system(); borrowed */
};
void s3_session_options_init(struct s3_session_options *o);

int s3_session_new(const struct s3_session_options *opts, struct s3_session **ret,
                   struct s3_error *reterr);
/* The implicit session of the process, made on first use and kept; a reference is returned. */
int s3_session_default(struct s3_session **ret, struct s3_error *reterr);
struct s3_session *s3_session_ref(struct s3_session *s);
void s3_session_unref(struct s3_session *s);

const struct aws_config *s3_session_config(const struct s3_session *s);
/* A reference to the keys in force; loads them on first use. */
int s3_session_credentials(struct s3_session *s, struct aws_credentials **ret,
                           struct s3_error *reterr);

struct s3_client_options {
    struct http_transport *transport; /* borrowed, outlives the client; NULL = own libcurl one */
    unsigned io_threads;              /* for an own transport; 0 = 1 */
    unsigned max_connections;         /* for an own transport; 0 = 64 */
    struct aws_retry_options retry;   /* zeros = defaults */
    struct http_deadlines
        deadlines; /* zeros = defaults: 5 s connect, 30 s first byte, 30 s stall */
    bool no_verify_ssl;
    bool no_hedge;     /* an own transport waits for exchanges that hang, see http/http_hedge.h */
    bool sign_payload; /* SHA-256 also over TLS; over plain HTTP always */
    uint64_t random_seed; /* jitter; 0 = from the system */
};
/* opts may be NULL. */
int s3_session_client_new(struct s3_session *s, const struct s3_client_options *opts,
                          struct s3_client **ret, struct s3_error *reterr);

#endif
