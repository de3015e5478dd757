/* SPDX-License-Identifier: Apache-2.0 */
/* pailfs: mounts a bucket. Parses, goes into the background, assembles the layers, serves, and ends
 * with everything in S3. Exit status as mount(8)'s helpers have it. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "conf/conf.h"
#include "control.h"
#include "ctl/ctl.h"
#include "daemon.h"
#include "fuse/mount.h"
#include "recover.h"
#include "start.h"

enum { EXIT_OK = 0, EXIT_USAGE = 1, EXIT_SYSTEM = 2, EXIT_MOUNT = 32 };

/* How long programs may hold files open after SIGTERM before the daemon ends without them. */
#define GRACE_NS (10 * (uint64_t)NS_PER_S)
/* At the end, between looks for signals and between lines of the log. */
#define DRAIN_STEP_NS (200 * (uint64_t)NS_PER_MS)
#define DRAIN_TELL_NS (5 * (uint64_t)NS_PER_S)

struct app {
    struct conf_options options;
    struct daemon daemon;
    struct start start;
    struct recover recover;
    struct fuse_mount *mount;
    struct control control;
    struct ctl_server *ctl;
    pthread_t signal_thread;
    atomic_bool serving; /* the loop has not ended */
};

static void print_error(const char *text)
{
    fprintf(stderr, "pailfs: %s\n", text);
}

/* Every thread inherits the mask: only the signal thread takes them. */
static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGQUIT);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR1);
    sigaddset(set, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
}

static void log_left(struct app *app)
{
    struct writeback_stats w;

    if (!app->start.writeback)
        return;
    writeback_stats(app->start.writeback, &w);
    if (w.changes)
        log_warn("ending with %" PRIu64 " changes not stored yet: they stay in '%s', and the next "
                 "mount of the bucket stores them",
                 w.changes, app->start.state_dir->path);
}

static int sync_and_log(struct app *app)
{
    struct s3_error err = {0};
    char text[1024];
    int r = vfs_sync(app->start.vfs, &err);

    if (r < 0)
        log_error("upload at the end: %s",
                  err.kind ? s3_error_describe(&err, text, sizeof(text)) : strerror(-r));
    return r;
}

/* What was acknowledged goes to S3 before the process ends. Nobody waits for it but a service
 * manager with a time limit, and what is left then is sent by the next mount. */
static void drain(struct app *app)
{
    const struct timespec now = {0};
    uint64_t told = clock_monotonic_ns(clock_system());
    struct writeback_stats w;
    sigset_t set;

    if (!app->start.writeback)
        return;
    block_signals(&set);
    while (!writeback_drain(app->start.writeback, DRAIN_STEP_NS)) {
        int sig = sigtimedwait(&set, NULL, &now);
        bool end = sig == SIGTERM || sig == SIGINT || sig == SIGQUIT;
        uint64_t ns = clock_monotonic_ns(clock_system());

        if (!end && ns - told < DRAIN_TELL_NS)
            continue;
        told = ns;
        writeback_stats(app->start.writeback, &w);
        log_info("'%s': %" PRIu64 " changes with %" PRIu64 " bytes are still to be stored%s%s",
                 app->options.mountpoint, w.changes, w.bytes, w.last_error[0] ? ": " : "",
                 w.last_error);
        if (end) {
            log_left(app);
            return;
        }
    }
}

/* The name goes at once, what is open stays usable; then what was written goes up. */
static void begin_end(struct app *app)
{
    int r = fuse_mount_detach(app->mount);

    if (r < 0)
        log_error("unmount of '%s': %s", app->options.mountpoint, strerror(-r));
    (void)sync_and_log(app); /* what fails now is tried once more at the end */
}

static void end_now(struct app *app)
{
    int status;

    log_warn("ending although files on '%s' are still open", app->options.mountpoint);
    status = sync_and_log(app) < 0 ? EXIT_SYSTEM : EXIT_OK;
    log_left(app);
    ctl_server_free(app->ctl);
    _exit(status);
}

/* 0 = go on; sets *ret_deadline when the end has begun. */
static void handle_signal(struct app *app, int sig, uint64_t *deadline)
{
    switch (sig) {
    case SIGHUP:
        if (log_reopen() < 0)
            log_warn("the log file could not be opened again");
        break;
    case SIGUSR1:
    case SIGUSR2: /* s3fs and mountpoint-s3 have USR2 for this: one level more, in a circle */
        log_set_level((enum log_level)((log_get_level() + 1) % LOG_LEVEL_MAX));
        log_error("log level is now %s", log_level_name(log_get_level()));
        break;
    default:
        if (*deadline)
            end_now(app);
        log_info("signal %d: unmounting '%s'", sig, app->options.mountpoint);
        begin_end(app);
        *deadline = clock_monotonic_ns(clock_system()) + GRACE_NS;
    }
}

static void *signal_main(void *arg)
{
    struct app *app = arg;
    const struct timespec tick = {.tv_nsec = 100 * NS_PER_MS};
    uint64_t deadline = 0;
    sigset_t set;

    block_signals(&set);
    while (atomic_load(&app->serving)) {
        int sig = sigtimedwait(&set, NULL, &tick);

        if (sig > 0)
            handle_signal(app, sig, &deadline);
        else if (deadline && clock_monotonic_ns(clock_system()) > deadline)
            end_now(app);
    }
    return NULL;
}

/* Called by the FUSE layer when the kernel has greeted us: the mount answers. */
static void on_ready(void *ctx)
{
    struct app *app = ctx;
    const struct conf_options *o = &app->options;
    int r = 0;

    if (o->log_file)
        r = log_open(LOG_TARGET_FILE, o->log_file);
    else if (!o->foreground)
        r = log_open(LOG_TARGET_SYSLOG, NULL);
    if (r < 0)
        log_error("log file '%s': %s", o->log_file ? o->log_file : "syslog", strerror(-r));
    log_info("bucket '%s' is mounted on '%s'", o->bucket, o->mountpoint);
    daemon_ready(&app->daemon);
    recover_begin(&app->recover); /* what it says goes to the log that is open now */
}

static int mount_up(struct app *app, struct s3_error *err)
{
    CLEANUP_STRBUF struct strbuf kernel = STRBUF_INIT(4096);
    struct fuse_mount_options opts = {.mountpoint = app->options.mountpoint,
                                      .max_threads = app->options.max_threads,
                                      .ready = on_ready,
                                      .ctx = app};
    int r = start_connect(&app->start, &app->options, err);

    if (r < 0)
        return r;
    conf_kernel_options(&app->options, &kernel);
    opts.kernel_options = strbuf_str(&kernel);
    r = fuse_mount_new(&opts, &app->mount, err);
    if (r == 0)
        r = start_filesystem(&app->start, &app->options, fuse_mount_notify(app->mount), err);
    if (r == 0)
        r = fuse_mount_attach(app->mount, app->start.vfs, err);
    return r;
}

/* The mount works without it: a failure is told and lived with. */
static void control_up(struct app *app)
{
    struct ctl_server_options opts = {
        .mountpoint = app->options.mountpoint, .verbs = control_verbs, .ctx = &app->control};
    struct s3_error err = {0};

    app->control = (struct control){.options = &app->options,
                                    .start = &app->start,
                                    .recover = &app->recover,
                                    .since_ns = clock_monotonic_ns(clock_system())};
    if (ctl_server_new(&opts, &app->ctl, &err) < 0)
        log_warn("%s; pailctl will not reach this mount", err.message);
}

static int serve(struct app *app)
{
    struct s3_error err = {0};
    int r = mount_up(app, &err);

    if (r < 0) {
        print_error(err.message[0] ? err.message : strerror(-r));
        return EXIT_MOUNT;
    }
    recover_init(&app->recover, &app->start);
    control_up(app);
    atomic_store(&app->serving, true);
    r = -pthread_create(&app->signal_thread, NULL, signal_main, app);
    if (r < 0) {
        print_error("no thread for signals");
        return EXIT_SYSTEM;
    }
    r = fuse_mount_loop(app->mount);
    if (app->start.writeback)
        start_set_draining(&app->start, true);
    recover_end(&app->recover);
    atomic_store(&app->serving, false);
    pthread_join(app->signal_thread, NULL);
    if (r < 0)
        log_error("the session with the kernel ended: %s", strerror(-r));
    if (sync_and_log(app) < 0 && r == 0)
        r = -EIO;
    drain(app);
    start_set_draining(&app->start, false);
    log_info("'%s' is unmounted", app->options.mountpoint);
    return r < 0 ? EXIT_SYSTEM : EXIT_OK;
}

/* Notes of the parser ("accepted without effect"), one line each. */
static void log_notes(const struct conf_options *o)
{
    const char *p = strbuf_str(&o->notes);

    while (*p) {
        size_t len = strcspn(p, "\n");

        log_warn("%.*s", (int)len, p);
        p += len + (p[len] == '\n');
    }
}

/* Keys are in this process' memory: no core file, and no ptrace by others of the same user. */
static void protect_secrets(void)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0);
}

/* Two mounts on one folder: the upper one hides the lower, and a program that wrote to the first
 * would not find it. mount(8) and an init script that runs twice do it by mistake. */
static int refuse_second(const struct conf_options *o, struct s3_error *err)
{
    struct ctl_mount *mounts = NULL;
    size_t n = 0;
    int r = 0;

    if (o->nonempty || ctl_mounts_list(&mounts, &n) < 0)
        return 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        if (strcmp(mounts[i].mountpoint, o->mountpoint) == 0)
            r = s3_error_set(err, S3_ERROR_CONFIG,
                             "'%s' is already mounted on '%s': unmount it first, or give -o "
                             "nonempty to mount over it",
                             mounts[i].source, o->mountpoint);
    }
    ctl_mounts_free(mounts, n);
    return r;
}

/* The kernel lists the mount under the resolved path; pailctl finds the socket by it. */
static int resolve_mountpoint(struct conf_options *o, struct s3_error *err)
{
    char *resolved;
    int r = fuse_mountpoint_check(o->mountpoint, err);

    if (r < 0)
        return r;
    resolved = realpath(o->mountpoint, NULL);
    if (!resolved)
        return s3_error_set(err, S3_ERROR_CONFIG, "mount point '%s': %s", o->mountpoint,
                            strerror(errno));
    free(o->mountpoint);
    o->mountpoint = resolved;
    return refuse_second(o, err);
}

static int run(struct app *app, int argc, char **argv)
{
    CLEANUP_STRBUF struct strbuf help = STRBUF_INIT(256 * KIB);
    struct s3_error err = {0};
    sigset_t set;
    int r = conf_load(&app->options, argc, argv, NULL, NULL, &err);

    if (r < 0) {
        print_error(err.message);
        return EXIT_USAGE;
    }
    if (app->options.action == CONF_ACTION_HELP) {
        conf_help(&help);
        return fputs(strbuf_str(&help), stdout) < 0 || fflush(stdout) != 0 ? EXIT_SYSTEM : EXIT_OK;
    }
    if (app->options.action == CONF_ACTION_VERSION)
        return puts("pailfs " PAILFS_VERSION) < 0 ? EXIT_SYSTEM : EXIT_OK;
    if (resolve_mountpoint(&app->options, &err) < 0) {
        print_error(err.message);
        return EXIT_MOUNT;
    }
    log_set_level((enum log_level)app->options.log_level);
    log_notes(&app->options);
    protect_secrets();
    app->daemon.ready_fd = -1;
    if (!app->options.foreground) {
        r = daemon_fork(&app->daemon);
        if (r < 0) {
            print_error(strerror(-r));
            return EXIT_SYSTEM;
        }
    }
    block_signals(&set);
    return serve(app);
}

/* Content of files has an allocator of its own (data/chunks.c). What is left are libcurl's and
 * libfuse's buffers of up to 1 MiB, used again and again: taken from the system each time they
 * would be paid for by page faults, and an arena for each of a hundred threads keeps its own. */
static void tune_allocator(void)
{
    (void)mallopt(M_ARENA_MAX, 4);
    (void)mallopt(M_MMAP_THRESHOLD, 4 * (int)MIB);
    (void)mallopt(M_TRIM_THRESHOLD, 16 * (int)MIB);
}

int main(int argc, char **argv)
{
    struct app app;
    int status;

    tune_allocator();
    memset(&app, 0, sizeof(app));
    status = run(&app, argc, argv);
    ctl_server_free(app.ctl);
    recover_end(&app.recover);
    fuse_mount_free(app.mount);
    start_done(&app.start);
    conf_done(&app.options);
    return status;
}
