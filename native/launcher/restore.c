#define _GNU_SOURCE 1
#include "restore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent_socket.h"
#include "criu.h"
#include "dump.h"
#include "externals.h"
#include "hook.h"
#include "identity.h"
#include "loopback.h"
#include "net_namespace.h"

enum { RESTORE_TIMEOUT_MSEC = 55000, ADDRESSES_SIZE = 4096 };

static bool broken(struct failure *failure, const char *what) {
  return fail(failure, errno, "restore", "%s: %s", what, strerror(errno));
}

int restore_open(const struct host *host, const struct plan *plan, struct failure *failure) {
  cleanup_fd int dir = open_beneath(host->dumps, plan->dump, O_PATH | O_DIRECTORY, 0);
  int fd = dir < 0 ? -1 : open_tree(dir, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
  if (host->no_dumps[0])
    fail(failure, ENOTSUP, "restore", "%s", host->no_dumps);
  else if (fd < 0)
    broken(failure, plan->dump);
  return fd;
}

static bool write_identity(const struct plan *plan, int dump, int images, struct failure *failure) {
  int fd = openat(dump, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = fd < 0 ? NULL : fdopendir(fd);
  if (!stream) return broken(failure, "images");
  for (struct dirent *entry; (entry = readdir(stream)) && !failure->error;)
    if (identity_has(entry->d_name)) identity_write(dump, images, entry->d_name, plan, failure);
  closedir(stream);
  return failure->error == 0;
}

/*
 * The dump with this start's own files over it: several may start from it at a time. Criu reads it from inside the
 * sandbox's namespaces too, where neither a closed directory nor a link that leads somewhere would do.
 */
static bool lay_out(const struct plan *plan, int dump, struct failure *failure) {
  if (mkdir("dump", 0700) < 0 || mkdir("own-images", 0755) < 0 || mkdir("work-images", 0700) < 0 || mkdir("images", 0755) < 0)
    return broken(failure, "images");
  cleanup_fd int images = open("own-images", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (images < 0 || !write_identity(plan, dump, images, failure)) return broken(failure, "images");
  if (move_mount(dump, "", AT_FDCWD, "dump", MOVE_MOUNT_F_EMPTY_PATH) == 0 &&
      mount("caisson", "images", "overlay", 0, "lowerdir=dump,upperdir=own-images,workdir=work-images") == 0)
    return true;
  return broken(failure, "images");
}

/* A mount of its own, because the program must be the one that the processes run, and names no path of the host. */
static bool place_agent(int dump, struct layers *layers, struct failure *failure) {
  cleanup_fd int from = openat(dump, DUMP_AGENT, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  cleanup_fd int to = open("program", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0555);
  ssize_t copied = from < 0 || to < 0 ? -1 : 1;
  while (copied > 0) copied = sendfile(to, from, NULL, 1 << 20);
  if (copied < 0) return broken(failure, "agent");
  struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                                  .attr_clr = MOUNT_ATTR_NOEXEC,
                                  .propagation = MS_PRIVATE};
  int tree = open_tree(AT_FDCWD, "program", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) < 0) {
    close_fd(&tree);
    return broken(failure, "agent");
  }
  close_fd(&layers->agent);
  layers->agent = tree;
  return true;
}

static bool same_content(int one, int other) {
  uint8_t buffers[2][65536];
  for (;;) {
    ssize_t got = read(one, buffers[0], sizeof buffers[0]);
    if (got < 0 || read(other, buffers[1], sizeof buffers[1]) != got || memcmp(buffers[0], buffers[1], (size_t)got) != 0)
      return false;
    if (got == 0) return true;
  }
}

/* All sandboxes share one file of the agent, as long as it is the same program. */
static bool has_same_agent(const struct host *host, int dump) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", host->agent);
  cleanup_fd int own = open(path, O_RDONLY | O_CLOEXEC);
  cleanup_fd int dumped = openat(dump, DUMP_AGENT, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  return own >= 0 && dumped >= 0 && same_content(own, dumped);
}

bool restore_prepare(const struct host *host, const struct plan *plan, int dump, struct layers *layers,
                     struct failure *failure) {
  return externals_make(failure) && lay_out(plan, dump, failure) &&
         (has_same_agent(host, dump) || place_agent(dump, layers, failure));
}

static void read_addresses(int dump, char *out) {
  if (read_file_at(dump, DUMP_ADDRESSES, out, ADDRESSES_SIZE) < 0) out[0] = 0;
}

bool restore_run(const struct host *host, const struct plan *plan, int dump, struct failure *failure) {
  struct criu criu = {0};
  struct failure joined = {0};
  char text[ADDRESSES_SIZE];
  char path[64];
  snprintf(path, sizeof path, "%s/images", host->staging);
  cleanup_fd int images = open("images", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  criu_begin(&criu, host, "restore", path);
  criu_add(&criu, "--restore-detached");
  criu_add(&criu, "--root");
  criu_add(&criu, "%s/root", host->staging);
  criu_add(&criu, "--pidfile");
  criu_add(&criu, "%s/bundle/pid", host->staging);
  externals_of_restore(&criu, host);
  read_addresses(dump, text);
  criu_set(&criu, HOOK_ADDRESSES "=%s", text);
  if (criu.failed || images < 0) return fail(failure, ENOMEM, "restore", "criu cannot be called");
  pid_t child = cgroups_fork(&host->cgroups, plan->id);
  if (child < 0) return broken(failure, "fork");
  if (child == 0) {
    /* A group namespace is not restored where criu does not manage groups, so all that it makes inherit this one. */
    if (!cgroups_join(&host->cgroups, plan->id, &joined) || unshare(CLONE_NEWCGROUP) < 0) _exit(101);
    criu_exec(&criu, -1);
  }
  return criu_wait(child, RESTORE_TIMEOUT_MSEC, "restore", images, "restore.log", failure);
}

bool restore_finish(const struct host *host, const struct plan *plan, int dump, pid_t pid, struct failure *failure) {
  char addresses[ADDRESSES_SIZE];
  cleanup_fd int init = pidfd_open(pid, 0);
  if (init < 0 || !cgroups_contains(&host->cgroups, plan->id, pid)) return fail(failure, ESRCH, "restore", "it ended at once");
  cleanup_fd int namespace = namespace_of(pid, init);
  if (namespace < 0 || namespace_same(namespace, host->network_namespace))
    return fail(failure, EPERM, "restore", "it has no network namespace of its own");
  read_addresses(dump, addresses);
  return cgroups_limit(&host->cgroups, plan->id, &plan->limits, failure) && namespace_enter(namespace, failure) &&
         loopback_release(addresses, failure) && namespace_enter(host->network_namespace, failure) &&
         agent_socket_mend(host, plan->id, init, failure) && dump_end_start(host, plan->id, failure);
}
