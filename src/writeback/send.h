/* SPDX-License-Identifier: Apache-2.0 */
/* A request of the sender under way. Private to send.c and outcome.c. */
#ifndef PAILFS_WRITEBACK_SEND_H
#define PAILFS_WRITEBACK_SEND_H

#include "writeback/writeback_impl.h"

enum wb_phase {
    WB_PHASE_SEND,
    WB_PHASE_LOOK_FIRST,  /* a HEAD of the key, before it is sent once more */
    WB_PHASE_LOOK,        /* a HEAD of the key: why was the condition refused? */
    WB_PHASE_LOOK_SOURCE, /* of a copy's source */
    WB_PHASE_ETAG,        /* stored, but the ETag was not told */
};

struct wb_send {
    struct writeback *wb;
    struct wb_op *op; /* NULL = a batch: */
    struct wb_op **batch;
    const char **keys, **etags; /* of its changes, which have them until they end */
    size_t n_batch;
    enum wb_phase phase;
    struct s3_error refusal; /* before the look */
    uint64_t bytes;
    void *data; /* content, owned */
    struct iovec iov;
    char *if_match; /* owned, as all below: the change may be altered meanwhile */
    char *source_etag;
    struct arena arena;
    union {
        struct store_put_in put;
        struct store_copy_in copy;
        struct store_delete_in remove;
        struct store_delete_many_in many;
        struct store_upload_complete_in complete;
        struct store_head_in head;
    } in;
    union {
        struct store_version version;
        struct store_delete_many_out many;
        struct store_object object;
    } out;
};

/* A HEAD in place of the request. */
void wb_send_look(struct wb_send *s, enum wb_phase phase, const char *key);
void wb_send_free_locked(struct wb_send *s);

#endif
