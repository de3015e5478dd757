/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing of the control protocol, for both ends. Private to src/ctl. */
#ifndef PAILFS_CTL_CTL_WIRE_H
#define PAILFS_CTL_CTL_WIRE_H

#include <stddef.h>

/* One line without its newline, owned by the caller. 0, -E2BIG over LIMIT_CTL_MESSAGE, -EPIPE when
 * the peer closed before the newline, -EBADMSG for control characters, or -errno. */
int ctl_wire_read_line(int fd, char **ret);
/* All of it; 0 or -errno. Never raises SIGPIPE. */
int ctl_wire_write(int fd, const void *data, size_t len);

#endif
