/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "ctl/ctl_wire.h"

/* A socket connected to the first candidate where a process of the owner listens. */
static int connect_daemon(const char *mountpoint, uid_t uid, unsigned timeout_ms, int *ret_fd,
                          pid_t *ret_pid, struct s3_error *reterr)
{
    const struct timeval patience = {.tv_sec = timeout_ms / 1000,
                                     .tv_usec = (timeout_ms % 1000) * 1000};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char first[sizeof(address.sun_path)] = "";
    int cause = ENOENT;

    for (unsigned i = 0;; i++) {
        CLEANUP_FD int fd = -1;
        int r = ctl_socket_path(mountpoint, uid, i, address.sun_path, sizeof(address.sun_path));

        if (r == -ENOENT)
            break;
        if (r < 0)
            continue;
        if (!*first)
            memcpy(first, address.sun_path, sizeof(first));
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
            return s3_error_set(reterr, S3_ERROR_CONNECT, "no socket: %s", strerror(errno));
        if (timeout_ms) {
            (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
            (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        }
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
            cause = errno == ENOENT ? cause : errno;
            continue;
        }
        /* /tmp is everybody's: a stranger may have made the folder before the owner. */
        if (!ctl_peer_is(fd, uid, ret_pid)) {
            cause = EPERM;
            continue;
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
    }
    return s3_error_set(reterr, S3_ERROR_CONNECT,
                        "no daemon answers for '%s' on '%s': %s (is it still running, and yours?)",
                        mountpoint, first, strerror(cause));
}

static int parse_answer(const char *text, struct strbuf *answer, struct s3_error *reterr)
{
    const char *end = strchr(text, '\n');

    if (end && strncmp(text, "error ", 6) == 0) {
        (void)s3_error_set(reterr, S3_ERROR_CONFIG, "%.*s", (int)(end - text - 6), text + 6);
        return -EREMOTEIO;
    }
    if (!end || strncmp(text, "ok\n", 3) != 0)
        return s3_error_set(reterr, S3_ERROR_BAD_RESPONSE,
                            "the daemon ended without an answer, or its version is another one");
    return strbuf_append_str(answer, end + 1);
}

static int read_answer(int fd, struct strbuf *answer, struct s3_error *reterr)
{
    CLEANUP_STRBUF struct strbuf text = STRBUF_INIT(2 * LIMIT_CTL_MESSAGE);
    char chunk[4096];
    ssize_t n;

    while ((n = recv(fd, chunk, sizeof(chunk), 0)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return s3_error_set(reterr, S3_ERROR_TIMEOUT, "the daemon did not answer in time");
        /* The daemon closed without having read all of a request that it refused. */
        if (n < 0 && errno == ECONNRESET && text.len > 0)
            break;
        if (n < 0)
            return s3_error_set(reterr, S3_ERROR_CONNECT, "the daemon's answer broke off: %s",
                                strerror(errno));
        if (strbuf_append(&text, chunk, (size_t)n) < 0)
            return s3_error_set(reterr, S3_ERROR_BAD_RESPONSE, "the daemon's answer is too long");
    }
    return parse_answer(strbuf_str(&text), answer, reterr);
}

int ctl_request(const char *mountpoint, uid_t uid, const char *line, unsigned timeout_ms,
                struct strbuf *answer, struct s3_error *reterr)
{
    CLEANUP_FD int fd = -1;
    int r = connect_daemon(mountpoint, uid, timeout_ms, &fd, NULL, reterr);

    if (r < 0)
        return r;
    r = ctl_wire_write(fd, line, strlen(line));
    if (r == 0)
        r = ctl_wire_write(fd, "\n", 1);
    /* A daemon that refuses early stops reading: its answer says why. */
    if (r < 0 && r != -EPIPE && r != -ECONNRESET)
        return s3_error_set(reterr, S3_ERROR_CONNECT, "cannot ask the daemon: %s", strerror(-r));
    return read_answer(fd, answer, reterr);
}

int ctl_daemon_pid(const char *mountpoint, uid_t uid, pid_t *ret, struct s3_error *reterr)
{
    CLEANUP_FD int fd = -1;

    return connect_daemon(mountpoint, uid, 0, &fd, ret, reterr);
}
