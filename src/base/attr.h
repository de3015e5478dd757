/* SPDX-License-Identifier: Apache-2.0 */
/* Compiler attributes and the few macros that every module uses. Nothing here allocates. */
#ifndef PAILFS_BASE_ATTR_H
#define PAILFS_BASE_ATTR_H

#include <stddef.h>

#define ATTR_PRINTF(fmt_index, first_arg) __attribute__((format(printf, fmt_index, first_arg)))
#define ATTR_UNUSED                       __attribute__((unused))
#define ATTR_WARN_UNUSED                  __attribute__((warn_unused_result))
#define ATTR_FALLTHROUGH                  __attribute__((fallthrough))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define MIN(a, b)                                                                                  \
    ({                                                                                             \
        __typeof__(a) min_a_ = (a);                                                                \
        __typeof__(b) min_b_ = (b);                                                                \
        min_a_ < min_b_ ? min_a_ : min_b_;                                                         \
    })
#define MAX(a, b)                                                                                  \
    ({                                                                                             \
        __typeof__(a) max_a_ = (a);                                                                \
        __typeof__(b) max_b_ = (b);                                                                \
        max_a_ > max_b_ ? max_a_ : max_b_;                                                         \
    })

#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define KIB 1024ull
#define MIB (1024ull * KIB)
#define GIB (1024ull * MIB)
#define TIB (1024ull * GIB)

#define NS_PER_S  1000000000ll
#define NS_PER_MS 1000000ll

#endif
