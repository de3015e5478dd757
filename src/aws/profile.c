/* SPDX-License-Identifier: Apache-2.0 */
/* The parser goes line by line and holds one open key; the next line either belongs to it (deeper
 * indentation) or closes it. Values live in one hash table whose key is "section NUL nested NUL
 * key", so that a file made of nothing but keys stays linear. */
#include "aws/profile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/file_io.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/strbuf.h"

/* Sections with their kind in front: "p" profile, "s" services; the user's text follows, so the
 * two cannot meet. */
#define KIND_PROFILE  'p'
#define KIND_SERVICES 's'
#define SKIPPED       '-'

#define ID_MAX (4u * LIMIT_INI_LINE)

struct entry {
    UT_hash_handle hh;
    char *value;        /* owned, wiped when freed; NULL for a section itself */
    unsigned source;    /* number of the parse that set it: later parses do not touch it */
    bool plain_default; /* from "[default]" in a config file */
    size_t id_len;
    char id[];
};

struct aws_profile_file {
    struct entry *entries;
    unsigned parses;
};

int aws_profile_new(struct aws_profile_file **ret)
{
    struct aws_profile_file *f = calloc(1, sizeof(*f));

    if (!f)
        return -ENOMEM;
    *ret = f;
    return 0;
}

static void wipe_and_free(char *s)
{
    if (s)
        explicit_bzero(s, strlen(s));
    free(s);
}

static void entry_free(struct aws_profile_file *f, struct entry *e)
{
    HASH_DEL(f->entries, e);
    wipe_and_free(e->value);
    free(e);
}

void aws_profile_free(struct aws_profile_file *f)
{
    struct entry *e, *next;

    if (!f)
        return;
    HASH_ITER (hh, f->entries, e, next)
        entry_free(f, e);
    free(f);
}

/* ---- lookup ---- */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* key NULL: the section itself. */
static int make_id(struct strbuf *id, char kind, const char *section, const char *nested,
                   const char *key)
{
    strbuf_append_char(id, kind);
    strbuf_append_str(id, section);
    if (key) {
        strbuf_append_char(id, '\0');
        for (const char *p = nested ? nested : ""; *p; p++)
            strbuf_append_char(id, lower(*p));
        strbuf_append_char(id, '\0');
        for (const char *p = key; *p; p++)
            strbuf_append_char(id, lower(*p));
    }
    return id->error;
}

static struct entry *find(const struct aws_profile_file *f, const struct strbuf *id)
{
    struct entry *e = NULL;

    HASH_FIND(hh, f->entries, id->data, id->len, e);
    return e;
}

/* Compares an id with its parts where they lie. The parts hold no NUL, so each ends where one
 * stands in the id. */
static bool has_id(const struct entry *e, char kind, const char *section, const char *nested,
                   const char *key)
{
    const char *part = e->id + 1;
    const char *end = e->id + e->id_len;
    size_t section_len = strlen(section);

    if (e->id[0] != kind || (size_t)(end - part) < section_len ||
        memcmp(part, section, section_len) != 0)
        return false;
    part += section_len;
    if (!key)
        return part == end;
    if (part == end || *part++ != '\0')
        return false;
    /* nested and key are stored in small letters, each with its NUL but the last */
    for (const char *p = nested ? nested : ""; *p; p++)
        if (part == end || *part++ != lower(*p))
            return false;
    if (part == end || *part++ != '\0')
        return false;
    for (; *key; key++)
        if (part == end || *part++ != lower(*key))
            return false;
    return part == end;
}

/* Walks all entries: there are a few dozen lookups in a session's life, and walking needs no
 * memory, so that a setting is never taken as absent because memory was short. */
static const struct entry *lookup(const struct aws_profile_file *f, char kind, const char *section,
                                  const char *nested, const char *key)
{
    for (const struct entry *e = f->entries; e; e = e->hh.next)
        if (has_id(e, kind, section, nested, key))
            return e;
    return NULL;
}

const char *aws_profile_get(const struct aws_profile_file *f, const char *profile,
                            const char *nested, const char *key)
{
    const struct entry *e = lookup(f, KIND_PROFILE, profile, nested, key);

    return e ? e->value : NULL;
}

const char *aws_profile_get_service(const struct aws_profile_file *f, const char *services,
                                    const char *nested, const char *key)
{
    const struct entry *e = lookup(f, KIND_SERVICES, services, nested, key);

    return e ? e->value : NULL;
}

bool aws_profile_exists(const struct aws_profile_file *f, const char *profile)
{
    return lookup(f, KIND_PROFILE, profile, NULL, NULL) != NULL;
}

/* ---- parser ---- */

struct parser {
    struct aws_profile_file *file;
    enum aws_profile_kind kind;
    const char *path;
    struct s3_error *reterr;
    unsigned line;
    char section_kind;     /* KIND_*, SKIPPED, or 0 before the first section */
    bool plain_default;    /* the section is "[default]" */
    bool prefixed_default; /* "[profile default]" was in this file */
    struct strbuf section;
    struct strbuf key;   /* the open key; key_open tells whether there is one */
    struct strbuf value; /* holds secrets: wiped */
    bool key_open;
    bool is_block; /* nothing after '=': indented lines are settings of their own */
    size_t key_indent;
};

static int parse_error(const struct parser *p, const char *what)
{
    return s3_error_set(p->reterr, S3_ERROR_CONFIG, "%.300s:%u: %s", p->path, p->line, what);
}

static int out_of_memory(const struct parser *p)
{
    return s3_error_set(p->reterr, S3_ERROR_OUT_OF_MEMORY, "%.300s: out of memory", p->path);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\v' || c == '\f';
}

/* A piece of a line; the parser never copies before it knows where things end. */
struct span {
    const char *s;
    size_t len;
};

static struct span trim(struct span a)
{
    while (a.len > 0 && is_blank(a.s[0])) {
        a.s++;
        a.len--;
    }
    while (a.len > 0 && is_blank(a.s[a.len - 1]))
        a.len--;
    return a;
}

static struct span strip_comment(struct span a)
{
    for (size_t i = 1; i < a.len; i++)
        if ((a.s[i] == '#' || a.s[i] == ';') && is_blank(a.s[i - 1])) {
            a.len = i;
            break;
        }
    return trim(a);
}

/* Sets a value (value NULL: makes the section known). What an earlier parse set stays. */
static int store(struct parser *p, const char *nested, const char *key, const char *value)
{
    CLEANUP_STRBUF struct strbuf id = STRBUF_INIT(ID_MAX);
    CLEANUP_FREE char *copy = NULL;
    struct entry *e;

    if (make_id(&id, p->section_kind, strbuf_str(&p->section), nested, key) < 0)
        return out_of_memory(p);
    e = find(p->file, &id);
    if (e && (e->source != p->file->parses || !value))
        return 0;
    if (value) {
        copy = strdup(value);
        if (!copy)
            return out_of_memory(p);
    }
    if (e) {
        wipe_and_free(e->value);
        e->value = TAKE_PTR(copy);
        return 0;
    }
    e = calloc(1, sizeof(*e) + id.len);
    if (!e)
        return out_of_memory(p);
    e->source = p->file->parses;
    e->plain_default = p->plain_default;
    e->id_len = id.len;
    memcpy(e->id, id.data, id.len);
    HASH_ADD_KEYPTR(hh, p->file->entries, e->id, e->id_len, e);
    if (HASH_ADD_FAILED(e)) {
        free(e);
        return out_of_memory(p);
    }
    e->value = TAKE_PTR(copy);
    return 0;
}

static void reset_value(struct parser *p)
{
    if (p->value.data)
        explicit_bzero(p->value.data, p->value.len);
    strbuf_reset(&p->value);
}

static int close_key(struct parser *p)
{
    int r = 0;

    if (p->key_open && !p->is_block && p->section_kind != SKIPPED)
        r = store(p, NULL, strbuf_str(&p->key), strbuf_str(&p->value));
    p->key_open = false;
    reset_value(p);
    return r;
}

/* "[profile default]" has been found: what "[default]" of the same file said is void. */
static void drop_plain_default(struct parser *p)
{
    struct entry *e, *next;

    HASH_ITER (hh, p->file->entries, e, next)
        if (e->plain_default && e->source == p->file->parses)
            entry_free(p->file, e);
}

/* The name after "profile": one word, or anything within quotes. */
static bool take_name(struct span rest, struct strbuf *ret)
{
    rest = trim(rest);
    if (rest.len >= 2 && (rest.s[0] == '"' || rest.s[0] == '\'')) {
        if (rest.s[rest.len - 1] != rest.s[0] || memchr(rest.s + 1, rest.s[0], rest.len - 2))
            return false;
        rest.s++;
        rest.len -= 2;
    } else {
        for (size_t i = 0; i < rest.len; i++)
            if (is_blank(rest.s[i]) || rest.s[i] == '"' || rest.s[i] == '\'')
                return false;
    }
    return rest.len > 0 && strbuf_append(ret, rest.s, rest.len) == 0;
}

static bool take_word(struct span *a, const char *word)
{
    size_t n = strlen(word);

    if (a->len <= n || memcmp(a->s, word, n) != 0 ||
        !(is_blank(a->s[n]) || a->s[n] == '"' || a->s[n] == '\''))
        return false;
    a->s += n;
    a->len -= n;
    return true;
}

static int parse_section(struct parser *p, struct span line)
{
    const char *end = memchr(line.s, ']', line.len);
    struct span name, after;
    int r;

    r = close_key(p);
    if (r < 0)
        return r;
    if (!end)
        return parse_error(p, "this section's ']' is missing");
    name = trim((struct span){line.s + 1, (size_t)(end - line.s) - 1});
    after = trim((struct span){end + 1, (size_t)(line.s + line.len - end) - 1});
    if (after.len > 0 && after.s[0] != '#' && after.s[0] != ';')
        return parse_error(p, "only a comment may follow the ']' of a section");

    strbuf_reset(&p->section);
    p->plain_default = false;
    p->section_kind = SKIPPED;
    if (p->kind == AWS_PROFILE_CREDENTIALS) {
        if (name.len > 0 && strbuf_append(&p->section, name.s, name.len) == 0)
            p->section_kind = KIND_PROFILE;
    } else if (name.len == strlen("default") && memcmp(name.s, "default", name.len) == 0) {
        if (!p->prefixed_default && strbuf_append_str(&p->section, "default") == 0) {
            p->section_kind = KIND_PROFILE;
            p->plain_default = true;
        }
    } else if (take_word(&name, "profile")) {
        if (take_name(name, &p->section)) {
            p->section_kind = KIND_PROFILE;
            if (strcmp(p->section.data, "default") == 0) {
                p->prefixed_default = true;
                drop_plain_default(p);
            }
        }
    } else if (take_word(&name, "services")) {
        if (take_name(name, &p->section))
            p->section_kind = KIND_SERVICES;
    }
    if (p->section.error)
        return out_of_memory(p);
    return p->section_kind == SKIPPED ? 0 : store(p, NULL, NULL, NULL);
}

/* Splits at the first '='; without one, at the first ':'. */
static bool split_setting(struct span line, struct span *key, struct span *value)
{
    const char *at = memchr(line.s, '=', line.len);

    if (!at)
        at = memchr(line.s, ':', line.len);
    if (!at)
        return false;
    *key = trim((struct span){line.s, (size_t)(at - line.s)});
    /* The character before is kept in view, so that "= # comment" is seen as one. */
    *value = strip_comment((struct span){at, (size_t)(line.s + line.len - at)});
    value->s++;
    value->len--;
    *value = trim(*value);
    return key->len > 0;
}

static int parse_nested(struct parser *p, struct span line)
{
    CLEANUP_STRBUF struct strbuf key_text = STRBUF_INIT(LIMIT_INI_LINE);
    struct span key, value;

    if (!split_setting(line, &key, &value))
        return parse_error(p, "this indented line has no '='");
    if (p->section_kind == SKIPPED)
        return 0;
    reset_value(p);
    strbuf_append(&key_text, key.s, key.len);
    strbuf_append(&p->value, value.s, value.len);
    if (key_text.error || p->value.error)
        return out_of_memory(p);
    return store(p, strbuf_str(&p->key), strbuf_str(&key_text), strbuf_str(&p->value));
}

static int parse_setting(struct parser *p, struct span line, size_t indent)
{
    struct span key, value;
    int r;

    r = close_key(p);
    if (r < 0)
        return r;
    if (!split_setting(line, &key, &value))
        return parse_error(p, "neither a [section] nor a line 'key = value'");
    if (!p->section_kind)
        return parse_error(p, "a setting before the first [section]");
    strbuf_reset(&p->key);
    strbuf_append(&p->key, key.s, key.len);
    strbuf_append(&p->value, value.s, value.len);
    if (p->key.error || p->value.error)
        return out_of_memory(p);
    p->key_open = true;
    p->key_indent = indent;
    p->is_block = value.len == 0;
    /* An empty value is a setting of its own too: it hides an older one. */
    if (p->is_block && p->section_kind != SKIPPED)
        return store(p, NULL, strbuf_str(&p->key), "");
    return 0;
}

static int parse_line(struct parser *p, struct span line)
{
    struct span text = trim(line);
    size_t indent;

    if (line.len > LIMIT_INI_LINE)
        return parse_error(p, "the line is too long");
    if (memchr(line.s, '\0', line.len))
        return parse_error(p, "the line holds a NUL byte; is this a text file?");
    if (text.len == 0 || text.s[0] == '#' || text.s[0] == ';')
        return 0;
    indent = (size_t)(text.s - line.s);
    if (p->key_open && indent > p->key_indent) {
        if (p->is_block)
            return parse_nested(p, text);
        strbuf_append_char(&p->value, '\n');
        strbuf_append(&p->value, text.s, text.len);
        return p->value.error ? parse_error(p, "the value is too long") : 0;
    }
    if (text.s[0] == '[')
        return parse_section(p, text);
    return parse_setting(p, text, indent);
}

static int parse_lines(struct parser *p, const char *text, size_t len)
{
    static const char BOM[] = "\xef\xbb\xbf";
    const char *end = text + len;
    int r;

    if (len >= 3 && memcmp(text, BOM, 3) == 0)
        text += 3;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        struct span line = {text, (size_t)((newline ? newline : end) - text)};

        text = newline ? newline + 1 : end;
        if (line.len > 0 && line.s[line.len - 1] == '\r')
            line.len--;
        p->line++;
        r = parse_line(p, line);
        if (r < 0)
            return r;
    }
    return close_key(p);
}

int aws_profile_parse(struct aws_profile_file *f, enum aws_profile_kind kind, const char *path,
                      const char *text, size_t len, struct s3_error *reterr)
{
    struct parser p = {
        .file = f,
        .kind = kind,
        .path = path,
        .reterr = reterr,
        .section = STRBUF_INIT(LIMIT_INI_LINE),
        .key = STRBUF_INIT(LIMIT_INI_LINE),
        .value = STRBUF_INIT(LIMIT_INI_FILE),
    };
    int r;

    if (len > LIMIT_INI_FILE)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "%.300s: larger than %u bytes", path,
                            LIMIT_INI_FILE);
    f->parses++;
    r = parse_lines(&p, text, len);
    reset_value(&p);
    strbuf_done(&p.section);
    strbuf_done(&p.key);
    strbuf_done(&p.value);
    return r;
}

int aws_profile_read(struct aws_profile_file *f, enum aws_profile_kind kind, const char *path,
                     struct s3_error *reterr)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
    const size_t size = LIMIT_INI_FILE + 1; /* one more shows that the file is too large */
    char *text;
    size_t len = 0;
    int r;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (fd < 0)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "cannot read %.300s: %s", path,
                            strerrordesc_np(errno));
    text = malloc(size);
    if (!text)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "%.300s: out of memory", path);
    r = file_read(fd, text, size, &len);
    if (r < 0)
        r = s3_error_set(reterr, S3_ERROR_CONFIG, "cannot read %.300s: %s", path,
                         strerrordesc_np(-r));
    else
        r = aws_profile_parse(f, kind, path, text, len, reterr);
    explicit_bzero(text, len);
    free(text);
    return r;
}
