/* SPDX-License-Identifier: Apache-2.0 */
/* The libcurl transport over TLS, against a server with a certificate that it made itself. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http_curl_fixture.h"

static SSL_CTX *server_ctx;
static char ca_file[64]; /* the certificate, for who wants to trust it */
static struct gate closed = GATE_INIT;
static struct gate handshakes = GATE_INIT;
static struct gate resumed = GATE_INIT;

static X509 *make_certificate(EVP_PKEY *key, const char *alt_name)
{
    X509 *x = X509_new();

    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 86400);
    X509_NAME *name = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_set_pubkey(x, key);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt_name);
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
    ext = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    return x;
}

static void serve_tls(SSL *ssl, struct wire_conn *c)
{
    static const char hello[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    static const char cut[] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
    static const char bye[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbye";
    static _Thread_local char buf[1 << 16];
    size_t have = 0;

    for (;;) {
        char *end;
        while (!(end = memmem(buf, have, "\r\n\r\n", 4))) {
            int n = SSL_read(ssl, buf + have, (int)(sizeof(buf) - have - 1));
            if (n <= 0)
                return;
            have += (size_t)n;
        }
        *end = '\0';
        const char *p = strstr(buf, "Content-Length: ");
        size_t length = p ? strtoul(p + 16, NULL, 10) : 0;
        bool wants_cut = strncmp(buf, "GET /cut ", 9) == 0;
        bool wants_bye = strncmp(buf, "GET /bye ", 9) == 0;
        have -= (size_t)(end + 4 - buf);
        memmove(buf, end + 4, have);
        while (have < length) {
            int n = SSL_read(ssl, buf, sizeof(buf) - 1);
            if (n <= 0)
                return;
            length -= have;
            have = (size_t)n;
        }
        have -= length;
        if (wants_cut) {
            SSL_write(ssl, cut, sizeof(cut) - 1);
            return; /* the TCP connection ends without a close_notify */
        }
        if (wants_bye) {
            SSL_write(ssl, bye, sizeof(bye) - 1);
            SSL_shutdown(ssl); /* says so, and keeps the TCP connection */
            gate_raise(&closed);
            while (recv(c->fd, buf, sizeof(buf), 0) > 0)
                ;
            return;
        }
        SSL_write(ssl, hello, sizeof(hello) - 1);
    }
}

static void script(struct wire_conn *c, void *ctx)
{
    SSL *ssl = SSL_new(server_ctx);

    SSL_set_fd(ssl, c->fd);
    if (SSL_accept(ssl) == 1) {
        gate_raise(&handshakes);
        if (SSL_session_reused(ssl))
            gate_raise(&resumed);
        serve_tls(ssl, c);
    }
    SSL_free(ssl);
    ERR_clear_error();
}

static void hang_up(struct wire_conn *c, void *ctx)
{
    char byte;

    (void)!recv(c->fd, &byte, 1, 0);
    /* closes within the handshake */
}

static void use_certificate(const char *alt_name)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = make_certificate(key, alt_name);
    FILE *f = fopen(ca_file, "w");

    assert_non_null(f);
    PEM_write_X509(f, x);
    fclose(f);
    SSL_CTX_free(server_ctx);
    server_ctx = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(server_ctx, x), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server_ctx, key), 1);
    X509_free(x);
    EVP_PKEY_free(key);
}

static int setup_group(void **state)
{
    snprintf(ca_file, sizeof(ca_file), "/tmp/pailfs-test-ca.XXXXXX");
    int fd = mkstemp(ca_file);
    if (fd < 0)
        return -1;
    close(fd);
    signal(SIGPIPE, SIG_IGN); /* for SSL_write of the server */
    return 0;
}

static int teardown_group(void **state)
{
    SSL_CTX_free(server_ctx);
    return unlink(ca_file);
}

static void start(bool trusted, bool insecure)
{
    const struct http_curl_options opts = {.io_threads = 1,
                                           .max_connections = 4,
                                           .ca_bundle = trusted ? ca_file : NULL,
                                           .insecure = insecure};
    gate_reset(&closed);
    gate_reset(&handshakes);
    gate_reset(&resumed);
    fixture_start(&opts, script);
}

static const char *https(const char *path)
{
    static char buf[2][256];
    static unsigned turn;
    char *url = buf[turn++ % 2];

    snprintf(url, sizeof(buf[0]), "https://127.0.0.1:%u%s", wire_server_port(fx.server), path);
    return url;
}

static void tls_get(const char *path, struct http_response *r)
{
    const struct http_request req = {.method = HTTP_GET, .url = https(path)};
    assert_int_equal(http_perform(fx.t, &req, r), 0);
}

static void test_keep_alive(void **state)
{
    struct http_response r;

    use_certificate("IP:127.0.0.1");
    start(true, false);
    for (int i = 0; i < 50; i++) {
        tls_get("/", &r);
        if (r.status != 200)
            fail_msg("%s", r.message);
        assert_string_equal(strbuf_str(&r.body), "hello");
        assert_int_equal(r.reused_connection, i > 0);
        http_response_done(&r);
    }
    assert_int_equal(gate_count(&handshakes), 1);
    fixture_stop();
}

static void test_upload(void **state)
{
    const size_t size = 5 << 20;
    char *data = calloc(1, size);
    struct iovec v = {data, size};
    struct http_response r;

    use_certificate("IP:127.0.0.1");
    start(true, false);
    const struct http_request req = {
        .method = HTTP_PUT, .url = https("/x"), .body = &v, .n_body = 1};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(http_perform(fx.t, &req, &r), 0);
        if (r.status != 200)
            fail_msg("%s", r.message);
        http_response_done(&r);
    }
    assert_int_equal(gate_count(&handshakes), 1);
    free(data);
    fixture_stop();
}

static void expect_tls_error(const char *words)
{
    struct http_response r;

    tls_get("/?sig=secret", &r);
    assert_int_equal(r.status, 0);
    assert_int_equal(r.kind, S3_ERROR_TLS);
    assert_false(r.request_sent);
    if (!strstr(r.message, words) || strstr(r.message, "secret"))
        fail_msg("%s", r.message);
    http_response_done(&r);
}

static void test_certificates_are_checked(void **state)
{
    use_certificate("IP:127.0.0.1");
    start(false, false);
    expect_tls_error("certificate");
    fixture_stop();

    use_certificate("DNS:other.example");
    start(true, false);
    expect_tls_error("127.0.0.1");
    fixture_stop();
}

static void test_insecure(void **state)
{
    struct http_response r;

    use_certificate("DNS:other.example");
    start(false, true);
    tls_get("/", &r);
    assert_int_equal(r.status, 200);
    http_response_done(&r);
    fixture_stop();
}

static void test_missing_ca_file(void **state)
{
    static const struct http_curl_options opts = {.ca_bundle = "/nonexistent/ca.pem"};

    use_certificate("IP:127.0.0.1");
    fixture_start(&opts, script);
    expect_tls_error("ca.pem");
    fixture_stop();
}

static void test_old_protocol_is_refused(void **state)
{
    use_certificate("IP:127.0.0.1");
    SSL_CTX_set_min_proto_version(server_ctx, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(server_ctx, TLS1_1_VERSION);
    SSL_CTX_set_security_level(server_ctx, 0);
    start(true, true);
    expect_tls_error("TLS");
    fixture_stop();
}

static void test_cut_handshake_is_a_lost_connection(void **state)
{
    struct http_response r;

    fixture_start(NULL, hang_up);
    tls_get("/", &r);
    assert_int_equal(r.kind, S3_ERROR_CONNECT);
    assert_false(r.request_sent);
    http_response_done(&r);
    fixture_stop();
}

static void test_cut_body(void **state)
{
    struct http_response r;

    use_certificate("IP:127.0.0.1");
    start(true, false);
    tls_get("/cut", &r);
    assert_int_equal(r.status, 0);
    assert_true(r.kind == S3_ERROR_BAD_RESPONSE || r.kind == S3_ERROR_CONNECT);
    assert_int_equal(r.received, 5);
    http_response_done(&r);
    fixture_stop();
}

static void test_goodbye_on_an_idle_connection(void **state)
{
    struct http_response r;

    use_certificate("IP:127.0.0.1");
    start(true, false);
    tls_get("/bye", &r);
    assert_int_equal(r.status, 200);
    http_response_done(&r);
    gate_wait(&closed, 1);
    tls_get("/", &r);
    if (r.status != 200)
        fail_msg("%s", r.message);
    assert_false(r.resent);
    assert_false(r.reused_connection);
    http_response_done(&r);
    assert_int_equal(gate_count(&handshakes), 2);
    assert_int_equal(gate_count(&resumed), 1); /* a new connection, no new key exchange */
    fixture_stop();
}

/* A session is not carried over to a server that only has the address in common. */
static void test_session_does_not_vouch_for_another_certificate(void **state)
{
    struct http_response r;

    use_certificate("IP:127.0.0.1");
    start(true, false);
    tls_get("/bye", &r);
    assert_int_equal(r.status, 200);
    http_response_done(&r);
    gate_wait(&closed, 1);
    use_certificate("DNS:other.example");
    expect_tls_error("certificate");
    fixture_stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_alive),
        cmocka_unit_test(test_upload),
        cmocka_unit_test(test_certificates_are_checked),
        cmocka_unit_test(test_insecure),
        cmocka_unit_test(test_missing_ca_file),
        cmocka_unit_test(test_old_protocol_is_refused),
        cmocka_unit_test(test_cut_handshake_is_a_lost_connection),
        cmocka_unit_test(test_cut_body),
        cmocka_unit_test(test_goodbye_on_an_idle_connection),
        cmocka_unit_test(test_session_does_not_vouch_for_another_certificate),
    };
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
