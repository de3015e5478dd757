/* SPDX-License-Identifier: Apache-2.0 */
/* What the control socket of a mount can be asked: the table of verbs for ctl_server_new. */
#ifndef PAILFS_CONTROL_H
#define PAILFS_CONTROL_H

#include "base/clock.h"
#include "conf/conf.h"
#include "ctl/ctl.h"
#include "recover.h"
#include "start.h"

struct control {
    const struct conf_options *options; /* borrowed */
    struct start *start;                /* borrowed */
    struct recover *recover;            /* borrowed */
    uint64_t since_ns;                  /* monotonic, when the mount became usable */
};

/* status, flush, log-level, and those of control_lost.h; the ctx is a struct control. */
extern const struct ctl_verb control_verbs[];

#endif
