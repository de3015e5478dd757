/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl_wire.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/limits.h"
#include "base/strbuf.h"

int ctl_wire_read_line(int fd, char **ret)
{
    CLEANUP_STRBUF struct strbuf line = STRBUF_INIT(LIMIT_CTL_MESSAGE);
    char chunk[1024];
    char *taken;

    for (;;) {
        ssize_t n = recv(fd, chunk, sizeof(chunk), 0);
        const char *end;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EPIPE;
        end = memchr(chunk, '\n', (size_t)n);
        for (const char *p = chunk; p < (end ? end : chunk + n); p++)
            if ((unsigned char)*p < ' ')
                return -EBADMSG;
        if (strbuf_append(&line, chunk, end ? (size_t)(end - chunk) : (size_t)n) < 0)
            return line.error;
        if (end)
            break;
    }
    /* An empty line is a line. */
    if (strbuf_append(&line, "", 0) < 0)
        return line.error;
    taken = line.data ? strbuf_take(&line) : strdup("");
    if (!taken)
        return -ENOMEM;
    *ret = taken;
    return 0;
}

int ctl_wire_write(int fd, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}
