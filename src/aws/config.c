/* SPDX-License-Identifier: Apache-2.0 */
/* Each setting is one row: the argument, then the environment variables in order, then the
 * profile's keys in order. The first that is there and not empty wins; what it says must make
 * sense, or loading fails with a sentence that names where it was written.
 *
 * Where AWS' own tools disagree:
 * - AWS_REGION before AWS_DEFAULT_REGION. boto3 knows only the second; every newer SDK, Lambda and
 *   EKS set or read the first. Who sets both to different values means the first.
 * - AWS_PROFILE before AWS_DEFAULT_PROFILE, for the same reason. */
#include "aws/config.h"

#include <errno.h>
#include <pwd.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "aws/profile.h"
#include "base/attr.h"
#include "base/cleanup.h"
#include "base/parse.h"
#include "base/strbuf.h"

#define PATH_TEXT_MAX 4096u

#define PASSWD_BUFFER 16384 /* one passwd entry; _SC_GETPW_R_SIZE_MAX is a hint of 1,024 */

DEFINE_CLEANUP(cleanup_config, struct aws_config *, aws_config_free)

enum setting_type {
    TYPE_STRING,
    TYPE_BOOL,
    TYPE_COUNT,      /* int, 1 and up */
    TYPE_SIZE,       /* uint64_t, bytes, 1 and up */
    TYPE_ADDRESSING, /* enum aws_addressing as int */
    TYPE_RETRY_MODE, /* checked and not kept: there is one mode */
};

struct setting {
    const char *name; /* for messages, when an argument is wrong */
    enum setting_type type;
    size_t field;       /* in struct aws_config */
    size_t arg;         /* a string in struct aws_config_args, or NO_ARG */
    const char *env[2]; /* in order */
    const char *key;    /* in the profile */
    const char *s3_key; /* in the profile's "s3 =" block */
    bool s3_key_first;  /* the block is the more special place */
    bool services;      /* also s3_key in the profile's services section, before both */
    bool is_endpoint;   /* switched off by ignore_configured_endpoint_urls */
};

#define NO_ARG   SIZE_MAX
#define NO_FIELD SIZE_MAX
#define FIELD(f) offsetof(struct aws_config, f)
#define ARG(f)   offsetof(struct aws_config_args, f)

/* https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html and
 * https://docs.aws.amazon.com/cli/latest/topic/s3-config.html */
static const struct setting settings[] = {
    {"region",
     TYPE_STRING,
     FIELD(region),
     ARG(region),
     {"AWS_REGION", "AWS_DEFAULT_REGION"},
     .key = "region"},
    {"endpoint_url",
     TYPE_STRING,
     FIELD(endpoint_url),
     ARG(endpoint_url),
     {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"},
     .key = "endpoint_url",
     .s3_key = "endpoint_url",
     .s3_key_first = true,
     .services = true,
     .is_endpoint = true},
    {"ca_bundle",
     TYPE_STRING,
     FIELD(ca_bundle),
     ARG(ca_bundle),
     {"AWS_CA_BUNDLE"},
     .key = "ca_bundle"},
    {"max_attempts",
     TYPE_COUNT,
     FIELD(max_attempts),
     NO_ARG,
     {"AWS_MAX_ATTEMPTS"},
     .key = "max_attempts"},
    {"retry_mode", TYPE_RETRY_MODE, NO_FIELD, NO_ARG, {"AWS_RETRY_MODE"}, .key = "retry_mode"},
    {"use_dualstack_endpoint",
     TYPE_BOOL,
     FIELD(use_dualstack),
     NO_ARG,
     {"AWS_USE_DUALSTACK_ENDPOINT"},
     .key = "use_dualstack_endpoint",
     .s3_key = "use_dualstack_endpoint"},
    {"use_fips_endpoint",
     TYPE_BOOL,
     FIELD(use_fips),
     NO_ARG,
     {"AWS_USE_FIPS_ENDPOINT"},
     .key = "use_fips_endpoint"},
    {"addressing_style",
     TYPE_ADDRESSING,
     FIELD(addressing_style),
     NO_ARG,
     {NULL},
     .s3_key = "addressing_style"},
    {"multipart_threshold",
     TYPE_SIZE,
     FIELD(multipart_threshold),
     NO_ARG,
     {NULL},
     .s3_key = "multipart_threshold"},
    {"multipart_chunksize",
     TYPE_SIZE,
     FIELD(multipart_chunksize),
     NO_ARG,
     {NULL},
     .s3_key = "multipart_chunksize"},
};

static const char *process_getenv(void *ctx, const char *name)
{
    return getenv(name);
}

/* Empty counts as not set, here and in the files, as in AWS' tools. */
static const char *not_empty(const char *s)
{
    return s && *s ? s : NULL;
}

static const char *env(const struct aws_config *c, const char *name)
{
    return not_empty(c->getenv(c->getenv_ctx, name));
}

static int out_of_memory(struct s3_error *reterr)
{
    return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
}

/* ---- finding a value ---- */

/* Where a value was found, for messages. */
struct origin {
    const char *kind; /* "", "environment variable ", "profile 'x', " */
    const char *name;
};

static const char *profile_value(const struct aws_config *c, const struct setting *s)
{
    const char *services = not_empty(aws_profile_get(c->files, c->profile, NULL, "services"));
    const char *plain = NULL, *block = NULL, *service = NULL;

    if (s->key)
        plain = not_empty(aws_profile_get(c->files, c->profile, NULL, s->key));
    if (s->s3_key)
        block = not_empty(aws_profile_get(c->files, c->profile, "s3", s->s3_key));
    if (s->services && services)
        service = not_empty(aws_profile_get_service(c->files, services, "s3", s->s3_key));
    if (service)
        return service;
    if (s->s3_key_first && block)
        return block;
    return plain ? plain : block;
}

static const char *find_value(const struct aws_config *c, const struct aws_config_args *args,
                              const struct setting *s, bool ignore_endpoints, struct origin *origin)
{
    const char *v;

    *origin = (struct origin){"", s->name};
    if (s->arg != NO_ARG) {
        v = not_empty(*(const char *const *)((const char *)args + s->arg));
        if (v)
            return v;
    }
    if (s->is_endpoint && ignore_endpoints)
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(s->env) && s->env[i]; i++) {
        v = env(c, s->env[i]);
        if (v) {
            *origin = (struct origin){"environment variable ", s->env[i]};
            return v;
        }
    }
    v = profile_value(c, s);
    if (v)
        *origin = (struct origin){"profile, setting ", s->name};
    return v;
}

/* ---- converting it ---- */

static bool parse_addressing(const char *v, int *ret)
{
    static const char *const names[] = {
        [AWS_ADDRESSING_AUTO] = "auto",
        [AWS_ADDRESSING_PATH] = "path",
        [AWS_ADDRESSING_VIRTUAL] = "virtual",
    };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (strcasecmp(v, names[i]) == 0) {
            *ret = (int)i;
            return true;
        }
    return false;
}

static int bad_value(const struct origin *origin, const char *v, const char *expected,
                     struct s3_error *reterr)
{
    return s3_error_set(reterr, S3_ERROR_CONFIG, "%s%s: '%.100s' is not %s", origin->kind,
                        origin->name, v, expected);
}

static int set_value(struct aws_config *c, const struct setting *s, const char *v,
                     const struct origin *origin, struct s3_error *reterr)
{
    void *field = s->field == NO_FIELD ? NULL : (char *)c + s->field;
    uint64_t number = 0;

    switch (s->type) {
    case TYPE_STRING:
        *(char **)field = strdup(v);
        return *(char **)field ? 0 : out_of_memory(reterr);
    case TYPE_BOOL:
        if (parse_bool(v, field) < 0)
            return bad_value(origin, v, "true or false", reterr);
        return 0;
    case TYPE_COUNT:
        if (parse_u64(v, &number) < 0 || number < 1 || number > 1000)
            return bad_value(origin, v, "a number from 1 to 1000", reterr);
        *(int *)field = (int)number;
        return 0;
    case TYPE_SIZE:
        if (parse_size(v, 1, &number) < 0 || number < 1)
            return bad_value(origin, v, "a size like 8MB", reterr);
        *(uint64_t *)field = number;
        return 0;
    case TYPE_ADDRESSING:
        if (!parse_addressing(v, field))
            return bad_value(origin, v, "auto, path or virtual", reterr);
        return 0;
    case TYPE_RETRY_MODE:
        if (strcasecmp(v, "standard") != 0 && strcasecmp(v, "adaptive") != 0 &&
            strcasecmp(v, "legacy") != 0)
            return bad_value(origin, v, "standard, adaptive or legacy", reterr);
        return 0;
    }
    return 0;
}

static int load_settings(struct aws_config *c, const struct aws_config_args *args,
                         struct s3_error *reterr)
{
    static const struct setting ignore_row = {"ignore_configured_endpoint_urls",
                                              TYPE_BOOL,
                                              NO_FIELD,
                                              NO_ARG,
                                              {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"},
                                              .key = "ignore_configured_endpoint_urls"};
    struct origin origin;
    bool ignore = false;
    const char *v;
    int r;

    v = find_value(c, args, &ignore_row, false, &origin);
    if (v && parse_bool(v, &ignore) < 0)
        return bad_value(&origin, v, "true or false", reterr);
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
        v = find_value(c, args, &settings[i], ignore, &origin);
        if (!v)
            continue;
        r = set_value(c, &settings[i], v, &origin, reterr);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- files ---- */

/* HOME, or the user's entry in the password database: systemd and mount(8) give no HOME. Empty
 * when there is neither. */
static int home_directory(const struct aws_config *c, char **ret)
{
    const char *home = env(c, "HOME");
    CLEANUP_FREE char *buf = NULL;
    struct passwd pw, *found = NULL;

    if (!home) {
        buf = malloc(PASSWD_BUFFER);
        if (!buf)
            return -ENOMEM;
        if (getpwuid_r(geteuid(), &pw, buf, PASSWD_BUFFER, &found) == 0 && found)
            home = pw.pw_dir;
    }
    *ret = strdup(home ? home : "");
    return *ret ? 0 : -ENOMEM;
}

/* "~/" is replaced in what the variable says, too: a systemd unit does not expand it. */
static int config_path(const char *home, const char *p, char **ret)
{
    CLEANUP_STRBUF struct strbuf path = STRBUF_INIT(PATH_TEXT_MAX);

    if (strncmp(p, "~/", 2) == 0) {
        strbuf_append_str(&path, home);
        p++;
    }
    strbuf_append_str(&path, p);
    if (path.error == -E2BIG)
        return -ENAMETOOLONG;
    *ret = strbuf_take(&path);
    return *ret ? 0 : -ENOMEM;
}

static int load_files(struct aws_config *c, struct s3_error *reterr)
{
    int r;

    if (aws_profile_new(&c->files) < 0)
        return out_of_memory(reterr);
    /* Credentials first: what is already there wins. */
    r = aws_profile_read(c->files, AWS_PROFILE_CREDENTIALS, c->credentials_path, reterr);
    if (r < 0)
        return r;
    return aws_profile_read(c->files, AWS_PROFILE_CONFIG, c->config_path, reterr);
}

static int find_files(struct aws_config *c, struct s3_error *reterr)
{
    const char *credentials = env(c, "AWS_SHARED_CREDENTIALS_FILE");
    const char *config = env(c, "AWS_CONFIG_FILE");
    CLEANUP_FREE char *home = NULL;
    int r;

    r = home_directory(c, &home);
    if (r == 0)
        r = config_path(home, credentials ? credentials : "~/.aws/credentials",
                        &c->credentials_path);
    if (r == 0)
        r = config_path(home, config ? config : "~/.aws/config", &c->config_path);
    if (r == 0 && home[0])
        r = config_path(home, "~/.passwd-s3fs", &c->home_passwd_file);
    if (r == -ENAMETOOLONG)
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "the path of ~/.aws/config or "
                            "~/.aws/credentials is too long");
    return r < 0 ? out_of_memory(reterr) : 0;
}

static int choose_profile(struct aws_config *c, const char *given, struct s3_error *reterr)
{
    const char *name = not_empty(given);
    const char *where = "given as an option";

    c->profile_explicit = name != NULL;
    if (!name) {
        name = env(c, "AWS_PROFILE");
        where = "named by AWS_PROFILE";
    }
    if (!name) {
        name = env(c, "AWS_DEFAULT_PROFILE");
        where = "named by AWS_DEFAULT_PROFILE";
    }
    c->profile = strdup(name ? name : "default");
    if (!c->profile)
        return out_of_memory(reterr);
    /* "default" need not exist, even when it is named. */
    if (strcmp(c->profile, "default") != 0 && !aws_profile_exists(c->files, c->profile))
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "profile '%.100s' (%s) is neither in %.150s nor in %.150s", c->profile,
                            where, c->credentials_path, c->config_path);
    return 0;
}

/* ---- arguments ---- */

static int copy_string(char **to, const char *from)
{
    if (!not_empty(from))
        return 0;
    *to = strdup(from);
    return *to ? 0 : -ENOMEM;
}

static int copy_args(struct aws_config *c, const struct aws_config_args *args,
                     struct s3_error *reterr)
{
    if (copy_string(&c->access_key_id, args->access_key_id) < 0 ||
        copy_string(&c->secret_access_key, args->secret_access_key) < 0 ||
        copy_string(&c->session_token, args->session_token) < 0 ||
        copy_string(&c->passwd_file, args->passwd_file) < 0 ||
        copy_string(&c->bucket, args->bucket) < 0)
        return out_of_memory(reterr);
    c->no_sign_request = args->no_sign_request;
    c->getenv = args->getenv ? args->getenv : process_getenv;
    c->getenv_ctx = args->getenv ? args->getenv_ctx : NULL;
    return 0;
}

/* Arguments that are not strings, over what the table found. */
static int apply_args(struct aws_config *c, const struct aws_config_args *args,
                      struct s3_error *reterr)
{
    if (args->path_style >= 0)
        c->addressing_style = args->path_style ? AWS_ADDRESSING_PATH : AWS_ADDRESSING_VIRTUAL;
    if (args->max_attempts < 0)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "max_attempts: %d is less than 1",
                            args->max_attempts);
    if (args->max_attempts > 0)
        c->max_attempts = args->max_attempts;
    return 0;
}

int aws_config_load(const struct aws_config_args *args, struct aws_config **ret,
                    struct s3_error *reterr)
{
    CLEANUP(cleanup_config) struct aws_config *c = calloc(1, sizeof(*c));
    int r;

    if (!c)
        return out_of_memory(reterr);
    r = copy_args(c, args, reterr);
    if (r == 0)
        r = find_files(c, reterr);
    if (r == 0)
        r = load_files(c, reterr);
    if (r == 0)
        r = choose_profile(c, args->profile, reterr);
    if (r == 0)
        r = load_settings(c, args, reterr);
    if (r == 0)
        r = apply_args(c, args, reterr);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(c);
    return 0;
}

static void wipe_and_free(char *s)
{
    if (s)
        explicit_bzero(s, strlen(s));
    free(s);
}

void aws_config_free(struct aws_config *c)
{
    if (!c)
        return;
    wipe_and_free(c->access_key_id);
    wipe_and_free(c->secret_access_key);
    wipe_and_free(c->session_token);
    free(c->profile);
    free(c->region);
    free(c->endpoint_url);
    free(c->ca_bundle);
    free(c->passwd_file);
    free(c->home_passwd_file);
    free(c->bucket);
    free(c->credentials_path);
    free(c->config_path);
    aws_profile_free(c->files);
    free(c);
}
