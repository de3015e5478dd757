/* SPDX-License-Identifier: Apache-2.0 */
/* What became of the thread that waits for an answer, by what the kernel tells of it in /proc.
 * Private to src/fuse. Pure but for process_fate, which reads two small files
 * and asks whether it is there: it must be of our PID namespace, as who mounts is. */
#ifndef PAILFS_FUSE_PROCESS_H
#define PAILFS_FUSE_PROCESS_H

#include <sys/types.h>

enum process_fate {
    PROCESS_WAITS, /* nothing, or nothing that is known: another PID namespace, not our user */
    PROCESS_TOLD,  /* a signal that asks it to end is pending, and it has a handler for that */
    PROCESS_DEAD,  /* ended by a signal: it never returns to its program */
    PROCESS_GONE,  /* there is none. The kernel lets go of who waits for pages, not for an answer;
                    * of asynchronous I/O the thread may have ended and its process live */
};

/* thread: as FUSE tells it; 0 = unknown. */
enum process_fate process_fate(pid_t thread);

/* The process that the thread is of; 0 = unknown, or gone. */
pid_t process_of(pid_t thread);

/* The same of the text of /proc/PID/status: signals that are pending. One that is caught, ignored
 * or blocked ends nothing, nor does one whose default is to do nothing or to stop; under a debugger
 * only SIGKILL is certain. */
enum process_fate process_fate_by_status(const char *text);
/* Of /proc/PID/stat: on its way out, and with a signal as its exit status. The files that a process
 * has open are closed on that way, when no signal is pending any more. */
enum process_fate process_fate_by_stat(const char *text);

#endif
