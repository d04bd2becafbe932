#define _GNU_SOURCE 1
#include "sandboxes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"

struct sandbox *sandboxes_find(const struct sandboxes *sandboxes, const char *id) {
  struct sandbox *at = sandboxes->first;
  while (at && strcmp(at->id, id) != 0) at = at->next;
  return at;
}

struct sandbox *sandboxes_add(struct sandboxes *sandboxes, const char *id, int state) {
  struct sandbox *sandbox = calloc(1, sizeof *sandbox);
  if (!sandbox) return NULL;
  memcpy(sandbox->id, id, strlen(id));
  sandbox->state = state;
  sandbox->pidfd = -1;
  sandbox->next = sandboxes->first;
  sandboxes->first = sandbox;
  sandboxes->count++;
  return sandbox;
}

void sandboxes_drop(struct sandboxes *sandboxes, struct sandbox *sandbox) {
  struct sandbox **link = &sandboxes->first;
  while (*link != sandbox) link = &(*link)->next;
  *link = sandbox->next;
  sandboxes->count--;
  close_fd(&sandbox->pidfd);
  free(sandbox->waiters);
  free(sandbox);
}

static void recover_one(struct sandbox *sandbox, const struct cgroups *cgroups) {
  pid_t pid = cgroups_find_init(cgroups, sandbox->id);
  if (pid == 0) return;
  sandbox_started(sandbox, pid, process_start_time(pid));
  /* Between finding the pid and holding it, it may have become another process: ask the kernel again. */
  if (sandbox->pidfd >= 0 && !cgroups_contains(cgroups, sandbox->id, pid)) {
    close_fd(&sandbox->pidfd);
    sandbox->state = STATE_ENDED;
  }
}

bool sandboxes_recover(struct sandboxes *sandboxes, const struct cgroups *cgroups, struct failure *failure) {
  int fd = openat(cgroups->list[0].dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = fd < 0 ? NULL : fdopendir(fd);
  if (!stream) return fail(failure, errno, "recover", "%s: %s", cgroups->list[0].path, strerror(errno));
  for (struct dirent *entry; (entry = readdir(stream));) {
    if (entry->d_type != DT_DIR || !id_valid(entry->d_name)) continue;
    struct sandbox *sandbox = sandboxes_add(sandboxes, entry->d_name, STATE_ENDED);
    if (sandbox) recover_one(sandbox, cgroups);
  }
  closedir(stream);
  return true;
}

void sandbox_started(struct sandbox *sandbox, pid_t pid, uint64_t start_time) {
  sandbox->pid = pid;
  sandbox->start_time = start_time;
  sandbox->pidfd = pidfd_open(pid, 0);
  sandbox->state = sandbox->pidfd < 0 ? STATE_ENDED : STATE_RUNNING;
}

void sandbox_kill(struct sandbox *sandbox) {
  sandbox->state = STATE_ENDING;
  /* The end of a pid namespace's init kills all of it. ESRCH: it ended by itself, which is about to be noticed. */
  (void)pidfd_send_signal(sandbox->pidfd, SIGKILL, NULL, 0);
}

void sandbox_ended(struct sandbox *sandbox) {
  siginfo_t info = {0};
  /* ECHILD: it is the child of an earlier launcher, and whoever reaped it has its status. */
  if (waitid(P_PIDFD, (id_t)sandbox->pidfd, &info, WEXITED | WNOHANG) == 0 && info.si_pid) {
    sandbox->status_known = true;
    sandbox->wait_status = info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
  }
  close_fd(&sandbox->pidfd);
  sandbox->state = STATE_ENDED;
}

bool sandbox_add_waiter(struct sandbox *sandbox, struct origin origin) {
  struct origin *waiters =
      realloc(sandbox->waiters, (sandbox->waiter_count + 1) * sizeof *sandbox->waiters);
  if (!waiters) return false;
  waiters[sandbox->waiter_count++] = origin;
  sandbox->waiters = waiters;
  return true;
}
