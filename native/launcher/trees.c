#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "operations.h"
#include "trees.h"

/* Directories open at once. What lies deeper is moved up first, so that no nesting is too deep. */
enum { MAX_DEPTH = 32 };

struct removal {
  int top;
  unsigned long hoisted;
  struct failure *failure;
};

bool operation_make_dirs(const struct host *host, const char *id, struct failure *failure) {
  if (mkdirat(host->sandboxes, id, 0700) < 0)
    return fail(failure, errno, "directories", "sandboxes/%s: %s", id, strerror(errno));
  cleanup_fd int dir = open_beneath(host->sandboxes, id, O_RDONLY | O_DIRECTORY, 0);
  if (dir >= 0 && mkdirat(dir, "upper", 0755) == 0 && mkdirat(dir, "work", 0700) == 0) return true;
  fail(failure, errno, "directories", "sandboxes/%s: %s", id, strerror(errno));
  (void)unlinkat(dir, "upper", AT_REMOVEDIR);
  (void)unlinkat(host->sandboxes, id, AT_REMOVEDIR);
  return false;
}

bool operation_discard(const struct host *host, const char *path, char *name, size_t size,
                       struct failure *failure) {
  char parent[LAUNCHER_MAX_PATH + 1];
  snprintf(parent, sizeof parent, "%s", path);
  char *base = strrchr(parent, '/');
  *base++ = 0;
  cleanup_fd int dir = open_beneath(host->data, parent, O_PATH | O_DIRECTORY, 0);
  *name = 0;
  if (dir < 0) return errno == ENOENT || fail(failure, errno, "remove", "%s: %s", path, strerror(errno));
  snprintf(name, size, "%d.%lu", getpid(), (unsigned long)now_usec());
  if (renameat2(dir, base, host->trash, name, RENAME_NOREPLACE) == 0) return true;
  *name = 0;
  return errno == ENOENT || fail(failure, errno, "remove", "%s: %s", path, strerror(errno));
}

static bool broken(struct removal *removal, const char *name) {
  return fail(removal->failure, errno, "remove", "%s: %s", name, strerror(errno));
}

/* Moves a directory to the top of the tree under a name of ours. */
static bool hoist(struct removal *removal, int dir, const char *name) {
  for (;;) {
    char next[32];
    snprintf(next, sizeof next, ".deep-%lu", removal->hoisted++);
    if (renameat2(dir, name, removal->top, next, RENAME_NOREPLACE) == 0) return true;
    if (errno != EEXIST) return broken(removal, name);
  }
}

static bool empty_directory(struct removal *removal, int fd, int depth);

static bool remove_directory(struct removal *removal, int dir, const char *name, int depth) {
  if (depth == MAX_DEPTH) return hoist(removal, dir, name);
  int fd = open_beneath(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RESOLVE_NO_XDEV);
  if (fd < 0) return broken(removal, name);
  if (!empty_directory(removal, fd, depth)) return false;
  return unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT || broken(removal, name);
}

static bool remove_entry(struct removal *removal, int dir, const char *name, int depth) {
  if (unlinkat(dir, name, 0) == 0 || errno == ENOENT) return true;
  /* EPERM is what POSIX wants for a directory, EISDIR what Linux says. */
  if (errno != EISDIR && errno != EPERM) return broken(removal, name);
  return remove_directory(removal, dir, name, depth);
}

/* Takes `fd` over. Repeats until a pass finds nothing, because removing while reading may skip entries. */
static bool empty_directory(struct removal *removal, int fd, int depth) {
  DIR *stream = fdopendir(fd);
  if (!stream) {
    close(fd);
    return broken(removal, "directory");
  }
  bool found = true;
  while (found && !removal->failure->error) {
    found = false;
    rewinddir(stream);
    for (struct dirent *entry; (entry = readdir(stream));) {
      if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
      found = true;
      if (!remove_entry(removal, dirfd(stream), entry->d_name, depth + 1)) break;
    }
  }
  closedir(stream);
  return removal->failure->error == 0;
}

bool tree_delete(int parent, const char *name, struct failure *failure) {
  if (unlinkat(parent, name, 0) == 0 || errno == ENOENT) return true;
  int fd = open_beneath(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RESOLVE_NO_XDEV);
  cleanup_fd int top = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (fd < 0) return errno == ENOENT || fail(failure, errno, "remove", "%s: %s", name, strerror(errno));
  struct removal removal = {.top = top, .failure = failure};
  if (!empty_directory(&removal, fd, 0)) return false;
  return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ||
         fail(failure, errno, "remove", "%s: %s", name, strerror(errno));
}

static bool empty_trash(const struct host *host, struct failure *failure) {
  int fd = open_beneath(host->trash, ".", O_RDONLY | O_DIRECTORY, 0);
  DIR *stream = fd < 0 ? NULL : fdopendir(fd);
  if (!stream) return fail(failure, errno, "remove", "trash: %s", strerror(errno));
  for (struct dirent *entry; (entry = readdir(stream)) && !failure->error;)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      tree_delete(host->trash, entry->d_name, failure);
  closedir(stream);
  return failure->error == 0;
}

bool operation_delete_tree(const struct host *host, const char *path, struct failure *failure) {
  /* Sandboxes that run come first; a priority that cannot be lowered changes nothing but speed. */
  (void)setpriority(PRIO_PROCESS, 0, 10);
  if (strcmp(path, "trash") == 0) return empty_trash(host, failure);
  char parent[LAUNCHER_MAX_PATH + 1];
  snprintf(parent, sizeof parent, "%s", path);
  char *base = strrchr(parent, '/');
  *base++ = 0;
  cleanup_fd int dir = open_beneath(host->data, parent, O_PATH | O_DIRECTORY, 0);
  if (dir < 0) return errno == ENOENT || fail(failure, errno, "remove", "%s: %s", path, strerror(errno));
  return tree_delete(dir, base, failure);
}
