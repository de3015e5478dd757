/* SPDX-License-Identifier: Apache-2.0 */
/* s3fs' password file. Lines are
 *     KEYID:SECRET                    for every bucket
 *     BUCKET:KEYID:SECRET             for one
 *     AWSAccessKeyId=KEYID            and on another line
 *     AWSSecretKey=SECRET             (the form of older AWS tools)
 * with empty lines and '#' comments. A line for the bucket goes before the one for all; the '='
 * form goes before both, as in s3fs.
 * https://github.com/s3fs-fuse/s3fs-fuse#examples */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/config.h"
#include "aws/credentials_providers.h"
#include "base/cleanup.h"
#include "base/file_io.h"
#include "base/limits.h"

#define SYSTEM_PASSWD_FILE "/etc/passwd-s3fs"

/* What the file says about our bucket; everything points into the text. */
struct found {
    const char *id;
    const char *secret;
};

struct passwd {
    const char *path;
    const char *bucket; /* may be NULL */
    struct found every_bucket;
    struct found this_bucket;
    struct found pair; /* the '=' form */
    struct s3_error *reterr;
};

/* ---- permissions ---- */

/* s3fs' rule: nobody but the owner, for the system's file also its group may read. */
static int check_mode(int fd, const char *path, struct s3_error *reterr)
{
    bool system = strcmp(path, SYSTEM_PASSWD_FILE) == 0;
    mode_t allowed = system ? 0640 : 0600;
    struct stat st;

    if (fstat(fd, &st) < 0)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "cannot read %.300s: %s", path,
                            strerrordesc_np(errno));
    /* A pipe is what a shell's <(...) gives. */
    if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
        return s3_error_set(reterr, S3_ERROR_CONFIG, "%.300s is not a file", path);
    if (st.st_mode & 0777 & ~allowed)
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "%.300s holds secrets and its mode is %04o: run chmod %03o '%.100s'",
                            path, st.st_mode & 07777u, allowed, path);
    return 0;
}

/* ---- lines ---- */

static char *trim(char *s)
{
    size_t len;

    s += strspn(s, " \t\r");
    len = strlen(s);
    while (len > 0 && strchr(" \t\r", s[len - 1]))
        s[--len] = '\0';
    return s;
}

static int line_error(const struct passwd *p, unsigned line, const char *what)
{
    return s3_error_set(p->reterr, S3_ERROR_CONFIG, "%.300s:%u: %s", p->path, line, what);
}

static int take_pair(struct found *to, char *id, char *secret, const struct passwd *p,
                     unsigned line)
{
    if (to->id)
        return line_error(p, line, "there are two lines for the same bucket");
    to->id = id;
    to->secret = secret;
    return 0;
}

/* first and last are the outer colons: s3fs takes everything between them as the key id. */
static int parse_colon_line(struct passwd *p, char *text, unsigned line)
{
    char *first = strchr(text, ':');
    char *last = strrchr(text, ':');

    *first = '\0';
    if (first == last)
        return take_pair(&p->every_bucket, text, first + 1, p, line);
    *last = '\0';
    if (p->bucket && strcmp(text, p->bucket) == 0)
        return take_pair(&p->this_bucket, first + 1, last + 1, p, line);
    return 0;
}

static int parse_line(struct passwd *p, char *text, unsigned line)
{
    static const char ID[] = "AWSAccessKeyId=";
    static const char SECRET[] = "AWSSecretKey=";

    text = trim(text);
    if (*text == '\0' || *text == '#')
        return 0;
    if (strncmp(text, ID, strlen(ID)) == 0) {
        p->pair.id = trim(text + strlen(ID));
        return 0;
    }
    if (strncmp(text, SECRET, strlen(SECRET)) == 0) {
        p->pair.secret = trim(text + strlen(SECRET));
        return 0;
    }
    if (*text == '[')
        return line_error(p, line,
                          "a [section]: this looks like a file for AWS' tools; give it "
                          "as AWS_SHARED_CREDENTIALS_FILE");
    if (strpbrk(text, " \t"))
        return line_error(p, line, "white space inside a line");
    if (!strchr(text, ':'))
        return line_error(p, line, "expected KEYID:SECRET or BUCKET:KEYID:SECRET");
    return parse_colon_line(p, text, line);
}

static int parse(struct passwd *p, char *text)
{
    unsigned line = 0;

    while (text) {
        char *newline = strchr(text, '\n');
        int r;

        if (newline)
            *newline = '\0';
        r = parse_line(p, text, ++line);
        if (r < 0)
            return r;
        text = newline ? newline + 1 : NULL;
    }
    return 0;
}

/* ---- file ---- */

static int load_text(const struct aws_config *config, const char *path, const char *provider,
                     char *text, struct aws_credentials **ret, struct s3_error *reterr)
{
    struct passwd p = {.path = path, .bucket = config->bucket, .reterr = reterr};
    const struct found *f;
    int r;

    r = parse(&p, text);
    if (r < 0)
        return r;
    f = p.pair.id || p.pair.secret ? &p.pair : p.this_bucket.id ? &p.this_bucket : &p.every_bucket;
    return aws_make_credentials(f->id, f->secret, NULL, AWS_CREDENTIALS_NO_EXPIRY, provider, path,
                                ret, reterr);
}

static int load_fd(const struct aws_config *config, const char *path, int fd, const char *provider,
                   struct aws_credentials **ret, struct s3_error *reterr)
{
    const size_t size = LIMIT_PASSWD_FILE + 1; /* one more shows that the file is too large */
    char *text;
    size_t len = 0;
    int r;

    r = check_mode(fd, path, reterr);
    if (r < 0)
        return r;
    text = malloc(size + 1);
    if (!text)
        return s3_error_set(reterr, S3_ERROR_OUT_OF_MEMORY, "out of memory");
    r = file_read(fd, text, size, &len);
    text[len] = '\0';
    if (r < 0)
        r = s3_error_set(reterr, S3_ERROR_CONFIG, "cannot read %.300s: %s", path,
                         strerrordesc_np(-r));
    else if (len == size)
        r = s3_error_set(reterr, S3_ERROR_CONFIG, "%.300s: larger than %u bytes", path,
                         LIMIT_PASSWD_FILE);
    else if (strlen(text) != len)
        r = s3_error_set(reterr, S3_ERROR_CONFIG, "%.300s holds a NUL byte; is it a text file?",
                         path);
    else
        r = load_text(config, path, provider, text, ret, reterr);
    explicit_bzero(text, len);
    free(text);
    return r;
}

int aws_load_passwd_file(const struct aws_config *config, struct clock *clock,
                         struct aws_credentials **ret, struct s3_error *reterr)
{
    CLEANUP_FD int fd = -1;
    int r;

    if (!config->passwd_file)
        return 0;
    fd = open(config->passwd_file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return s3_error_set(reterr, S3_ERROR_CONFIG, "cannot read passwd_file %.300s: %s",
                            config->passwd_file, strerrordesc_np(errno));
    r = load_fd(config, config->passwd_file, fd, "passwd-file", ret, reterr);
    if (r == 0)
        return s3_error_set(reterr, S3_ERROR_CONFIG,
                            "passwd_file %.300s holds no keys for bucket '%.63s'",
                            config->passwd_file, config->bucket ? config->bucket : "");
    return r;
}

/* Files in the default places may be there for s3fs alone: one that cannot be read is not ours. */
int aws_load_default_passwd_file(const struct aws_config *config, struct clock *clock,
                                 struct aws_credentials **ret, struct s3_error *reterr)
{
    const char *places[] = {config->home_passwd_file, SYSTEM_PASSWD_FILE};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        CLEANUP_FD int fd = places[i] ? open(places[i], O_RDONLY | O_CLOEXEC) : -1;
        int r;

        if (fd < 0)
            continue;
        r = load_fd(config, places[i], fd, "default-passwd-file", ret, reterr);
        if (r != 0)
            return r;
    }
    return 0;
}
