/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32 and CRC-32C. The first is zlib's, and folded where the CPU can. The latter runs on
 * SSE4.2's crc32 instruction in three independent streams, because the instruction takes three
 * cycles but one can start in each; the streams are joined by tables that append zeros. Elsewhere:
 * eight table look-ups per eight bytes. */
#include "base/crc.h"

#include <pthread.h>
#include <string.h>
#include <zlib.h>

#include "base/crc_fold.h"
#include "base/crc_impl.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_X86 1
#else
#define HAVE_X86 0
#endif

#define POLY_32  0xedb88320u /* 0x04c11db7 with its bits reversed */
#define POLY_32C 0x82f63b78u /* 0x1edc6f41 with its bits reversed */

/* Bytes per stream: long buffers, then what is left of them. Multiples of 8. */
#define STREAM_LONG  4096u
#define STREAM_SHORT 256u

static pthread_once_t init_once = PTHREAD_ONCE_INIT;
static uint32_t slices[8][256];       /* slices[k][b]: b followed by k zero bytes */
static uint32_t append_long[4][256];  /* appends STREAM_LONG zero bytes, by byte of the CRC */
static uint32_t append_short[4][256]; /* the same for STREAM_SHORT */
static uint32_t squares_32[67];       /* x^(2^n) mod P; 8 * (2^64 - 1) needs n up to 66 */
static uint32_t squares_32c[67];
static struct crc_fold fold_32;
static bool hw_usable, fold_usable;

/* a * b mod P; polynomials with the coefficient of x^0 in the highest bit. */
static uint32_t multiply(uint32_t a, uint32_t b, uint32_t poly)
{
    uint32_t product = 0;
    for (; a; a <<= 1) {
        if (a & 0x80000000u)
            product ^= b;
        b = (b >> 1) ^ (b & 1 ? poly : 0);
    }
    return product;
}

static uint32_t power_of_x(unsigned n, uint32_t poly)
{
    uint32_t power = 0x80000000u; /* x^0 */
    while (n--)
        power = (power >> 1) ^ (power & 1 ? poly : 0);
    return power;
}

static void fill_squares(uint32_t squares[67], uint32_t poly)
{
    squares[0] = power_of_x(1, poly);
    for (unsigned n = 1; n < 67; n++)
        squares[n] = multiply(squares[n - 1], squares[n - 1], poly);
}

static void fill_append(uint32_t table[4][256], unsigned zero_bytes)
{
    uint32_t power = power_of_x(zero_bytes * 8, POLY_32C);
    for (unsigned k = 0; k < 4; k++)
        for (uint32_t b = 0; b < 256; b++)
            table[k][b] = multiply(b << (8 * k), power, POLY_32C);
}

static void init(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? POLY_32C : 0);
        slices[0][b] = crc;
    }
    for (int k = 1; k < 8; k++)
        for (uint32_t b = 0; b < 256; b++)
            slices[k][b] = (slices[k - 1][b] >> 8) ^ slices[0][slices[k - 1][b] & 0xff];
    fill_append(append_long, STREAM_LONG);
    fill_append(append_short, STREAM_SHORT);
    fill_squares(squares_32, POLY_32);
    fill_squares(squares_32c, POLY_32C);
    fold_32.by_256[0] = (uint64_t)power_of_x(2048 + 64 - 1, POLY_32) << 32;
    fold_32.by_256[1] = (uint64_t)power_of_x(2048 - 1, POLY_32) << 32;
    fold_32.by_64[0] = (uint64_t)power_of_x(512 + 64 - 1, POLY_32) << 32;
    fold_32.by_64[1] = (uint64_t)power_of_x(512 - 1, POLY_32) << 32;
    fold_32.by_16[0] = (uint64_t)power_of_x(128 + 64 - 1, POLY_32) << 32;
    fold_32.by_16[1] = (uint64_t)power_of_x(128 - 1, POLY_32) << 32;
    fold_usable = crc_fold_usable();
#if HAVE_X86
    hw_usable = __builtin_cpu_supports("sse4.2");
#endif
}

uint32_t crc32_zlib(uint32_t crc, const void *data, size_t len)
{
    return len ? (uint32_t)crc32_z(crc, data, len) : crc;
}

uint32_t crc32_hw(uint32_t crc, const void *data, size_t len)
{
    pthread_once(&init_once, init);
    uint8_t rest[16];
    if (len < CRC_FOLD_MIN)
        return crc32_zlib(crc, data, len);
    size_t taken = crc_fold(&fold_32, ~crc, data, len, rest);
    /* A state of 0 is a CRC of all ones. */
    crc = crc32_zlib(UINT32_MAX, rest, sizeof(rest));
    return crc32_zlib(crc, (const uint8_t *)data + taken, len - taken);
}

bool crc32_hw_usable(void)
{
    pthread_once(&init_once, init);
    return fold_usable;
}

uint32_t crc32_update(uint32_t crc, const void *data, size_t len)
{
    return crc32_hw_usable() ? crc32_hw(crc, data, len) : crc32_zlib(crc, data, len);
}

uint32_t crc32c_table(uint32_t crc, const void *data, size_t len)
{
    pthread_once(&init_once, init);
    const uint8_t *p = data;
    crc = ~crc;
    for (; len >= 8; p += 8, len -= 8) {
        uint32_t lo = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                             (uint32_t)p[3] << 24);
        crc = slices[7][lo & 0xff] ^ slices[6][lo >> 8 & 0xff] ^ slices[5][lo >> 16 & 0xff] ^
              slices[4][lo >> 24] ^ slices[3][p[4]] ^ slices[2][p[5]] ^ slices[1][p[6]] ^
              slices[0][p[7]];
    }
    for (; len; p++, len--)
        crc = (crc >> 8) ^ slices[0][(crc ^ *p) & 0xff];
    return ~crc;
}

#if HAVE_X86
static uint32_t append_zeros(uint32_t table[4][256], uint32_t crc)
{
    return table[0][crc & 0xff] ^ table[1][crc >> 8 & 0xff] ^ table[2][crc >> 16 & 0xff] ^
           table[3][crc >> 24];
}

static uint64_t load_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

/* Consumes whole groups of three streams of `stream` bytes from *p. */
__attribute__((target("sse4.2"))) static uint64_t
three_streams(uint64_t crc, const uint8_t **p, size_t *len, size_t stream, uint32_t table[4][256])
{
    while (*len >= 3 * stream) {
        const uint8_t *at = *p;
        uint64_t crc1 = 0, crc2 = 0;
        for (size_t i = 0; i < stream; i += 8) {
            crc = _mm_crc32_u64(crc, load_u64(at + i));
            crc1 = _mm_crc32_u64(crc1, load_u64(at + stream + i));
            crc2 = _mm_crc32_u64(crc2, load_u64(at + 2 * stream + i));
        }
        crc = append_zeros(table, (uint32_t)crc) ^ crc1;
        crc = append_zeros(table, (uint32_t)crc) ^ crc2;
        *p += 3 * stream;
        *len -= 3 * stream;
    }
    return crc;
}

__attribute__((target("sse4.2"))) uint32_t crc32c_hw(uint32_t crc, const void *data, size_t len)
{
    pthread_once(&init_once, init);
    const uint8_t *p = data;
    uint64_t state = ~crc;
    state = three_streams(state, &p, &len, STREAM_LONG, append_long);
    state = three_streams(state, &p, &len, STREAM_SHORT, append_short);
    for (; len >= 8; p += 8, len -= 8)
        state = _mm_crc32_u64(state, load_u64(p));
    for (; len; p++, len--)
        state = _mm_crc32_u8((uint32_t)state, *p);
    return ~(uint32_t)state;
}
#else
uint32_t crc32c_hw(uint32_t crc, const void *data, size_t len)
{
    return crc32c_table(crc, data, len);
}
#endif

bool crc32c_hw_usable(void)
{
    pthread_once(&init_once, init);
    return hw_usable;
}

uint32_t crc32c_update(uint32_t crc, const void *data, size_t len)
{
    return crc32c_hw_usable() ? crc32c_hw(crc, data, len) : crc32c_table(crc, data, len);
}

/* A's CRC moved up by B's length; the inversions cancel, being the same at both ends. */
static uint32_t combine(uint32_t crc_a, uint32_t crc_b, uint64_t len_b, const uint32_t squares[67],
                        uint32_t poly)
{
    pthread_once(&init_once, init);
    for (unsigned bit = 3; len_b; len_b >>= 1, bit++)
        if (len_b & 1)
            crc_a = multiply(crc_a, squares[bit], poly);
    return crc_a ^ crc_b;
}

uint32_t crc32_join(uint32_t crc_a, uint32_t crc_b, uint64_t len_b)
{
    return combine(crc_a, crc_b, len_b, squares_32, POLY_32);
}

uint32_t crc32c_join(uint32_t crc_a, uint32_t crc_b, uint64_t len_b)
{
    return combine(crc_a, crc_b, len_b, squares_32c, POLY_32C);
}
