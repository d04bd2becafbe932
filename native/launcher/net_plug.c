#define _GNU_SOURCE 1
#include "net_plug.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net_list.h"
#include "net_namespace.h"
#include "net_rules.h"
#include "net_sockets.h"

static const uint8_t ROUTER_HARDWARE[] = LINK_HARDWARE;
static const uint8_t SANDBOX_HARDWARE[] = LINK_PEER_HARDWARE;

/* The two sides of a plug. A socket stays in the namespace in which it was made. */
struct sides {
  int router_links;
  int inner_links;
  int inner;
  struct rules rules;
  char name[IFNAMSIZ];
};

/* Members of every group of the sandbox may send pings; the kernel wants the host's numbers. */
static bool allow_ping(pid_t pid, struct failure *failure) {
  char path[64];
  char map[256];
  char value[64];
  unsigned first = 0;
  snprintf(path, sizeof path, "/proc/%d/gid_map", pid);
  if (read_file_at(AT_FDCWD, path, map, sizeof map) <= 0 || sscanf(map, "%*u %u", &first) != 1)
    return fail(failure, errno, "ping", "%s: %s", path, strerror(errno));
  snprintf(value, sizeof value, "%u %u", first, first + LAUNCHER_ID_COUNT - 1);
  return namespace_set("ipv4/ping_group_range", value, failure);
}

/* What interfaces made from now on inherit: nothing is learnt from the link. */
static bool settle_inner(const struct plug *plug, struct failure *failure) {
  static const struct {
    const char *name;
    const char *value;
  } settings[] = {{"ipv6/conf/default/accept_ra", "0"},
                  {"ipv6/conf/default/autoconf", "0"},
                  {"ipv6/conf/default/accept_redirects", "0"},
                  {"ipv6/conf/default/addr_gen_mode", "1"},
                  {"ipv6/conf/default/disable_ipv6", "0"}};
  if (!allow_ping(plug->pid, failure)) return false;
  if (!plug->numbers.v6)
    return namespace_get("ipv6/conf/default/disable_ipv6") < 0 ||
           namespace_set("ipv6/conf/default/disable_ipv6", "1", failure);
  for (size_t i = 0; i < countof(settings); i++)
    if (!namespace_set(settings[i].name, settings[i].value, failure)) return false;
  return true;
}

static bool configure_inner(const struct plug *plug, const struct sides *sides, struct failure *failure) {
  struct batch batch = batch_on(sides->inner_links);
  struct net_address own4 = net_sandbox4(&plug->numbers, plug->slot);
  struct net_address gateway4 = net_resolver();
  struct net_address all4 = net_any(AF_INET);
  link_set_up(&batch, NET_INNER_INDEX);
  link_add_address(&batch, NET_INNER_INDEX, &own4);
  link_add_neighbour(&batch, NET_INNER_INDEX, &gateway4, ROUTER_HARDWARE);
  link_add_route(&batch, NET_INNER_INDEX, &gateway4, NULL, false);
  link_add_route(&batch, NET_INNER_INDEX, &all4, &gateway4, false);
  if (plug->numbers.v6) {
    struct net_address own6 = net_sandbox6(&plug->numbers, plug->slot);
    struct net_address gateway6 = net_gateway6();
    struct net_address all6 = net_any(AF_INET6);
    link_add_address(&batch, NET_INNER_INDEX, &own6);
    link_add_neighbour(&batch, NET_INNER_INDEX, &gateway6, ROUTER_HARDWARE);
    link_add_route(&batch, NET_INNER_INDEX, &all6, &gateway6, false);
  }
  return batch_send(&batch, failure);
}

/* The alias comes last: an interface that has one is whole. */
static bool configure_outer(const struct plug *plug, const struct sides *sides, struct failure *failure) {
  struct batch batch = batch_on(sides->router_links);
  unsigned index = NET_SLOT_INDEX + plug->slot;
  struct net_address to4 = net_sandbox4(&plug->numbers, plug->slot);
  link_add_neighbour(&batch, index, &to4, SANDBOX_HARDWARE);
  link_add_route(&batch, index, &to4, NULL, false);
  if (plug->numbers.v6) {
    struct net_address own6 = net_gateway6();
    struct net_address to6 = net_sandbox6(&plug->numbers, plug->slot);
    link_add_address(&batch, index, &own6);
    link_add_neighbour(&batch, index, &to6, SANDBOX_HARDWARE);
    link_add_route(&batch, index, &to6, NULL, false);
  }
  link_set_alias(&batch, index, plug->id);
  return batch_send(&batch, failure);
}

static bool limit_rates(const struct plug *plug, const struct sides *sides, bool fresh, struct failure *failure) {
  struct batch outer = batch_on(sides->router_links);
  struct batch inner = batch_on(sides->inner_links);
  if (!fresh || plug->download) link_limit_rate(&outer, NET_SLOT_INDEX + plug->slot, plug->download);
  if (!fresh || plug->upload) link_limit_rate(&inner, NET_INNER_INDEX, plug->upload);
  return batch_send(&outer, failure) && batch_send(&inner, failure);
}

static bool make_pair(const struct plug *plug, const struct sides *sides, struct failure *failure) {
  struct batch batch = batch_on(sides->router_links);
  link_add_veth(&batch, &(struct veth){.name = sides->name,
                                       .peer_name = NET_INNER,
                                       .peer_namespace = sides->inner,
                                       .index = NET_SLOT_INDEX + plug->slot,
                                       .peer_index = NET_INNER_INDEX});
  return batch_send(&batch, failure);
}

/* The sandbox's own namespace, and certainly no other that matters. */
static bool open_inner(const struct host *host, const struct plug *plug, struct sides *sides,
                       struct failure *failure) {
  sides->inner = namespace_of(plug->pid, plug->pidfd);
  if (sides->inner < 0) return fail(failure, ESRCH, "sandbox", "%s has ended", plug->id);
  if (!namespace_same(sides->inner, host->network_namespace) && !namespace_same(sides->inner, plug->router))
    return true;
  return fail(failure, EPERM, "sandbox", "%s has no network namespace of its own", plug->id);
}

static bool open_sides(const struct host *host, const struct plug *plug, struct sides *sides,
                       struct failure *failure) {
  net_slot_name(plug->slot, sides->name);
  if (!open_inner(host, plug, sides, failure) || !namespace_enter(plug->router, failure)) return false;
  sides->router_links = route_socket(failure);
  if (sides->router_links < 0 || !rules_open(&sides->rules, failure) || !namespace_enter(sides->inner, failure))
    return false;
  sides->inner_links = route_socket(failure);
  return sides->inner_links >= 0;
}

static bool remove_pair(int router_links, const char *name, struct failure *failure) {
  struct batch batch = batch_on(router_links);
  link_delete(&batch, name);
  return batch_send(&batch, failure);
}

/* Whether the slot's interface is there and this sandbox's. What an ended sandbox has left there is removed. */
static bool joined(const struct plug *plug, const struct sides *sides, struct failure *failure) {
  struct link_info link;
  struct failure absent = {0};
  if (!link_find(sides->router_links, sides->name, &link, &absent)) return false;
  if (strcmp(link.alias, plug->id) == 0) return true;
  remove_pair(sides->router_links, sides->name, failure);
  return false;
}

/* In the table first: an interface that it does not know would lose its first packets without a word. */
static bool join(const struct plug *plug, struct sides *sides, struct failure *failure) {
  struct net_address own4 = net_sandbox4(&plug->numbers, plug->slot);
  struct net_address own6 = net_sandbox6(&plug->numbers, plug->slot);
  if (!slot_open(&sides->rules, plug->slot, own4.bytes, plug->numbers.v6 ? own6.bytes : NULL,
                 (uint32_t)plug->connections, failure) ||
      !settle_inner(plug, failure) || !make_pair(plug, sides, failure))
    return false;
  if (configure_inner(plug, sides, failure) && limit_rates(plug, sides, true, failure) &&
      configure_outer(plug, sides, failure) && link_await(sides->router_links, sides->name, failure))
    return true;
  struct failure ignored = {0};
  if (!remove_pair(sides->router_links, sides->name, &ignored)) log_line("%s: %s", sides->name, ignored.text);
  return false;
}

static bool change_limits(const struct plug *plug, struct sides *sides, struct failure *failure) {
  return slot_limit(&sides->rules, plug->slot, (uint32_t)plug->connections, failure) &&
         limit_rates(plug, sides, false, failure);
}

void write_addresses(struct writer *reply, const struct numbers *numbers, unsigned slot) {
  char text[INET6_ADDRSTRLEN];
  struct net_address own4 = net_sandbox4(numbers, slot);
  struct net_address own6 = net_sandbox6(numbers, slot);
  writer_string(reply, TAG_ADDRESS4, net_address_text(&own4, text));
  if (numbers->v6) writer_string(reply, TAG_ADDRESS6, net_address_text(&own6, text));
}

bool operation_plug(const struct host *host, const struct plug *plug, struct writer *reply, struct failure *failure) {
  struct sides sides;
  if (!open_sides(host, plug, &sides, failure)) return false;
  bool there = joined(plug, &sides, failure);
  if (failure->error) return false;
  if (there ? !change_limits(plug, &sides, failure) : !join(plug, &sides, failure)) return false;
  write_addresses(reply, &plug->numbers, plug->slot);
  return true;
}

/* Only now, when no word of it can leave any more. */
static void end_connections(const struct plug *plug, const struct net_address *own4, const struct net_address *own6) {
  struct failure ignored = {0};
  cleanup_fd int inner = plug->pid ? namespace_of(plug->pid, plug->pidfd) : -1;
  if (inner < 0 || namespace_same(inner, plug->router) || !namespace_enter(inner, &ignored)) return;
  sockets_end(own4);
  if (plug->numbers.v6) sockets_end(own6);
}

bool operation_unplug(const struct plug *plug, struct failure *failure) {
  char name[IFNAMSIZ];
  struct rules rules;
  struct net_address own4 = net_sandbox4(&plug->numbers, plug->slot);
  struct net_address own6 = net_sandbox6(&plug->numbers, plug->slot);
  net_slot_name(plug->slot, name);
  if (!namespace_enter(plug->router, failure)) return false;
  cleanup_fd int links = route_socket(failure);
  if (links < 0 || !remove_pair(links, name, failure) || !rules_open(&rules, failure)) return false;
  /* The socket goes with the worker: closing it waits until the kernel has freed what was removed, 10 ms. */
  bool closed = slot_close(&rules, plug->slot, own4.bytes, plug->numbers.v6 ? own6.bytes : NULL, failure);
  end_connections(plug, &own4, &own6);
  return closed;
}
