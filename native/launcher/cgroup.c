#define _GNU_SOURCE 1
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "freezer.h"

/* Longest "<id>/cgroup.procs" with room to spare. */
enum { GROUP_FILE_SIZE = 128 };
enum { CPU_PERIOD_USEC = 100000, REMOVE_TRIES = 2000, REMOVE_PAUSE_USEC = 2000 };

static const struct {
  const char *name;
  enum controller bit;
} CONTROLLERS[] = {{"memory", CONTROLLER_MEMORY},
                   {"cpu", CONTROLLER_CPU},
                   {"pids", CONTROLLER_PIDS},
                   {"cpuacct", CONTROLLER_CPUACCT},
                   {"freezer", CONTROLLER_FREEZER}};

static const unsigned NEEDED = CONTROLLER_MEMORY | CONTROLLER_CPU | CONTROLLER_PIDS;

const char *controller_name(enum controller controller) {
  for (size_t i = 0; i < countof(CONTROLLERS); i++)
    if (CONTROLLERS[i].bit == controller) return CONTROLLERS[i].name;
  return "";
}

/* Of words separated by any of `separators`. */
static unsigned parse_controllers(char *words, const char *separators) {
  unsigned found = 0;
  for (char *save, *word = strtok_r(words, separators, &save); word; word = strtok_r(NULL, separators, &save))
    for (size_t i = 0; i < countof(CONTROLLERS); i++)
      if (strcmp(word, CONTROLLERS[i].name) == 0) found |= CONTROLLERS[i].bit;
  return found;
}

static unsigned v2_controllers(const char *mount) {
  char path[600];
  char words[512];
  snprintf(path, sizeof path, "%s/cgroup.controllers", mount);
  if (read_file_at(AT_FDCWD, path, words, sizeof words) < 0) return 0;
  /* v2 accounts CPU time with its cpu controller and without: cpu.stat is always there. */
  return parse_controllers(words, " \n") & ~(unsigned)CONTROLLER_CPUACCT;
}

static void add_hierarchy(struct cgroups *cgroups, const char *mount, unsigned controllers, bool v2) {
  for (size_t i = 0; i < cgroups->count; i++) {
    controllers &= ~cgroups->list[i].controllers;
    if (v2 && cgroups->list[i].v2) return;
  }
  if ((!controllers && !v2) || cgroups->count == countof(cgroups->list)) return;
  struct hierarchy *next = &cgroups->list[cgroups->count++];
  *next = (struct hierarchy){.dir = -1, .mount = -1, .controllers = controllers, .v2 = v2};
  snprintf(next->path, sizeof next->path, "%s", mount);
}

static bool find_hierarchies(struct cgroups *cgroups, struct failure *failure) {
  FILE *file = fopen("/proc/self/mountinfo", "re");
  if (!file) return fail(failure, errno, "cgroups", "/proc/self/mountinfo: %s", strerror(errno));
  char line[4096];
  while (fgets(line, sizeof line, file)) {
    char mount[512];
    char type[32];
    char options[512];
    char *tail = strstr(line, " - ");
    if (sscanf(line, "%*s %*s %*s %*s %511s", mount) != 1 || !tail) continue;
    if (sscanf(tail, " - %31s %*s %511s", type, options) != 2) continue;
    if (strcmp(type, "cgroup") == 0) add_hierarchy(cgroups, mount, parse_controllers(options, ",\n"), false);
    if (strcmp(type, "cgroup2") == 0) add_hierarchy(cgroups, mount, v2_controllers(mount), true);
  }
  fclose(file);
  return true;
}

/* The directory of all sandboxes of this data directory, made when it is missing. */
static bool open_instance(struct hierarchy *hierarchy) {
  static const char *const enable[] = {"+memory", "+cpu", "+pids"};
  const char *name = strrchr(hierarchy->path, '/') + 1;
  close_fd(&hierarchy->dir);
  if (mkdirat(hierarchy->mount, name, 0755) < 0 && errno != EEXIST) return false;
  hierarchy->dir = openat(hierarchy->mount, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (hierarchy->dir < 0) return false;
  if (!hierarchy->v2 || !(hierarchy->controllers & NEEDED)) return true;
  for (size_t i = 0; i < countof(enable); i++) {
    /* One that cannot be enabled shows when a sandbox's limit cannot be written. */
    (void)write_file_at(hierarchy->mount, "cgroup.subtree_control", enable[i]);
    (void)write_file_at(hierarchy->dir, "cgroup.subtree_control", enable[i]);
  }
  return true;
}

static bool make_instance(struct hierarchy *hierarchy, const char *instance, struct failure *failure) {
  hierarchy->mount = open(hierarchy->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  size_t used = strlen(hierarchy->path);
  snprintf(hierarchy->path + used, sizeof hierarchy->path - used, "/caisson-%s", instance);
  if (hierarchy->mount >= 0 && open_instance(hierarchy)) return true;
  return fail(failure, errno, "cgroups", "%s: %s", hierarchy->path, strerror(errno));
}

/* Every group of v2 can be frozen, since Linux 5.2; then a hierarchy of v1 that can nothing else is not needed. */
static void choose_freezer(struct cgroups *cgroups) {
  bool v2 = false;
  for (size_t i = 0; i < cgroups->count; i++) v2 = v2 || cgroups->list[i].v2;
  if (!v2) return;
  size_t kept = 0;
  for (size_t i = 0; i < cgroups->count; i++) {
    struct hierarchy at = cgroups->list[i];
    if (at.controllers == CONTROLLER_FREEZER && !at.v2) continue;
    if (at.v2)
      at.controllers |= CONTROLLER_FREEZER;
    else
      at.controllers &= ~(unsigned)CONTROLLER_FREEZER;
    cgroups->list[kept++] = at;
  }
  cgroups->count = kept;
}

bool cgroups_open(struct cgroups *cgroups, const char *instance, struct failure *failure) {
  if (!find_hierarchies(cgroups, failure)) return false;
  choose_freezer(cgroups);
  unsigned have = 0;
  for (size_t i = 0; i < cgroups->count; i++) {
    struct hierarchy *at = &cgroups->list[i];
    have |= at->controllers;
    if (at->v2 && cgroups->count > 1)
      snprintf(cgroups->hybrid_mount, sizeof cgroups->hybrid_mount, "%s", at->path);
    if (!make_instance(at, instance, failure)) return false;
    if (at->controllers & CONTROLLER_PIDS && i > 0) {
      struct hierarchy first = cgroups->list[0];
      cgroups->list[0] = *at;
      *at = first;
    }
  }
  for (size_t i = 0; i < countof(CONTROLLERS); i++)
    if (NEEDED & ~have & CONTROLLERS[i].bit)
      fail(failure, ENOTSUP, "cgroups", "the %s controller is not available", CONTROLLERS[i].name);
  return failure->error == 0;
}

void cgroups_close(struct cgroups *cgroups) {
  for (size_t i = 0; i < cgroups->count; i++) {
    struct hierarchy *at = &cgroups->list[i];
    /* EBUSY: sandboxes go on, and the next launcher finds them there. */
    (void)unlinkat(at->mount, strrchr(at->path, '/') + 1, AT_REMOVEDIR);
    close_fd(&at->dir);
    close_fd(&at->mount);
  }
}

static bool write_limit(int dir, const char *file, const char *value, struct failure *failure) {
  if (write_file_at(dir, file, value)) return true;
  return fail(failure, errno, "cgroup", "%s = %s: %s", file, value, strerror(errno));
}

static bool write_limits(const struct hierarchy *hierarchy, int dir, const struct limits *limits,
                         struct failure *failure) {
  char memory[32];
  char cpu[48];
  char pids[32];
  unsigned long quota = (unsigned long)(limits->cpu_millis * (CPU_PERIOD_USEC / 1000));
  snprintf(memory, sizeof memory, "%lu", (unsigned long)limits->memory_bytes);
  snprintf(pids, sizeof pids, "%lu", (unsigned long)limits->pids);
  if (hierarchy->v2)
    snprintf(cpu, sizeof cpu, "%lu %d", quota, CPU_PERIOD_USEC);
  else
    snprintf(cpu, sizeof cpu, "%lu", quota);
  if (hierarchy->controllers & CONTROLLER_PIDS && !write_limit(dir, "pids.max", pids, failure)) return false;
  if (hierarchy->controllers & CONTROLLER_CPU &&
      !write_limit(dir, hierarchy->v2 ? "cpu.max" : "cpu.cfs_quota_us", cpu, failure))
    return false;
  if (!(hierarchy->controllers & CONTROLLER_MEMORY)) return true;
  if (!write_limit(dir, hierarchy->v2 ? "memory.max" : "memory.limit_in_bytes", memory, failure)) return false;
  /* Absent without swap accounting; then swap of the host is not limited, as the kernel was built to have it. */
  (void)write_file_at(dir, hierarchy->v2 ? "memory.swap.max" : "memory.memsw.limit_in_bytes",
                      hierarchy->v2 ? "0" : memory);
  return true;
}

bool cgroups_ensure(struct cgroups *cgroups, struct failure *failure) {
  for (size_t i = 0; i < cgroups->count; i++) {
    struct hierarchy *at = &cgroups->list[i];
    if (faccessat(at->mount, strrchr(at->path, '/') + 1, F_OK, 0) == 0) continue;
    if (!open_instance(at)) return fail(failure, errno, "cgroups", "%s: %s", at->path, strerror(errno));
  }
  return true;
}

bool cgroups_create(const struct cgroups *cgroups, const char *id, const struct limits *limits,
                    struct failure *failure) {
  for (size_t i = 0; i < cgroups->count; i++) {
    const struct hierarchy *at = &cgroups->list[i];
    if (mkdirat(at->dir, id, 0755) < 0)
      return fail(failure, errno, "cgroup", "%s/%s: %s", at->path, id, strerror(errno));
    cleanup_fd int dir = openat(at->dir, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return fail(failure, errno, "cgroup", "%s/%s: %s", at->path, id, strerror(errno));
    if (!write_limits(at, dir, limits, failure)) return false;
  }
  return true;
}

bool cgroups_limit(const struct cgroups *cgroups, const char *id, const struct limits *limits, struct failure *failure) {
  for (size_t i = 0; i < cgroups->count; i++) {
    const struct hierarchy *at = &cgroups->list[i];
    cleanup_fd int dir = openat(at->dir, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return fail(failure, errno, "cgroup", "%s/%s: %s", at->path, id, strerror(errno));
    if (!write_limits(at, dir, limits, failure)) return false;
  }
  return true;
}

pid_t cgroups_fork(const struct cgroups *cgroups, const char *id) {
  for (size_t i = 0; i < cgroups->count; i++) {
    if (!cgroups->list[i].v2) continue;
    cleanup_fd int dir = openat(cgroups->list[i].dir, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return -1;
    /* Unlike a write to cgroup.procs this takes no lock that waits for all CPUs. */
    struct clone_args arguments = {
        .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)(unsigned)dir};
    return (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
  }
  return fork();
}

bool cgroups_join(const struct cgroups *cgroups, const char *id, struct failure *failure) {
  char file[GROUP_FILE_SIZE];
  snprintf(file, sizeof file, "%s/tasks", id);
  for (size_t i = 0; i < cgroups->count; i++) {
    const struct hierarchy *at = &cgroups->list[i];
    /* `tasks` moves one thread and so skips the lock that `cgroup.procs` waits for. */
    if (!at->v2 && !write_file_at(at->dir, file, "0"))
      return fail(failure, errno, "cgroup", "%s/%s: %s", at->path, file, strerror(errno));
  }
  return true;
}

static void each_process(const struct hierarchy *hierarchy, const char *id, pid_visitor visit, void *context) {
  char file[GROUP_FILE_SIZE];
  snprintf(file, sizeof file, "%s/cgroup.procs", id);
  int fd = openat(hierarchy->dir, file, O_RDONLY | O_CLOEXEC);
  FILE *stream = fd < 0 ? NULL : fdopen(fd, "r");
  if (!stream) {
    close_fd(&fd);
    return;
  }
  int pid;
  while (fscanf(stream, "%d", &pid) == 1)
    if (pid > 0) visit(pid, context);
  fclose(stream);
}

static void kill_process(pid_t pid, void *context) {
  (void)context;
  /* One that has just gone is what is wanted. */
  (void)kill(pid, SIGKILL);
}

static bool remove_group(const struct cgroups *cgroups, const struct hierarchy *hierarchy, const char *id) {
  char kill_file[GROUP_FILE_SIZE];
  snprintf(kill_file, sizeof kill_file, "%s/cgroup.kill", id);
  for (int i = 0; i < REMOVE_TRIES; i++) {
    if (unlinkat(hierarchy->dir, id, AT_REMOVEDIR) == 0 || errno == ENOENT) return true;
    if (errno != EBUSY) return false;
    if (!hierarchy->v2 || !write_file_at(hierarchy->dir, kill_file, "1"))
      each_process(hierarchy, id, kill_process, NULL);
    /* A frozen process of v1 does not notice that it was killed. */
    freezer_release(cgroups, id);
    nanosleep(&(struct timespec){.tv_nsec = REMOVE_PAUSE_USEC * 1000}, NULL);
  }
  errno = EBUSY;
  return false;
}

bool cgroups_remove(const struct cgroups *cgroups, const char *id, struct failure *failure) {
  for (size_t i = cgroups->count; i-- > 0;)
    if (!remove_group(cgroups, &cgroups->list[i], id))
      return fail(failure, errno, "cgroup", "%s/%s cannot be removed: %s", cgroups->list[i].path, id,
                  strerror(errno));
  return true;
}

void cgroups_each(const struct cgroups *cgroups, const char *id, pid_visitor visit, void *context) {
  each_process(&cgroups->list[0], id, visit, context);
}

struct init_search {
  pid_t pid;
  int depth;
};

/* "NSpid:\t812\t1": the last number is the pid in the innermost namespace. */
static void consider_init(pid_t pid, void *context) {
  struct init_search *search = context;
  char path[64];
  char status[4096];
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  if (read_file_at(AT_FDCWD, path, status, sizeof status) < 0) return;
  char *at = strstr(status, "\nNSpid:");
  if (!at) return;
  at += strlen("\nNSpid:");
  int depth = 0;
  long last = 0;
  while (*at == '\t') {
    last = strtol(at + 1, &at, 10);
    depth++;
  }
  if (last == 1 && depth > 1 && (!search->pid || depth < search->depth)) {
    search->pid = pid;
    search->depth = depth;
  }
}

pid_t cgroups_find_init(const struct cgroups *cgroups, const char *id) {
  struct init_search search = {0};
  each_process(&cgroups->list[0], id, consider_init, &search);
  return search.pid;
}

struct membership {
  pid_t pid;
  bool found;
};

static void consider_member(pid_t pid, void *context) {
  struct membership *membership = context;
  if (pid == membership->pid) membership->found = true;
}

bool cgroups_contains(const struct cgroups *cgroups, const char *id, pid_t pid) {
  struct membership membership = {.pid = pid};
  each_process(&cgroups->list[0], id, consider_member, &membership);
  return membership.found;
}
