/* SPDX-License-Identifier: Apache-2.0 */
/* Private to src/s3: one call on its way through the funnel.
 *
 *   call.c      the states: credentials -> request -> answer -> (correction | retry)* -> done
 *   send.c      the request: parameters, checksums, headers, signature
 *   receive.c   the answer: sinks, XML, headers; the output
 *   get.c       GetObject's stream: goes on after a cut, verifies
 *   failure.c   the error: kind, and a sentence for a person
 *   outcome.c   was it us? A retried conditional write whose first answer was lost
 *
 * Exactly one thread drives a call at a time; it hands over through the transport, a timer or the
 * worker thread. Only what s3_call_cancel touches needs the lock. */
#ifndef PAILFS_S3_CALL_H
#define PAILFS_S3_CALL_H

#include <pthread.h>
#include <stdatomic.h>

#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "s3/checksum.h"
#include "s3/client_priv.h"
#include "s3/op.h"

/* GetObject's progress over all tries. */
struct s3_get {
    uint64_t start;               /* first byte asked for by the caller */
    uint64_t delivered;           /* bytes that the caller's sink has */
    uint64_t expected;            /* bytes to deliver in all, once known */
    bool known;                   /* the first answer's headers are in call->tmp */
    bool begun;                   /* the caller's begin has run */
    char etag[S3_ETAG_SIZE];      /* of the first answer: all others must be the same */
    struct s3_checksum_state sum; /* of what was delivered; algo NONE = not verified */
    struct s3_checksum want;
    /* of the current answer */
    bool taken;                 /* its headers were looked at */
    uint64_t skip;              /* bytes to drop first */
    uint64_t remaining;         /* bytes to deliver */
    bool cut_short;             /* more bytes follow that nobody asked for */
    int sink_error;             /* -errno of the caller's sink */
    enum s3_error_kind failure; /* what we found wrong, with: */
    char problem[256];
};

struct s3_call {
    atomic_uint refs; /* the operation's own, and one per callback that is to come */

    /* immutable */
    enum s3_op op;
    const struct s3_op_def *def;
    const void *in; /* borrowed until done */
    void *out;      /* borrowed until done; may be NULL */
    s3_done_fn done;
    void *ctx;
    const char *bucket; /* NULL for service operations */
    const char *key;

    pthread_mutex_t lock;
    struct http_call *http; /* under way; protected by lock, as all up to finished */
    struct s3_call *inner;  /* HeadObject of outcome.c */
    bool answered;          /* the callback of the last exchange has run */
    bool waiting;           /* for the retry timer */
    bool cancelled;
    bool finished;

    /* owned by the driver */
    struct s3_client *client; /* shared; NULL once finished */
    bool may_block;           /* this thread may wait for credentials (first try only) */
    struct arena arena;       /* dies with the call */
    struct s3_build build;
    struct iovec xml_iov;
    const struct iovec *body; /* NULL = none */
    int n_body;
    char payload_hash[2 * DIGEST_SHA256_SIZE + 1]; /* "" = not computed */
    char content_md5[32];
    struct s3_checksum checksum; /* of the body, algo NONE = not sent */

    struct aws_endpoint endpoint;        /* of the current try, as the next two */
    struct aws_credentials *credentials; /* owned reference */
    struct strbuf url;
    struct strbuf path;
    struct strbuf authorization;
    struct http_header *headers; /* in the arena */
    size_t n_headers;
    size_t headers_alloc;
    char date[20];
    struct http_sink sink;

    unsigned attempts; /* tries without corrections, first included */
    unsigned tries;    /* requests sent */
    uint32_t retry_cost;
    bool region_corrected;
    bool clock_corrected;
    bool token_renewed;
    bool outcome_unknown; /* a try was sent whose effect we were not told */
    bool no_retry;        /* the data that arrived is wrong and already delivered */

    void *tmp; /* output being filled, def->out_size bytes; moves to out on success */
    struct xml_parser *xml;
    struct s3_get get;
    struct s3_head_object_in *verify_in; /* outcome.c; in the arena */
    struct s3_head_object_out *verify_out;
    struct s3_error err;
};

/* ---- call.c ---- */
int s3_call_new(struct s3_client *c, enum s3_op op, const void *in, void *out, s3_done_fn done,
                void *ctx, struct s3_call **ret);
/* Begins; done will run. 0 or -errno (then it will not, and the call is freed). */
int s3_call_start(struct s3_call *call, struct s3_call **ret_call);
/* Ends the call with call->err (result < 0) or with call->tmp as its output. */
void s3_call_finish(struct s3_call *call, int result);
int s3_call_fail_memory(struct s3_call *call);

/* ---- send.c ---- */
/* Everything that stays the same over retries. 0, or -errno with call->err. */
int s3_call_prepare(struct s3_call *call);
/* Endpoint, headers and signature of one try, into *req. 0, or -errno with call->err. */
int s3_call_request(struct s3_call *call, struct http_request *req);
/* Resolves the endpoint and fills call->path: part of the above, for presigning. */
int s3_call_locate(struct s3_call *call);

/* ---- receive.c ---- */
void s3_call_receive_begin(struct s3_call *call); /* before each try */
/* 0: call->tmp is the output. Otherwise -errno with call->err. */
int s3_call_receive(struct s3_call *call, const struct http_response *resp);
void s3_call_receive_done(struct s3_call *call); /* releases tmp and the parser */

/* ---- get.c ---- */
int s3_get_check(struct s3_call *call); /* before the first try; a presigned GET needs no sink */
void s3_get_begin_try(struct s3_call *call);
int s3_get_receive(struct s3_call *call, const struct http_response *resp);
/* Whether the rest may be asked for after a failure; then arranges Range and If-Match. */
bool s3_get_resume(struct s3_call *call);

/* ---- failure.c ---- */
/* Fills call->err from an answer that is no success; e may be NULL (no or foreign body). */
int s3_failure_from_answer(struct s3_call *call, const struct http_response *resp,
                           const struct xml_error *e);
int s3_failure_from_error_body(struct s3_call *call, const struct http_response *resp);
int s3_failure_from_transport(struct s3_call *call, const struct http_response *resp);
/* A broken answer. */
int s3_failure_bad_answer(struct s3_call *call, const struct http_response *resp,
                          enum s3_error_kind kind, const char *problem);

/* ---- outcome.c ---- */
/* Whether call->err may be the echo of an earlier try of ours. */
bool s3_outcome_doubtful(const struct s3_call *call);
/* Finds out and ends the call. */
void s3_outcome_resolve(struct s3_call *call);

#endif
