/* SPDX-License-Identifier: Apache-2.0 */
/* pailfs BUCKET[:/PREFIX] MOUNTPOINT [-o list] [--name[=value]] [-fds] */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "conf/options_table.h"

struct args {
    char *const *argv;
    int argc;
    int at; /* the one being read */
};

static int missing_value(const char *name, struct s3_error *reterr)
{
    return s3_error_set(reterr, S3_ERROR_CONFIG, "option '%.60s' needs a value", name);
}

/* Whether `--name` without '=' takes the next argument as its value. */
static bool takes_next(const struct conf_row *row)
{
    return row && (row->pick || (row->type == CONF_KERNEL && row->arg) ||
                   (conf_row_has_field(row) && row->type != CONF_BOOL));
}

static int take_long(struct conf_options *o, struct args *a, struct s3_error *reterr)
{
    const char *text = a->argv[a->at] + 2;
    const char *equals = strchr(text, '=');
    if (!equals) {
        const struct conf_row *row = conf_row_find(text);
        if (!takes_next(row))
            return conf_set(o, text, NULL, reterr);
        if (a->at + 1 >= a->argc)
            return missing_value(text, reterr);
        return conf_set(o, text, a->argv[++a->at], reterr);
    }
    CLEANUP_FREE char *name = strndup(text, (size_t)(equals - text));
    if (!name)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    return conf_set(o, name, equals + 1, reterr);
}

/* "-fd", "-o list", "-olist", "-fo list". */
static int take_short(struct conf_options *o, struct args *a, struct s3_error *reterr)
{
    for (const char *p = a->argv[a->at] + 1; *p; p++) {
        if (*p == 'o') {
            if (p[1])
                return conf_set_list(o, p + 1, reterr);
            if (a->at + 1 >= a->argc)
                return missing_value("-o", reterr);
            return conf_set_list(o, a->argv[++a->at], reterr);
        }
        const struct conf_row *row = conf_row_find_letter(*p);
        if (!row)
            return s3_error_set(reterr, S3_ERROR_CONFIG, "unknown option '-%c'; --help lists all",
                                *p);
        int r = conf_set(o, row->name, NULL, reterr);
        if (r < 0 || o->action != CONF_ACTION_MOUNT)
            return r;
    }
    return 0;
}

int conf_parse_args(struct conf_options *o, int argc, char *const *argv, struct s3_error *reterr)
{
    struct args a = {.argv = argv, .argc = argc};
    const char *positional[2];
    int n_positional = 0;
    bool only_positional = false;

    for (a.at = 1; a.at < argc && o->action == CONF_ACTION_MOUNT; a.at++) {
        const char *text = argv[a.at];
        int r = 0;
        if (!only_positional && strcmp(text, "--") == 0) {
            only_positional = true;
        } else if (!only_positional && strncmp(text, "--", 2) == 0) {
            r = take_long(o, &a, reterr);
        } else if (!only_positional && text[0] == '-' && text[1]) {
            r = take_short(o, &a, reterr);
        } else if (n_positional == 2) {
            r = s3_error_set(reterr, S3_ERROR_CONFIG,
                             "one argument too many: '%.60s' (after '%.60s' and '%.60s')", text,
                             positional[0], positional[1]);
        } else {
            positional[n_positional++] = text;
        }
        if (r < 0)
            return r;
    }
    if (o->action != CONF_ACTION_MOUNT)
        return 0;

    /* With bucket=NAME among the options, a single argument is the mount point. */
    bool only_mountpoint = n_positional == 1 && o->bucket;
    const char *source = n_positional && !only_mountpoint ? positional[0] : NULL;
    const char *mountpoint = only_mountpoint     ? positional[0]
                             : n_positional == 2 ? positional[1]
                                                 : NULL;
    if ((source && !*source) || (mountpoint && !*mountpoint))
        return s3_error_set(reterr, S3_ERROR_CONFIG, "an empty %s was given",
                            source && !*source ? "source" : "mount point");
    if (source) {
        free(o->source);
        o->source = strdup(source);
    }
    if (mountpoint) {
        free(o->mountpoint);
        o->mountpoint = strdup(mountpoint);
    }
    if ((source && !o->source) || (mountpoint && !o->mountpoint))
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    return 0;
}
