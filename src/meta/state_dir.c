/* SPDX-License-Identifier: Apache-2.0 */
#include "meta/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/file_io.h"
#include "base/log.h"
#include "base/strbuf.h"

/* Mounts of one bucket and prefix on one host at the same time. */
#define SLOTS_MAX 64u
/* Bytes of the bucket's name in <id>; the hash tells long ones apart. */
#define ID_NAME_MAX  63
#define ID_HASH_SIZE 8
#define PATH_LIMIT   4096u

/* A process that was killed is gone in milliseconds, but for one that waits for a disk. */
#define DYING_WAIT_NS (10 * (uint64_t)NS_PER_S)
#define DYING_POLL_NS (20 * (uint64_t)NS_PER_MS)
/* include/linux/sched.h of the kernel; proc(5) names the file for it. */
#define PF_EXITING 0x4ul

/* In a slot from its opening to an end with nothing left to do. */
#define UNFINISHED "unfinished"

/* A name that was just made survives a power loss only when its folder is on disk. */
static int sync_folder(const char *path)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

/* Nobody else may put something there, and a link could lead anywhere. What we make below is for
 * our eyes only, so that a folder which others may read is left as its owner made it. */
static int check_folder(const char *path, struct s3_error *err)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode)) {
        (void)s3_error_set(err, S3_ERROR_CONFIG, "state directory '%.300s' is not a folder", path);
        return -ENOTDIR;
    }
    if (st.st_uid != geteuid()) {
        (void)s3_error_set(err, S3_ERROR_CONFIG,
                           "state directory '%.300s' belongs to another user (uid %u)", path,
                           (unsigned)st.st_uid);
        return -EPERM;
    }
    if (st.st_mode & 022) {
        (void)s3_error_set(err, S3_ERROR_CONFIG,
                           "state directory '%.300s' may be written by others (mode %04o): chmod "
                           "go-w it or give another",
                           path, (unsigned)st.st_mode & 07777);
        return -EPERM;
    }
    return 0;
}

static char *join(const char *folder, const char *name)
{
    char *path = NULL;

    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

int state_dir_default(struct strbuf *sb)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

    if (xdg && *xdg == '/')
        return strbuf_appendf(sb, "%s/pailfs", xdg);
    if (geteuid() == 0)
        return strbuf_append_str(sb, "/var/cache/pailfs");
    if (home && *home == '/')
        return strbuf_appendf(sb, "%s/.cache/pailfs", home);
    return -ENOENT;
}

/* "my-bucket-0123456789abcdef" */
static int append_id(const struct state_dir_options *opts, struct strbuf *sb)
{
    const struct iovec iov[] = {
        {(void *)opts->endpoint, strlen(opts->endpoint) + 1},
        {(void *)opts->bucket, strlen(opts->bucket) + 1},
        {(void *)opts->prefix, strlen(opts->prefix) + 1},
    };
    uint8_t hash[DIGEST_SHA256_SIZE];
    char hex[2 * ID_HASH_SIZE + 1];
    int r = digest_iov(DIGEST_SHA256, iov, ARRAY_SIZE(iov), hash);

    if (r < 0)
        return r;
    for (const char *p = opts->bucket; *p && p - opts->bucket < ID_NAME_MAX; p++) {
        bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || *p == '-' || (*p == '.' && p != opts->bucket);

        (void)strbuf_append_char(sb, plain ? *p : '_');
    }
    encode_hex(hash, ID_HASH_SIZE, hex);
    return strbuf_appendf(sb, "-%s", hex);
}

/* Takes the lock file. -EBUSY: held. */
static int take_lock(const char *path, int *ret_fd)
{
    CLEANUP_FREE char *lock = join(path, "lock");
    CLEANUP_FD int fd = -1;
    char pid[32];
    int n;

    if (!lock)
        return -ENOMEM;
    fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    /* For people who look; nothing reads it but the message about a folder in use. */
    n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) < 0)
        log_debug("'%s': %s", lock, strerror(errno));
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static long lock_holder(const char *path)
{
    CLEANUP_FREE char *lock = join(path, "lock");
    CLEANUP_FD int fd = -1;
    char pid[32] = "";

    if (!lock)
        return 0;
    fd = open(lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || pread(fd, pid, sizeof(pid) - 1, 0) <= 0)
        return 0;
    return strtol(pid, NULL, 10);
}

/* ---- a holder that is on its way out ---- */

static bool read_proc(long pid, const char *name, char *buf, size_t size)
{
    char path[64];
    CLEANUP_FD int fd = -1;
    ssize_t n;

    (void)snprintf(path, sizeof(path), "/proc/%ld/%s", pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, buf, size - 1);
    buf[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static unsigned long long status_value(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at ? strtoull(at + strlen(name), NULL, 16) : 0;
}

/* It was killed, or has ended, and the kernel has not closed its files yet. One that is not there
 * at all holds nothing: then the number is of another PID namespace, or the lock is free by now. */
static bool is_dying(long pid)
{
    const unsigned long long sigkill = 1ull << (SIGKILL - 1);
    char text[4096];
    char how = 0;
    unsigned long flags = 0;

    if (pid <= 0)
        return false;
    if (read_proc(pid, "stat", text, sizeof(text))) {
        const char *at = strrchr(text, ')'); /* the name before it may have any byte */
        if (at && sscanf(at + 1, " %c %*d %*d %*d %*d %*d %lu", &how, &flags) == 2 &&
            (how == 'Z' || how == 'X' || (flags & PF_EXITING)))
            return true;
    }
    return read_proc(pid, "status", text, sizeof(text)) &&
           (((status_value(text, "\nSigPnd:\t") | status_value(text, "\nShdPnd:\t")) & sigkill) ||
            status_value(text, "\nCoreDumping:\t") == 1);
}

/* What that one left is this mount's to finish: in another slot it would wait for the next. */
static int take_lock_of_the_dying(const char *path, const struct state_dir_options *opts,
                                  int *ret_fd)
{
    struct clock *clock = opts->clock ? opts->clock : clock_system();
    uint64_t begin = clock_monotonic_ns(clock);
    long pid;
    int r = take_lock(path, ret_fd);

    while (r == -EBUSY && is_dying(pid = lock_holder(path))) {
        if (clock_monotonic_ns(clock) - begin >= DYING_WAIT_NS) {
            log_warn("'%s': process %ld has ended, and its files are not closed after %llu s", path,
                     pid, (unsigned long long)(DYING_WAIT_NS / NS_PER_S));
            break;
        }
        clock_sleep_ns(clock, DYING_POLL_NS);
        r = take_lock(path, ret_fd);
    }
    return r;
}

static int has_unfinished(const char *path)
{
    CLEANUP_FREE char *mark = join(path, UNFINISHED);

    return mark ? access(mark, F_OK) == 0 : -ENOMEM;
}

static int make_slot(const char *path, const struct state_dir_options *opts, int *ret_fd,
                     struct s3_error *err)
{
    int r = file_make_folders(path);

    if (r == 0)
        r = check_folder(path, err);
    return r < 0 ? r : take_lock_of_the_dying(path, opts, ret_fd);
}

static int slot_path(const char *base, unsigned slot, struct strbuf *sb)
{
    strbuf_reset(sb);
    return slot == 1 ? strbuf_append_str(sb, base) : strbuf_appendf(sb, "%s.%u", base, slot);
}

/* First those with unfinished work, then any. */
static int take_slot(const char *base, const struct state_dir_options *opts, struct strbuf *path,
                     int *ret_fd, struct s3_error *err)
{
    bool read_only = opts->read_only;
    int r;

    for (unsigned slot = 1; !read_only && slot <= SLOTS_MAX; slot++) {
        r = slot_path(base, slot, path);
        if (r < 0)
            return r;
        r = has_unfinished(strbuf_str(path));
        if (r == 1)
            r = make_slot(strbuf_str(path), opts, ret_fd, err) == 0;
        if (r != 0)
            return r < 0 ? r : 0;
    }
    for (unsigned slot = 1; slot <= SLOTS_MAX; slot++) {
        r = slot_path(base, slot, path);
        /* Whoever can finish it must find it free. */
        if (r == 0 && read_only && has_unfinished(strbuf_str(path)) == 1)
            continue;
        if (r == 0)
            r = make_slot(strbuf_str(path), opts, ret_fd, err);
        if (r != -EBUSY)
            return r;
    }
    (void)s3_error_set(err, S3_ERROR_CONFIG, "'%.300s': all %u slots are in use", base, SLOTS_MAX);
    return -EBUSY;
}

static int find_and_lock(const struct state_dir_options *opts, struct strbuf *path, int *ret_fd,
                         struct s3_error *err)
{
    CLEANUP_STRBUF struct strbuf base = STRBUF_INIT(PATH_LIMIT);
    int r;

    if (opts->state_dir) {
        r = strbuf_append_str(path, opts->state_dir);
        if (r == 0)
            r = make_slot(strbuf_str(path), opts, ret_fd, err);
        if (r == -EBUSY)
            (void)s3_error_set(err, S3_ERROR_CONFIG,
                               "state directory '%.300s' is in use by another pailfs (process "
                               "%ld): unmount that one first, or give another -o state_dir=",
                               opts->state_dir, lock_holder(opts->state_dir));
        return r;
    }
    r = opts->cache_dir ? strbuf_append_str(&base, opts->cache_dir) : state_dir_default(&base);
    if (r == -ENOENT)
        (void)s3_error_set(err, S3_ERROR_CONFIG, "no place for local state: HOME is not set");
    if (r == 0)
        r = strbuf_append_char(&base, '/');
    if (r == 0)
        r = append_id(opts, &base);
    return r < 0 ? r : take_slot(strbuf_str(&base), opts, path, ret_fd, err);
}

static int make_folders(struct state_dir *d, bool read_only)
{
    CLEANUP_FREE char *mark = NULL;
    CLEANUP_FD int fd = -1;
    int r;

    d->dirty = join(d->path, STATE_DIR_DIRTY);
    d->lost = join(d->path, STATE_DIR_LOST);
    d->blocks = join(d->path, STATE_DIR_BLOCKS);
    mark = join(d->path, UNFINISHED);
    if (!d->dirty || !d->lost || !d->blocks || !mark)
        return -ENOMEM;
    r = file_make_folders(d->dirty);
    if (r == 0)
        r = file_make_folders(d->lost);
    if (r == 0)
        r = file_make_folders(d->blocks);
    if (r < 0 || read_only)
        return r;
    fd = open(mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    return sync_folder(d->path);
}

int state_dir_open(const struct state_dir_options *opts, struct state_dir **ret,
                   struct s3_error *err)
{
    CLEANUP_STRBUF struct strbuf path = STRBUF_INIT(PATH_LIMIT);
    struct s3_error said = {0};
    struct state_dir *d;
    int r;

    d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->lock_fd = -1;
    r = find_and_lock(opts, &path, &d->lock_fd, &said);
    if (r == 0) {
        d->path = strdup(strbuf_str(&path));
        r = d->path ? make_folders(d, opts->read_only) : -ENOMEM;
    }
    if (r < 0) {
        if (!said.message[0])
            (void)s3_error_set(&said, S3_ERROR_CONFIG, "state directory '%.300s': %s",
                               strbuf_str(&path), strerror(-r));
        if (err)
            *err = said;
        state_dir_close(d, true);
        return r;
    }
    *ret = d;
    return 0;
}

void state_dir_close(struct state_dir *d, bool unfinished)
{
    if (!d)
        return;
    if (!unfinished && d->path) {
        CLEANUP_FREE char *mark = join(d->path, UNFINISHED);

        if (mark && unlink(mark) < 0 && errno != ENOENT)
            log_debug("'%s': %s", mark, strerror(errno));
    }
    if (d->lock_fd >= 0)
        (void)close(d->lock_fd);
    free(d->path);
    free(d->dirty);
    free(d->lost);
    free(d->blocks);
    free(d);
}
