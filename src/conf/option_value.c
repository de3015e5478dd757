/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a value to the field of its row, and a row's range to text. */
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <strings.h>

#include "base/limits.h"
#include "base/parse.h"
#include "conf/options_table.h"

void conf_format_size(uint64_t bytes, struct strbuf *sb)
{
    static const struct {
        uint64_t factor;
        const char *suffix;
    } UNITS[] = {{TIB, "T"}, {GIB, "G"}, {MIB, "M"}, {KIB, "K"}};
    for (size_t i = 0; i < ARRAY_SIZE(UNITS); i++) {
        if (bytes && bytes % UNITS[i].factor == 0) {
            strbuf_appendf(sb, "%llu%s", (unsigned long long)(bytes / UNITS[i].factor),
                           UNITS[i].suffix);
            return;
        }
    }
    strbuf_appendf(sb, "%lluB", (unsigned long long)bytes);
}

void conf_format_duration(uint64_t ns, struct strbuf *sb)
{
    static const struct {
        uint64_t factor;
        const char *suffix;
    } UNITS[] = {
        {86400 * NS_PER_S, "d"},
        {3600 * NS_PER_S, "h"},
        {60 * NS_PER_S, "m"},
        {NS_PER_S, "s"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(UNITS); i++) {
        if (ns && ns % UNITS[i].factor == 0) {
            strbuf_appendf(sb, "%llu%s", (unsigned long long)(ns / UNITS[i].factor),
                           UNITS[i].suffix);
            return;
        }
    }
    if (ns)
        strbuf_appendf(sb, "%llums", (unsigned long long)(ns / NS_PER_MS));
    else
        strbuf_append_str(sb, "0s");
}

static bool is_canonical_word(const struct conf_word *words, const struct conf_word *w)
{
    for (const struct conf_word *p = words; p < w; p++)
        if (p->value == w->value)
            return false;
    return true;
}

void conf_value_range(const struct conf_row *row, struct strbuf *sb)
{
    switch (row->type) {
    case CONF_BOOL:
        strbuf_append_str(sb, "yes, no");
        break;
    case CONF_ENUM:
        for (const struct conf_word *w = row->words; w->word; w++)
            if (is_canonical_word(row->words, w))
                strbuf_appendf(sb, "%s%s", w == row->words ? "" : ", ", w->word);
        break;
    case CONF_SIZE:
        conf_format_size(row->min, sb);
        strbuf_append_str(sb, "..");
        conf_format_size(row->max, sb);
        if (row->unit > 1) {
            strbuf_append_str(sb, ", without a unit in ");
            strbuf_append_str(sb, row->unit == MIB ? "MiB" : "KiB");
        }
        break;
    case CONF_DURATION:
        conf_format_duration(row->min, sb);
        strbuf_append_str(sb, "..");
        conf_format_duration(row->max, sb);
        strbuf_append_str(sb, ", without a unit in seconds");
        break;
    case CONF_UINT:
        strbuf_appendf(sb, "%llu..%llu", (unsigned long long)row->min,
                       (unsigned long long)row->max);
        break;
    case CONF_MODE:
        strbuf_appendf(sb, "octal, 0..0%llo", (unsigned long long)row->max);
        break;
    case CONF_UID:
        strbuf_append_str(sb, "a number, or the name of a user");
        break;
    case CONF_GID:
        strbuf_append_str(sb, "a number, or the name of a group");
        break;
    case CONF_STRING:
        strbuf_appendf(sb, "%llu..%llu bytes without control characters",
                       (unsigned long long)row->min, (unsigned long long)row->max);
        break;
    case CONF_PATH:
        strbuf_append_str(sb, "a path");
        break;
    case CONF_PRESET:
    case CONF_KERNEL:
    case CONF_IGNORED:
    case CONF_UNSUPPORTED:
        break;
    }
}

/* 0 (then *ret is set), -ENOENT, or -errno of the data base. */
static int look_up_user(const char *name, uint32_t *ret)
{
    char buf[16384];
    struct passwd pw, *found = NULL;
    int e = getpwnam_r(name, &pw, buf, sizeof(buf), &found);
    if (!found)
        return e ? -e : -ENOENT;
    *ret = pw.pw_uid;
    return 0;
}

static int look_up_group(const char *name, uint32_t *ret)
{
    /* A group's members count, so the buffer must be large; 64 KiB holds some thousands. */
    char buf[65536];
    struct group gr, *found = NULL;
    int e = getgrnam_r(name, &gr, buf, sizeof(buf), &found);
    if (!found)
        return e ? -e : -ENOENT;
    *ret = gr.gr_gid;
    return 0;
}

static int parse_id(const struct conf_row *row, const char *value, uint32_t *ret)
{
    uint64_t n;
    int r = parse_u64(value, &n);
    if (r == 0 && n <= row->max)
        *ret = (uint32_t)n;
    else if (r == -EINVAL)
        r = row->type == CONF_UID ? look_up_user(value, ret) : look_up_group(value, ret);
    else
        r = -ERANGE;
    return r;
}

static int parse_ttl_word(const struct conf_row *row, const char *value, uint64_t *ret)
{
    if (!row->ttl_words)
        return -EINVAL;
    if (strcasecmp(value, "minimal") == 0)
        *ret = 0;
    else if (strcasecmp(value, "indefinite") == 0)
        *ret = row->max;
    else
        return -EINVAL;
    return 0;
}

static bool has_control(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    return false;
}

static int set_string(char **field, const struct conf_row *row, const char *value)
{
    size_t len = strlen(value);
    size_t min = row->type == CONF_PATH ? 1 : row->min;
    size_t max = row->type == CONF_PATH ? PATH_MAX - 1 : row->max;
    if (has_control(value) || len < min || len > max)
        return -EINVAL;
    char *copy = strdup(value);
    if (!copy)
        return -ENOMEM;
    for (char *p = copy; row->upper && *p; p++)
        *p = (char)toupper((unsigned char)*p);
    free(*field);
    *field = copy;
    return 0;
}

/* 0, -EINVAL and the like for a bad value, -ENOMEM. The field is changed on success only. */
static int parse_into(void *field, const struct conf_row *row, const char *value)
{
    uint64_t n = 0;
    uint32_t id = 0;
    int r = 0;
    switch (row->type) {
    case CONF_BOOL:
        return parse_bool(value, field);
    case CONF_STRING:
    case CONF_PATH:
        return set_string(field, row, value);
    case CONF_ENUM:
        for (const struct conf_word *w = row->words; w->word; w++) {
            if (strcasecmp(value, w->word) == 0) {
                *(int *)field = w->value;
                return 0;
            }
        }
        return -EINVAL;
    case CONF_UID:
    case CONF_GID:
        r = parse_id(row, value, &id);
        if (r == 0 && row->type == CONF_UID)
            *(uid_t *)field = id;
        else if (r == 0)
            *(gid_t *)field = id;
        return r;
    case CONF_SIZE:
        r = parse_size(value, row->unit, &n);
        break;
    case CONF_DURATION:
        if (parse_ttl_word(row, value, &n) < 0)
            r = parse_duration(value, &n);
        break;
    case CONF_UINT:
        r = parse_u64(value, &n);
        break;
    case CONF_MODE:
        r = parse_u64_base(value, 8, &n);
        break;
    case CONF_PRESET:
    case CONF_KERNEL:
    case CONF_IGNORED:
    case CONF_UNSUPPORTED:
        return -EINVAL;
    }
    if (r < 0)
        return r;
    if (n < row->min || n > row->max)
        return -ERANGE;
    if (row->type == CONF_UINT)
        *(unsigned *)field = (unsigned)n;
    else if (row->type == CONF_MODE)
        *(mode_t *)field = (mode_t)n;
    else
        *(uint64_t *)field = n;
    return 0;
}

int conf_value_set(struct conf_options *o, const struct conf_row *row, const char *label,
                   const char *value, struct s3_error *reterr)
{
    if (value && strlen(value) > LIMIT_OPTION_VALUE)
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "the value of option '%s' is longer than %u bytes", label,
                            LIMIT_OPTION_VALUE);
    int r = -EINVAL;
    if (value || row->type == CONF_BOOL)
        r = parse_into((char *)o + row->offset, row, value);
    if (r == 0) {
        o->given[row - conf_rows] = CONF_FROM_ARGS;
        return 0;
    }

    if (r == -ENOMEM)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    if ((row->type == CONF_UID || row->type == CONF_GID) && r == -ENOENT)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "option '%s': there is no %s '%.100s'", label,
                            row->type == CONF_UID ? "user" : "group", value);
    CLEANUP_STRBUF struct strbuf range = STRBUF_INIT(512);
    conf_value_range(row, &range);
    if (!value)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "option '%s' needs a value (%s): %s=...",
                            label, strbuf_str(&range), label);
    return s3_error_set(reterr, S3_ERROR_CONFIG, "option '%s': '%.100s' is not accepted (%s)",
                        label, value, strbuf_str(&range));
}
