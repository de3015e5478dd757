/* SPDX-License-Identifier: Apache-2.0 */
/* From options to a filesystem that can be mounted: session, client, a look at the bucket, local
 * state, store, data, vfs. Starts threads: call after daemon_fork. */
#ifndef PAILFS_START_H
#define PAILFS_START_H

#include "base/error.h"
#include "caps.h"
#include "conf/conf.h"
#include "data/data.h"
#include "meta/lost.h"
#include "meta/state.h"
#include "meta/state_dir.h"
#include "s3/client.h"
#include "s3/session.h"
#include "vfs/vfs.h"
#include "writeback/writeback.h"

struct start {
    struct s3_session *session;
    struct s3_client *client;
    struct state_dir *state_dir; /* NULL: read-only, or there is no place for one */
    struct state *state;         /* NULL with it, or when the disk is full */
    struct lost *lost;           /* NULL with the folder */
    struct store *remember;      /* keeps attributes in state_dir; part of store; NULL without */
    struct store *ledger;        /* notes uploads in state; part of store; NULL without state */
    char server[64];             /* what the server calls itself, "" when it does not */
    uint64_t answer_ns;          /* after which it had answered the first question */
    struct caps caps;            /* what it does with conditions */
    char *numbers;               /* path; NULL without the folder */
    struct store *writeback;     /* outermost of store; NULL when there is nothing for it */
    struct store *store;
    struct data *data;
    struct vfs *vfs;
};

/* Makes session and client and asks the bucket one question: wrong names, keys, regions and
 * endpoints are found here. *reterr->message is a whole sentence that says what to do. With
 * create_bucket the bucket is made and waited for. */
int start_connect(struct start *s, const struct conf_options *o, struct s3_error *reterr);
/* The rest. notify: from fuse_mount_notify. */
int start_filesystem(struct start *s, const struct conf_options *o, struct vfs_notify notify,
                     struct s3_error *reterr);
/* Tells mounts that come now whether this one, which nobody sees any more, still stores changes. */
void start_set_draining(const struct start *s, bool draining);
/* Frees all; takes a zeroed or half-made struct. */
void start_done(struct start *s);

#endif
