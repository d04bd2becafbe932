/* Control groups on v1, v2 and hybrid hosts. Everything lives in `caisson-<instance>/<sandbox id>` of each hierarchy. */
#ifndef CAISSON_LAUNCHER_CGROUP_H
#define CAISSON_LAUNCHER_CGROUP_H

#include "util.h"

enum controller {
  CONTROLLER_MEMORY = 1,
  CONTROLLER_CPU = 2,
  CONTROLLER_PIDS = 4,
  CONTROLLER_CPUACCT = 8,
  /* v2 has it in every group. */
  CONTROLLER_FREEZER = 16
};

struct hierarchy {
  /* The instance's directory. */
  char path[512];
  int dir;
  /* The directory that holds it. */
  int mount;
  unsigned controllers;
  bool v2;
};

struct cgroups {
  /* The first one limits pids; it is made first and removed last, so that it names every sandbox that left anything. */
  struct hierarchy list[6];
  size_t count;
  /* Where a v2 tree stands beside v1 controllers; empty otherwise. crun 1.8 refuses such hosts when it sees it. */
  char hybrid_mount[512];
};

struct limits {
  uint64_t memory_bytes;
  uint64_t cpu_millis;
  uint64_t pids;
};

const char *controller_name(enum controller controller);

/* Finds the hierarchies and makes the instance's directory in each. */
bool cgroups_open(struct cgroups *cgroups, const char *instance, struct failure *failure);
/* Removes the instance's directories, unless sandboxes are left in them. */
void cgroups_close(struct cgroups *cgroups);
/* Makes the directory of all sandboxes again where somebody has tidied it away, empty as it was. */
bool cgroups_ensure(struct cgroups *cgroups, struct failure *failure);
/* Makes a sandbox's groups with their limits. On failure the caller removes them. */
bool cgroups_create(const struct cgroups *cgroups, const char *id, const struct limits *limits,
                    struct failure *failure);
/* Gives a sandbox that runs other limits. */
bool cgroups_limit(const struct cgroups *cgroups, const char *id, const struct limits *limits, struct failure *failure);
/* Forks a child that is in the sandbox's v2 group from its first instruction; 0 in the child, -1 with errno. */
pid_t cgroups_fork(const struct cgroups *cgroups, const char *id);
/* Moves the calling process, which must have one thread, into the v1 groups. */
bool cgroups_join(const struct cgroups *cgroups, const char *id, struct failure *failure);
/* Kills what is in the groups and removes them. Nothing to do when they are absent. */
bool cgroups_remove(const struct cgroups *cgroups, const char *id, struct failure *failure);
typedef void (*pid_visitor)(pid_t pid, void *context);
/* Visits every process of the sandbox. */
void cgroups_each(const struct cgroups *cgroups, const char *id, pid_visitor visit, void *context);
/* The process of the group that is pid 1 of its own namespace; 0 when none is left. */
pid_t cgroups_find_init(const struct cgroups *cgroups, const char *id);
/* Whether a process is in the sandbox's group. */
bool cgroups_contains(const struct cgroups *cgroups, const char *id, pid_t pid);

#endif
