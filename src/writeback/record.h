/* SPDX-License-Identifier: Apache-2.0 */
/* A pending change as the journal keeps it, see meta/FORMAT.md. */
#ifndef PAILFS_WRITEBACK_RECORD_H
#define PAILFS_WRITEBACK_RECORD_H

#include "base/strbuf.h"
#include "store/store.h"

enum wb_kind { /* values are on disk */
               WB_PUT = 1,
               WB_COPY = 2,
               WB_DELETE = 3,
};

enum wb_cond { /* what the key must be when the change is sent; values are on disk */
               WB_ANY = 0,
               WB_ABSENT = 1,
               WB_ETAG = 2, /* the version if_match */
               WB_PREV = 3, /* what the change before it on the key has made */
};

struct wb_record {
    enum wb_kind kind;
    enum wb_cond cond;
    bool keep_attrs; /* WB_COPY: attrs are those of the source, the request does not name them */
    bool after_all;  /* to be sent when all before it is stored */
    uint64_t seq;
    uint64_t size;
    int64_t mtime_ns;
    uint64_t body_file;  /* WB_PUT: number of the file with the content; 0 = in the row */
    uint64_t source_seq; /* WB_COPY: the pending change that it copies; 0 = source_etag */
    const char *key;
    const char *etag;        /* announced; "" for WB_DELETE */
    const char *if_match;    /* WB_ETAG, else "" */
    const char *source_key;  /* WB_COPY, else "" */
    const char *source_etag; /* "" = any */
    const void *attrs;       /* as wb_attrs_encode writes them */
    size_t attrs_len;
};

/* Appends to sb; errors stay in sb. */
void wb_record_encode(struct strbuf *sb, const struct wb_record *r);
/* Strings point into data. 0, or -EBADMSG when the bytes are not a whole record. */
int wb_record_decode(const void *data, size_t len, struct wb_record *ret);

void wb_attrs_encode(struct strbuf *sb, const struct store_attrs *attrs);
/* Copies into the arena. 0, -EBADMSG or -ENOMEM. */
int wb_attrs_decode(const void *data, size_t len, struct arena *a, struct store_attrs *ret);

#endif
