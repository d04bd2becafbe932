/* Dumps: the processes of a sandbox as files, in `dumps/<name>`. */
#ifndef CAISSON_LAUNCHER_DUMP_H
#define CAISSON_LAUNCHER_DUMP_H

#include "host.h"

/* Beside criu's images: addresses that the sandbox had, and the agent that ran in it. */
#define DUMP_ADDRESSES "addresses"
#define DUMP_AGENT "agent"

/*
 * Removes what an earlier launcher's worker has left half made, by a dump or by a start from one; criu is over by then, for it
 * holds the workers' lock as long as a dump takes, and is in the group of the sandbox that it starts.
 */
bool dumps_recover(const struct host *host, struct failure *failure);
/* Remembers that a sandbox is being started from a dump, so that nobody takes half of it for a sandbox. */
bool dump_begin_start(const struct host *host, const char *id, struct failure *failure);
/* That is over: it runs, or nothing of it is left. Nothing to do for others. */
bool dump_end_start(const struct host *host, const char *id, struct failure *failure);
/* Lets a sandbox go on; its agent listens again if it had given up its socket. */
bool sandbox_thaw(const struct host *host, const char *id, int pidfd, struct failure *failure);

#endif
