#define _GNU_SOURCE 1
#include "net_router.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "launcher.gen.h"
#include "net_list.h"
#include "net_table.h"
#include "net_uplink.h"

enum { LOOPBACK_INDEX = 1 };

/* A router while it is made: route sockets of both sides, which stay where they were opened. */
struct making {
  const struct host *host;
  int namespace;
  int host_links;
  int router_links;
  struct numbers numbers;
};

static bool take_setting(const struct field *field, struct router_settings *out, struct failure *failure) {
  char text[64];
  bool permit = field->tag == TAG_PERMIT;
  if (!permit && field->tag != TAG_HOST) return fail(failure, EINVAL, "request", "field %d is not known", field->tag);
  if (!field_string(field, text, sizeof text))
    return fail(failure, EINVAL, "request", "%s is not valid", permit ? "PERMIT" : "HOST");
  return permit ? ranges_add_text(text, &out->permit4, &out->permit6, failure)
                : ranges_add_text(text, &out->host4, &out->host6, failure);
}

bool router_settings_parse(const struct frame *frame, struct router_settings *out, struct failure *failure) {
  struct field_reader reader = field_reader(frame);
  struct field field;
  while (field_next(&reader, &field))
    if (!take_setting(&field, out, failure)) return false;
  return !reader.malformed || fail(failure, EINVAL, "request", "the last field is not valid");
}

void router_settings_free(struct router_settings *settings) {
  ranges_free(&settings->permit4);
  ranges_free(&settings->permit6);
  ranges_free(&settings->host4);
  ranges_free(&settings->host6);
}

/* How a router treats packets; the first one resets others. Refusals are told at once, however many there are. */
static bool settle_router(const struct numbers *numbers, struct failure *failure) {
  static const struct {
    const char *name;
    const char *value;
    bool v6;
  } settings[] = {{"ipv4/ip_forward", "1", false},
                  {"ipv4/conf/all/rp_filter", "0", false},
                  {"ipv4/conf/default/rp_filter", "0", false},
                  {"ipv4/conf/all/accept_redirects", "0", false},
                  {"ipv4/conf/default/accept_redirects", "0", false},
                  {"ipv4/conf/all/send_redirects", "0", false},
                  {"ipv4/conf/default/send_redirects", "0", false},
                  {"ipv4/icmp_ratelimit", "0", false},
                  {"ipv6/conf/all/disable_ipv6", "0", true},
                  {"ipv6/conf/default/disable_ipv6", "0", true},
                  {"ipv6/conf/default/addr_gen_mode", "1", true},
                  {"ipv6/conf/default/accept_ra", "0", true},
                  {"ipv6/conf/all/accept_redirects", "0", true},
                  {"ipv6/conf/default/accept_redirects", "0", true},
                  {"ipv6/conf/all/forwarding", "1", true},
                  {"ipv6/icmp/ratelimit", "0", true}};
  for (size_t i = 0; i < countof(settings); i++)
    if ((numbers->v6 || !settings[i].v6) && !namespace_set(settings[i].name, settings[i].value, failure)) return false;
  if (numbers->v6 || namespace_get("ipv6/conf/all/disable_ipv6") < 0) return true;
  return namespace_set("ipv6/conf/all/disable_ipv6", "1", failure) &&
         namespace_set("ipv6/conf/default/disable_ipv6", "1", failure);
}

static void add_family(struct batch *batch, unsigned uplink, const struct net_address *own,
                       const struct net_address *gateway, const struct net_address *all) {
  struct net_address any = net_any(own->family);
  link_add_address(batch, uplink, own);
  link_add_neighbour(batch, uplink, gateway, (const uint8_t[])LINK_HARDWARE);
  link_add_route(batch, uplink, &any, gateway, false);
  /* What no sandbox has goes nowhere, and not back to the host. */
  link_add_blackhole(batch, all);
}

static bool configure_router(const struct making *making, struct failure *failure) {
  const struct numbers *numbers = &making->numbers;
  struct link_info uplink;
  if (!link_find(making->router_links, NET_UPLINK, &uplink, failure)) return false;
  struct batch batch = batch_on(making->router_links);
  struct net_address resolver = net_resolver();
  struct net_address own4 = net_router4(numbers);
  struct net_address host4 = net_host4(numbers);
  struct net_address all4 = net_block4(numbers);
  /* On the loopback interface, so that it tells the block even to one who finds the uplink gone. */
  struct net_address mark = {.family = AF_INET, .prefix = 32};
  memcpy(mark.bytes, all4.bytes, sizeof mark.bytes);
  link_set_up(&batch, LOOPBACK_INDEX);
  link_add_address(&batch, LOOPBACK_INDEX, &resolver);
  link_add_address(&batch, LOOPBACK_INDEX, &mark);
  link_set_up(&batch, uplink.index);
  add_family(&batch, uplink.index, &own4, &host4, &all4);
  if (numbers->v6) {
    struct net_address own6 = net_router6(numbers);
    struct net_address host6 = net_host6(numbers);
    struct net_address all6 = net_block6(numbers);
    add_family(&batch, uplink.index, &own6, &host6, &all6);
  }
  return batch_send(&batch, failure);
}

static void consider_mark(void *context, unsigned index, const struct net_address *address) {
  int *block = context;
  if (index == LOOPBACK_INDEX && *block < 0) *block = net_block_of(address);
}

/* Opens every slot again that has an interface: nothing is allowed in them until the server says so. */
struct reopening {
  const struct making *making;
  struct rules *rules;
  struct failure *failure;
};

static void reopen_slot(void *context, const struct link_info *link) {
  const struct reopening *reopening = context;
  const struct numbers *numbers = &reopening->making->numbers;
  int slot = net_slot_of(link->index);
  if (slot < 0 || reopening->failure->error) return;
  struct net_address own4 = net_sandbox4(numbers, (unsigned)slot);
  struct net_address own6 = net_sandbox6(numbers, (unsigned)slot);
  (void)(table_add_block((unsigned)slot / TABLE_BLOCK, reopening->failure) &&
         slot_open(reopening->rules, (unsigned)slot, own4.bytes, numbers->v6 ? own6.bytes : NULL, 0,
                   reopening->failure));
}

static bool load_table(const struct making *making, const struct router_settings *settings, struct failure *failure) {
  const struct numbers *numbers = &making->numbers;
  struct net_address addresses[] = {net_host4(numbers), net_router4(numbers), net_host6(numbers),
                                    net_router6(numbers)};
  struct table_plan plan = {.ipv6 = numbers->v6};
  memcpy(plan.host4, addresses[0].bytes, sizeof plan.host4);
  memcpy(plan.self4, addresses[1].bytes, sizeof plan.self4);
  memcpy(plan.host6, addresses[2].bytes, sizeof plan.host6);
  memcpy(plan.self6, addresses[3].bytes, sizeof plan.self6);
  bool fresh = false;
  struct rules rules;
  if (!table_load(&plan, &fresh, failure) || !rules_open(&rules, failure)) return false;
  struct reopening reopening = {.making = making, .rules = &rules, .failure = failure};
  bool ok = (!settings || rules_settings(&rules, &settings->permit4, &settings->permit6, &settings->host4,
                                         &settings->host6, failure)) &&
            (!fresh || links_visit(making->router_links, reopen_slot, &reopening, failure));
  rules_close(&rules);
  return ok && failure->error == 0;
}

/* Whoever is in between these lines finds a router that refuses everything. */
static bool make(struct making *making, const struct router_settings *settings, struct failure *failure) {
  const struct host *host = making->host;
  int block = -1;
  bool v6 = uplink_v6();
  making->numbers.v6 = v6;
  making->host_links = route_socket(failure);
  if (making->host_links < 0 || !namespace_enter(making->namespace, failure)) return false;
  making->router_links = route_socket(failure);
  if (making->router_links < 0 || !settle_router(&making->numbers, failure) ||
      !addresses_visit(making->router_links, consider_mark, &block, failure) ||
      !namespace_enter(host->network_namespace, failure))
    return false;
  if (!uplink_find(host, making->host_links, making->namespace, &making->numbers) &&
      !uplink_make(host, making->host_links, making->namespace, block, &making->numbers, failure))
    return false;
  making->numbers.v6 = v6;
  return uplink_complete(host, making->host_links, &making->numbers, failure) &&
         uplink_guard(host, &making->numbers, failure) && namespace_enter(making->namespace, failure) &&
         configure_router(making, failure) && load_table(making, settings, failure) &&
         uplink_await(host, making->host_links, failure);
}

/* What this launcher holds has the last word; else what a process holds. */
static bool find_or_hold(const struct host *host, const struct holder *known, struct holder *out,
                         struct failure *failure) {
  *out = known->namespace >= 0 ? *known : holder_find(host);
  if (out->namespace < 0 || !out->pid) return holder_make(host, out->namespace, out, failure);
  return holder_remember(host, out->pid, failure);
}

bool operation_network(const struct host *host, const struct holder *known, const struct router_settings *settings,
                       struct writer *reply, struct failure *failure) {
  struct holder holder;
  char text[INET6_ADDRSTRLEN];
  if (!find_or_hold(host, known, &holder, failure)) return false;
  struct making making = {.host = host, .namespace = holder.namespace};
  if (!make(&making, settings, failure)) {
    struct failure ignored = {0};
    if (holder.made && known->namespace < 0 && namespace_enter(host->network_namespace, &ignored))
      router_remove(host, &holder, &ignored);
    return false;
  }
  struct net_address host4 = net_host4(&making.numbers);
  struct net_address host6 = net_host6(&making.numbers);
  writer_u64(reply, TAG_PID, (uint64_t)holder.pid);
  writer_string(reply, TAG_ADDRESS4, net_address_text(&host4, text));
  if (making.numbers.v6) writer_string(reply, TAG_ADDRESS6, net_address_text(&host6, text));
  return true;
}

bool operation_block(int namespace, unsigned block, struct failure *failure) {
  return namespace_enter(namespace, failure) && table_add_block(block, failure);
}

bool router_traces(const struct host *host) { return faccessat(host->run, "router", F_OK, AT_SYMLINK_NOFOLLOW) == 0; }

bool router_remove(const struct host *host, const struct holder *known, struct failure *failure) {
  struct holder holder = known->pid ? *known : holder_find(host);
  cleanup_fd int host_links = route_socket(failure);
  bool removed = host_links >= 0 && uplink_remove(host, host_links, failure);
  if (holder.pid) holder_end(host, &holder);
  (void)unlinkat(host->run, "router", 0);
  return removed;
}

bool router_try(struct failure *failure) {
  struct numbers numbers = {0};
  struct link_info link;
  if (unshare(CLONE_NEWNET) < 0) return fail(failure, errno, "network namespace", "%s", strerror(errno));
  cleanup_fd int namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  cleanup_fd int links = route_socket(failure);
  if (links < 0) return false;
  struct batch batch = batch_on(links);
  link_add_veth(&batch, &(struct veth){.name = NET_UPLINK, .peer_name = NET_INNER, .peer_namespace = namespace});
  if (!batch_send(&batch, failure) || !link_find(links, NET_UPLINK, &link, failure)) return false;
  link_limit_rate(&batch, link.index, 1 << 20);
  struct net_address host4 = net_host4(&numbers);
  struct net_address self4 = net_router4(&numbers);
  struct table_plan plan = {0};
  memcpy(plan.host4, host4.bytes, sizeof plan.host4);
  memcpy(plan.self4, self4.bytes, sizeof plan.self4);
  bool fresh;
  return batch_send(&batch, failure) && settle_router(&numbers, failure) && table_load(&plan, &fresh, failure);
}
