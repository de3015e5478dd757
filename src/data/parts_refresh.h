/* SPDX-License-Identifier: Apache-2.0 */
/* What stands in an upload after a part was sent more than once. Both have the same bytes, but
 * where ETags are no MD5 (SSE-KMS) they have different ones, and the one that the server keeps may
 * be that of the request whose answer nobody waited for: a connection that hung, an answer that was
 * lost. */
#ifndef PAILFS_DATA_PARTS_REFRESH_H
#define PAILFS_DATA_PARTS_REFRESH_H

#include <stdbool.h>

#include "store/store.h"

/* Lists the parts of the upload and takes over the ETags of those that have our size and checksum
 * into parts[]. by_size: where the server keeps no checksum, the size is enough, as no number ever
 * stood for other bytes. True when every part is there and one at least has changed: then it is
 * worth completing the upload again. Blocks. */
bool parts_refresh(struct store *store, const char *key, const char *upload_id, bool by_size,
                   struct store_part *parts, uint32_t n_parts);

#endif
