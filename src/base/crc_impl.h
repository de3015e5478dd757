/* SPDX-License-Identifier: Apache-2.0 */
/* The single implementations behind base/crc.h, for the test that holds them against each other.
 * Everyone else includes base/crc.h. The *_hw functions may only be called when the matching
 * *_hw_usable() is true. */
#ifndef PAILFS_BASE_CRC_IMPL_H
#define PAILFS_BASE_CRC_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool crc32_hw_usable(void);
uint32_t crc32_hw(uint32_t crc, const void *data, size_t len);
uint32_t crc32_zlib(uint32_t crc, const void *data, size_t len);

bool crc32c_hw_usable(void);
uint32_t crc32c_hw(uint32_t crc, const void *data, size_t len);
uint32_t crc32c_table(uint32_t crc, const void *data, size_t len);

bool crc64nvme_hw_usable(void);
uint64_t crc64nvme_hw(uint64_t crc, const void *data, size_t len);
uint64_t crc64nvme_narrow(uint64_t crc, const void *data, size_t len); /* the same usable */
uint64_t crc64nvme_table(uint64_t crc, const void *data, size_t len);

#endif
