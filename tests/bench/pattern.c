/* SPDX-License-Identifier: Apache-2.0 */
#include "pattern.h"

#include <string.h>

static uint8_t pattern_noise[PATTERN_PRIME + PATTERN_SLICE];

void pattern_init(void)
{
    uint64_t x = 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < PATTERN_PRIME; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        pattern_noise[i] = (uint8_t)(x >> 32);
    }
    for (size_t i = PATTERN_PRIME; i < sizeof(pattern_noise); i++)
        pattern_noise[i] = pattern_noise[i - PATTERN_PRIME];
}

uint64_t pattern_start(const char *name)
{
    const char *slash = strrchr(name, '/');
    uint64_t h = 1469598103934665603u;
    for (const char *p = slash ? slash + 1 : name; *p; p++)
        h = (h ^ (uint8_t)*p) * 1099511628211u;
    return h % PATTERN_PRIME;
}

const uint8_t *pattern_at(uint64_t start, uint64_t offset)
{
    return pattern_noise + (start + offset) % PATTERN_PRIME;
}

uint64_t pattern_compare(const uint8_t *data, uint64_t len, uint64_t start, uint64_t offset)
{
    for (uint64_t done = 0; done < len;) {
        uint64_t n = len - done < PATTERN_PRIME ? len - done : PATTERN_PRIME;
        const uint8_t *want = pattern_at(start, offset + done);
        if (memcmp(data + done, want, n) != 0) {
            for (uint64_t i = 0; i < n; i++)
                if (data[done + i] != want[i])
                    return done + i;
        }
        done += n;
    }
    return len;
}
