/* SPDX-License-Identifier: Apache-2.0 */
/* A vfs_fixture with local state in a folder of its own, for what one mount leaves to the next.
 * Include after cmocka.h.
 *
 *   struct vfs_bed b;
 *   vfs_bed_begin(&b);
 *   ... b.f is the fixture ...
 *   vfs_bed_next(&b);      the next mount, which has finished what this one left
 *   vfs_bed_end(&b);
 */
#ifndef PAILFS_TESTS_VFS_BED_H
#define PAILFS_TESTS_VFS_BED_H

#include "meta/state.h"
#include "vfs_fixture.h"

struct vfs_bed {
    struct fixture f;
    char folder[64];
    struct state *state;
    struct vfs_options opts;     /* of the next mount; state is filled in */
    struct vfs_recovery figures; /* of the last mount */
};

/* With a mount that found nothing to finish. */
void vfs_bed_begin(struct vfs_bed *b);
/* The process is gone, and attributes that waited with it. */
void vfs_bed_crash(struct vfs_bed *b);
/* A mount on the state as it is now, which has not finished anything yet. */
void vfs_bed_mount(struct vfs_bed *b);
void vfs_bed_recover(struct vfs_bed *b);
/* The end of the process (what waits is stored), the next mount, and it has finished. */
void vfs_bed_next(struct vfs_bed *b);
/* How many notes there are, those too whose end was submitted without waiting. */
uint64_t vfs_bed_intents(struct vfs_bed *b);
void vfs_bed_end(struct vfs_bed *b);

/* A note as if an earlier mount had left it: the next one finds it. */
void vfs_bed_note(struct vfs_bed *b, enum state_intent_kind kind, const char *key, const char *key2,
                  const void *payload, size_t len);

#endif
