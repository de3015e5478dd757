/* SPDX-License-Identifier: Apache-2.0 */
#include "ctl/pailctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/cleanup.h"
#include "base/parse.h"

struct command {
    const char *name;
    const char *args;
    const char *help;
    int min_args, max_args; /* operands */
    int (*run)(struct pailctl *p, int argc, char **argv);
};

static const struct command commands[] = {
    {"buckets", "", "list the buckets of these credentials", 0, 0, pailctl_buckets},
    {"mb", "s3://BUCKET", "make a bucket", 1, 1, pailctl_mb},
    {"rb", "[--force] s3://BUCKET", "remove a bucket; --force deletes what is in it first", 1, 1,
     pailctl_rb},
    {"ls", "[-l] [-r] s3://BUCKET[/PREFIX]",
     "list objects; -r goes below '/', -l adds sizes and times", 1, 1, pailctl_ls},
    {"versions", "s3://BUCKET[/PREFIX]", "list object versions and delete markers", 1, 1,
     pailctl_versions},
    {"uploads", "s3://BUCKET[/PREFIX]", "list unfinished multipart uploads", 1, 1, pailctl_uploads},
    {"wait", "STATE s3://BUCKET[/KEY]",
     "wait for bucket-exists, bucket-not-exists, object-exists or object-not-exists", 2, 2,
     pailctl_wait},
    {"status", "[MOUNTPOINT]", "what a mount is doing; without one: all mounts", 0, 1,
     pailctl_status},
    {"flush", "MOUNTPOINT", "return when everything written so far is in S3", 1, 1, pailctl_flush},
    {"unmount", "MOUNTPOINT", "unmount and return when everything is in S3", 1, 1, pailctl_unmount},
    {"doctor", "[s3://BUCKET[/PREFIX]]",
     "check what a mount needs and how it fares, and say what to do about it", 0, 1,
     pailctl_doctor},
    {"help", "", "this text", 0, 0, pailctl_help},
    {"lost list", "WHERE", "what lost to another host; WHERE is a mount, or a state directory", 1,
     1, pailctl_lost_list},
    {"lost restore", "[--to PATH] [--overwrite] WHERE NAME", "put it where it was meant for", 2, 2,
     pailctl_lost_restore},
    {"lost drop", "WHERE NAME...", "delete it", 2, INT_MAX, pailctl_lost_drop},
    {"log-level", "MOUNTPOINT LEVEL", "log error, warn, info or debug from now on", 2, 2,
     pailctl_log_level},
};

enum {
    OPT_PROFILE = 256,
    OPT_REGION,
    OPT_ENDPOINT,
    OPT_NO_SIGN,
    OPT_PATH_STYLE,
    OPT_PASSWD_FILE,
    OPT_CA_BUNDLE,
    OPT_NO_VERIFY,
    OPT_JSON,
    OPT_FORCE,
    OPT_DELAY,
    OPT_ATTEMPTS,
    OPT_WAIT,
    OPT_TO,
    OPT_OVERWRITE,
    OPT_VERSION,
};

struct option_row {
    const char *name;
    const char *arg; /* NULL = a flag */
    int code;
    const char *help;
};

/* The names that pailfs has for the same things, and the AWS command line's. */
static const struct option_row option_rows[] = {
    {"profile", "NAME", OPT_PROFILE, "profile in ~/.aws"},
    {"region", "REGION", OPT_REGION, "region of the bucket"},
    {"endpoint-url", "URL", OPT_ENDPOINT, "server that is not AWS"},
    {"path-style", NULL, OPT_PATH_STYLE, "bucket in the path, not in the host name"},
    {"no-sign-request", NULL, OPT_NO_SIGN, "without credentials"},
    {"passwd-file", "FILE", OPT_PASSWD_FILE, "KEY:SECRET as for s3fs"},
    {"ca-bundle", "FILE", OPT_CA_BUNDLE, "certificates to trust"},
    {"no-verify-ssl", NULL, OPT_NO_VERIFY, "trust any certificate"},
    {"json", NULL, OPT_JSON, "print JSON"},
    {"long", NULL, 'l', "ls: sizes and times"},
    {"recursive", NULL, 'r', "ls: below '/' too"},
    {"force", NULL, OPT_FORCE, "rb: delete all objects, versions and uploads first"},
    {"delay", "SECONDS", OPT_DELAY, "wait: between two looks (5)"},
    {"attempts", "N", OPT_ATTEMPTS, "wait: looks before giving up (20)"},
    {"to", "PATH", OPT_TO, "lost restore: into this file, not where it was meant for"},
    {"overwrite", NULL, OPT_OVERWRITE, "lost restore: also where there is a file"},
    {"wait", NULL, OPT_WAIT, "unmount: accepted, it always waits"},
    {"help", NULL, 'h', "this text"},
    {"version", NULL, OPT_VERSION, "the version"},
};

static void print_help(FILE *f)
{
    fputs("Usage: pailctl [OPTION...] COMMAND [ARGUMENT...]\n\nCommands:\n", f);
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
        fprintf(f, "  %s%s%s\n      %s\n", commands[i].name, *commands[i].args ? " " : "",
                commands[i].args, commands[i].help);
    fputs("\nOptions:\n", f);
    for (size_t i = 0; i < ARRAY_SIZE(option_rows); i++) {
        const struct option_row *o = &option_rows[i];
        char name[48];

        (void)snprintf(name, sizeof(name), "%s%c%s--%s%s%s", o->code < 256 ? "-" : "",
                       o->code < 256 ? o->code : ' ', o->code < 256 ? ", " : "   ", o->name,
                       o->arg ? " " : "", o->arg ? o->arg : "");
        fprintf(f, "  %-28s %s\n", name, o->help);
    }
    fputs("\nCredentials come from where the AWS tools have them. Exit status: 0 done, 1 usage,\n"
          "2 the server or the daemon refused or is not there, 3 'wait' gave up. See pailctl(1).\n",
          f);
}

int pailctl_help(struct pailctl *p, int argc, char **argv)
{
    print_help(stdout);
    return PAILCTL_OK;
}

static int usage_error(const char *fmt, ...) ATTR_PRINTF(1, 2);
static int usage_error(const char *fmt, ...)
{
    va_list ap;

    fputs("pailctl: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputs(" (pailctl --help)\n", stderr);
    return -EINVAL;
}

static int set_option(struct pailctl_options *o, int code)
{
    uint64_t n;

    switch (code) {
    case OPT_PROFILE:
        o->args.profile = optarg;
        return 0;
    case OPT_REGION:
        o->args.region = optarg;
        return 0;
    case OPT_ENDPOINT:
        o->args.endpoint_url = optarg;
        return 0;
    case OPT_NO_SIGN:
        o->args.no_sign_request = true;
        return 0;
    case OPT_PATH_STYLE:
        o->args.path_style = 1;
        return 0;
    case OPT_PASSWD_FILE:
        o->args.passwd_file = optarg;
        return 0;
    case OPT_CA_BUNDLE:
        o->args.ca_bundle = optarg;
        return 0;
    case OPT_NO_VERIFY:
        o->no_verify_ssl = true;
        return 0;
    case OPT_JSON:
        o->json = true;
        return 0;
    case 'l':
        o->long_format = true;
        return 0;
    case 'r':
        o->recursive = true;
        return 0;
    case OPT_FORCE:
        o->force = true;
        return 0;
    case OPT_WAIT:
        o->wait = true;
        return 0;
    case OPT_TO:
        o->to = optarg;
        return 0;
    case OPT_OVERWRITE:
        o->overwrite = true;
        return 0;
    case OPT_DELAY:
        if (parse_duration(optarg, &n) < 0 || n < (uint64_t)NS_PER_MS ||
            n > 86400 * (uint64_t)NS_PER_S)
            return usage_error("--delay '%s': expected seconds, from 0.001 to 86400", optarg);
        o->delay_ms = (uint32_t)(n / (uint64_t)NS_PER_MS);
        return 0;
    case OPT_ATTEMPTS:
        if (parse_u64(optarg, &n) < 0 || n < 1 || n > 1000000)
            return usage_error("--attempts '%s': expected a number from 1 to 1000000", optarg);
        o->attempts = (unsigned)n;
        return 0;
    default:
        return usage_error("unknown option");
    }
}

/* 0 = go on, 1 = done with status 0, <0 = usage. */
static int parse_options(struct pailctl_options *o, int argc, char **argv)
{
    struct option long_options[ARRAY_SIZE(option_rows) + 1] = {0};
    int c;

    for (size_t i = 0; i < ARRAY_SIZE(option_rows); i++)
        long_options[i] = (struct option){option_rows[i].name,
                                          option_rows[i].arg ? required_argument : no_argument,
                                          NULL, option_rows[i].code};
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":lrh", long_options, NULL)) != -1) {
        switch (c) {
        case 'h':
            print_help(stdout);
            return 1;
        case OPT_VERSION:
            puts("pailctl " PAILFS_VERSION);
            return 1;
        case ':':
            return usage_error("'%s' needs a value", argv[optind - 1]);
        case '?':
            return usage_error("unknown option '%s'", argv[optind - 1]);
        default:
            if (set_option(o, c) < 0)
                return -EINVAL;
        }
    }
    return 0;
}

/* A name of one word, or of two; of those of two, the first word alone is the first of them: lost
 * is lost list. *ret_words: how many. */
static const struct command *find_command(int argc, char **argv, int *ret_words)
{
    const struct command *short_for = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        const char *name = commands[i].name, *space = strchr(name, ' ');
        size_t len = space ? (size_t)(space - name) : strlen(name);

        if (strlen(argv[0]) != len || strncmp(name, argv[0], len) != 0)
            continue;
        if (space && !short_for)
            short_for = &commands[i];
        if (space && (argc < 2 || strcmp(space + 1, argv[1]) != 0))
            continue;
        *ret_words = space ? 2 : 1;
        return &commands[i];
    }
    *ret_words = 1;
    return short_for;
}

struct s3_client *pailctl_client(struct pailctl *p)
{
    struct s3_session_options session_options;
    struct s3_client_options client_options = {.no_verify_ssl = p->options.no_verify_ssl};
    struct s3_error err = {0};

    if (p->client)
        return p->client;
    s3_session_options_init(&session_options);
    session_options.args = p->options.args;
    if (s3_session_new(&session_options, &p->session, &err) < 0 ||
        s3_session_client_new(p->session, &client_options, &p->client, &err) < 0) {
        (void)pailctl_failed(NULL, &err);
        return NULL;
    }
    return p->client;
}

int pailctl_failed(const char *what, const struct s3_error *err)
{
    char text[1024];

    fprintf(stderr, "pailctl: %s%s%s\n", what ? what : "", what ? ": " : "",
            s3_error_describe(err, text, sizeof(text)));
    return PAILCTL_FAILED;
}

int pailctl_parse_uri(const char *text, char **ret_bucket, char **ret_key)
{
    const char *p = strncmp(text, "s3://", 5) == 0 ? text + 5 : text;
    const char *slash = strchr(p, '/');
    CLEANUP_FREE char *bucket = slash ? strndup(p, (size_t)(slash - p)) : strdup(p);
    CLEANUP_FREE char *key = strdup(slash ? slash + 1 : "");

    if (!bucket || !key)
        return -ENOMEM;
    if (!*bucket)
        return usage_error("'%s': expected s3://BUCKET or s3://BUCKET/KEY", text);
    *ret_bucket = TAKE_PTR(bucket);
    *ret_key = TAKE_PTR(key);
    return 0;
}

int main(int argc, char **argv)
{
    struct pailctl p = {.options.args.path_style = -1};
    const struct command *command;
    int r = parse_options(&p.options, argc, argv);
    int words = 1, n, status;

    if (r != 0)
        return r < 0 ? PAILCTL_USAGE : PAILCTL_OK;
    if (optind == argc) {
        print_help(stderr);
        return PAILCTL_USAGE;
    }
    command = find_command(argc - optind, argv + optind, &words);
    n = argc - optind - words;
    if (!command) {
        (void)usage_error("unknown command '%s'", argv[optind]);
        return PAILCTL_USAGE;
    }
    if (n < command->min_args || n > command->max_args) {
        (void)usage_error("usage: pailctl %s %s", command->name, command->args);
        return PAILCTL_USAGE;
    }
    if (pailctl_out_new(p.options.json, &p.out) < 0) {
        fputs("pailctl: out of memory\n", stderr);
        return PAILCTL_FAILED;
    }
    status = command->run(&p, n, argv + optind + words);
    s3_client_unref(p.client);
    s3_session_unref(p.session);
    if (pailctl_out_free(p.out) < 0 && status == PAILCTL_OK) {
        fputs("pailctl: the output could not be written\n", stderr);
        status = PAILCTL_FAILED;
    }
    return status;
}
