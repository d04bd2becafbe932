/* Volumes: directories of the pool that any number of sandboxes have mounted at once. */
#ifndef CAISSON_LAUNCHER_VOLUMES_H
#define CAISSON_LAUNCHER_VOLUMES_H

#include "host.h"

struct plan;
struct layers;

/* Whether a sandbox may have a volume there: an absolute path that covers nothing which it needs itself. */
bool volume_target_valid(const char *path);
/* Clones the volumes of the plan as mounts with the ids of its sandbox. */
bool volumes_open(const struct host *host, const struct plan *plan, int user_namespace, struct layers *layers,
                  struct failure *failure);
/* Puts them into the staging directory. */
bool volumes_place(const struct layers *layers, struct failure *failure);
/* Makes in the root at root the directories that they will cover. */
bool volumes_make_targets(const struct plan *plan, struct failure *failure);
/* Where the n-th is, relative to the staging directory. */
void volume_source(char *out, size_t size, size_t index);
/* Whether a process sees a mount of this volume; NULL: of any. */
bool volume_is_mounted(pid_t pid, const char *volume);

#endif
