#define _GNU_SOURCE 1
#include "freezer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* A process that waits for a disk stops when the disk has answered. */
enum { FREEZE_TIMEOUT_USEC = 10000000, PAUSE_USEC = 2000, PATIENCE_MSEC = 100 };

const struct hierarchy *freezer_find(const struct cgroups *cgroups) {
  for (size_t i = 0; i < cgroups->count; i++)
    if (cgroups->list[i].controllers & CONTROLLER_FREEZER) return &cgroups->list[i];
  return NULL;
}

static int open_group(const struct hierarchy *hierarchy, const char *id) {
  return openat(hierarchy->dir, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static bool set(const struct hierarchy *hierarchy, int group, bool frozen) {
  if (hierarchy->v2) return write_file_at(group, "cgroup.freeze", frozen ? "1" : "0");
  return write_file_at(group, "freezer.state", frozen ? "FROZEN" : "THAWED");
}

static bool is_frozen(const struct hierarchy *hierarchy, int group) {
  char text[256];
  if (read_file_at(group, hierarchy->v2 ? "cgroup.events" : "freezer.state", text, sizeof text) < 0) return false;
  return hierarchy->v2 ? strstr(text, "frozen 1") != NULL : strcmp(text, "FROZEN\n") == 0;
}

/* v2 tells when its state changes. v1 wants to be asked, and told again while processes are being made. */
static void wait_for_change(const struct hierarchy *hierarchy, int group, int events) {
  if (hierarchy->v2) {
    char text[256];
    struct pollfd change = {.fd = events, .events = POLLPRI};
    /* Reading is what arms the next notice. */
    if (pread(events, text, sizeof text, 0) >= 0 && !is_frozen(hierarchy, group)) poll(&change, 1, PATIENCE_MSEC);
    return;
  }
  nanosleep(&(struct timespec){.tv_nsec = PAUSE_USEC * 1000}, NULL);
  (void)set(hierarchy, group, true);
}

static bool broken(struct failure *failure, const char *step, const char *id) {
  return fail(failure, errno, step, "%s: %s", id, strerror(errno));
}

bool freezer_freeze(const struct cgroups *cgroups, const char *id, struct failure *failure) {
  const struct hierarchy *hierarchy = freezer_find(cgroups);
  if (!hierarchy) return fail(failure, ENOTSUP, "freeze", "no control group of this host has a freezer");
  cleanup_fd int group = open_group(hierarchy, id);
  cleanup_fd int events = group < 0 || !hierarchy->v2 ? -1 : openat(group, "cgroup.events", O_RDONLY | O_CLOEXEC);
  if (group < 0 || !set(hierarchy, group, true)) return broken(failure, "freeze", id);
  uint64_t until = now_usec() + FREEZE_TIMEOUT_USEC;
  while (!is_frozen(hierarchy, group)) {
    if (now_usec() > until) {
      (void)set(hierarchy, group, false);
      return fail(failure, ETIMEDOUT, "freeze", "%s has processes that cannot be stopped", id);
    }
    wait_for_change(hierarchy, group, events);
  }
  return true;
}

bool freezer_thaw(const struct cgroups *cgroups, const char *id, struct failure *failure) {
  const struct hierarchy *hierarchy = freezer_find(cgroups);
  if (!hierarchy) return true;
  cleanup_fd int group = open_group(hierarchy, id);
  if (group < 0) return errno == ENOENT || broken(failure, "thaw", id);
  return set(hierarchy, group, false) || errno == ENODEV || broken(failure, "thaw", id);
}

bool freezer_is_frozen(const struct cgroups *cgroups, const char *id) {
  const struct hierarchy *hierarchy = freezer_find(cgroups);
  cleanup_fd int group = hierarchy ? open_group(hierarchy, id) : -1;
  return group >= 0 && is_frozen(hierarchy, group);
}

void freezer_release(const struct cgroups *cgroups, const char *id) {
  const struct hierarchy *hierarchy = freezer_find(cgroups);
  struct failure ignored = {0};
  if (hierarchy && !hierarchy->v2) (void)freezer_thaw(cgroups, id, &ignored);
}
