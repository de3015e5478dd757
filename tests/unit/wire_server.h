/* SPDX-License-Identifier: Apache-2.0 */
/* A TCP server inside a test that does on the wire exactly what the test says: every accepted
 * connection gets a thread that runs the test's function. Nothing here knows how to be correct
 * HTTP.
 *
 * Life:    wire_server_new -> ... -> wire_server_free, which shuts the connections down (reads end)
 *          and joins their threads; a script must not wait for anything else by then.
 * Errors:  abort() with a line on stderr: scripts run on threads where cmocka cannot fail. */
#ifndef PAILFS_TESTS_WIRE_SERVER_H
#define PAILFS_TESTS_WIRE_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_server;

struct wire_conn {
    int fd;
    unsigned number; /* 0 for the first that was accepted */
    struct wire_server *server;
    size_t have; /* bytes in buf that were read but not used */
    char buf[1 << 16];
};

struct wire_request {
    char method[16];
    char target[4096];
    char head[1 << 15]; /* everything up to the empty line */
    uint64_t length;    /* Content-Length, 0 when absent */
    bool has_length;
};

typedef void (*wire_script)(struct wire_conn *c, void *ctx);

struct wire_server *wire_server_new(wire_script script, void *ctx);
void wire_server_free(struct wire_server *s);
unsigned wire_server_port(const struct wire_server *s);
unsigned wire_server_accepted(struct wire_server *s);

/* Reads up to the end of the head. False: the peer closed first. */
bool wire_read_head(struct wire_conn *c, struct wire_request *ret);
/* Reads n body bytes; returns their sum as a checksum, UINT64_MAX when the peer closed first. */
uint64_t wire_read_body(struct wire_conn *c, uint64_t n);
/* Value of a header in the head, "" when absent. */
const char *wire_header(const struct wire_request *r, const char *name, char *buf, size_t size);
void wire_send(struct wire_conn *c, const char *text);
void wire_send_bytes(struct wire_conn *c, const void *data, size_t len);
/* Reads until the peer closes. */
void wire_wait_closed(struct wire_conn *c);
/* The peer gets a reset instead of an end. */
void wire_reset(struct wire_conn *c);

/* A counter that can be waited for. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t cond;
    unsigned count;
};
#define GATE_INIT                                                                                  \
    {                                                                                              \
        .lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER                        \
    }

void gate_raise(struct gate *g);
/* Until raised n times in total; aborts after 60 s. */
void gate_wait(struct gate *g, unsigned n);
unsigned gate_count(struct gate *g);
void gate_reset(struct gate *g);

#endif
