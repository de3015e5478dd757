/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a lost+found folder. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/crc.h"
#include "base/encode.h"
#include "base/file_io.h"
#include "base/parse.h"
#include "base/timefmt.h"
#include "meta/lost_impl.h"

#define LIST_BYTES_MAX (64u << 20)
#define INFO_BYTES_MAX (64u << 10)
#define CONTENT_BUFFER (256u << 10)

void lost_escape(struct strbuf *sb, const char *s)
{
    bool utf8 = utf8_valid(s, strlen(s));

    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;

        if (c < 0x20 || c == 0x7f || c == '%' || (c >= 0x80 && !utf8))
            (void)strbuf_appendf(sb, "%%%02X", c);
        else
            (void)strbuf_append_char(sb, *s);
    }
}

/* ---- one description ---- */

/* Reads the whole file as text; -EBADMSG when it is not one of ours. */
static int read_text(int dir_fd, const char *name, char **ret)
{
    CLEANUP_FD int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    CLEANUP_FREE char *text = malloc(INFO_BYTES_MAX + 1);
    size_t len;
    int r;

    if (fd < 0)
        return -errno;
    if (!text)
        return -ENOMEM;
    r = file_read(fd, text, INFO_BYTES_MAX, &len);
    if (r < 0)
        return r;
    if (len == INFO_BYTES_MAX || memchr(text, '\0', len))
        return -EBADMSG;
    text[len] = '\0';
    *ret = TAKE_PTR(text);
    return 0;
}

static int set_text(struct arena *a, char *value, const char **ret)
{
    size_t len;

    if (decode_percent(value, false, value, &len) < 0 || strlen(value) != len)
        return -EBADMSG;
    *ret = arena_strdup(a, value);
    return *ret ? 0 : -ENOMEM;
}

static bool parse_crc(const char *text, uint32_t *ret)
{
    char *end;

    if (strlen(text) != 8 || strspn(text, "0123456789abcdef") != 8)
        return false;
    *ret = (uint32_t)strtoul(text, &end, 16);
    return *end == '\0';
}

/* The last line is the checksum of those before, and is cut off. */
static bool crc_holds(char *text)
{
    size_t len = strlen(text), line = strlen(LOST_CRC) + 8 + 1;
    char *at = len > line ? text + len - line : NULL;
    uint32_t crc;

    if (!at || at[-1] != '\n' || strncmp(at, LOST_CRC, strlen(LOST_CRC)) != 0 ||
        text[len - 1] != '\n')
        return false;
    text[len - 1] = '\0';
    if (!parse_crc(at + strlen(LOST_CRC), &crc))
        return false;
    *at = '\0';
    return crc == crc32c_update(0, text, (size_t)(at - text));
}

static int set_field(struct arena *a, struct lost_note *n, const char *name, char *value)
{
    const char *reason = NULL;
    int r;

    if (strcmp(name, "key") == 0)
        return set_text(a, value, &n->key);
    if (strcmp(name, "base") == 0)
        return set_text(a, value, &n->base);
    if (strcmp(name, "bucket") == 0)
        return set_text(a, value, &n->bucket);
    if (strcmp(name, "prefix") == 0)
        return set_text(a, value, &n->prefix);
    if (strcmp(name, "endpoint") == 0)
        return set_text(a, value, &n->endpoint);
    if (strcmp(name, "upload_id") == 0)
        return set_text(a, value, &n->upload_id);
    if (strcmp(name, "reason") == 0) {
        r = set_text(a, value, &reason);
        if (r == 0)
            n->reason = lost_reason_parse(reason);
        return r;
    }
    if (strcmp(name, "time") == 0)
        return timefmt_parse_iso8601(value, &n->time_ns) < 0 ? -EBADMSG : 0;
    if (strcmp(name, "size") == 0)
        return parse_u64(value, &n->size) < 0 ? -EBADMSG : 0;
    if (strcmp(name, "missing_offset") == 0)
        return parse_u64(value, &n->missing_offset) < 0 ? -EBADMSG : 0;
    if (strcmp(name, "missing_length") == 0)
        return parse_u64(value, &n->missing_length) < 0 ? -EBADMSG : 0;
    if (strcmp(name, "upload_length") == 0)
        return parse_u64(value, &n->upload_length) < 0 ? -EBADMSG : 0;
    if (strcmp(name, "content") == 0) {
        n->has_content_crc = parse_crc(value, &n->content_crc);
        return n->has_content_crc ? 0 : -EBADMSG;
    }
    return 0; /* of a later version */
}

/* text is taken apart in place. */
static int parse_note(struct arena *a, char *text, struct lost_note *ret)
{
    struct lost_note n = {
        .key = "", .base = "", .bucket = "", .prefix = "", .endpoint = "", .upload_id = ""};
    char *line = text, *end;
    bool first = true;
    int r;

    if (strncmp(text, LOST_HEADER_1 "\n", strlen(LOST_HEADER_1) + 1) != 0 && !crc_holds(text))
        return -EBADMSG;
    for (; *line; line = end + 1) {
        char *colon;

        end = strchr(line, '\n');
        if (!end)
            return -EBADMSG;
        *end = '\0';
        if (first) {
            if (strcmp(line, LOST_HEADER) != 0 && strcmp(line, LOST_HEADER_1) != 0)
                return -EBADMSG;
            first = false;
            continue;
        }
        colon = strstr(line, ": ");
        if (!colon)
            return -EBADMSG;
        *colon = '\0';
        if ((r = set_field(a, &n, line, colon + 2)) < 0)
            return r;
    }
    if (!*n.key)
        return -EBADMSG;
    *ret = n;
    return 0;
}

/* ---- the folder ---- */

static bool is_info(const char *name)
{
    size_t len = strlen(name), tail = strlen(LOST_INFO);

    return len > tail && strcmp(name + len - tail, LOST_INFO) == 0;
}

static int read_item(int dir_fd, struct arena *a, const char *name, struct lost_item *ret)
{
    char info[NAME_MAX + 1];
    CLEANUP_FREE char *text = NULL;
    struct stat st;
    int r;

    memset(ret, 0, sizeof(*ret));
    if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode))
        return -ENOENT;
    ret->name = arena_strdup(a, name);
    if (!ret->name)
        return -ENOMEM;
    r = snprintf(info, sizeof(info), "%s" LOST_INFO, name);
    r = r > 0 && (size_t)r < sizeof(info) ? read_text(dir_fd, info, &text) : -EBADMSG;
    if (r == 0 && text)
        r = parse_note(a, text, &ret->note);
    if (r == -ENOMEM)
        return r;
    if (r < 0)
        ret->note = (struct lost_note){.key = "",
                                       .base = "",
                                       .bucket = "",
                                       .prefix = "",
                                       .endpoint = "",
                                       .upload_id = "",
                                       .size = (uint64_t)st.st_size,
                                       .time_ns = st.st_mtim.tv_sec * 1000000000LL};
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct lost_item *x = a, *y = b;

    if (x->note.time_ns != y->note.time_ns)
        return x->note.time_ns < y->note.time_ns ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int read_folder(DIR *d, struct lost_list *l)
{
    const struct dirent *e;
    size_t alloc = 0;
    int r;

    while (errno = 0, (e = readdir(d))) {
        if (e->d_name[0] == '.' || is_info(e->d_name))
            continue;
        if (l->n == alloc) {
            struct lost_item *more =
                realloc(l->items, (alloc = alloc ? 2 * alloc : 16) * sizeof(*more));

            if (!more)
                return -ENOMEM;
            l->items = more;
        }
        r = read_item(dirfd(d), &l->arena, e->d_name, &l->items[l->n]);
        if (r == 0)
            l->n++;
        else if (r != -ENOENT)
            return r;
    }
    return -errno;
}

int lost_list(const char *folder, struct lost_list *ret)
{
    CLEANUP_DIR DIR *d = opendir(folder);
    int r;

    memset(ret, 0, sizeof(*ret));
    arena_init(&ret->arena, LIST_BYTES_MAX);
    if (!d)
        return errno == ENOENT ? 0 : -errno;
    r = read_folder(d, ret);
    if (r < 0) {
        lost_list_done(ret);
        return r;
    }
    if (ret->n)
        qsort(ret->items, ret->n, sizeof(*ret->items), compare);
    return 0;
}

void lost_list_done(struct lost_list *l)
{
    free(l->items);
    arena_done(&l->arena);
    memset(l, 0, sizeof(*l));
}

int lost_content_crc(int fd, uint32_t *ret)
{
    CLEANUP_FREE char *buf = malloc(CONTENT_BUFFER);
    uint32_t crc = 0;
    ssize_t n;

    if (!buf)
        return -ENOMEM;
    for (off_t at = 0; (n = pread(fd, buf, CONTENT_BUFFER, at)) != 0; at += n) {
        if (n < 0 && errno == EINTR)
            n = 0;
        if (n < 0)
            return -errno;
        crc = crc32c_update(crc, buf, (size_t)n);
    }
    *ret = crc;
    return 0;
}

int lost_verify(const char *folder, const struct lost_item *item)
{
    CLEANUP_FREE char *path = NULL;
    CLEANUP_FD int fd = -1;
    uint32_t crc = 0;
    int r;

    if (!item->note.has_content_crc)
        return 0;
    if (asprintf(&path, "%s/%s", folder, item->name) < 0)
        return -ENOMEM;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    r = lost_content_crc(fd, &crc);
    return r < 0 ? r : crc == item->note.content_crc ? 0 : -EBADMSG;
}

/* The description goes first: content alone is still listed, a description alone would not be. */
int lost_drop(const char *folder, const char *name)
{
    char info[NAME_MAX + 1];
    CLEANUP_FD int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int n = snprintf(info, sizeof(info), "%s" LOST_INFO, name);

    if (dir_fd < 0)
        return -errno;
    if (!*name || *name == '.' || strchr(name, '/') || n < 0 || (size_t)n >= sizeof(info) ||
        is_info(name))
        return -ENOENT;
    if (faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (unlinkat(dir_fd, info, 0) < 0 && errno != ENOENT)
        return -errno;
    return unlinkat(dir_fd, name, 0) < 0 || fsync(dir_fd) < 0 ? -errno : 0;
}
