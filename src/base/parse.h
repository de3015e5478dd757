/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers from text: whole string, no sign surprises, overflow is an error. 0, -EINVAL or -ERANGE;
 * *ret is set on success only. */
#ifndef PAILFS_BASE_PARSE_H
#define PAILFS_BASE_PARSE_H

#include <stdbool.h>
#include <stdint.h>

int parse_u64(const char *s, uint64_t *ret);
int parse_u64_base(const char *s, int base, uint64_t *ret);
int parse_i64(const char *s, int64_t *ret);
/* "64", "8M", "5MiB", "1G": powers of 1,024; a bare number is in units of `unit` bytes. */
int parse_size(const char *s, uint64_t unit, uint64_t *ret);
/* "10", "500ms", "2.5s", "5m", "1h", "2d" (aliases min, sec): result in nanoseconds; bare = s. */
int parse_duration(const char *s, uint64_t *ret_ns);
/* yes/no, true/false, on/off, 1/0; NULL or "" is true. */
int parse_bool(const char *s, bool *ret);

#endif
