/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/names.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/digest.h"
#include "base/encode.h"

#define MARK            "%@"
#define MARK_LEN        2u
#define KEY_MARK        "%@=" /* a component that stands for a name */
#define KEY_MARK_LEN    3u
#define FILE_TAG        "%file" /* not a percent escape: 'i' is no hex digit */
#define FILE_TAG_LEN    5u
#define HASH_TAG        "%+"
#define HASH_TAG_LEN    2u
#define HASH_BYTES      10u /* 80 bits: no two components of one directory meet by chance */
#define HASH_HEX_LEN    (2 * HASH_BYTES)
#define HASHED_TAIL_LEN (HASH_TAG_LEN + HASH_HEX_LEN)
/* The beginning of an overlong component keeps room for both tags, so that it is the same in both
 * forms. */
#define HEAD_LENGTH_MAX (NAME_LENGTH_MAX - MARK_LEN - HASHED_TAIL_LEN - FILE_TAG_LEN)

static const char HEX[] = "0123456789ABCDEF";

/* Length of the well-formed UTF-8 sequence at p, 0 when there is none. */
static size_t utf8_length(const char *p, size_t left)
{
    unsigned char c = (unsigned char)*p;
    size_t len = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    return len <= left && utf8_valid(p, len) ? len : 0;
}

static bool begins_with(const char *s, size_t len, const char *mark, size_t mark_len)
{
    return len >= mark_len && memcmp(s, mark, mark_len) == 0;
}

/* Escapes s into out, whole characters only, and returns the bytes written; *ret_used says how much
 * of s that is. */
static size_t escape(const char *s, size_t len, char *out, size_t out_max, size_t *ret_used)
{
    size_t n = 0, i = 0;
    while (i < len) {
        size_t seq = utf8_length(s + i, len - i);
        if (seq > 0 && s[i] != '%') {
            if (seq > out_max - n)
                break;
            memcpy(out + n, s + i, seq);
            n += seq;
            i += seq;
            continue;
        }
        if (3 > out_max - n)
            break;
        unsigned char c = (unsigned char)s[i];
        out[n++] = '%';
        out[n++] = HEX[c >> 4];
        out[n++] = HEX[c & 15];
        i++;
    }
    *ret_used = i;
    return n;
}

static int hex_value(char c)
{
    const char *p = c ? strchr(HEX, c) : NULL;
    return p ? (int)(p - HEX) : -1;
}

/* Undoes escape(). False for a '%' without two upper-case hex digits, or a result that is too long
 * or that a key component cannot hold. */
static bool unescape(const char *s, size_t len, char *out, size_t out_max, size_t *ret_len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = s[i];
        if (c == '%') {
            if (len - i < 3)
                return false;
            int hi = hex_value(s[i + 1]), lo = hex_value(s[i + 2]);
            if (hi < 0 || lo < 0)
                return false;
            c = (char)(hi << 4 | lo);
            i += 2;
        }
        if (n == out_max || c == '\0' || c == '/')
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    *ret_len = n;
    return true;
}

/* The name that a component of the form KEY_MARK... stands for; false when it stands for itself. */
static bool name_from_key_mark(const char *component, size_t len, char out[NAME_LENGTH_MAX + 1])
{
    size_t out_len;
    if (!begins_with(component, len, KEY_MARK, KEY_MARK_LEN) ||
        !unescape(component + KEY_MARK_LEN, len - KEY_MARK_LEN, out, NAME_LENGTH_MAX, &out_len))
        return false;
    if (out_len == 0 || strcmp(out, ".") == 0 || strcmp(out, "..") == 0)
        return false;
    struct name_target back;
    return name_to_component(out, &back) == 0 && !back.hashed && !back.file_only &&
           back.len == len && memcmp(back.component, component, len) == 0;
}

size_t name_folder_mark(const char *component, size_t len)
{
    const size_t mark = sizeof(FOLDER_MARK) - 1;
    return len > mark && memcmp(component + len - mark, FOLDER_MARK, mark) == 0 ? len - mark : 0;
}

bool name_is_plain(const char *component, size_t len)
{
    if (len == 0 || len > NAME_LENGTH_MAX || begins_with(component, len, MARK, MARK_LEN))
        return false;
    if (component[0] == '.' && (len == 1 || (len == 2 && component[1] == '.')))
        return false;
    return utf8_valid(component, len);
}

int name_from_component(const char *component, size_t len, bool beside_directory,
                        char out[NAME_LENGTH_MAX + 1])
{
    if (!beside_directory) {
        if (name_is_plain(component, len)) {
            memcpy(out, component, len);
            out[len] = '\0';
            return 0;
        }
        if (name_from_key_mark(component, len, out))
            return 0;
    }

    size_t tag_len = beside_directory ? FILE_TAG_LEN : 0;
    size_t used, n = MARK_LEN;
    memcpy(out, MARK, MARK_LEN);
    /* Room for the file tag is always kept, so that both forms of a component are hashed or
     * neither is. */
    n += escape(component, len, out + n, NAME_LENGTH_MAX - MARK_LEN - FILE_TAG_LEN, &used);
    if (used < len) {
        uint8_t digest[DIGEST_SHA256_SIZE];
        int r = digest_buffer(DIGEST_SHA256, component, len, digest);
        if (r < 0)
            return r;
        n = MARK_LEN + escape(component, len, out + MARK_LEN, HEAD_LENGTH_MAX, &used);
        memcpy(out + n, HASH_TAG, HASH_TAG_LEN);
        n += HASH_TAG_LEN;
        for (size_t i = 0; i < HASH_BYTES; i++) {
            out[n++] = HEX[digest[i] >> 4];
            out[n++] = HEX[digest[i] & 15];
        }
    }
    memcpy(out + n, FILE_TAG, tag_len);
    out[n + tag_len] = '\0';
    return 0;
}

/* Takes "%+" and hex digits off the end of s. */
static bool strip_hash(const char *s, size_t *len)
{
    if (*len < HASHED_TAIL_LEN)
        return false;
    const char *tail = s + *len - HASHED_TAIL_LEN;
    if (memcmp(tail, HASH_TAG, HASH_TAG_LEN) != 0)
        return false;
    for (size_t i = HASH_TAG_LEN; i < HASHED_TAIL_LEN; i++) {
        if (hex_value(tail[i]) < 0)
            return false;
    }
    *len -= HASHED_TAIL_LEN;
    return true;
}

/* A name with our mark, in the one spelling that name_from_component makes. */
static bool parse_marked(const char *name, size_t len, struct name_target *ret)
{
    const char *body = name + MARK_LEN;
    size_t body_len = len - MARK_LEN;
    ret->file_only = body_len >= FILE_TAG_LEN &&
                     memcmp(body + body_len - FILE_TAG_LEN, FILE_TAG, FILE_TAG_LEN) == 0;
    if (ret->file_only)
        body_len -= FILE_TAG_LEN;
    ret->hashed = strip_hash(body, &body_len);
    if (!unescape(body, body_len, ret->component, COMPONENT_LENGTH_MAX, &ret->len))
        return false;

    char again[NAME_LENGTH_MAX + 1];
    if (ret->hashed) {
        size_t used;
        size_t n = escape(ret->component, ret->len, again, HEAD_LENGTH_MAX, &used);
        /* A head shorter than a character below the limit was not cut by us. */
        return used == ret->len && n == body_len && memcmp(again, body, n) == 0 &&
               n + 4 > HEAD_LENGTH_MAX;
    }
    /* The component of a marker cannot be an object beside a directory. */
    if (ret->file_only && ret->len == 0)
        return false;
    return name_from_component(ret->component, ret->len, ret->file_only, again) == 0 &&
           strcmp(again, name) == 0;
}

int name_to_component(const char *name, struct name_target *ret)
{
    size_t len = strlen(name);
    if (len > NAME_LENGTH_MAX)
        return -ENAMETOOLONG;
    *ret = (struct name_target){0};
    bool marked = begins_with(name, len, MARK, MARK_LEN);
    if (marked && parse_marked(name, len, ret))
        return 0;

    ret->file_only = ret->hashed = false;
    if (!marked && utf8_valid(name, len)) {
        memcpy(ret->component, name, len + 1);
        ret->len = len;
        return 0;
    }
    /* At most 3 * 255 + 3 bytes: fits. */
    size_t used;
    memcpy(ret->component, KEY_MARK, KEY_MARK_LEN);
    ret->len = KEY_MARK_LEN + escape(name, len, ret->component + KEY_MARK_LEN,
                                     COMPONENT_LENGTH_MAX - KEY_MARK_LEN, &used);
    ret->component[ret->len] = '\0';
    return 0;
}

bool name_matches(const char *name, const char *component, size_t len)
{
    char own[NAME_LENGTH_MAX + 1];
    for (int beside = 0; beside < 2; beside++) {
        if (name_from_component(component, len, beside != 0, own) == 0 && strcmp(own, name) == 0)
            return true;
    }
    return false;
}
