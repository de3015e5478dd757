/* SPDX-License-Identifier: Apache-2.0 */
/* The sockets of one I/O thread. Before libcurl sends a request it names the address pair of the
 * connection but not the socket; this table finds it, and tells a new one from a kept-alive one. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "http/http_curl_priv.h"

static void drop_socket(struct http_loop *l, size_t i)
{
    l->n_connected -= l->sockets[i].opener == NULL;
    l->sockets[i] = l->sockets[--l->n_sockets];
}

void http_loop_socket_remove(struct http_loop *l, int fd)
{
    for (size_t i = 0; i < l->n_sockets; i++)
        if (l->sockets[i].fd == fd) {
            drop_socket(l, i);
            return;
        }
}

int http_loop_socket_add(struct http_loop *l, int fd, const struct http_call *opener)
{
    http_loop_socket_remove(l, fd); /* its number was in use: that one was closed in silence */
    if (l->n_sockets == l->sockets_alloc) {
        size_t want = l->sockets_alloc ? l->sockets_alloc * 2 : 16;
        struct loop_socket *grown = reallocarray(l->sockets, want, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        l->sockets = grown;
        l->sockets_alloc = want;
    }
    l->sockets[l->n_sockets++] = (struct loop_socket){.fd = fd, .opener = opener};
    return 0;
}

/* What the call opened and did not connect is closed with it. */
void http_loop_sockets_forget(struct http_loop *l, const struct http_call *c)
{
    for (size_t i = l->n_sockets; i-- > 0;)
        if (l->sockets[i].opener == c)
            drop_socket(l, i);
}

static int address_text(const struct sockaddr_storage *sa, char ip[INET6_ADDRSTRLEN])
{
    if (sa->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)sa;
        inet_ntop(AF_INET, &in->sin_addr, ip, INET6_ADDRSTRLEN);
        return ntohs(in->sin_port);
    }
    if (sa->ss_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;
        inet_ntop(AF_INET6, &in6->sin6_addr, ip, INET6_ADDRSTRLEN);
        return ntohs(in6->sin6_port);
    }
    return 0;
}

/* False: it is not connected (the loser of two parallel connects). */
static bool learn_addresses(struct loop_socket *s)
{
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);
    char ip[INET6_ADDRSTRLEN];

    if (getpeername(s->fd, (struct sockaddr *)&sa, &len) < 0)
        return false;
    s->peer_port = address_text(&sa, s->peer_ip);
    len = sizeof(sa);
    if (getsockname(s->fd, (struct sockaddr *)&sa, &len) < 0)
        return false;
    s->local_port = address_text(&sa, ip);
    return true;
}

/* The local port alone would not do: the kernel gives the same one to different destinations. */
struct loop_socket *http_loop_socket_find(struct http_loop *l, int local_port, const char *peer_ip,
                                          int peer_port, bool *ret_fresh)
{
    for (size_t i = 0; i < l->n_sockets; i++) {
        struct loop_socket *s = &l->sockets[i];
        if (s->opener && !learn_addresses(s))
            continue;
        if (s->local_port == local_port && s->peer_port == peer_port &&
            strcmp(s->peer_ip, peer_ip) == 0) {
            *ret_fresh = s->opener != NULL;
            l->n_connected += *ret_fresh;
            s->opener = NULL;
            return s;
        }
    }
    return NULL;
}
