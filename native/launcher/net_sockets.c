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

static bool send_request(int fd, uint16_t type, uint16_t flags, sa_family_t family, const struct inet_diag_sockid *id) {
  struct request request = {
      .header = {.nlmsg_len = sizeof request, .nlmsg_type = type, .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags)},
      .body = {.sdiag_family = (uint8_t)family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = STATES}};
  if (id) request.body.id = *id;
  return send(fd, &request, sizeof request, 0) == (ssize_t)sizeof request;
}

/* A socket of IPv6 that speaks IPv4 has its address at the end of a mapped one. */
static bool is_own(const struct inet_diag_msg *found, const struct net_address *own) {
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  const uint8_t *source = (const uint8_t *)found->id.idiag_src;
  if (own->family == AF_INET6) return found->idiag_family == AF_INET6 && memcmp(source, own->bytes, 16) == 0;
  if (found->idiag_family == AF_INET) return memcmp(source, own->bytes, 4) == 0;
  return memcmp(source, mapped, sizeof mapped) == 0 && memcmp(source + sizeof mapped, own->bytes, 4) == 0;
}

struct found {
  struct inet_diag_sockid *list;
  size_t count;
};

static bool remember(struct found *found, const struct inet_diag_sockid *id) {
  if (found->count == MAX_SOCKETS) return false;
  /* Grown by doubling. */
  if ((found->count & (found->count - 1)) == 0) {
    size_t capacity = found->count ? found->count * 2 : 1;
    struct inet_diag_sockid *list = realloc(found->list, capacity * sizeof *list);
    if (!list) return false;
    found->list = list;
  }
  found->list[found->count++] = *id;
  return true;
}

static void list_own(int fd, sa_family_t family, const struct net_address *own, struct found *found) {
  static uint8_t buffer[ANSWER_SIZE] __attribute__((aligned(4)));
  if (!send_request(fd, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, family, NULL)) return;
  for (;;) {
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return;
    size_t left = (size_t)got;
    for (struct nlmsghdr *at = (void *)buffer; NLMSG_OK(at, left); at = NLMSG_NEXT(at, left)) {
      if (at->nlmsg_type == NLMSG_DONE || at->nlmsg_type == NLMSG_ERROR) return;
      const struct inet_diag_msg *message = NLMSG_DATA(at);
      if (at->nlmsg_type == SOCK_DIAG_BY_FAMILY && is_own(message, own)) remember(found, &message->id);
    }
  }
}

/* Each is answered, so that the queue of answers does not overflow; one that has gone meanwhile is what is wanted. */
static void end_all(int fd, sa_family_t family, const struct found *found) {
  uint8_t answer[512];
  for (size_t i = 0; i < found->count; i++)
    if (send_request(fd, SOCK_DESTROY, NLM_F_ACK, family, &found->list[i])) (void)recv(fd, answer, sizeof answer, 0);
}

void sockets_end(const struct net_address *own) {
  static const sa_family_t families[] = {AF_INET, AF_INET6};
  cleanup_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  for (size_t i = 0; fd >= 0 && i < countof(families); i++) {
    struct found found = {0};
    list_own(fd, families[i], own, &found);
    end_all(fd, families[i], &found);
    free(found.list);
  }
}
