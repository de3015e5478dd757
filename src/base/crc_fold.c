/* SPDX-License-Identifier: Apache-2.0 */
/* Four accumulators of 128 bits. With carry-less multiplication, a word moved up by D bits and
 * reduced is clmul(word, x^(D-1) mod P): the product of two reversed 64-bit words is one bit short
 * of a reversed 128-bit word, hence D-1. At the end the four are folded into one. */
#include "base/crc_fold.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET_FOLD __attribute__((target("pclmul,sse4.1")))

bool crc_fold_usable(void)
{
    return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}

TARGET_FOLD static inline __m128i load_block(const uint8_t *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

TARGET_FOLD static inline __m128i fold(__m128i acc, __m128i by, __m128i next)
{
    __m128i first = _mm_clmulepi64_si128(acc, by, 0x00);
    __m128i second = _mm_clmulepi64_si128(acc, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(first, second), next);
}

TARGET_FOLD size_t crc_fold(const struct crc_fold *f, uint64_t state, const uint8_t *p, size_t len,
                            uint8_t rest[16])
{
    const uint8_t *begin = p;
    const __m128i by64 = _mm_set_epi64x((long long)f->by_64[1], (long long)f->by_64[0]);
    const __m128i by16 = _mm_set_epi64x((long long)f->by_16[1], (long long)f->by_16[0]);
    __m128i a0 = _mm_xor_si128(load_block(p), _mm_set_epi64x(0, (long long)state));
    __m128i a1 = load_block(p + 16);
    __m128i a2 = load_block(p + 32);
    __m128i a3 = load_block(p + 48);
    for (p += 64, len -= 64; len >= 64; p += 64, len -= 64) {
        a0 = fold(a0, by64, load_block(p));
        a1 = fold(a1, by64, load_block(p + 16));
        a2 = fold(a2, by64, load_block(p + 32));
        a3 = fold(a3, by64, load_block(p + 48));
    }
    a1 = fold(a0, by16, a1);
    a2 = fold(a1, by16, a2);
    a3 = fold(a2, by16, a3);
    for (; len >= 16; p += 16, len -= 16)
        a3 = fold(a3, by16, load_block(p));
    _mm_storeu_si128((__m128i *)(void *)rest, a3);
    return (size_t)(p - begin);
}
#else
bool crc_fold_usable(void)
{
    return false;
}

/* Never called. */
size_t crc_fold(const struct crc_fold *f, uint64_t state, const uint8_t *p, size_t len,
                uint8_t rest[16])
{
    return 0;
}
#endif
