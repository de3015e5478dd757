/* SPDX-License-Identifier: Apache-2.0 */
/* Which parts an upload of a changed file has: what is unchanged is copied inside the store, the
 * rest is sent. Pure: no I/O, no state.
 *
 * S3 wants every part but the last to have 5 MiB to 5 GiB, and at most 10,000 of them. So a change
 * of some bytes becomes a part of 5 MiB with unchanged neighbours in it, and unchanged pieces
 * between two changes that are too short to be a part are sent along. Only where that makes too
 * many parts, longer unchanged pieces are sent too, and parts become larger.
 *
 * Errors: 0, -ENOMEM, or -EFBIG when no such parts exist. */
#ifndef PAILFS_DATA_PLAN_H
#define PAILFS_DATA_PLAN_H

#include "data/extents.h"

struct plan_in {
    const struct extents *extents; /* EXTENT_DATA and EXTENT_ZERO are changes */
    uint64_t size;                 /* of the content; > 0 */
    uint64_t base_size;            /* content up to here is the base's where it is not changed */
    uint64_t part_size;            /* of what is sent, if that makes few enough; >= 5 MiB */
    uint64_t part_size_max;        /* >= 10 MiB: the sender's memory */
    unsigned parallel;             /* so many copies are worth having at a time */
};

struct plan_part {
    uint64_t offset, length; /* both in the content and, for a copy, in the base */
    bool copy;
};

struct plan {
    struct plan_part *parts; /* owned; in order, without gaps */
    uint32_t n_parts;
    uint64_t sent;    /* bytes that are sent */
    uint64_t largest; /* of the parts that are sent */
};

int plan_make(const struct plan_in *in, struct plan *ret);
void plan_done(struct plan *p);

#endif
