/* SPDX-License-Identifier: Apache-2.0 */
/* Where the control socket is, and reading and writing of its protocol, for both ends. Private to
 * src/ctl. */
#ifndef PAILFS_CTL_CTL_WIRE_H
#define PAILFS_CTL_CTL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* The paths that the socket of a mount of user `uid` may have, best first: candidate 0, 1, ... It
 * is more than one because $XDG_RUNTIME_DIR comes and goes with logins, and mounts stay.
 * 0, -ENOENT when there are no more, -ENAMETOOLONG. size: at least sizeof(sun_path). */
int ctl_socket_path(const char *mountpoint, uid_t uid, unsigned candidate, char *buf, size_t size);
/* Whether the process at the other end is one of `uid` or root; *ret_pid (NULL ok) is which. */
bool ctl_peer_is(int fd, uid_t uid, pid_t *ret_pid);

/* One line without its newline, owned by the caller. 0, -E2BIG over LIMIT_CTL_MESSAGE, -EPIPE when
 * the peer closed before the newline, -EBADMSG for control characters, or -errno. */
int ctl_wire_read_line(int fd, char **ret);
/* All of it; 0 or -errno. Never raises SIGPIPE. */
int ctl_wire_write(int fd, const void *data, size_t len);

#endif
