/* The root file system of one sandbox: idmapped layers, the overlay over them, in a mount namespace of its own. */
#ifndef CAISSON_LAUNCHER_MOUNTS_H
#define CAISSON_LAUNCHER_MOUNTS_H

#include "host.h"
#include "plan.h"

/* Detached mounts, made before the worker leaves the host's mount namespace. */
struct layers {
  int lowers[LAUNCHER_MAX_LOWERS];
  size_t lower_count;
  /* The directory with `upper` and `work`, or, without lowers, the root itself. */
  int own;
  int agent;
  int volumes[LAUNCHER_MAX_VOLUMES];
  size_t volume_count;
};

/* A user namespace that maps 0… to `id_base`…, held by the descriptor alone. -1 with errno. */
int user_namespace(uint32_t id_base);
/* A detached, idmapped clone of the directory `dir`, without devices, and with these MOUNT_ATTRs. -1 with errno. */
int clone_idmapped(int dir, int user_namespace, uint64_t attributes);
/* Opens and idmaps what the plan names. Descriptors are the worker's, which is short-lived: nothing closes them. */
bool layers_open(const struct host *host, const struct plan *plan, struct layers *layers, struct failure *failure);
/* Leaves the host's mount namespace, mounts the staging tmpfs and makes it the working directory. */
bool mounts_enter(const struct host *host, struct failure *failure);
/* Attaches a detached mount to a directory that this makes in the staging directory. */
bool mounts_attach_directory(int tree, const char *target, struct failure *failure);
/* Makes files as container root does until it is called with 0. */
bool mounts_act_as(uint32_t id, struct failure *failure);
/* Mounts the root at root, the agent at agent and the volumes beside them, in the staging directory. */
bool mounts_assemble(const struct plan *plan, const struct layers *layers, struct failure *failure);
/* Mounts the overlay of the layers at root, in the staging directory, and makes sure that it can be written. */
bool mounts_overlay(const struct plan *plan, const struct layers *layers, struct failure *failure);
/* Writes /etc/hostname, hosts, resolv.conf and machine-id into the root, anew at each start. */
bool mounts_write_names(const struct plan *plan, struct failure *failure);

#endif
