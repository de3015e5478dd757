/* SPDX-License-Identifier: Apache-2.0 */
/* File content between the filesystem and the store: one context per mount that holds the memory
 * budget and the tuning, readers (reader.h) and writers (writer.h).
 * Life: data_new -> readers and writers -> all freed -> data_free. Thread-safe. */
#ifndef PAILFS_DATA_DATA_H
#define PAILFS_DATA_DATA_H

#include <stdint.h>

#include "base/clock.h"
#include "store/store.h"

struct data;

struct data_options {
    struct store *store;      /* borrowed */
    struct clock *clock;      /* borrowed; NULL = clock_system() */
    uint64_t memory_limit;    /* bytes of all buffers together; 0 = 512 MiB; at least 64 MiB */
    uint64_t write_part_size; /* first part's size, grows with the index; 0 = 8 MiB */
    uint64_t read_part_size;  /* prefetch request; 0 = 8 MiB */
    unsigned parallel;        /* requests under way of one reader or writer; 0 = 8 */
};

int data_new(const struct data_options *opts, struct data **ret);
void data_free(struct data *d);

struct data_stats {
    uint64_t memory_used;
    uint64_t memory_limit;
    uint64_t memory_peak;
    unsigned readers;
    unsigned writers;
    uint64_t dirty_bytes;    /* accepted, not yet in the store */
    unsigned uploads;        /* requests with data under way */
};
void data_stats(struct data *d, struct data_stats *ret);

/* Size of part `index` (0-based) so that 10,000 parts reach 48.8 TiB. Pure. */
uint64_t data_part_size(uint64_t first, uint32_t index);

#endif
