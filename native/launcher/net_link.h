/* Changes to links, addresses, routes and rate limits of a network namespace, as requests of a batch. */
#ifndef CAISSON_LAUNCHER_NET_LINK_H
#define CAISSON_LAUNCHER_NET_LINK_H

#include <net/if.h>
#include <netinet/in.h>

#include "net_message.h"

/* An address of either family with the length of its prefix. */
struct net_address {
  sa_family_t family;
  uint8_t prefix;
  /* In network order; the first four bytes for IPv4. */
  uint8_t bytes[16];
};

struct net_address net_address4(uint32_t host_order, uint8_t prefix);
struct net_address net_address6(const uint8_t bytes[16], uint8_t prefix);
size_t net_address_size(const struct net_address *address);
/* Writes it as text, without the prefix. */
const char *net_address_text(const struct net_address *address, char out[INET6_ADDRSTRLEN]);

/* A pair of virtual interfaces. The first one is up; the second, in `peer_namespace`, cannot be before there are two. */
struct veth {
  const char *name;
  const char *peer_name;
  int peer_namespace;
  /* 0: the kernel chooses. */
  unsigned index;
  unsigned peer_index;
};
/* Hardware addresses of the two ends of every pair: each has one neighbour, which it need not ask for. */
#define LINK_HARDWARE {0x02, 0xca, 0x15, 0x50, 0x00, 0x01}
#define LINK_PEER_HARDWARE {0x02, 0xca, 0x15, 0x50, 0x00, 0x02}
void link_add_veth(struct batch *batch, const struct veth *veth);
void link_set_alias(struct batch *batch, unsigned index, const char *alias);
void link_set_up(struct batch *batch, unsigned index);
/* One that is gone already is as good. */
void link_delete(struct batch *batch, const char *name);
/* Without duplicate address detection, which would take a second. One that is there is as good. */
void link_add_address(struct batch *batch, unsigned index, const struct net_address *address);
/* One that is gone already is as good. */
void link_delete_address(struct batch *batch, unsigned index, const struct net_address *address);
/* To a prefix over `gateway`, or without one to what is on the link. `exclusive`: fails with EEXIST when the host has
   a route to the same prefix; else that is as good. */
void link_add_route(struct batch *batch, unsigned index, const struct net_address *to,
                    const struct net_address *gateway, bool exclusive);
/* Of one that has no gateway; one that is gone already is as good. */
void link_delete_route(struct batch *batch, unsigned index, const struct net_address *to);
/* Drops what is meant for a prefix and has no better route. */
void link_add_blackhole(struct batch *batch, const struct net_address *to);
/* Names the owner of an address for good: no question is asked on the link, and no table of the host's fills up. */
void link_add_neighbour(struct batch *batch, unsigned index, const struct net_address *address,
                        const uint8_t hardware[6]);
/* Limits what leaves the interface; 0 bytes per second: no limit. */
void link_limit_rate(struct batch *batch, unsigned index, uint64_t bytes_per_second);

#endif
