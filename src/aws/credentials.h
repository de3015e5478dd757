/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, and where they come from.
 *
 * A provider chain is a constant table of providers tried in order; the first that has keys wins.
 * Keys with an expiry are refreshed by one thread at a time: inside the advisory window (15 min
 * before expiry) others go on with the old keys, inside the mandatory window (10 min) they wait.
 * A refresh that fails while the old keys are still good keeps them and is tried again later.
 * Expiry is judged by the wall clock, so a suspended machine refreshes after waking.
 *
 * Threads: aws_credentials_source_get from any thread. It may block on a file or the network, so
 * never call it on an HTTP I/O thread: use aws_credentials_source_try_get there. */
#ifndef PAILFS_AWS_CREDENTIALS_H
#define PAILFS_AWS_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"

struct aws_config;

#define AWS_CREDENTIALS_NO_EXPIRY INT64_MAX

/* Immutable once made; shared by reference count. Never formatted into a log. */
struct aws_credentials {
    unsigned refs;           /* atomic */
    bool anonymous;          /* requests go unsigned */
    char *access_key_id;     /* owned */
    char *secret_access_key; /* owned; zeroed on release */
    char *session_token;     /* owned, NULL = none; zeroed on release */
    int64_t expiry_ns;       /* realtime, or AWS_CREDENTIALS_NO_EXPIRY */
    char provider[32];       /* which provider gave them, for messages: "env", "shared-file" ... */
};

int aws_credentials_new(const char *access_key_id, const char *secret_access_key,
                        const char *session_token, int64_t expiry_ns, const char *provider,
                        struct aws_credentials **ret);
int aws_credentials_new_anonymous(struct aws_credentials **ret);
struct aws_credentials *aws_credentials_ref(struct aws_credentials *c);
void aws_credentials_unref(struct aws_credentials *c); /* NULL ok */

/* One row of the chain. */
struct aws_credentials_provider {
    const char *name;
    /* 1: *ret set (a reference); 0: this provider has nothing, try the next; <0: it is configured
     * but broken (-errno, *reterr says what and how to mend it), the chain stops. */
    int (*load)(const struct aws_config *config, struct clock *clock, struct aws_credentials **ret,
                struct s3_error *reterr);
};
/* boto3's order, and s3fs' passwd_file; see credentials_chain.c. Ends with name == NULL. */
extern const struct aws_credentials_provider aws_credentials_chain[];

struct aws_credentials_source; /* a chain plus the cached keys; refcounted by its owner, one */

/* config is borrowed for the source's life; chain NULL = aws_credentials_chain. */
int aws_credentials_source_new(const struct aws_config *config,
                               const struct aws_credentials_provider *chain, struct clock *clock,
                               struct aws_credentials_source **ret);
/* A reference to valid keys; S3_ERROR_NO_CREDENTIALS lists where was looked. */
int aws_credentials_source_get(struct aws_credentials_source *s, struct aws_credentials **ret,
                               struct s3_error *reterr);
/* As above without blocking: -EAGAIN when a refresh must be waited for. It never refreshes by
 * itself: where it is the only caller, something must call aws_credentials_source_get once a
 * minute, or the keys run into the mandatory window and then every request waits once. */
int aws_credentials_source_try_get(struct aws_credentials_source *s, struct aws_credentials **ret);
/* The server said ExpiredToken: the next get loads anew. */
void aws_credentials_source_expire(struct aws_credentials_source *s,
                                   const struct aws_credentials *seen);
void aws_credentials_source_free(struct aws_credentials_source *s);

#endif
