/* SPDX-License-Identifier: Apache-2.0 */
/* File content between the filesystem and the store: one context per mount that holds the memory
 * budget and the tuning, readers (reader.h) and writers (writer.h).
 * Life: data_new -> readers and writers -> all freed -> data_free. Thread-safe. */
#ifndef PAILFS_DATA_DATA_H
#define PAILFS_DATA_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "data/block_cache.h"
#include "store/store.h"

struct data;

struct data_options {
    struct store *store; /* borrowed */
    struct clock *clock; /* borrowed; NULL = clock_system() */
    /* Bytes of all buffers together; 0 = 512 MiB, at least 64 MiB. Beyond it goes only what reads
     * under way are asking for, and unsent parts that dirty_dir has no room for. */
    uint64_t memory_limit;
    /* First part's size, grows with the index; 0 = 8 MiB. 5 MiB to a quarter of memory_limit, which
     * also ends the growth. */
    uint64_t write_part_size;
    uint64_t read_part_size; /* prefetch request; 0 = 8 MiB */
    /* Objects from this size on that are read in ranges, from their start to their end, are held
     * against their stored checksum, for a HEAD each; 0 = none. */
    uint64_t verify_min;
    /* Also when none was told of many in a row, and of what the disk cache alone has; and a HEAD
     * that fails is warned of. */
    bool verify_always;
    /* The store sends a CRC-64/NVME with each part: it is computed as the bytes come. */
    bool sum_parts;
    unsigned parallel;    /* requests under way of one reader or writer; 0 = 8 */
    unsigned connections; /* of the store; readers share them; 0 = 64 */
    uint64_t answer_ns;   /* what a small request took, for the first reader; 0 = not known */
    uint64_t idle_ns;     /* memory not used for so long goes back to the system; 0 = 5 s */
    /* Folder on the local disk for changes that cannot be streamed, see dirty.h; copied. NULL: they
     * are held in memory, up to a quarter of memory_limit, and unsent parts may exceed that. */
    const char *dirty_dir;
    uint64_t dirty_limit; /* bytes of them; 0 = what the disk has */
    /* Folder for content that was read, see block_cache.h; copied. NULL: none is kept. */
    const char *cache_dir;
    uint64_t cache_limit; /* bytes of it; 0 = none, and what is there is removed */
};

int data_new(const struct data_options *opts, struct data **ret);
void data_free(struct data *d);

/* The disk that holds the changes is full: what was read and is cached there goes, the oldest
 * first. Whether that has given any room. Blocks; NULL ok. */
bool data_make_room(struct data *d, uint64_t bytes);

/* Bytes that readers may hold together which nobody reads yet: the caller's to keep to. */
uint64_t data_ahead_max(const struct data *d);

struct data_stats {
    uint64_t memory_used;
    uint64_t memory_limit;
    uint64_t memory_peak;
    uint64_t memory_kept; /* freed, and kept for the next use */
    unsigned readers;
    unsigned writers;
    uint64_t spilled;     /* bytes of unsent parts that went to the local disk, ever */
    uint64_t dirty_bytes; /* accepted, not yet in the store */
    uint64_t disk_bytes;  /* of the local disk in use for changes */
    unsigned uploads;     /* requests with data under way */
    /* Of the checks here, of large objects (the store's client has figures of small ones): */
    uint64_t checked_bytes, mismatches;
    uint64_t refetched; /* small ones that were asked for again, as they did not match */
    struct block_cache_stats cache;
};
void data_stats(struct data *d, struct data_stats *ret);

/* Size of part `index` (0-based): 117 GiB have parts of 64 MiB at most, 10,000 parts together 23
 * TiB from a first part of 8 MiB. (S3's 48.8 TiB are 10,000 parts of 5 GiB: all but five would have
 * to be of that size.) Not over 5 GiB, not under 5 MiB. Pure. */
uint64_t data_part_size(uint64_t first, uint32_t index);

#endif
