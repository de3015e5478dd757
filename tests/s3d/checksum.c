/* SPDX-License-Identifier: Apache-2.0 */
#include "checksum.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/attr.h"
#include "base/crc.h"
#include "base/digest.h"
#include "base/encode.h"

static const struct {
    const char *name, *header, *element;
    size_t size;
} algos[CHECKSUM_MAX] = {
    [CHECKSUM_NONE] = {"", "", "", 0},
    [CHECKSUM_CRC32] = {"CRC32", "x-amz-checksum-crc32", "ChecksumCRC32", 4},
    [CHECKSUM_CRC32C] = {"CRC32C", "x-amz-checksum-crc32c", "ChecksumCRC32C", 4},
    [CHECKSUM_CRC64NVME] = {"CRC64NVME", "x-amz-checksum-crc64nvme", "ChecksumCRC64NVME", 8},
    [CHECKSUM_SHA1] = {"SHA1", "x-amz-checksum-sha1", "ChecksumSHA1", DIGEST_SHA1_SIZE},
    [CHECKSUM_SHA256] = {"SHA256", "x-amz-checksum-sha256", "ChecksumSHA256", DIGEST_SHA256_SIZE},
};

const char *checksum_name(enum checksum_algo a)
{
    return algos[a].name;
}

const char *checksum_header(enum checksum_algo a)
{
    return algos[a].header;
}

const char *checksum_element(enum checksum_algo a)
{
    return algos[a].element;
}

const char *checksum_type_name(enum checksum_type t)
{
    return t == CHECKSUM_COMPOSITE ? "COMPOSITE" : "FULL_OBJECT";
}

size_t checksum_size(enum checksum_algo a)
{
    return algos[a].size;
}

enum checksum_algo checksum_from_name(const char *name)
{
    for (unsigned a = CHECKSUM_CRC32; a < CHECKSUM_MAX; a++) {
        if (!strcasecmp(name, algos[a].name))
            return a;
    }
    return CHECKSUM_MAX;
}

enum checksum_algo checksum_from_header(const char *header)
{
    for (unsigned a = CHECKSUM_CRC32; a < CHECKSUM_MAX; a++) {
        if (!strcasecmp(header, algos[a].header))
            return a;
    }
    return CHECKSUM_MAX;
}

bool checksum_is_crc(enum checksum_algo a)
{
    return a == CHECKSUM_CRC32 || a == CHECKSUM_CRC32C || a == CHECKSUM_CRC64NVME;
}

bool checksum_valid(enum checksum_algo a, const char *text)
{
    uint8_t raw[CHECKSUM_RAW_MAX];
    size_t len = 0;

    return decode_base64(text, raw, sizeof(raw), &len) == 0 && len == algos[a].size;
}

int checksum_start(struct checksum_state *s, enum checksum_algo a)
{
    *s = (struct checksum_state){.algo = a};
    if (a == CHECKSUM_SHA1)
        return digest_new(DIGEST_SHA1, &s->digest);
    if (a == CHECKSUM_SHA256)
        return digest_new(DIGEST_SHA256, &s->digest);
    return 0;
}

int checksum_update(struct checksum_state *s, const void *data, size_t len)
{
    switch (s->algo) {
    case CHECKSUM_CRC32:
        s->crc = crc32_update((uint32_t)s->crc, data, len);
        return 0;
    case CHECKSUM_CRC32C:
        s->crc = crc32c_update((uint32_t)s->crc, data, len);
        return 0;
    case CHECKSUM_CRC64NVME:
        s->crc = crc64nvme_update(s->crc, data, len);
        return 0;
    case CHECKSUM_SHA1:
    case CHECKSUM_SHA256:
        return digest_update(s->digest, data, len);
    case CHECKSUM_NONE:
    case CHECKSUM_MAX:
        break;
    }
    return 0;
}

static int set_text(struct checksum *ret, enum checksum_algo a, const uint8_t *raw)
{
    struct strbuf sb = STRBUF_INIT(CHECKSUM_TEXT_SIZE - 1);
    int r;

    encode_base64(&sb, raw, algos[a].size);
    r = sb.error;
    if (r == 0) {
        ret->algo = a;
        ret->type = CHECKSUM_FULL_OBJECT;
        snprintf(ret->text, sizeof(ret->text), "%s", strbuf_str(&sb));
    }
    strbuf_done(&sb);
    return r;
}

static void crc_to_raw(enum checksum_algo a, uint64_t crc, uint8_t *raw)
{
    size_t size = algos[a].size;

    for (size_t i = 0; i < size; i++)
        raw[i] = (uint8_t)(crc >> (8 * (size - 1 - i)));
}

int checksum_finish(struct checksum_state *s, struct checksum *ret)
{
    uint8_t raw[CHECKSUM_RAW_MAX];
    int r;

    *ret = (struct checksum){.algo = CHECKSUM_NONE};
    if (s->algo == CHECKSUM_NONE)
        return 0;
    if (s->digest) {
        r = digest_final(s->digest, raw);
        if (r < 0)
            return r;
    } else {
        crc_to_raw(s->algo, s->crc, raw);
    }
    return set_text(ret, s->algo, raw);
}

void checksum_drop(struct checksum_state *s)
{
    digest_free(s->digest);
    s->digest = NULL;
    s->algo = CHECKSUM_NONE;
}

/* crc(A||B) for a reflected CRC with initial value and final xor of all ones: the register after A
 * run through |B| zero bytes, which is a linear map applied by repeated squaring. */
static uint64_t crc_shift(uint64_t crc, uint64_t poly, unsigned bits, uint64_t bytes)
{
    uint64_t odd[64], even[64], *from = odd, *to = even;

    odd[0] = poly;
    for (unsigned i = 1; i < bits; i++)
        odd[i] = 1ull << (i - 1);
    /* odd shifts by one bit; three squarings make it one byte. */
    for (unsigned step = 0; bytes; step++) {
        for (unsigned i = 0; i < bits; i++) {
            uint64_t sum = 0;

            for (uint64_t v = from[i], k = 0; v; v >>= 1, k++)
                sum ^= v & 1 ? from[k] : 0;
            to[i] = sum;
        }
        uint64_t *swap = from;
        from = to;
        to = swap;
        if (step < 2)
            continue;
        if (bytes & 1) {
            uint64_t sum = 0;

            for (uint64_t v = crc, k = 0; v; v >>= 1, k++)
                sum ^= v & 1 ? from[k] : 0;
            crc = sum;
        }
        bytes >>= 1;
    }
    return crc;
}

static uint64_t crc_combine(enum checksum_algo a, uint64_t crc_a, uint64_t crc_b, uint64_t len_b)
{
    switch (a) {
    case CHECKSUM_CRC32:
        return crc_shift(crc_a, 0xedb88320u, 32, len_b) ^ crc_b;
    case CHECKSUM_CRC32C:
        return crc_shift(crc_a, 0x82f63b78u, 32, len_b) ^ crc_b;
    case CHECKSUM_CRC64NVME:
        return crc64nvme_combine(crc_a, crc_b, len_b);
    case CHECKSUM_NONE:
    case CHECKSUM_SHA1:
    case CHECKSUM_SHA256:
    case CHECKSUM_MAX:
        break;
    }
    return 0;
}

void checksum_combine_start(struct checksum_combiner *c, enum checksum_algo a, enum checksum_type t)
{
    *c = (struct checksum_combiner){.algo = a, .type = t};
    if (t == CHECKSUM_COMPOSITE && checksum_start(&c->composite, a) < 0)
        c->failed = true;
}

void checksum_combine_add(struct checksum_combiner *c, const struct checksum *part, uint64_t size)
{
    uint8_t raw[CHECKSUM_RAW_MAX];
    size_t len = 0;

    if (part->algo != c->algo || decode_base64(part->text, raw, sizeof(raw), &len) < 0 ||
        len != algos[c->algo].size) {
        c->failed = true;
        return;
    }
    if (c->type == CHECKSUM_COMPOSITE) {
        if (checksum_update(&c->composite, raw, len) < 0)
            c->failed = true;
    } else {
        uint64_t crc = 0;

        for (size_t i = 0; i < len && i < 8; i++)
            crc = crc << 8 | raw[i];
        c->crc = c->parts ? crc_combine(c->algo, c->crc, crc, size) : crc;
    }
    c->parts++;
}

int checksum_combine_finish(struct checksum_combiner *c, struct checksum *ret)
{
    uint8_t raw[CHECKSUM_RAW_MAX];
    int r = c->failed ? -EINVAL : 0;

    if (r == 0 && c->type == CHECKSUM_COMPOSITE) {
        r = checksum_finish(&c->composite, ret);
        if (r == 0) {
            size_t used = strlen(ret->text);

            snprintf(ret->text + used, sizeof(ret->text) - used, "-%u", c->parts);
            ret->type = CHECKSUM_COMPOSITE;
        }
    } else if (r == 0) {
        crc_to_raw(c->algo, c->crc, raw);
        r = set_text(ret, c->algo, raw);
    }
    checksum_drop(&c->composite);
    return r;
}
