/* SPDX-License-Identifier: Apache-2.0 */
/* Writing S3's XML answers into a strbuf. */
#ifndef S3D_XMLOUT_H
#define S3D_XMLOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"

#define S3_XMLNS "http://s3.amazonaws.com/doc/2006-03-01/"

/* Declaration and `<name xmlns="...">`. */
void xml_begin(struct strbuf *sb, const char *name);
void xml_open(struct strbuf *sb, const char *name);
void xml_close(struct strbuf *sb, const char *name);
/* <name>text</name>, escaped. Control characters become &#xN; as S3 writes them, although XML 1.0
 * forbids them: a client that lists such keys must ask for encoding-type=url. */
void xml_text(struct strbuf *sb, const char *name, const char *text);
void xml_bytes(struct strbuf *sb, const char *name, const void *data, size_t len);
/* As xml_bytes; url: with S3's encoding-type=url (space is '+', '/' stays). */
void xml_key(struct strbuf *sb, const char *name, const void *key, size_t len, bool url);
void xml_u64(struct strbuf *sb, const char *name, uint64_t v);
void xml_bool(struct strbuf *sb, const char *name, bool v);
/* "2026-11-22T15:00:00.000Z" */
void xml_time(struct strbuf *sb, const char *name, int64_t ns);
/* <ETag>&quot;...&quot;</ETag> */
void xml_etag(struct strbuf *sb, const char *etag);

#endif
