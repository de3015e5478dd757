/* SPDX-License-Identifier: Apache-2.0 */
/* The server as a whole: what it was told, and what its parts share. */
#ifndef S3D_S3D_H
#define S3D_S3D_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "stats.h"
#include "store.h"

#define S3D_KEYS_MAX     16
#define S3D_REGIONS_MAX  64
#define S3D_NAMES_MAX    16
#define S3D_DELAY_MAX_MS 3600000

struct faults;

struct s3d_key {
    const char *id;
    const char *secret;
    const char *token; /* session token that must come with it, or NULL */
};

/* Set once by main, then only read, but for the atomic fields, which /_s3d/settings changes.
 * Strings are borrowed from argv or static. */
struct s3d_config {
    const char *dir;
    const char *bind;
    unsigned port;
    const char *port_file;
    struct s3d_key keys[S3D_KEYS_MAX];
    unsigned n_keys;
    const char *regions[S3D_REGIONS_MAX]; /* the first one is the endpoint's own */
    unsigned n_regions;
    const char *domains[S3D_NAMES_MAX]; /* for virtual-host style */
    unsigned n_domains;
    const char *anonymous[S3D_NAMES_MAX]; /* buckets readable without a signature */
    unsigned n_anonymous;
    _Atomic unsigned first_byte_ms;
    _Atomic uint64_t rate; /* bytes per second and connection, 0 = no cap */
    int64_t clock_offset_ns;
    unsigned threads;      /* connections at a time */
    unsigned idle_timeout; /* seconds, 0 = none */
    const char *faults_file;
    const char *tls_cert, *tls_key; /* paths of PEM files */
    const char *ignore_conditions;  /* names of operations whose conditions are not looked at */
    _Atomic bool opaque_etag;       /* ETags that are no MD5, as with SSE-KMS */
    bool no_default_checksum;       /* without CRC64NVME for uploads that name none */
    bool strict_utf8;               /* refuse keys that are not UTF-8 */
    bool start_after_hides;         /* see list.c */
    unsigned page_keys;             /* of a listing, at most; 0 = LIST_MAX */
};

struct s3d {
    struct s3d_config config;
    struct store store;
    struct faults *faults;
    struct stats stats;
    int stop_fd; /* eventfd, readable once the server is to stop */
};

/* Wall clock with --clock-offset, in nanoseconds. */
int64_t s3d_now_ns(const struct s3d *s);
/* Sleeps, but not past the end of the server or of the client (socket fd, or -1).
 * 0: slept, -ECANCELED: one of them ended. ms < 0: until then. */
int s3d_sleep_ms(const struct s3d *s, int fd, int64_t ms);

#endif
