/* SPDX-License-Identifier: Apache-2.0 */
#include "base/parse.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "base/attr.h"

static int digit_value(char c, int base)
{
    int v;
    if (c >= '0' && c <= '9')
        v = c - '0';
    else if (c >= 'a' && c <= 'z')
        v = c - 'a' + 10;
    else if (c >= 'A' && c <= 'Z')
        v = c - 'A' + 10;
    else
        return -1;
    return v < base ? v : -1;
}

/* At least one digit; *s is moved behind the last. */
static int take_u64(const char **s, int base, uint64_t *ret)
{
    uint64_t v = 0;
    bool overflow = false;
    const char *p = *s;
    for (int d; (d = digit_value(*p, base)) >= 0; p++)
        overflow |= __builtin_mul_overflow(v, (uint64_t)base, &v) ||
                    __builtin_add_overflow(v, (uint64_t)d, &v);
    if (p == *s)
        return -EINVAL;
    *s = p;
    if (overflow)
        return -ERANGE;
    *ret = v;
    return 0;
}

int parse_u64_base(const char *s, int base, uint64_t *ret)
{
    uint64_t v = 0;
    if (!s || base < 2 || base > 36)
        return -EINVAL;
    int r = take_u64(&s, base, &v);
    if (r == -EINVAL || *s)
        return -EINVAL;
    if (r == 0)
        *ret = v;
    return r;
}

int parse_u64(const char *s, uint64_t *ret)
{
    return parse_u64_base(s, 10, ret);
}

int parse_i64(const char *s, int64_t *ret)
{
    if (!s)
        return -EINVAL;
    bool negative = *s == '-';
    uint64_t v = 0;
    int r = parse_u64(s + negative, &v);
    if (r < 0)
        return r;
    if (v > (uint64_t)INT64_MAX + negative)
        return -ERANGE;
    *ret = negative ? (int64_t)(0 - v) : (int64_t)v;
    return 0;
}

int parse_size(const char *s, uint64_t unit, uint64_t *ret)
{
    static const struct {
        const char *names[3]; /* "K" alone, "KB", "KiB": all mean 1,024 */
        uint64_t factor;
    } SUFFIXES[] = {
        {{"b", "", ""}, 1},        {{"k", "kb", "kib"}, KIB}, {{"m", "mb", "mib"}, MIB},
        {{"g", "gb", "gib"}, GIB}, {{"t", "tb", "tib"}, TIB},
    };

    if (!s)
        return -EINVAL;
    uint64_t v = 0, factor = unit;
    int r = take_u64(&s, 10, &v);
    if (r == -EINVAL)
        return r;
    if (*s) {
        factor = 0;
        for (size_t i = 0; i < ARRAY_SIZE(SUFFIXES); i++)
            for (size_t k = 0; k < ARRAY_SIZE(SUFFIXES[i].names); k++)
                if (strcasecmp(s, SUFFIXES[i].names[k]) == 0)
                    factor = SUFFIXES[i].factor;
        if (!factor)
            return -EINVAL;
    }
    if (r < 0 || __builtin_mul_overflow(v, factor, &v))
        return -ERANGE;
    *ret = v;
    return 0;
}

int parse_duration(const char *s, uint64_t *ret_ns)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } UNITS[] = {
        {"", NS_PER_S},         {"ms", NS_PER_MS},       {"s", NS_PER_S},
        {"sec", NS_PER_S},      {"m", 60 * NS_PER_S},    {"min", 60 * NS_PER_S},
        {"h", 3600 * NS_PER_S}, {"d", 86400 * NS_PER_S},
    };

    if (!s)
        return -EINVAL;
    uint64_t whole = 0, fraction = 0, fraction_scale = 1;
    int r = take_u64(&s, 10, &whole);
    if (r == -EINVAL)
        return r;
    if (*s == '.') {
        const char *p = ++s;
        for (; *p >= '0' && *p <= '9'; p++) {
            if (fraction_scale < 1000000000u) { /* digits after the ninth count nothing */
                fraction = fraction * 10 + (uint64_t)(*p - '0');
                fraction_scale *= 10;
            }
        }
        if (p == s)
            return -EINVAL;
        s = p;
    }
    for (size_t i = 0; i < ARRAY_SIZE(UNITS); i++) {
        if (strcasecmp(s, UNITS[i].name) != 0)
            continue;
        uint64_t ns;
        /* 128 bits: a day in nanoseconds times nine digits does not fit 64. */
        uint64_t part = (uint64_t)((unsigned __int128)fraction * UNITS[i].ns / fraction_scale);
        if (r < 0 || __builtin_mul_overflow(whole, UNITS[i].ns, &ns) ||
            __builtin_add_overflow(ns, part, &ns))
            return -ERANGE;
        *ret_ns = ns;
        return 0;
    }
    return -EINVAL;
}

int parse_bool(const char *s, bool *ret)
{
    static const struct {
        const char *text;
        bool value;
    } WORDS[] = {
        {"", true},    {"yes", true},    {"true", true}, {"on", true}, {"1", true},
        {"no", false}, {"false", false}, {"off", false}, {"0", false},
    };

    for (size_t i = 0; i < ARRAY_SIZE(WORDS); i++) {
        if (strcasecmp(s ? s : "", WORDS[i].text) == 0) {
            *ret = WORDS[i].value;
            return 0;
        }
    }
    return -EINVAL;
}
