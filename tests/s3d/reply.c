/* SPDX-License-Identifier: Apache-2.0 */
/* Filling a request's reply. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/encode.h"
#include "base/log.h"
#include "request.h"
#include "xmlout.h"

void reply_status(struct request *r, int status)
{
    r->reply.status = status;
}

void reply_header(struct request *r, const char *name, const char *value)
{
    struct reply_header *h = &r->reply.headers[r->reply.n_headers];

    if (r->reply.n_headers == REPLY_HEADERS_MAX)
        return;
    h->name = strdup(name);
    h->value = strdup(value);
    if (h->name && h->value) {
        r->reply.n_headers++;
    } else {
        free(h->name);
        free(h->value);
    }
}

void reply_headerf(struct request *r, const char *name, const char *fmt, ...)
{
    char value[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    reply_header(r, name, value);
}

void reply_etag(struct request *r, const char *etag)
{
    reply_headerf(r, "ETag", "\"%s\"", etag);
}

struct strbuf *reply_xml(struct request *r, const char *root)
{
    r->reply.status = 200;
    r->reply.is_xml = true;
    strbuf_reset(&r->reply.body);
    xml_begin(&r->reply.body, root);
    return &r->reply.body;
}

void reply_clear(struct request *r)
{
    for (unsigned i = 0; i < r->reply.n_headers; i++) {
        free(r->reply.headers[i].name);
        free(r->reply.headers[i].value);
    }
    r->reply.n_headers = 0;
    strbuf_reset(&r->reply.body);
    r->reply.is_xml = false;
    version_unref(&r->s->store, r->reply.data);
    r->reply.data = NULL;
    r->reply.offset = r->reply.length = 0;
}

static void write_error(struct request *r, const char *code, const char *message, const char *extra)
{
    struct strbuf *sb = &r->reply.body;

    strbuf_reset(sb);
    r->reply.is_xml = true;
    strbuf_append_str(sb, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>");
    xml_text(sb, "Code", code);
    xml_text(sb, "Message", message);
    if (extra)
        strbuf_append_str(sb, extra);
    if (r->bucket_name[0])
        xml_text(sb, "BucketName", r->bucket_name);
    if (r->key && utf8_valid(r->key, r->key_len))
        xml_bytes(sb, "Key", r->key, r->key_len);
    xml_text(sb, "RequestId", r->id);
    xml_text(sb, "HostId", "s3d");
    xml_close(sb, "Error");
}

void reply_error_extra(struct request *r, enum s3d_error e, const char *message, const char *extra)
{
    version_unref(&r->s->store, r->reply.data);
    r->reply.data = NULL;
    r->reply.length = 0;
    r->reply.error = e;
    r->reply.status = s3d_error_status(e);
    write_error(r, s3d_error_code(e), message ? message : s3d_error_message(e), extra);
    if (e == ERR_NOT_MODIFIED) {
        strbuf_reset(&r->reply.body);
        r->reply.is_xml = false;
    }
}

void reply_error(struct request *r, enum s3d_error e)
{
    reply_error_extra(r, e, NULL, NULL);
}

void reply_error_message(struct request *r, enum s3d_error e, const char *fmt, ...)
{
    char message[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(message, sizeof(message), fmt, ap);
    va_end(ap);
    reply_error_extra(r, e, message, NULL);
}

void reply_error_raw(struct request *r, int status, const char *code, const char *message)
{
    reply_clear(r);
    r->reply.status = status;
    r->reply.error = ERR_INTERNAL;
    write_error(r, code, message, NULL);
}

void reply_failure(struct request *r, int err, const char *what)
{
    log_error("%s: %s", what, strerror(err < 0 ? -err : err));
    reply_error(r, ERR_INTERNAL);
}
