/* SPDX-License-Identifier: Apache-2.0 */
/* The clock of the benchmark's programs: from the moment that all threads stand ready to the end of
 * the last one; how much was moved so far, written down each 2 ms where asked for; and whether
 * anything failed. */
#ifndef BENCH_METER_H
#define BENCH_METER_H

#include <stdbool.h>
#include <stdint.h>

/* Writes "seconds bytes" of what was moved so far to this file, a line each 2 ms. Before
 * meter_start. */
void meter_timeline(const char *path);
/* A thread waits here until all are told to go. */
void meter_wait(void);
void meter_start(void);
void meter_add(uint64_t bytes);
void meter_fail(void);
bool meter_failed(void);
/* The exit status; prints "seconds N" when all went well. */
int meter_end(bool ok);

#endif
