#define _GNU_SOURCE 1
#include "net_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOLDER_NAME "caisson-router"
#define HOLDER_FILE "router"

enum { HOLDER_END_MSEC = 2000 };

bool namespace_same(int one, int other) {
  struct stat a;
  struct stat b;
  return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int namespace_of(pid_t pid, int pidfd) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/net", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  /* Only while the process has not ended does the number mean it. */
  if (fd >= 0 && pidfd_send_signal(pidfd, 0, NULL, 0) < 0) close_fd(&fd);
  return fd;
}

bool namespace_enter(int namespace, struct failure *failure) {
  return setns(namespace, CLONE_NEWNET) == 0 || fail(failure, errno, "network namespace", "%s", strerror(errno));
}

bool namespace_set(const char *name, const char *value, struct failure *failure) {
  char path[128];
  snprintf(path, sizeof path, "/proc/sys/net/%s", name);
  return write_file_at(AT_FDCWD, path, value) ||
         fail(failure, errno, "setting", "%s cannot be set to %s: %s", path, value, strerror(errno));
}

long namespace_get(const char *name) {
  char path[128];
  char value[32];
  snprintf(path, sizeof path, "/proc/sys/net/%s", name);
  return read_file_at(AT_FDCWD, path, value, sizeof value) > 0 ? strtol(value, NULL, 10) : -1;
}

/* A process of real root that calls itself a holder and was started for this data directory. */
static bool looks_like_holder(const struct host *host, pid_t pid) {
  char path[64];
  char text[8192];
  unsigned uid = 1;
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  if (read_file_at(AT_FDCWD, path, text, sizeof text) <= 0) return false;
  char *at = strstr(text, "\nUid:");
  bool named = strncmp(text, "Name:\t" HOLDER_NAME "\n", strlen("Name:\t" HOLDER_NAME "\n")) == 0;
  if (!named || !at || sscanf(at, "\nUid: %u", &uid) != 1 || uid != 0) return false;
  snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
  ssize_t size = read_file_at(AT_FDCWD, path, text, sizeof text);
  return size > 0 && memmem(text, (size_t)size, host->data_dir, strlen(host->data_dir) + 1);
}

struct holder holder_find(const struct host *host) {
  struct holder none = {.namespace = -1};
  char text[64];
  int pid = 0;
  uint64_t start_time = 0;
  if (read_file_at(host->run, HOLDER_FILE, text, sizeof text) <= 0) return none;
  if (sscanf(text, "%d %lu", &pid, &start_time) != 2 || pid <= 1) return none;
  cleanup_fd int pidfd = pidfd_open(pid, 0);
  if (pidfd < 0 || process_start_time(pid) != start_time || !looks_like_holder(host, pid)) return none;
  struct holder holder = {.pid = pid, .namespace = namespace_of(pid, pidfd)};
  if (holder.namespace >= 0 && !namespace_same(holder.namespace, host->network_namespace)) return holder;
  close_fd(&holder.namespace);
  return none;
}

/* Keeps no descriptor and no mount of the launcher's. The answer is an errno, 0 for success. */
static void hold(const struct host *host, int namespace, int ready) {
  int error = 0;
  setsid();
  if ((namespace < 0 ? unshare(CLONE_NEWNET) : setns(namespace, CLONE_NEWNET)) < 0 ||
      setns(host->mount_namespace, CLONE_NEWNS) < 0)
    error = errno;
  prctl(PR_SET_NAME, HOLDER_NAME);
  bool told = write_all(ready, &error, sizeof error);
  close_range(0, ~0u, 0);
  while (told && !error) pause();
  _exit(1);
}

bool holder_remember(const struct host *host, pid_t pid, struct failure *failure) {
  char text[64];
  snprintf(text, sizeof text, "%d %lu\n", pid, (unsigned long)process_start_time(pid));
  (void)unlinkat(host->run, HOLDER_FILE ".new", 0);
  cleanup_fd int fd =
      openat(host->run, HOLDER_FILE ".new", O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd >= 0 && write_all(fd, text, strlen(text)) &&
      renameat(host->run, HOLDER_FILE ".new", host->run, HOLDER_FILE) == 0)
    return true;
  return fail(failure, errno, "router", "run/" HOLDER_FILE ": %s", strerror(errno));
}

static bool wait_ready(int pipe, pid_t pid, struct holder *out, struct failure *failure) {
  int error = ECHILD;
  if (read(pipe, &error, sizeof error) != sizeof error || error)
    return fail(failure, error, "router", "a network namespace cannot be made: %s", strerror(error));
  cleanup_fd int pidfd = pidfd_open(pid, 0);
  *out = (struct holder){.pid = pid, .namespace = pidfd < 0 ? -1 : namespace_of(pid, pidfd), .made = true};
  return out->namespace >= 0 || fail(failure, errno, "router", "%s", strerror(errno));
}

bool holder_make(const struct host *host, int namespace, struct holder *out, struct failure *failure) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return fail(failure, errno, "router", "%s", strerror(errno));
  pid_t pid = fork();
  if (pid == 0) hold(host, namespace, ends[1]);
  close_fd(&ends[1]);
  bool ok = pid > 0 ? wait_ready(ends[0], pid, out, failure) && holder_remember(host, pid, failure)
                    : fail(failure, errno, "router", "fork: %s", strerror(errno));
  close_fd(&ends[0]);
  if (ok || pid <= 0) return ok;
  holder_end(host, &(struct holder){.pid = pid});
  return false;
}

void holder_end(const struct host *host, const struct holder *holder) {
  cleanup_fd int pidfd = pidfd_open(holder->pid, 0);
  (void)unlinkat(host->run, HOLDER_FILE, 0);
  if (pidfd < 0 || pidfd_send_signal(pidfd, SIGTERM, NULL, 0) < 0) return;
  struct pollfd ended = {.fd = pidfd, .events = POLLIN};
  (void)poll(&ended, 1, HOLDER_END_MSEC);
  /* ECHILD: it is the child of an earlier launcher, or of a worker that has ended. */
  (void)waitpid(holder->pid, NULL, WNOHANG);
}
