#define _GNU_SOURCE 1
#include "net_list.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <time.h>

struct link_visit {
  void (*visit)(void *context, const struct link_info *link);
  void *context;
};

static void visit_link(void *context, const struct nlmsghdr *header) {
  const struct link_visit *visit = context;
  const struct ifinfomsg *body = NLMSG_DATA(header);
  struct link_info link = {.index = (unsigned)body->ifi_index, .peer_namespace = -1};
  uint8_t state = IF_OPER_UNKNOWN;
  char queue[IFNAMSIZ] = "";
  if (header->nlmsg_type != RTM_NEWLINK) return;
  message_attribute(header, sizeof *body, IFLA_IFNAME, link.name, sizeof link.name - 1);
  message_attribute(header, sizeof *body, IFLA_IFALIAS, link.alias, sizeof link.alias - 1);
  message_attribute(header, sizeof *body, IFLA_LINK_NETNSID, &link.peer_namespace, sizeof link.peer_namespace);
  message_attribute(header, sizeof *body, IFLA_OPERSTATE, &state, sizeof state);
  message_attribute(header, sizeof *body, IFLA_QDISC, queue, sizeof queue - 1);
  /* "noop" drops everything. */
  link.running = state == IF_OPER_UP && strcmp(queue, "noop") != 0;
  visit->visit(visit->context, &link);
}

static void keep_link(void *context, const struct link_info *link) { *(struct link_info *)context = *link; }

bool link_find(int socket, const char *name, struct link_info *out, struct failure *failure) {
  struct batch batch = batch_on(socket);
  struct ifinfomsg body = {0};
  struct link_visit visit = {.visit = keep_link, .context = out};
  size_t start = batch_begin(&batch, RTM_GETLINK, 0, &body, sizeof body, "interface", 0);
  batch_text(&batch, IFLA_IFNAME, name);
  batch_end(&batch, start);
  return batch_ask(&batch, false, visit_link, &visit, failure);
}

bool link_await(int socket, const char *name, struct failure *failure) {
  enum { TRIES = 10000, PAUSE_USEC = 200 };
  for (int i = 0; i < TRIES; i++) {
    struct link_info link;
    if (!link_find(socket, name, &link, failure)) return false;
    if (link.running) return true;
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_USEC * 1000}, NULL);
  }
  return fail(failure, ETIMEDOUT, "interface", "%s does not come up", name);
}

bool links_visit(int socket, void (*visit)(void *context, const struct link_info *link), void *context,
                 struct failure *failure) {
  struct batch batch = batch_on(socket);
  struct ifinfomsg body = {0};
  struct link_visit each = {.visit = visit, .context = context};
  batch_end(&batch, batch_begin(&batch, RTM_GETLINK, 0, &body, sizeof body, "interfaces", 0));
  return batch_ask(&batch, true, visit_link, &each, failure);
}

static void keep_namespace_id(void *context, const struct nlmsghdr *header) {
  message_attribute(header, sizeof(struct rtgenmsg), NETNSA_NSID, context, sizeof(int32_t));
}

int link_namespace_id(int socket, int namespace) {
  struct batch batch = batch_on(socket);
  struct rtgenmsg body = {0};
  struct failure failure = {0};
  int32_t id = -1;
  size_t start = batch_begin(&batch, RTM_GETNSID, 0, &body, sizeof body, "namespace id", 0);
  batch_u32(&batch, NETNSA_FD, (uint32_t)namespace);
  batch_end(&batch, start);
  return batch_ask(&batch, false, keep_namespace_id, &id, &failure) ? id : -1;
}

struct address_visit {
  void (*visit)(void *context, unsigned index, const struct net_address *address);
  void *context;
};

static void visit_address(void *context, const struct nlmsghdr *header) {
  const struct address_visit *visit = context;
  const struct ifaddrmsg *body = NLMSG_DATA(header);
  struct net_address address = {.family = body->ifa_family, .prefix = body->ifa_prefixlen};
  /* On a link between two, ADDRESS is the other end and LOCAL ours; IPv6 has ADDRESS alone. */
  uint16_t type = body->ifa_family == AF_INET ? IFA_LOCAL : IFA_ADDRESS;
  if (message_attribute(header, sizeof *body, type, address.bytes, net_address_size(&address)))
    visit->visit(visit->context, body->ifa_index, &address);
}

bool addresses_visit(int socket, void (*visit)(void *context, unsigned index, const struct net_address *address),
                     void *context, struct failure *failure) {
  struct batch batch = batch_on(socket);
  struct ifaddrmsg body = {0};
  struct address_visit each = {.visit = visit, .context = context};
  batch_end(&batch, batch_begin(&batch, RTM_GETADDR, 0, &body, sizeof body, "addresses", 0));
  return batch_ask(&batch, true, visit_address, &each, failure);
}

struct route_visit {
  void (*visit)(void *context, const struct net_address *to);
  void *context;
};

static void visit_route(void *context, const struct nlmsghdr *header) {
  const struct route_visit *visit = context;
  const struct rtmsg *body = NLMSG_DATA(header);
  struct net_address to = {.family = body->rtm_family, .prefix = body->rtm_dst_len};
  if (to.family != AF_INET && to.family != AF_INET6) return;
  if (message_attribute(header, sizeof *body, RTA_DST, to.bytes, net_address_size(&to)))
    visit->visit(visit->context, &to);
}

bool routes_visit(int socket, void (*visit)(void *context, const struct net_address *to), void *context,
                  struct failure *failure) {
  struct batch batch = batch_on(socket);
  struct rtmsg body = {0};
  struct route_visit each = {.visit = visit, .context = context};
  batch_end(&batch, batch_begin(&batch, RTM_GETROUTE, 0, &body, sizeof body, "routes", 0));
  return batch_ask(&batch, true, visit_route, &each, failure);
}

struct traffic_visit {
  void (*visit)(void *context, unsigned index, uint64_t received, uint64_t sent);
  void *context;
};

static void visit_traffic(void *context, const struct nlmsghdr *header) {
  /* Newer kernels know more numbers than these, behind them. */
  enum { ROOM = 1024 };
  _Alignas(struct rtnl_link_stats64) uint8_t stats[ROOM] = {0};
  const struct traffic_visit *visit = context;
  const struct if_stats_msg *body = NLMSG_DATA(header);
  if (!message_attribute(header, sizeof *body, IFLA_STATS_LINK_64, stats, sizeof stats)) return;
  const struct rtnl_link_stats64 *numbers = (const void *)stats;
  visit->visit(visit->context, body->ifindex, numbers->rx_bytes, numbers->tx_bytes);
}

bool traffic_visit(int socket, unsigned index,
                   void (*visit)(void *context, unsigned index, uint64_t received, uint64_t sent), void *context,
                   struct failure *failure) {
  struct batch batch = batch_on(socket);
  struct if_stats_msg body = {.ifindex = index,
                              .filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64)};
  struct traffic_visit each = {.visit = visit, .context = context};
  batch_end(&batch, batch_begin(&batch, RTM_GETSTATS, 0, &body, sizeof body, "traffic", 0));
  return batch_ask(&batch, index == 0, visit_traffic, &each, failure);
}
