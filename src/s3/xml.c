/* SPDX-License-Identifier: Apache-2.0 */
/* The reader keeps one frame per open element. A frame knows its row of the schema (NULL inside
 * elements that the schema does not name) and the struct its children fill. Text is gathered in one
 * scratch buffer and converted when the element ends.
 *
 * Servers send elements in a fixed order, so the child after the last one matched is tried first:
 * finding a row is one string comparison nearly always. Arrays grow on the heap and move into the
 * arena once, at the end; nothing is allocated per element. Percent-decoding waits until the end
 * too, because <EncodingType> may come after the keys. */
#include "s3/xml.h"

#include <errno.h>
#include <libxml/parser.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/encode.h"
#include "base/limits.h"
#include "base/timefmt.h"
#include "s3/types.h"

/* Arrays per document: objects/versions/uploads/parts and prefixes. */
#define XML_ARRAYS_MAX 4u

/* "&#x0000001;" */
#define REFERENCE_MAX 12u

struct xml_frame {
    const struct xml_element *element; /* NULL: not in the schema, skipped with all it holds */
    char *base;                        /* struct that the children fill */
    uint32_t seen;                     /* bit i: children[i] occurred */
    uint8_t next;                      /* child expected next */
};

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
    struct xml_array arrays[XML_ARRAYS_MAX];
    struct strbuf text; /* of the open value element */
    size_t fed;
    char held[REFERENCE_MAX]; /* a character reference that the last chunk cut in two */
    unsigned held_len;
    bool mapped;   /* a control character came as a reference, see feed_filtered */
    bool genuine;  /* a character of plane 16 came */
    bool started;  /* something other than leading white space was fed */
    bool complete; /* the root element has ended */
    bool url_encoded;
    bool is_error;
    struct xml_error s3_error;
    int error; /* sticky */
    char problem[160];
};

static const struct xml_element error_children[] = {
    XML_FIELD("Code", XML_TEXT, struct xml_error, code, XML_F_REQUIRED),
    XML_FIELD("Message", XML_TEXT, struct xml_error, message, 0),
    XML_FIELD("Region", XML_TEXT, struct xml_error, region, 0),
    XML_FIELD("ServerTime", XML_TEXT, struct xml_error, server_time, 0),
    XML_FIELD("RequestId", XML_TEXT, struct xml_error, request_id, 0),
};
const struct xml_element xml_error_root = XML_SUBTREE("Error", error_children, 0);

static int fail(struct xml_parser *p, int error, const char *fmt, ...) ATTR_PRINTF(3, 4);

static int fail(struct xml_parser *p, int error, const char *fmt, ...)
{
    va_list ap;

    if (p->error)
        return p->error;
    p->error = error;
    va_start(ap, fmt);
    (void)vsnprintf(p->problem, sizeof(p->problem), fmt, ap);
    va_end(ap);
    if (p->ctxt)
        xmlStopParser(p->ctxt);
    return error;
}

static int fail_memory(struct xml_parser *p)
{
    return fail(p, -ENOMEM, "out of memory, or the page holds more than %u bytes of text",
                LIMIT_PAGE_STRINGS);
}

static bool is_value(const struct xml_element *e)
{
    return e->kind != XML_GROUP && e->kind != XML_LIST;
}

/* ---- arrays ---- */

static void *array_append(struct xml_parser *p, const struct xml_element *e)
{
    struct xml_array *a = NULL;

    for (unsigned i = 0; i < XML_ARRAYS_MAX && !a; i++) {
        /* Two elements may fill one array: <Version> and <DeleteMarker>. */
        const struct xml_element *other = p->arrays[i].element;
        if (!other || other == e || (other->offset == e->offset && other->size == e->size))
            a = &p->arrays[i];
    }
    if (!a) {
        (void)fail(p, -EBADMSG, "the schema has too many arrays");
        return NULL;
    }
    a->element = a->element ? a->element : e;
    if (a->n == a->cap) {
        size_t cap = a->cap ? a->cap * 2 : 256;
        char *items = realloc(a->items, cap * e->size);
        if (!items) {
            (void)fail_memory(p);
            return NULL;
        }
        a->items = items;
        a->cap = cap;
    }
    char *item = a->items + a->n++ * e->size;
    memset(item, 0, e->size);
    return item;
}

/* ---- values ---- */

static const char *trimmed_etag(const char *s, size_t *len, bool *add_quotes)
{
    *add_quotes = *len > 0 && s[0] != '"' && !(s[0] == 'W' && *len > 1 && s[1] == '/');
    return s;
}

static int parse_number(const char *s, size_t len, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;

    if (len == 0 || len > 20)
        return -EBADMSG;
    for (size_t i = 0; i < len; i++) {
        unsigned digit = (unsigned char)s[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, digit, &v) || v > max)
            return -EBADMSG;
    }
    *ret = v;
    return 0;
}

static int store_text(struct xml_parser *p, const char *s, size_t len, bool etag, const char **ret)
{
    bool quote = false;
    char *copy;

    if (etag)
        s = trimmed_etag(s, &len, &quote);
    if (!quote) {
        copy = arena_strndup(p->arena, s, len);
        if (!copy)
            return fail_memory(p);
    } else {
        copy = arena_alloc(p->arena, len + 3);
        if (!copy)
            return fail_memory(p);
        copy[0] = '"';
        memcpy(copy + 1, s, len);
        copy[len + 1] = '"';
    }
    *ret = copy;
    return 0;
}

static int store_chars(const char *s, size_t len, bool etag, char *field, size_t size)
{
    bool quote = false;

    if (etag)
        s = trimmed_etag(s, &len, &quote);
    if (len + (quote ? 2 : 0) >= size)
        return -EBADMSG;
    (void)snprintf(field, size, quote ? "\"%.*s\"" : "%.*s", (int)len, s);
    return 0;
}

static int parse_time(const char *s, size_t len, int64_t *ret)
{
    if (len == 0) {
        *ret = 0;
        return 0;
    }
    return timefmt_parse_iso8601(s, ret) ? -EBADMSG : 0;
}

static int parse_xml_bool(const char *s, bool *ret)
{
    if (!strcmp(s, "true") || !strcmp(s, "1"))
        *ret = true;
    else if (!strcmp(s, "false") || !strcmp(s, "0"))
        *ret = false;
    else
        return -EBADMSG;
    return 0;
}

/* Stand-ins for U+0001 to U+001F: U+10FF01 to U+10FF1F, which nobody has a meaning for. */
#define STANDIN_UTF8 "\xf4\x8f\xbc"

/* Turns stand-ins back into what the server meant. */
static void restore_controls(struct xml_parser *p)
{
    char *from = p->text.data;
    char *end = from + p->text.len;
    char *to;

    if (!p->mapped || !p->text.len)
        return;
    to = from;
    while (from < end) {
        if (end - from >= 4 && !memcmp(from, STANDIN_UTF8, 3)) {
            *to++ = (char)(from[3] & 0x3f);
            from += 4;
        } else {
            *to++ = *from++;
        }
    }
    strbuf_truncate(&p->text, (size_t)(to - p->text.data));
}

static int store_value(struct xml_parser *p, const struct xml_element *e, char *base)
{
    restore_controls(p);
    const char *s = strbuf_str(&p->text);
    size_t len = p->text.len;
    char *field = base + e->offset;
    uint64_t number;
    int r = 0;

    if (memchr(s, 0, len)) /* XML cannot hold it; the parser refuses it before us */
        return fail(p, -EBADMSG, "<%s> holds a NUL byte", e->name);
    switch ((enum xml_kind)e->kind) {
    case XML_TEXT:
    case XML_ETAG:
        return store_text(p, s, len, e->kind == XML_ETAG, (const char **)(void *)field);
    case XML_STRING_LIST: {
        const char **item = array_append(p, e);
        return item ? store_text(p, s, len, false, item) : p->error;
    }
    case XML_CHARS:
    case XML_ETAG_CHARS:
        r = store_chars(s, len, e->kind == XML_ETAG_CHARS, field, e->size);
        break;
    case XML_CHECKSUM: {
        struct s3_checksum *sum = (struct s3_checksum *)(void *)field;
        r = store_chars(s, len, false, sum->value, sizeof(sum->value));
        if (!r)
            sum->algo = (enum s3_checksum_algo)e->aux;
        break;
    }
    case XML_U32:
        r = parse_number(s, len, UINT32_MAX, &number);
        if (!r)
            *(uint32_t *)(void *)field = (uint32_t)number;
        break;
    case XML_U64:
        r = parse_number(s, len, UINT64_MAX, &number);
        if (!r)
            *(uint64_t *)(void *)field = number;
        break;
    case XML_BOOL:
        r = parse_xml_bool(s, (bool *)(void *)field);
        break;
    case XML_TIME:
        r = parse_time(s, len, (int64_t *)(void *)field);
        break;
    case XML_VERSIONING:
        if (!strcmp(s, "Enabled"))
            *(enum s3_versioning *)(void *)field = S3_VERSIONING_ENABLED;
        else if (!strcmp(s, "Suspended"))
            *(enum s3_versioning *)(void *)field = S3_VERSIONING_SUSPENDED;
        else
            r = -EBADMSG;
        break;
    case XML_URL_ENCODED:
        if (!strcmp(s, "url"))
            p->url_encoded = true;
        else if (len > 0)
            r = -EBADMSG;
        break;
    case XML_GROUP:
    case XML_LIST:
        break;
    }
    if (r)
        return fail(p, -EBADMSG, "<%s> has the impossible value '%.60s'", e->name, s);
    return 0;
}

/* ---- SAX callbacks ---- */

static void on_root(struct xml_parser *p, const char *name)
{
    struct xml_frame *f = &p->frames[0];

    *f = (struct xml_frame){.element = p->root, .base = p->out};
    if (strcmp(name, p->root->name) != 0) {
        if (strcmp(name, "Error") != 0) {
            (void)fail(p, -EBADMSG, "the answer is <%.40s>, expected <%s>", name, p->root->name);
            return;
        }
        p->is_error = true;
        *f = (struct xml_frame){.element = &xml_error_root, .base = (char *)&p->s3_error};
    }
    p->depth = 1;
    strbuf_reset(&p->text);
}

/* The row of the child called name; its index goes to *ret_index. */
static const struct xml_element *find_child(const struct xml_frame *f, const char *name,
                                            unsigned *ret_index)
{
    const struct xml_element *children = f->element->children;
    unsigned n = f->element->n_children;
    unsigned i = f->next;

    for (unsigned tried = 0; tried < n; tried++, i++) {
        if (i >= n)
            i = 0;
        if (!strcmp(children[i].name, name)) {
            *ret_index = i;
            return &children[i];
        }
    }
    return NULL;
}

static void on_start(void *ctx, const xmlChar *localname, const xmlChar *prefix ATTR_UNUSED,
                     const xmlChar *uri ATTR_UNUSED, int n_ns ATTR_UNUSED,
                     const xmlChar **ns ATTR_UNUSED, int n_attrs ATTR_UNUSED,
                     int n_defaulted ATTR_UNUSED, const xmlChar **attrs ATTR_UNUSED)
{
    struct xml_parser *p = ctx;
    const char *name = (const char *)localname;
    const struct xml_element *e = NULL;
    unsigned index = 0;

    if (p->error)
        return;
    if (p->depth == 0) {
        on_root(p, name);
        return;
    }
    if (p->depth >= LIMIT_XML_DEPTH) {
        (void)fail(p, -EBADMSG, "elements are nested deeper than %u", LIMIT_XML_DEPTH);
        return;
    }
    struct xml_frame *parent = &p->frames[p->depth - 1];
    struct xml_frame *f = &p->frames[p->depth++];
    *f = (struct xml_frame){.base = parent->base};
    if (!parent->element)
        return;
    if (is_value(parent->element)) {
        (void)fail(p, -EBADMSG, "<%s> holds an element", parent->element->name);
        return;
    }
    e = find_child(parent, name, &index);
    if (!e)
        return;
    f->element = e;
    if (e->kind == XML_LIST) {
        parent->next = (uint8_t)index;
        f->base = array_append(p, e);
        if (f->base && e->mark_offset)
            *(bool *)(void *)(f->base + e->mark_offset) = true;
    } else {
        parent->next = (uint8_t)(index + 1);
        if (is_value(e) && e->kind != XML_STRING_LIST && (parent->seen & (1u << index)))
            (void)fail(p, -EBADMSG, "<%s> occurs twice", e->name);
        strbuf_reset(&p->text);
    }
    parent->seen |= 1u << index;
}

static void on_end(void *ctx, const xmlChar *localname ATTR_UNUSED,
                   const xmlChar *prefix ATTR_UNUSED, const xmlChar *uri ATTR_UNUSED)
{
    struct xml_parser *p = ctx;

    if (p->error || p->depth == 0)
        return;
    struct xml_frame *f = &p->frames[--p->depth];
    if (p->depth == 0)
        p->complete = true;
    if (!f->element)
        return;
    if (is_value(f->element)) {
        (void)store_value(p, f->element, f->base);
        return;
    }
    const struct xml_element *children = f->element->children;
    for (unsigned i = 0; i < f->element->n_children; i++) {
        if (!children[i].flags || (f->seen & (1u << i)))
            continue;
        if (children[i].flags & XML_F_REQUIRED) {
            (void)fail(p, -EBADMSG, "<%s> lacks <%s>", f->element->name, children[i].name);
            return;
        }
        if (children[i].flags & XML_F_EMPTY)
            *(const char **)(void *)(f->base + children[i].offset) = "";
    }
}

static void on_text(void *ctx, const xmlChar *text, int len)
{
    struct xml_parser *p = ctx;

    if (p->error || p->depth == 0)
        return;
    const struct xml_element *e = p->frames[p->depth - 1].element;
    if (!e)
        return;
    if (!is_value(e)) {
        for (int i = 0; i < len; i++) {
            if (!strchr(" \t\r\n", text[i])) {
                (void)fail(p, -EBADMSG, "text between the elements of <%s>", e->name);
                return;
            }
        }
        return;
    }
    if (strbuf_append(&p->text, text, (size_t)len) == -E2BIG)
        (void)fail(p, -EBADMSG, "the text of <%s> is longer than %u bytes", e->name,
                   LIMIT_XML_TEXT);
    else if (p->text.error)
        (void)fail_memory(p);
}

static void on_doctype(void *ctx, const xmlChar *name ATTR_UNUSED,
                       const xmlChar *external_id ATTR_UNUSED, const xmlChar *system ATTR_UNUSED)
{
    (void)fail(ctx, -EBADMSG, "the answer has a document type, which S3 never sends");
}

/* libxml2 would write to stderr; the reason is fetched from xmlCtxtGetLastError. */
static void on_libxml_message(void *ctx ATTR_UNUSED, const char *fmt ATTR_UNUSED, ...)
{
}

static xmlSAXHandler sax_handler = {
    .initialized = XML_SAX2_MAGIC,
    .startElementNs = on_start,
    .endElementNs = on_end,
    .characters = on_text,
    .cdataBlock = on_text,
    .internalSubset = on_doctype,
    .warning = on_libxml_message,
    .error = on_libxml_message,
    .fatalError = on_libxml_message,
};

/* ---- life ---- */

static pthread_once_t libxml_once = PTHREAD_ONCE_INIT;

int xml_parser_new(const struct xml_element *root, void *out, struct arena *arena,
                   struct xml_parser **ret)
{
    struct xml_parser *p;

    (void)pthread_once(&libxml_once, xmlInitParser);
    p = calloc(1, sizeof(*p));
    if (!p)
        return -ENOMEM;
    p->root = root;
    p->out = out;
    p->arena = arena;
    strbuf_init(&p->text, LIMIT_XML_TEXT);
    p->ctxt = xmlCreatePushParserCtxt(&sax_handler, p, NULL, 0, NULL);
    if (!p->ctxt || strbuf_reserve(&p->text, 256)) {
        xml_parser_free(p);
        return -ENOMEM;
    }
    /* Neither XML_PARSE_NOENT nor _DTDLOAD nor _HUGE: libxml2's own limits stay on. */
    (void)xmlCtxtUseOptions(p->ctxt, XML_PARSE_NONET);
    *ret = p;
    return 0;
}

void xml_parser_free(struct xml_parser *p)
{
    if (!p)
        return;
    if (p->ctxt) {
        xmlFreeDoc(p->ctxt->myDoc);
        xmlFreeParserCtxt(p->ctxt);
    }
    for (unsigned i = 0; i < XML_ARRAYS_MAX; i++)
        free(p->arrays[i].items);
    strbuf_done(&p->text);
    free(p);
}

/* Turns libxml2's verdict into ours. */
static int check_libxml(struct xml_parser *p)
{
    if (p->error)
        return p->error;
    if (p->ctxt->wellFormed && !p->ctxt->errNo)
        return 0;
    const xmlError *e = xmlCtxtGetLastError(p->ctxt);
    if (e && e->code == XML_ERR_NO_MEMORY)
        return fail_memory(p);
    /* Warnings (say, a relative namespace URI) leave the document well-formed. */
    if (p->ctxt->wellFormed && (!e || e->level < XML_ERR_ERROR))
        return 0;
    int len = e && e->message ? (int)strcspn(e->message, "\n") : 0;
    return fail(p, -EBADMSG, "not well-formed XML, line %d: %.*s", e ? e->line : 0,
                len > 100 ? 100 : len, len ? e->message : "");
}

static int feed_libxml(struct xml_parser *p, const char *s, size_t len)
{
    while (len > 0 && !p->error) {
        int n = len > (1u << 20) ? 1 << 20 : (int)len;
        (void)xmlParseChunk(p->ctxt, s, n, 0);
        s += n;
        len -= (size_t)n;
        if (check_libxml(p))
            break;
    }
    return p->error;
}

/* The code point of "&#...;", or 0 when it is not one. */
static unsigned long reference_value(const char *s, size_t len)
{
    char digits[REFERENCE_MAX + 1];
    bool hex = len > 3 && s[2] == 'x';
    size_t start = hex ? 3 : 2;
    char *end = NULL;
    unsigned long v;

    if (len <= start + 1)
        return 0;
    memcpy(digits, s + start, len - start - 1);
    digits[len - start - 1] = '\0';
    v = strtoul(digits, &end, hex ? 16 : 10);
    return *end ? 0 : v;
}

/* Takes one whole "&#...;". */
static int feed_reference(struct xml_parser *p, const char *s, size_t len)
{
    unsigned long c = reference_value(s, len);
    char standin[4] = STANDIN_UTF8;

    p->genuine = p->genuine || c > 0xfffff;
    if (c == 0 || c >= 0x20 || c == '\t' || c == '\n' || c == '\r')
        return feed_libxml(p, s, len);
    p->mapped = true;
    standin[3] = (char)(0x80 | c);
    return feed_libxml(p, standin, sizeof(standin));
}

/* Keys may hold control characters. XML 1.0 cannot, not even as references, but servers write them
 * so ("&#x01;") wherever they repeat a key and percent-encoding is not in use. Such a page would be
 * refused as a whole; instead each one passes the parser as a stand-in. */
static int feed_filtered(struct xml_parser *p, const char *s, size_t len)
{
    const char *end = s + len;
    const char *from = s;

    p->genuine = p->genuine || memchr(s, 0xf4, len);
    while (p->held_len > 0 && from < end) {
        char c = *from++;
        bool whole;
        p->held[p->held_len++] = c;
        whole = c == ';' || p->held_len == REFERENCE_MAX || (p->held_len == 2 && c != '#');
        if (!whole)
            continue;
        if (p->held[1] == '#' && c == ';')
            (void)feed_reference(p, p->held, p->held_len);
        else
            (void)feed_libxml(p, p->held, p->held_len);
        p->held_len = 0;
    }
    for (const char *at = from; at < end && !p->error;) {
        const char *amp = memchr(at, '&', (size_t)(end - at));
        size_t room = amp ? MIN((size_t)(end - amp), (size_t)REFERENCE_MAX) : 0;
        const char *semicolon = amp ? memchr(amp, ';', room) : NULL;
        if (!amp)
            break;
        if (room >= 2 && amp[1] != '#') {
            at = amp + 1;
        } else if (semicolon) {
            (void)feed_libxml(p, from, (size_t)(amp - from));
            from = at = semicolon + 1;
            (void)feed_reference(p, amp, (size_t)(from - amp));
        } else if (room < REFERENCE_MAX) {
            (void)feed_libxml(p, from, (size_t)(amp - from));
            memcpy(p->held, amp, room);
            p->held_len = (unsigned)room;
            return p->error;
        } else {
            at = amp + 1;
        }
    }
    return feed_libxml(p, from, (size_t)(end - from));
}

int xml_parser_feed(struct xml_parser *p, const void *data, size_t len)
{
    const char *s = data;

    if (p->error)
        return p->error;
    if (len > LIMIT_XML_BODY - p->fed)
        return fail(p, -EBADMSG, "the answer is longer than %u bytes", LIMIT_XML_BODY);
    p->fed += len;
    /* CompleteMultipartUpload and CopyObject keep the connection alive with white space, which some
     * servers send ahead of the XML declaration, where XML does not allow it. */
    while (!p->started && len > 0 && *s && strchr(" \t\r\n", *s)) {
        s++;
        len--;
    }
    if (len == 0)
        return 0;
    p->started = true;
    (void)feed_filtered(p, s, len);
    if (p->mapped && p->genuine)
        return fail(p, -EBADMSG, "the page holds both control characters and their stand-ins");
    return p->error;
}

/* ---- end of the document ---- */

static int decode_url(struct xml_parser *p, const struct xml_element *e, const char **field)
{
    /* The text is our own copy in the arena, or the constant "" (which has nothing to decode). */
    char *s = (char *)(uintptr_t)*field;
    size_t len = 0;

    if (!s || !*s)
        return 0;
    /* '+' is a space: S3 encodes as forms do (and a real plus as %2B, as every server does). */
    if (decode_percent(s, true, s, &len) || memchr(s, 0, len))
        return fail(p, -EBADMSG, "<%s> is not percent-encoded as the page says", e->name);
    s[len] = '\0';
    return 0;
}

static struct xml_array *find_array(struct xml_parser *p, const struct xml_element *e)
{
    for (unsigned i = 0; i < XML_ARRAYS_MAX; i++) {
        const struct xml_element *other = p->arrays[i].element;
        if (other && other->offset == e->offset && other->size == e->size)
            return &p->arrays[i];
    }
    return NULL;
}

static int decode_urls(struct xml_parser *p, const struct xml_element *parent, char *base)
{
    for (unsigned c = 0; c < parent->n_children && !p->error; c++) {
        const struct xml_element *e = &parent->children[c];
        struct xml_array *a = NULL;
        if (e->kind == XML_GROUP) {
            (void)decode_urls(p, e, base);
        } else if (e->kind == XML_LIST) {
            /* Elements that share an array have the same URL fields: decode once. */
            a = find_array(p, e);
            for (size_t i = 0; a && a->element == e && i < a->n; i++)
                (void)decode_urls(p, e, a->items + i * e->size);
        } else if (e->flags & XML_F_URL) {
            a = e->kind == XML_STRING_LIST ? find_array(p, e) : NULL;
            if (e->kind != XML_STRING_LIST)
                (void)decode_url(p, e, (const char **)(void *)(base + e->offset));
            for (size_t i = 0; a && i < a->n; i++)
                (void)decode_url(p, e, (const char **)(void *)a->items + i);
        }
    }
    return p->error;
}

static int move_arrays(struct xml_parser *p)
{
    for (unsigned i = 0; i < XML_ARRAYS_MAX && p->arrays[i].element; i++) {
        struct xml_array *a = &p->arrays[i];
        size_t size = a->n * a->element->size;
        void *items = arena_alloc(p->arena, size);
        if (!items)
            return fail_memory(p);
        memcpy(items, a->items, size);
        *(void **)(void *)((char *)p->out + a->element->offset) = items;
        *(size_t *)(void *)((char *)p->out + a->element->count_offset) = a->n;
    }
    return 0;
}

int xml_parser_finish(struct xml_parser *p)
{
    if (p->error)
        return p->error;
    if (!p->started)
        return fail(p, -EBADMSG, "the answer is empty");
    (void)feed_libxml(p, p->held, p->held_len);
    if (!p->error)
        (void)xmlParseChunk(p->ctxt, "", 0, 1);
    if (check_libxml(p))
        return p->error;
    if (!p->complete)
        return fail(p, -EBADMSG, "the answer ends too early");
    if (p->is_error)
        return 0;
    if (p->url_encoded && decode_urls(p, p->root, p->out))
        return p->error;
    return move_arrays(p);
}

const struct xml_error *xml_parser_error(const struct xml_parser *p)
{
    return p->is_error && p->complete && !p->error ? &p->s3_error : NULL;
}

bool xml_parser_url_encoded(const struct xml_parser *p)
{
    return p->url_encoded;
}

const char *xml_parser_problem(const struct xml_parser *p)
{
    return p->problem;
}

/* ---- writing ---- */

int xml_write_element(struct strbuf *sb, const char *name, const char *text)
{
    size_t start = sb->len;
    size_t len = strlen(text);

    if (!utf8_valid(text, len))
        return -EILSEQ;
    (void)strbuf_appendf(sb, "<%s>", name);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        /* U+FFFE and U+FFFF are the only characters from U+E000 on that XML leaves out. */
        bool noncharacter =
            c == 0xef && (unsigned char)text[i + 1] == 0xbf && (unsigned char)text[i + 2] >= 0xbe;
        if ((c < 0x20 && c != '\t' && c != '\n' && c != '\r') || noncharacter) {
            strbuf_truncate(sb, start);
            return -EILSEQ;
        }
        if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\r')
            (void)strbuf_appendf(sb, "&#%u;", c); /* a bare CR would arrive as LF */
        else
            (void)strbuf_append_char(sb, (char)c);
    }
    (void)strbuf_appendf(sb, "</%s>", name);
    return sb->error;
}
