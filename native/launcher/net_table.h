/* The router's one nftables table `inet caisson`, as text for nft(8). Elements are net_rules.h's.

   What passes a packet of a sandbox, in order:
     arrive    its source must be the interface's own address, else it is dropped unseen;
     divert    DNS, wherever to, goes to the server's resolver; HTTP and TLS to its proxies where names decide;
     forward   only to the uplink; an open connection that was judged by the rules in force goes on; never to reserved
               ranges, to the host or to another sandbox; then the slot's chain says yes or no;
     leave     the source becomes the router's, but not towards the server, which knows the sandbox by it.
   What is not a sandbox's only gets in as an answer. Whatever is missing or empty refuses.

   The router needs these settings besides (net.): ipv4.ip_forward=1, ipv6.conf.all.forwarding=1 with IPv6,
   ipv4.icmp_ratelimit=0 and ipv6.icmp.ratelimit=0, or refusals of UDP are told once a second only. Needs Linux 5.10: elements
   with conditions of their own, and a set that is emptied and filled with the same ranges in one transaction. */
#ifndef CAISSON_LAUNCHER_NET_TABLE_H
#define CAISSON_LAUNCHER_NET_TABLE_H

#include "net_rules.h"

/* Slots are loaded in blocks: block b has the slots from b * TABLE_BLOCK on. */
enum { TABLE_BLOCK = 64, TABLE_MAX_BLOCKS = 64 };

/* The uplink `up`: its end on the host, where the server listens at the ports of ROUTER_PORTS, and the router's own. */
struct table_plan {
  uint8_t host4[ADDRESS4_SIZE];
  uint8_t self4[ADDRESS4_SIZE];
  bool ipv6;
  uint8_t host6[ADDRESS6_SIZE];
  uint8_t self6[ADDRESS6_SIZE];
};

/* Makes the table with block 0 in the CURRENT network namespace, in one transaction. One that is there for the same
   plan and by the same launcher's rules stays as it is; another is replaced at once, without its slots: then
   `*fresh`, and every slot in use must be opened again. Runs nft (up to 200 ms): call it in a worker. */
bool table_load(const struct table_plan *plan, bool *fresh, struct failure *failure);
/* Adds a block that is not there yet; nothing to do for one that is. As table_load. */
bool table_add_block(unsigned block, struct failure *failure);

#endif
