#define _GNU_SOURCE 1
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"
#include "net_numbers.h"
#include "volumes.h"

static bool write_map(pid_t pid, const char *file, uint32_t base) {
  char path[64];
  char map[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
  snprintf(map, sizeof map, "0 %u %d", base, LAUNCHER_ID_COUNT);
  return write_file_at(AT_FDCWD, path, map);
}

int user_namespace(uint32_t id_base) {
  pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
  if (child < 0) return -1;
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
  }
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/user", child);
  int fd = -1;
  if (write_map(child, "uid_map", id_base) && write_map(child, "gid_map", id_base))
    fd = open(path, O_RDONLY | O_CLOEXEC);
  int error = errno;
  kill(child, SIGKILL);
  while (waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
  errno = error;
  return fd;
}

static int clone_tree(int at, const struct mount_attr *attributes) {
  int fd = open_tree(at, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
  if (fd < 0) return -1;
  struct mount_attr copy = *attributes;
  if (mount_setattr(fd, "", AT_EMPTY_PATH, &copy, sizeof copy) == 0) return fd;
  close_fd(&fd);
  return -1;
}

int clone_idmapped(int dir, int namespace, uint64_t more) {
  struct mount_attr attributes = {
      .attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NODEV | more,
      .propagation = MS_PRIVATE,
      .userns_fd = (uint64_t)(unsigned)namespace};
  return clone_tree(dir, &attributes);
}

static int open_layer(int parent, const char *path, int namespace, bool read_only, struct failure *failure) {
  cleanup_fd int dir = open_beneath(parent, path, O_PATH | O_DIRECTORY, 0);
  if (dir < 0) {
    fail(failure, errno, "layer", "%s: %s", path, strerror(errno));
    return -1;
  }
  int fd = clone_idmapped(dir, namespace, read_only ? MOUNT_ATTR_RDONLY : 0);
  if (fd < 0) fail(failure, errno, "layer", "idmapped mount of %s: %s", path, strerror(errno));
  return fd;
}

static int open_own(const struct host *host, const struct plan *plan, int namespace, struct failure *failure) {
  char path[LAUNCHER_MAX_ID + 32];
  bool pool = plan->root_kind == ROOT_POOL;
  const char *part = plan->root_kind == ROOT_DIRECTORY ? "/rootfs" : pool && plan->lower_count == 0 ? "/upper" : "";
  snprintf(path, sizeof path, "%s%s", plan->id, part);
  return open_layer(pool ? host->pool.roots : host->sandboxes, path, namespace, false, failure);
}

static int open_lower(const struct host *host, const char *path, int namespace, struct failure *failure) {
  char save[LAUNCHER_MAX_ID + 32];
  if (!path_beneath(path, "saves"))
    return open_layer(host->images, path + strlen("images/"), namespace, true, failure);
  snprintf(save, sizeof save, "%.*s/upper", LAUNCHER_MAX_ID, path + strlen("saves/"));
  return open_layer(host->pool.saves, save, namespace, true, failure);
}

bool layers_open(const struct host *host, const struct plan *plan, struct layers *layers, struct failure *failure) {
  cleanup_fd int namespace = user_namespace(plan->id_base);
  if (namespace < 0) return fail(failure, errno, "user namespace", "%s", strerror(errno));
  layers->own = open_own(host, plan, namespace, failure);
  if (layers->own < 0) return false;
  for (layers->lower_count = 0; layers->lower_count < plan->lower_count; layers->lower_count++) {
    int fd = open_lower(host, plan->lowers[layers->lower_count], namespace, failure);
    if (fd < 0) return false;
    layers->lowers[layers->lower_count] = fd;
  }
  if (!volumes_open(host, plan, namespace, layers, failure)) return false;
  struct mount_attr agent = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                             .propagation = MS_PRIVATE};
  layers->agent = clone_tree(host->agent, &agent);
  return layers->agent >= 0 || fail(failure, errno, "agent", "%s", strerror(errno));
}

static const struct {
  const char *name;
  unsigned major, minor;
} DEVICES[] = {{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};

/*
 * crun takes the devices of a sandbox from /dev. The host's own nodes would be shared: with inotify sandboxes would see
 * the host and each other open them, and locks on them would carry messages.
 */
static bool own_devices(void) {
  if (mkdir("dev", 0755) < 0) return false;
  for (size_t i = 0; i < countof(DEVICES); i++) {
    char path[16];
    snprintf(path, sizeof path, "dev/%s", DEVICES[i].name);
    if (mknod(path, S_IFCHR, makedev(DEVICES[i].major, DEVICES[i].minor)) < 0 || chmod(path, 0666) < 0) return false;
  }
  return mount("dev", "/dev", NULL, MS_BIND, NULL) == 0;
}

bool mounts_enter(const struct host *host, struct failure *failure) {
  if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
    return fail(failure, errno, "mount namespace", "%s", strerror(errno));
  if (mount("caisson", host->staging, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=4m") < 0)
    return fail(failure, errno, "staging", "%s: %s", host->staging, strerror(errno));
  if (chdir(host->staging) < 0 || mkdir("root", 0755) < 0 || mkdir("bundle", 0700) < 0 || mkdir("state", 0700) < 0 ||
      mknod("null", S_IFCHR | 0666, makedev(1, 3)) < 0)
    return fail(failure, errno, "staging", "%s: %s", host->staging, strerror(errno));
  return own_devices() || fail(failure, errno, "devices", "%s", strerror(errno));
}

static bool attach(int tree, const char *target, struct failure *failure) {
  if (move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) == 0) return true;
  return fail(failure, errno, "mount", "%s: %s", target, strerror(errno));
}

bool mounts_attach_directory(int tree, const char *target, struct failure *failure) {
  if (mkdir(target, 0755) < 0) return fail(failure, errno, "staging", "%s: %s", target, strerror(errno));
  return attach(tree, target, failure);
}

/* Overlay makes its files with the mounter's ids, which must exist in the layers' mapping. */
bool mounts_act_as(uint32_t id, struct failure *failure) {
  if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0)
    return fail(failure, errno, "credentials", "%s", strerror(errno));
  setfsgid(id);
  setfsuid(id);
  /* Back at root the runtime must inherit the ordinary rules. */
  if (id == 0 && prctl(PR_SET_SECUREBITS, 0, 0, 0, 0) < 0)
    return fail(failure, errno, "credentials", "%s", strerror(errno));
  if ((uint32_t)setfsuid((uid_t)-1) == id && (uint32_t)setfsgid((gid_t)-1) == id) return true;
  return fail(failure, EPERM, "credentials", "the ids of the sandbox cannot be taken");
}

bool mounts_overlay(const struct plan *plan, const struct layers *layers, struct failure *failure) {
  char options[1024] = "lowerdir=";
  for (size_t i = 0; i < layers->lower_count; i++) {
    char name[16];
    snprintf(name, sizeof name, "l%zu", i);
    if (!mounts_attach_directory(layers->lowers[i], name, failure)) return false;
    size_t used = strlen(options);
    snprintf(options + used, sizeof options - used, "%s%s", i ? ":" : "", name);
  }
  if (!mounts_attach_directory(layers->own, "own", failure)) return false;
  size_t used = strlen(options);
  snprintf(options + used, sizeof options - used,
           ",upperdir=own/upper,workdir=own/work,redirect_dir=on,index=off,metacopy=off");
  if (!mounts_act_as(plan->id_base, failure)) return false;
  bool mounted = mount("caisson", "root", "overlay", MS_NODEV, options) == 0;
  int error = errno;
  if (!mounts_act_as(0, failure)) return false;
  if (!mounted) return fail(failure, error, "overlay", "%s", strerror(error));
  struct statvfs info;
  /* Where the work directory cannot be used the kernel mounts read-only and says so only in its log. */
  if (statvfs("root", &info) < 0 || info.f_flag & ST_RDONLY) {
    int probe = mkdirat(AT_FDCWD, "own/work/probe", 0700);
    if (probe < 0 && (errno == ENOSPC || errno == EDQUOT))
      return fail(failure, errno, "overlay", "the disk is full: nothing can be written for %s", plan->id);
    if (probe == 0) (void)rmdir("own/work/probe");
    return fail(failure, EROFS, "overlay", "the root of %s cannot be written through its id mapping", plan->id);
  }
  return true;
}

bool mounts_assemble(const struct plan *plan, const struct layers *layers, struct failure *failure) {
  cleanup_fd int file = open("agent", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444);
  if (file < 0) return fail(failure, errno, "staging", "agent: %s", strerror(errno));
  if (!attach(layers->agent, "agent", failure)) return false;
  bool rooted = plan->lower_count == 0 ? attach(layers->own, "root", failure) : mounts_overlay(plan, layers, failure);
  return rooted && volumes_place(layers, failure);
}

/* A directory that stands in the way is put aside: emptying it could take as long as its owner likes. */
static bool put_aside(int dir, const char *name) {
  char aside[64];
  snprintf(aside, sizeof aside, "%s.%lu", name, (unsigned long)now_usec());
  return renameat2(dir, name, dir, aside, RENAME_NOREPLACE) == 0;
}

/* One that is as it should be is left alone: processes that come from a dump may hold it open. */
static bool has_content(int dir, const char *name, const char *content) {
  char found[512];
  return read_file_at(dir, name, found, sizeof found) >= 0 && strcmp(found, content) == 0;
}

static bool replace_file(int dir, const char *name, const char *content) {
  if (has_content(dir, name, content)) return true;
  if (unlinkat(dir, name, 0) < 0 && errno != ENOENT && !(errno == EISDIR && put_aside(dir, name))) return false;
  cleanup_fd int fd = openat(dir, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
  return fd >= 0 && write_all(fd, content, strlen(content));
}

/* FNV-1a of the id: no two sandboxes are one machine, and one sandbox stays the same. */
static void machine_id(const char *id, char *out, size_t size) {
  unsigned __int128 prime = ((unsigned __int128)1 << 88) + 0x13b;
  unsigned __int128 hash = ((unsigned __int128)0x6c62272e07bb0142 << 64) + 0x62b821756295c58d;
  for (const char *at = id; *at; at++) hash = (hash ^ (unsigned char)*at) * prime;
  /* So that ids which differ in their last letter differ everywhere. */
  hash = (hash ^ (hash >> 67)) * (((unsigned __int128)0x9e3779b97f4a7c15 << 64) + 0xf39cc0605cedc835);
  snprintf(out, size, "%016lx%016lx\n", (unsigned long)(hash >> 64), (unsigned long)hash);
}

/* The same in every sandbox but for its name: without a network nothing leads there, and a lookup fails at once. */
static bool write_names(const struct plan *plan) {
  static const char resolver[] = "nameserver " NET_RESOLVER "\noptions edns0 timeout:2 attempts:2\n";
  char hosts[256];
  char hostname[LAUNCHER_MAX_HOSTNAME + 2];
  char machine[40];
  snprintf(hostname, sizeof hostname, "%s\n", plan->hostname);
  snprintf(hosts, sizeof hosts, "127.0.0.1\tlocalhost %s\n::1\tlocalhost ip6-localhost ip6-loopback\n",
           plan->hostname);
  machine_id(plan->id, machine, sizeof machine);
  cleanup_fd int root = open("root", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (mkdirat(root, "etc", 0755) < 0 && errno != EEXIST) return false;
  /* The image or an earlier life may have made anything of /etc: no link is followed, no mount crossed. */
  cleanup_fd int etc = open_beneath(root, "etc", O_RDONLY | O_DIRECTORY, RESOLVE_NO_XDEV);
  return etc >= 0 && replace_file(etc, "hostname", hostname) && replace_file(etc, "hosts", hosts) &&
         replace_file(etc, "resolv.conf", resolver) && replace_file(etc, "machine-id", machine);
}

bool mounts_write_names(const struct plan *plan, struct failure *failure) {
  if (!mounts_act_as(plan->id_base, failure)) return false;
  bool written = write_names(plan);
  int error = errno;
  if (!mounts_act_as(0, failure)) return false;
  return written || fail(failure, error, "names", "/etc of the sandbox cannot be written: %s", strerror(error));
}
