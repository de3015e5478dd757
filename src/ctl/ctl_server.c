/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/ctl.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/limits.h"
#include "base/log.h"
#include "ctl/ctl_wire.h"

#define BACKLOG  64
#define RETRY_MS 100

struct ctl_server {
    /* constant after new */
    int listen_fd;
    int stop_fd; /* eventfd: told to end */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    const struct ctl_verb *verbs;
    void *ctx;
    uid_t owner;
    struct stat bound; /* the socket's file, as it was made */
    pthread_t accept_thread;

    pthread_mutex_t lock;
    pthread_cond_t idle;
    unsigned connections; /* protected by lock */
};

struct ctl_connection {
    struct ctl_server *server;
    int fd;
};

static const struct ctl_verb *find_verb(const struct ctl_server *s, const char *name)
{
    for (const struct ctl_verb *v = s->verbs; v->name; v++)
        if (strcmp(v->name, name) == 0)
            return v;
    return NULL;
}

/* One line whatever the message holds: it may quote what a server sent. */
static void append_error(struct strbuf *answer, const char *message)
{
    (void)strbuf_append_str(answer, "error ");
    for (const char *p = message; *p; p++)
        (void)strbuf_append_char(answer, (unsigned char)*p < ' ' ? ' ' : *p);
    (void)strbuf_append_char(answer, '\n');
}

/* Splits "verb args", runs it, and builds the whole answer. */
static void answer_request(struct ctl_server *s, char *line, struct strbuf *answer)
{
    CLEANUP_STRBUF struct strbuf body = STRBUF_INIT(LIMIT_CTL_MESSAGE);
    struct s3_error err = {0};
    const struct ctl_verb *verb;
    char *args = strchr(line, ' ');
    int r;

    if (args)
        *args++ = '\0';
    verb = find_verb(s, line);
    if (!verb)
        r = s3_error_set(&err, S3_ERROR_CONFIG, "unknown request '%.32s'", line);
    else
        r = verb->run(s->ctx, args ? args : "", &body, &err);
    if (r == 0)
        r = body.error;
    if (body.error == -E2BIG)
        r = s3_error_set(&err, S3_ERROR_CONFIG, "the answer to '%.32s' is too long", line);
    if (r < 0) {
        append_error(answer, err.message[0] ? err.message : strerror(-r));
        return;
    }
    (void)strbuf_append_str(answer, "ok\n");
    (void)strbuf_append(answer, strbuf_str(&body), body.len);
}

static bool reserve_connection(struct ctl_server *s)
{
    SCOPE_LOCK(&s->lock);
    if (s->connections >= CTL_CONNECTIONS_MAX)
        return false;
    s->connections++;
    return true;
}

/* The server may be gone afterwards. */
static void release_connection(struct ctl_server *s)
{
    SCOPE_LOCK(&s->lock);
    s->connections--;
    pthread_cond_broadcast(&s->idle);
}

static void *connection_main(void *arg)
{
    struct ctl_connection *c = arg;
    struct ctl_server *s = c->server;
    CLEANUP_STRBUF struct strbuf answer = STRBUF_INIT(2 * LIMIT_CTL_MESSAGE);
    CLEANUP_FREE char *line = NULL;
    int r = ctl_peer_is(c->fd, s->owner, NULL) ? 0 : -EPERM;

    if (r == 0)
        r = ctl_wire_read_line(c->fd, &line);
    if (r == 0)
        answer_request(s, line, &answer);
    else if (r == -EPERM)
        append_error(&answer, "only the owner of the mount and root may ask");
    else if (r == -E2BIG)
        append_error(&answer, "the request is too long");
    else if (r == -EBADMSG)
        append_error(&answer, "the request holds control characters");
    (void)ctl_wire_write(c->fd, strbuf_str(&answer), answer.len);
    /* Before the close: who has seen the end of an answer finds its place free. */
    release_connection(s);
    (void)close(c->fd);
    free(c);
    return NULL;
}

/* False: this process has no descriptor left to take the connection with. */
static bool accept_one(struct ctl_server *s)
{
    static const struct timeval patience = {.tv_sec = 5};
    static const char busy[] = "error too many requests at the same time\n";
    struct ctl_connection *c;
    pthread_attr_t attr;
    pthread_t thread;
    int fd = accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    bool started = false;

    if (fd < 0)
        return errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    c = malloc(sizeof(*c));
    if (!c || !reserve_connection(s)) {
        (void)ctl_wire_write(fd, busy, sizeof(busy) - 1);
        free(c);
        (void)close(fd);
        return true;
    }
    c->server = s;
    c->fd = fd;
    if (pthread_attr_init(&attr) == 0) {
        (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        started = pthread_create(&thread, &attr, connection_main, c) == 0;
        pthread_attr_destroy(&attr);
    }
    if (!started) {
        release_connection(s);
        (void)close(fd);
        free(c);
    }
    return true;
}

static void *accept_main(void *arg)
{
    struct ctl_server *s = arg;
    struct pollfd fds[] = {{.fd = s->listen_fd, .events = POLLIN},
                           {.fd = s->stop_fd, .events = POLLIN}};

    for (;;) {
        if (poll(fds, ARRAY_SIZE(fds), -1) < 0) {
            if (errno != EINTR)
                return NULL;
            continue;
        }
        if (fds[1].revents)
            return NULL;
        /* The connection stays in the backlog: without the pause this would spin. */
        if (fds[0].revents && !accept_one(s) && poll(&fds[1], 1, RETRY_MS) > 0)
            return NULL;
    }
}

/* The folder must be ours alone: /tmp is shared. */
static int make_folder(const char *socket_path, struct s3_error *reterr)
{
    char folder[sizeof(((struct sockaddr_un *)0)->sun_path)];
    char *slash;
    struct stat st;

    (void)snprintf(folder, sizeof(folder), "%s", socket_path);
    slash = strrchr(folder, '/');
    if (!slash)
        return -EINVAL;
    *slash = '\0';
    if (mkdir(folder, 0700) < 0 && errno != EEXIST)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "control folder '%s': %s", folder,
                            strerror(errno));
    if (lstat(folder, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid())
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "control folder '%s' is not a folder of this user: remove it", folder);
    if (st.st_mode & 077 && chmod(folder, 0700) < 0)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "control folder '%s': %s", folder,
                            strerror(errno));
    return 0;
}

static int bind_socket(struct ctl_server *s, struct s3_error *reterr)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int r = make_folder(s->path, reterr);

    if (r < 0)
        return r;
    memcpy(address.sun_path, s->path, sizeof(address.sun_path));
    /* A socket left by a daemon that was killed: the mount point is ours now, so is the name. */
    (void)unlink(s->path);
    if (bind(s->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(s->listen_fd, BACKLOG) < 0)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "control socket '%s': %s", s->path,
                            strerror(errno));
    (void)stat(s->path, &s->bound);
    return 0;
}

/* The next daemon on this mount point may have put its own there while this one was finishing. */
static void remove_socket(struct ctl_server *s)
{
    struct stat now;

    if (stat(s->path, &now) == 0 && now.st_dev == s->bound.st_dev && now.st_ino == s->bound.st_ino)
        (void)unlink(s->path);
}

/* Takes the first place that works; reports the last failure. */
static int open_socket(struct ctl_server *s, const char *mountpoint, struct s3_error *reterr)
{
    int failure = s3_error_set(reterr, S3_ERROR_CONFIG, "the control socket's path is too long");

    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    s->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->stop_fd < 0 || s->listen_fd < 0)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "control socket: %s", strerror(errno));
    for (unsigned i = 0;; i++) {
        int r = ctl_socket_path(mountpoint, s->owner, i, s->path, sizeof(s->path));

        if (r == -ENOENT)
            return failure;
        if (r == 0)
            failure = r = bind_socket(s, reterr);
        if (r == 0)
            return 0;
    }
}

static void server_destroy(struct ctl_server *s)
{
    if (s->listen_fd >= 0)
        (void)close(s->listen_fd);
    if (s->stop_fd >= 0)
        (void)close(s->stop_fd);
    pthread_cond_destroy(&s->idle);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

int ctl_server_new(const struct ctl_server_options *opts, struct ctl_server **ret,
                   struct s3_error *reterr)
{
    struct ctl_server *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "no memory for the control socket");
    s->listen_fd = s->stop_fd = -1;
    s->verbs = opts->verbs;
    s->ctx = opts->ctx;
    s->owner = geteuid();
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->idle, NULL);
    r = open_socket(s, opts->mountpoint, reterr);
    if (r == 0 && pthread_create(&s->accept_thread, NULL, accept_main, s) != 0)
        r = s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "no thread for the control socket");
    if (r < 0) {
        server_destroy(s);
        return r;
    }
    *ret = s;
    return 0;
}

void ctl_server_free(struct ctl_server *s)
{
    uint64_t one = 1;

    if (!s)
        return;
    remove_socket(s);
    (void)!write(s->stop_fd, &one, sizeof(one));
    pthread_join(s->accept_thread, NULL);
    pthread_mutex_lock(&s->lock);
    while (s->connections > 0)
        pthread_cond_wait(&s->idle, &s->lock);
    pthread_mutex_unlock(&s->lock);
    server_destroy(s);
}
