/* SPDX-License-Identifier: Apache-2.0 */
/* Lets the n-th allocation of a test fail. Link with dep_alloc_fail, which puts these functions
 * before malloc, calloc, realloc, strdup and strndup of everything linked statically.
 *
 *     for (long n = 0; alloc_fail_begin(n), r = build(&thing), alloc_fail_end(); n++)
 *         assert_int_equal(r, -ENOMEM);
 *     assert_int_equal(r, 0);
 *
 * Threads: the countdown is the calling thread's own. */
#ifndef PAILFS_TESTS_ALLOC_FAIL_H
#define PAILFS_TESTS_ALLOC_FAIL_H

#include <stdbool.h>

/* The n-th allocation from now (0 is the next one) fails, later ones work again. */
void alloc_fail_begin(long n);
/* Ends it. True when an allocation was made to fail. */
bool alloc_fail_end(void);

#endif
