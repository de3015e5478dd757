/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/encode.h"
#include "base/limits.h"
#include "base/strbuf.h"
#include "ctl/pailctl.h"

struct pailctl_out {
    json_t *array; /* NULL = text */
    bool failed;   /* memory ran out, or standard output broke */
};

int pailctl_out_new(bool json, struct pailctl_out **ret)
{
    struct pailctl_out *o = calloc(1, sizeof(*o));

    if (!o)
        return -ENOMEM;
    if (json) {
        o->array = json_array();
        if (!o->array) {
            free(o);
            return -ENOMEM;
        }
    }
    *ret = o;
    return 0;
}

/* Keys may hold any byte: a line feed in one must not look like another row. */
static void print_escaped(const char *s)
{
    for (; *s; s++) {
        if ((unsigned char)*s < ' ' || *s == 0x7f)
            printf("\\x%02x", (unsigned char)*s);
        else
            putchar(*s);
    }
}

static json_t *field_value(const struct pailctl_field *f)
{
    if (!f->value)
        return json_null();
    if (f->number)
        return json_integer(strtoll(f->value, NULL, 10));
    return json_string(f->value);
}

/* JSON cannot hold a key that is not UTF-8: NAME is null then and NAME_base64 has the bytes. */
static int set_field(json_t *row, const struct pailctl_field *f)
{
    CLEANUP_STRBUF struct strbuf base64 = STRBUF_INIT(LIMIT_CTL_MESSAGE);
    struct pailctl_field plain = *f;
    char name[64];

    if (!f->value || utf8_valid(f->value, strlen(f->value)))
        return json_object_set_new(row, f->name, field_value(f));
    plain.value = NULL;
    (void)snprintf(name, sizeof(name), "%s_base64", f->name);
    encode_base64(&base64, f->value, strlen(f->value));
    if (base64.error || json_object_set_new(row, f->name, field_value(&plain)) < 0)
        return -1;
    return json_object_set_new(row, name, json_string(strbuf_str(&base64)));
}

void pailctl_out_row(struct pailctl_out *o, const struct pailctl_field *fields, size_t n)
{
    json_t *row;

    if (!o->array) {
        for (size_t i = 0; i < n; i++) {
            if (i)
                fputs("  ", stdout);
            print_escaped(fields[i].value ? fields[i].value : "-");
        }
        putchar('\n');
        return;
    }
    row = json_object();
    for (size_t i = 0; row && i < n; i++)
        if (set_field(row, &fields[i]) < 0)
            o->failed = true;
    if (!row || json_array_append_new(o->array, row) < 0)
        o->failed = true;
}

/* Whether a line of a daemon's answer is a count. Its text may look like one: a bucket can be
 * called "2026". */
static bool is_number(const char *name, const char *value)
{
    static const char *const TEXT[] = {"bucket", "prefix", "endpoint", "region", "version"};

    for (size_t i = 0; i < ARRAY_SIZE(TEXT); i++)
        if (strcmp(name, TEXT[i]) == 0)
            return false;
    return *value && strspn(value, "0123456789") == strlen(value);
}

void pailctl_out_lines(struct pailctl_out *o, const char *mountpoint, const char *lines)
{
    CLEANUP_FREE char *copy = NULL;
    char *save = NULL;
    json_t *row;

    if (!o->array) {
        printf("%s\n", mountpoint);
        while (*lines) {
            size_t len = strcspn(lines, "\n");

            printf("  %.*s\n", (int)len, lines);
            lines += len + (lines[len] == '\n');
        }
        return;
    }
    row = json_object();
    copy = strdup(lines);
    if (!row || !copy ||
        set_field(row, &(struct pailctl_field){.name = "mountpoint", .value = mountpoint}) < 0)
        o->failed = true;
    for (char *line = copy ? strtok_r(copy, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save)) {
        char *colon = strstr(line, ": ");
        struct pailctl_field field = {.name = line};

        if (!colon)
            continue;
        *colon = '\0';
        field.value = colon + 2;
        field.number = is_number(line, field.value);
        if (set_field(row, &field) < 0)
            o->failed = true;
    }
    if (row && json_array_append_new(o->array, row) < 0)
        o->failed = true;
}

int pailctl_out_free(struct pailctl_out *o)
{
    int r = 0;

    if (!o)
        return 0;
    if (o->array) {
        if (json_dumpf(o->array, stdout, JSON_INDENT(2)) < 0)
            o->failed = true;
        putchar('\n');
        json_decref(o->array);
    }
    if (fflush(stdout) != 0 || ferror(stdout) || o->failed)
        r = -EIO;
    free(o);
    return r;
}
