/* SPDX-License-Identifier: Apache-2.0 */
/* A client made of one function, for tests of what is built on the client (paginator, waiter,
 * resource, collection, transfer). It links instead of client.c: every typed call and every
 * submit ends in the handler. */
#ifndef PAILFS_TESTS_S3_STUB_H
#define PAILFS_TESTS_S3_STUB_H

#include "s3/client.h"

/* Answers one call: fills out (its arena is ready for use), or returns s3_error_set(...). */
typedef int (*s3_stub_fn)(void *ctx, enum s3_op op, const void *in, void *out,
                          struct s3_error *err);

/* One reference, the test's; s3_stub_done releases it and fails when another is left. */
struct s3_client *s3_stub_new(s3_stub_fn fn, void *ctx);
void s3_stub_done(struct s3_client *c);
/* Completions come from a thread of their own, in reverse order of submission while several wait.
 * Without it they run inside submit. */
void s3_stub_set_threaded(struct s3_client *c);

/* The default session's clients are references to this one; NULL = there is no session. */
void s3_stub_set_session_client(struct s3_client *c);

unsigned s3_stub_calls(const struct s3_client *c);
unsigned s3_stub_calls_of(const struct s3_client *c, enum s3_op op);
unsigned s3_stub_refs(const struct s3_client *c);

/* An error as S3 would answer it. */
int s3_stub_fail(struct s3_error *err, int http_status, const char *code);

#endif
