/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define SHA256_BLOCK 64

static const struct {
    const char *name;
    size_t size;
} ALGOS[DIGEST_ALGO_MAX] = {
    [DIGEST_MD5] = {"MD5", DIGEST_MD5_SIZE},
    [DIGEST_SHA1] = {"SHA1", DIGEST_SHA1_SIZE},
    [DIGEST_SHA256] = {"SHA256", DIGEST_SHA256_SIZE},
};

static pthread_once_t init_once = PTHREAD_ONCE_INIT;
static EVP_MD *fetched[DIGEST_ALGO_MAX]; /* written once by init(); NULL where refused (FIPS) */
static pthread_key_t context_key;
static int context_key_error;

struct digest {
    EVP_MD_CTX *ctx;
};

static void free_context(void *ctx)
{
    EVP_MD_CTX_free(ctx);
}

static void init(void)
{
    for (int i = 0; i < DIGEST_ALGO_MAX; i++)
        fetched[i] = EVP_MD_fetch(NULL, ALGOS[i].name, NULL);
    context_key_error = pthread_key_create(&context_key, free_context);
}

static int algo_get(enum digest_algo algo, const EVP_MD **ret)
{
    pthread_once(&init_once, init);
    if ((unsigned)algo >= DIGEST_ALGO_MAX)
        return -EINVAL;
    if (!fetched[algo])
        return -EIO;
    *ret = fetched[algo];
    return 0;
}

/* This thread's context, freed when the thread ends. */
static int thread_context_get(EVP_MD_CTX **ret)
{
    static __thread EVP_MD_CTX *mine;
    if (!mine) {
        if (context_key_error)
            return -ENOMEM;
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        if (!ctx)
            return -ENOMEM;
        if (pthread_setspecific(context_key, ctx) != 0) {
            EVP_MD_CTX_free(ctx);
            return -ENOMEM;
        }
        mine = ctx;
    }
    *ret = mine;
    return 0;
}

size_t digest_size(enum digest_algo algo)
{
    return (unsigned)algo < DIGEST_ALGO_MAX ? ALGOS[algo].size : 0;
}

int digest_iov(enum digest_algo algo, const struct iovec *iov, int n_iov, uint8_t *out)
{
    const EVP_MD *md;
    int r = algo_get(algo, &md);
    if (r < 0)
        return r;
    EVP_MD_CTX *ctx;
    r = thread_context_get(&ctx);
    if (r < 0)
        return r;
    if (EVP_DigestInit_ex2(ctx, md, NULL) != 1)
        return -EIO;
    for (int i = 0; i < n_iov; i++)
        if (EVP_DigestUpdate(ctx, iov[i].iov_base, iov[i].iov_len) != 1)
            return -EIO;
    return EVP_DigestFinal_ex(ctx, out, NULL) == 1 ? 0 : -EIO;
}

int digest_buffer(enum digest_algo algo, const void *data, size_t len, uint8_t *out)
{
    struct iovec iov = {.iov_base = (void *)data, .iov_len = len};
    return digest_iov(algo, &iov, 1, out);
}

/* Written over the plain digest: EVP_MAC costs a fetch and an allocation per call in OpenSSL 3.0,
 * and a signature needs five of these. */
int digest_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                       uint8_t out[DIGEST_SHA256_SIZE])
{
    uint8_t block[SHA256_BLOCK] = {0};
    uint8_t inner[DIGEST_SHA256_SIZE];
    int r;

    if (key_len > sizeof(block)) {
        r = digest_buffer(DIGEST_SHA256, key, key_len, block);
        if (r < 0)
            return r;
    } else if (key_len) {
        memcpy(block, key, key_len);
    }

    for (size_t i = 0; i < sizeof(block); i++)
        block[i] ^= 0x36;
    struct iovec iov[2] = {
        {.iov_base = block, .iov_len = sizeof(block)},
        {.iov_base = (void *)data, .iov_len = len},
    };
    r = digest_iov(DIGEST_SHA256, iov, 2, inner);
    if (r == 0) {
        for (size_t i = 0; i < sizeof(block); i++)
            block[i] ^= 0x36 ^ 0x5c;
        iov[1] = (struct iovec){.iov_base = inner, .iov_len = sizeof(inner)};
        r = digest_iov(DIGEST_SHA256, iov, 2, out);
    }
    OPENSSL_cleanse(block, sizeof(block));
    OPENSSL_cleanse(inner, sizeof(inner));
    return r;
}

int digest_new(enum digest_algo algo, struct digest **ret)
{
    const EVP_MD *md;
    int r = algo_get(algo, &md);
    if (r < 0)
        return r;
    struct digest *d = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->ctx = EVP_MD_CTX_new();
    if (!d->ctx) {
        free(d);
        return -ENOMEM;
    }
    if (EVP_DigestInit_ex2(d->ctx, md, NULL) != 1) {
        digest_free(d);
        return -EIO;
    }
    *ret = d;
    return 0;
}

int digest_update(struct digest *d, const void *data, size_t len)
{
    return EVP_DigestUpdate(d->ctx, data, len) == 1 ? 0 : -EIO;
}

int digest_final(struct digest *d, uint8_t *out)
{
    return EVP_DigestFinal_ex(d->ctx, out, NULL) == 1 ? 0 : -EIO;
}

void digest_free(struct digest *d)
{
    if (!d)
        return;
    EVP_MD_CTX_free(d->ctx);
    free(d);
}

int digest_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}
