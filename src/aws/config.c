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
#include <limits.h>
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

#define PASSWD_BUFFER 16384 /* one passwd entry; _SC_GETPW_R_SIZE_MAX is a hint of 1,024 */

DEFINE_CLEANUP(cleanup_config, struct aws_config *, aws_config_free)

enum setting_type {
    TYPE_STRING,
    TYPE_PATH, /* string, made absolute */
    TYPE_BOOL,
    TYPE_COUNT,      /* int, 1 and up */
    TYPE_SIZE,       /* uint64_t, bytes, 1 and up */
    TYPE_ADDRESSING, /* enum aws_addressing as int */
    TYPE_RETRY_MODE, /* checked and not kept: there is one mode */
};

/* Places in the profile; of several the one further down here counts, being the more special. */
enum setting_places {
    PLAIN = 1,    /* the profile's own keys */
    S3_BLOCK = 2, /* the keys below "s3 =" */
    SERVICES = 4, /* the keys below "s3 =" in the section that "services = NAME" refers to */
    ENDPOINT = PLAIN | S3_BLOCK | SERVICES,
};

struct setting {
    const char *name; /* the key in the profile */
    enum setting_type type;
    size_t field;       /* in struct aws_config, or NONE */
    size_t arg;         /* a string in struct aws_config_args, or NONE */
    const char *env[2]; /* in order */
    unsigned places;    /* of enum setting_places */
};

#define NONE     SIZE_MAX
#define FIELD(f) offsetof(struct aws_config, f)
#define ARG(f)   offsetof(struct aws_config_args, f)

/* https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html and
 * https://docs.aws.amazon.com/cli/latest/topic/s3-config.html */
/* clang-format off */
static const struct setting settings[] = {
    {"region", TYPE_STRING, FIELD(region), ARG(region),
        {"AWS_REGION", "AWS_DEFAULT_REGION"}, PLAIN},
    {"endpoint_url", TYPE_STRING, FIELD(endpoint_url), ARG(endpoint_url),
        {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"}, ENDPOINT},
    {"ca_bundle", TYPE_PATH, FIELD(ca_bundle), ARG(ca_bundle), {"AWS_CA_BUNDLE"}, PLAIN},
    {"max_attempts", TYPE_COUNT, FIELD(max_attempts), NONE, {"AWS_MAX_ATTEMPTS"}, PLAIN},
    {"retry_mode", TYPE_RETRY_MODE, NONE, NONE, {"AWS_RETRY_MODE"}, PLAIN},
    {"use_dualstack_endpoint", TYPE_BOOL, FIELD(use_dualstack), NONE,
        {"AWS_USE_DUALSTACK_ENDPOINT"}, PLAIN | S3_BLOCK},
    {"use_fips_endpoint", TYPE_BOOL, FIELD(use_fips), NONE, {"AWS_USE_FIPS_ENDPOINT"}, PLAIN},
    {"addressing_style", TYPE_ADDRESSING, FIELD(addressing_style), NONE, {0}, S3_BLOCK},
    {"multipart_threshold", TYPE_SIZE, FIELD(multipart_threshold), NONE, {0}, S3_BLOCK},
    {"multipart_chunksize", TYPE_SIZE, FIELD(multipart_chunksize), NONE, {0}, S3_BLOCK},
};
static const struct setting ignore_endpoints = {
    "ignore_configured_endpoint_urls", TYPE_BOOL, NONE, NONE,
        {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"}, PLAIN};
/* clang-format on */

/* What loading needs and the result does not keep. */
struct loader {
    const struct aws_config_args *args;
    struct aws_config *config;
    struct aws_profile_file *files; /* owned; holds secrets */
    char *home;                     /* owned; "" when unknown */
    struct s3_error *reterr;
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

static const char *profile_value(const struct loader *l, const struct setting *s)
{
    const char *profile = l->config->profile;
    const char *services = not_empty(aws_profile_get(l->files, profile, NULL, "services"));
    const char *v = NULL;

    if ((s->places & SERVICES) && services)
        v = not_empty(aws_profile_get_service(l->files, services, "s3", s->name));
    if (!v && (s->places & S3_BLOCK))
        v = not_empty(aws_profile_get(l->files, profile, "s3", s->name));
    if (!v && (s->places & PLAIN))
        v = not_empty(aws_profile_get(l->files, profile, NULL, s->name));
    return v;
}

static const char *find_value(const struct loader *l, const struct setting *s, bool no_endpoint,
                              struct origin *origin)
{
    const char *v;

    *origin = (struct origin){"", s->name};
    if (s->arg != NONE) {
        v = not_empty(*(const char *const *)((const char *)l->args + s->arg));
        if (v)
            return v;
    }
    if (s->places == ENDPOINT && no_endpoint)
        return NULL;
    for (size_t i = 0; i < ARRAY_SIZE(s->env) && s->env[i]; i++) {
        v = env(l->config, s->env[i]);
        if (v) {
            *origin = (struct origin){"environment variable ", s->env[i]};
            return v;
        }
    }
    v = profile_value(l, s);
    if (v)
        *origin = (struct origin){"profile, setting ", s->name};
    return v;
}

/* ---- paths ---- */

/* HOME, or the user's entry in the password database: systemd and mount(8) give no HOME. Empty
 * when there is neither. */
static int find_home(struct loader *l)
{
    const char *home = env(l->config, "HOME");
    CLEANUP_FREE char *buf = NULL;
    struct passwd pw, *found = NULL;

    if (!home) {
        buf = malloc(PASSWD_BUFFER);
        if (!buf)
            return out_of_memory(l->reterr);
        if (getpwuid_r(geteuid(), &pw, buf, PASSWD_BUFFER, &found) == 0 && found)
            home = pw.pw_dir;
    }
    l->home = strdup(home ? home : "");
    return l->home ? 0 : out_of_memory(l->reterr);
}

/* "~/" is replaced in what an option or a variable says, too: neither fstab nor a systemd unit
 * expands it. */
static int absolute_path(const struct loader *l, const char *p, char **ret)
{
    CLEANUP_STRBUF struct strbuf path = STRBUF_INIT(PATH_MAX - 1);
    char cwd[PATH_MAX];

    if (strncmp(p, "~/", 2) == 0) {
        strbuf_append_str(&path, l->home);
        p++;
    } else if (p[0] != '/' && getcwd(cwd, sizeof(cwd))) {
        strbuf_append_str(&path, cwd);
        strbuf_append_char(&path, '/');
    }
    strbuf_append_str(&path, p);
    if (path.error == -E2BIG)
        return s3_error_set(l->reterr, S3_ERROR_CONFIG, "the path %.100s... is too long", p);
    *ret = strbuf_take(&path);
    return *ret ? 0 : out_of_memory(l->reterr);
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

static int set_value(const struct loader *l, const struct setting *s, const char *v,
                     const struct origin *origin)
{
    void *field = s->field == NONE ? NULL : (char *)l->config + s->field;
    struct s3_error *reterr = l->reterr;
    uint64_t number = 0;

    switch (s->type) {
    case TYPE_STRING:
        *(char **)field = strdup(v);
        return *(char **)field ? 0 : out_of_memory(reterr);
    case TYPE_PATH:
        return absolute_path(l, v, field);
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

static int load_settings(const struct loader *l)
{
    struct origin origin;
    bool no_endpoint = false;
    const char *v;
    int r;

    v = find_value(l, &ignore_endpoints, false, &origin);
    if (v && parse_bool(v, &no_endpoint) < 0)
        return bad_value(&origin, v, "true or false", l->reterr);
    for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
        v = find_value(l, &settings[i], no_endpoint, &origin);
        if (!v)
            continue;
        r = set_value(l, &settings[i], v, &origin);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- files ---- */

static int load_files(struct loader *l)
{
    struct aws_config *c = l->config;
    const char *credentials = env(c, "AWS_SHARED_CREDENTIALS_FILE");
    const char *config = env(c, "AWS_CONFIG_FILE");
    int r;

    if (aws_profile_new(&l->files) < 0)
        return out_of_memory(l->reterr);
    r = absolute_path(l, credentials ? credentials : "~/.aws/credentials", &c->credentials_path);
    if (r == 0)
        r = absolute_path(l, config ? config : "~/.aws/config", &c->config_path);
    if (r == 0 && l->home[0])
        r = absolute_path(l, "~/.passwd-s3fs", &c->home_passwd_file);
    /* Credentials first: what is already there wins. */
    if (r == 0)
        r = aws_profile_read(l->files, AWS_PROFILE_CREDENTIALS, c->credentials_path, l->reterr);
    if (r == 0)
        r = aws_profile_read(l->files, AWS_PROFILE_CONFIG, c->config_path, l->reterr);
    return r;
}

static int choose_profile(const struct loader *l)
{
    struct aws_config *c = l->config;
    const char *name = not_empty(l->args->profile);
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
        return out_of_memory(l->reterr);
    /* "default" need not exist, even when it is named. */
    if (strcmp(c->profile, "default") != 0 && !aws_profile_exists(l->files, c->profile))
        return s3_error_set(l->reterr, S3_ERROR_CONFIG,
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

static int copy_args(const struct loader *l)
{
    const struct aws_config_args *args = l->args;
    struct aws_config *c = l->config;

    if (copy_string(&c->access_key_id, args->access_key_id) < 0 ||
        copy_string(&c->secret_access_key, args->secret_access_key) < 0 ||
        copy_string(&c->session_token, args->session_token) < 0 ||
        copy_string(&c->bucket, args->bucket) < 0)
        return out_of_memory(l->reterr);
    if (not_empty(args->passwd_file))
        return absolute_path(l, args->passwd_file, &c->passwd_file);
    return 0;
}

/* Arguments that are not strings, over what the table found. */
static int apply_args(const struct loader *l)
{
    const struct aws_config_args *args = l->args;
    struct aws_config *c = l->config;

    c->no_sign_request = args->no_sign_request;
    if (args->path_style >= 0)
        c->addressing_style = args->path_style ? AWS_ADDRESSING_PATH : AWS_ADDRESSING_VIRTUAL;
    if (args->max_attempts < 0)
        return s3_error_set(l->reterr, S3_ERROR_CONFIG, "max_attempts: %d is less than 1",
                            args->max_attempts);
    if (args->max_attempts > 0)
        c->max_attempts = args->max_attempts;
    return 0;
}

static int load(struct loader *l)
{
    int r = find_home(l);

    if (r == 0)
        r = copy_args(l);
    if (r == 0)
        r = load_files(l);
    if (r == 0)
        r = choose_profile(l);
    if (r == 0)
        r = load_settings(l);
    if (r == 0)
        r = apply_args(l);
    return r;
}

int aws_config_load(const struct aws_config_args *args, struct aws_config **ret,
                    struct s3_error *reterr)
{
    CLEANUP(cleanup_config) struct aws_config *c = calloc(1, sizeof(*c));
    struct loader l = {.args = args, .config = c, .reterr = reterr};
    int r;

    if (!c)
        return out_of_memory(reterr);
    c->getenv = args->getenv ? args->getenv : process_getenv;
    c->getenv_ctx = args->getenv ? args->getenv_ctx : NULL;
    r = load(&l);
    aws_profile_free(l.files);
    free(l.home);
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
    free(c);
}
