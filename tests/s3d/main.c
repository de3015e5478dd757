/* SPDX-License-Identifier: Apache-2.0 */
/* s3d: a small S3 server over a local directory, for trying and for tests. */
#include <errno.h>
#include <getopt.h>
#include <microhttpd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/strbuf.h"
#include "faults.h"
#include "s3d.h"
#include "server.h"

#define DEFAULT_KEY     "s3dtestkey"
#define DEFAULT_SECRET  "s3dtestsecret"
#define DEFAULT_REGION  "us-east-1"
#define DEFAULT_THREADS 2048

static const char usage[] =
    "Usage: s3d --dir DIR [options]\n"
    "A small S3 server over a local directory, for trying out and developing pailfs. It is not\n"
    "made for production storage: nothing is fsync'ed and its control URLs are not protected.\n"
    "\n"
    "  --dir DIR               where everything is kept; made when missing\n"
    "  --port N                default 0: any free port\n"
    "  --bind ADDRESS          default 127.0.0.1\n"
    "  --port-file FILE        write the port here once serving\n"
    "  --access-key ID         with --secret-key; repeatable. Default: the environment's\n"
    "  --secret-key SECRET     S3D_ACCESS_KEY and S3D_SECRET_KEY, else " DEFAULT_KEY " and\n"
    "                          " DEFAULT_SECRET "\n"
    "  --session-token TOKEN   requests with the key before it must carry this token\n"
    "  --region NAME           repeatable; the first one is the endpoint's (" DEFAULT_REGION ")\n"
    "  --domain NAME           BUCKET.NAME is virtual-host style; repeatable, adds to\n"
    "                          localhost and amazonaws.com\n"
    "  --anonymous-read BUCKET readable without a signature; repeatable\n"
    "  --first-byte-delay MS   wait so long before every answer\n"
    "  --rate BYTES            cap of each connection, per second and direction (8M, 512K ...)\n"
    "  --clock-offset SECONDS  the server's clock is off by so much (may be negative)\n"
    "  --faults FILE           fault rules to start with (see README.md)\n"
    "  --idle-timeout SECONDS  close connections that are idle for so long\n"
    "  --threads N             connections at a time, a thread each (default 2048)\n"
    "  --tls CERT KEY          serve HTTPS with these PEM files\n"
    "  --ignore-conditions OPS conditions of these operations (PutObject,CopyObject ...) are not\n"
    "                          looked at, as with other servers; it then has no name of its own\n"
    "  --opaque-etag           ETags that are no MD5, as with SSE-KMS (and uploads get faster)\n"
    "  --no-default-checksum   do not compute CRC64NVME for uploads that name no checksum\n"
    "  --strict-utf8           refuse keys that are not UTF-8\n"
    "  --start-after-hides     leave out common prefixes that --start-after is inside of\n"
    "  --page-keys N           keys of a page at most, whatever is asked for (default 1000)\n"
    "  --verbose               log more\n"
    "\n"
    "GET /_s3d/counters, GET /_s3d/log, POST /_s3d/reset; GET, POST, DELETE /_s3d/faults;\n"
    "POST /_s3d/settings?first-byte-delay=MS&rate=BYTES&opaque-etag=0|1.\n";

enum option_id {
    OPT_DIR = 256,
    OPT_PORT,
    OPT_BIND,
    OPT_PORT_FILE,
    OPT_ACCESS_KEY,
    OPT_SECRET_KEY,
    OPT_SESSION_TOKEN,
    OPT_REGION,
    OPT_DOMAIN,
    OPT_ANONYMOUS_READ,
    OPT_FIRST_BYTE_DELAY,
    OPT_RATE,
    OPT_CLOCK_OFFSET,
    OPT_FAULTS,
    OPT_IDLE_TIMEOUT,
    OPT_THREADS,
    OPT_TLS,
    OPT_IGNORE_CONDITIONS,
    OPT_OPAQUE_ETAG,
    OPT_NO_DEFAULT_CHECKSUM,
    OPT_STRICT_UTF8,
    OPT_START_AFTER_HIDES,
    OPT_PAGE_KEYS,
    OPT_VERBOSE,
    OPT_HELP,
};

static const struct option options[] = {
    {"dir", required_argument, NULL, OPT_DIR},
    {"port", required_argument, NULL, OPT_PORT},
    {"bind", required_argument, NULL, OPT_BIND},
    {"port-file", required_argument, NULL, OPT_PORT_FILE},
    {"access-key", required_argument, NULL, OPT_ACCESS_KEY},
    {"secret-key", required_argument, NULL, OPT_SECRET_KEY},
    {"session-token", required_argument, NULL, OPT_SESSION_TOKEN},
    {"region", required_argument, NULL, OPT_REGION},
    {"domain", required_argument, NULL, OPT_DOMAIN},
    {"anonymous-read", required_argument, NULL, OPT_ANONYMOUS_READ},
    {"first-byte-delay", required_argument, NULL, OPT_FIRST_BYTE_DELAY},
    {"rate", required_argument, NULL, OPT_RATE},
    {"clock-offset", required_argument, NULL, OPT_CLOCK_OFFSET},
    {"faults", required_argument, NULL, OPT_FAULTS},
    {"idle-timeout", required_argument, NULL, OPT_IDLE_TIMEOUT},
    {"threads", required_argument, NULL, OPT_THREADS},
    {"tls", required_argument, NULL, OPT_TLS},
    {"ignore-conditions", required_argument, NULL, OPT_IGNORE_CONDITIONS},
    {"opaque-etag", no_argument, NULL, OPT_OPAQUE_ETAG},
    {"no-default-checksum", no_argument, NULL, OPT_NO_DEFAULT_CHECKSUM},
    {"strict-utf8", no_argument, NULL, OPT_STRICT_UTF8},
    {"start-after-hides", no_argument, NULL, OPT_START_AFTER_HIDES},
    {"page-keys", required_argument, NULL, OPT_PAGE_KEYS},
    {"verbose", no_argument, NULL, OPT_VERBOSE},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static struct s3d server = {.stop_fd = -1};

static int bad_value(const char *name, const char *value)
{
    fprintf(stderr, "s3d: --%s: bad value '%s'\n", name, value);
    return -EINVAL;
}

static int take_number(const char *name, const char *value, uint64_t max, unsigned *ret)
{
    uint64_t n;

    if (parse_u64(value, &n) < 0 || n > max)
        return bad_value(name, value);
    *ret = (unsigned)n;
    return 0;
}

static int add_name(const char *name, const char **list, unsigned *n, unsigned max,
                    const char *value)
{
    if (*n == max || !*value || strlen(value) > 63)
        return bad_value(name, value);
    list[(*n)++] = value;
    return 0;
}

/* The key that is being described: a new one begins with --access-key. */
static int take_key_option(struct s3d_config *cf, int id, const char *value)
{
    if (id == OPT_ACCESS_KEY) {
        if (cf->n_keys == S3D_KEYS_MAX)
            return bad_value("access-key", value);
        cf->keys[cf->n_keys++] = (struct s3d_key){.id = value};
        return 0;
    }
    if (!cf->n_keys) {
        fprintf(stderr, "s3d: --secret-key and --session-token follow their --access-key\n");
        return -EINVAL;
    }
    if (id == OPT_SECRET_KEY)
        cf->keys[cf->n_keys - 1].secret = value;
    else
        cf->keys[cf->n_keys - 1].token = value;
    return 0;
}

static int take_option(struct s3d_config *cf, int id, char **argv)
{
    uint64_t rate = 0;
    unsigned ms = 0;
    int64_t seconds;
    int r;

    switch (id) {
    case OPT_DIR:
        cf->dir = optarg;
        return 0;
    case OPT_PORT:
        return take_number("port", optarg, 65535, &cf->port);
    case OPT_BIND:
        cf->bind = optarg;
        return 0;
    case OPT_PORT_FILE:
        cf->port_file = optarg;
        return 0;
    case OPT_ACCESS_KEY:
    case OPT_SECRET_KEY:
    case OPT_SESSION_TOKEN:
        return take_key_option(cf, id, optarg);
    case OPT_REGION:
        if (strlen(optarg) > 31)
            return bad_value("region", optarg);
        return add_name("region", cf->regions, &cf->n_regions, S3D_REGIONS_MAX, optarg);
    case OPT_DOMAIN:
        return add_name("domain", cf->domains, &cf->n_domains, S3D_NAMES_MAX, optarg);
    case OPT_ANONYMOUS_READ:
        return add_name("anonymous-read", cf->anonymous, &cf->n_anonymous, S3D_NAMES_MAX, optarg);
    case OPT_FIRST_BYTE_DELAY:
        r = take_number("first-byte-delay", optarg, S3D_DELAY_MAX_MS, &ms);
        cf->first_byte_ms = ms;
        return r;
    case OPT_RATE:
        r = parse_size(optarg, 1, &rate) < 0 ? bad_value("rate", optarg) : 0;
        cf->rate = rate;
        return r;
    case OPT_CLOCK_OFFSET:
        if (parse_i64(optarg, &seconds) < 0 || seconds > 1000000000 || seconds < -1000000000)
            return bad_value("clock-offset", optarg);
        cf->clock_offset_ns = seconds * NS_PER_S;
        return 0;
    case OPT_FAULTS:
        cf->faults_file = optarg;
        return 0;
    case OPT_IDLE_TIMEOUT:
        return take_number("idle-timeout", optarg, 86400, &cf->idle_timeout);
    case OPT_THREADS:
        return take_number("threads", optarg, 65536, &cf->threads);
    case OPT_TLS:
        if (!argv[optind]) {
            fprintf(stderr, "s3d: --tls takes two files\n");
            return -EINVAL;
        }
        cf->tls_cert = optarg;
        cf->tls_key = argv[optind++];
        return 0;
    case OPT_IGNORE_CONDITIONS:
        cf->ignore_conditions = optarg;
        return 0;
    case OPT_OPAQUE_ETAG:
        cf->opaque_etag = true;
        return 0;
    case OPT_NO_DEFAULT_CHECKSUM:
        cf->no_default_checksum = true;
        return 0;
    case OPT_STRICT_UTF8:
        cf->strict_utf8 = true;
        return 0;
    case OPT_START_AFTER_HIDES:
        cf->start_after_hides = true;
        return 0;
    case OPT_PAGE_KEYS:
        return take_number("page-keys", optarg, 1000, &cf->page_keys);
    case OPT_VERBOSE:
        log_set_level(LOG_LEVEL_DEBUG);
        return 0;
    default:
        fprintf(stderr, "Try 's3d --help'.\n");
        return -EINVAL;
    }
}

static int take_defaults(struct s3d_config *cf)
{
    const char *id = getenv("S3D_ACCESS_KEY"), *secret = getenv("S3D_SECRET_KEY");

    if (!cf->dir) {
        fprintf(stderr, "s3d: --dir is needed. Try 's3d --help'.\n");
        return -EINVAL;
    }
    if (!cf->n_keys)
        cf->keys[cf->n_keys++] = (struct s3d_key){
            .id = id && *id ? id : DEFAULT_KEY,
            .secret = secret && *secret ? secret : DEFAULT_SECRET,
        };
    for (unsigned i = 0; i < cf->n_keys; i++) {
        if (!cf->keys[i].secret) {
            fprintf(stderr, "s3d: --access-key '%s' has no --secret-key\n", cf->keys[i].id);
            return -EINVAL;
        }
    }
    if (!cf->n_regions)
        cf->regions[cf->n_regions++] = DEFAULT_REGION;
    if (cf->n_domains + 2 > S3D_NAMES_MAX) {
        fprintf(stderr, "s3d: too many --domain\n");
        return -EINVAL;
    }
    cf->domains[cf->n_domains++] = "localhost";
    cf->domains[cf->n_domains++] = "amazonaws.com";
    return 0;
}

static int load_faults(struct s3d *s)
{
    struct strbuf sb = STRBUF_INIT(1u << 20);
    char piece[4096], message[256];
    CLEANUP_FILE FILE *f = NULL;
    size_t n;
    int r;

    if (!s->config.faults_file)
        return 0;
    f = fopen(s->config.faults_file, "re");
    if (!f) {
        fprintf(stderr, "s3d: '%s': %s\n", s->config.faults_file, strerror(errno));
        return -EINVAL;
    }
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        strbuf_append(&sb, piece, n);
    r = faults_add(s->faults, strbuf_str(&sb), sb.len, message, sizeof(message));
    if (r < 0)
        fprintf(stderr, "s3d: '%s': %s\n", s->config.faults_file, message);
    strbuf_done(&sb);
    return r;
}

/* Under another name first, so that a watcher never reads half a number. */
static int write_port_file(const char *path, unsigned port)
{
    struct strbuf tmp = STRBUF_INIT(4096);
    FILE *f;
    bool ok;

    strbuf_appendf(&tmp, "%s.tmp", path);
    f = tmp.error ? NULL : fopen(strbuf_str(&tmp), "we");
    ok = f && fprintf(f, "%u\n", port) > 0;
    if (f && fclose(f) != 0)
        ok = false;
    ok = ok && rename(strbuf_str(&tmp), path) == 0;
    if (!ok)
        fprintf(stderr, "s3d: cannot write '%s': %s\n", path, strerror(errno));
    strbuf_done(&tmp);
    return ok ? 0 : -EIO;
}

static int serve(struct s3d *s, const sigset_t *stop)
{
    uint64_t one = 1;
    struct MHD_Daemon *d;
    unsigned port;
    int sig;

    d = server_start(s, &port);
    if (!d)
        return 1;
    printf("s3d: listening on %s://%s:%u\n", s->config.tls_cert ? "https" : "http", s->config.bind,
           port);
    fflush(stdout);
    if (s->config.port_file && write_port_file(s->config.port_file, port) < 0)
        sig = 0;
    else
        sigwait(stop, &sig);
    /* Wakes every handler that sleeps, so that MHD can join the threads. */
    if (write(s->stop_fd, &one, sizeof(one)) != sizeof(one))
        log_error("eventfd: %s", strerror(errno));
    MHD_stop_daemon(d);
    return sig ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct s3d *s = &server;
    struct s3d_config *cf = &s->config;
    sigset_t stop;
    int id, r;

    cf->bind = "127.0.0.1";
    cf->threads = DEFAULT_THREADS;
    while ((id = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (id == OPT_HELP || id == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (take_option(cf, id, argv) < 0)
            return 2;
    }
    if (optind != argc) {
        fprintf(stderr, "s3d: unexpected '%s'\n", argv[optind]);
        return 2;
    }
    if (take_defaults(cf) < 0)
        return 2;
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    stats_init(&s->stats);
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    s->faults = faults_new();
    if (s->stop_fd < 0 || !s->faults || load_faults(s) < 0)
        return 1;
    r = store_open(&s->store, cf->dir);
    if (r < 0) {
        fprintf(stderr, "s3d: '%s': %s\n", cf->dir,
                r == -EBUSY ? "in use by another s3d" : strerror(-r));
        return 1;
    }
    r = serve(s, &stop);
    store_close(&s->store);
    faults_free(s->faults);
    return r;
}
