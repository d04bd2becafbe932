/* What the launcher holds of the host since its start: every later path begins at one of these descriptors. */
#ifndef CAISSON_LAUNCHER_HOST_H
#define CAISSON_LAUNCHER_HOST_H

#include "cgroup.h"
#include "pool.h"
#include "util.h"

struct host {
  const char *socket_path;
  const char *data_dir;
  /* Stands for "images" in the paths of layers: several data directories may share one. */
  const char *images_dir;
  const char *agent_path;
  const char *crun_path;
  /* NULL: there is none. */
  const char *criu_path;
  const char *seccomp_path;
  const char *instance;
  /* Owner of the server process: may connect, and owns the sockets. */
  uid_t allow_uid;

  /* Where the launcher was started: the host's, whatever namespaces a part of it enters. */
  int mount_namespace;
  int network_namespace;
  int data;
  int images;
  int run;
  int sandboxes;
  int trash;
  int dumps;
  /* Why processes cannot be put on disk, in half a sentence; empty: they can. */
  char no_dumps[128];
  /* Held while workers, and what they run that outlives them, are at work. */
  int work_lock;
  struct pool pool;
  /* A copy of the agent in a tmpfs of the launcher's, so that a sandbox's mount table names no path of the host. */
  int agent;
  /* An existing directory, reachable by every user, over which the launcher and each start mount a tmpfs of their own,
     unseen by the host. */
  const char *staging;
  /* Base64 of the compiled seccomp filter. */
  struct text seccomp;
  struct cgroups cgroups;
};

/* Leaves the host's mount namespace, opens what `host` names and makes the directories that are missing. */
bool host_open(struct host *host, struct failure *failure);

/* [a-z0-9_]{1,64} */
bool id_valid(const char *id);
/* One to 63 letters, digits and inner hyphens. */
bool hostname_valid(const char *name);
/* Relative, and no part is empty, "." or "..". */
bool path_valid(const char *path);
/* True when `path` is `directory` or beneath it, by its parts. */
bool path_beneath(const char *path, const char *directory);
/* Opens a path beneath `dir` that crosses no symbolic link; O_CLOEXEC is added. */
int open_beneath(int dir, const char *path, int flags, uint64_t resolve);

#endif
