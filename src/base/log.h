/* SPDX-License-Identifier: Apache-2.0 */
/* One line per event: what failed, on which object ('single quotes'), why, what to do.
 * A failure is logged once, by who ends the work (FUSE adapter, background job, main); layers
 * below log at debug only. Secrets are never formatted.
 *
 * Threads: every function may be called from any thread. A line is written with one write(2). */
#ifndef PAILFS_BASE_LOG_H
#define PAILFS_BASE_LOG_H

#include <stdbool.h>

#include "base/attr.h"

enum log_level {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_MAX,
};

enum log_target {
    LOG_TARGET_STDERR,
    LOG_TARGET_SYSLOG,
    LOG_TARGET_FILE,
};

/* path: only for LOG_TARGET_FILE (appended to, created 0600). 0 or -errno; on failure the previous
 * target stays. */
int log_open(enum log_target target, const char *path);
/* Opens the file again under the same path (log rotation). */
int log_reopen(void);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* "error", "warn"/"warning", "info", "debug" (also s3fs' crit/err/dbg). 0 or -EINVAL. */
int log_level_parse(const char *s, enum log_level *ret);
const char *log_level_name(enum log_level level);

/* A short text put before every line of this thread until cleared (e.g. "read ino 17"). Borrowed:
 * must stay valid until log_context_set(NULL). */
void log_context_set(const char *text);

bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *fmt, ...) ATTR_PRINTF(2, 3);

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_write(LOG_LEVEL_INFO, __VA_ARGS__)
/* Arguments are not evaluated while debug is off. */
#define log_debug(...)                                                                             \
    do {                                                                                           \
        if (log_enabled(LOG_LEVEL_DEBUG))                                                          \
            log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                               \
    } while (0)

#endif
