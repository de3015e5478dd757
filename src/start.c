/* SPDX-License-Identifier: Apache-2.0 */
#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "aws/endpoint.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "meta/state_journal.h"
#include "meta/store_ledger.h"
#include "meta/store_remember.h"
#include "s3/waiter.h"
#include "store/store_s3.h"

/* At the start a person waits: two tries, and no longer for a connection than this. */
#define START_ATTEMPTS   2u
#define START_CONNECT_MS 5000u
#define START_ANSWER_MS  10000u
/* A removal waits that long for others to share a request with. */
#define WRITEBACK_LINGER_NS NS_PER_S
/* In the folder of a mount that is no more, while its daemon stores what is pending. */
#define DRAINING        "draining"
#define SLOTS_LOOKED_AT 8u
#define DRAIN_WAIT_NS   (60 * (uint64_t)NS_PER_S)
#define DRAIN_POLL_NS   (100 * (uint64_t)NS_PER_MS)

static uint32_t milliseconds(uint64_t ns)
{
    uint64_t ms = ns / (uint64_t)NS_PER_MS;

    return ms > UINT32_MAX ? UINT32_MAX : (uint32_t)ms;
}

static int open_session(struct start *s, const struct conf_options *o, struct s3_error *reterr)
{
    struct s3_session_options opts;

    s3_session_options_init(&opts);
    opts.args.profile = o->profile;
    opts.args.region = o->region;
    opts.args.endpoint_url = o->endpoint_url;
    opts.args.ca_bundle = o->ca_bundle;
    opts.args.passwd_file = o->passwd_file;
    opts.args.bucket = o->bucket;
    opts.args.no_sign_request = o->no_sign_request;
    opts.args.path_style = conf_given(o, "path_style") ? o->path_style : -1;
    if (conf_given(o, "retries"))
        opts.args.max_attempts = (int)o->retries + 1;
    return s3_session_new(&opts, &s->session, reterr);
}

static void client_options(const struct conf_options *o, struct s3_client_options *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->io_threads = o->io_threads;
    ret->max_connections = o->max_connections;
    ret->no_verify_ssl = o->no_verify_ssl;
    ret->no_hedge = !o->hedge;
    ret->sign_payload = o->sign_payload;
    ret->deadlines.connect_ms = milliseconds(o->connect_timeout);
    ret->deadlines.first_byte_ms = milliseconds(o->timeout);
    ret->deadlines.stall_ms = milliseconds(o->timeout);
}

static const char *where(const struct start *s)
{
    return s3_client_meta(s->client)->endpoint_url;
}

/* Adds to what the server said what a person can do about it. */
static int explain(const struct start *s, const struct conf_options *o, struct s3_error *e)
{
    char said[sizeof(e->message)], text[sizeof(e->message)];
    struct aws_credentials *keys = NULL;
    const char *provider = "?";
    int r = -s3_error_errno(e->kind);

    (void)snprintf(said, sizeof(said), "%s", e->message);
    if (s3_session_credentials(s->session, &keys, NULL) == 0)
        provider = keys->provider;
    switch ((int)e->kind) {
    case S3_ERROR_NO_SUCH_BUCKET:
    case S3_ERROR_NO_SUCH_KEY:
        (void)snprintf(text, sizeof(text),
                       "bucket '%s' does not exist at %s: check its name and the endpoint, or let "
                       "pailfs make it (-o create_bucket)",
                       o->bucket, where(s));
        break;
    case S3_ERROR_BAD_CREDENTIALS:
        (void)snprintf(text, sizeof(text),
                       strcmp(e->code, "SignatureDoesNotMatch") == 0
                           ? "%s refused the signature: the secret key (from: %s) does not belong "
                             "to the access key (%s)"
                           : "%s does not know the access key (from: %s): check the credentials "
                             "and the endpoint (%s)",
                       where(s), provider, e->code);
        break;
    case S3_ERROR_EXPIRED_CREDENTIALS:
        (void)snprintf(text, sizeof(text),
                       "the credentials (from: %s) have expired: renew them (%s)", provider,
                       e->code);
        break;
    case S3_ERROR_ACCESS_DENIED:
        (void)snprintf(text, sizeof(text),
                       "bucket '%s' at %s: these credentials (from: %s) may not list it: "
                       "s3:ListBucket is needed (%s)",
                       o->bucket, where(s), provider, *e->code ? e->code : "403");
        break;
    case S3_ERROR_WRONG_REGION:
        (void)snprintf(
            text, sizeof(text),
            "bucket '%s' is not in region '%s'%s%s: give the right one with -o region=", o->bucket,
            s3_client_meta(s->client)->region, *e->region ? " but in " : "", e->region);
        break;
    case S3_ERROR_CLOCK_SKEW:
        (void)snprintf(text, sizeof(text),
                       "this machine's clock is too far from that of %s: set it", where(s));
        break;
    case S3_ERROR_CONNECT:
    case S3_ERROR_TIMEOUT:
        (void)snprintf(text, sizeof(text),
                       "%s cannot be reached: %.200s: check -o endpoint_url= and the network",
                       where(s), said);
        break;
    case S3_ERROR_TLS:
        (void)snprintf(text, sizeof(text),
                       "%s: no trusted connection: %.200s (-o ca_bundle=FILE names other "
                       "certificates)",
                       where(s), said);
        break;
    case S3_ERROR_BAD_RESPONSE:
    case S3_ERROR_UNSUPPORTED:
        (void)snprintf(text, sizeof(text),
                       "%s does not answer as an S3 server: %.200s: check -o endpoint_url= and "
                       "use_path_request_style",
                       where(s), said);
        break;
    default:
        (void)snprintf(text, sizeof(text), "bucket '%s' at %s: %.300s%s%s", o->bucket, where(s),
                       said, *e->code ? " " : "", e->code);
        break;
    }
    aws_credentials_unref(keys);
    (void)snprintf(e->message, sizeof(e->message), "%s", text);
    return r;
}

static int make_bucket(struct s3_client *client, const struct conf_options *o, struct s3_error *e)
{
    struct s3_create_bucket_in in = {.bucket = o->bucket};
    struct s3_waiter_options patience = {.delay_ms = 500, .max_attempts = 40};
    int r = s3_create_bucket(client, &in, e);

    /* Somebody else was faster, with the same account: as good. */
    if (r < 0 && strcmp(e->code, "BucketAlreadyOwnedByYou") != 0)
        return r;
    log_info("bucket '%s' made", o->bucket);
    return s3_waiter_wait(client, &s3_waiter_bucket_exists, o->bucket, NULL, &patience, e);
}

/* HeadBucket is the cheapest question. When it is refused, a listing of the prefix is asked for:
 * its answer has a body that says why, and keys that may see the prefix alone may list that. */
static int look_at_bucket(struct start *s, struct s3_client *client, const struct conf_options *o,
                          struct s3_error *e)
{
    struct s3_list_objects_v2_in in = {.bucket = o->bucket, .prefix = o->prefix, .max_keys = 1};
    struct s3_list_objects_v2_out out = {0};
    struct s3_bucket_in bucket = {.bucket = o->bucket};
    struct s3_head_bucket_out head = {0};
    uint64_t begin = clock_monotonic_ns(clock_system());
    int r = s3_head_bucket(client, &bucket, &head, e);

    s->answer_ns = clock_monotonic_ns(clock_system()) - begin;
    if (r < 0 && e->http_status != 0) {
        r = s3_list_objects_v2(client, &in, &out, e);
        s3_list_objects_v2_out_done(&out);
    }
    if (r < 0 && e->kind == S3_ERROR_NO_SUCH_BUCKET && o->create_bucket && !o->read_only) {
        if ((r = make_bucket(client, o, e)) == 0)
            (void)s3_head_bucket(client, &bucket, &head, NULL); /* for its name */
    }
    (void)snprintf(s->server, sizeof(s->server), "%s", head.server);
    return r;
}

static int check_bucket(struct start *s, const struct conf_options *o, struct s3_error *e)
{
    struct s3_client_options opts;
    struct s3_client *client = NULL;
    int r;

    client_options(o, &opts);
    opts.io_threads = 1;
    opts.max_connections = 2;
    opts.retry.max_attempts = START_ATTEMPTS;
    if (opts.deadlines.connect_ms > START_CONNECT_MS || !opts.deadlines.connect_ms)
        opts.deadlines.connect_ms = START_CONNECT_MS;
    if (opts.deadlines.first_byte_ms > START_ANSWER_MS || !opts.deadlines.first_byte_ms)
        opts.deadlines.first_byte_ms = START_ANSWER_MS;
    r = s3_session_client_new(s->session, &opts, &client, e);
    if (r == 0)
        r = look_at_bucket(s, client, o, e);
    s3_client_unref(client);
    return r;
}

int start_connect(struct start *s, const struct conf_options *o, struct s3_error *reterr)
{
    struct s3_client_options opts;
    struct s3_error e = {0};
    struct aws_credentials *keys = NULL;
    int r = open_session(s, o, &e);

    if (r == 0) {
        r = s3_session_credentials(s->session, &keys, &e);
        aws_credentials_unref(keys);
    }
    if (r == 0) {
        client_options(o, &opts);
        r = s3_session_client_new(s->session, &opts, &s->client, &e);
    }
    if (r == 0) {
        r = check_bucket(s, o, &e);
        if (r < 0)
            r = explain(s, o, &e);
    }
    if (r < 0 && reterr)
        *reterr = e;
    return r;
}

static enum s3_checksum_algo checksum_algo(const struct start *s, const struct conf_options *o)
{
    switch ((enum conf_checksum)o->checksum) {
    case CONF_CHECKSUM_CRC64NVME:
        return S3_CHECKSUM_CRC64NVME;
    case CONF_CHECKSUM_CRC32C:
        return S3_CHECKSUM_CRC32C;
    case CONF_CHECKSUM_NONE:
        return S3_CHECKSUM_NONE;
    case CONF_CHECKSUM_AUTO:
        break;
    }
    /* AWS verifies and keeps it. Over plain HTTP the signed SHA-256 protects the bytes already, and
     * other servers differ in which checksums they take. */
    return strncmp(where(s), "https:", 6) == 0 ? S3_CHECKSUM_CRC64NVME : S3_CHECKSUM_NONE;
}

static bool is_loopback(const struct start *s)
{
    const char *http = "http://";

    return strncmp(where(s), http, strlen(http)) == 0 &&
           aws_endpoint_is_loopback(where(s) + strlen(http));
}

/* The HEAD that tells the stored checksum is little beside the requests for so much. */
#define VERIFY_AUTO_MIN (16 * MIB)

static uint64_t verify_min(const struct start *s, const struct conf_options *o)
{
    switch ((enum conf_verify)o->verify) {
    case CONF_VERIFY_AUTO:
        return is_loopback(s) ? 0 : VERIFY_AUTO_MIN;
    case CONF_VERIFY_ON:
        return 1;
    case CONF_VERIFY_OFF:
        break;
    }
    return 0;
}

/* On the way to this machine's own server they stand in for the signature over the bytes. */
static enum s3_checksum_algo part_checksum_algo(const struct start *s, const struct conf_options *o)
{
    if (o->checksum == CONF_CHECKSUM_AUTO && !o->sign_payload && is_loopback(s))
        return S3_CHECKSUM_CRC64NVME;
    return checksum_algo(s, o);
}

/* Without a place on the disk the mount works with less: what a crash interrupts is then not
 * finished by the next mount. Somebody else's folder is another matter: that is a mistake to tell.
 */
static int open_state(struct start *s, const struct conf_options *o, struct s3_error *reterr)
{
    struct state_dir_options dir = {.state_dir = o->state_dir,
                                    .cache_dir = o->cache_dir,
                                    .endpoint = where(s),
                                    .bucket = o->bucket,
                                    .prefix = o->prefix,
                                    .read_only = o->read_only};
    struct state_options options = {.endpoint = where(s), .bucket = o->bucket, .prefix = o->prefix};
    struct s3_error err = {0};
    int r;

    /* Who changes nothing has nothing to note, but may keep what was read. */
    if (o->read_only && !o->cache_size)
        return 0;
    r = state_dir_open(&dir, &s->state_dir, &err);
    if (r == 0 && !o->read_only) {
        options.path = s->state_dir->path;
        r = state_open(&options, &s->state, &err);
    }
    if (r == 0)
        return 0;
    if (o->state_dir || r == -EINVAL || r == -ENOTSUP) {
        if (reterr)
            *reterr = err;
        return r;
    }
    log_warn("%s: %s", err.message[0] ? err.message : strerror(-r),
             o->read_only ? "file content will not be cached"
                          : "what a crash interrupts will not be finished by the next mount");
    return 0;
}

void start_set_draining(const struct start *s, bool draining)
{
    CLEANUP_FREE char *path = NULL;
    CLEANUP_FD int fd = -1;

    if (!s->state_dir || asprintf(&path, "%s/" DRAINING, s->state_dir->path) < 0)
        return;
    if (draining)
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    else
        (void)unlink(path);
}

/* The slot is held by a mount that has ended for its users and is not done yet. */
static bool slot_is_draining(const char *slot)
{
    CLEANUP_FREE char *mark = NULL, *lock = NULL;
    CLEANUP_FD int fd = -1;

    if (asprintf(&mark, "%s/" DRAINING, slot) < 0)
        return false;
    if (access(mark, F_OK) < 0 || asprintf(&lock, "%s/lock", slot) < 0)
        return false;
    fd = open(lock, O_RDWR | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

/* Of the slots beside ours (state_dir.h): <id>, <id>.2 ... */
static bool others_are_draining(const char *ours)
{
    CLEANUP_FREE char *base = strdup(ours);
    char *end = base ? strrchr(base, '-') : NULL;

    if (!end)
        return false;
    end[strcspn(end, ".")] = '\0';
    for (unsigned slot = 1; slot <= SLOTS_LOOKED_AT; slot++) {
        CLEANUP_FREE char *path = NULL;

        if ((slot == 1 ? asprintf(&path, "%s", base) : asprintf(&path, "%s.%u", base, slot)) < 0)
            return false;
        if (strcmp(path, ours) != 0 && slot_is_draining(path))
            return true;
    }
    return false;
}

/* What a mount before has acknowledged and not stored yet would be missing in this one, and be
 * stored over what this one writes. */
static int wait_for_drains(struct start *s, const struct conf_options *o, struct s3_error *reterr)
{
    uint64_t begin = clock_monotonic_ns(clock_system());

    if (!s->state_dir || o->state_dir || o->read_only)
        return 0;
    start_set_draining(s, false);
    while (others_are_draining(s->state_dir->path)) {
        if (clock_monotonic_ns(clock_system()) - begin > DRAIN_WAIT_NS)
            return s3_error_set(reterr, S3_ERROR_CONFIG,
                                "a mount of this bucket that was unmounted is still storing what "
                                "was written to it: try again when its daemon has ended");
        clock_sleep_ns(clock_system(), DRAIN_POLL_NS);
    }
    return 0;
}

/* Without it a lost update is told, and what was written is gone. */
static void open_lost(struct start *s, const struct conf_options *o)
{
    struct lost_options opts = {
        .bucket = o->bucket, .endpoint = where(s), .prefix = store_s3_prefix(s->store)};
    int r;

    if (!s->state_dir)
        return;
    opts.folder = s->state_dir->lost;
    r = lost_open(&opts, &s->lost);
    if (r < 0)
        log_warn("'%s': %s: what another host makes impossible to store will not be kept",
                 opts.folder, strerror(-r));
}

static int keep_lost(void *ctx, const struct writeback_lost *l)
{
    struct start *s = ctx;
    struct lost_note note = {.key = l->key,
                             .base = l->base_etag,
                             .reason = l->reason,
                             .size = l->size,
                             .time_ns = l->time_ns};
    struct iovec body = {(void *)(uintptr_t)l->data, l->size};
    struct lost_file file;
    int r;

    if (!s->lost)
        return -EROFS;
    if (l->data)
        return lost_add_bytes(s->lost, &note, &body, 1, NULL);
    r = lost_begin(s->lost, &file);
    if (r < 0)
        return r;
    for (off_t at = 0; r == 0 && at < (off_t)l->size;) {
        ssize_t n = copy_file_range(l->fd, &at, file.fd, NULL, (size_t)((off_t)l->size - at), 0);

        if (n <= 0) {
            r = n < 0 ? -errno : 0;
            note.size = (uint64_t)at; /* what there is of it */
            break;
        }
    }
    if (r < 0)
        lost_cancel(s->lost, &file);
    else
        r = lost_end(s->lost, &file, &note, NULL);
    return r;
}

static void settled(void *ctx)
{
    struct start *s = ctx;

    state_settled(s->state);
}

static int one_row(void *ctx, const struct journal_row *row)
{
    return 1;
}

/* Large content comes from the data layer, which is there as long as it is under way. */
static bool make_room(void *ctx, uint64_t bytes)
{
    const struct start *s = ctx;

    return data_make_room(s->data, bytes);
}

/* Also without the option, when a mount with it has left something: that is stored first. */
static int open_writeback(struct start *s, const struct conf_options *o, struct s3_error *reterr)
{
    CLEANUP_FREE char *dir = NULL;
    struct writeback_options opts = {.inner = s->store,
                                     .max_bytes = o->writeback_limit,
                                     .max_age_ns = o->writeback_max_age,
                                     .linger_ns = WRITEBACK_LINGER_NS,
                                     .only_old = !o->writeback,
                                     .lost = keep_lost,
                                     .settled = settled,
                                     .make_room = make_room,
                                     .ctx = s};
    int r;

    if (!s->state) {
        if (!o->writeback || o->read_only)
            return 0;
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "writeback needs a folder on the local disk: give a writable one with "
                            "-o cache_dir=");
    }
    if (asprintf(&dir, "%s/journal", s->state_dir->dirty) < 0 ||
        state_journal_new(s->state, &opts.journal) < 0)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "no memory");
    opts.doubtful = state_doubtful(s->state);
    if (!o->writeback && !opts.doubtful &&
        opts.journal->ops->load(opts.journal, one_row, NULL) == 0) {
        opts.journal->ops->free(opts.journal);
        return 0;
    }
    opts.dir = dir;
    r = writeback_new(&opts, &s->writeback, reterr);
    if (r < 0)
        opts.journal->ops->free(opts.journal);
    else
        s->store = s->writeback;
    return r;
}

static bool remembers(void *ctx)
{
    const struct start *s = ctx;

    return s->remember && store_remember_has_rows(s->remember);
}

/* A cache: the mount works without. */
static void open_remember(struct start *s, const struct conf_options *o)
{
    struct store_remember_options opts = {
        .db = {.endpoint = where(s), .bucket = o->bucket, .prefix = o->prefix},
        .own_after_ns = o->remember_own,
        .every = o->posix == CONF_POSIX_ON};
    int r;

    if (!s->state_dir || o->posix == CONF_POSIX_OFF)
        return;
    opts.db.folder = s->state_dir->path;
    r = store_remember_new(s->store, &opts, &s->remember);
    if (r < 0)
        log_warn("attributes will not be remembered: %s", strerror(-r));
    else
        s->store = s->remember;
}

int start_filesystem(struct start *s, const struct conf_options *o, struct vfs_notify notify,
                     struct s3_error *reterr)
{
    struct store_s3_options store_options = {.client = s->client,
                                             .bucket = o->bucket,
                                             .prefix = o->prefix,
                                             .storage_class = o->storage_class,
                                             .checksum = checksum_algo(s, o),
                                             .part_checksum = part_checksum_algo(s, o),
                                             .check_whole = o->verify != CONF_VERIFY_OFF,
                                             .caps = &s->caps.at_start,
                                             .unknown = caps_unknown,
                                             .unknown_ctx = &s->caps};
    struct data_options data_options = {.memory_limit = o->memory_limit,
                                        .write_part_size = o->write_part_size,
                                        .read_part_size = o->read_part_size,
                                        .parallel = o->parallel,
                                        .connections = o->max_connections,
                                        .verify_min = verify_min(s, o),
                                        .verify_always = o->verify == CONF_VERIFY_ON,
                                        .sum_parts =
                                            part_checksum_algo(s, o) == S3_CHECKSUM_CRC64NVME,
                                        .dirty_limit = o->dirty_limit,
                                        .cache_limit = o->cache_size};
    struct vfs_options vfs_options = {
        .uid = o->uid,
        .gid = o->gid,
        .file_mode = o->file_mode,
        .dir_mode = o->dir_mode,
        .posix = o->posix == CONF_POSIX_ON    ? VFS_POSIX_ON
                 : o->posix == CONF_POSIX_OFF ? VFS_POSIX_OFF
                                              : VFS_POSIX_AUTO,
        .excl = o->excl == CONF_EXCL_OPEN    ? VFS_EXCL_OPEN
                : o->excl == CONF_EXCL_LOCAL ? VFS_EXCL_LOCAL
                                             : VFS_EXCL_AUTO,
        .excl_names = o->excl_names,
        .read_only = o->read_only,
        .metadata_ttl_ns = o->metadata_ttl,
        /* Whoever wants to see changes early means new names too. */
        .negative_ttl_ns = MIN(o->negative_ttl, o->metadata_ttl),
        .fsync_local = o->fsync == CONF_FSYNC_LOCAL,
        .key_max = S3_KEY_MAX - strlen(o->prefix),
        .attrs_at_once = o->writeback,
        .background = true,
        .root_has_key = *o->prefix != '\0',
        .notify = notify,
        .remembers = remembers,
        .remembers_ctx = s,
    };
    int r = open_state(s, o, reterr);

    if (r == 0) {
        caps_init(&s->caps, where(s), s->server, s->state);
        store_options.whole_checksum = s->caps.as_aws;
        r = store_s3_new(&store_options, &s->store, reterr);
    }
    if (r < 0)
        return r;
    caps_begin(&s->caps, s->store);
    r = wait_for_drains(s, o, reterr);
    if (r < 0)
        return r;
    open_lost(s, o);
    open_remember(s, o);
    if (s->state) {
        r = store_ledger_new(s->store, s->state, NULL, &s->ledger);
        if (r < 0)
            return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "no memory");
        s->store = s->ledger;
    }
    r = open_writeback(s, o, reterr);
    if (r < 0)
        return r;
    data_options.store = s->store;
    data_options.answer_ns = s->answer_ns;
    data_options.dirty_dir = s->state_dir ? s->state_dir->dirty : NULL;
    data_options.cache_dir = s->state_dir ? s->state_dir->blocks : NULL;
    if (s->state_dir && asprintf(&s->numbers, "%s/inode-numbers", s->state_dir->path) < 0)
        s->numbers = NULL; /* a cache */
    r = data_new(&data_options, &s->data);
    if (r == 0) {
        vfs_options.numbers = s->numbers;
        vfs_options.store = s->store;
        vfs_options.state = s->state;
        vfs_options.lost = s->lost;
        vfs_options.data = s->data;
        r = vfs_new(&vfs_options, &s->vfs);
    }
    if (r < 0)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "cannot set up the filesystem: %s",
                            strerror(-r));
    return 0;
}

void start_done(struct start *s)
{
    bool unfinished;

    vfs_free(s->vfs);
    free(s->numbers);
    data_free(s->data);
    caps_end(&s->caps);
    store_free(s->store);
    lost_close(s->lost);
    unfinished = !s->state || state_unfinished(s->state);
    state_close(s->state);
    state_dir_close(s->state_dir, unfinished);
    s3_client_unref(s->client);
    s3_session_unref(s->session);
    memset(s, 0, sizeof(*s));
}
