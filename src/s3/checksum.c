/* SPDX-License-Identifier: Apache-2.0 */
#include "s3/checksum.h"

#include <errno.h>
#include <string.h>

#include "base/attr.h"
#include "base/crc.h"
#include "base/encode.h"
#include "base/strbuf.h"

static const struct {
    const char *name;
    const char *header;
} algos[S3_CHECKSUM_MAX] = {
    [S3_CHECKSUM_CRC32] = {"CRC32", "x-amz-checksum-crc32"},
    [S3_CHECKSUM_CRC32C] = {"CRC32C", "x-amz-checksum-crc32c"},
    [S3_CHECKSUM_CRC64NVME] = {"CRC64NVME", "x-amz-checksum-crc64nvme"},
    [S3_CHECKSUM_SHA1] = {"SHA1", "x-amz-checksum-sha1"},
    [S3_CHECKSUM_SHA256] = {"SHA256", "x-amz-checksum-sha256"},
};

const char *s3_checksum_name(enum s3_checksum_algo algo)
{
    return algos[algo].name;
}

const char *s3_checksum_header(enum s3_checksum_algo algo)
{
    return algos[algo].header;
}

static int to_base64(const uint8_t *data, size_t len, char *out, size_t size)
{
    CLEANUP_STRBUF struct strbuf sb = STRBUF_INIT(128);

    encode_base64(&sb, data, len);
    if (sb.error)
        return sb.error;
    if (sb.len >= size)
        return -EINVAL;
    memcpy(out, strbuf_str(&sb), sb.len + 1);
    return 0;
}

int s3_checksum_state_init(struct s3_checksum_state *s, enum s3_checksum_algo algo)
{
    *s = (struct s3_checksum_state){.algo = algo};
    if (algo == S3_CHECKSUM_SHA1)
        return digest_new(DIGEST_SHA1, &s->digest);
    if (algo == S3_CHECKSUM_SHA256)
        return digest_new(DIGEST_SHA256, &s->digest);
    return 0;
}

int s3_checksum_state_update(struct s3_checksum_state *s, const void *data, size_t len)
{
    switch (s->algo) {
    case S3_CHECKSUM_CRC32:
        s->crc = crc32_update((uint32_t)s->crc, data, len);
        return 0;
    case S3_CHECKSUM_CRC32C:
        s->crc = crc32c_update((uint32_t)s->crc, data, len);
        return 0;
    case S3_CHECKSUM_CRC64NVME:
        s->crc = crc64nvme_update(s->crc, data, len);
        return 0;
    case S3_CHECKSUM_SHA1:
    case S3_CHECKSUM_SHA256:
        return digest_update(s->digest, data, len);
    case S3_CHECKSUM_NONE:
    case S3_CHECKSUM_MAX:
        break;
    }
    return 0;
}

int s3_checksum_state_final(struct s3_checksum_state *s, struct s3_checksum *ret)
{
    uint8_t raw[DIGEST_MAX_SIZE];
    size_t len = 0;
    int r;

    switch (s->algo) {
    case S3_CHECKSUM_CRC32:
    case S3_CHECKSUM_CRC32C:
        len = 4;
        break;
    case S3_CHECKSUM_CRC64NVME:
        len = 8;
        break;
    case S3_CHECKSUM_SHA1:
    case S3_CHECKSUM_SHA256:
        len = digest_size(s->algo == S3_CHECKSUM_SHA1 ? DIGEST_SHA1 : DIGEST_SHA256);
        r = digest_final(s->digest, raw);
        if (r)
            return r;
        break;
    case S3_CHECKSUM_NONE:
    case S3_CHECKSUM_MAX:
        return -EINVAL;
    }
    for (size_t i = 0; !s->digest && i < len; i++) /* CRCs travel big-endian */
        raw[i] = (uint8_t)(s->crc >> (8 * (len - 1 - i)));
    *ret = (struct s3_checksum){.algo = s->algo};
    return to_base64(raw, len, ret->value, sizeof(ret->value));
}

void s3_checksum_state_done(struct s3_checksum_state *s)
{
    digest_free(s->digest);
    *s = (struct s3_checksum_state){0};
}

int s3_checksum_iov(enum s3_checksum_algo algo, const struct iovec *iov, int n_iov,
                    struct s3_checksum *ret)
{
    struct s3_checksum_state s;
    int r = s3_checksum_state_init(&s, algo);

    for (int i = 0; !r && i < n_iov; i++)
        r = s3_checksum_state_update(&s, iov[i].iov_base, iov[i].iov_len);
    if (!r)
        r = s3_checksum_state_final(&s, ret);
    s3_checksum_state_done(&s);
    return r;
}

bool s3_checksum_crc64(const struct s3_checksum *sum, uint64_t *ret)
{
    uint8_t raw[8];
    size_t len;

    if (sum->algo != S3_CHECKSUM_CRC64NVME ||
        decode_base64(sum->value, raw, sizeof(raw), &len) < 0 || len != sizeof(raw))
        return false;
    *ret = 0;
    for (size_t i = 0; i < len; i++)
        *ret = *ret << 8 | raw[i];
    return true;
}

int s3_checksum_md5_base64(const struct iovec *iov, int n_iov, char out[32])
{
    uint8_t md5[DIGEST_MD5_SIZE];
    int r = digest_iov(DIGEST_MD5, iov, n_iov, md5);

    return r ? r : to_base64(md5, sizeof(md5), out, 32);
}
