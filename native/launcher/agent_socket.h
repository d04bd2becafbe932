/* The socket of a sandbox's agent, descriptor 3 of its init: made for a start, given up for a dump, made again after it. */
#ifndef CAISSON_LAUNCHER_AGENT_SOCKET_H
#define CAISSON_LAUNCHER_AGENT_SOCKET_H

#include "host.h"

enum { AGENT_FD = 3 };

/* A socket that listens at run/<id>.sock, where the server alone may connect. With a failure, -1 or not listening. */
int agent_socket_listen(const struct host *host, const char *id, struct failure *failure);
/*
 * Has the agent, which must run, exchange its socket for one that it made itself. The first was made outside the sandbox's
 * network namespace, where nothing that puts processes on disk finds it. Nothing to do for one that has done so.
 */
bool agent_socket_give_up(int pidfd, struct failure *failure);
/* Lets the agent listen again, from its next instruction on. Nothing to do for one that listens. */
bool agent_socket_mend(const struct host *host, const char *id, int pidfd, struct failure *failure);

#endif
