/* SPDX-License-Identifier: Apache-2.0 */
/* From the name that a user wrote to a row of the table, or to the name that was meant. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "conf/options_table.h"

#define DISTANCE_MAX_LEN 64

static char fold(char c)
{
    return c == '-' ? '_' : c;
}

static bool same_name(const char *wanted, const char *name, size_t len)
{
    /* "x-*": whatever begins so. */
    bool open_end = len && name[len - 1] == '*';
    size_t fixed = open_end ? len - 1 : len;
    for (size_t i = 0; i < fixed; i++)
        if (!wanted[i] || fold(wanted[i]) != fold(name[i]))
            return false;
    return open_end || !wanted[fixed];
}

bool conf_row_each_name(const struct conf_row *row,
                        bool (*fn)(void *ctx, const char *name, size_t len), void *ctx)
{
    if (fn(ctx, row->name, strlen(row->name)))
        return true;
    for (const char *p = row->aliases; p && *p;) {
        size_t len = strcspn(p, " ");
        if (fn(ctx, p, len))
            return true;
        p += len + strspn(p + len, " ");
    }
    return false;
}

static bool is_wanted(void *ctx, const char *name, size_t len)
{
    return same_name(ctx, name, len);
}

const struct conf_row *conf_row_find(const char *name)
{
    for (size_t i = 0; i < conf_n_rows; i++)
        if (conf_row_each_name(&conf_rows[i], is_wanted, (void *)name))
            return &conf_rows[i];
    return NULL;
}

const struct conf_row *conf_row_find_letter(char letter)
{
    for (size_t i = 0; letter && i < conf_n_rows; i++)
        if (conf_rows[i].letter == letter)
            return &conf_rows[i];
    return NULL;
}

static char fold_case(char c)
{
    return (char)tolower((unsigned char)fold(c));
}

unsigned conf_distance(const char *a, const char *b, size_t b_len)
{
    size_t n = MIN(strlen(a), (size_t)DISTANCE_MAX_LEN), m = MIN(b_len, (size_t)DISTANCE_MAX_LEN);
    /* The three rows of the matrix that a transposition reaches. */
    unsigned rows[3][DISTANCE_MAX_LEN + 1];
    for (size_t k = 0; k <= m; k++)
        rows[0][k] = (unsigned)k;
    for (size_t i = 1; i <= n; i++) {
        unsigned *now = rows[i % 3], *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t k = 1; k <= m; k++) {
            bool same = fold_case(a[i - 1]) == fold_case(b[k - 1]);
            unsigned best = MIN(before[k] + 1, now[k - 1] + 1);
            best = MIN(best, before[k - 1] + !same);
            if (i > 1 && k > 1 && fold_case(a[i - 1]) == fold_case(b[k - 2]) &&
                fold_case(a[i - 2]) == fold_case(b[k - 1]))
                best = MIN(best, two_before[k - 2] + 1);
            now[k] = best;
        }
    }
    return rows[n % 3][m];
}

struct nearest {
    const char *wanted;
    const char *name;
    size_t len;
    unsigned distance;
};

static bool weigh(void *ctx, const char *name, size_t len)
{
    struct nearest *best = ctx;
    size_t wanted_len = strlen(best->wanted);
    unsigned d = conf_distance(best->wanted, name, len);
    /* The beginning of a name is a good guess however much is missing. */
    if (wanted_len >= 4 && wanted_len < len && conf_distance(best->wanted, name, wanted_len) == 0)
        d = MIN(d, 2u);
    if (d < best->distance && name[len - 1] != '*') {
        best->name = name;
        best->len = len;
        best->distance = d;
    }
    return false;
}

const char *conf_suggest(const char *name, char *buf, size_t size)
{
    struct nearest best = {.wanted = name, .distance = UINT32_MAX};
    for (size_t i = 0; i < conf_n_rows; i++)
        if (conf_rows[i].type != CONF_UNSUPPORTED && conf_rows[i].type != CONF_IGNORED)
            conf_row_each_name(&conf_rows[i], weigh, &best);
    /* A third of the letters may be wrong, else it is another word. */
    if (!best.name || best.distance > MAX(MIN(strlen(name), best.len) / 3, (size_t)1) + 1 ||
        best.distance >= MIN(strlen(name), best.len))
        return NULL;
    snprintf(buf, size, "%.*s", (int)best.len, best.name);
    return buf;
}
