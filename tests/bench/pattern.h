/* SPDX-License-Identifier: Apache-2.0 */
/* What the bytes of a benchmark's file are: a function of its base name and of the place, so that
 * every reader can compare each byte, and one from another file, block or part is found out.
 *
 * A fixed noise of a prime length goes round and round, from a start that the name decides. Two
 * places hold the same only when they are a multiple of the prime apart, which no two blocks of a
 * power of two are within a file of 256 MiB, and no two parts of 8 MiB within any. Small enough to
 * stay in a processor's cache: comparing costs about 0.05 s/GB, in the limit program as in the one
 * that reads a mount. */
#ifndef BENCH_PATTERN_H
#define BENCH_PATTERN_H

#include <stddef.h>
#include <stdint.h>

#define PATTERN_PRIME 65521u
#define PATTERN_SLICE (1u << 20) /* as much is in one piece from any place on */

/* Once, before all others. */
void pattern_init(void);
/* Where the noise begins for a file of this name (its folders do not count). */
uint64_t pattern_start(const char *name);
/* PATTERN_SLICE bytes from this place of the file on. */
const uint8_t *pattern_at(uint64_t start, uint64_t offset);
/* The first place that differs, or len. */
uint64_t pattern_compare(const uint8_t *data, uint64_t len, uint64_t start, uint64_t offset);

#endif
