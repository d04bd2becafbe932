/* The launcher's own view of its router: descriptors into it, and which sandbox has which slot. */
#ifndef CAISSON_LAUNCHER_NETWORK_H
#define CAISSON_LAUNCHER_NETWORK_H

#include "host.h"
#include "launcher.gen.h"
#include "net_numbers.h"
#include "net_packets.h"
#include "net_rules.h"
#include "sandboxes.h"

struct slot {
  enum { SLOT_FREE, SLOT_PLUGGING, SLOT_PLUGGED, SLOT_UNPLUGGING } state;
  char id[LAUNCHER_MAX_ID + 1];
  /* When it became free: the kernel needs a moment to forget an interface. */
  uint64_t freed_usec;
};

struct network {
  /* -1: there is no router. */
  int namespace;
  /* The holder of the namespace by its pidfd, -1 when it has ended; and its pid, 0 then. */
  int holder;
  pid_t holder_pid;
  /* A route socket, and others, in the router. */
  int links;
  int packets;
  struct rules rules;
  struct numbers numbers;
  /* Slots that the table has room for. */
  unsigned ready;
  /* A block is being added. */
  bool growing;
  struct slot slots[LAUNCHER_MAX_SLOTS];
  /* No slot from here on was ever used. */
  unsigned used;
};

/* Takes hold of the router whose namespace this process holds. */
bool network_adopt(struct network *network, const struct host *host, pid_t holder, const struct numbers *numbers,
                   struct failure *failure);
/* Finds what an earlier launcher has left: the router, and the slots of sandboxes that run. Slots of others are marked
   as being unplugged, which is the caller's to do. */
void network_recover(struct network *network, const struct host *host, const struct sandboxes *sandboxes);
/* The slot of a sandbox, whatever its state; -1 when it has none. */
int network_slot(const struct network *network, const char *id);
/* Gives the sandbox the best free slot; -1 when there is none. */
int network_take(struct network *network, const char *id);
void network_free(struct network *network, unsigned slot);
/* Whether so few slots are ready and free that a block should be added. */
bool network_short(const struct network *network);
bool network_in_use(const struct network *network);

#endif
