/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/digest.h"
#include "base/encode.h"
#include "base/limits.h"
#include "ctl/ctl_wire.h"

int ctl_socket_path(const char *mountpoint, uid_t uid, char *buf, size_t size)
{
    uint8_t digest[DIGEST_SHA256_SIZE];
    char name[17];
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char user_runtime[64];
    struct stat st;
    int n;

    if (digest_buffer(DIGEST_SHA256, mountpoint, strlen(mountpoint), digest) < 0)
        return -EIO;
    encode_hex(digest, 8, name);
    (void)snprintf(user_runtime, sizeof(user_runtime), "/run/user/%u", (unsigned)uid);
    if (uid == 0)
        n = snprintf(buf, size, "/run/pailfs/%s.sock", name);
    else if (uid == geteuid() && runtime && *runtime == '/')
        n = snprintf(buf, size, "%s/pailfs/%s.sock", runtime, name);
    else if (stat(user_runtime, &st) == 0 && st.st_uid == uid)
        n = snprintf(buf, size, "%s/pailfs/%s.sock", user_runtime, name);
    else
        n = snprintf(buf, size, "/tmp/pailfs-%u/%s.sock", (unsigned)uid, name);
    return n > 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}

static int read_answer(int fd, struct strbuf *answer, struct s3_error *reterr)
{
    CLEANUP_STRBUF struct strbuf text = STRBUF_INIT(2 * LIMIT_CTL_MESSAGE);
    char chunk[4096];
    const char *body;
    ssize_t n;

    while ((n = recv(fd, chunk, sizeof(chunk), 0)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return s3_error_set(reterr, S3_ERROR_TIMEOUT, "the daemon did not answer in time");
        if (n < 0)
            return s3_error_set(reterr, S3_ERROR_CONNECT, "the daemon's answer broke off: %s",
                                strerror(errno));
        if (strbuf_append(&text, chunk, (size_t)n) < 0)
            return s3_error_set(reterr, S3_ERROR_BAD_RESPONSE, "the daemon's answer is too long");
    }
    body = strchr(strbuf_str(&text), '\n');
    if (!body)
        return s3_error_set(reterr, S3_ERROR_BAD_RESPONSE,
                            "the daemon did not answer: only its owner and root may ask");
    if (strncmp(text.data, "error ", 6) == 0) {
        (void)s3_error_set(reterr, S3_ERROR_CONFIG, "%.*s", (int)(body - text.data - 6),
                           text.data + 6);
        return -EREMOTEIO;
    }
    return strbuf_append_str(answer, body + 1);
}

int ctl_request(const char *mountpoint, uid_t uid, const char *line, unsigned timeout_ms,
                struct strbuf *answer, struct s3_error *reterr)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = timeout_ms / 1000, .tv_usec = (timeout_ms % 1000) * 1000};
    CLEANUP_FD int fd = -1;
    int r = ctl_socket_path(mountpoint, uid, address.sun_path, sizeof(address.sun_path));

    if (r < 0)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "the control socket's path is too long");
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return s3_error_set(reterr, S3_ERROR_CONNECT,
                            "no daemon answers for '%s' on '%s': %s (is it still running, and "
                            "yours?)",
                            mountpoint, address.sun_path, strerror(errno));
    if (timeout_ms)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    r = ctl_wire_write(fd, line, strlen(line));
    if (r == 0)
        r = ctl_wire_write(fd, "\n", 1);
    if (r < 0)
        return s3_error_set(reterr, S3_ERROR_CONNECT, "cannot ask the daemon: %s", strerror(-r));
    return read_answer(fd, answer, reterr);
}
