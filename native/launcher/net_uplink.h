/* The host's side of a router: the pair that joins them, the route, the host's own table. */
#ifndef CAISSON_LAUNCHER_NET_UPLINK_H
#define CAISSON_LAUNCHER_NET_UPLINK_H

#include "host.h"
#include "net_numbers.h"

/* An uplink that is whole and leads to this router; false when there is none. `host_links`: a route socket. */
bool uplink_find(const struct host *host, int host_links, int router, struct numbers *out);
/* Makes it anew, with the block `preferred` or, for -1, the first that no route of the host covers; `numbers->block`
   becomes that. What was there under its name is removed. */
bool uplink_make(const struct host *host, int host_links, int router, int preferred, struct numbers *numbers,
                 struct failure *failure);
/* Gives the host's end its IPv6, when there is any, and what is missing. */
bool uplink_complete(const struct host *host, int host_links, const struct numbers *numbers,
                     struct failure *failure);
/* Waits until it takes packets, which it does once both ends are up. */
bool uplink_await(const struct host *host, int host_links, struct failure *failure);
/* Lets the host forward, and loads its table: what comes over the uplink reaches three doors of the host, and nothing
   new goes to it. The caller is in the host's network namespace. */
bool uplink_guard(const struct host *host, const struct numbers *numbers, struct failure *failure);
/* Removes the pair and the table. */
bool uplink_remove(const struct host *host, int host_links, struct failure *failure);
/* Whether this host forwards IPv6 already: it is never made to, because it would stop to hear its own router. */
bool uplink_v6(void);

#endif
