#define _GNU_SOURCE 1
#include "volumes.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "btrfs.h"
#include "mounts.h"
#include "operations.h"
#include "quota.h"

/* A line of a mount table has two paths, which are longer than the system takes them where the kernel escapes bytes. */
enum { LINE_SIZE = 32768, PARENT_SIZE = 4096 };

bool volume_target_valid(const char *path) {
  static const char *const needed[] = {"proc", "sys", "dev", ".caisson"};
  if (path[0] != '/' || !path_valid(path + 1)) return false;
  for (size_t i = 0; i < countof(needed); i++)
    if (path_beneath(path + 1, needed[i])) return false;
  return true;
}

static bool broken(struct failure *failure, const char *volume) {
  return fail(failure, errno, "volume", "%s: %s", volume, strerror(errno));
}

/* A limit of it is the file system's own: nothing is written when it is mounted, so that it need not be lifted. */
static bool fill(int volume, uint64_t quota) {
  return (quota == 0 || btrfs_limit(volume, quota)) && fchmod(volume, 0777) == 0;
}

static bool make(const struct pool *pool, const char *name, uint64_t quota) {
  if (!pool_destroy(pool->volumes, name) || !btrfs_create(pool->volumes, name)) return false;
  cleanup_fd int volume = open_beneath(pool->volumes, name, O_RDONLY | O_DIRECTORY, 0);
  if (volume >= 0 && fill(volume, quota)) return true;
  int error = errno;
  (void)btrfs_destroy(pool->volumes, name);
  errno = error;
  return false;
}

bool operation_make_volume(const struct host *host, const struct pool_request *request, struct failure *failure) {
  const struct pool *pool = &host->pool;
  char name[POOL_UNFINISHED_SIZE];
  pool_unfinished(name, request->volume);
  if (!quota_kept(pool, request->quota, failure)) return false;
  if (!make(pool, name, request->quota)) return broken(failure, request->volume);
  if (renameat2(pool->volumes, name, pool->volumes, request->volume, RENAME_NOREPLACE) < 0) {
    broken(failure, request->volume);
    (void)btrfs_destroy(pool->volumes, name);
    return false;
  }
  /* The server keeps a record of it, which survives a power cut. */
  return btrfs_commit(pool->dir) || broken(failure, request->volume);
}

bool volumes_open(const struct host *host, const struct plan *plan, int user_namespace, struct layers *layers,
                  struct failure *failure) {
  for (layers->volume_count = 0; layers->volume_count < plan->volume_count; layers->volume_count++) {
    const struct volume_mount *at = &plan->volumes[layers->volume_count];
    cleanup_fd int dir = open_beneath(host->pool.volumes, at->volume, O_PATH | O_DIRECTORY, 0);
    int fd = dir < 0 ? -1
                     : clone_idmapped(dir, user_namespace, MOUNT_ATTR_NOSUID | (at->read_only ? MOUNT_ATTR_RDONLY : 0u));
    if (fd < 0) return broken(failure, at->volume);
    layers->volumes[layers->volume_count] = fd;
  }
  return true;
}

/* No link is followed and no mount crossed, or a target could be outside, or one of those that nothing may cover. */
static bool make_target(int root, const char *target, struct failure *failure) {
  char parts[LAUNCHER_MAX_PATH + 1];
  char *rest = parts;
  cleanup_fd int dir = fcntl(root, F_DUPFD_CLOEXEC, 3);
  snprintf(parts, sizeof parts, "%s", target + 1);
  for (char *part; dir >= 0 && (part = strsep(&rest, "/"));) {
    if (mkdirat(dir, part, 0755) < 0 && errno != EEXIST) return broken(failure, target);
    int next = open_beneath(dir, part, O_PATH | O_DIRECTORY, RESOLVE_NO_XDEV);
    int error = errno;
    close_fd(&dir);
    errno = error;
    dir = next;
  }
  if (dir >= 0) return true;
  if (errno == ELOOP || errno == ENOTDIR)
    return fail(failure, errno, "volume", "%s: a part of this path is no directory of the sandbox, but a %s", target,
                errno == ELOOP ? "link" : "file");
  return broken(failure, target);
}

static bool make_targets(const struct plan *plan, struct failure *failure) {
  cleanup_fd int root = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) return broken(failure, "root");
  for (size_t i = 0; i < plan->volume_count; i++)
    if (!make_target(root, plan->volumes[i].path, failure)) return false;
  return true;
}

void volume_source(char *out, size_t size, size_t index) { snprintf(out, size, "volume%zu", index); }

bool volumes_place(const struct layers *layers, struct failure *failure) {
  for (size_t i = 0; i < layers->volume_count; i++) {
    char name[32];
    volume_source(name, sizeof name, i);
    if (!mounts_attach_directory(layers->volumes[i], name, failure)) return false;
  }
  return true;
}

bool volumes_make_targets(const struct plan *plan, struct failure *failure) {
  if (plan->volume_count == 0) return true;
  if (!mounts_act_as(plan->id_base, failure)) return false;
  bool made = make_targets(plan, failure);
  return mounts_act_as(0, failure) && made;
}

/* "36 35 0:30 /volumes/<volume> /target rw - btrfs /dev/loop0 rw"; on a file system of the host's, more comes before. */
static bool names_volume(const char *line, const char *volume) {
  char root[PARENT_SIZE];
  char type[64];
  const char *rest = strstr(line, " - ");
  if (!rest || sscanf(rest, " - %63s", type) != 1 || strcmp(type, "btrfs") != 0) return false;
  if (sscanf(line, "%*s %*s %*s %4095s", root) != 1) return false;
  char *name = strrchr(root, '/');
  if (!name || (volume && strcmp(name + 1, volume) != 0)) return false;
  *name = 0;
  const char *parent = strrchr(root, '/');
  return parent && strcmp(parent + 1, "volumes") == 0;
}

bool volume_is_mounted(pid_t pid, const char *volume) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/mountinfo", pid);
  FILE *stream = fopen(path, "re");
  char *line = stream ? malloc(LINE_SIZE) : NULL;
  bool found = false;
  while (line && !found && fgets(line, LINE_SIZE, stream)) found = names_volume(line, volume);
  free(line);
  if (stream) fclose(stream);
  return found;
}
