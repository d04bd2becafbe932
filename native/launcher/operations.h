/* The privileged operations. Each runs in a worker of its own and may block. */
#ifndef CAISSON_LAUNCHER_OPERATIONS_H
#define CAISSON_LAUNCHER_OPERATIONS_H

#include "../shared/frame.h"
#include "host.h"
#include "plan.h"

/* Starts a sandbox and adds PID, START_TIME and STAGEs to the reply. A failure leaves nothing behind. */
bool operation_start(const struct host *host, const struct plan *plan, struct writer *reply,
                     struct failure *failure);
/* Removes what a sandbox has on the host besides its files; its processes are killed if any are left. */
bool operation_clean(const struct host *host, const char *id, struct failure *failure);
bool operation_make_dirs(const struct host *host, const char *id, struct failure *failure);
/* Moves the tree out of the way. `*name` is its name in trash/, empty when there was nothing to move. */
bool operation_discard(const struct host *host, const char *path, char *name, size_t size, struct failure *failure);
/* Deletes `path` beneath trash/, or all of it for "trash". */
bool operation_delete_tree(const struct host *host, const char *path, struct failure *failure);
/* Tries what sandboxes need and adds an ABILITY per thing. */
void operation_check(const struct host *host, struct writer *reply);

#endif
