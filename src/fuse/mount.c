/* SPDX-License-Identifier: Apache-2.0 */
#include "fuse/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "fuse/adapter.h"
#include "fuse/notifier.h"
#include "fuse/receive.h"

/* Requests that the kernel sends ahead (readahead): the default of 12 is 1.5 MiB under way. */
#define MAX_BACKGROUND 128u
/* Of the protocol's minor version: Linux 4.7. */
#define FIRST_PARALLEL_DIROPS 25u
/* Bytes that the kernel reads ahead of a sequential reader; the device's default is 128 KiB, which
 * also caps a request. 4 MiB was the fastest of 1, 4 and 16 MiB. Needs root. */
#define READ_AHEAD_KB "4096"

/* Workers that are kept: each has a buffer of the largest request. More of them are only needed
 * while the store does not answer, lest those fill all places who wait for it: the requests that
 * the kernel sends ahead of readers are MAX_BACKGROUND alone. */
#define IDLE_THREADS 64u

struct fuse_mount {
    /* constant after new */
    char *mountpoint;
    char *kernel_options;
    unsigned max_threads;
    bool debug;
    void (*ready)(void *ctx);
    void *ready_ctx;
    struct notifier *notifier;
    struct waiting *waiting;
    struct adapter_handles handles;
    /* constant after attach */
    struct vfs *vfs;
    struct fuse_session *session;
    bool mounted;
    char read_ahead_path[64];
    atomic_bool greeting; /* the next answer is the one to the kernel's greeting */
    atomic_bool tuned;    /* the first request has come */
    struct receive receive;
    atomic_uint dropping; /* workers in adapter_range_changed */
};

int fuse_mountpoint_check(const char *path, struct s3_error *reterr)
{
    struct stat st;

    if (stat(path, &st) < 0) {
        if (errno == ENOENT)
            return s3_error_set(reterr, S3_ERROR_CONFIG,
                                "mount point '%s' does not exist: make it (mkdir -p '%s')", path,
                                path);
        if (errno == ENOTCONN)
            return s3_error_set(reterr, S3_ERROR_CONFIG,
                                "a dead mount is on '%s': remove it (fusermount3 -u '%s')", path,
                                path);
        return s3_error_set(reterr, S3_ERROR_CONFIG, "mount point '%s': %s", path, strerror(errno));
    }
    if (!S_ISDIR(st.st_mode))
        return s3_error_set(reterr, S3_ERROR_CONFIG, "mount point '%s' is not a directory", path);
    return 0;
}

struct fuse_mount *adapter_mount(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

struct vfs *adapter_vfs(fuse_req_t req)
{
    return adapter_mount(req)->vfs;
}

struct waiting *adapter_waiting(struct fuse_mount *m)
{
    return m->waiting;
}

struct receive *adapter_receive(struct fuse_mount *m)
{
    return &m->receive;
}

struct adapter_handles *adapter_handles_of(struct fuse_mount *m)
{
    return &m->handles;
}

void adapter_unheard_change(const struct adapter_request *a)
{
    notifier_inode_changed(a->mount->notifier, a->ino);
    if (a->name)
        notifier_entry_gone(a->mount->notifier, a->ino, a->name);
    if (a->other_name)
        notifier_entry_gone(a->mount->notifier, a->waiting.other_ino, a->other_name);
}

/* ---- waiting.h ---- */

static void answer_interrupted(const struct waiting_entry *e)
{
    if (e->size)
        fuse_reply_write(e->req, e->size);
    else
        fuse_reply_err(e->req, EINTR);
}

static void forget_now(void *ctx, uint64_t ino, uint64_t n)
{
    struct fuse_mount *m = ctx;

    vfs_forget(m->vfs, ino, n);
}

static void tell_interrupted(void *ctx, const struct waiting_entry *e)
{
    struct fuse_mount *m = ctx;
    char key[1100];

    if (e->kind == WAITING_LOOKS && !log_enabled(LOG_LEVEL_DEBUG))
        return;
    vfs_describe(m->vfs, e->ino, key, sizeof(key));
    if (e->kind != WAITING_LOOKS)
        log_info("%s '%s': process %ld was killed while it waited; what it began goes on", e->op,
                 key, (long)e->thread);
    else
        log_debug("%s '%s': interrupted", e->op, key);
}

/* libfuse's warning of notifications from within a request is of those that take the inode's lock,
 * and dropping a range of pages does not. It waits for reads of them, though, which need a worker:
 * never all of them wait. */
void adapter_range_changed(const struct adapter_request *a, uint64_t offset, size_t size)
{
    struct fuse_mount *m = a->mount;
    if (atomic_fetch_add(&m->dropping, 1) < m->max_threads / 2)
        (void)fuse_lowlevel_notify_inval_inode(m->session, a->ino, (off_t)offset, (off_t)size);
    else
        notifier_inode_changed(m->notifier, a->ino);
    atomic_fetch_sub(&m->dropping, 1);
}

/* The session's read and writev. libfuse 3.14 does not pass on FUSE_CAP_PARALLEL_DIROPS: all who
 * look for a name in one directory would wait for each other, in a way that no signal ends. */
static ssize_t read_device(int fd, void *buf, size_t size, void *userdata)
{
    struct fuse_mount *m = userdata;

    return receive_request(&m->receive, fd, buf, size);
}

/* And no notification, which answers no request and may come from another thread before it. */
static bool is_greeting(const struct iovec *iov, int count)
{
    return count == 2 && iov[0].iov_len >= sizeof(struct fuse_out_header) &&
           ((const struct fuse_out_header *)iov[0].iov_base)->unique != 0 &&
           iov[1].iov_len == sizeof(struct fuse_init_out);
}

static ssize_t write_device(int fd, struct iovec *iov, int count, void *userdata)
{
    struct fuse_mount *m = userdata;

    if (atomic_load_explicit(&m->greeting, memory_order_relaxed) && is_greeting(iov, count) &&
        atomic_exchange(&m->greeting, false))
        ((struct fuse_init_out *)iov[1].iov_base)->flags |= FUSE_PARALLEL_DIROPS;
    return writev(fd, iov, count);
}

static const struct fuse_custom_io device_io = {.read = read_device, .writev = write_device};

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
    struct fuse_mount *m = userdata;

    /* Content is dropped when we say so (notifier) or on open; attributes by their TTL. The
     * automatic way asks for attributes with every read. */
    conn->want &=
        ~(unsigned)(FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE |
                    FUSE_CAP_SPLICE_MOVE | FUSE_CAP_WRITEBACK_CACHE |
                    /* The kernel takes set-user-ID bits away by setattr: we would not. */
                    FUSE_CAP_HANDLE_KILLPRIV);
    conn->want |= conn->capable &
                  (FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_ASYNC_READ |
                   FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO);
    conn->max_background = MAX_BACKGROUND;
    conn->congestion_threshold = MAX_BACKGROUND * 3 / 4;
    if (m->ready)
        m->ready(m->ready_ctx);
    m->greeting = conn->proto_minor >= FIRST_PARALLEL_DIROPS;
}

const struct fuse_lowlevel_ops adapter_ops = {
    .init = op_init,
    .lookup = op_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .getattr = op_getattr,
    .setattr = op_setattr,
    .mknod = op_mknod,
    .mkdir = op_mkdir,
    .unlink = op_unlink,
    .rmdir = op_rmdir,
    .rename = op_rename,
    .link = op_link,
    .symlink = op_symlink,
    .readlink = op_readlink,
    .setxattr = op_setxattr,
    .getxattr = op_getxattr,
    .listxattr = op_listxattr,
    .removexattr = op_removexattr,
    .statfs = op_statfs,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .readdirplus = op_readdirplus,
    .releasedir = op_releasedir,
    .fsyncdir = op_fsyncdir,
    .open = op_open,
    .create = op_create,
    .read = op_read,
    .write = op_write,
    .copy_file_range = op_copy_file_range,
    .fallocate = op_fallocate,
    .lseek = op_lseek,
    .flush = op_flush,
    .fsync = op_fsync,
    .release = op_release,
};

int fuse_mount_new(const struct fuse_mount_options *opts, struct fuse_mount **ret,
                   struct s3_error *reterr)
{
    struct fuse_mount *m = calloc(1, sizeof(*m));
    const struct waiting_hooks hooks = {
        .answer = answer_interrupted, .forget = forget_now, .tell = tell_interrupted, .ctx = m};

    if (m) {
        adapter_handles_init(&m->handles);
        m->mountpoint = strdup(opts->mountpoint);
        m->kernel_options = strdup(opts->kernel_options ? opts->kernel_options : "");
        m->max_threads = opts->max_threads ? opts->max_threads : 256;
        m->debug = opts->debug;
        m->ready = opts->ready;
        m->ready_ctx = opts->ctx;
    }
    if (!m || !m->mountpoint || !m->kernel_options || notifier_new(&m->notifier) < 0 ||
        waiting_new(&hooks, &m->waiting) < 0) {
        fuse_mount_free(m);
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "no memory for the mount");
    }
    *ret = m;
    return 0;
}

struct vfs_notify fuse_mount_notify(struct fuse_mount *m)
{
    return (struct vfs_notify){.inode_changed = notifier_inode_changed,
                               .entry_gone = notifier_entry_gone,
                               .ctx = m->notifier};
}

/* As /proc/self/mountinfo writes paths (proc(5)). */
static void escape_path(const char *path, char *buf, size_t size)
{
    size_t n = 0;

    for (; *path && n + 5 < size; path++) {
        if (strchr(" \t\n\\", *path))
            n += (size_t)snprintf(buf + n, size - n, "\\%03o", (unsigned char)*path);
        else
            buf[n++] = *path;
    }
    buf[n] = '\0';
}

/* From the kernel's list, not from the mount: a daemon that looks at its own mount point may wait
 * for itself, and makes an unmount at that moment fail. */
static void find_device(struct fuse_mount *m)
{
    CLEANUP_FILE FILE *f = fopen("/proc/self/mountinfo", "re");
    CLEANUP_FREE char *line = NULL;
    char want[4 * PATH_MAX], path[4 * PATH_MAX + 1];
    size_t size = 0;
    unsigned major, minor;

    escape_path(m->mountpoint, want, sizeof(want));
    while (f && getline(&line, &size, f) > 0) {
        if (strlen(line) > 4 * PATH_MAX ||
            sscanf(line, "%*u %*u %u:%u %*s %s", &major, &minor, path) != 3)
            continue;
        /* The last one lies on top. */
        if (strcmp(path, want) == 0)
            (void)snprintf(m->read_ahead_path, sizeof(m->read_ahead_path),
                           "/sys/class/bdi/%u:%u/read_ahead_kb", major, minor);
    }
}

/* Best effort: without root, or in a container, the default stays. Not before the first request:
 * the kernel sets the value itself when it has our answer to its greeting. */
void adapter_first_request(fuse_req_t req)
{
    struct fuse_mount *m = fuse_req_userdata(req);
    CLEANUP_FD int fd = -1;

    if (atomic_load_explicit(&m->tuned, memory_order_relaxed) || atomic_exchange(&m->tuned, true))
        return;
    fd = open(m->read_ahead_path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, READ_AHEAD_KB, strlen(READ_AHEAD_KB)) < 0)
        log_debug("'%s': %s: the kernel's own readahead stays", m->read_ahead_path,
                  strerror(errno));
}

/* libfuse prints why a mount failed on its log: keep its words for our one sentence. */
static _Thread_local char fuse_words[256];

static void keep_fuse_words(enum fuse_log_level level, const char *fmt, va_list ap)
{
    char text[256];

    (void)vsnprintf(text, sizeof(text), fmt, ap);
    text[strcspn(text, "\n")] = '\0';
    if (level <= FUSE_LOG_WARNING)
        (void)snprintf(fuse_words, sizeof(fuse_words), "%s", text);
    log_debug("libfuse: %s", text);
}

int fuse_mount_attach(struct fuse_mount *m, struct vfs *v, struct s3_error *reterr)
{
    char *argv[] = {(char *)"pailfs", (char *)"-o", m->kernel_options, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(*m->kernel_options ? 3 : 1, argv);

    m->vfs = v;
    fuse_words[0] = '\0';
    fuse_set_log_func(keep_fuse_words);
    if (m->debug)
        (void)fuse_opt_add_arg(&args, "-d");
    m->session = fuse_session_new(&args, &adapter_ops, sizeof(adapter_ops), m);
    fuse_opt_free_args(&args);
    if (!m->session)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "libfuse refused the options '%s': %s",
                            m->kernel_options, fuse_words);
    if (fuse_session_mount(m->session, m->mountpoint) != 0)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "cannot mount on '%s': %s%s", m->mountpoint,
                            *fuse_words ? fuse_words : strerror(errno),
                            access("/dev/fuse", F_OK) != 0
                                ? " (there is no /dev/fuse: load the module with modprobe fuse)"
                                : "");
    m->mounted = true;
    if (fuse_session_custom_io(m->session, &device_io, fuse_session_fd(m->session)) != 0)
        log_debug("lookups in one directory come one after the other");
    find_device(m);
    return 0;
}

int fuse_mount_loop(struct fuse_mount *m)
{
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    int r;

    if (!config)
        return -ENOMEM;
    fuse_loop_cfg_set_max_threads(config, m->max_threads);
    fuse_loop_cfg_set_idle_threads(config, MIN(m->max_threads, IDLE_THREADS));
    fuse_loop_cfg_set_clone_fd(config, 0);
    receive_init(&m->receive, m->vfs);
    r = notifier_start(m->notifier, m->session);
    if (r == 0) {
        if (waiting_start(m->waiting) < 0)
            log_warn("no thread for interrupted calls: they end when the store answers");
        r = fuse_session_loop_mt(m->session, config);
        if (r > 0) /* ended by a signal */
            r = 0;
        waiting_stop(m->waiting);
        notifier_stop(m->notifier);
        adapter_handles_release(&m->handles, m->vfs);
    }
    receive_done(&m->receive);
    fuse_loop_cfg_destroy(config);
    return r;
}

/* As an ordinary user only the set-uid fusermount3 may unmount. */
static int run_fusermount(const char *mountpoint)
{
    int status;
    pid_t pid = fork();

    if (pid < 0)
        return -errno;
    if (pid == 0) {
        execlp("fusermount3", "fusermount3", "-u", "-z", "-q", "--", mountpoint, (char *)NULL);
        _exit(127);
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

int fuse_mount_detach(struct fuse_mount *m)
{
    if (geteuid() != 0)
        return run_fusermount(m->mountpoint);
    return umount2(m->mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno != EINVAL ? -errno : 0;
}

void fuse_mount_free(struct fuse_mount *m)
{
    if (!m)
        return;
    notifier_free(m->notifier);
    if (m->mounted)
        fuse_session_unmount(m->session);
    if (m->session)
        fuse_session_destroy(m->session);
    waiting_free(m->waiting);
    adapter_handles_done(&m->handles);
    free(m->mountpoint);
    free(m->kernel_options);
    free(m);
}
