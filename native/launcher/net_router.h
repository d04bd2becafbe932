/* The router: a network namespace of this instance's that all of its sandboxes' interfaces end in. */
#ifndef CAISSON_LAUNCHER_NET_ROUTER_H
#define CAISSON_LAUNCHER_NET_ROUTER_H

#include "../shared/frame.h"
#include "host.h"
#include "net_namespace.h"
#include "net_numbers.h"
#include "net_rules.h"

/* What only the host knows. */
struct router_settings {
  struct ranges permit4, permit6;
  struct ranges host4, host6;
};

bool router_settings_parse(const struct frame *frame, struct router_settings *out, struct failure *failure);
void router_settings_free(struct router_settings *settings);

/* Makes the router, or mends what is missing of one, and puts the settings in force; NULL: those that are. `known` is what this
   launcher holds: a namespace, or -1, and its holder, or 0. Adds the uplink's addresses and the holder's PID to the reply. A failure leaves nothing
   that was not there. For a worker. */
bool operation_network(const struct host *host, const struct holder *known, const struct router_settings *settings,
                       struct writer *reply, struct failure *failure);
/* Makes room for a block of slots. For a worker. */
bool operation_block(int namespace, unsigned block, struct failure *failure);
/* Removes the router and what it has on the host. `known` as above. */
bool router_remove(const struct host *host, const struct holder *known, struct failure *failure);
/* Whether there may be a router, or rests of one. */
bool router_traces(const struct host *host);
/* Tries on namespaces of the caller's own, which are never the host's again, what networks need. */
bool router_try(struct failure *failure);

#endif
