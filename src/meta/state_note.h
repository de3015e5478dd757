/* SPDX-License-Identifier: Apache-2.0 */
/* An intent that goes with something in memory that keeps changing: written without waiting for the
 * disk, and when it changes faster than the disk is, only the last text is written.
 *
 * Life:    state_note_new -> state_note_set, any number -> state_note_end (the row goes) or
 *          state_note_leave (it stays for the next mount). Both free it, when its jobs are over;
 *          before state_close.
 * Threads: calls on one note by one thread at a time.
 * Errors:  logged once per note; what was not written is not there after a crash. */
#ifndef PAILFS_META_STATE_NOTE_H
#define PAILFS_META_STATE_NOTE_H

#include "meta/state.h"

struct state_note;

/* key: copied. NULL = no memory. Nothing is written yet. */
struct state_note *state_note_new(struct state *st, enum state_intent_kind kind, const char *key);
/* The payload from now on; copied. 0, -E2BIG or -ENOMEM, and the last one stays. */
int state_note_set(struct state_note *n, const void *payload, size_t payload_len);
void state_note_end(struct state_note *n);   /* NULL ok */
void state_note_leave(struct state_note *n); /* NULL ok */

#endif
