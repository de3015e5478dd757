/* SPDX-License-Identifier: Apache-2.0 */
/* A strict pull reader for the small XML documents that S3 requests carry. No DTD, no external
 * entities, attributes and namespaces skipped, nesting capped. Works on one buffer in memory. */
#ifndef S3D_XMLIN_H
#define S3D_XMLIN_H

#include <stdbool.h>
#include <stddef.h>

#define XMLIN_DEPTH    16
#define XMLIN_NAME_MAX 64
#define XMLIN_TEXT_MAX 8192

enum xmlin_event {
    XMLIN_OPEN,  /* name, depth (the root has depth 1) */
    XMLIN_CLOSE, /* name, depth, and the element's text with references resolved */
    XMLIN_END,   /* the document is whole */
    XMLIN_ERROR,
};

struct xmlin {
    const char *p, *end;
    unsigned depth;
    char names[XMLIN_DEPTH + 1][XMLIN_NAME_MAX];
    bool pending_close; /* behind <a/> */
    bool closed;        /* the last event was XMLIN_CLOSE */
    bool seen_root;
    char name[XMLIN_NAME_MAX]; /* without namespace prefix */
    char text[XMLIN_TEXT_MAX + 1];
    size_t text_len;
};

void xmlin_init(struct xmlin *x, const void *data, size_t len);
enum xmlin_event xmlin_next(struct xmlin *x);

#endif
