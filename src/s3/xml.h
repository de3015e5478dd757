/* SPDX-License-Identifier: Apache-2.0 */
/* XML of the S3 API: a table-driven reader on libxml2's push SAX parser, and text escaping for
 * request bodies.
 *
 * Reader:  a schema says which elements go where in the output struct. The parser is fed as bytes
 *          arrive; no tree is built. A document counts only when it is complete, well-formed, has
 *          the expected root, holds every required element and every value parses: anything else is
 *          -EBADMSG, so that a broken page can never look like a short one.
 * Safety:  no DTD (a DOCTYPE is an error, so there are no entities to expand), no network, no
 *          files; depth, text and body are capped by base/limits.h.
 * Life:    xml_parser_new -> feed... -> finish -> free. Text lands in the caller's arena.
 * Threads: a parser belongs to one thread at a time. */
#ifndef PAILFS_S3_XML_H
#define PAILFS_S3_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/strbuf.h"

enum xml_kind {
    XML_GROUP,       /* only groups its children; they live in the same struct */
    XML_LIST,        /* each occurrence appends one struct of `size` bytes to an array */
    XML_STRING_LIST, /* each occurrence appends one const char * to an array */
    XML_TEXT,        /* const char * in the arena */
    XML_CHARS,       /* char[size] inside the struct */
    XML_ETAG,        /* XML_TEXT, quotes added where the server leaves them out */
    XML_ETAG_CHARS,  /* XML_CHARS likewise */
    XML_U32,
    XML_U64,
    XML_BOOL,
    XML_TIME,        /* ISO 8601 to int64_t nanoseconds; empty text is 0 */
    XML_CHECKSUM,    /* struct s3_checksum; aux = its algorithm */
    XML_VERSIONING,  /* enum s3_versioning */
    XML_URL_ENCODED, /* <EncodingType>: turns on decoding of XML_F_URL fields; no field */
};

#define XML_F_REQUIRED 1u /* the parent is broken without it */
#define XML_F_URL      2u /* percent-decoded when the page says EncodingType url */
#define XML_F_EMPTY    4u /* XML_TEXT, XML_ETAG: "" instead of NULL when absent */

struct xml_element {
    const char *name;
    uint8_t kind; /* enum xml_kind */
    uint8_t flags;
    uint8_t aux;
    uint8_t n_children;    /* at most 32 */
    uint16_t offset;       /* of the field in the struct being filled */
    uint16_t size;         /* XML_CHARS: of the field; XML_LIST: of one item */
    uint16_t count_offset; /* lists: of the size_t that counts them */
    uint16_t mark_offset;  /* XML_LIST: of a bool in the item to set, 0 = none */
    const struct xml_element *children;
};

/* Rows of a schema table. */
#define XML_FIELD(elem_name, elem_kind, type, field, elem_flags)                                   \
    {                                                                                              \
        .name = (elem_name), .kind = (elem_kind), .flags = (elem_flags),                           \
        .offset = offsetof(type, field), .size = sizeof(((type *)0)->field)                        \
    }
#define XML_SUBTREE(elem_name, elem_children, elem_flags)                                          \
    {                                                                                              \
        .name = (elem_name), .kind = XML_GROUP, .flags = (elem_flags),                             \
        .children = (elem_children), .n_children = ARRAY_SIZE(elem_children)                       \
    }
#define XML_ITEMS(elem_name, type, array, count, elem_children)                                    \
    {                                                                                              \
        .name = (elem_name), .kind = XML_LIST, .offset = offsetof(type, array),                    \
        .count_offset = offsetof(type, count), .size = sizeof(*((type *)0)->array),                \
        .children = (elem_children), .n_children = ARRAY_SIZE(elem_children)                       \
    }
#define XML_STRINGS(elem_name, type, array, count, elem_flags)                                     \
    {                                                                                              \
        .name = (elem_name), .kind = XML_STRING_LIST, .flags = (elem_flags),                       \
        .offset = offsetof(type, array), .count_offset = offsetof(type, count),                    \
        .size = sizeof(const char *)                                                               \
    }

/* <Error>: any answer may turn out to be one, also with status 200. */
struct xml_error {
    const char *code; /* never NULL when parsed */
    const char *message;
    const char *request_id;
    const char *region;
    const char *server_time;
};
extern const struct xml_element xml_error_root;

struct xml_parser;

/* root describes the document element (its kind is XML_GROUP, or a value kind); out is the zeroed
 * struct to fill, borrowed; arena receives text and arrays, borrowed. 0 or -ENOMEM. */
int xml_parser_new(const struct xml_element *root, void *out, struct arena *arena,
                   struct xml_parser **ret);
/* 0, -EBADMSG or -ENOMEM; after a failure every later call fails likewise. */
int xml_parser_feed(struct xml_parser *p, const void *data, size_t len);
/* The document ends here. 0: out is filled, or xml_parser_error() is not NULL. */
int xml_parser_finish(struct xml_parser *p);
/* After a successful finish: the document was an <Error>; out is untouched. Borrowed. */
const struct xml_error *xml_parser_error(const struct xml_parser *p);
/* The page says EncodingType url. */
bool xml_parser_url_encoded(const struct xml_parser *p);
/* After a failure: what was wrong, for a message. Borrowed, never NULL. */
const char *xml_parser_problem(const struct xml_parser *p);
void xml_parser_free(struct xml_parser *p); /* NULL ok */

/* Appends `<name>text</name>`, escaped. -EILSEQ when text holds what XML 1.0 cannot carry (control
 * characters, bytes that are not UTF-8); sb is then cut back to where it was. */
int xml_write_element(struct strbuf *sb, const char *name, const char *text);

#endif
