/* Which addresses, names and indices the parts of a router have. Everything follows from its block and a slot. */
#ifndef CAISSON_LAUNCHER_NET_NUMBERS_H
#define CAISSON_LAUNCHER_NET_NUMBERS_H

#include "net_link.h"

enum {
  /* Of 198.18.0.0/15, a /20 each; the last /20 has the resolver's address. */
  NET_BLOCKS = 31,
  /* Interfaces of sandboxes in the router, by their slots; and of a sandbox, inside. Chosen by us: nothing to look up. */
  NET_SLOT_INDEX = 1000,
  NET_INNER_INDEX = 100,
};

#define NET_UPLINK "up"
#define NET_INNER "eth0"
/* The resolver and the gateway, as every sandbox sees them. */
#define NET_RESOLVER "198.19.255.254"

struct numbers {
  unsigned block;
  /* Whether sandboxes have IPv6. */
  bool v6;
};

/* Everything that this instance has, sandboxes and uplink. */
struct net_address net_block4(const struct numbers *numbers);
struct net_address net_block6(const struct numbers *numbers);
/* The two ends of the uplink, with the prefix of the link. */
struct net_address net_host4(const struct numbers *numbers);
struct net_address net_host6(const struct numbers *numbers);
struct net_address net_router4(const struct numbers *numbers);
struct net_address net_router6(const struct numbers *numbers);
/* Of one sandbox. */
struct net_address net_sandbox4(const struct numbers *numbers, unsigned slot);
struct net_address net_sandbox6(const struct numbers *numbers, unsigned slot);
struct net_address net_resolver(void);
/* fe80::1, the router as a sandbox sees it. */
struct net_address net_gateway6(void);
struct net_address net_any(sa_family_t family);

/* The block that an IPv4 address is of; -1 when it is of none. */
int net_block_of(const struct net_address *address);
int net_block_of_text(const char *address);
/* Whether two prefixes have an address in common. */
bool net_overlap(const struct net_address *one, const struct net_address *other);
/* Name of the host's end: "csn" and eight digits that stand for the instance. */
void net_uplink_name(const char *instance, char out[IFNAMSIZ]);
void net_slot_name(unsigned slot, char out[IFNAMSIZ]);
/* The slot behind an interface of the router; -1 when it is none of a sandbox. */
int net_slot_of(unsigned index);

#endif
