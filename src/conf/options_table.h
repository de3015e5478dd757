/* SPDX-License-Identifier: Apache-2.0 */
/* The form of a row of the option table. Only src/conf and its tests include this. */
#ifndef PAILFS_CONF_OPTIONS_TABLE_H
#define PAILFS_CONF_OPTIONS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/strbuf.h"
#include "conf/conf.h"

enum conf_type {
    /* with a field in struct conf_options, of the type in the comment */
    CONF_BOOL,     /* bool */
    CONF_STRING,   /* char *; min and max are lengths in bytes */
    CONF_PATH,     /* char *; becomes absolute, "~/" is HOME */
    CONF_SIZE,     /* uint64_t, bytes; a bare number counts `unit` bytes */
    CONF_DURATION, /* uint64_t, nanoseconds; a bare number counts seconds */
    CONF_UINT,     /* unsigned */
    CONF_MODE,     /* mode_t, octal */
    CONF_UID,      /* uid_t, number or name */
    CONF_GID,      /* gid_t, number or name */
    CONF_ENUM,     /* int, from `words` */
    /* without a field */
    CONF_PRESET,      /* `value` is a list of other options that it stands for */
    CONF_KERNEL,      /* goes to libfuse as it is; takes a value when `arg` is set */
    CONF_IGNORED,     /* accepted; `note`, when set, tells the user why nothing happens */
    CONF_UNSUPPORTED, /* refused; `note` says what to do instead */
};

/* Who gave an option; the higher one wins where two contradict each other. */
enum conf_origin { CONF_FROM_DEFAULT, CONF_FROM_ENV, CONF_FROM_ARGS };

enum conf_group {
    CONF_GROUP_SOURCE,
    CONF_GROUP_S3,
    CONF_GROUP_ACCESS,
    CONF_GROUP_CACHE,
    CONF_GROUP_TRANSFER,
    CONF_GROUP_PROCESS,
    CONF_GROUP_MOUNT, /* words of mount(8) and libfuse */
    CONF_GROUP_PEERS, /* words of other programs */
    CONF_GROUP_MAX,
};

struct conf_word {
    const char *word; /* the first of a value is its canonical name */
    int value;
};

struct conf_row {
    const char *name;    /* with '_'; a '*' at the end stands for anything */
    const char *aliases; /* "one two", NULL = none */
    char letter;         /* -f; 0 = none */
    enum conf_type type;
    enum conf_group group;
    size_t offset;     /* of the field */
    const char *value; /* default, as the user would write it; NULL = not set */
    const char *arg;   /* how --help calls the value; NULL = by type */
    uint64_t unit;
    uint64_t min, max;
    const struct conf_word *words; /* ends with word NULL */
    bool ttl_words;                /* also "minimal" (0) and "indefinite" (max) */
    bool upper;                    /* kept in upper case */
    bool secret;                   /* its value never stands in a message */
    /* One name that means two options, told apart by the value; returns a canonical name. */
    const char *(*pick)(const char *value);
    const char *note;
    const char *help;
};

extern const struct conf_row conf_rows[];
extern const size_t conf_n_rows;
extern const char *const conf_group_titles[CONF_GROUP_MAX];

/* options_find.c: '_' and '-' are equal. NULL when unknown. */
const struct conf_row *conf_row_find(const char *name);
const struct conf_row *conf_row_find_letter(char letter);
/* The known name nearest to an unknown one, NULL when none is near. Borrowed from the table or buf.
 */
const char *conf_suggest(const char *name, char *buf, size_t size);
/* Calls fn for the name and each alias until it returns true. */
bool conf_row_each_name(const struct conf_row *row,
                        bool (*fn)(void *ctx, const char *name, size_t len), void *ctx);
/* Restricted Damerau-Levenshtein distance of two names, capped at 64 bytes each. */
unsigned conf_distance(const char *a, const char *b, size_t b_len);

/* option_value.c: text to field. label is the name that the user wrote. */
int conf_value_set(struct conf_options *o, const struct conf_row *row, const char *label,
                   const char *value, struct s3_error *reterr);
/* The range or the words that are accepted, for messages and help; "" when anything is. */
void conf_value_range(const struct conf_row *row, struct strbuf *sb);
/* "8M", "1m" as conf_value_set reads it back. */
void conf_format_size(uint64_t bytes, struct strbuf *sb);
void conf_format_duration(uint64_t ns, struct strbuf *sb);

static inline bool conf_row_has_field(const struct conf_row *row)
{
    return row->type < CONF_PRESET;
}

#endif
