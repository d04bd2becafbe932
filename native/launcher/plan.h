/* A validated START request. */
#ifndef CAISSON_LAUNCHER_PLAN_H
#define CAISSON_LAUNCHER_PLAN_H

#include "../shared/frame.h"
#include "cgroup.h"
#include "launcher.gen.h"

/* A volume, and where the sandbox sees it. */
struct volume_mount {
  char volume[LAUNCHER_MAX_ID + 1];
  char path[LAUNCHER_MAX_PATH + 1];
  bool read_only;
};

struct plan {
  char id[LAUNCHER_MAX_ID + 1];
  char hostname[LAUNCHER_MAX_HOSTNAME + 1];
  uint32_t id_base;
  uint64_t root_kind;
  char lowers[LAUNCHER_MAX_LOWERS][LAUNCHER_MAX_PATH + 1];
  size_t lower_count;
  struct limits limits;
  struct volume_mount volumes[LAUNCHER_MAX_VOLUMES];
  size_t volume_count;
  /* Where its processes come from; empty: they begin. */
  char dump[LAUNCHER_MAX_ID + 1];
};

/* Fails with EINVAL: `what` is missing or not valid. */
bool request_refuse(struct failure *failure, const char *what);
/* A number of a field, when it lies between these, both included. */
bool field_in_range(const struct field *field, uint64_t least, uint64_t most, uint64_t *out);

bool plan_parse(const struct frame *frame, struct plan *plan, struct failure *failure);
/* Whether its root, one of its layers or a volume lies in the pool. */
bool plan_needs_pool(const struct plan *plan);
bool plan_has_volume(const struct plan *plan, const char *volume);
/* The one string field that DELETE, MAKE_DIRS and REMOVE_TREE have. */
bool parse_id(const struct frame *frame, char *id, struct failure *failure);
bool parse_tree(const struct frame *frame, char *path, struct failure *failure);

#endif
