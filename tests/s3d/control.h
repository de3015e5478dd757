/* SPDX-License-Identifier: Apache-2.0 */
/* The control URLs under /_s3d/: counters, log, reset, faults. Not signed: s3d listens on
 * loopback for its tester. */
#ifndef S3D_CONTROL_H
#define S3D_CONTROL_H

struct request;

void control_run(struct request *r);

#endif
