/* SPDX-License-Identifier: Apache-2.0 */
/* Which conditions the server holds (store/store_caps.h): known of AWS and of s3d; of others found
 * out by a probe, in the background, when the mount first changes something, and kept in state.db.
 * A mount that only reads costs nothing. Until it is known, and where a condition is not held,
 * objects are looked at before they are changed.
 *
 * Life:    caps_init before the store is made (it needs caps_unknown), caps_begin after, caps_end
 *          before the store is freed: waits for the probe's request under way.
 * Threads: one of its own while probing. */
#ifndef PAILFS_CAPS_H
#define PAILFS_CAPS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/strbuf.h"
#include "meta/state.h"
#include "store/store_s3.h"

struct caps {
    const char *server;  /* what it calls itself, "" = nothing; borrowed */
    struct state *state; /* borrowed; NULL = what is found out is forgotten */
    struct store *store; /* the one over the bucket; borrowed */
    struct store_caps at_start;
    bool as_aws;       /* AWS, or s3d: all that is documented is known to be there */
    atomic_bool ready; /* caps_begin has run */
    atomic_bool stop;
    pthread_mutex_t lock;
    bool running; /* protected by lock, as thread */
    pthread_t thread;
};

/* What is known before anything is asked. endpoint and server are borrowed. */
void caps_init(struct caps *c, const char *endpoint, const char *server, struct state *state);
/* For struct store_s3_options. */
void caps_unknown(void *ctx);
void caps_begin(struct caps *c, struct store *store);
void caps_end(struct caps *c);
/* "name: value" lines for pailctl. */
void caps_status(struct caps *c, struct strbuf *out);

#endif
