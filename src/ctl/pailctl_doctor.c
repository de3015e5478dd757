/* SPDX-License-Identifier: Apache-2.0 */
/* pailctl doctor: what a mount needs, looked at piece by piece. A finding is a row: what was looked
 * at, ok, warning or problem, what was found, and what to do about it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file_io.h"
#include "base/timefmt.h"
#include "ctl/pailctl.h"
#include "meta/lost.h"
#include "meta/state_dir.h"
#include "s3/collection.h"
#include "s3/resource_bucket.h"
#include "store/store_s3.h"

#define TEXT_SIZE      1024u
#define OLD_UPLOAD_NS  (24 * 3600 * NS_PER_S)
#define SKEW_NS        (60 * NS_PER_S)
#define ROOM_BYTES     (1ull << 30)
#define PROBE_KEY      ".pailfs-unlinked/probe-doctor-"
#define UPLOADS_LOOKED 10000u

enum verdict { FINE, WARNING, PROBLEM };
static const char *const verdict_names[] = {"ok", "warning", "problem"};

struct doctor {
    struct pailctl *p;
    bool problems;
    struct s3_client *client; /* borrowed from p */
    char *bucket, *prefix;
};

static void finding(struct doctor *d, const char *check, enum verdict v, const char *remedy,
                    const char *fmt, ...) ATTR_PRINTF(5, 6);
/* remedy NULL = nothing is to be done. */
static void finding(struct doctor *d, const char *check, enum verdict v, const char *remedy,
                    const char *fmt, ...)
{
    char text[TEXT_SIZE];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    d->problems |= v == PROBLEM;
    pailctl_out_row(
        d->p->out,
        (struct pailctl_field[]){
            {"result", verdict_names[v]}, {"check", check}, {"finding", text}, {"remedy", remedy}},
        remedy || d->p->options.json ? 4 : 3);
}

static void refused(struct doctor *d, const char *check, const struct s3_error *err,
                    const char *remedy)
{
    char text[TEXT_SIZE];

    finding(d, check, PROBLEM, remedy, "%s", s3_error_describe(err, text, sizeof(text)));
}

/* ---- the server ---- */

static const char *remedy_of(const struct s3_error *err)
{
    switch ((int)err->kind) {
    case S3_ERROR_NO_SUCH_BUCKET:
    case S3_ERROR_NO_SUCH_KEY:
        return "check the bucket's name and --endpoint-url, or make it: pailctl mb";
    case S3_ERROR_BAD_CREDENTIALS:
        return "check the access key, its secret, and that they are of this endpoint";
    case S3_ERROR_EXPIRED_CREDENTIALS:
        return "renew the credentials";
    case S3_ERROR_ACCESS_DENIED:
        return "let these credentials do s3:ListBucket, s3:GetObject, s3:PutObject, "
               "s3:DeleteObject, s3:AbortMultipartUpload and s3:ListBucketMultipartUploads";
    case S3_ERROR_WRONG_REGION:
        return "give the bucket's region: --region, and -o region= with a mount";
    case S3_ERROR_CLOCK_SKEW:
        return "set this machine's clock (timedatectl set-ntp true)";
    case S3_ERROR_CONNECT:
    case S3_ERROR_TIMEOUT:
        return "check --endpoint-url, the network, and that the server runs";
    case S3_ERROR_TLS:
        return "name the authority's certificates: --ca-bundle";
    case S3_ERROR_BAD_RESPONSE:
    case S3_ERROR_UNSUPPORTED:
        return "check --endpoint-url, and whether the server needs --path-style";
    default:
        return "the server's own log says more";
    }
}

static bool look_at_credentials(struct doctor *d)
{
    struct aws_credentials *keys = NULL;
    struct s3_error err = {0};
    char until[TIMEFMT_ISO8601_SIZE];

    d->client = pailctl_client(d->p);
    if (!d->client) {
        finding(d, "settings", PROBLEM, "mend what the line above names", "they cannot be used");
        return false;
    }
    if (d->p->options.args.no_sign_request) {
        finding(d, "credentials", FINE, NULL, "none are sent (--no-sign-request)");
        return true;
    }
    if (s3_session_credentials(d->p->session, &keys, &err) < 0) {
        refused(d, "credentials", &err,
                "give some: the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), "
                "~/.aws/credentials (aws configure), or --passwd-file");
        return false;
    }
    if (keys->expiry_ns == AWS_CREDENTIALS_NO_EXPIRY) {
        finding(d, "credentials", FINE, NULL, "from %s", keys->provider);
    } else {
        timefmt_iso8601(keys->expiry_ns, until);
        finding(d, "credentials", FINE, NULL, "from %s, until %s", keys->provider, until);
    }
    aws_credentials_unref(keys);
    return true;
}

static bool look_at_bucket(struct doctor *d)
{
    struct s3_list_objects_v2_in in = {.bucket = d->bucket, .prefix = d->prefix, .max_keys = 1};
    struct s3_list_objects_v2_out out = {0};
    struct s3_error err = {0};
    const char *where = s3_client_meta(d->client)->endpoint_url;
    int r = s3_list_objects_v2(d->client, &in, &out, &err);

    s3_list_objects_v2_out_done(&out);
    if (r == 0) {
        finding(d, "bucket", FINE, NULL, "'%s' at %s can be listed", d->bucket, where);
        return true;
    }
    refused(d, err.http_status ? "bucket" : "endpoint", &err, remedy_of(&err));
    return false;
}

/* The probe that a mount makes: it writes, so it tells the permissions too. */
static void look_at_conditions(struct doctor *d)
{
    struct store_s3_options options = {
        .client = d->client, .bucket = d->bucket, .prefix = d->prefix};
    CLEANUP_STRBUF struct strbuf missing = STRBUF_INIT(TEXT_SIZE);
    struct store *store = NULL;
    struct store_caps caps;
    struct s3_error err = {0};
    const atomic_bool stop = false;
    char key[sizeof(PROBE_KEY) + 16];
    uint64_t random = 0;

    (void)!getrandom(&random, sizeof(random), 0);
    (void)snprintf(key, sizeof(key), PROBE_KEY "%016" PRIx64, random);
    if (store_s3_new(&options, &store, &err) < 0 ||
        store_s3_probe(store, key, &stop, &caps, &err) < 0) {
        refused(d, "writing", &err, remedy_of(&err));
        store_free(store);
        return;
    }
    store_free(store);
    finding(d, "writing", FINE, NULL, "objects can be made and deleted");
    for (int i = 0; i < STORE_CAP_MAX; i++)
        if (caps.state[i] != STORE_CAP_HELD)
            (void)strbuf_appendf(&missing, "%s%s", missing.len ? ", " : "",
                                 store_cap_name((enum store_cap)i));
    if (missing.len)
        finding(d, "conditions", WARNING,
                "let one host at a time change a file, or take a newer server",
                "the server does not hold %s: between hosts a change may be lost in a short moment",
                strbuf_str(&missing));
    else
        finding(d, "conditions", FINE, NULL, "the server holds them all");
}

static void look_at_uploads(struct doctor *d)
{
    struct s3_bucket bucket = {0};
    struct s3_iter *it = NULL;
    struct s3_error err = {0};
    const void *entry;
    unsigned n = 0, old = 0;
    int64_t now = clock_realtime_ns(clock_system());
    int r = s3_bucket_init(&bucket, d->client, d->bucket, &err);

    if (r == 0) {
        struct s3_collection uploads = s3_collection_filter(
            s3_bucket_multipart_uploads(&bucket), (struct s3_filter){.prefix = d->prefix});

        r = s3_iter_open(&uploads, &it, &err);
        while (r == 0 && n < UPLOADS_LOOKED && (r = s3_iter_next(it, &entry, &err)) > 0) {
            n++;
            old += now - ((const struct s3_upload_entry *)entry)->initiated_ns > OLD_UPLOAD_NS;
            r = 0;
        }
        s3_iter_close(it);
    }
    s3_bucket_done(&bucket);
    if (r < 0)
        refused(d, "uploads", &err, remedy_of(&err));
    else if (old)
        finding(d, "uploads", WARNING,
                "see pailctl uploads; a lifecycle rule (AbortIncompleteMultipartUpload) removes "
                "them, and nobody pays for their parts",
                "%u unfinished ones were begun more than a day ago", old);
    else
        finding(d, "uploads", FINE, NULL, "%u are under way, none for more than a day", n);
}

/* ---- this machine ---- */

static void look_at_clock(struct doctor *d)
{
    struct s3_bucket_in in = {.bucket = d->bucket};
    struct s3_head_bucket_out out = {0};
    struct s3_error err = {0};
    int64_t before = clock_realtime_ns(clock_system()), after;

    if (s3_head_bucket(d->client, &in, &out, &err) < 0 || !out.date_ns)
        return; /* what else it may be is said of the bucket */
    after = clock_realtime_ns(clock_system());
    if (out.date_ns < before - SKEW_NS || out.date_ns > after + SKEW_NS)
        finding(d, "clock", WARNING, "set one of them (timedatectl set-ntp true)",
                "this machine's clock is %lld s off the server's",
                (long long)((before - out.date_ns) / NS_PER_S));
    else
        finding(d, "clock", FINE, NULL, "as the server's");
}

static void look_at_fuse(struct doctor *d)
{
    const char *path = getenv("PATH");
    CLEANUP_FREE char *copy = strdup(path ? path : "/usr/bin:/bin");
    bool found = false;
    char *rest = copy;

    for (char *dir; copy && !found && (dir = strsep(&rest, ":"));) {
        char program[PATH_MAX];

        found = snprintf(program, sizeof(program), "%s/fusermount3", dir) < (int)sizeof(program) &&
                access(program, X_OK) == 0;
    }
    if (access("/dev/fuse", R_OK | W_OK) < 0)
        finding(d, "fuse", PROBLEM,
                errno == ENOENT ? "load the module (modprobe fuse); a container needs --device "
                                  "/dev/fuse and CAP_SYS_ADMIN"
                                : "make /dev/fuse mode 0666, or be root",
                "/dev/fuse: %s", strerror(errno));
    else if (!found)
        finding(d, "fuse", geteuid() == 0 ? WARNING : PROBLEM, "install the package fuse3",
                "fusermount3 is not there");
    else
        finding(d, "fuse", FINE, NULL, "/dev/fuse and fusermount3 can be used");
}

static bool is_held(const char *folder)
{
    CLEANUP_FREE char *lock = NULL;
    CLEANUP_FD int fd = -1;

    if (asprintf(&lock, "%s/lock", folder) < 0)
        return false;
    fd = open(lock, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static bool has(const char *folder, const char *name)
{
    CLEANUP_FREE char *path = NULL;

    return asprintf(&path, "%s/%s", folder, name) > 0 && access(path, F_OK) == 0;
}

/* A folder of a mount, see meta/FORMAT.md. */
static void look_at_slot(struct doctor *d, const char *folder)
{
    CLEANUP(lost_list_done) struct lost_list list = {0};
    CLEANUP_FREE char *lost = NULL;
    CLEANUP_DIR DIR *dir = opendir(folder);
    const struct dirent *e;

    if (!dir || !has(folder, "lock"))
        return;
    if (has(folder, "unfinished") && !is_held(folder))
        finding(d, "left", WARNING, "mount that bucket again: the mount finishes what is there",
                "'%s' is of a mount that was killed", folder);
    while ((e = readdir(dir)))
        if (strncmp(e->d_name, "state.db.broken-", strlen("state.db.broken-")) == 0)
            finding(d, "left", WARNING,
                    "look at the disk's health; delete the file when nothing is missing",
                    "'%s/%s' is a database that was damaged", folder, e->d_name);
    if (asprintf(&lost, "%s/" STATE_DIR_LOST, folder) > 0 && lost_list(lost, &list) == 0 && list.n)
        finding(d, "lost+found", WARNING, "pailctl lost list, restore and drop",
                "'%s' has %zu items that could not be stored", folder, list.n);
}

static void look_at_state(struct doctor *d)
{
    CLEANUP_STRBUF struct strbuf path = STRBUF_INIT(PATH_MAX);
    CLEANUP_DIR DIR *dir = NULL;
    const struct dirent *e;
    struct statvfs fs;
    int r = state_dir_default(&path);

    if (r == 0)
        r = file_make_folders(strbuf_str(&path));
    if (r < 0) {
        finding(d, "state", WARNING, "give a mount -o cache_dir= with a folder that can be written",
                "no folder for local state (%s): what a crash interrupts is not finished by the "
                "next mount, and -o writeback does not work",
                strerror(-r));
        return;
    }
    if (access(strbuf_str(&path), W_OK) < 0 || statvfs(strbuf_str(&path), &fs) < 0)
        finding(d, "state", WARNING, "let it be written, or give a mount -o cache_dir=", "'%s': %s",
                strbuf_str(&path), strerror(errno));
    else if ((uint64_t)fs.f_bavail * fs.f_frsize < ROOM_BYTES)
        finding(d, "state", WARNING, "make room there, or give a mount -o cache_dir=",
                "'%s' has %" PRIu64 " MiB left: files that are changed in their middle, and what "
                "-o writeback has not stored yet, need room",
                strbuf_str(&path), (uint64_t)fs.f_bavail * fs.f_frsize >> 20);
    else
        finding(d, "state", FINE, NULL, "'%s' can be written", strbuf_str(&path));
    dir = opendir(strbuf_str(&path));
    while (dir && (e = readdir(dir))) {
        CLEANUP_FREE char *folder = NULL;

        if (e->d_name[0] != '.' && asprintf(&folder, "%s/%s", strbuf_str(&path), e->d_name) > 0)
            look_at_slot(d, folder);
    }
}

int pailctl_doctor(struct pailctl *p, int argc, char **argv)
{
    CLEANUP_FREE char *bucket = NULL, *prefix = NULL;
    struct doctor d = {.p = p};

    if (argc && pailctl_parse_uri(argv[0], &bucket, &prefix) < 0)
        return PAILCTL_USAGE;
    d.bucket = bucket;
    d.prefix = prefix;
    look_at_fuse(&d);
    look_at_state(&d);
    if (look_at_credentials(&d) && bucket && look_at_bucket(&d)) {
        look_at_clock(&d);
        look_at_conditions(&d);
        look_at_uploads(&d);
    }
    return d.problems ? PAILCTL_FAILED : PAILCTL_OK;
}
