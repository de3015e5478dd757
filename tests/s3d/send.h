/* SPDX-License-Identifier: Apache-2.0 */
/* From a filled reply to bytes on the wire, with injected faults and the bandwidth cap. */
#ifndef S3D_SEND_H
#define S3D_SEND_H

#include <microhttpd.h>
#include <stdint.h>

struct request;
struct connection;
struct s3d;

/* Counts and logs the request, then queues its reply or does the fault's worst. */
enum MHD_Result send_reply(struct request *r);
/* Counts and logs a request that gets no answer. */
void send_nothing(struct request *r);
/* Sends a TCP reset; nothing more can be sent or received. */
void connection_reset(int fd);
/* Holds the caller back so that n bytes more stay within the connection's --rate. */
void connection_pace(struct s3d *s, struct connection *c, uint64_t n);

#endif
