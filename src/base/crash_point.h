/* SPDX-License-Identifier: Apache-2.0 */
/* Named places at which a test lets the process die as by kill -9: where something outside (S3, the
 * local disk) has just changed or is about to. Compiled in with the build option crash_points
 * only; otherwise these are nothing.
 *
 *     CRASH_POINT("rename.copied");
 *     CRASH_POINT3("s3", def->name, "before");      the point s3.PutObject.before
 *
 * PAILFS_CRASH_AT=NAME[:N] in the environment: SIGKILL at the N-th pass (default 1).
 * PAILFS_CRASH_TRACE=FILE: each pass appends a line with the name.
 * tests/crash/points.txt lists those that its workload must reach. Thread-safe. */
#ifndef PAILFS_BASE_CRASH_POINT_H
#define PAILFS_BASE_CRASH_POINT_H

#ifdef PAILFS_CRASH_POINTS
void crash_point(const char *name, const char *middle, const char *end);
#define CRASH_POINT(name)             crash_point(name, "", "")
#define CRASH_POINT3(name, middle, e) crash_point(name, middle, e)
#else
#define CRASH_POINT(name)             ((void)0)
#define CRASH_POINT3(name, middle, e) ((void)0)
#endif

#endif
