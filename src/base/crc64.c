/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-64/NVME. All polynomials here are bit-reversed: the lowest bit of a word is its highest
 * power of x, as the bytes come. */
#include "base/crc.h"

#include <pthread.h>

#include "base/crc_fold.h"
#include "base/crc_impl.h"

#define POLY    0x9a6c9329ac4bc9b5ull /* 0xad93d23594c93659 with its bits reversed */
#define X_POW_0 0x8000000000000000ull

static pthread_once_t init_once = PTHREAD_ONCE_INIT;
static uint64_t slices[8][256]; /* slices[k][b]: b followed by k zero bytes */
static uint64_t squares[67];    /* x^(2^n) mod P; 8 * (2^64 - 1) needs n up to 66 */
static struct crc_fold fold;
static bool hw_usable;

static uint64_t times_x(uint64_t a)
{
    return (a >> 1) ^ (a & 1 ? POLY : 0);
}

static uint64_t multiply(uint64_t a, uint64_t b)
{
    uint64_t product = 0;
    for (; a; a <<= 1) {
        if (a & X_POW_0)
            product ^= b;
        b = times_x(b);
    }
    return product;
}

static uint64_t power_of_x(unsigned n)
{
    uint64_t a = X_POW_0;
    while (n--)
        a = times_x(a);
    return a;
}

static void init(void)
{
    for (unsigned b = 0; b < 256; b++) {
        uint64_t crc = b;
        for (int bit = 0; bit < 8; bit++)
            crc = times_x(crc);
        slices[0][b] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (unsigned b = 0; b < 256; b++)
            slices[k][b] = (slices[k - 1][b] >> 8) ^ slices[0][slices[k - 1][b] & 0xff];

    squares[0] = power_of_x(1);
    for (size_t n = 1; n < sizeof(squares) / sizeof(squares[0]); n++)
        squares[n] = multiply(squares[n - 1], squares[n - 1]);

    fold.by_256[0] = power_of_x(2048 + 64 - 1);
    fold.by_256[1] = power_of_x(2048 - 1);
    fold.by_64[0] = power_of_x(512 + 64 - 1);
    fold.by_64[1] = power_of_x(512 - 1);
    fold.by_16[0] = power_of_x(128 + 64 - 1);
    fold.by_16[1] = power_of_x(128 - 1);
    hw_usable = crc_fold_usable();
}

/* Without the inversion at both ends. */
static uint64_t table_raw(uint64_t crc, const uint8_t *p, size_t len)
{
    for (; len >= 8; p += 8, len -= 8) {
        uint64_t w = (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 |
                     (uint64_t)p[3] << 24 | (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 |
                     (uint64_t)p[6] << 48 | (uint64_t)p[7] << 56;
        w ^= crc;
        crc = slices[7][w & 0xff] ^ slices[6][w >> 8 & 0xff] ^ slices[5][w >> 16 & 0xff] ^
              slices[4][w >> 24 & 0xff] ^ slices[3][w >> 32 & 0xff] ^ slices[2][w >> 40 & 0xff] ^
              slices[1][w >> 48 & 0xff] ^ slices[0][w >> 56];
    }
    for (; len; p++, len--)
        crc = (crc >> 8) ^ slices[0][(crc ^ *p) & 0xff];
    return crc;
}

uint64_t crc64nvme_table(uint64_t crc, const void *data, size_t len)
{
    pthread_once(&init_once, init);
    return ~table_raw(~crc, data, len);
}

static uint64_t folded(uint64_t crc, const uint8_t *p, size_t len, bool narrow)
{
    pthread_once(&init_once, init);
    uint8_t rest[16];
    if (len < CRC_FOLD_MIN)
        return ~table_raw(~crc, p, len);
    size_t taken =
        narrow ? crc_fold_narrow(&fold, ~crc, p, len, rest) : crc_fold(&fold, ~crc, p, len, rest);
    return ~table_raw(table_raw(0, rest, sizeof(rest)), p + taken, len - taken);
}

uint64_t crc64nvme_hw(uint64_t crc, const void *data, size_t len)
{
    return folded(crc, data, len, false);
}

uint64_t crc64nvme_narrow(uint64_t crc, const void *data, size_t len)
{
    return folded(crc, data, len, true);
}

bool crc64nvme_hw_usable(void)
{
    pthread_once(&init_once, init);
    return hw_usable;
}

uint64_t crc64nvme_update(uint64_t crc, const void *data, size_t len)
{
    return crc64nvme_hw_usable() ? crc64nvme_hw(crc, data, len) : crc64nvme_table(crc, data, len);
}

/* A's CRC moved up by B's length; the inversions cancel, being the same at both ends. */
uint64_t crc64nvme_combine(uint64_t crc_a, uint64_t crc_b, uint64_t len_b)
{
    pthread_once(&init_once, init);
    uint64_t moved = crc_a;
    for (unsigned bit = 3; len_b; len_b >>= 1, bit++)
        if (len_b & 1)
            moved = multiply(moved, squares[bit]);
    return moved ^ crc_b;
}
