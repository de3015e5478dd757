/* SPDX-License-Identifier: Apache-2.0 */
#include "base/strbuf.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

void strbuf_init(struct strbuf *sb, size_t max)
{
    *sb = (struct strbuf)STRBUF_INIT(max);
}

void strbuf_done(struct strbuf *sb)
{
    free(sb->data);
    strbuf_init(sb, sb->max);
}

void strbuf_reset(struct strbuf *sb)
{
    sb->len = 0;
    sb->error = 0;
    if (sb->data)
        sb->data[0] = '\0';
}

static int fail(struct strbuf *sb, int error)
{
    if (!sb->error)
        sb->error = error;
    return sb->error;
}

int strbuf_reserve(struct strbuf *sb, size_t len)
{
    if (sb->error)
        return sb->error;
    if (len > sb->max - sb->len || sb->max == SIZE_MAX)
        return fail(sb, -E2BIG);

    size_t need = sb->len + len + 1;
    if (need <= sb->alloc)
        return 0;

    /* Half as much again keeps the number of copies logarithmic; never more than the cap. */
    size_t grown = sb->alloc + sb->alloc / 2;
    size_t size = MAX(need, MAX(grown, (size_t)64));
    if (size > sb->max + 1)
        size = sb->max + 1;
    char *data = realloc(sb->data, size);
    if (!data)
        return fail(sb, -ENOMEM);
    if (!sb->data)
        data[0] = '\0';
    sb->data = data;
    sb->alloc = size;
    return 0;
}

int strbuf_append(struct strbuf *sb, const void *data, size_t len)
{
    int r = strbuf_reserve(sb, len);
    if (r < 0)
        return r;
    if (len)
        memcpy(sb->data + sb->len, data, len);
    sb->len += len;
    sb->data[sb->len] = '\0';
    return 0;
}

int strbuf_append_str(struct strbuf *sb, const char *s)
{
    return strbuf_append(sb, s, strlen(s));
}

int strbuf_append_char(struct strbuf *sb, char c)
{
    return strbuf_append(sb, &c, 1);
}

int strbuf_vappendf(struct strbuf *sb, const char *fmt, va_list ap)
{
    if (sb->error)
        return sb->error;

    size_t room = sb->alloc ? sb->alloc - sb->len : 0;
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(room ? sb->data + sb->len : NULL, room, fmt, ap);
    int r = 0;
    if (n < 0) {
        r = fail(sb, -E2BIG); /* only possible for output over INT_MAX */
    } else if ((size_t)n >= room) {
        r = strbuf_reserve(sb, (size_t)n);
        if (r == 0)
            (void)vsnprintf(sb->data + sb->len, (size_t)n + 1, fmt, again);
    }
    va_end(again);

    if (r < 0) {
        /* The first attempt may have left a part of the text behind. */
        if (sb->data)
            sb->data[sb->len] = '\0';
        return r;
    }
    sb->len += (size_t)n;
    return 0;
}

int strbuf_appendf(struct strbuf *sb, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int r = strbuf_vappendf(sb, fmt, ap);
    va_end(ap);
    return r;
}

void strbuf_truncate(struct strbuf *sb, size_t len)
{
    if (len >= sb->len)
        return;
    sb->len = len;
    sb->data[len] = '\0';
}

const char *strbuf_str(const struct strbuf *sb)
{
    return sb->data ? sb->data : "";
}

char *strbuf_take(struct strbuf *sb)
{
    if (sb->error || strbuf_reserve(sb, 0) < 0) {
        strbuf_done(sb);
        return NULL;
    }
    char *data = TAKE_PTR(sb->data);
    strbuf_done(sb);
    return data;
}
