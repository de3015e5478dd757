/* SPDX-License-Identifier: Apache-2.0 */
/* mount(8)'s helper contract: `mount.pailfs SPEC DIR [-sfnv] [-N NS] [-o OPTIONS] [-t TYPE]`.
 * https://man7.org/linux/man-pages/man8/mount.8.html#EXTERNAL_HELPERS
 * Pure: parses and builds the driver's argument list; main.c executes it. */
#ifndef PAILFS_MOUNT_HELPER_H
#define PAILFS_MOUNT_HELPER_H

#include <stdbool.h>

#include "base/error.h"
#include "base/strbuf.h"

/* mount(8)'s exit status; bits of one number. */
enum mount_exit {
    MOUNT_EXIT_OK = 0,
    MOUNT_EXIT_USAGE = 1,
    MOUNT_EXIT_SYSTEM = 2,
    MOUNT_EXIT_FAILURE = 32,
};

struct mount_request {
    const char *source;         /* borrowed from argv */
    const char *mountpoint;     /* borrowed from argv */
    const char *namespace_path; /* -N, NULL = none; borrowed */
    bool sloppy;                /* -s: unknown options are dropped */
    bool fake;                  /* -f: everything but the mount */
    bool verbose;               /* -v */
    struct strbuf options;      /* what goes after the driver's -o; owned */
};

/* 0, or -EINVAL with a sentence in *reterr. mount_request_done in either case. */
int mount_request_parse(struct mount_request *r, int argc, char *const *argv,
                        struct s3_error *reterr);
void mount_request_done(struct mount_request *r);
/* The driver's path: beside this program (a build folder has it in ../src), then the usual
 * places; NULL when there is none that can be executed. buf holds PATH_MAX bytes. */
const char *mount_find_driver(const char *self_dir, char *buf, unsigned size);

#endif
