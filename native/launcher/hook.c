#define _GNU_SOURCE 1
#include "hook.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "btrfs.h"
#include "host.h"
#include "launcher.gen.h"
#include "loopback.h"
#include "net_namespace.h"

static bool broken(struct failure *failure, const char *what) {
  return fail(failure, errno, "dump", "%s: %s", what, strerror(errno));
}

static int open_setting(const char *name) {
  const char *path = getenv(name);
  if (path) return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  errno = EINVAL;
  return -1;
}

/* Every file, and not the whole file system: others write to that too. */
static bool flush(int dir, struct failure *failure) {
  int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = fd < 0 ? NULL : fdopendir(fd);
  if (!stream) return broken(failure, "flush");
  for (struct dirent *entry; (entry = readdir(stream)) && !failure->error;) {
    if (entry->d_type != DT_REG) continue;
    cleanup_fd int file = openat(dir, entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (file < 0 || fsync(file) < 0) broken(failure, entry->d_name);
  }
  if (!failure->error && fsync(dir) < 0) broken(failure, "flush");
  closedir(stream);
  return failure->error == 0;
}

static bool save(struct failure *failure) {
  const char *name = getenv(HOOK_SAVE);
  if (!name) return true;
  cleanup_fd int saves = open_setting(HOOK_SAVES);
  cleanup_fd int root = open_setting(HOOK_ROOT);
  return (saves >= 0 && root >= 0 && btrfs_snapshot(saves, name, root, true)) || broken(failure, "saving its files");
}

/* Everything stands still, all images are written, and the names that criu gave to files without one are still there. */
static bool finish_dump(int dumps, const char *name, int images, struct failure *failure) {
  char part[LAUNCHER_MAX_ID + 8];
  snprintf(part, sizeof part, "%s" DUMP_UNFINISHED, name);
  bool durable = getenv(HOOK_DURABLE) != NULL;
  if (durable && !flush(images, failure)) return false;
  if (!save(failure)) return false;
  if (renameat2(dumps, part, dumps, name, RENAME_NOREPLACE) < 0) return broken(failure, name);
  return !durable || fsync(dumps) == 0 || broken(failure, "flush");
}

static int after_dump(void) {
  struct failure failure = {0};
  char part[LAUNCHER_MAX_ID + 8];
  const char *name = getenv(HOOK_DUMP);
  cleanup_fd int dumps = open_setting(HOOK_DUMPS);
  if (!name || dumps < 0) return 1;
  snprintf(part, sizeof part, "%s" DUMP_UNFINISHED, name);
  cleanup_fd int images = openat(dumps, part, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (images < 0) return 1;
  if (finish_dump(dumps, name, images, &failure)) return 0;
  cleanup_fd int reason = openat(images, HOOK_REASON, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (reason >= 0) (void)write_all(reason, failure.text, strlen(failure.text));
  return 1;
}

/* The namespaces are there and no socket is: sockets are bound to addresses that a network has had. */
static int before_sockets(void) {
  struct failure failure = {0};
  char path[64];
  const char *pid = getenv(HOOK_INIT);
  const char *addresses = getenv(HOOK_ADDRESSES);
  snprintf(path, sizeof path, "/proc/%s/ns/net", pid ? pid : "");
  cleanup_fd int namespace = open(path, O_RDONLY | O_CLOEXEC);
  return namespace >= 0 && namespace_enter(namespace, &failure) && loopback_take(addresses ? addresses : "", &failure) ? 0 : 1;
}

int hook_run(const char *action) {
  if (strcmp(action, "post-dump") == 0) return after_dump();
  if (strcmp(action, "setup-namespaces") == 0) return before_sockets();
  return 0;
}
