/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by client_ops and client_faults: a client for the server under test, and checks that
 * count. */
#ifndef PAILFS_TESTS_CLIENT_OPS_H
#define PAILFS_TESTS_CLIENT_OPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "s3/client.h"
#include "s3/session.h"

struct ops {
    struct s3_client *client;
    char bucket[64];
    bool strict; /* the server has all that AWS has (s3d); false: an old Ceph gateway */
    unsigned checks;
    unsigned failures;
};

/* A failed check is reported and counted; the run goes on. */
void ops_check(struct ops *o, bool ok, const char *file, int line, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
#define CHECK(o, cond)          ops_check(o, cond, __FILE__, __LINE__, "%s", #cond)
#define CHECK_STR(o, got, want) ops_check_str(o, got, want, #got, __FILE__, __LINE__)
#define CHECK_NUM(o, got, want)                                                                    \
    ops_check(o, (long long)(got) == (long long)(want), __FILE__, __LINE__,                        \
              "%s is %lld, expected %lld", #got, (long long)(got), (long long)(want))
/* The call succeeded; prints the error otherwise. */
#define CHECK_OK(o, r, err) ops_check(o, (r) == 0, __FILE__, __LINE__, "%s", ops_describe(err))
/* It failed with that kind, for that operation. */
#define CHECK_KIND(o, r, err, want)                                                                \
    ops_check(o, (r) < 0 && (err)->kind == (want), __FILE__, __LINE__, "expected %s, got %s",      \
              s3_error_kind_name(want), (r) == 0 ? "success" : ops_describe(err))

/* got may be NULL. */
void ops_check_str(struct ops *o, const char *got, const char *want, const char *what,
                   const char *file, int line);
const char *ops_describe(const struct s3_error *e);

/* A sink that keeps everything. Life: init -> GetObject -> look at data -> done. */
struct ops_sink {
    struct http_sink sink;
    struct strbuf data;
};
void ops_sink_init(struct ops_sink *s);
void ops_sink_done(struct ops_sink *s);

/* PUT of a string / GET into a sink, as short forms. */
int ops_put(struct ops *o, const char *key, const char *text, struct s3_put_object_out *out);
int ops_get(struct ops *o, const char *key, struct ops_sink *sink, struct s3_error *err);

void ops_test_buckets(struct ops *o);
void ops_test_objects(struct ops *o);
void ops_test_conditions(struct ops *o);
void ops_test_listings(struct ops *o);
void ops_test_multipart(struct ops *o);
void ops_test_versions(struct ops *o);
void ops_test_access(struct ops *o);

#endif
