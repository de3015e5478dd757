/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket of a running mount: `pailctl status|flush|... MOUNTPOINT`.
 *
 * Protocol: one request a connection. The client sends "VERB [ARGUMENTS]\n"; the server answers
 *           "ok\n" and lines "name: value", or "error SENTENCE\n", then closes.
 * Where:    a Unix socket in a folder of the mount's owner with mode 0700: /run/pailfs for root,
 *           else $XDG_RUNTIME_DIR/pailfs, /run/user/UID/pailfs or /tmp/pailfs-UID, the first that
 *           can be made; its name is a digest of the mount point's path. Only root and the owner
 *           are answered, and a client believes only them (SO_PEERCRED).
 * Threads:  one accepts; each connection has one, CTL_CONNECTIONS_MAX at most, so that a slow
 *           client or a long flush holds up nobody. */
#ifndef PAILFS_CTL_CTL_H
#define PAILFS_CTL_CTL_H

#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/strbuf.h"

#define CTL_CONNECTIONS_MAX 32u

struct ctl_verb {
    const char *name;
    /* Appends "name: value" lines to out. 0, or -errno with *reterr's message as the answer. May
     * block. args is "" when none were given. */
    int (*run)(void *ctx, const char *args, struct strbuf *out, struct s3_error *reterr);
};

struct ctl_server_options {
    const char *mountpoint;       /* resolved, as it stands in /proc/self/mountinfo; copied */
    const struct ctl_verb *verbs; /* ends with name NULL; borrowed for the server's life */
    void *ctx;
};
struct ctl_server;

/* Starts the threads: call after daemonising. */
int ctl_server_new(const struct ctl_server_options *opts, struct ctl_server **ret,
                   struct s3_error *reterr);
/* Removes the socket, waits for verbs that are running. NULL ok. */
void ctl_server_free(struct ctl_server *s);

/* Sends one line (without newline) to the mount's daemon and appends the answer's lines. The
 * daemon's "error" is -EREMOTEIO with its sentence. timeout_ms: for the whole answer, 0 = none. */
int ctl_request(const char *mountpoint, uid_t uid, const char *line, unsigned timeout_ms,
                struct strbuf *answer, struct s3_error *reterr);
/* The process that serves it, as this process' PID namespace numbers it. */
int ctl_daemon_pid(const char *mountpoint, uid_t uid, pid_t *ret, struct s3_error *reterr);

/* A pailfs mount as the kernel lists it. */
struct ctl_mount {
    char *mountpoint; /* owned */
    char *source;     /* owned */
    uid_t uid;        /* who mounted it */
};
/* All of them, in the order of /proc/self/mountinfo; *ret is freed by ctl_mounts_free. */
int ctl_mounts_list(struct ctl_mount **ret, size_t *ret_n);
/* The same from an open file of that form. */
int ctl_mounts_read(FILE *mountinfo, struct ctl_mount **ret, size_t *ret_n);
void ctl_mounts_free(struct ctl_mount *mounts, size_t n);
/* The innermost one that holds path; NULL = none. Does not touch the mount itself, which may hang.
 */
const struct ctl_mount *ctl_mounts_find(const struct ctl_mount *mounts, size_t n, const char *path);

#endif
