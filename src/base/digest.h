/* SPDX-License-Identifier: Apache-2.0 */
/* Message digests (OpenSSL; the only module that includes its headers). One EVP_MD is fetched per
 * algorithm per process, one context per thread: OpenSSL 3.0's implicit fetch takes locks.
 * 0 or -ENOMEM / -EIO (the library refused). Thread-safe. */
#ifndef PAILFS_BASE_DIGEST_H
#define PAILFS_BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define DIGEST_SHA256_SIZE 32
#define DIGEST_SHA1_SIZE   20
#define DIGEST_MD5_SIZE    16
#define DIGEST_MAX_SIZE    32

enum digest_algo { DIGEST_MD5, DIGEST_SHA1, DIGEST_SHA256, DIGEST_ALGO_MAX };

/* Digest of one buffer / of the concatenation of n_iov buffers into out (DIGEST_*_SIZE bytes). */
int digest_buffer(enum digest_algo algo, const void *data, size_t len, uint8_t *out);
int digest_iov(enum digest_algo algo, const struct iovec *iov, int n_iov, uint8_t *out);
size_t digest_size(enum digest_algo algo);

/* RFC 2104 HMAC-SHA256. */
int digest_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                       uint8_t out[DIGEST_SHA256_SIZE]);

/* Incremental: new -> update... -> final (may be called once) -> free. */
struct digest;
int digest_new(enum digest_algo algo, struct digest **ret);
int digest_update(struct digest *d, const void *data, size_t len);
int digest_final(struct digest *d, uint8_t *out);
void digest_free(struct digest *d);

/* 1 when equal; time does not depend on where they differ. */
int digest_equal(const void *a, const void *b, size_t len);

#endif
