/* SPDX-License-Identifier: Apache-2.0 */
/* libmicrohttpd's callbacks: one thread per connection, so that a handler may sleep (injected
 * delays, the bandwidth cap) without holding up others. */
#ifndef S3D_SERVER_H
#define S3D_SERVER_H

#include "s3d.h"

struct MHD_Daemon;

/* Binds and starts. NULL: failed, a log line says why. *ret_port: the bound one. */
struct MHD_Daemon *server_start(struct s3d *s, unsigned *ret_port);

#endif
