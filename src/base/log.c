/* SPDX-License-Identifier: Apache-2.0 */
/* The descriptor of a log file is never closed or renumbered once opened: opening again goes
 * through dup3 onto the same number. So a writer needs no lock, and none is held over the disk. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/limits.h"
#include "base/timefmt.h"

static const struct {
    const char *name;
    int syslog_priority;
} LEVELS[LOG_LEVEL_MAX] = {
    [LOG_LEVEL_ERROR] = {"error", LOG_ERR},
    [LOG_LEVEL_WARN] = {"warn", LOG_WARNING},
    [LOG_LEVEL_INFO] = {"info", LOG_INFO},
    [LOG_LEVEL_DEBUG] = {"debug", LOG_DEBUG},
};

/* Names accepted beside those above; crit, err, dbg are s3fs'. */
static const struct {
    const char *name;
    enum log_level level;
} LEVEL_ALIASES[] = {
    {"crit", LOG_LEVEL_ERROR},   {"critical", LOG_LEVEL_ERROR},   {"err", LOG_LEVEL_ERROR},
    {"warning", LOG_LEVEL_WARN}, {"information", LOG_LEVEL_INFO}, {"dbg", LOG_LEVEL_DEBUG},
};

static _Atomic(enum log_level) current_level = LOG_LEVEL_INFO;
static _Atomic(enum log_target) current_target = LOG_TARGET_STDERR;
static atomic_int file_fd = -1;

static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static char file_path[PATH_MAX]; /* absolute; protected by open_lock */

static __thread const char *thread_context;

static int open_file_locked(void)
{
    CLEANUP_FD int fd = open(file_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0)
        return -errno;
    int old = atomic_load(&file_fd);
    if (old < 0) {
        atomic_store(&file_fd, TAKE_FD(fd));
        return 0;
    }
    return dup3(fd, old, O_CLOEXEC) < 0 ? -errno : 0;
}

/* Absolute, because a daemon changes its working directory before the file is opened again. */
static int make_absolute(const char *path, char out[PATH_MAX])
{
    size_t n = 0;
    if (path[0] != '/') {
        if (!getcwd(out, PATH_MAX - 1))
            return -errno;
        n = strlen(out);
        out[n++] = '/';
    }
    size_t len = strlen(path);
    if (len >= PATH_MAX - n)
        return -ENAMETOOLONG;
    memcpy(out + n, path, len + 1);
    return 0;
}

int log_open(enum log_target target, const char *path)
{
    SCOPE_LOCK(&open_lock);

    if (target == LOG_TARGET_FILE) {
        if (!path || !*path)
            return -EINVAL;
        char before[PATH_MAX];
        memcpy(before, file_path, sizeof(before));
        char absolute[PATH_MAX];
        int r = make_absolute(path, absolute);
        if (r < 0)
            return r;
        memcpy(file_path, absolute, sizeof(file_path));
        r = open_file_locked();
        if (r < 0) {
            memcpy(file_path, before, sizeof(file_path));
            return r;
        }
    } else if (target == LOG_TARGET_SYSLOG) {
        openlog("pailfs", LOG_PID, LOG_DAEMON);
    }
    atomic_store(&current_target, target);
    return 0;
}

int log_reopen(void)
{
    SCOPE_LOCK(&open_lock);
    if (atomic_load(&current_target) != LOG_TARGET_FILE)
        return 0;
    return open_file_locked();
}

void log_set_level(enum log_level level)
{
    atomic_store(&current_level, level);
}

enum log_level log_get_level(void)
{
    return atomic_load(&current_level);
}

int log_level_parse(const char *s, enum log_level *ret)
{
    if (!s)
        return -EINVAL;
    for (int i = 0; i < LOG_LEVEL_MAX; i++) {
        if (strcasecmp(s, LEVELS[i].name) == 0) {
            *ret = (enum log_level)i;
            return 0;
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(LEVEL_ALIASES); i++) {
        if (strcasecmp(s, LEVEL_ALIASES[i].name) == 0) {
            *ret = LEVEL_ALIASES[i].level;
            return 0;
        }
    }
    return -EINVAL;
}

const char *log_level_name(enum log_level level)
{
    return (unsigned)level < LOG_LEVEL_MAX ? LEVELS[level].name : "unknown";
}

void log_context_set(const char *text)
{
    thread_context = text;
}

bool log_enabled(enum log_level level)
{
    return level <= atomic_load_explicit(&current_level, memory_order_relaxed);
}

/* Keys may hold any byte: a newline in one must not forge a line, an escape not move a cursor. */
static size_t copy_printable(char *out, size_t size, const char *in)
{
    static const char HEX[] = "0123456789abcdef";
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)in; *p; p++) {
        if (*p >= 0x20 && *p != 0x7f) {
            if (n + 1 > size)
                return n;
            out[n++] = (char)*p;
        } else {
            if (n + 4 > size)
                return n;
            out[n++] = '\\';
            out[n++] = 'x';
            out[n++] = HEX[*p >> 4];
            out[n++] = HEX[*p & 15];
        }
    }
    return n;
}

static void write_line(int fd, const char *line, size_t len)
{
    /* A log that cannot be written has nowhere to say so; a partial write is not continued, since
     * another thread's line may already stand behind it. */
    ssize_t n;
    do
        n = write(fd, line, len);
    while (n < 0 && errno == EINTR);
}

void log_write(enum log_level level, const char *fmt, ...)
{
    if ((unsigned)level >= LOG_LEVEL_MAX || !log_enabled(level))
        return;
    int saved_errno = errno; /* callers log between a failure and `return -errno` */

    char text[LIMIT_LOG_LINE];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n < 0)
        text[0] = '\0';
    bool cut = n >= (int)sizeof(text);

    char body[LIMIT_LOG_LINE];
    size_t room = sizeof(body) - 80; /* for the time, the level and the end of line */
    size_t len = 0;
    if (thread_context) {
        len = copy_printable(body, MIN(room, (size_t)256), thread_context);
        body[len++] = ':';
        body[len++] = ' ';
    }
    len += copy_printable(body + len, room - len, text);
    if (cut || len + 4 > room) {
        len = MIN(len, room - 4);
        memcpy(body + len, "...", 3);
        len += 3;
    }
    body[len] = '\0';

    enum log_target target = atomic_load(&current_target);
    if (target == LOG_TARGET_SYSLOG) {
        syslog(LEVELS[level].syslog_priority, "%s", body);
    } else {
        char when[TIMEFMT_ISO8601_SIZE];
        timefmt_iso8601(clock_realtime_ns(clock_system()), when);
        char line[LIMIT_LOG_LINE];
        int size = snprintf(line, sizeof(line), "%s pailfs[%d] %s: %s\n", when, (int)getpid(),
                            LEVELS[level].name, body);
        size_t used = MIN((size_t)MAX(size, 0), sizeof(line) - 1);
        write_line(target == LOG_TARGET_FILE ? atomic_load(&file_fd) : STDERR_FILENO, line, used);
    }
    errno = saved_errno;
}
