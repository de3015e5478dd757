/* SPDX-License-Identifier: Apache-2.0 */
/* Reads /proc/self/mountinfo (proc(5)): it tells about mounts without touching them. */
#include "ctl/ctl.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* The kernel writes blanks and backslashes as \ooo. In place. */
static void unescape_octal(char *s)
{
    char *out = s;

    for (; *s; s++) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
            s[3] >= '0' && s[3] <= '7') {
            *out++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
            s += 3;
        } else {
            *out++ = *s;
        }
    }
    *out = '\0';
}

/* Fields: id parent dev root MOUNTPOINT options [tags...] - TYPE SOURCE SUPEROPTIONS */
static bool parse_line(char *line, char **mountpoint, char **source, uid_t *uid)
{
    char *save = NULL, *field, *type, *options, *user;
    char *separator = strstr(line, " - ");
    int i = 0;

    if (!separator)
        return false;
    *separator = '\0';
    for (field = strtok_r(line, " ", &save); field && i < 4; i++)
        field = strtok_r(NULL, " ", &save);
    *mountpoint = field;
    save = NULL;
    type = strtok_r(separator + 3, " ", &save);
    *source = strtok_r(NULL, " ", &save);
    options = strtok_r(NULL, " \n", &save);
    if (!field || !type || !*source || !options || strcmp(type, "fuse.pailfs") != 0)
        return false;
    user = strstr(options, "user_id=");
    *uid = user ? (uid_t)strtoul(user + 8, NULL, 10) : 0;
    unescape_octal(*mountpoint);
    unescape_octal(*source);
    return true;
}

int ctl_mounts_list(struct ctl_mount **ret, size_t *ret_n)
{
    CLEANUP_FILE FILE *f = fopen("/proc/self/mountinfo", "re");

    return f ? ctl_mounts_read(f, ret, ret_n) : -errno;
}

int ctl_mounts_read(FILE *mountinfo, struct ctl_mount **ret, size_t *ret_n)
{
    CLEANUP_FREE char *line = NULL;
    struct ctl_mount *mounts = NULL;
    size_t n = 0, size = 0;

    while (getline(&line, &size, mountinfo) > 0) {
        struct ctl_mount m = {0}, *more;
        char *mountpoint, *source;

        if (!parse_line(line, &mountpoint, &source, &m.uid))
            continue;
        more = reallocarray(mounts, n + 1, sizeof(*mounts));
        if (more)
            mounts = more;
        m.mountpoint = strdup(mountpoint);
        m.source = strdup(source);
        if (!more || !m.mountpoint || !m.source) {
            free(m.mountpoint);
            free(m.source);
            ctl_mounts_free(mounts, n);
            return -ENOMEM;
        }
        mounts[n++] = m;
    }
    *ret = mounts;
    *ret_n = n;
    return 0;
}

void ctl_mounts_free(struct ctl_mount *mounts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(mounts[i].mountpoint);
        free(mounts[i].source);
    }
    free(mounts);
}

const struct ctl_mount *ctl_mounts_find(const struct ctl_mount *mounts, size_t n, const char *path)
{
    const struct ctl_mount *best = NULL;

    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(mounts[i].mountpoint);

        if (strncmp(path, mounts[i].mountpoint, len) == 0 && (!path[len] || path[len] == '/') &&
            (!best || len >= strlen(best->mountpoint)))
            best = &mounts[i];
    }
    return best;
}
