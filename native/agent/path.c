#include "path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "protocol.gen.h"
#include "util.h"

#define MAX_LINKS 40
/* Attempts while something is being renamed on the way. */
#define MAX_RACES 16
#define DIRECTORY (O_PATH | O_DIRECTORY | O_CLOEXEC)
#define PROC_MAGIC 0x9fa0

int open_in(int directory, const char *name, int flags, uint64_t resolve) {
  struct open_how how = {.flags = (uint64_t)(unsigned)flags, .resolve = RESOLVE_NO_MAGICLINKS | resolve};
  long fd = syscall(SYS_openat2, directory, name, &how, sizeof how);
  if (fd >= 0 || errno != ENOSYS) return (int)fd;
  /* A kernel without openat2 (gVisor) has no such mounts and links to be wary of, or keeps them to itself. */
  return openat(directory, name, flags);
}

/* Component by component, without following a link. */
static int walk_beneath(int base, const char *path, int flags) {
  char name[NAME_MAX + 1];
  int directory = fcntl(base, F_DUPFD_CLOEXEC, 0);
  while (directory >= 0) {
    path += strspn(path, "/");
    size_t length = strcspn(path, "/");
    bool last = !path[length + strspn(path + length, "/")];
    int next = -1;
    snprintf(name, sizeof name, "%.*s", (int)length, length ? path : ".");
    if (length > NAME_MAX)
      errno = ENAMETOOLONG;
    else if (!strcmp(name, ".."))
      errno = EXDEV;
    else
      next = openat(directory, name, (last ? flags : DIRECTORY) | O_NOFOLLOW);
    close_fd(&directory);
    if (last) return next;
    directory = next;
    path += length;
  }
  return -1;
}

int open_beneath(int base, const char *path, int flags, uint64_t resolve) {
  struct open_how how = {.flags = (uint64_t)(unsigned)flags,
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | resolve};
  long fd;
  int tries = 0;
  do fd = syscall(SYS_openat2, base, path, &how, sizeof how);
  while (fd < 0 && errno == EAGAIN && ++tries < MAX_RACES);
  /* EPERM: a filter that knows no openat2. */
  return fd < 0 && (errno == ENOSYS || errno == EPERM) ? walk_beneath(base, path, flags) : (int)fd;
}

#define TEMPORARY ".caisson-"
/* The whole name has to fit with its ending. */
#define KEPT_NAME (NAME_MAX - 1 - (int)sizeof TEMPORARY - LIMIT_MAX_ID)

void temporary_name(char out[NAME_MAX + 1], const char *name, const char *ending) {
  char kept[KEPT_NAME + 1];
  snprintf(kept, sizeof kept, "%.*s", KEPT_NAME, name);
  snprintf(out, NAME_MAX + 1, ".%s" TEMPORARY "%s", kept, ending);
}

bool is_temporary_name(const char *name) { return *name == '.' && strstr(name, TEMPORARY); }

void place_close(struct place *place) { close_fd(&place->directory); }

/* Length of `path` without the slashes at its end. */
static size_t trimmed(const char *path) {
  size_t length = strlen(path);
  while (length && path[length - 1] == '/') length--;
  return length;
}

/* Opens the directory that holds the last component of `path`, seen from `from`, and copies that component. */
static int step(int from, const char *path, struct place *out) {
  char parent[LIMIT_MAX_PATH];
  size_t length = trimmed(path), cut = length;
  while (cut && path[cut - 1] != '/') cut--;
  size_t size = length - cut;
  if (size > NAME_MAX || length >= sizeof parent) return ENAMETOOLONG;
  memcpy(out->name, path + cut, size);
  out->name[size] = 0;
  bool whole = !size || !strcmp(out->name, ".") || !strcmp(out->name, "..");
  if (whole) strcpy(out->name, ".");
  snprintf(parent, sizeof parent, "%.*s", (int)(whole ? length : cut), path);
  const char *base = *path == '/' ? "/" : ".";
  out->directory = open_in(from, *parent ? parent : base, DIRECTORY, 0);
  return out->directory < 0 ? errno : 0;
}

static int follow_link(struct place *place) {
  char target[LIMIT_MAX_PATH];
  ssize_t length = readlinkat(place->directory, place->name, target, sizeof target);
  if (length < 0) return errno;
  if ((size_t)length >= sizeof target) return ENAMETOOLONG;
  target[length] = 0;
  int from = place->directory;
  place->directory = -1;
  int error = step(from, target, place);
  close(from);
  return error;
}

static bool is_link(const struct place *place) {
  struct stat info;
  return !fstatat(place->directory, place->name, &info, AT_SYMLINK_NOFOLLOW) && S_ISLNK(info.st_mode);
}

/* Where relative paths begin. */
static int open_base(const char *path, const struct user *user) {
  return open_in(AT_FDCWD, *path == '/' ? "/" : user->home, DIRECTORY, 0);
}

int place_open(const char *path, const struct user *user, bool follow, struct place *out) {
  out->directory = -1;
  int base = open_base(path, user);
  if (base < 0) return errno;
  int error = step(base, path, out);
  close(base);
  for (int links = 0; !error && follow && is_link(out); links++)
    error = links < MAX_LINKS ? follow_link(out) : ELOOP;
  if (error) place_close(out);
  return error;
}

/* Enters the directory `name`, making it when it is missing. */
static int enter(int *directory, const char *name, mode_t mode, bool *created) {
  *created = !mkdirat(*directory, name, mode);
  if (!*created && errno != EEXIST && errno != EROFS && errno != EACCES) return errno;
  int refused = errno;
  int next = open_in(*directory, name, DIRECTORY, 0);
  if (next < 0) return errno == ENOENT && !*created && refused != EEXIST ? refused : errno;
  close(*directory);
  *directory = next;
  return 0;
}

int path_make(const char *path, const struct user *user, bool last_too, mode_t mode, void (*made)(const char *)) {
  char whole[LIMIT_MAX_PATH + sizeof user->home + 1];
  snprintf(whole, sizeof whole, "%s%s%s", *path == '/' ? "" : user->home, *path == '/' ? "" : "/", path);
  size_t end = trimmed(whole);
  while (!last_too && end && whole[end - 1] != '/') end--;
  int directory = open_in(AT_FDCWD, "/", DIRECTORY, 0);
  if (directory < 0) return errno;
  int error = 0;
  for (size_t at = 0; at < end && !error;) {
    size_t start = at + strspn(whole + at, "/");
    at = start + strcspn(whole + start, "/");
    if (start >= end) break;
    char kept = whole[at];
    whole[at] = 0;
    bool created;
    error = at - start > NAME_MAX ? ENAMETOOLONG : enter(&directory, whole + start, at == end ? mode : 0755, &created);
    if (!error && created && made) made(whole);
    whole[at] = kept;
  }
  close_fd(&directory);
  return error;
}

const char *file_type_name(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG: return "a regular file";
    case S_IFDIR: return "a directory";
    case S_IFLNK: return "a symbolic link";
    case S_IFIFO: return "a FIFO";
    case S_IFSOCK: return "a socket";
    case S_IFCHR: return "a character device";
    case S_IFBLK: return "a block device";
    default: return "of an unknown type";
  }
}

bool is_own_proc_file(int fd) {
  struct statfs info;
  if (fstatfs(fd, &info) || info.f_type != PROC_MAGIC) return false;
  char link[64], target[64], own[32];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  int length = snprintf(own, sizeof own, "/proc/%d/", getpid());
  ssize_t got = readlink(link, target, sizeof target);
  /* What cannot be told apart is taken for the agent's. */
  return got < 0 || (got >= length && !memcmp(target, own, (size_t)length));
}
