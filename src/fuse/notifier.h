/* SPDX-License-Identifier: Apache-2.0 */
/* Tells the kernel what it may no longer believe, from a thread of its own: libfuse forbids most
 * notifications from inside a request on the same inode. Private to src/fuse.
 * Queueing never blocks and never fails: under memory pressure or beyond NOTIFIER_QUEUE_MAX a
 * notification is dropped, and the kernel's copy lives on until its TTL. */
#ifndef PAILFS_FUSE_NOTIFIER_H
#define PAILFS_FUSE_NOTIFIER_H

#include <stdint.h>

struct fuse_session;
struct notifier;

#define NOTIFIER_QUEUE_MAX 65536u

int notifier_new(struct notifier **ret);
/* Starts the thread; before, notifications are dropped. */
int notifier_start(struct notifier *n, struct fuse_session *session);
void notifier_inode_changed(void *notifier, uint64_t ino);
void notifier_entry_gone(void *notifier, uint64_t parent, const char *name);
/* Drops what is queued and joins the thread. */
void notifier_stop(struct notifier *n);
void notifier_free(struct notifier *n);

#endif
