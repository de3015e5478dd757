/* SPDX-License-Identifier: Apache-2.0 */
/* A fuzz target is one file, fuzz_<name>.c, that defines both of these. It is built twice: with
 * driver.c as a unit test that runs seeded mutations of the seeds, and, where the build was set up
 * with clang and -Dfuzz=true, as a libFuzzer program. */
#ifndef PAILFS_TESTS_FUZZ_H
#define PAILFS_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Returns 0. A broken promise of the code under test ends in FUZZ_CHECK. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Texts to start from, ending with NULL. Short ones, each showing something else. */
extern const char *const fuzz_seeds[];

/* Not assert(): must also count in builds without assertions. */
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : fuzz_failed(#condition, __FILE__, __LINE__))

static inline void fuzz_failed(const char *condition, const char *file, int line)
{
    __builtin_printf("%s:%d: %s does not hold\n", file, line, condition);
    __builtin_trap();
}

#endif
