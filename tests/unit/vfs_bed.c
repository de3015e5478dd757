/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "vfs_bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void open_state(struct vfs_bed *b)
{
    struct state_options o = {.path = b->folder,
                              .endpoint = "http://x",
                              .bucket = "b",
                              .prefix = "",
                              .clock = &b->f.clock.clock};
    assert_int_equal(state_open(&o, &b->state, NULL), 0);
}

void vfs_bed_mount(struct vfs_bed *b)
{
    if (!b->state)
        open_state(b);
    b->opts.state = b->state;
    fixture_remount(&b->f, &b->opts);
}

void vfs_bed_recover(struct vfs_bed *b)
{
    atomic_bool stop = false;
    vfs_recover(b->f.vfs, &stop, &b->figures);
}

void vfs_bed_begin(struct vfs_bed *b)
{
    *b = (struct vfs_bed){.opts = fixture_options()};
    /* Many lives, each with an fsync or ten, where that costs nothing. */
    snprintf(b->folder, sizeof(b->folder), "%s/pailfs-unit.XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(b->folder));
    fixture_init(&b->f, NULL);
    vfs_bed_mount(b);
    vfs_bed_recover(b);
}

static void close_state(struct vfs_bed *b)
{
    state_close(b->state);
    b->state = NULL;
}

void vfs_bed_crash(struct vfs_bed *b)
{
    fixture_crash(&b->f);
    close_state(b);
}

void vfs_bed_next(struct vfs_bed *b)
{
    fixture_settle(&b->f);
    vfs_bed_crash(b);
    vfs_bed_mount(b);
    vfs_bed_recover(b);
}

uint64_t vfs_bed_intents(struct vfs_bed *b)
{
    uint64_t n = 0;
    /* The first count comes behind what was submitted, the second behind what that submitted. */
    for (int i = 0; i < 2; i++)
        assert_int_equal(state_intent_count(b->state, &n), 0);
    return n;
}

void vfs_bed_end(struct vfs_bed *b)
{
    char command[128];
    fixture_done(&b->f);
    close_state(b);
    snprintf(command, sizeof(command), "rm -r '%s'", b->folder);
    assert_int_equal(system(command), 0);
}

void vfs_bed_note(struct vfs_bed *b, enum state_intent_kind kind, const char *key, const char *key2,
                  const void *payload, size_t len)
{
    uint64_t id;
    assert_int_equal(state_intent_begin(b->state, kind, key, key2, payload, len, &id), 0);
}
