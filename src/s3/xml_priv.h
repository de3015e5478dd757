/* SPDX-License-Identifier: Apache-2.0 */
/* Private to the XML reader: its state, and what its files call of each other.
 *
 *   xml.c         life, libxml2's callbacks, the end of a document
 *   xml_value.c   text of an element into a field of the output
 *   xml_filter.c  what does not reach libxml2 as it comes
 *   xml_write.c   text into request bodies */
#ifndef PAILFS_S3_XML_PRIV_H
#define PAILFS_S3_XML_PRIV_H

#include <libxml/parser.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/limits.h"
#include "s3/xml.h"

/* Arrays per document: objects/versions/uploads/parts and prefixes. */
#define XML_ARRAYS_MAX 4u

/* "&#x0000001;" */
#define REFERENCE_MAX 12u

/* The stand-in of a byte is U+10FF00 and its value, which nobody has a meaning for: f4 8f bc 80 and
 * what follows. */
#define STANDIN_FIRST 0x10ff00u

struct xml_frame {
    const struct xml_element *element; /* NULL: not in the schema, skipped with all it holds */
    char *base;                        /* struct that the children fill */
    uint32_t seen;                     /* bit i: children[i] occurred */
};

/* libxml2 keeps one copy of each name per document, so a name is known by its address. */
struct xml_known {
    const char *name;                 /* borrowed from libxml2's dictionary */
    const struct xml_element *parent; /* NULL = slot free */
    int index;                        /* of the child, -1 = the schema does not name it */
};
#define KNOWN_SLOTS 64u

struct xml_array {
    const struct xml_element *element; /* NULL = slot free */
    char *items;                       /* owned */
    size_t n;
    size_t cap;
};

struct xml_parser {
    const struct xml_element *root;
    void *out;
    struct arena *arena;
    xmlParserCtxtPtr ctxt; /* owned */
    struct xml_frame frames[LIMIT_XML_DEPTH];
    unsigned depth;
    struct xml_known known[KNOWN_SLOTS];
    struct xml_array arrays[XML_ARRAYS_MAX];
    struct strbuf text; /* of the open value element */
    size_t fed;
    char held[REFERENCE_MAX]; /* a reference or character that the last chunk cut in two */
    unsigned held_len;
    bool mapped;    /* there are stand-ins, see xml_filter.c */
    char *filtered; /* owned: a chunk after xml_filter */
    size_t filtered_size;
    bool started;  /* something other than leading white space was fed */
    bool complete; /* the root element has ended */
    bool url_encoded;
    bool is_error;
    struct xml_error s3_error;
    int error; /* sticky */
    char problem[160];
};

/* Keeps the first failure and stops the parser; returns it. */
int xml_fail(struct xml_parser *p, int error, const char *fmt, ...) ATTR_PRINTF(3, 4);
int xml_fail_memory(struct xml_parser *p);

/* A zeroed item of the array that e fills; NULL = xml_fail was called. */
void *xml_array_append(struct xml_parser *p, const struct xml_element *e);
/* The text of e, which has ended, into the struct at base. 0 or the failure. */
int xml_store_value(struct xml_parser *p, const struct xml_element *e, char *base);

/* What goes to libxml2 for a chunk: *s and *len change; borrowed until the next call. */
int xml_filter(struct xml_parser *p, const char **s, size_t *len);

static inline bool xml_is_value(const struct xml_element *e)
{
    return e->kind != XML_GROUP && e->kind != XML_LIST;
}

#endif
