/* The privileged operations. Each runs in a worker of its own and may block. */
#ifndef CAISSON_LAUNCHER_OPERATIONS_H
#define CAISSON_LAUNCHER_OPERATIONS_H

#include "../shared/frame.h"
#include "host.h"
#include "plan.h"

/* What a request about the pool, a root or a dump names; what it does not name is empty. */
struct pool_request {
  char id[LAUNCHER_MAX_ID + 1];
  char save[LAUNCHER_MAX_ID + 1];
  char from[LAUNCHER_MAX_ID + 1];
  char dump[LAUNCHER_MAX_ID + 1];
  char volume[LAUNCHER_MAX_ID + 1];
  char path[LAUNCHER_MAX_PATH + 1];
  uint64_t quota;
  uint64_t max;
  uint64_t opaque;
  uint64_t end;
};

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
/* Adds the ABILITY to freeze and that to make dumps, which are known without trying. */
void check_memory(const struct host *host, struct writer *reply);

/* Opens the pool in the launcher's mount namespace, makes it when it is missing, and describes it in the reply. */
bool operation_pool(const struct host *host, uint64_t max, struct writer *reply, struct failure *failure);
/* Lets the pool's file grow by a step, at most to `max`. */
bool operation_grow(const struct host *host, uint64_t max, struct failure *failure);
bool operation_make_root(const struct host *host, const struct pool_request *request, struct failure *failure);
bool operation_replace_root(const struct host *host, const struct pool_request *request, struct failure *failure);
bool operation_save(const struct host *host, const struct pool_request *request, struct failure *failure);
bool operation_remove_from_pool(const struct host *host, const struct pool_request *request, struct failure *failure);
bool operation_keep_only(const struct host *host, const struct pool_request *request, struct failure *failure);
bool operation_make_volume(const struct host *host, const struct pool_request *request, struct failure *failure);
/* Adds an ENTRY frame per root, save, volume and dump. */
bool operation_list_pool(const struct host *host, uint32_t stream, struct writer *reply, struct failure *failure);
/* Writes a frozen sandbox's processes to a dump and adds BYTES to the reply. A failure leaves it frozen as it was. */
bool operation_dump(const struct host *host, const struct pool_request *request, struct writer *reply,
                    struct failure *failure);
bool operation_thaw(const struct host *host, const char *id, struct failure *failure);
bool operation_measure(const struct host *host, const struct pool_request *request, struct writer *reply,
                       struct failure *failure);

#endif
