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

/* Each argument is evaluated once; the counter lets one stand inside another. */
#define ATTR_CONCAT2(a, b) a##b
#define ATTR_CONCAT(a, b)  ATTR_CONCAT2(a, b)
#define ATTR_PICK(a, op, b, id)                                                                    \
    ({                                                                                             \
        __typeof__(a) ATTR_CONCAT(pick_a_, id) = (a);                                              \
        __typeof__(b) ATTR_CONCAT(pick_b_, id) = (b);                                              \
        ATTR_CONCAT(pick_a_, id)                                                                   \
        op ATTR_CONCAT(pick_b_, id) ? ATTR_CONCAT(pick_a_, id) : ATTR_CONCAT(pick_b_, id);         \
    })
#define MIN(a, b) ATTR_PICK(a, <, b, __COUNTER__)
#define MAX(a, b) ATTR_PICK(a, >, b, __COUNTER__)

#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#define KIB 1024ull
#define MIB (1024ull * KIB)
#define GIB (1024ull * MIB)
#define TIB (1024ull * GIB)

#define NS_PER_S  1000000000ll
#define NS_PER_MS 1000000ll

#endif
