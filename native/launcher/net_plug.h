/* The interface of one sandbox: made and taken away in a worker. */
#ifndef CAISSON_LAUNCHER_NET_PLUG_H
#define CAISSON_LAUNCHER_NET_PLUG_H

#include "../shared/frame.h"
#include "host.h"
#include "launcher.gen.h"
#include "net_numbers.h"

struct plug {
  char id[LAUNCHER_MAX_ID + 1];
  unsigned slot;
  struct numbers numbers;
  /* The router's namespace. */
  int router;
  /* The sandbox's init, held by its pidfd. */
  pid_t pid;
  int pidfd;
  /* Bytes per second, connections; 0: no limit. */
  uint64_t upload;
  uint64_t download;
  uint64_t connections;
};

/* Joins the sandbox to the router and adds its addresses to the reply; on one that is joined only the limits are set.
   The slot refuses everything until it has rules. A failure leaves no interface. */
bool operation_plug(const struct host *host, const struct plug *plug, struct writer *reply, struct failure *failure);
/* Takes the slot's interface away, with all that was allowed in it. */
bool operation_unplug(const struct plug *plug, struct failure *failure);
/* Adds the addresses of a slot as fields. */
void write_addresses(struct writer *reply, const struct numbers *numbers, unsigned slot);

#endif
