/* The sandboxes of this data directory: a cache of what the kernel says, rebuilt from the cgroups at a start. */
#ifndef CAISSON_LAUNCHER_SANDBOXES_H
#define CAISSON_LAUNCHER_SANDBOXES_H

#include "cgroup.h"
#include "launcher.gen.h"

/* A connection's request; `connection` is a serial number, so that a later connection cannot get the answer. */
struct origin {
  uint64_t connection;
  uint32_t stream;
};

struct sandbox {
  struct sandbox *next;
  char id[LAUNCHER_MAX_ID + 1];
  int state;
  pid_t pid;
  uint64_t start_time;
  /* -1 unless it runs. Signals go through it, so that no other process can be hit. */
  int pidfd;
  bool status_known;
  int wait_status;
  /* DELETE requests that wait for its end. */
  struct origin *waiters;
  size_t waiter_count;
  bool delete_wanted;
  bool cleaning;
  /* Its processes are being put on disk, and their end is not one of the sandbox. */
  bool dumping;
};

struct sandboxes {
  struct sandbox *first;
  size_t count;
};

struct sandbox *sandboxes_find(const struct sandboxes *sandboxes, const char *id);
/* NULL when memory runs out. */
struct sandbox *sandboxes_add(struct sandboxes *sandboxes, const char *id, int state);
void sandboxes_drop(struct sandboxes *sandboxes, struct sandbox *sandbox);
/* Finds what an earlier launcher has started, by its cgroups. */
bool sandboxes_recover(struct sandboxes *sandboxes, const struct cgroups *cgroups, struct failure *failure);

/* Takes over a started init; one that is gone already is marked as ended. */
void sandbox_started(struct sandbox *sandbox, pid_t pid, uint64_t start_time);
void sandbox_kill(struct sandbox *sandbox);
/* After its pidfd has become readable: collects the status. */
void sandbox_ended(struct sandbox *sandbox);
bool sandbox_add_waiter(struct sandbox *sandbox, struct origin origin);

#endif
