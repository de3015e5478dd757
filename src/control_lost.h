/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about lost+found, for what only the daemon can do: it has the credentials, and notes which
 * uploads are kept. The rest pailctl does with the files. The ctx is a struct control. */
#ifndef PAILFS_CONTROL_LOST_H
#define PAILFS_CONTROL_LOST_H

#include "base/error.h"
#include "base/strbuf.h"

/* "NAME": removes the item and its unfinished upload. */
int control_lost_drop(void *ctx, const char *args, struct strbuf *out, struct s3_error *reterr);
/* "new NAME" or "over NAME": completes the item's upload, so that its key holds the beginning of
 * the content: if nothing is there, or whatever is. */
int control_lost_complete(void *ctx, const char *args, struct strbuf *out, struct s3_error *reterr);

#endif
