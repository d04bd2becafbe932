/* Which program of a sandbox holds a socket: for people who read why something was refused. */
#ifndef CAISSON_LAUNCHER_NET_OWNER_H
#define CAISSON_LAUNCHER_NET_OWNER_H

#include "../shared/frame.h"
#include "cgroup.h"

/* Finds who holds the socket with this local port and adds PID (as the sandbox counts) and COMMAND to the reply; adds
   nothing when nobody does, or not any more. `protocol` is 6 (TCP) or 17 (UDP). Reads only what the kernel says. */
bool operation_owner(const struct cgroups *cgroups, const char *id, uint64_t protocol, uint64_t port,
                     struct writer *reply, struct failure *failure);

#endif
