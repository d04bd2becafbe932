#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "operations.h"
#include "quota.h"
#include "trees.h"

/*
 * KEEP_ONLY. An overlay's directory says where the layers beneath it go on: by its name, elsewhere (`redirect`) or
 * nowhere (`opaque`). The directories on the way to what is kept become plain ones, so that all else comes from the
 * layers again; what they said about the kept directory is therefore written into itself first.
 */

#define OPAQUE "trusted.overlay.opaque"
#define REDIRECT "trusted.overlay.redirect"

enum { MAX_PARTS = LAUNCHER_MAX_PATH / 2 };

struct way {
  char path[LAUNCHER_MAX_PATH + 1];
  /* Of path, one after the other. */
  const char *parts[MAX_PARTS];
  size_t count;
  /* Where the layers beneath have what the directory at hand covers; empty: nowhere. */
  char lower[4096];
  bool marked;
};

static bool broken(struct failure *failure, const char *what) {
  return fail(failure, errno, "keep", "%s: %s", what, strerror(errno));
}

static void split(struct way *way, const char *path) {
  char *save;
  snprintf(way->path, sizeof way->path, "%s", path);
  way->count = 0;
  for (char *part = strtok_r(way->path, "/", &save); part; part = strtok_r(NULL, "/", &save))
    way->parts[way->count++] = part;
}

/* 0 when the directory has no such mark, -1 when it cannot be read. */
static ssize_t read_mark(int dir, const char *name, char *out, size_t size) {
  ssize_t length = fgetxattr(dir, name, out, size - 1);
  if (length < 0) return errno == ENODATA || errno == ENOTSUP ? 0 : -1;
  out[length] = 0;
  return length;
}

static bool remove_mark(int dir, const char *name) {
  return fremovexattr(dir, name) == 0 || errno == ENODATA || errno == ENOTSUP;
}

/* Follows the layers beneath from a directory to `name` in it, whose upper directory is `dir`. */
static bool follow(struct way *way, int dir, const char *name) {
  char mark[sizeof way->lower];
  size_t used = strlen(way->lower);
  ssize_t opaque = read_mark(dir, OPAQUE, mark, sizeof mark);
  bool hidden = opaque > 0 && mark[0] == 'y';
  ssize_t length = read_mark(dir, REDIRECT, mark, sizeof mark);
  if (opaque < 0 || length < 0) return false;
  way->marked = way->marked || hidden || length > 0;
  if (hidden)
    way->lower[0] = 0;
  else if (length > 0 && mark[0] == '/')
    memcpy(way->lower, mark, (size_t)length + 1);
  else if (used > 0) {
    const char *next = length > 0 ? mark : name;
    if (used + strlen(next) + 2 > sizeof way->lower) {
      errno = ENAMETOOLONG;
      return false;
    }
    if (used > 1) way->lower[used++] = '/';
    memcpy(way->lower + used, next, strlen(next) + 1);
  }
  return true;
}

static int open_part(int dir, const char *name) {
  return open_beneath(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RESOLVE_NO_XDEV);
}

/* Opens the kept directory and learns what it covers. -1 with ENOENT, ENOTDIR or ELOOP when there is none. */
static int find_kept(struct way *way, int upper) {
  snprintf(way->lower, sizeof way->lower, "/");
  way->marked = false;
  int dir = fcntl(upper, F_DUPFD_CLOEXEC, 0);
  for (size_t i = 0; dir >= 0 && i < way->count; i++) {
    int next = open_part(dir, way->parts[i]);
    close_fd(&dir);
    dir = next;
    if (dir >= 0 && !follow(way, dir, way->parts[i])) close_fd(&dir);
  }
  return dir;
}

static bool write_marks(const struct way *way, int kept) {
  if (!way->marked) return true;
  if (!way->lower[0]) return fsetxattr(kept, OPAQUE, "y", 1, 0) == 0 && remove_mark(kept, REDIRECT);
  return fsetxattr(kept, REDIRECT, way->lower, strlen(way->lower), 0) == 0 && remove_mark(kept, OPAQUE);
}

/* Removes everything from a directory but one entry; NULL: everything. Repeats, because removing while reading may
   skip entries. */
static bool empty_but(int dir, const char *kept, struct failure *failure) {
  int fd = open_beneath(dir, ".", O_RDONLY | O_DIRECTORY, 0);
  DIR *stream = fd < 0 ? NULL : fdopendir(fd);
  if (!stream) return broken(failure, "directory");
  for (bool found = true; found && !failure->error;) {
    found = false;
    rewinddir(stream);
    for (struct dirent *entry; !failure->error && (entry = readdir(stream));) {
      const char *name = entry->d_name;
      if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || (kept && strcmp(name, kept) == 0)) continue;
      found = true;
      tree_delete(dir, name, failure);
    }
  }
  closedir(stream);
  return failure->error == 0;
}

/* Makes the directories on the way plain and empty but for the way itself. */
static bool clear_way(const struct way *way, int upper, struct failure *failure) {
  int dir = fcntl(upper, F_DUPFD_CLOEXEC, 0);
  for (size_t i = 0; dir >= 0 && i < way->count && !failure->error; i++) {
    if (!empty_but(dir, way->parts[i], failure)) break;
    if (!remove_mark(dir, OPAQUE) || !remove_mark(dir, REDIRECT)) broken(failure, "marks");
    int next = open_part(dir, way->parts[i]);
    close_fd(&dir);
    dir = next;
  }
  if (dir < 0) broken(failure, "directory");
  close_fd(&dir);
  return failure->error == 0;
}

static bool is_no_directory(int error) { return error == ENOENT || error == ENOTDIR || error == ELOOP; }

/* The root's own files, in the pool or beside it. */
static int open_upper(const struct host *host, const char *id) {
  char path[LAUNCHER_MAX_ID + 16];
  snprintf(path, sizeof path, "%s/upper", id);
  int fd = host->pool.kind == POOL_CLOSED ? -1 : open_beneath(host->pool.roots, path, O_RDONLY | O_DIRECTORY, 0);
  return fd >= 0 ? fd : open_beneath(host->sandboxes, path, O_RDONLY | O_DIRECTORY, 0);
}

bool operation_keep_only(const struct host *host, const struct pool_request *request, struct failure *failure) {
  struct way way;
  cleanup_quota int lifted = -1;
  quota_lift(&host->pool, request->id, &lifted);
  split(&way, request->path);
  cleanup_fd int upper = open_upper(host, request->id);
  if (upper < 0) return broken(failure, request->id);
  cleanup_fd int kept = find_kept(&way, upper);
  if (request->opaque) {
    way.lower[0] = 0;
    way.marked = true;
  }
  if (kept < 0) return is_no_directory(errno) ? empty_but(upper, NULL, failure) : broken(failure, request->path);
  return (write_marks(&way, kept) || broken(failure, request->path)) && clear_way(&way, upper, failure);
}
