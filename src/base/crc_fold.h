/* SPDX-License-Identifier: Apache-2.0 */
/* Reduces a long buffer to 16 bytes with the same CRC, by PCLMULQDQ or VPCLMULQDQ; for bit-reversed
 * polynomials of up to 64 bits: the lowest bit of a word is its highest power of x, as the bytes
 * come. */
#ifndef PAILFS_BASE_CRC_FOLD_H
#define PAILFS_BASE_CRC_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRC_FOLD_MIN 128u /* bytes below which tables are as fast */

/* Powers of x modulo the polynomial, with x^0 in the highest bit of 64: what moves a block of 16
 * bytes by 256 (64, 16) bytes; for its first and its second word. */
struct crc_fold {
    uint64_t by_256[2]; /* x^(2048+64-1), x^(2048-1) */
    uint64_t by_64[2];  /* x^(512+64-1), x^(512-1) */
    uint64_t by_16[2];  /* x^(128+64-1), x^(128-1) */
};

bool crc_fold_usable(void);
/* Only when usable, and len >= CRC_FOLD_MIN. state goes into the first bytes. Returns how much of
 * p it took; `rest` stands for that, to be run through with a state of 0. */
size_t crc_fold(const struct crc_fold *f, uint64_t state, const uint8_t *p, size_t len,
                uint8_t rest[16]);
/* The one of the two that it chooses from which every such CPU has. */
size_t crc_fold_narrow(const struct crc_fold *f, uint64_t state, const uint8_t *p, size_t len,
                       uint8_t rest[16]);

#endif
