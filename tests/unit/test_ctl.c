/* SPDX-License-Identifier: Apache-2.0 */
/* Server and client of the control socket over a temporary $XDG_RUNTIME_DIR. Root's sockets have a
 * fixed place, so as root the tests run with the effective id of another user. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/limits.h"
#include "ctl/ctl.h"
#include "ctl/ctl_wire.h"

#define OWNER      65534 /* whom root becomes */
#define STRANGER   12345
#define TIMEOUT_MS 20000

static char dir[] = "/tmp/pailfs-test-ctl-XXXXXX";
static char mountpoint[64], socket_path[108];
static struct ctl_server *server;
static struct s3_error err;
static bool is_root;

/* ---- verbs ---- */

static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_changed = PTHREAD_COND_INITIALIZER;
static bool gate_open;
static unsigned gate_waiting;

static int run_echo(void *ctx, const char *args, struct strbuf *out, struct s3_error *reterr)
{
    assert_ptr_equal(ctx, &server);
    return strbuf_appendf(out, "echo: %s\nbytes: %zu\n", args, strlen(args));
}

static int run_fail(void *ctx, const char *args, struct strbuf *out, struct s3_error *reterr)
{
    (void)strbuf_append_str(out, "not: shown\n");
    return *args ? s3_error_set(reterr, S3_ERROR_CONFIG, "because of\n%s", args) : -ENOSPC;
}

static int run_flood(void *ctx, const char *args, struct strbuf *out, struct s3_error *reterr)
{
    for (unsigned i = 0; i < LIMIT_CTL_MESSAGE; i++)
        (void)strbuf_append_str(out, "n: 1\n");
    return 0;
}

/* Blocks until the gate opens. */
static int run_block(void *ctx, const char *args, struct strbuf *out, struct s3_error *reterr)
{
    pthread_mutex_lock(&gate_lock);
    gate_waiting++;
    pthread_cond_broadcast(&gate_changed);
    while (!gate_open)
        pthread_cond_wait(&gate_changed, &gate_lock);
    gate_waiting--;
    pthread_mutex_unlock(&gate_lock);
    return strbuf_append_str(out, "blocked: yes\n");
}

static void wait_for_blocked(unsigned n)
{
    pthread_mutex_lock(&gate_lock);
    while (gate_waiting < n)
        pthread_cond_wait(&gate_changed, &gate_lock);
    pthread_mutex_unlock(&gate_lock);
}

static void set_gate(bool open)
{
    pthread_mutex_lock(&gate_lock);
    gate_open = open;
    pthread_cond_broadcast(&gate_changed);
    pthread_mutex_unlock(&gate_lock);
}

static const struct ctl_verb verbs[] = {
    {"echo", run_echo},   {"fail", run_fail}, {"flood", run_flood},
    {"block", run_block}, {NULL, NULL},
};

/* ---- fixture ---- */

static int setup(void **state)
{
    is_root = geteuid() == 0;
    if (!mkdtemp(dir) || setenv("XDG_RUNTIME_DIR", dir, 1) < 0)
        return -1;
    if (is_root && (chown(dir, OWNER, (gid_t)-1) < 0 || chmod(dir, 0755) < 0 || seteuid(OWNER) < 0))
        return -1;
    snprintf(mountpoint, sizeof(mountpoint), "%s/mnt", dir);
    return ctl_socket_path(mountpoint, geteuid(), 0, socket_path, sizeof(socket_path));
}

static int teardown(void **state)
{
    char folder[64];

    snprintf(folder, sizeof(folder), "%s/pailfs", dir);
    if (rmdir(folder) < 0 || (is_root && seteuid(0) < 0))
        return -1;
    return rmdir(dir);
}

static int start(struct ctl_server **ret)
{
    memset(&err, 0, sizeof(err));
    return ctl_server_new(
        &(struct ctl_server_options){.mountpoint = mountpoint, .verbs = verbs, .ctx = &server}, ret,
        &err);
}

static int start_server(void **state)
{
    set_gate(false);
    return start(&server);
}

static int stop_server(void **state)
{
    set_gate(true);
    ctl_server_free(server);
    server = NULL;
    return access(socket_path, F_OK) == 0 ? -1 : 0;
}

static int ask(const char *line, struct strbuf *answer)
{
    memset(&err, 0, sizeof(err));
    return ctl_request(mountpoint, geteuid(), line, TIMEOUT_MS, answer, &err);
}

static void expect_answer(const char *line, const char *text)
{
    CLEANUP_STRBUF struct strbuf answer = STRBUF_INIT(2 * LIMIT_CTL_MESSAGE);
    int r = ask(line, &answer);

    if (r < 0)
        print_error("%s: %s\n", line, err.message);
    assert_int_equal(r, 0);
    assert_string_equal(strbuf_str(&answer), text);
}

static void expect_error(const char *line, const char *text)
{
    CLEANUP_STRBUF struct strbuf answer = STRBUF_INIT(2 * LIMIT_CTL_MESSAGE);

    assert_int_equal(ask(line, &answer), -EREMOTEIO);
    assert_string_equal(err.message, text);
    assert_int_equal(answer.len, 0);
}

static int connect_raw(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, socket_path, sizeof(socket_path));
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Everything until the server closes, as text. */
static size_t read_raw(int fd, char *buf, size_t size)
{
    size_t len = 0;
    ssize_t n;

    while (len < size - 1 && (n = recv(fd, buf + len, size - 1 - len, 0)) > 0)
        len += (size_t)n;
    buf[len] = '\0';
    return len;
}

/* ---- tests ---- */

static void test_requests(void **state)
{
    expect_answer("echo", "echo: \nbytes: 0\n");
    expect_answer("echo one two", "echo: one two\nbytes: 7\n");
    expect_answer("echo  x", "echo:  x\nbytes: 2\n");
    expect_answer("echo \xc3\xa9\xff", "echo: \xc3\xa9\xff\nbytes: 3\n");
}

static void test_errors_are_one_sentence(void **state)
{
    expect_error("nosuch", "unknown request 'nosuch'");
    expect_error("", "unknown request ''");
    expect_error(" echo", "unknown request ''");
    expect_error("ECHO x", "unknown request 'ECHO'");
    /* A verb without a sentence of its own; lines that it made are not shown. */
    expect_error("fail", strerror(ENOSPC));
    /* A line feed in a message must not look like the answer's next line. */
    expect_error("fail x", "because of x");
    expect_error("flood", "the answer to 'flood' is too long");
    expect_answer("echo after", "echo: after\nbytes: 5\n");
}

static void test_hostile_bytes(void **state)
{
    static const struct {
        const char *bytes;
        size_t len;
    } CASES[] = {
        {"echo \0x\n", 8},  {"\0\n", 2},       {"echo a\x1b[2J\n", 11},
        {"echo a\tb\n", 9}, {"echo x\r\n", 8},
    };
    char text[256];

    for (size_t i = 0; i < ARRAY_SIZE(CASES); i++) {
        int fd = connect_raw();

        assert_int_equal(ctl_wire_write(fd, CASES[i].bytes, CASES[i].len), 0);
        read_raw(fd, text, sizeof(text));
        assert_string_equal(text, "error the request holds control characters\n");
        close(fd);
    }
    /* What follows the first line is not looked at. */
    int fd = connect_raw();
    assert_int_equal(ctl_wire_write(fd, "echo x\n\0\xff garbage", 17), 0);
    read_raw(fd, text, sizeof(text));
    assert_string_equal(text, "ok\necho: x\nbytes: 1\n");
    close(fd);
}

static void test_longest_line(void **state)
{
    CLEANUP_FREE char *line = calloc(1, LIMIT_CTL_MESSAGE + 2);
    CLEANUP_STRBUF struct strbuf answer = STRBUF_INIT(2 * LIMIT_CTL_MESSAGE);

    assert_non_null(line);
    memset(line, 'a', LIMIT_CTL_MESSAGE + 1);
    memcpy(line, "echo ", 5);
    expect_error(line, "the request is too long");
    /* A line of the full length is read; the answer to it does not fit. */
    line[LIMIT_CTL_MESSAGE] = '\0';
    expect_error(line, "the answer to 'echo' is too long");
    line[LIMIT_CTL_MESSAGE - 100] = '\0';
    assert_int_equal(ask(line, &answer), 0);
    assert_non_null(strstr(strbuf_str(&answer), "bytes: 65431\n"));
}

static void test_clients_that_go_away(void **state)
{
    char text[64];
    int fd = connect_raw();

    /* Half a line, then the end: no answer, and nothing hangs. */
    assert_int_equal(ctl_wire_write(fd, "echo half", 9), 0);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    assert_int_equal(read_raw(fd, text, sizeof(text)), 0);
    close(fd);
    fd = connect_raw();
    assert_int_equal(ctl_wire_write(fd, "echo half", 9), 0);
    close(fd);
    fd = connect_raw();
    close(fd);
    /* Whole requests whose sender does not wait for the answer (SIGPIPE would end the process). */
    for (unsigned i = 0; i < CTL_CONNECTIONS_MAX / 2; i++) {
        fd = connect_raw();
        assert_int_equal(ctl_wire_write(fd, "flood\n", 6), 0);
        close(fd);
    }
    expect_answer("echo alive", "echo: alive\nbytes: 5\n");
}

static void *ask_many(void *arg)
{
    unsigned id = *(unsigned *)arg;

    for (unsigned i = 0; i < 20; i++) {
        CLEANUP_STRBUF struct strbuf answer = STRBUF_INIT(LIMIT_CTL_MESSAGE);
        struct s3_error e = {0};
        char line[64], expected[128];

        snprintf(line, sizeof(line), "echo %04u.%04u", id, i);
        snprintf(expected, sizeof(expected), "echo: %04u.%04u\nbytes: 9\n", id, i);
        if (ctl_request(mountpoint, geteuid(), line, TIMEOUT_MS, &answer, &e) < 0 ||
            strcmp(strbuf_str(&answer), expected) != 0)
            return e.message[0] ? strdup(e.message) : strdup(strbuf_str(&answer));
    }
    return NULL;
}

static void test_parallel_clients(void **state)
{
    pthread_t threads[20];
    unsigned ids[ARRAY_SIZE(threads)];

    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
        ids[i] = i;
        assert_int_equal(pthread_create(&threads[i], NULL, ask_many, &ids[i]), 0);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(threads); i++) {
        void *wrong = NULL;

        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        if (wrong)
            print_error("client %u: %s\n", i, (char *)wrong);
        assert_null(wrong);
    }
}

/* Requests that block hold up nobody until there are as many as connections; then it says so. */
static void test_busy(void **state)
{
    int fds[CTL_CONNECTIONS_MAX];
    char text[64];

    for (unsigned i = 0; i < ARRAY_SIZE(fds) - 1; i++) {
        fds[i] = connect_raw();
        assert_int_equal(ctl_wire_write(fds[i], "block\n", 6), 0);
    }
    wait_for_blocked(ARRAY_SIZE(fds) - 1);
    expect_answer("echo free", "echo: free\nbytes: 4\n");
    fds[ARRAY_SIZE(fds) - 1] = connect_raw();
    assert_int_equal(ctl_wire_write(fds[ARRAY_SIZE(fds) - 1], "block\n", 6), 0);
    wait_for_blocked(ARRAY_SIZE(fds));
    expect_error("echo one too many", "too many requests at the same time");
    set_gate(true);
    for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
        read_raw(fds[i], text, sizeof(text));
        assert_string_equal(text, "ok\nblocked: yes\n");
        close(fds[i]);
    }
}

static void *open_gate_when_unlinked(void *arg)
{
    /* ctl_server_free takes the name away before it waits. */
    while (access(socket_path, F_OK) == 0)
        (void)poll(NULL, 0, 1);
    set_gate(true);
    return NULL;
}

static void test_free_waits_for_running_verbs(void **state)
{
    pthread_t opener;
    char text[64];
    int fd;

    assert_int_equal(start_server(state), 0);
    fd = connect_raw();
    assert_int_equal(ctl_wire_write(fd, "block\n", 6), 0);
    wait_for_blocked(1);
    assert_int_equal(pthread_create(&opener, NULL, open_gate_when_unlinked, NULL), 0);
    ctl_server_free(server);
    server = NULL;
    assert_int_equal(gate_waiting, 0);
    pthread_join(opener, NULL);
    read_raw(fd, text, sizeof(text));
    assert_string_equal(text, "ok\nblocked: yes\n");
    close(fd);
}

static void test_nobody_there(void **state)
{
    CLEANUP_STRBUF struct strbuf answer = STRBUF_INIT(LIMIT_CTL_MESSAGE);

    assert_true(ask("echo", &answer) < 0);
    assert_int_equal(err.kind, S3_ERROR_CONNECT);
    assert_non_null(strstr(err.message, mountpoint));
    assert_non_null(strstr(err.message, socket_path));
}

/* A daemon that finishes late must not take away the socket of the next one. */
static void test_successor_keeps_its_socket(void **state)
{
    struct ctl_server *next = NULL;
    pid_t pid = 0;

    assert_int_equal(start_server(state), 0);
    assert_int_equal(start(&next), 0);
    ctl_server_free(server);
    server = next;
    expect_answer("echo next", "echo: next\nbytes: 4\n");
    assert_int_equal(ctl_daemon_pid(mountpoint, geteuid(), &pid, &err), 0);
    assert_int_equal(pid, getpid());
    assert_int_equal(stop_server(state), 0);
}

/* What a daemon that was killed leaves: a name where nobody listens. */
static int bind_raw(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path, socket_path, sizeof(socket_path));
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void test_stale_socket_is_replaced(void **state)
{
    close(bind_raw());
    assert_int_equal(access(socket_path, F_OK), 0);
    test_nobody_there(state);
    assert_int_equal(start_server(state), 0);
    expect_answer("echo new", "echo: new\nbytes: 3\n");
    assert_int_equal(stop_server(state), 0);
}

static void test_folder_is_private(void **state)
{
    char folder[64];
    struct stat st;

    snprintf(folder, sizeof(folder), "%s/pailfs", dir);
    assert_int_equal(chmod(folder, 0777), 0);
    assert_int_equal(start_server(state), 0);
    assert_int_equal(stat(folder, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stop_server(state), 0);
}

/* Runs in a child with another effective id: 0 when the answer is as expected. */
static int ask_as(uid_t uid, const char *expected)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        char text[128];
        int fd;

        if (seteuid(0) < 0 || setresuid(uid, uid, uid) < 0)
            _exit(2);
        fd = connect_raw();
        /* A server that refuses may have closed already: what counts is its answer. */
        (void)ctl_wire_write(fd, "echo x\n", 7);
        read_raw(fd, text, sizeof(text));
        _exit(strcmp(text, expected) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

/* The folder's mode keeps strangers out; should it be opened, the server still looks who asks. */
static void test_strangers_are_refused(void **state)
{
    char folder[64];

    if (!is_root) {
        skip();
        return;
    }
    assert_int_equal(start_server(state), 0);
    assert_int_equal(ask_as(0, "ok\necho: x\nbytes: 1\n"), 0);
    snprintf(folder, sizeof(folder), "%s/pailfs", dir);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(chmod(socket_path, 0777), 0);
    assert_int_equal(ask_as(STRANGER, "error only the owner of the mount and root may ask\n"), 0);
    assert_int_equal(ask_as(OWNER, "ok\necho: x\nbytes: 1\n"), 0);
    assert_int_equal(stop_server(state), 0);
}

/* And a client does not believe a stranger who listens where the owner's daemon would. */
static void test_impostors_are_refused(void **state)
{
    CLEANUP_STRBUF struct strbuf answer = STRBUF_INIT(LIMIT_CTL_MESSAGE);
    int fd, r;

    if (!is_root) {
        skip();
        return;
    }
    fd = bind_raw();
    /* SO_PEERCRED is who called listen(2). */
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(seteuid(STRANGER), 0);
    r = listen(fd, 8);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(seteuid(OWNER), 0);
    assert_int_equal(r, 0);
    assert_true(ask("echo", &answer) < 0);
    assert_int_equal(err.kind, S3_ERROR_CONNECT);
    close(fd);
    assert_int_equal(unlink(socket_path), 0);
}

static void test_socket_paths(void **state)
{
    char first[108], second[108], small[20];

    assert_int_equal(ctl_socket_path("/mnt", 0, 0, first, sizeof(first)), 0);
    assert_int_equal(strncmp(first, "/run/pailfs/", 12), 0);
    assert_int_equal(ctl_socket_path("/mnt", 0, 1, first, sizeof(first)), -ENOENT);
    /* One's own begins in $XDG_RUNTIME_DIR, another user's cannot. */
    assert_int_equal(ctl_socket_path("/mnt", geteuid(), 0, first, sizeof(first)), 0);
    assert_int_equal(strncmp(first, dir, strlen(dir)), 0);
    assert_int_equal(ctl_socket_path("/mnt", 77, 0, first, sizeof(first)), 0);
    assert_int_equal(strncmp(first, "/run/user/77/pailfs/", 20), 0);
    assert_int_equal(ctl_socket_path("/mnt", 77, 1, second, sizeof(second)), 0);
    assert_int_equal(strncmp(second, "/tmp/pailfs-77/", 15), 0);
    assert_string_equal(strrchr(first, '/'), strrchr(second, '/'));
    assert_int_equal(ctl_socket_path("/mnt", 77, 2, first, sizeof(first)), -ENOENT);
    assert_int_equal(ctl_socket_path("/mnt2", 77, 1, first, sizeof(first)), 0);
    assert_string_not_equal(first, second);
    assert_int_equal(ctl_socket_path("/mnt", 77, 0, small, sizeof(small)), -ENAMETOOLONG);
}

static void test_mountinfo(void **state)
{
    static const char text[] =
        "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"
        "30 22 0:40 / /mnt/a rw,nosuid shared:9 master:3 - fuse.pailfs bucket:/p rw,user_id=1000,"
        "group_id=1000,allow_other\n"
        "31 22 0:41 / /mnt/s\\040p\\011t\\012n\\134b rw - fuse.pailfs a\\040b "
        "rw,user_id=0,group_id=0\n"
        "32 22 0:42 / /mnt/\\040-\\040x rw - fuse.pailfs dash rw,user_id=7\n"
        "33 22 0:43 / /mnt/other rw - fuse.s3fs s3fs rw,user_id=0\n"
        "34 22 0:44 / /mnt/like rw - fuse.pailfsx x rw,user_id=0\n"
        "35 22 0:45 / /mnt/a/in rw - fuse.pailfs inner rw,user_id=0\n"
        "36 22 0:46 / /mnt/nouser rw - fuse.pailfs nouser rw\n"
        "37 22 0:47 / /mnt/octal\\400\\8\\ rw - fuse.pailfs octal rw,user_id=4294967294\n"
        "short line\n"
        "- - -\n"
        "38 22 0:48 / - fuse.pailfs x rw\n"
        "39 22 0:49 / /mnt/a rw - fuse.pailfs over rw,user_id=5"; /* on top of the first; no newline
                                                                   */
    static const struct {
        const char *mountpoint, *source;
        uid_t uid;
    } EXPECTED[] = {
        {"/mnt/a", "bucket:/p", 1000}, {"/mnt/s p\tt\nn\\b", "a b", 0},
        {"/mnt/ - x", "dash", 7},      {"/mnt/a/in", "inner", 0},
        {"/mnt/nouser", "nouser", 0},  {"/mnt/octal\\400\\8\\", "octal", 4294967294u},
        {"/mnt/a", "over", 5},
    };
    FILE *f = fmemopen((void *)text, sizeof(text) - 1, "r");
    struct ctl_mount *mounts = NULL;
    const struct ctl_mount *m;
    size_t n = 0;

    assert_non_null(f);
    assert_int_equal(ctl_mounts_read(f, &mounts, &n), 0);
    fclose(f);
    assert_int_equal(n, ARRAY_SIZE(EXPECTED));
    for (size_t i = 0; i < n; i++) {
        assert_string_equal(mounts[i].mountpoint, EXPECTED[i].mountpoint);
        assert_string_equal(mounts[i].source, EXPECTED[i].source);
        assert_int_equal(mounts[i].uid, EXPECTED[i].uid);
    }
    m = ctl_mounts_find(mounts, n, "/mnt/a/in/deep");
    assert_non_null(m);
    assert_string_equal(m->source, "inner");
    m = ctl_mounts_find(mounts, n, "/mnt/a/inner"); /* a prefix of the text, not of the path */
    assert_non_null(m);
    assert_string_equal(m->source, "over");
    assert_null(ctl_mounts_find(mounts, n, "/mnt"));
    assert_null(ctl_mounts_find(mounts, n, "/mnt/ab"));
    ctl_mounts_free(mounts, n);
    ctl_mounts_free(NULL, 0);
}

int main(void)
{
#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, start_server, stop_server)
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_requests),
        WITH_SERVER(test_errors_are_one_sentence),
        WITH_SERVER(test_hostile_bytes),
        WITH_SERVER(test_longest_line),
        WITH_SERVER(test_clients_that_go_away),
        WITH_SERVER(test_parallel_clients),
        WITH_SERVER(test_busy),
        cmocka_unit_test(test_free_waits_for_running_verbs),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_successor_keeps_its_socket),
        cmocka_unit_test(test_stale_socket_is_replaced),
        cmocka_unit_test(test_folder_is_private),
        cmocka_unit_test(test_strangers_are_refused),
        cmocka_unit_test(test_impostors_are_refused),
        cmocka_unit_test(test_socket_paths),
        cmocka_unit_test(test_mountinfo),
    };
    return cmocka_run_group_tests_name("ctl", tests, setup, teardown);
}
