/* SPDX-License-Identifier: Apache-2.0 */
#include "conf/conf.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "conf/options_table.h"

#define NOTES_MAX  (16u << 10)
#define KERNEL_MAX (16u << 10)

static int out_of_memory(struct s3_error *reterr)
{
    return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
}

int conf_init(struct conf_options *o, struct s3_error *reterr)
{
    *o = (struct conf_options){
        .uid = getuid(),
        .gid = getgid(),
        .notes = STRBUF_INIT(NOTES_MAX),
        .kernel = STRBUF_INIT(KERNEL_MAX),
    };
    for (size_t i = 0; i < conf_n_rows; i++) {
        const struct conf_row *row = &conf_rows[i];
        if (!conf_row_has_field(row) || !row->value)
            continue;
        int r = conf_value_set(o, row, row->name, row->value, reterr);
        if (r < 0)
            return r;
    }
    memset(o->given, 0, sizeof(o->given));
    return 0;
}

void conf_done(struct conf_options *o)
{
    for (size_t i = 0; i < conf_n_rows; i++) {
        if (conf_rows[i].type == CONF_STRING || conf_rows[i].type == CONF_PATH) {
            char **field = (char **)(void *)((char *)o + conf_rows[i].offset);
            free(*field);
            *field = NULL;
        }
    }
    free(TAKE_PTR(o->source));
    free(TAKE_PTR(o->mountpoint));
    strbuf_done(&o->notes);
    strbuf_done(&o->kernel);
}

static enum conf_origin origin(const struct conf_options *o, const char *name)
{
    const struct conf_row *row = conf_row_find(name);
    return row ? (enum conf_origin)o->given[row - conf_rows] : CONF_FROM_DEFAULT;
}

bool conf_given(const struct conf_options *o, const char *name)
{
    return origin(o, name) != CONF_FROM_DEFAULT;
}

static void append_escaped(struct strbuf *sb, const char *s)
{
    for (; *s; s++) {
        if (*s == ',' || *s == '\\')
            strbuf_append_char(sb, '\\');
        strbuf_append_char(sb, *s);
    }
}

static int set_kernel(struct conf_options *o, const struct conf_row *row, const char *label,
                      const char *value, struct s3_error *reterr)
{
    if (!row->arg != !value)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "option '%s' %s", label,
                            value ? "takes no value" : "needs a value");
    if (o->kernel.len)
        strbuf_append_char(&o->kernel, ',');
    strbuf_append_str(&o->kernel, row->name);
    if (value) {
        strbuf_append_char(&o->kernel, '=');
        append_escaped(&o->kernel, value);
    }
    if (o->kernel.error == -ENOMEM)
        return out_of_memory(reterr);
    if (o->kernel.error)
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "the options for the kernel are longer than %u bytes at '%s'",
                            KERNEL_MAX, label);
    o->given[row - conf_rows] = CONF_FROM_ARGS;
    return 0;
}

static int set_row(struct conf_options *o, const struct conf_row *row, const char *label,
                   const char *value, struct s3_error *reterr)
{
    if (conf_row_has_field(row))
        return conf_value_set(o, row, label, value, reterr);

    if (row->type == CONF_KERNEL)
        return set_kernel(o, row, label, value, reterr);

    if (row->type == CONF_UNSUPPORTED)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "option '%s': %s", label, row->note);

    if (row->type == CONF_IGNORED) {
        o->given[row - conf_rows] = CONF_FROM_ARGS;
        if (row->note)
            strbuf_appendf(&o->notes, "option '%.60s' has no effect: %s\n", label, row->note);
        /* A full list of notes is no reason to refuse the mount. */
        return o->notes.error == -ENOMEM ? out_of_memory(reterr) : 0;
    }

    /* CONF_PRESET */
    if (row->pick) {
        if (!value || !*value)
            return s3_error_set(reterr, S3_ERROR_CONFIG, "option '%s' needs a value", label);
        return conf_value_set(o, conf_row_find(row->pick(value)), label, value, reterr);
    }
    if (value)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "option '%s' takes no value", label);
    o->given[row - conf_rows] = CONF_FROM_ARGS;
    if (strcmp(row->name, "help") == 0)
        o->action = CONF_ACTION_HELP;
    else if (strcmp(row->name, "version") == 0)
        o->action = CONF_ACTION_VERSION;
    else
        return conf_set_list(o, row->value, reterr);
    return 0;
}

int conf_set(struct conf_options *o, const char *name, const char *value, struct s3_error *reterr)
{
    const struct conf_row *row = conf_row_find(name);
    if (row)
        return set_row(o, row, name, value, reterr);

    char buf[64];
    const char *near = conf_suggest(name, buf, sizeof(buf));
    if (near)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "unknown option '%.60s'; did you mean '%s'?",
                            name, near);
    return s3_error_set(reterr, S3_ERROR_CONFIG, "unknown option '%.60s'; --help lists all", name);
}

/* One element of a list, without its escapes; *p moves behind its comma. */
static int take_element(const char **p, struct strbuf *sb)
{
    strbuf_reset(sb);
    const char *s = *p;
    for (; *s && *s != ','; s++) {
        if (*s == '\\' && (s[1] == ',' || s[1] == '\\'))
            s++;
        strbuf_append_char(sb, *s);
    }
    *p = *s ? s + 1 : s;
    return sb->error;
}

int conf_set_list(struct conf_options *o, const char *list, struct s3_error *reterr)
{
    CLEANUP_STRBUF struct strbuf element = STRBUF_INIT(LIMIT_OPTION_VALUE + 256);
    while (*list) {
        int r = take_element(&list, &element);
        if (r == -ENOMEM)
            return out_of_memory(reterr);
        if (r < 0)
            return s3_error_set(reterr, S3_ERROR_CONFIG, "an element of -o is longer than %u bytes",
                                LIMIT_OPTION_VALUE);
        if (!element.len)
            continue;
        char *name = element.data;
        /* Other programs' fstab lines carry "--file-mode=0666" among the options. */
        if (strncmp(name, "--", 2) == 0)
            name += 2;
        char *value = strchr(name, '=');
        if (value)
            *value++ = '\0';
        r = conf_set(o, name, value, reterr);
        if (r < 0)
            return r;
    }
    return 0;
}

int conf_load_env(struct conf_options *o, const char *(*get_env)(void *ctx, const char *name),
                  void *ctx, struct s3_error *reterr)
{
    for (size_t i = 0; i < conf_n_rows; i++) {
        const struct conf_row *row = &conf_rows[i];
        if (!conf_row_has_field(row))
            continue;
        char name[64] = "PAILFS_";
        size_t n = strlen(name);
        for (const char *p = row->name; *p && n < sizeof(name) - 1; p++)
            name[n++] = (char)toupper((unsigned char)*p);
        name[n] = '\0';
        const char *value = get_env ? get_env(ctx, name) : getenv(name);
        /* An empty variable is how a service file says "not set". */
        if (!value || !*value)
            continue;
        int r = conf_value_set(o, row, name, value, reterr);
        if (r < 0)
            return r;
        o->given[i] = CONF_FROM_ENV;
    }
    return 0;
}

/* Against the working directory, which a daemon leaves; "~/" is not the shell's inside of -o. */
static int make_absolute(char **path, const char *what, struct s3_error *reterr)
{
    const char *s = *path;
    if (!s || s[0] == '/')
        return 0;
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(2 * PATH_MAX);
    if (s[0] == '~' && (s[1] == '/' || !s[1])) {
        const char *home = getenv("HOME");
        if (!home || home[0] != '/')
            return s3_error_set(reterr, S3_ERROR_CONFIG, "%s '%.100s': HOME is not set", what, s);
        strbuf_append_str(&sb, home);
        s++;
    } else {
        char cwd[PATH_MAX];
        if (!getcwd(cwd, sizeof(cwd)))
            return s3_error_set(reterr, S3_ERROR_CONFIG,
                                "%s '%.100s': the working directory is gone; give an absolute path",
                                what, s);
        strbuf_appendf(&sb, "%s/", strcmp(cwd, "/") == 0 ? "" : cwd);
    }
    strbuf_append_str(&sb, s);
    char *absolute = strbuf_take(&sb);
    if (!absolute)
        return out_of_memory(reterr);
    free(*path);
    *path = absolute;
    return 0;
}

static int resolve_source(struct conf_options *o, struct s3_error *reterr)
{
    CLEANUP_FREE char *bucket = NULL, *prefix = NULL;
    const char *text = o->source ? o->source : o->bucket;
    if (!text)
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "no bucket given: pailfs BUCKET[:/PREFIX] MOUNTPOINT [-o options]");
    int r = conf_parse_source(text, &bucket, &prefix, reterr);
    if (r < 0)
        return r;
    if (o->source && origin(o, "bucket") == CONF_FROM_ARGS && strcmp(o->bucket, bucket) != 0)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "two buckets given: '%.80s' and bucket=%.80s",
                            bucket, o->bucket);
    if (!o->source) {
        o->source = strdup(o->bucket);
        if (!o->source)
            return out_of_memory(reterr);
    }
    free(o->bucket);
    o->bucket = TAKE_PTR(bucket);

    bool source_wins = *prefix && origin(o, "prefix") == CONF_FROM_ENV;
    if (o->prefix && *o->prefix && !source_wins) {
        size_t len = strlen(o->prefix);
        if (o->prefix[len - 1] != '/') {
            char *longer = realloc(o->prefix, len + 2);
            if (!longer)
                return out_of_memory(reterr);
            memcpy(longer + len, "/", 2);
            o->prefix = longer;
        }
        if (*prefix && strcmp(prefix, o->prefix) != 0)
            return s3_error_set(reterr, S3_ERROR_CONFIG,
                                "two prefixes given: '%.80s' and prefix=%.80s", prefix, o->prefix);
    } else {
        free(o->prefix);
        o->prefix = TAKE_PTR(prefix);
    }
    return 0;
}

static int resolve_endpoint(struct conf_options *o, struct s3_error *reterr)
{
    const char *url = o->endpoint_url;
    if (!url)
        return 0;
    const char *scheme_end = strstr(url, "://");
    if (scheme_end) {
        if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
            return s3_error_set(reterr, S3_ERROR_CONFIG,
                                "option 'endpoint_url': '%.100s' does not begin with http:// or "
                                "https://",
                                url);
        if (!scheme_end[3])
            return s3_error_set(reterr, S3_ERROR_CONFIG,
                                "option 'endpoint_url': '%.100s' names no host", url);
        return 0;
    }
    size_t len = strlen(url);
    char *with_scheme = malloc(len + 9);
    if (!with_scheme)
        return out_of_memory(reterr);
    memcpy(with_scheme, "https://", 8);
    memcpy(with_scheme + 8, url, len + 1);
    free(o->endpoint_url);
    o->endpoint_url = with_scheme;
    return 0;
}

static int check_together(const struct conf_options *o, struct s3_error *reterr)
{
    if (!o->mountpoint)
        return s3_error_set(
            reterr, S3_ERROR_CONFIG,
            "no mount point given: pailfs BUCKET[:/PREFIX] MOUNTPOINT [-o options]");
    if (o->allow_other && o->allow_root)
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "allow_other and allow_root exclude each other");
    if (o->no_sign_request && (o->passwd_file || o->profile))
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "no_sign_request sends no credentials: leave out %s",
                            o->passwd_file ? "passwd_file" : "profile");
    if (o->read_only && o->create_bucket)
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "create_bucket and read_only exclude each other");
    /* One part being filled and one under way, or nothing moves. */
    uint64_t part = MAX(o->read_part_size, o->write_part_size);
    if (o->memory_limit / 2 < part) {
        CLEANUP_STRBUF struct strbuf limit = STRBUF_INIT(32), needed = STRBUF_INIT(32);
        conf_format_size(o->memory_limit, &limit);
        conf_format_size(2 * part, &needed);
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "memory_limit=%s holds fewer than two parts; give memory_limit=%s or a "
                            "smaller part_size",
                            strbuf_str(&limit), strbuf_str(&needed));
    }
    return 0;
}

int conf_finish(struct conf_options *o, struct s3_error *reterr)
{
    int r = resolve_source(o, reterr);
    if (r < 0)
        return r;
    r = resolve_endpoint(o, reterr);
    if (r < 0)
        return r;

    if (!conf_given(o, "read_part_size") && conf_given(o, "part_size"))
        o->read_part_size = o->part_size;
    if (!conf_given(o, "write_part_size") && conf_given(o, "part_size"))
        o->write_part_size = o->part_size;
    if (conf_given(o, "umask")) {
        if (!conf_given(o, "file_mode"))
            o->file_mode = 0666 & ~o->umask;
        if (!conf_given(o, "dir_mode"))
            o->dir_mode = 0777 & ~o->umask;
    }

    r = check_together(o, reterr);
    if (r < 0)
        return r;
    for (size_t i = 0; i < conf_n_rows && r == 0; i++)
        if (conf_rows[i].type == CONF_PATH)
            r = make_absolute((char **)(void *)((char *)o + conf_rows[i].offset), conf_rows[i].name,
                              reterr);
    return r < 0 ? r : make_absolute(&o->mountpoint, "mount point", reterr);
}

int conf_load(struct conf_options *o, int argc, char *const *argv,
              const char *(*get_env)(void *ctx, const char *name), void *ctx,
              struct s3_error *reterr)
{
    int r = conf_init(o, reterr);
    if (r == 0)
        r = conf_load_env(o, get_env, ctx, reterr);
    if (r == 0)
        r = conf_parse_args(o, argc, argv, reterr);
    if (r == 0 && o->action == CONF_ACTION_MOUNT)
        r = conf_finish(o, reterr);
    return r;
}

void conf_kernel_options(const struct conf_options *o, struct strbuf *sb)
{
    strbuf_append_str(sb, "subtype=pailfs,fsname=");
    append_escaped(sb, o->source ? o->source : "pailfs");
    /* The kernel checks modes and owners: we answer with attributes and trust it. */
    strbuf_append_str(sb, o->read_only ? ",ro,default_permissions" : ",rw,default_permissions");
    if (o->allow_other)
        strbuf_append_str(sb, ",allow_other");
    if (o->allow_root)
        strbuf_append_str(sb, ",allow_root");
    if (o->max_read)
        strbuf_appendf(sb, ",max_read=%u", o->max_read);
    /* Last, so that an fsname of the user's wins. */
    if (o->kernel.len) {
        strbuf_append_char(sb, ',');
        strbuf_append(sb, o->kernel.data, o->kernel.len);
    }
}
