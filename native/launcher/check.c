#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "btrfs.h"
#include "freezer.h"
#include "mounts.h"
#include "net_router.h"
#include "operations.h"
#include "pool_file.h"

static void ability(struct writer *reply, const char *name, bool ok, const char *detail) {
  struct text line = {0};
  text_printf(&line, "%s\t%s\t%s", name, ok ? "ok" : "missing", detail);
  if (line.data) writer_string(reply, TAG_ABILITY, line.data);
  text_free(&line);
}

static void check_user_namespace(struct writer *reply) {
  cleanup_fd int namespace = user_namespace(LAUNCHER_ID_COUNT);
  ability(reply, "user-namespaces", namespace >= 0, namespace >= 0 ? "65536 ids a sandbox" : strerror(errno));
}

/* A throw-away sandbox directory and lower layer in trash/, mounted the way a start does it. */
static bool try_overlay(const struct host *host, const char *name, struct failure *failure) {
  static const char *const parts[] = {"", "/upper", "/work", "/lower"};
  for (size_t i = 0; i < countof(parts); i++) {
    char path[64];
    snprintf(path, sizeof path, "%s%s", name, parts[i]);
    if (mkdirat(host->trash, path, 0755) < 0) return fail(failure, errno, "trash", "%s", strerror(errno));
  }
  char lower[96];
  snprintf(lower, sizeof lower, "%s/lower", name);
  cleanup_fd int namespace = user_namespace(LAUNCHER_ID_COUNT);
  cleanup_fd int own_dir = open_beneath(host->trash, name, O_PATH | O_DIRECTORY, 0);
  cleanup_fd int lower_dir = open_beneath(host->trash, lower, O_PATH | O_DIRECTORY, 0);
  struct plan plan = {.root_kind = ROOT_OVERLAY, .id_base = LAUNCHER_ID_COUNT};
  struct layers layers = {.lower_count = 1, .agent = -1};
  layers.own = clone_idmapped(own_dir, namespace, 0);
  layers.lowers[0] = clone_idmapped(lower_dir, namespace, MOUNT_ATTR_RDONLY);
  if (layers.own < 0 || layers.lowers[0] < 0)
    return fail(failure, errno, "idmapped mount", "%s", strerror(errno));
  return mounts_enter(host, failure) && mounts_overlay(&plan, &layers, failure);
}

static void check_overlay(const struct host *host, struct writer *reply) {
  char name[64];
  snprintf(name, sizeof name, "check.%d", getpid());
  struct failure failure = {0};
  bool ok = try_overlay(host, name, &failure);
  char detail[1200];
  snprintf(detail, sizeof detail, "%s: %s", failure.step, failure.text);
  ability(reply, "idmapped-overlay", ok, ok ? "writable overlay of idmapped layers" : detail);
  /* Only in this worker's own namespace; the directories below it go with the next lines. */
  if (chdir("/") < 0 || umount2(host->staging, MNT_DETACH) < 0) log_line("check: %s", strerror(errno));
  char path[80];
  struct failure ignored = {0};
  snprintf(path, sizeof path, "trash/%s", name);
  if (!operation_delete_tree(host, path, &ignored)) log_line("check: %s", ignored.text);
}

static void check_cgroups(const struct host *host, struct writer *reply) {
  static const enum controller all[] = {CONTROLLER_MEMORY, CONTROLLER_CPU, CONTROLLER_PIDS};
  for (size_t i = 0; i < host->cgroups.count; i++)
    for (size_t j = 0; j < countof(all); j++) {
      if (!(host->cgroups.list[i].controllers & all[j])) continue;
      char name[32];
      char detail[600];
      snprintf(name, sizeof name, "cgroup-%s", controller_name(all[j]));
      snprintf(detail, sizeof detail, "v%d, %s", host->cgroups.list[i].v2 ? 2 : 1, host->cgroups.list[i].path);
      ability(reply, name, true, detail);
    }
}

static void check_freezer(const struct host *host, struct writer *reply) {
  const struct hierarchy *found = freezer_find(&host->cgroups);
  char detail[600];
  if (found) snprintf(detail, sizeof detail, "v%d, %s", found->v2 ? 2 : 1, found->path);
  ability(reply, "freezer", found, found ? detail : "no control group of this host has one");
}

void check_memory(const struct host *host, struct writer *reply) {
  check_freezer(host, reply);
  ability(reply, "dumps", !host->no_dumps[0], host->no_dumps[0] ? host->no_dumps : host->criu_path);
}

/* Loaded, or a module that mounting loads. */
static bool kernel_has_btrfs(void) {
  char systems[4096];
  char module[300];
  struct utsname kernel;
  if (read_file_at(AT_FDCWD, "/proc/filesystems", systems, sizeof systems) > 0 && strstr(systems, "\tbtrfs\n")) return true;
  if (uname(&kernel) < 0) return false;
  snprintf(module, sizeof module, "/lib/modules/%s/kernel/fs/btrfs", kernel.release);
  return access(module, F_OK) == 0;
}

static void check_btrfs(const struct host *host, struct writer *reply) {
  if (host->pool.kind != POOL_CLOSED || btrfs_is(host->run))
    return ability(reply, "btrfs", true, host->pool.kind == POOL_FILE ? POOL_IMAGE " is open" : "the data directory's own");
  if (!kernel_has_btrfs()) return ability(reply, "btrfs", false, "the kernel has no btrfs");
  if (access("/dev/loop-control", F_OK) < 0) return ability(reply, "btrfs", false, "there is no /dev/loop-control");
  if (!pool_mkfs() && !pool_exists(host))
    return ability(reply, "btrfs", false, "mkfs.btrfs is not installed (package btrfs-progs)");
  ability(reply, "btrfs", true, "a pool can be made");
}

static void check_runtime(const struct host *host, struct writer *reply) {
  int ends[2];
  char output[256] = "";
  if (pipe2(ends, O_CLOEXEC) < 0) return ability(reply, "crun", false, strerror(errno));
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    execle(host->crun_path, "crun", "--version", (char *)NULL, (char *[]){NULL});
    _exit(127);
  }
  close(ends[1]);
  ssize_t size = child < 0 ? -1 : read(ends[0], output, sizeof output - 1);
  close(ends[0]);
  int status = -1;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  output[size > 0 ? size : 0] = 0;
  output[strcspn(output, "\n")] = 0;
  ability(reply, "crun", size > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0, output);
}

/* Comes last: this worker never gets back into the host's network namespace. */
static void check_network(struct writer *reply) {
  struct failure failure = {0};
  char detail[1200];
  bool ok = router_try(&failure);
  snprintf(detail, sizeof detail, "%s: %s", failure.step, failure.text);
  ability(reply, "network", ok, ok ? "interfaces, rate limits and the router's firewall can be made" : detail);
}

void operation_check(const struct host *host, struct writer *reply) {
  check_cgroups(host, reply);
  check_memory(host, reply);
  check_btrfs(host, reply);
  check_runtime(host, reply);
  check_user_namespace(reply);
  check_overlay(host, reply);
  check_network(reply);
}
