/* SPDX-License-Identifier: Apache-2.0 */
/* pailctl: asks running mounts (ctl.h) and provisions S3 with the library of src/s3.
 * One table of commands and one of options, in pailctl.c. */
#ifndef PAILFS_CTL_PAILCTL_H
#define PAILFS_CTL_PAILCTL_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/strbuf.h"
#include "s3/client.h"
#include "s3/session.h"

/* Exit status of pailctl, documented in pailctl(1). */
enum pailctl_exit {
    PAILCTL_OK = 0,
    PAILCTL_USAGE = 1,
    PAILCTL_FAILED = 2,  /* the server or the daemon refused or did not answer */
    PAILCTL_TIMEOUT = 3, /* wait: the state was not reached */
};

struct pailctl_options {
    struct aws_config_args args; /* borrowed from argv */
    bool no_verify_ssl;
    bool json;
    bool long_format; /* ls -l */
    bool recursive;   /* ls -r */
    bool force;       /* rb */
    bool wait;        /* unmount: kept for scripts, waiting is what it always does */
    const char *to;   /* lost restore */
    bool overwrite;   /* lost restore */
    uint32_t delay_ms;
    unsigned attempts;
};

struct pailctl_out;

struct pailctl {
    struct pailctl_options options;
    struct s3_client *client; /* made by pailctl_client */
    struct s3_session *session;
    struct pailctl_out *out;
};

/* The client for the given options, made on first use. Prints why when it fails. */
struct s3_client *pailctl_client(struct pailctl *p);
/* Prints "pailctl: WHAT: reason" and returns PAILCTL_FAILED. */
int pailctl_failed(const char *what, const struct s3_error *err);

/* "s3://bucket/key", "bucket/key" or "bucket". Both owned by the caller; *ret_key is "" without
 * one. Prints what is wrong and returns -EINVAL. */
int pailctl_parse_uri(const char *text, char **ret_bucket, char **ret_key);

/* Rows of named fields: aligned text, or a JSON array with --json. */
struct pailctl_field {
    const char *name;
    const char *value; /* NULL = JSON null, "-" as text */
    bool number;
};
int pailctl_out_new(bool json, struct pailctl_out **ret);
/* Text: the values joined by two blanks; bytes below blank are escaped as \xNN. */
void pailctl_out_row(struct pailctl_out *o, const struct pailctl_field *fields, size_t n);
/* "name: value" lines of a daemon's answer: text as they are, JSON as one object. */
void pailctl_out_lines(struct pailctl_out *o, const char *mountpoint, const char *lines);
/* Finishes the array; 0 or -errno when standard output could not take it. */
int pailctl_out_free(struct pailctl_out *o);

/* pailctl_s3.c */
int pailctl_buckets(struct pailctl *p, int argc, char **argv);
int pailctl_mb(struct pailctl *p, int argc, char **argv);
int pailctl_rb(struct pailctl *p, int argc, char **argv);
int pailctl_ls(struct pailctl *p, int argc, char **argv);
int pailctl_wait(struct pailctl *p, int argc, char **argv);
int pailctl_versions(struct pailctl *p, int argc, char **argv);
int pailctl_uploads(struct pailctl *p, int argc, char **argv);
/* pailctl.c, pailctl_doctor.c */
int pailctl_help(struct pailctl *p, int argc, char **argv);
int pailctl_doctor(struct pailctl *p, int argc, char **argv);
/* pailctl_mount.c */
int pailctl_status(struct pailctl *p, int argc, char **argv);
int pailctl_flush(struct pailctl *p, int argc, char **argv);
int pailctl_unmount(struct pailctl *p, int argc, char **argv);
int pailctl_log_level(struct pailctl *p, int argc, char **argv);
/* Asks the mount that holds path; says which it is. Prints what is wrong. */
int pailctl_ask_mount(const char *path, const char *verb, char ret_mountpoint[PATH_MAX],
                      uid_t *ret_uid, struct strbuf *answer);
/* pailctl_lost.c */
int pailctl_lost_list(struct pailctl *p, int argc, char **argv);
int pailctl_lost_restore(struct pailctl *p, int argc, char **argv);
int pailctl_lost_drop(struct pailctl *p, int argc, char **argv);

#endif
