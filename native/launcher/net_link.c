#define _GNU_SOURCE 1
#include "net_link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <string.h>

struct net_address net_address4(uint32_t host_order, uint8_t prefix) {
  struct net_address address = {.family = AF_INET, .prefix = prefix};
  uint32_t wire = htonl(host_order);
  memcpy(address.bytes, &wire, sizeof wire);
  return address;
}

struct net_address net_address6(const uint8_t bytes[16], uint8_t prefix) {
  struct net_address address = {.family = AF_INET6, .prefix = prefix};
  memcpy(address.bytes, bytes, sizeof address.bytes);
  return address;
}

const char *net_address_text(const struct net_address *address, char out[INET6_ADDRSTRLEN]) {
  return inet_ntop(address->family, address->bytes, out, INET6_ADDRSTRLEN);
}

size_t net_address_size(const struct net_address *address) { return address->family == AF_INET ? 4 : 16; }

void link_add_veth(struct batch *batch, const struct veth *veth) {
  struct ifinfomsg link = {.ifi_index = (int)veth->index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  struct ifinfomsg peer = {.ifi_index = (int)veth->peer_index};
  size_t start = batch_begin(batch, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &link, sizeof link, "interface", 0);
  batch_text(batch, IFLA_IFNAME, veth->name);
  batch_attribute(batch, IFLA_ADDRESS, (const uint8_t[])LINK_HARDWARE, 6);
  size_t info = batch_attribute(batch, IFLA_LINKINFO, NULL, 0);
  batch_text(batch, IFLA_INFO_KIND, "veth");
  size_t data = batch_attribute(batch, IFLA_INFO_DATA, NULL, 0);
  size_t other = batch_attribute(batch, VETH_INFO_PEER, &peer, sizeof peer);
  batch_text(batch, IFLA_IFNAME, veth->peer_name);
  batch_attribute(batch, IFLA_ADDRESS, (const uint8_t[])LINK_PEER_HARDWARE, 6);
  batch_u32(batch, IFLA_NET_NS_FD, (uint32_t)veth->peer_namespace);
  batch_end_nested(batch, other);
  batch_end_nested(batch, data);
  batch_end_nested(batch, info);
  batch_end(batch, start);
}

void link_set_alias(struct batch *batch, unsigned index, const char *alias) {
  struct ifinfomsg link = {.ifi_index = (int)index};
  size_t start = batch_begin(batch, RTM_SETLINK, 0, &link, sizeof link, "interface alias", 0);
  batch_attribute(batch, IFLA_IFALIAS, alias, strlen(alias));
  batch_end(batch, start);
}

void link_set_up(struct batch *batch, unsigned index) {
  struct ifinfomsg link = {.ifi_index = (int)index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
  batch_end(batch, batch_begin(batch, RTM_SETLINK, 0, &link, sizeof link, "interface up", 0));
}

void link_delete(struct batch *batch, const char *name) {
  struct ifinfomsg link = {0};
  size_t start = batch_begin(batch, RTM_DELLINK, 0, &link, sizeof link, "interface removal", ENODEV);
  batch_text(batch, IFLA_IFNAME, name);
  batch_end(batch, start);
}

void link_add_address(struct batch *batch, unsigned index, const struct net_address *address) {
  struct ifaddrmsg body = {.ifa_family = (uint8_t)address->family,
                           .ifa_prefixlen = address->prefix,
                           .ifa_flags = IFA_F_PERMANENT | IFA_F_NODAD,
                           .ifa_index = index};
  size_t start = batch_begin(batch, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof body, "address", EEXIST);
  batch_attribute(batch, IFA_LOCAL, address->bytes, net_address_size(address));
  batch_attribute(batch, IFA_ADDRESS, address->bytes, net_address_size(address));
  batch_end(batch, start);
}

void link_delete_address(struct batch *batch, unsigned index, const struct net_address *address) {
  struct ifaddrmsg body = {.ifa_family = (uint8_t)address->family, .ifa_prefixlen = address->prefix, .ifa_index = index};
  size_t start = batch_begin(batch, RTM_DELADDR, 0, &body, sizeof body, "address removal", EADDRNOTAVAIL);
  batch_attribute(batch, IFA_LOCAL, address->bytes, net_address_size(address));
  batch_end(batch, start);
}

void link_add_route(struct batch *batch, unsigned index, const struct net_address *to,
                    const struct net_address *gateway, bool exclusive) {
  struct rtmsg body = {.rtm_family = (uint8_t)to->family,
                       .rtm_dst_len = to->prefix,
                       .rtm_table = RT_TABLE_MAIN,
                       .rtm_protocol = RTPROT_STATIC,
                       .rtm_scope = gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
                       .rtm_type = RTN_UNICAST,
                       .rtm_flags = gateway ? RTNH_F_ONLINK : 0};
  size_t start = batch_begin(batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof body, "route",
                       exclusive ? 0 : EEXIST);
  if (to->prefix) batch_attribute(batch, RTA_DST, to->bytes, net_address_size(to));
  if (gateway) batch_attribute(batch, RTA_GATEWAY, gateway->bytes, net_address_size(gateway));
  batch_u32(batch, RTA_OIF, index);
  batch_end(batch, start);
}

void link_delete_route(struct batch *batch, unsigned index, const struct net_address *to) {
  struct rtmsg body = {.rtm_family = (uint8_t)to->family,
                       .rtm_dst_len = to->prefix,
                       .rtm_table = RT_TABLE_MAIN,
                       .rtm_scope = RT_SCOPE_NOWHERE};
  size_t start = batch_begin(batch, RTM_DELROUTE, 0, &body, sizeof body, "route removal", ESRCH);
  if (to->prefix) batch_attribute(batch, RTA_DST, to->bytes, net_address_size(to));
  batch_u32(batch, RTA_OIF, index);
  batch_end(batch, start);
}

void link_add_blackhole(struct batch *batch, const struct net_address *to) {
  struct rtmsg body = {.rtm_family = (uint8_t)to->family,
                       .rtm_dst_len = to->prefix,
                       .rtm_table = RT_TABLE_MAIN,
                       .rtm_protocol = RTPROT_STATIC,
                       .rtm_type = RTN_BLACKHOLE};
  size_t start = batch_begin(batch, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &body, sizeof body, "route", EEXIST);
  batch_attribute(batch, RTA_DST, to->bytes, net_address_size(to));
  batch_end(batch, start);
}

void link_add_neighbour(struct batch *batch, unsigned index, const struct net_address *address,
                        const uint8_t hardware[6]) {
  struct ndmsg body = {.ndm_family = (uint8_t)address->family, .ndm_ifindex = (int)index, .ndm_state = NUD_PERMANENT};
  size_t start = batch_begin(batch, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, &body, sizeof body, "neighbour", 0);
  batch_attribute(batch, NDA_DST, address->bytes, net_address_size(address));
  batch_attribute(batch, NDA_LLADDR, hardware, 6);
  batch_end(batch, start);
}

static uint32_t at_most_u32(uint64_t value) { return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX; }

/* A bucket of 20 ms, and never less than a few packets; what waits for it waits 100 ms at most. */
static void token_bucket(struct batch *batch, uint64_t rate) {
  enum { LEAST_BURST = 16384 };
  uint64_t burst = rate / 50 > LEAST_BURST ? rate / 50 : LEAST_BURST;
  struct tc_tbf_qopt options = {.rate = {.linklayer = TC_LINKLAYER_ETHERNET, .rate = at_most_u32(rate)},
                                .limit = at_most_u32(rate / 10 + burst)};
  size_t nested = batch_attribute(batch, TCA_OPTIONS, NULL, 0);
  batch_attribute(batch, TCA_TBF_PARMS, &options, sizeof options);
  if (rate > UINT32_MAX) batch_attribute(batch, TCA_TBF_RATE64, &rate, sizeof rate);
  batch_u32(batch, TCA_TBF_BURST, at_most_u32(burst));
  batch_end_nested(batch, nested);
}

void link_limit_rate(struct batch *batch, unsigned index, uint64_t bytes_per_second) {
  struct tcmsg body = {.tcm_family = AF_UNSPEC, .tcm_ifindex = (int)index, .tcm_parent = TC_H_ROOT};
  if (!bytes_per_second) {
    /* The kernel's own discipline, which is there when ours is not, cannot be removed: ENOENT. */
    batch_end(batch, batch_begin(batch, RTM_DELQDISC, 0, &body, sizeof body, "rate limit", ENOENT));
    return;
  }
  size_t start = batch_begin(batch, RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, &body, sizeof body, "rate limit", 0);
  batch_text(batch, TCA_KIND, "tbf");
  token_bucket(batch, bytes_per_second);
  batch_end(batch, start);
}
