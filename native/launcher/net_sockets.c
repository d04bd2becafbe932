#define _GNU_SOURCE 1
#include "net_sockets.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"

/* A guest decides how many there are. */
enum { MAX_SOCKETS = 65536, ANSWER_SIZE = 32768 };

struct request {
  struct nlmsghdr header;
  struct inet_diag_req_v2 body;
};

/* All that are connected or are about to be; one that only listens waits for nobody. */
static const uint32_t STATES = ~((1u << TCP_LISTEN) | (1u << TCP_CLOSE) | (1u << TCP_TIME_WAIT));

static const uint8_t FAMILIES[] = {AF_INET, AF_INET6};

static bool send_request(int fd, uint16_t type, uint16_t flags, const struct inet_diag_req_v2 *body) {
  struct request request = {
      .header = {.nlmsg_len = sizeof request, .nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)},
      .body = *body};
  return send(fd, &request, sizeof request, 0) == (ssize_t)sizeof request;
}

/* Of sockets that speak IPv4 by way of IPv6, too: theirs are at the end of a mapped address. */
static struct net_address own_address(const struct inet_diag_msg *found) {
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  struct net_address own = {.family = found->idiag_family, .prefix = found->idiag_family == AF_INET ? 32 : 128};
  const uint8_t *source = (const uint8_t *)found->id.idiag_src;
  memcpy(own.bytes, source, net_address_size(&own));
  if (own.family != AF_INET6 || memcmp(source, mapped, sizeof mapped) != 0) return own;
  own = (struct net_address){.family = AF_INET, .prefix = 32};
  memcpy(own.bytes, source + sizeof mapped, 4);
  return own;
}

typedef void (*socket_visitor)(const struct inet_diag_msg *found, void *context);

static void each_socket(int fd, const struct inet_diag_req_v2 *which, socket_visitor visit, void *context) {
  static uint8_t buffer[ANSWER_SIZE] __attribute__((aligned(4)));
  if (!send_request(fd, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, which)) return;
  for (;;) {
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    size_t left = (size_t)got;
    for (struct nlmsghdr *at = (void *)buffer; NLMSG_OK(at, left); at = NLMSG_NEXT(at, left)) {
      if (at->nlmsg_type == NLMSG_DONE || at->nlmsg_type == NLMSG_ERROR) return;
      if (at->nlmsg_type == SOCK_DIAG_BY_FAMILY) visit(NLMSG_DATA(at), context);
    }
  }
}

struct found {
  const struct net_address *own;
  struct inet_diag_sockid *list;
  size_t count;
};

static void remember(const struct inet_diag_msg *message, void *context) {
  struct found *found = context;
  struct net_address own = own_address(message);
  if (found->count == MAX_SOCKETS || own.family != found->own->family ||
      memcmp(own.bytes, found->own->bytes, net_address_size(&own)) != 0)
    return;
  /* Grown by doubling. */
  if ((found->count & (found->count - 1)) == 0) {
    size_t capacity = found->count ? found->count * 2 : 1;
    struct inet_diag_sockid *list = realloc(found->list, capacity * sizeof *list);
    if (!list) return;
    found->list = list;
  }
  found->list[found->count++] = message->id;
}

/* Each is answered, so that the queue of answers does not overflow; one that has gone meanwhile is what is wanted. */
static void end_all(int fd, struct inet_diag_req_v2 which, const struct found *found) {
  uint8_t answer[512];
  for (size_t i = 0; i < found->count; i++) {
    which.id = found->list[i];
    if (send_request(fd, SOCK_DESTROY, NLM_F_ACK, &which)) (void)recv(fd, answer, sizeof answer, 0);
  }
}

void sockets_end(const struct net_address *own) {
  cleanup_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  for (size_t i = 0; fd >= 0 && i < countof(FAMILIES); i++) {
    struct inet_diag_req_v2 which = {.sdiag_family = FAMILIES[i], .sdiag_protocol = IPPROTO_TCP, .idiag_states = STATES};
    struct found found = {.own = own};
    each_socket(fd, &which, remember, &found);
    end_all(fd, which, &found);
    free(found.list);
  }
}

struct visit {
  address_visitor visit;
  void *context;
};

static void visit_address(const struct inet_diag_msg *message, void *context) {
  static const uint8_t none[16];
  const struct visit *visit = context;
  struct net_address own = own_address(message);
  if (memcmp(own.bytes, none, net_address_size(&own)) != 0) visit->visit(&own, visit->context);
}

void sockets_each_address(address_visitor visit, void *context) {
  static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP};
  cleanup_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  for (size_t i = 0; fd >= 0 && i < countof(FAMILIES) * countof(protocols); i++) {
    struct inet_diag_req_v2 which = {.sdiag_family = FAMILIES[i % countof(FAMILIES)],
                                     .sdiag_protocol = protocols[i / countof(FAMILIES)],
                                     .idiag_states = ~0u};
    each_socket(fd, &which, visit_address, &(struct visit){.visit = visit, .context = context});
  }
}
