/* SPDX-License-Identifier: Apache-2.0 */
/* Going into the background with a true exit status: the first process waits until the second one
 * says that the mount is usable, or has failed.
 * Call daemon_fork before any thread is started: threads do not survive fork. */
#ifndef PAILFS_DAEMON_H
#define PAILFS_DAEMON_H

struct daemon {
    int ready_fd; /* write end; -1 in the foreground */
};

/* Returns in the new process only; the first one exits with 0 when daemon_ready was called, else
 * with the new one's exit status. 0 or -errno. */
int daemon_fork(struct daemon *d);
/* Lets the first process go, and standard input, output and error with it. Idempotent. */
void daemon_ready(struct daemon *d);

#endif
