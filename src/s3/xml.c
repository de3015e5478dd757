/* SPDX-License-Identifier: Apache-2.0 */
/* The reader keeps one frame per open element. A frame knows its row of the schema (NULL inside
 * elements that the schema does not name) and the struct its children fill. Text is gathered in one
 * scratch buffer and converted when the element ends.
 *
 * What a name means below which parent is looked up once a document. Arrays grow on the heap and
 * move into the arena once, at the end; nothing is allocated per element. Percent-decoding waits
 * until the end too, because <EncodingType> may come after the keys.
 *
 * The callbacks are those without namespaces: S3 uses one default namespace, and resolving it for
 * every element costs a tenth of the time. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/encode.h"
#include "base/limits.h"
#include "s3/xml_priv.h"

#ifndef LIBXML_SAX1_ENABLED
#error "libxml2 was built without SAX1"
#endif

static const struct xml_element error_children[] = {
    XML_FIELD("Code", XML_TEXT, struct xml_error, code, XML_F_REQUIRED),
    XML_FIELD("Message", XML_TEXT, struct xml_error, message, 0),
    XML_FIELD("Region", XML_TEXT, struct xml_error, region, 0),
    XML_FIELD("ServerTime", XML_TEXT, struct xml_error, server_time, 0),
    XML_FIELD("RequestId", XML_TEXT, struct xml_error, request_id, 0),
};
const struct xml_element xml_error_root = XML_SUBTREE("Error", error_children, 0);

int xml_fail(struct xml_parser *p, int error, const char *fmt, ...)
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

int xml_fail_memory(struct xml_parser *p)
{
    return xml_fail(p, -ENOMEM, "out of memory, or the page holds more than %u bytes of text",
                    LIMIT_PAGE_STRINGS);
}

/* ---- SAX callbacks ---- */

/* Ceph leaves "Response" off the end of GetObjectAttributes' root. */
static bool is_root(const struct xml_element *root, const char *name)
{
    size_t len = strlen(name);

    return strncmp(name, root->name, len) == 0 &&
           (!root->name[len] || strcmp(root->name + len, "Response") == 0);
}

static void on_root(struct xml_parser *p, const char *name)
{
    struct xml_frame *f = &p->frames[0];

    *f = (struct xml_frame){.element = p->root, .base = p->out};
    if (!is_root(p->root, name)) {
        if (strcmp(name, "Error") != 0) {
            (void)xml_fail(p, -EBADMSG, "the answer is <%.40s>, expected <%s>", name,
                           p->root->name);
            return;
        }
        p->is_error = true;
        *f = (struct xml_frame){.element = &xml_error_root, .base = (char *)&p->s3_error};
    }
    p->depth = 1;
    strbuf_reset(&p->text);
}

/* The index of the child called name, or -1. */
static int find_child(struct xml_parser *p, const struct xml_element *parent, const char *name)
{
    uintptr_t hash = ((uintptr_t)name >> 3) ^ ((uintptr_t)parent >> 6);
    struct xml_known *known = &p->known[hash % KNOWN_SLOTS];

    if (known->name == name && known->parent == parent)
        return known->index;
    *known = (struct xml_known){.name = name, .parent = parent, .index = -1};
    for (int i = 0; i < parent->n_children && known->index < 0; i++) {
        if (!strcmp(parent->children[i].name, name))
            known->index = i;
    }
    return known->index;
}

static void on_start(void *ctx, const xmlChar *xml_name, const xmlChar **attrs ATTR_UNUSED)
{
    struct xml_parser *p = ctx;
    const char *name = (const char *)xml_name;
    int index;

    if (p->error)
        return;
    if (p->depth == 0) {
        on_root(p, name);
        return;
    }
    if (p->depth >= LIMIT_XML_DEPTH) {
        (void)xml_fail(p, -EBADMSG, "elements are nested deeper than %u", LIMIT_XML_DEPTH);
        return;
    }
    struct xml_frame *parent = &p->frames[p->depth - 1];
    struct xml_frame *f = &p->frames[p->depth++];
    *f = (struct xml_frame){.base = parent->base};
    if (!parent->element)
        return;
    if (xml_is_value(parent->element)) {
        (void)xml_fail(p, -EBADMSG, "<%s> holds an element", parent->element->name);
        return;
    }
    index = find_child(p, parent->element, name);
    if (index < 0)
        return;
    const struct xml_element *e = &parent->element->children[index];
    f->element = e;
    if (e->kind == XML_LIST) {
        f->base = xml_array_append(p, e);
        if (f->base && e->mark_offset)
            *(bool *)(void *)(f->base + e->mark_offset) = true;
    } else {
        if (xml_is_value(e) && e->kind != XML_STRING_LIST && (parent->seen & (1u << index)))
            (void)xml_fail(p, -EBADMSG, "<%s> occurs twice", e->name);
        strbuf_reset(&p->text);
    }
    parent->seen |= 1u << index;
}

static void on_end(void *ctx, const xmlChar *name ATTR_UNUSED)
{
    struct xml_parser *p = ctx;

    if (p->error || p->depth == 0)
        return;
    struct xml_frame *f = &p->frames[--p->depth];
    if (p->depth == 0)
        p->complete = true;
    if (!f->element)
        return;
    if (xml_is_value(f->element)) {
        (void)xml_store_value(p, f->element, f->base);
        return;
    }
    const struct xml_element *children = f->element->children;
    if (f->seen == (1ull << f->element->n_children) - 1)
        return;
    for (unsigned i = 0; i < f->element->n_children; i++) {
        if (!children[i].flags || (f->seen & (1u << i)))
            continue;
        if (children[i].flags & XML_F_REQUIRED) {
            (void)xml_fail(p, -EBADMSG, "<%s> lacks <%s>", f->element->name, children[i].name);
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
    if (!xml_is_value(e)) {
        for (int i = 0; i < len; i++) {
            if (!strchr(" \t\r\n", text[i])) {
                (void)xml_fail(p, -EBADMSG, "text between the elements of <%s>", e->name);
                return;
            }
        }
        return;
    }
    if (strbuf_append(&p->text, text, (size_t)len) == -E2BIG)
        (void)xml_fail(p, -EBADMSG, "the text of <%s> is longer than %u bytes", e->name,
                       LIMIT_XML_TEXT);
    else if (p->text.error)
        (void)xml_fail_memory(p);
}

static void on_cdata(void *ctx, const xmlChar *text ATTR_UNUSED, int len ATTR_UNUSED)
{
    (void)xml_fail(ctx, -EBADMSG, "the answer has a CDATA section, which S3 never sends");
}

static void on_doctype(void *ctx, const xmlChar *name ATTR_UNUSED,
                       const xmlChar *external_id ATTR_UNUSED, const xmlChar *system ATTR_UNUSED)
{
    (void)xml_fail(ctx, -EBADMSG, "the answer has a document type, which S3 never sends");
}

/* libxml2 would write to stderr; the reason is fetched from xmlCtxtGetLastError. */
static void on_libxml_message(void *ctx ATTR_UNUSED, const char *fmt ATTR_UNUSED, ...)
{
}

static xmlSAXHandler sax_handler = {
    .startElement = on_start,
    .endElement = on_end,
    .characters = on_text,
    .cdataBlock = on_cdata,
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
    free(p->filtered);
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
        return xml_fail_memory(p);
    /* Warnings (say, a relative namespace URI) leave the document well-formed. */
    if (p->ctxt->wellFormed && (!e || e->level < XML_ERR_ERROR))
        return 0;
    int len = e && e->message ? (int)strcspn(e->message, "\n") : 0;
    return xml_fail(p, -EBADMSG, "not well-formed XML, line %d: %.*s", e ? e->line : 0,
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

int xml_parser_feed(struct xml_parser *p, const void *data, size_t len)
{
    const char *s = data;

    if (p->error)
        return p->error;
    if (len > LIMIT_XML_BODY - p->fed)
        return xml_fail(p, -EBADMSG, "the answer is longer than %u bytes", LIMIT_XML_BODY);
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
    if (xml_filter(p, &s, &len))
        return p->error;
    return feed_libxml(p, s, len);
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
        return xml_fail(p, -EBADMSG, "<%s> is not percent-encoded as the page says", e->name);
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
            return xml_fail_memory(p);
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
        return xml_fail(p, -EBADMSG, "the answer is empty");
    (void)feed_libxml(p, p->held, p->held_len);
    if (!p->error)
        (void)xmlParseChunk(p->ctxt, "", 0, 1);
    if (check_libxml(p))
        return p->error;
    if (!p->complete)
        return xml_fail(p, -EBADMSG, "the answer ends too early");
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
