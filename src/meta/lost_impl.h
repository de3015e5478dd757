/* SPDX-License-Identifier: Apache-2.0 */
/* The form of an item's description, for the files of lost. Private. */
#ifndef PAILFS_META_LOST_IMPL_H
#define PAILFS_META_LOST_IMPL_H

#include "base/strbuf.h"
#include "meta/lost.h"

#define LOST_TEMPORARY ".new-"
#define LOST_INFO      ".info"
#define LOST_HEADER    "pailfs lost+found 2"
#define LOST_HEADER_1  "pailfs lost+found 1" /* without checksums */
#define LOST_CRC       "crc: "

/* '%', control characters and bytes that are not UTF-8 as %XX: a line stays a line that a person
 * can read. */
void lost_escape(struct strbuf *sb, const char *s);
/* CRC-32C of a file. */
int lost_content_crc(int fd, uint32_t *ret);
enum lost_reason lost_reason_parse(const char *name);

#endif
