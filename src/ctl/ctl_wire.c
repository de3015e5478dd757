/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl_wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/encode.h"
#include "base/limits.h"
#include "base/strbuf.h"

int ctl_socket_path(const char *mountpoint, uid_t uid, unsigned candidate, char *buf, size_t size)
{
    uint8_t digest[DIGEST_SHA256_SIZE];
    char name[17];
    /* Another user's environment says nothing about where that user's mounts have their sockets. */
    const char *runtime = uid == geteuid() ? getenv("XDG_RUNTIME_DIR") : NULL;
    int n;

    if (digest_buffer(DIGEST_SHA256, mountpoint, strlen(mountpoint), digest) < 0)
        return -EIO;
    encode_hex(digest, 8, name);
    if (uid != 0 && !(runtime && *runtime == '/'))
        candidate++;
    if (uid == 0 && candidate == 0)
        n = snprintf(buf, size, "/run/pailfs/%s.sock", name);
    else if (uid == 0)
        return -ENOENT;
    else if (candidate == 0)
        n = snprintf(buf, size, "%s/pailfs/%s.sock", runtime, name);
    else if (candidate == 1)
        n = snprintf(buf, size, "/run/user/%u/pailfs/%s.sock", (unsigned)uid, name);
    else if (candidate == 2)
        n = snprintf(buf, size, "/tmp/pailfs-%u/%s.sock", (unsigned)uid, name);
    else
        return -ENOENT;
    return n > 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}

bool ctl_peer_is(int fd, uid_t uid, pid_t *ret_pid)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return false;
    if (ret_pid)
        *ret_pid = peer.pid;
    return peer.uid == 0 || peer.uid == uid;
}

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
