/* The storage pool: a btrfs in a file, which the launcher alone mounts, or a directory of the data directory's own. */
#ifndef CAISSON_LAUNCHER_POOL_H
#define CAISSON_LAUNCHER_POOL_H

#include "launcher.gen.h"
#include "util.h"

struct host;

enum pool_kind { POOL_CLOSED, POOL_FILE, POOL_FILESYSTEM };

struct pool {
  enum pool_kind kind;
  /* Open for ioctls; -1 while it is closed. */
  int dir;
  /* Beneath it `sandboxes/<id>` and `saves/<save>`, each a subvolume with `upper` and `work`. */
  int roots;
  int saves;
  /* `volumes/<volume>`, each a subvolume that is what sandboxes see. */
  int volumes;
};

/* "new-<id>": what is being made, or was exchanged and is to go. No id has a hyphen. */
enum { POOL_UNFINISHED_SIZE = LAUNCHER_MAX_ID + 8 };
void pool_unfinished(char *out, const char *id);
/* Removes a subvolume; nothing to do when absent. False with errno. */
bool pool_destroy(int parent, const char *name);

/* A pool smaller than this cannot be made. */
static const uint64_t POOL_MIN_BYTES = (uint64_t)256 << 20;

/* Takes hold of the pool that a worker has opened. */
bool pool_adopt(struct host *host, enum pool_kind kind, struct failure *failure);
/* Whether this data directory has a pool, open or not. */
bool pool_exists(const struct host *host);
/* Whether the pool is a file that should grow now. */
bool pool_short(const struct pool *pool, uint64_t max);

#endif
