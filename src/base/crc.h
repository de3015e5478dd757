/* SPDX-License-Identifier: Apache-2.0 */
/* The CRCs that S3 knows as x-amz-checksum-*: crc32 (ISO-HDLC), crc32c (Castagnoli) and crc64nvme
 * (poly 0xad93d23594c93659, reflected). Start with crc = 0; feed the returned value on. Hardware
 * instructions are used where the CPU has them. Thread-safe.
 * Check values for "123456789": cbf43926, e3069283, ae8b14860a799888. */
#ifndef PAILFS_BASE_CRC_H
#define PAILFS_BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32_update(uint32_t crc, const void *data, size_t len);
uint32_t crc32c_update(uint32_t crc, const void *data, size_t len);
uint64_t crc64nvme_update(uint64_t crc, const void *data, size_t len);

/* CRC of A||B from crc(A), crc(B) and B's length. (crc32_combine is zlib's name.) */
uint32_t crc32_join(uint32_t crc_a, uint32_t crc_b, uint64_t len_b);
uint32_t crc32c_join(uint32_t crc_a, uint32_t crc_b, uint64_t len_b);
uint64_t crc64nvme_combine(uint64_t crc_a, uint64_t crc_b, uint64_t len_b);

#endif
