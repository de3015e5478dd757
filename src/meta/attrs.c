/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/attrs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/attr.h"
#include "base/parse.h"
#include "base/timefmt.h"
#include "meta/xattr.h"

#define MODE_MAX (S_IFMT | 07777)

/* Decimal digits at *s; false when there are none or the number does not fit. */
static bool take_digits(const char **s, uint64_t *ret)
{
    const char *p = *s;
    uint64_t v = 0;
    if (*p < '0' || *p > '9')
        return false;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (unsigned)(*p - '0'), &v))
            return false;
    }
    *s = p;
    *ret = v;
    return true;
}

static bool scale(bool negative, uint64_t value, uint64_t unit_ns, uint64_t add_ns, int64_t *ret)
{
    uint64_t ns;
    if (__builtin_mul_overflow(value, unit_ns, &ns) || __builtin_add_overflow(ns, add_ns, &ns) ||
        ns > INT64_MAX)
        return false;
    *ret = negative ? -(int64_t)ns : (int64_t)ns;
    return true;
}

/* "2026-11-22T15:00:00.123456789+01:00" */
static bool read_date(const char *s, int64_t *ret)
{
    char text[64];
    size_t len = strlen(s);
    int64_t offset = 0;
    if (len >= sizeof(text) - 1 || len < 20)
        return false;
    memcpy(text, s, len + 1);
    char *zone = text + len - 6; /* "+01:00" */
    if (*zone == '+' || *zone == '-') {
        uint64_t hours, minutes;
        const char *p = zone + 1;
        if (!take_digits(&p, &hours) || *p++ != ':' || !take_digits(&p, &minutes) || *p ||
            hours > 23 || minutes > 59)
            return false;
        offset = (int64_t)(hours * 3600 + minutes * 60) * (*zone == '-' ? -NS_PER_S : NS_PER_S);
        memcpy(zone, "Z", 2);
    }
    if (timefmt_parse_iso8601(text, ret) < 0)
        return false;
    return !__builtin_sub_overflow(*ret, offset, ret);
}

/* "1700000000", "1700000000.5", "-3.000000001", "1700000000123ms", "1700000000123456789ns". A
 * negative time is written as s3fs and printf do: the sign stands for seconds and fraction. */
static bool read_time(const char *s, int64_t *ret)
{
    bool negative = *s == '-';
    uint64_t value, fraction = 0;
    if (strchr(s, 'T'))
        return read_date(s, ret);
    s += negative;
    if (!take_digits(&s, &value))
        return false;
    if (strcmp(s, "ns") == 0)
        return scale(negative, value, 1, 0, ret);
    if (strcmp(s, "ms") == 0)
        return scale(negative, value, NS_PER_MS, 0, ret);
    if (*s == '.') {
        uint64_t digit_ns = NS_PER_S / 10;
        for (s++; *s >= '0' && *s <= '9'; s++, digit_ns /= 10)
            fraction += (unsigned)(*s - '0') * digit_ns;
    }
    if (*s != '\0' && strcmp(s, "s") != 0)
        return false;
    return scale(negative, value, NS_PER_S, fraction, ret);
}

static bool read_id(const char *s, uint32_t *ret)
{
    uint64_t v;
    /* The highest id means "no change" in chown(2) and cannot own a file. */
    if (parse_u64(s, &v) < 0 || v >= UINT32_MAX)
        return false;
    *ret = (uint32_t)v;
    return true;
}

/* base 0: octal with a leading zero, else decimal (what s3fs and rclone write in "mode"). */
static void set_mode(struct posix_attrs *a, const char *value, int base)
{
    uint64_t v;
    if (base == 0)
        base = value[0] == '0' ? 8 : 10;
    if (parse_u64_base(value, base, &v) < 0 || v > MODE_MAX)
        return;
    if (!(a->have & POSIX_MODE)) {
        a->mode = (a->mode & S_IFMT) | ((uint32_t)v & 07777);
        a->have |= POSIX_MODE;
    }
    if (!(a->have & POSIX_TYPE) && (v & S_IFMT)) {
        a->mode = (a->mode & 07777) | ((uint32_t)v & S_IFMT);
        a->have |= POSIX_TYPE;
    }
}

/* One value in one notation. */
enum notation { MODE_EITHER, MODE_OCTAL, IS_LINK, UID, GID, MTIME, ATIME, CTIME };

static void set_time(struct posix_attrs *a, unsigned bit, int64_t *field, const char *value)
{
    if (!(a->have & bit) && read_time(value, field))
        a->have |= bit;
}

static void set_id(struct posix_attrs *a, unsigned bit, uint32_t *field, const char *value)
{
    if (!(a->have & bit) && read_id(value, field))
        a->have |= bit;
}

static void set_attr(struct posix_attrs *a, enum notation n, const char *value)
{
    switch (n) {
    case MODE_EITHER:
        set_mode(a, value, 0);
        break;
    case MODE_OCTAL:
        set_mode(a, value, 8);
        break;
    case IS_LINK:
        if (!(a->have & POSIX_TYPE) && strcmp(value, "true") == 0) {
            a->mode = (a->mode & 07777) | S_IFLNK;
            a->have |= POSIX_TYPE;
        }
        break;
    case UID:
        set_id(a, POSIX_UID, &a->uid, value);
        break;
    case GID:
        set_id(a, POSIX_GID, &a->gid, value);
        break;
    case MTIME:
        set_time(a, POSIX_MTIME, &a->mtime_ns, value);
        break;
    case ATIME:
        set_time(a, POSIX_ATIME, &a->atime_ns, value);
        break;
    case CTIME:
        set_time(a, POSIX_CTIME, &a->ctime_ns, value);
        break;
    }
}

/* In order of trust: ours first, because it is what the last change through a mount wrote. */
static const struct dialect {
    const char *name;
    enum notation notation;
    unsigned bits; /* what it tells: a write of these drops the name */
} DIALECTS[] = {
    {"mode", MODE_EITHER, POSIX_MODE | POSIX_TYPE},
    {"uid", UID, POSIX_UID},
    {"gid", GID, POSIX_GID},
    {"mtime", MTIME, POSIX_MTIME},
    {"atime", ATIME, POSIX_ATIME},
    {"ctime", CTIME, POSIX_CTIME},
    {"file-permissions", MODE_OCTAL, POSIX_MODE | POSIX_TYPE},
    {"file-owner", UID, POSIX_UID},
    {"file-group", GID, POSIX_GID},
    {"file-mtime", MTIME, POSIX_MTIME},
    {"file-atime", ATIME, POSIX_ATIME},
    {"permissions", MODE_EITHER, POSIX_MODE | POSIX_TYPE},
    {"owner", UID, POSIX_UID},
    {"group", GID, POSIX_GID},
    {"goog-reserved-file-is-symlink", IS_LINK, POSIX_TYPE},
    {"goog-reserved-posix-mode", MODE_OCTAL, POSIX_MODE | POSIX_TYPE},
    {"goog-reserved-posix-uid", UID, POSIX_UID},
    {"goog-reserved-posix-gid", GID, POSIX_GID},
    {"goog-reserved-file-mtime", MTIME, POSIX_MTIME},
    {"gcsfuse_mtime", MTIME, POSIX_MTIME},
};

#define S3CMD_NAME "s3cmd-attrs"
static const struct {
    const char *name;
    enum notation notation;
} S3CMD_FIELDS[] = {
    {"mode", MODE_EITHER}, {"uid", UID},     {"gid", GID},
    {"mtime", MTIME},      {"atime", ATIME}, {"ctime", CTIME},
};

/* "field:value/field:value/..." */
static void read_s3cmd(struct posix_attrs *a, const char *value)
{
    while (*value) {
        size_t len = strcspn(value, "/");
        char field[64];
        if (len < sizeof(field)) {
            memcpy(field, value, len);
            field[len] = '\0';
            char *colon = strchr(field, ':');
            for (size_t i = 0; colon && i < ARRAY_SIZE(S3CMD_FIELDS); i++) {
                size_t n = (size_t)(colon - field);
                if (strlen(S3CMD_FIELDS[i].name) == n &&
                    memcmp(field, S3CMD_FIELDS[i].name, n) == 0)
                    set_attr(a, S3CMD_FIELDS[i].notation, colon + 1);
            }
        }
        value += len;
        value += *value == '/';
    }
}

static const char *find(const struct store_metadata *metadata, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(metadata[i].name, name) == 0)
            return metadata[i].value;
    }
    return NULL;
}

void attrs_read(const struct store_metadata *metadata, size_t n, struct posix_attrs *ret)
{
    *ret = (struct posix_attrs){0};
    if (n == 0)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(DIALECTS); i++) {
        const char *value = find(metadata, n, DIALECTS[i].name);
        if (value)
            set_attr(ret, DIALECTS[i].notation, value);
    }
    ret->xattr = find(metadata, n, XATTR_METADATA_NAME);
    if (ret->xattr)
        ret->have |= POSIX_XATTR;
    const char *s3cmd = find(metadata, n, S3CMD_NAME);
    if (s3cmd)
        read_s3cmd(ret, s3cmd);
}

bool attrs_directory_flag(const struct store_metadata *metadata, size_t n)
{
    const char *value = find(metadata, n, ATTRS_DIRECTORY_FLAG);
    struct posix_attrs a;
    if (value)
        return strcmp(value, "0") != 0;
    attrs_read(metadata, n, &a);
    return (a.have & POSIX_MODE) != 0;
}

/* Whether a name of the old metadata gives way to what is written now. */
static bool replaced(const char *name, unsigned bits, bool flag)
{
    for (size_t i = 0; i < ARRAY_SIZE(DIALECTS); i++) {
        if (strcmp(name, DIALECTS[i].name) == 0)
            return (DIALECTS[i].bits & bits) != 0;
    }
    if (strcmp(name, XATTR_METADATA_NAME) == 0)
        return (bits & POSIX_XATTR) != 0;
    return flag && strcmp(name, ATTRS_DIRECTORY_FLAG) == 0;
}

struct writer_state {
    struct arena *arena;
    struct store_metadata *out;
    size_t n;
    bool failed;
};

static void add(struct writer_state *w, const char *name, const char *value)
{
    char *copy = arena_strdup(w->arena, value);
    if (!copy) {
        w->failed = true;
        return;
    }
    w->out[w->n++] = (struct store_metadata){.name = name, .value = copy};
}

static void add_number(struct writer_state *w, const char *name, uint32_t value)
{
    char text[16];
    snprintf(text, sizeof(text), "%" PRIu32, value);
    add(w, name, text);
}

static void add_time(struct writer_state *w, const char *name, int64_t ns)
{
    char text[40];
    uint64_t abs = ns < 0 ? -(uint64_t)ns : (uint64_t)ns, second = NS_PER_S;
    snprintf(text, sizeof(text), "%s%" PRIu64 ".%09" PRIu64, ns < 0 ? "-" : "", abs / second,
             abs % second);
    add(w, name, text);
}

int attrs_write(const struct posix_attrs *a, bool flag, const struct store_metadata *old,
                size_t n_old, struct arena *arena, const struct store_metadata **ret, size_t *ret_n)
{
    struct writer_state w = {.arena = arena};
    size_t ours = 8;
    w.out = arena_alloc(arena, (n_old + ours) * sizeof(*w.out));
    if (!w.out)
        return -ENOMEM;

    for (size_t i = 0; i < n_old; i++) {
        if (!replaced(old[i].name, a->have | a->drop, flag))
            w.out[w.n++] = old[i];
    }
    if (a->have & (POSIX_MODE | POSIX_TYPE))
        add_number(&w, "mode", a->mode);
    if (a->have & POSIX_UID)
        add_number(&w, "uid", a->uid);
    if (a->have & POSIX_GID)
        add_number(&w, "gid", a->gid);
    if (a->have & POSIX_MTIME)
        add_time(&w, "mtime", a->mtime_ns);
    if (a->have & POSIX_ATIME)
        add_time(&w, "atime", a->atime_ns);
    if (a->have & POSIX_CTIME)
        add_time(&w, "ctime", a->ctime_ns);
    if ((a->have & POSIX_XATTR) && a->xattr)
        add(&w, XATTR_METADATA_NAME, a->xattr);
    if (flag || (a->directory && !find(old, n_old, ATTRS_DIRECTORY_FLAG)))
        add(&w, ATTRS_DIRECTORY_FLAG, flag ? "1" : "0");
    if (w.failed)
        return -ENOMEM;
    *ret = w.out;
    *ret_n = w.n;
    return 0;
}
