/* SPDX-License-Identifier: Apache-2.0 */
/* What the user asked for: one table (options_table.c) holds every option, this struct the values.
 *
 *   struct conf_options o;
 *   r = conf_load(&o, argc, argv, NULL, NULL, &err);   defaults < PAILFS_* < the command line
 *   if (r == 0 && o.action == CONF_ACTION_HELP) conf_help(&text);
 *   conf_done(&o);
 *
 * Names:   `-o name=value`, `--name value`, `--name=value` are one; '_' and '-' are equal; a later
 *          one wins. In -o lists `\,` is a comma and `\\` a backslash within a value.
 * Errors:  0, -EINVAL with S3_ERROR_CONFIG and a sentence that names the option, its value and what
 *          would be accepted, or -ENOMEM. Nothing is printed or logged here.
 * Owner:   the struct owns its strings. Threads: constant after conf_load. */
#ifndef PAILFS_CONF_CONF_H
#define PAILFS_CONF_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/log.h"
#include "base/strbuf.h"

/* Rows of options_table.c that can be given; test_conf.c holds the table against it. */
#define CONF_ROWS_MAX 256

enum conf_action { CONF_ACTION_MOUNT, CONF_ACTION_HELP, CONF_ACTION_VERSION };
enum conf_posix { CONF_POSIX_AUTO, CONF_POSIX_ON, CONF_POSIX_OFF };
enum conf_fsync { CONF_FSYNC_REMOTE, CONF_FSYNC_LOCAL };
enum conf_excl { CONF_EXCL_AUTO, CONF_EXCL_OPEN, CONF_EXCL_LOCAL };
enum conf_verify {
    CONF_VERIFY_AUTO,
    CONF_VERIFY_ON,
    CONF_VERIFY_OFF,
};
enum conf_checksum {
    CONF_CHECKSUM_AUTO,
    CONF_CHECKSUM_CRC64NVME,
    CONF_CHECKSUM_CRC32C,
    CONF_CHECKSUM_NONE,
};

/* Strings are NULL when not given; sizes are bytes, times nanoseconds. */
struct conf_options {
    int action; /* enum conf_action */

    /* what is mounted where */
    char *source;     /* as the user wrote it */
    char *mountpoint; /* absolute */
    char *bucket;
    char *prefix; /* "" or with a '/' at its end; never NULL after conf_finish */

    /* the way to S3 */
    char *region;
    char *profile;
    char *endpoint_url; /* with scheme */
    bool path_style;    /* conf_given() tells no from not said */
    char *passwd_file;
    bool no_sign_request;
    char *ca_bundle;
    bool no_verify_ssl;
    bool sign_payload;
    int checksum; /* enum conf_checksum */
    int verify;   /* enum conf_verify */
    char *storage_class;
    bool create_bucket;

    /* owners and permissions */
    uid_t uid;
    gid_t gid;
    mode_t umask;
    mode_t file_mode; /* of files that carry none; umask applied */
    mode_t dir_mode;
    bool allow_other;
    bool allow_root;
    bool read_only;
    int posix; /* enum conf_posix */
    int excl;  /* enum conf_excl */
    char *excl_names;

    /* caches */
    uint64_t metadata_ttl;
    uint64_t remember_own;
    uint64_t negative_ttl;
    char *cache_dir;
    char *state_dir;
    uint64_t cache_size; /* 0 = no file content is kept on the disk */
    uint64_t memory_limit;
    uint64_t dirty_limit; /* 0 = what the disk has */
    bool writeback;
    int fsync;                  /* enum conf_fsync */
    uint64_t writeback_limit;   /* bytes */
    uint64_t writeback_max_age; /* ns; 0 = none */

    /* transfers */
    uint64_t part_size; /* what the two below are when they are not given */
    uint64_t read_part_size;
    uint64_t write_part_size;
    unsigned parallel;        /* requests under way of one file */
    unsigned max_connections; /* of the mount */
    unsigned io_threads;
    unsigned max_threads; /* FUSE workers */
    unsigned max_read;    /* bytes of one read request of the kernel; 0 = its own choice */
    unsigned retries;     /* after the first attempt */
    uint64_t connect_timeout;
    uint64_t timeout; /* without a byte in either direction */
    bool hedge;       /* do not wait for single requests that hang */

    /* the process */
    bool foreground;
    bool nonempty; /* also over another mount of ours */
    int log_level; /* enum log_level */
    char *log_file;

    struct strbuf notes;  /* what was accepted without effect: one line each, to be logged */
    struct strbuf kernel; /* "nosuid,noatime": see conf_kernel_options */
    uint8_t given[CONF_ROWS_MAX]; /* enum conf_origin by table row; see conf_given */
};

/* conf_init, the environment, the command line, conf_finish. get_env may be NULL for getenv(3).
 * On failure *o is still to be released. */
int conf_load(struct conf_options *o, int argc, char *const *argv,
              const char *(*get_env)(void *ctx, const char *name), void *ctx,
              struct s3_error *reterr);

/* The table's defaults. */
int conf_init(struct conf_options *o, struct s3_error *reterr);
void conf_done(struct conf_options *o);
/* value NULL: only the name was given. */
int conf_set(struct conf_options *o, const char *name, const char *value, struct s3_error *reterr);
/* "a=b,c" as after -o. */
int conf_set_list(struct conf_options *o, const char *list, struct s3_error *reterr);
/* PAILFS_<NAME> of every option that has a value. */
int conf_load_env(struct conf_options *o, const char *(*get_env)(void *ctx, const char *name),
                  void *ctx, struct s3_error *reterr);
/* argv[0] is skipped. Stops at --help and --version with o->action set. */
int conf_parse_args(struct conf_options *o, int argc, char *const *argv, struct s3_error *reterr);
/* What follows from several options together; makes paths absolute. */
int conf_finish(struct conf_options *o, struct s3_error *reterr);

/* Whether the environment or the command line gave it. name: the canonical one. */
bool conf_given(const struct conf_options *o, const char *name);

/* `BUCKET`, `BUCKET:/PREFIX`, `s3://BUCKET/PREFIX/`, `arn:aws:s3:::BUCKET/PREFIX`. *ret_prefix is
 * "" or ends in '/'. Both owned by the caller. */
int conf_parse_source(const char *text, char **ret_bucket, char **ret_prefix,
                      struct s3_error *reterr);
/* The list for libfuse's -o: fsname, subtype, ro, allow_other and what was passed on. */
void conf_kernel_options(const struct conf_options *o, struct strbuf *sb);
/* The text of --help, made from the table. */
void conf_help(struct strbuf *sb);

#endif
