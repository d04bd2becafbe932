#define _GNU_SOURCE 1
#include "network.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>

#include "net_list.h"
#include "net_namespace.h"
#include "net_table.h"
#include "net_uplink.h"

/* Fewer free slots than this, and a block is added before it is needed: it takes 40 ms. */
enum { SPARE_SLOTS = 24, SLOT_REST_USEC = 1000000 };

/* Sockets stay in the namespace in which they were made; this process does not. */
static bool open_sockets(struct network *network, struct failure *failure) {
  network->links = route_socket(failure);
  if (network->links < 0 || !rules_open(&network->rules, failure)) return false;
  network->packets = packets_open(failure);
  return network->packets >= 0;
}

static void let_go(struct network *network) {
  if (network->namespace < 0) return;
  close_fd(&network->namespace);
  close_fd(&network->links);
  close_fd(&network->packets);
  rules_close(&network->rules);
}

static bool enter_and_open(struct network *network, const struct host *host, struct failure *failure) {
  if (!namespace_enter(network->namespace, failure)) return false;
  bool opened = open_sockets(network, failure);
  /* In the wrong namespace nothing that follows could be trusted. */
  if (!namespace_enter(host->network_namespace, failure)) abort();
  return opened;
}

bool network_adopt(struct network *network, const struct host *host, pid_t holder, const struct numbers *numbers,
                   struct failure *failure) {
  int pidfd = pidfd_open(holder, 0);
  int namespace = pidfd < 0 ? -1 : namespace_of(holder, pidfd);
  if (namespace < 0) {
    close_fd(&pidfd);
    return fail(failure, ESRCH, "router", "its holder has ended");
  }
  close_fd(&network->holder);
  network->holder = pidfd;
  network->holder_pid = holder;
  network->numbers = *numbers;
  unsigned blocks = 0;
  if (network->namespace >= 0 && namespace_same(network->namespace, namespace)) {
    close_fd(&namespace);
  } else {
    let_go(network);
    network->namespace = namespace;
    network->rules.fd = -1;
    if (!enter_and_open(network, host, failure)) {
      let_go(network);
      return false;
    }
  }
  if (!rules_blocks(&network->rules, &blocks, failure)) return false;
  network->ready = blocks * TABLE_BLOCK < LAUNCHER_MAX_SLOTS ? blocks * TABLE_BLOCK : LAUNCHER_MAX_SLOTS;
  return true;
}

struct recovery {
  struct network *network;
  const struct sandboxes *sandboxes;
};

static void recover_slot(void *context, const struct link_info *link) {
  const struct recovery *recovery = context;
  struct network *network = recovery->network;
  int index = net_slot_of(link->index);
  if (index < 0) return;
  struct slot *slot = &network->slots[index];
  const struct sandbox *sandbox = id_valid(link->alias) ? sandboxes_find(recovery->sandboxes, link->alias) : NULL;
  slot->state = sandbox ? SLOT_PLUGGED : SLOT_UNPLUGGING;
  if (sandbox) memcpy(slot->id, sandbox->id, sizeof slot->id);
  if ((unsigned)index >= network->used) network->used = (unsigned)index + 1;
}

void network_recover(struct network *network, const struct host *host, const struct sandboxes *sandboxes) {
  struct failure failure = {0};
  struct numbers numbers;
  struct holder holder = holder_find(host);
  if (holder.namespace < 0) return;
  cleanup_fd int host_links = route_socket(&failure);
  bool whole = host_links >= 0 && uplink_find(host, host_links, holder.namespace, &numbers);
  close_fd(&holder.namespace);
  struct recovery recovery = {.network = network, .sandboxes = sandboxes};
  /* What is not whole is mended by the next NETWORK. */
  if (whole && network_adopt(network, host, holder.pid, &numbers, &failure))
    (void)links_visit(network->links, recover_slot, &recovery, &failure);
  if (failure.error) log_line("router: %s: %s", failure.step, failure.text);
}

int network_slot(const struct network *network, const char *id) {
  for (unsigned i = 0; i < network->used; i++)
    if (network->slots[i].state != SLOT_FREE && strcmp(network->slots[i].id, id) == 0) return (int)i;
  return -1;
}

/* The lowest one that has rested; else the lowest. */
static int choose_slot(const struct network *network) {
  uint64_t now = now_usec();
  int lowest = -1;
  for (unsigned i = 0; i < LAUNCHER_MAX_SLOTS && (i < network->ready || lowest < 0); i++) {
    const struct slot *slot = &network->slots[i];
    if (slot->state != SLOT_FREE) continue;
    if (lowest < 0) lowest = (int)i;
    if (i < network->ready && now - slot->freed_usec > SLOT_REST_USEC) return (int)i;
  }
  return lowest;
}

int network_take(struct network *network, const char *id) {
  int index = choose_slot(network);
  if (index < 0) return -1;
  struct slot *slot = &network->slots[index];
  slot->state = SLOT_PLUGGING;
  memcpy(slot->id, id, strlen(id) + 1);
  if ((unsigned)index >= network->used) network->used = (unsigned)index + 1;
  return index;
}

void network_free(struct network *network, unsigned slot) {
  network->slots[slot] = (struct slot){.state = SLOT_FREE, .freed_usec = now_usec()};
}

static unsigned count_used(const struct network *network) {
  unsigned count = 0;
  for (unsigned i = 0; i < network->used; i++) count += network->slots[i].state != SLOT_FREE;
  return count;
}

bool network_short(const struct network *network) {
  return network->ready < LAUNCHER_MAX_SLOTS && count_used(network) + SPARE_SLOTS > network->ready;
}

bool network_in_use(const struct network *network) {
  for (unsigned i = 0; i < network->used; i++)
    if (network->slots[i].state == SLOT_PLUGGING || network->slots[i].state == SLOT_PLUGGED) return true;
  return false;
}
