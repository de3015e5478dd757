/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "alloc_fail.h"
#include "base/digest.h"
#include "base/encode.h"

static void assert_hex(const uint8_t *bytes, size_t len, const char *expected)
{
    char hex[2 * DIGEST_MAX_SIZE + 1];
    encode_hex(bytes, len, hex);
    assert_string_equal(hex, expected);
}

/* RFC 1321 and FIPS 180. */
static const struct {
    enum digest_algo algo;
    const char *text, *hex;
} VECTORS[] = {
    {DIGEST_MD5, "", "d41d8cd98f00b204e9800998ecf8427e"},
    {DIGEST_MD5, "abc", "900150983cd24fb0d6963f7d28e17f72"},
    {DIGEST_SHA1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
    {DIGEST_SHA256, "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
    {DIGEST_SHA256, "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
    {DIGEST_SHA256, "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void test_vectors(void **state)
{
    for (size_t i = 0; i < ARRAY_SIZE(VECTORS); i++) {
        const char *text = VECTORS[i].text;
        size_t len = strlen(text), size = digest_size(VECTORS[i].algo);
        uint8_t out[DIGEST_MAX_SIZE];
        assert_int_equal(digest_buffer(VECTORS[i].algo, text, len, out), 0);
        assert_hex(out, size, VECTORS[i].hex);

        for (size_t cut = 0; cut <= len; cut++) {
            struct iovec iov[3] = {
                {(void *)text, cut}, {NULL, 0}, {(void *)(text + cut), len - cut}};
            memset(out, 0, sizeof(out));
            assert_int_equal(digest_iov(VECTORS[i].algo, iov, 3, out), 0);
            assert_hex(out, size, VECTORS[i].hex);
        }

        struct digest *d = NULL;
        memset(out, 0, sizeof(out));
        assert_int_equal(digest_new(VECTORS[i].algo, &d), 0);
        for (size_t k = 0; k < len; k++)
            assert_int_equal(digest_update(d, text + k, 1), 0);
        assert_int_equal(digest_final(d, out), 0);
        assert_hex(out, size, VECTORS[i].hex);
        digest_free(d);
    }
    digest_free(NULL);
}

static void test_bad_algorithm(void **state)
{
    uint8_t out[DIGEST_MAX_SIZE];
    struct digest *d = NULL;
    assert_int_equal(digest_buffer(DIGEST_ALGO_MAX, "", 0, out), -EINVAL);
    assert_int_equal(digest_new(DIGEST_ALGO_MAX, &d), -EINVAL);
    assert_null(d);
    assert_int_equal(digest_size(DIGEST_ALGO_MAX), 0);
}

/* RFC 4231, cases 1 to 4, 6 and 7. */
static void test_hmac(void **state)
{
    uint8_t key[131], data[50], out[DIGEST_SHA256_SIZE];

    memset(key, 0x0b, 20);
    assert_int_equal(digest_hmac_sha256(key, 20, "Hi There", 8, out), 0);
    assert_hex(out, 32, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");

    assert_int_equal(digest_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, out), 0);
    assert_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");

    memset(key, 0xaa, 20);
    memset(data, 0xdd, 50);
    assert_int_equal(digest_hmac_sha256(key, 20, data, 50, out), 0);
    assert_hex(out, 32, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");

    for (uint8_t i = 0; i < 25; i++)
        key[i] = i + 1;
    memset(data, 0xcd, 50);
    assert_int_equal(digest_hmac_sha256(key, 25, data, 50, out), 0);
    assert_hex(out, 32, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b");

    memset(key, 0xaa, 131);
    const char *text = "Test Using Larger Than Block-Size Key - Hash Key First";
    assert_int_equal(digest_hmac_sha256(key, 131, text, strlen(text), out), 0);
    assert_hex(out, 32, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");

    text = "This is a test using a larger than block-size key and a larger than block-size data. "
           "The key needs to be hashed before being used by the HMAC algorithm.";
    assert_int_equal(digest_hmac_sha256(key, 131, text, strlen(text), out), 0);
    assert_hex(out, 32, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2");

    assert_int_equal(digest_hmac_sha256(NULL, 0, NULL, 0, out), 0);
    assert_hex(out, 32, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void *hash_many(void *arg)
{
    uint8_t out[DIGEST_MAX_SIZE];
    for (int i = 0; i < 300; i++) {
        for (size_t v = 0; v < ARRAY_SIZE(VECTORS); v++) {
            char hex[2 * DIGEST_MAX_SIZE + 1];
            if (digest_buffer(VECTORS[v].algo, VECTORS[v].text, strlen(VECTORS[v].text), out) < 0)
                return (void *)"failed";
            encode_hex(out, digest_size(VECTORS[v].algo), hex);
            if (strcmp(hex, VECTORS[v].hex) != 0)
                return (void *)"wrong";
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_many, NULL), 0);
    for (int i = 0; i < 4; i++) {
        void *result = NULL;
        pthread_join(threads[i], &result);
        assert_null(result);
    }
}

static void test_out_of_memory(void **state)
{
    struct digest *d = NULL;
    alloc_fail_begin(0);
    int r = digest_new(DIGEST_MD5, &d);
    assert_true(alloc_fail_end());
    assert_int_equal(r, -ENOMEM);
    assert_null(d);
}

static void test_equal(void **state)
{
    assert_int_equal(digest_equal("abcd", "abcd", 4), 1);
    assert_int_equal(digest_equal("abcd", "abce", 4), 0);
    assert_int_equal(digest_equal("xbcd", "abcd", 4), 0);
    assert_int_equal(digest_equal("x", "y", 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_bad_algorithm),
        cmocka_unit_test(test_hmac),    cmocka_unit_test(test_threads),
        cmocka_unit_test(test_equal),   cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
