#define _GNU_SOURCE 1
#include "host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launcher.gen.h"

bool id_valid(const char *id) {
  size_t length = strlen(id);
  return length > 0 && length <= LAUNCHER_MAX_ID &&
         strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789_") == length;
}

bool hostname_valid(const char *name) {
  size_t length = strlen(name);
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
  return length > 0 && length <= LAUNCHER_MAX_HOSTNAME && strspn(name, letters) == length && name[0] != '-' &&
         name[0] != '.';
}

bool path_valid(const char *path) {
  size_t length = strlen(path);
  if (length == 0 || length > LAUNCHER_MAX_PATH) return false;
  for (const char *at = path;;) {
    size_t part = strcspn(at, "/");
    if (part == 0 || part > 255) return false;
    if (at[0] == '.' && (part == 1 || (part == 2 && at[1] == '.'))) return false;
    if (at[part] == 0) return true;
    at += part + 1;
  }
}

bool path_beneath(const char *path, const char *directory) {
  size_t length = strlen(directory);
  return strncmp(path, directory, length) == 0 && (path[length] == '/' || path[length] == 0);
}

int open_beneath(int dir, const char *path, int flags, uint64_t resolve) {
  struct open_how how = {.flags = (uint64_t)(unsigned)flags | O_CLOEXEC,
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | resolve};
  return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

/* The group is the server's, which may look but not change what root owns. */
static int open_directory(const struct host *host, const char *name, mode_t mode, uid_t owner) {
  if (mkdirat(host->data, name, mode) < 0 && errno != EEXIST) return -1;
  int fd = open_beneath(host->data, name, O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0 || (fchown(fd, owner, host->allow_uid) == 0 && fchmod(fd, mode) == 0)) return fd;
  close_fd(&fd);
  return -1;
}

static bool read_seccomp(struct host *host, struct failure *failure) {
  cleanup_fd int fd = open(host->seccomp_path, O_RDONLY | O_CLOEXEC);
  uint8_t filter[65536];
  ssize_t size = fd < 0 ? -1 : read(fd, filter, sizeof filter);
  if (size < 0) return fail(failure, errno, "seccomp", "%s: %s", host->seccomp_path, strerror(errno));
  if (size == 0 || size % 8 || (size_t)size == sizeof filter)
    return fail(failure, EINVAL, "seccomp", "%s is not a seccomp filter", host->seccomp_path);
  text_base64(&host->seccomp, filter, (size_t)size);
  return true;
}

/* The staging mount must hide nothing that the runtime reads by path. */
static const char *choose_staging(const struct host *host) {
  static const char *const candidates[] = {"/media", "/mnt", "/srv", "/opt"};
  const char *used[] = {host->data_dir, host->images_dir, host->agent_path, host->crun_path, host->socket_path,
                        host->criu_path ? host->criu_path : ""};
  for (size_t i = 0; i < countof(candidates); i++) {
    struct stat info;
    bool fits = stat(candidates[i], &info) == 0 && S_ISDIR(info.st_mode);
    for (size_t j = 0; j < countof(used); j++) fits = fits && !path_beneath(used[j], candidates[i]);
    if (fits) return candidates[i];
  }
  return NULL;
}

static bool open_namespaces(struct host *host, struct failure *failure) {
  host->mount_namespace = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
  host->network_namespace = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (host->mount_namespace >= 0 && host->network_namespace >= 0) return true;
  return fail(failure, errno, "namespaces", "%s", strerror(errno));
}

/* A mount namespace of the launcher's own, into which later mounts of the host still come. */
static bool enter_namespace(struct host *host, struct failure *failure) {
  if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
    return fail(failure, errno, "mount namespace", "%s", strerror(errno));
  /* crun up to 1.8 refuses a host with both cgroup versions when it sees the second. */
  if (host->cgroups.hybrid_mount[0] && umount2(host->cgroups.hybrid_mount, MNT_DETACH) < 0)
    return fail(failure, errno, "mount namespace", "%s: %s", host->cgroups.hybrid_mount, strerror(errno));
  if (mount("caisson", host->staging, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=16m") < 0)
    return fail(failure, errno, "staging", "%s: %s", host->staging, strerror(errno));
  return true;
}

static bool copy_agent(struct host *host, struct failure *failure) {
  char path[32];
  snprintf(path, sizeof path, "%s/agent", host->staging);
  cleanup_fd int from = open(host->agent_path, O_RDONLY | O_CLOEXEC);
  if (from < 0) return fail(failure, errno, "agent", "%s: %s", host->agent_path, strerror(errno));
  cleanup_fd int to = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0555);
  ssize_t copied = 1;
  while (to >= 0 && copied > 0) copied = sendfile(to, from, NULL, 1 << 20);
  if (to < 0 || copied < 0) return fail(failure, errno, "agent", "%s: %s", path, strerror(errno));
  host->agent = open(path, O_PATH | O_CLOEXEC);
  return host->agent >= 0 || fail(failure, errno, "agent", "%s: %s", path, strerror(errno));
}

static bool open_data(struct host *host, struct failure *failure) {
  host->data = open(host->data_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (host->data < 0) return fail(failure, errno, "data directory", "%s: %s", host->data_dir, strerror(errno));
  host->run = open_directory(host, "run", 0700, host->allow_uid);
  /* Closed to all others: below them lie files of real root with set-user-id bits that guests have made. */
  host->sandboxes = open_directory(host, "sandboxes", 0750, 0);
  host->trash = open_directory(host, "trash", 0750, 0);
  host->dumps = open_directory(host, "dumps", 0700, 0);
  if (host->run < 0 || host->sandboxes < 0 || host->trash < 0 || host->dumps < 0)
    return fail(failure, errno, "data directory", "%s cannot be used: %s", host->data_dir, strerror(errno));
  bool made = mkdir(host->images_dir, 0755) == 0 || errno == EEXIST;
  host->images = made ? open(host->images_dir, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
  return host->images >= 0 || fail(failure, errno, "images", "%s: %s", host->images_dir, strerror(errno));
}

bool host_open(struct host *host, struct failure *failure) {
  if (access(host->crun_path, X_OK) < 0)
    return fail(failure, errno, "crun", "%s: %s", host->crun_path, strerror(errno));
  host->staging = choose_staging(host);
  if (!host->staging) return fail(failure, ENOENT, "staging", "none of /media, /mnt, /srv and /opt can be used");
  return read_seccomp(host, failure) && cgroups_open(&host->cgroups, host->instance, failure) &&
         open_namespaces(host, failure) && enter_namespace(host, failure) && copy_agent(host, failure) && open_data(host, failure);
}
