/* A start whose processes come from a dump. */
#ifndef CAISSON_LAUNCHER_RESTORE_H
#define CAISSON_LAUNCHER_RESTORE_H

#include "mounts.h"

/* Processes of criu's own that stand beside those of the sandbox for a moment. */
enum { RESTORE_PIDS = 32 };

/* Opens the dump of the plan, as a mount that is attached nowhere. -1 with a failure. */
int restore_open(const struct host *host, const struct plan *plan, struct failure *failure);
/* In the staging directory: makes ready what the dump needs, its own agent instead of ours among it. */
bool restore_prepare(const struct host *host, const struct plan *plan, int dump, struct layers *layers,
                     struct failure *failure);
/* Brings the processes back, in the groups of the sandbox; the pid of its init is in bundle/pid then. */
bool restore_run(const struct host *host, const struct plan *plan, int dump, struct failure *failure);
/* Lets the agent of this init listen, and takes away what only the restore needed. */
bool restore_finish(const struct host *host, const struct plan *plan, int dump, pid_t pid, struct failure *failure);

#endif
