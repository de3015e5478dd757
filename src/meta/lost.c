/* SPDX-License-Identifier: Apache-2.0 */
/* Making items. See lost_list.c for reading them. */
#include "meta/lost.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/crc.h"
#include "base/file_io.h"
#include "base/strbuf.h"
#include "base/timefmt.h"
#include "meta/lost_impl.h"

#define NAME_PART_MAX 80u    /* of the key's last component */
#define NUMBER_MAX    10000u /* items of one second and name */

struct lost {
    int dir_fd;
    char *folder, *bucket, *endpoint, *prefix;
    pthread_mutex_t lock; /* the choice of a name, until both files have it */
    unsigned long temporaries;
};

static const char *const reason_names[] = {
    [LOST_UNKNOWN] = "unknown",
    [LOST_REPLACED] = "replaced",
    [LOST_EXISTS] = "exists",
    [LOST_REMOVED] = "removed",
};

const char *lost_reason_name(enum lost_reason reason)
{
    return (unsigned)reason < ARRAY_SIZE(reason_names) ? reason_names[reason] : "unknown";
}

enum lost_reason lost_reason_parse(const char *name)
{
    for (unsigned i = 0; i < ARRAY_SIZE(reason_names); i++)
        if (strcmp(name, reason_names[i]) == 0)
            return (enum lost_reason)i;
    return LOST_UNKNOWN;
}

/* ---- life ---- */

static void remove_unfinished(int dir_fd)
{
    int fd = dup(dir_fd);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;

    if (!d) {
        if (fd >= 0)
            (void)close(fd);
        return;
    }
    while ((e = readdir(d)))
        if (strncmp(e->d_name, LOST_TEMPORARY, strlen(LOST_TEMPORARY)) == 0)
            (void)unlinkat(dir_fd, e->d_name, 0);
    (void)closedir(d);
}

int lost_open(const struct lost_options *opts, struct lost **ret)
{
    struct lost *l = calloc(1, sizeof(*l));
    int r = 0;

    if (!l)
        return -ENOMEM;
    l->dir_fd = -1;
    pthread_mutex_init(&l->lock, NULL);
    l->folder = strdup(opts->folder);
    l->bucket = strdup(opts->bucket ? opts->bucket : "");
    l->endpoint = strdup(opts->endpoint ? opts->endpoint : "");
    l->prefix = strdup(opts->prefix ? opts->prefix : "");
    if (!l->folder || !l->bucket || !l->endpoint || !l->prefix)
        r = -ENOMEM;
    if (r == 0 && mkdir(l->folder, 0700) < 0 && errno != EEXIST)
        r = -errno;
    if (r == 0) {
        l->dir_fd = open(l->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        r = l->dir_fd < 0 ? -errno : 0;
    }
    if (r < 0) {
        lost_close(l);
        return r;
    }
    remove_unfinished(l->dir_fd);
    *ret = l;
    return 0;
}

void lost_close(struct lost *l)
{
    if (!l)
        return;
    if (l->dir_fd >= 0)
        (void)close(l->dir_fd);
    pthread_mutex_destroy(&l->lock);
    free(l->folder);
    free(l->bucket);
    free(l->endpoint);
    free(l->prefix);
    free(l);
}

/* ---- the description ---- */

static void append_field(struct strbuf *sb, const char *name, const char *value)
{
    (void)strbuf_appendf(sb, "%s: ", name);
    lost_escape(sb, value ? value : "");
    (void)strbuf_append_char(sb, '\n');
}

static void describe(const struct lost *l, const struct lost_note *n, uint32_t content,
                     struct strbuf *sb)
{
    CLEANUP_STRBUF struct strbuf key = STRBUF_INIT(16 * 1024);
    char time[TIMEFMT_ISO8601_SIZE];

    if (*n->key || n->reason != LOST_UNKNOWN) /* else nobody knows what it was meant for */
        (void)strbuf_appendf(&key, "%s%s", l->prefix, n->key);
    timefmt_iso8601(n->time_ns, time);
    (void)strbuf_append_str(sb, LOST_HEADER "\n");
    append_field(sb, "key", strbuf_str(&key));
    append_field(sb, "base", n->base);
    append_field(sb, "reason", lost_reason_name(n->reason));
    append_field(sb, "time", time);
    (void)strbuf_appendf(sb, "size: %" PRIu64 "\n", n->size);
    append_field(sb, "bucket", l->bucket);
    append_field(sb, "prefix", l->prefix);
    append_field(sb, "endpoint", l->endpoint);
    if (n->missing_length) {
        (void)strbuf_appendf(sb, "missing_offset: %" PRIu64 "\n", n->missing_offset);
        (void)strbuf_appendf(sb, "missing_length: %" PRIu64 "\n", n->missing_length);
    }
    if (n->upload_id && *n->upload_id) {
        append_field(sb, "upload_id", n->upload_id);
        (void)strbuf_appendf(sb, "upload_length: %" PRIu64 "\n", n->upload_length);
    }
    (void)strbuf_appendf(sb, "content: %08" PRIx32 "\n", content);
    if (!sb->error)
        (void)strbuf_appendf(sb, LOST_CRC "%08" PRIx32 "\n",
                             crc32c_update(0, strbuf_str(sb), sb->len));
    if (!sb->error)
        sb->error = key.error;
}

/* fd: the content, all of it. */
static int write_description(struct lost *l, const struct lost_note *note, int fd,
                             struct lost_file *ret)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(64 * 1024);
    uint32_t content = 0;
    int r = lost_content_crc(fd, &content);

    if (r == 0)
        r = lost_begin(l, ret);
    if (r < 0)
        return r;
    describe(l, note, content, &sb);
    r = sb.error ? sb.error : file_write(ret->fd, strbuf_str(&sb), sb.len);
    if (r == 0 && fsync(ret->fd) < 0)
        r = -errno;
    if (r < 0)
        lost_cancel(l, ret);
    return r;
}

/* ---- names ---- */

/* The last component of the key, as far as any shell takes it unquoted. */
static void readable(const char *key, char out[NAME_PART_MAX + 1])
{
    const char *slash = strrchr(key, '/');
    const char *p = slash && slash[1] ? slash + 1 : key;
    size_t n = 0;

    for (; *p && n < NAME_PART_MAX; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || *p == '.' || *p == '-' || *p == '_';

        out[n++] = plain ? *p : '_';
    }
    out[n] = '\0';
    /* Must not look like a description. */
    if (n >= strlen(LOST_INFO) && strcmp(out + n - strlen(LOST_INFO), LOST_INFO) == 0)
        out[n - strlen(LOST_INFO)] = '_';
}

static bool is_taken(int dir_fd, const char *name)
{
    char info[LOST_NAME_SIZE + sizeof(LOST_INFO)];

    (void)snprintf(info, sizeof(info), "%s" LOST_INFO, name);
    return faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
           faccessat(dir_fd, info, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int choose_name(const struct lost *l, const struct lost_note *note,
                       char name[LOST_NAME_SIZE])
{
    char time[TIMEFMT_BASIC_SIZE], part[NAME_PART_MAX + 1];

    timefmt_basic(note->time_ns, time);
    readable(*note->key ? note->key : "unknown", part);
    for (unsigned i = 1; i < NUMBER_MAX; i++) {
        if (i == 1)
            (void)snprintf(name, LOST_NAME_SIZE, "%s-%s", time, part);
        else
            (void)snprintf(name, LOST_NAME_SIZE, "%s.%u-%s", time, i, part);
        if (!is_taken(l->dir_fd, name))
            return 0;
    }
    return -EEXIST;
}

/* ---- items ---- */

int lost_begin(struct lost *l, struct lost_file *ret)
{
    unsigned long n;

    pthread_mutex_lock(&l->lock);
    n = l->temporaries++;
    pthread_mutex_unlock(&l->lock);
    (void)snprintf(ret->temporary, sizeof(ret->temporary), LOST_TEMPORARY "%ld-%lu", (long)getpid(),
                   n);
    ret->fd = openat(l->dir_fd, ret->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return ret->fd < 0 ? -errno : 0;
}

void lost_cancel(struct lost *l, struct lost_file *f)
{
    (void)unlinkat(l->dir_fd, f->temporary, 0);
    (void)close(f->fd);
    f->fd = -1;
}

/* Moves the content from `from` (relative to from_fd) to its name, then the description. */
static int publish(struct lost *l, int from_fd, const char *from, const struct lost_note *note,
                   const char *description, char ret_path[PATH_MAX])
{
    char name[LOST_NAME_SIZE], info[LOST_NAME_SIZE + sizeof(LOST_INFO)];
    int r;
    SCOPE_LOCK(&l->lock);

    r = choose_name(l, note, name);
    if (r < 0)
        return r;
    (void)snprintf(info, sizeof(info), "%s" LOST_INFO, name);
    if (renameat(from_fd, from, l->dir_fd, name) < 0)
        return -errno;
    if (renameat(l->dir_fd, description, l->dir_fd, info) < 0 || fsync(l->dir_fd) < 0) {
        r = -errno;
        if (renameat(l->dir_fd, name, from_fd, from) == 0)
            (void)unlinkat(l->dir_fd, info, 0);
        return r;
    }
    if (ret_path)
        (void)snprintf(ret_path, PATH_MAX, "%s/%s", l->folder, name);
    return 0;
}

int lost_end(struct lost *l, struct lost_file *f, const struct lost_note *note,
             char ret_path[PATH_MAX])
{
    struct lost_file description;
    int r = fsync(f->fd) < 0 ? -errno : 0;

    if (r == 0 && (r = write_description(l, note, f->fd, &description)) == 0) {
        r = publish(l, l->dir_fd, f->temporary, note, description.temporary, ret_path);
        if (r < 0)
            lost_cancel(l, &description);
        else
            (void)close(description.fd);
    }
    if (r < 0) {
        lost_cancel(l, f);
        return r;
    }
    (void)close(f->fd);
    f->fd = -1;
    return 0;
}

int lost_add_bytes(struct lost *l, const struct lost_note *note, const struct iovec *body,
                   int n_body, char ret_path[PATH_MAX])
{
    struct lost_file f;
    int r = lost_begin(l, &f);

    if (r < 0)
        return r;
    for (int i = 0; i < n_body && r == 0; i++)
        r = file_write(f.fd, body[i].iov_base, body[i].iov_len);
    if (r < 0) {
        lost_cancel(l, &f);
        return r;
    }
    return lost_end(l, &f, note, ret_path);
}

int lost_add_file(struct lost *l, const struct lost_note *note, const char *path,
                  char ret_path[PATH_MAX])
{
    struct lost_file description;
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int r = fd < 0 || fsync(fd) < 0 ? -errno : 0;

    if (r == 0)
        r = write_description(l, note, fd, &description);
    if (r < 0)
        return r;
    r = publish(l, AT_FDCWD, path, note, description.temporary, ret_path);
    if (r < 0)
        lost_cancel(l, &description);
    else
        (void)close(description.fd);
    return r;
}

void lost_forget(struct lost *l, const char *path)
{
    const char *slash = strrchr(path, '/');

    (void)lost_drop(l->folder, slash ? slash + 1 : path);
}
