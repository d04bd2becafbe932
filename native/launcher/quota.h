/* The limit of a root in the pool. The file system's own is lifted now and then, so what is wanted is kept beside it. */
#ifndef CAISSON_LAUNCHER_QUOTA_H
#define CAISSON_LAUNCHER_QUOTA_H

#include "pool.h"

/* Refuses a limit that the file system would not keep; 0 is none. */
bool quota_kept(const struct pool *pool, uint64_t bytes, struct failure *failure);
/* Sets the limit of a new root; 0 is none, whatever the save it was copied from had. False with errno. */
bool quota_set(int root, uint64_t bytes);
/* A root may be full to its last byte, and could not be mounted or cleared then: this gives a little room for what the
   launcher itself does. `root` is -1 afterwards when there is nothing to end. */
void quota_lift(const struct pool *pool, const char *id, int *root);
/* Ends that, and closes `root`. Safe to repeat. */
void quota_settle(int *root);
#define cleanup_quota __attribute__((cleanup(quota_settle)))

#endif
