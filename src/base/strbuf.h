/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte string with a hard maximum.
 *
 * Invariants: data is NUL-terminated whenever it is not NULL; len does not count the NUL;
 *             len <= max. Content may hold NUL bytes.
 * Life cycle: STRBUF_INIT(max) or strbuf_init -> append... -> strbuf_done (or strbuf_take).
 * Errors:     the first failure is kept in ->error (-ENOMEM, or -E2BIG over the maximum) and every
 *             later append fails with it, so a builder checks once at the end.
 * Owner:      the embedding object. Not thread-safe. */
#ifndef PAILFS_BASE_STRBUF_H
#define PAILFS_BASE_STRBUF_H

#include <stdarg.h>
#include <stddef.h>

#include "base/attr.h"
#include "base/cleanup.h"

struct strbuf {
    char *data; /* owned; NULL while nothing was appended */
    size_t len;
    size_t alloc;
    size_t max; /* bytes without the NUL */
    int error;  /* 0, -ENOMEM or -E2BIG */
};

#define STRBUF_INIT(max_bytes)                                                                     \
    {                                                                                              \
        .max = (max_bytes)                                                                         \
    }

void strbuf_init(struct strbuf *sb, size_t max);
/* Frees the content; the struct may be used again. */
void strbuf_done(struct strbuf *sb);
/* len = 0 and error = 0, memory kept. */
void strbuf_reset(struct strbuf *sb);

int strbuf_append(struct strbuf *sb, const void *data, size_t len);
int strbuf_append_str(struct strbuf *sb, const char *s);
int strbuf_append_char(struct strbuf *sb, char c);
int strbuf_appendf(struct strbuf *sb, const char *fmt, ...) ATTR_PRINTF(2, 3);
int strbuf_vappendf(struct strbuf *sb, const char *fmt, va_list ap) ATTR_PRINTF(2, 0);
/* Makes room for len more bytes; does not change len. */
int strbuf_reserve(struct strbuf *sb, size_t len);
/* Cuts to len bytes (len <= sb->len). */
void strbuf_truncate(struct strbuf *sb, size_t len);

/* Content as a C string, "" when nothing was appended. Borrowed until the next change. */
const char *strbuf_str(const struct strbuf *sb);
/* Content, owned by the caller (free()); NULL when ->error is set or memory is out. */
char *strbuf_take(struct strbuf *sb);

#define CLEANUP_STRBUF CLEANUP(strbuf_done)

#endif
