/* SPDX-License-Identifier: Apache-2.0 */
/* Text encodings: hex, base64 (RFC 4648) and percent (RFC 3986, S3's flavour).
 * Functions that write into a strbuf leave errors in sb->error. Thread-safe. */
#ifndef PAILFS_BASE_ENCODE_H
#define PAILFS_BASE_ENCODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

/* Lower-case hex; out holds 2 * len + 1 bytes. */
void encode_hex(const void *data, size_t len, char *out);
/* out holds strlen(hex) / 2 bytes. 0, or -EINVAL for odd length or a foreign character. */
int decode_hex(const char *hex, uint8_t *out, size_t out_size, size_t *ret_len);

void encode_base64(struct strbuf *sb, const void *data, size_t len);
/* Strict: padding required, no white space. 0, -EINVAL, or -E2BIG when out is too small. */
int decode_base64(const char *s, uint8_t *out, size_t out_size, size_t *ret_len);

/* Every byte but A-Z a-z 0-9 - . _ ~ becomes %XX (upper-case hex); '/' stays when keep_slash.
 * This is SigV4's UriEncode. */
void encode_percent(struct strbuf *sb, const void *data, size_t len, bool keep_slash);
/* %XX to bytes ('+' to space when plus_is_space); the result may hold NUL bytes. -EINVAL for a
 * broken escape. out may be s itself; holds strlen(s) + 1 bytes. */
int decode_percent(const char *s, bool plus_is_space, char *out, size_t *ret_len);

/* Whether the bytes are well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool utf8_valid(const void *data, size_t len);

#endif
