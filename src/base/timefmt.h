/* SPDX-License-Identifier: Apache-2.0 */
/* Times on the wire to and from nanoseconds since 1970 UTC. No locale, no time zone database.
 * Parsers return 0 or -EINVAL and are strict about form, tolerant about fraction digits.
 * Years that int64 cannot hold (outside 1677..2262) give its nearest end. */
#ifndef PAILFS_BASE_TIMEFMT_H
#define PAILFS_BASE_TIMEFMT_H

#include <stdint.h>

#define TIMEFMT_ISO8601_SIZE 32 /* "2026-11-22T15:00:00.000Z" */
#define TIMEFMT_BASIC_SIZE   17 /* "20261122T150000Z" */
#define TIMEFMT_HTTP_SIZE    30 /* "Sun, 22 Nov 2026 15:00:00 GMT" */

int timefmt_parse_iso8601(const char *s, int64_t *ret_ns);        /* S3's LastModified in XML */
int timefmt_parse_http(const char *s, int64_t *ret_ns);           /* RFC 9110 IMF-fixdate: Date */
int timefmt_parse_basic(const char *s, int64_t *ret_ns);          /* x-amz-date */
void timefmt_iso8601(int64_t ns, char out[TIMEFMT_ISO8601_SIZE]); /* with milliseconds */
void timefmt_basic(int64_t ns, char out[TIMEFMT_BASIC_SIZE]);
void timefmt_http(int64_t ns, char out[TIMEFMT_HTTP_SIZE]);

#endif
