#define _GNU_SOURCE 1
#include "net_uplink.h"

#include <errno.h>
#include <string.h>

#include "launcher.gen.h"
#include "net_list.h"
#include "net_namespace.h"
#include "net_nft.h"

bool uplink_v6(void) { return namespace_get("ipv6/conf/all/forwarding") == 1; }

struct uplink_search {
  unsigned index;
  int block;
  bool v6;
};

static void consider_address(void *context, unsigned index, const struct net_address *address) {
  struct uplink_search *search = context;
  if (index != search->index) return;
  if (search->block < 0) search->block = net_block_of(address);
  if (address->family == AF_INET6 && address->prefix == 127) search->v6 = true;
}

bool uplink_find(const struct host *host, int host_links, int router, struct numbers *out) {
  char name[IFNAMSIZ];
  struct link_info link;
  struct failure ignored = {0};
  net_uplink_name(host->instance, name);
  if (!link_find(host_links, name, &link, &ignored)) return false;
  /* The kernel's word that the other end is in this very namespace; asked second, because listing it names it. */
  if (link.peer_namespace < 0 || link.peer_namespace != link_namespace_id(host_links, router)) return false;
  struct uplink_search search = {.index = link.index, .block = -1};
  if (!addresses_visit(host_links, consider_address, &search, &ignored) || search.block < 0) return false;
  *out = (struct numbers){.block = (unsigned)search.block, .v6 = search.v6};
  return true;
}

struct covered {
  bool blocks[NET_BLOCKS];
};

static void consider_route(void *context, const struct net_address *to) {
  struct covered *covered = context;
  for (unsigned block = 0; block < NET_BLOCKS; block++) {
    struct net_address range = net_block4(&(struct numbers){.block = block});
    if (net_overlap(to, &range)) covered->blocks[block] = true;
  }
}

/* The pair with the host's address and its route, whose making fails when another instance was faster. */
static bool try_block(const struct host *host, int host_links, int router, const struct numbers *numbers,
                      struct failure *failure) {
  char name[IFNAMSIZ];
  struct link_info link;
  struct batch batch = batch_on(host_links);
  net_uplink_name(host->instance, name);
  link_delete(&batch, name);
  link_add_veth(&batch,
                &(struct veth){.name = name, .peer_name = NET_UPLINK, .peer_namespace = router, .peer_index = 0});
  if (!batch_send(&batch, failure) || !link_find(host_links, name, &link, failure)) return false;
  struct net_address own = net_host4(numbers);
  struct net_address gateway = net_router4(numbers);
  struct net_address all = net_block4(numbers);
  link_add_address(&batch, link.index, &own);
  link_add_route(&batch, link.index, &all, &gateway, true);
  return batch_send(&batch, failure);
}

bool uplink_make(const struct host *host, int host_links, int router, int preferred, struct numbers *numbers,
                 struct failure *failure) {
  struct covered covered = {0};
  char name[IFNAMSIZ];
  net_uplink_name(host->instance, name);
  struct batch batch = batch_on(host_links);
  /* Before the routes are read: its own, of an earlier life, must not count. */
  link_delete(&batch, name);
  if (!batch_send(&batch, failure) || !routes_visit(host_links, consider_route, &covered, failure)) return false;
  for (unsigned block = 0; block < NET_BLOCKS; block++) {
    struct failure reason = {0};
    if (preferred >= 0 ? block != (unsigned)preferred : covered.blocks[block]) continue;
    numbers->block = block;
    if (try_block(host, host_links, router, numbers, &reason)) return true;
    if (reason.error != EEXIST || preferred >= 0)
      return fail(failure, reason.error, reason.step, "%s: %s", name, reason.text);
  }
  return fail(failure, EADDRINUSE, "uplink", "routes of this host cover all of 198.18.0.0/15; free a /20 of it");
}

bool uplink_complete(const struct host *host, int host_links, const struct numbers *numbers,
                     struct failure *failure) {
  char name[IFNAMSIZ];
  struct link_info link;
  net_uplink_name(host->instance, name);
  if (!link_find(host_links, name, &link, failure)) return false;
  struct batch batch = batch_on(host_links);
  struct net_address gateway4 = net_router4(numbers);
  link_set_alias(&batch, link.index, host->instance);
  link_add_neighbour(&batch, link.index, &gateway4, (const uint8_t[])LINK_PEER_HARDWARE);
  if (numbers->v6) {
    struct net_address own = net_host6(numbers);
    struct net_address gateway = net_router6(numbers);
    struct net_address all = net_block6(numbers);
    link_add_address(&batch, link.index, &own);
    link_add_neighbour(&batch, link.index, &gateway, (const uint8_t[])LINK_PEER_HARDWARE);
    link_add_route(&batch, link.index, &all, &gateway, false);
  }
  return batch_send(&batch, failure);
}

bool uplink_await(const struct host *host, int host_links, struct failure *failure) {
  char name[IFNAMSIZ];
  net_uplink_name(host->instance, name);
  return link_await(host_links, name, failure);
}

static void doors(struct text *out, const char *family, const struct net_address *host) {
  char text[INET6_ADDRSTRLEN];
  net_address_text(host, text);
  text_printf(out, "    %s daddr %s udp dport %d accept\n", family, text, DOOR_DNS);
  text_printf(out, "    %s daddr %s tcp dport { %d, %d, %d } accept\n", family, text, DOOR_DNS, DOOR_HTTP, DOOR_TLS);
}

static void masquerade(struct text *out, const char *family, const struct net_address *router, const char *uplink) {
  char text[INET6_ADDRSTRLEN];
  text_printf(out, "    %s saddr %s oifname != \"%s\" masquerade\n", family, net_address_text(router, text), uplink);
}

static void compose_table(struct text *out, const struct host *host, const struct numbers *numbers) {
  char uplink[IFNAMSIZ];
  net_uplink_name(host->instance, uplink);
  struct net_address host4 = net_host4(numbers);
  struct net_address host6 = net_host6(numbers);
  struct net_address router4 = net_router4(numbers);
  struct net_address router6 = net_router6(numbers);
  text_printf(out, "add table inet caisson_%s\ndelete table inet caisson_%s\ntable inet caisson_%s {\n",
              host->instance, host->instance, host->instance);
  /* Connections that were let in keep going; what a router sends by itself has no business here. */
  text_printf(out, "  chain doors {\n    ct state established,related accept\n    ct state invalid drop\n");
  doors(out, "ip", &host4);
  if (numbers->v6) doors(out, "ip6", &host6);
  text_printf(out, "    meta l4proto tcp reject with tcp reset\n    reject with icmpx admin-prohibited\n  }\n");
  text_printf(out, "  chain input {\n    type filter hook input priority -5; policy accept;\n"
                   "    iifname \"%s\" goto doors\n  }\n", uplink);
  text_printf(out, "  chain forward {\n    type filter hook forward priority -5; policy accept;\n"
                   "    oifname \"%s\" ct state established,related accept\n    oifname \"%s\" drop\n  }\n",
              uplink, uplink);
  text_printf(out, "  chain postrouting {\n    type nat hook postrouting priority 100; policy accept;\n");
  masquerade(out, "ip", &router4, uplink);
  if (numbers->v6) masquerade(out, "ip6", &router6, uplink);
  text_printf(out, "  }\n}\n");
}

bool uplink_guard(const struct host *host, const struct numbers *numbers, struct failure *failure) {
  struct text commands = {0};
  compose_table(&commands, host, numbers);
  bool loaded = nft_run(&commands, "host firewall", failure);
  text_free(&commands);
  if (!loaded || namespace_get("ipv4/ip_forward") == 1) return loaded;
  struct failure reason = {0};
  return namespace_set("ipv4/ip_forward", "1", &reason) ||
         fail(failure, reason.error, "forwarding",
              "this host does not forward IPv4 and that cannot be changed from here (%s); run: sysctl -w "
              "net.ipv4.ip_forward=1", strerror(reason.error));
}

bool uplink_remove(const struct host *host, int host_links, struct failure *failure) {
  char name[IFNAMSIZ];
  struct text commands = {0};
  struct batch batch = batch_on(host_links);
  net_uplink_name(host->instance, name);
  link_delete(&batch, name);
  bool removed = batch_send(&batch, failure);
  text_printf(&commands, "add table inet caisson_%s\ndelete table inet caisson_%s\n", host->instance, host->instance);
  removed = nft_run(&commands, "host firewall", failure) && removed;
  text_free(&commands);
  return removed;
}
