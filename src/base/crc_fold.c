/* SPDX-License-Identifier: Apache-2.0 */
/* Four accumulators of 128 bits, or eight of 256. With carry-less multiplication, a word moved up
 * by D bits and reduced is clmul(word, x^(D-1) mod P): the product of two reversed 64-bit words is
 * one bit short of a reversed 128-bit word, hence D-1. At the end the four are folded into one. */
#include "base/crc_fold.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET_FOLD __attribute__((target("pclmul,sse4.1")))
#define TARGET_WIDE __attribute__((target("vpclmulqdq,avx2,pclmul,sse4.1")))
#define WIDE_MIN    512u
#define WIDE        8 /* accumulators: a carry-less multiplication takes that many cycles */

bool crc_fold_usable(void)
{
    return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}

static bool wide_usable(void)
{
    return __builtin_cpu_supports("vpclmulqdq") && __builtin_cpu_supports("avx2") &&
           crc_fold_usable();
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

TARGET_FOLD size_t crc_fold_narrow(const struct crc_fold *f, uint64_t state, const uint8_t *p,
                                   size_t len, uint8_t rest[16])
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

TARGET_WIDE static inline __m256i load_wide(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

TARGET_WIDE static inline __m256i fold_wide(__m256i acc, __m256i by, __m256i next)
{
    __m256i first = _mm256_clmulepi64_epi128(acc, by, 0x00);
    __m256i second = _mm256_clmulepi64_epi128(acc, by, 0x11);
    return _mm256_xor_si256(_mm256_xor_si256(first, second), next);
}

TARGET_WIDE static size_t fold_all_wide(const struct crc_fold *f, uint64_t state, const uint8_t *p,
                                        size_t len, uint8_t rest[16])
{
    const uint8_t *begin = p;
    const __m128i by16 = _mm_set_epi64x((long long)f->by_16[1], (long long)f->by_16[0]);
    const __m256i by256 = _mm256_broadcastsi128_si256(
        _mm_set_epi64x((long long)f->by_256[1], (long long)f->by_256[0]));
    __m256i a[WIDE];
    uint8_t blocks[sizeof(a)];
    for (int i = 0; i < WIDE; i++)
        a[i] = load_wide(p + i * 32);
    a[0] = _mm256_xor_si256(a[0], _mm256_set_epi64x(0, 0, 0, (long long)state));
    for (p += sizeof(a), len -= sizeof(a); len >= sizeof(a); p += sizeof(a), len -= sizeof(a))
        for (int i = 0; i < WIDE; i++)
            a[i] = fold_wide(a[i], by256, load_wide(p + i * 32));
    for (int i = 0; i < WIDE; i++)
        _mm256_storeu_si256((__m256i *)(void *)(blocks + i * 32), a[i]);
    __m128i acc = load_block(blocks);
    for (size_t i = 16; i < sizeof(blocks); i += 16)
        acc = fold(acc, by16, load_block(blocks + i));
    for (; len >= 16; p += 16, len -= 16)
        acc = fold(acc, by16, load_block(p));
    _mm_storeu_si128((__m128i *)(void *)rest, acc);
    return (size_t)(p - begin);
}

size_t crc_fold(const struct crc_fold *f, uint64_t state, const uint8_t *p, size_t len,
                uint8_t rest[16])
{
    return len >= WIDE_MIN && wide_usable() ? fold_all_wide(f, state, p, len, rest)
                                            : crc_fold_narrow(f, state, p, len, rest);
}
#else
bool crc_fold_usable(void)
{
    return false;
}

/* Neither is ever called. */
size_t crc_fold_narrow(const struct crc_fold *f, uint64_t state, const uint8_t *p, size_t len,
                       uint8_t rest[16])
{
    return 0;
}

size_t crc_fold(const struct crc_fold *f, uint64_t state, const uint8_t *p, size_t len,
                uint8_t rest[16])
{
    return 0;
}
#endif
