/* SPDX-License-Identifier: Apache-2.0 */
/* For the writer, which takes the blocks. */
#ifndef PAILFS_DATA_LANDING_IMPL_H
#define PAILFS_DATA_LANDING_IMPL_H

#include "data/data_impl.h"
#include "data/landing.h"

struct landing {
    struct data *d;
    char *blocks[LANDING_IOV]; /* NULL: taken */
};

#endif
