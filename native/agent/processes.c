#include "processes.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "directory.h"
#include "users.h"

/* More processes than any limit on a sandbox allows. */
#define MAX_PROCESSES 65536
/* Environments are read no further. */
#define MAX_ENVIRONMENT (128 << 10)

static int open_of(pid_t pid, const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* Fields of proc_pid_stat(5). The name in parentheses is chosen by the process and may hold anything. */
static bool parse_stat(const char *text, struct process *out) {
  const char *end = strrchr(text, ')');
  return end && sscanf(end + 1, " %c %d %d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                       &out->state, &out->parent, &out->group, &out->session, &out->started) == 5;
}

static bool read_process(pid_t pid, struct process *out) {
  char text[1024];
  int fd = open_of(pid, "stat");
  if (fd < 0) return false;
  struct stat info;
  ssize_t got = fstat(fd, &info) ? -1 : read(fd, text, sizeof text - 1);
  close(fd);
  if (got <= 0) return false;
  text[got] = 0;
  *out = (struct process){.pid = pid, .uid = info.st_uid, .gid = info.st_gid};
  return parse_stat(text, out);
}

static bool add(struct processes *processes, const struct process *process) {
  if (!(processes->count & (processes->count + 1)) || !processes->list) {
    size_t capacity = (processes->count + 1) * 2;
    struct process *list = realloc(processes->list, capacity * sizeof *list);
    if (!list) return false;
    processes->list = list;
  }
  processes->list[processes->count++] = *process;
  return true;
}

static bool read_all(struct processes *processes) {
  struct directory *directory = malloc(sizeof *directory);
  int fd = directory ? open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (fd < 0) {
    free(directory);
    return false;
  }
  directory_init(directory, fd);
  for (const struct entry *entry; processes->count < MAX_PROCESSES && (entry = directory_next(directory));) {
    struct process process;
    int pid = atoi(entry->name);
    if (pid > 0 && read_process(pid, &process) && process.state != 'Z' && process.state != 'X' &&
        !add(processes, &process))
      break;
  }
  close(fd);
  free(directory);
  return true;
}

/* Passes until nothing changes: parents are not always listed before their children. */
static void choose_descendants(struct processes *processes) {
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < processes->count; i++) {
      struct process *process = &processes->list[i];
      if (process->chosen) continue;
      bool child = process->parent == getpid();
      for (size_t j = 0; !child && j < processes->count; j++)
        child = processes->list[j].chosen && processes->list[j].pid == process->parent;
      if (child) changed = process->chosen = true;
    }
  }
}

bool processes_read(struct processes *out) {
  *out = (struct processes){0};
  if (!read_all(out)) return false;
  choose_descendants(out);
  size_t kept = 0;
  for (size_t i = 0; i < out->count; i++) {
    if (!out->list[i].chosen) continue;
    out->list[kept] = out->list[i];
    out->list[kept++].chosen = false;
  }
  out->count = kept;
  return true;
}

void processes_free(struct processes *processes) {
  free(processes->list);
  *processes = (struct processes){0};
}

static bool has_string(const char *text, size_t size, const char *wanted) {
  size_t length = strlen(wanted) + 1;
  while (size >= length) {
    if (!memcmp(text, wanted, length)) return true;
    const char *end = memchr(text, 0, size);
    if (!end) return false;
    size -= (size_t)(end + 1 - text);
    text = end + 1;
  }
  return false;
}

bool process_has_variable(const struct process *process, const char *variable) {
  /* The environment is shown to the process's own user only, unless the agent had a capability it does without. */
  struct user user = {.uid = process->uid, .gid = process->gid};
  if (credentials_enter(&user)) return false;
  int fd = open_of(process->pid, "environ");
  credentials_leave();
  if (fd < 0) return false;
  char *text = malloc(MAX_ENVIRONMENT);
  size_t size = 0;
  ssize_t got = 1;
  while (text && got > 0 && size < MAX_ENVIRONMENT) {
    got = read(fd, text + size, MAX_ENVIRONMENT - size);
    if (got > 0) size += (size_t)got;
  }
  bool found = text && has_string(text, size, variable);
  free(text);
  close(fd);
  return found;
}

bool process_signal(const struct process *process, int signal) {
  struct process now;
  int fd = (int)syscall(SYS_pidfd_open, process->pid, 0);
  if (fd < 0) return errno == ENOSYS && !kill(process->pid, signal);
  /* The pid may have passed to another process since the listing; the descriptor now holds on to one of them. */
  bool same = read_process(process->pid, &now) && now.started == process->started;
  bool sent = same && !syscall(SYS_pidfd_send_signal, fd, signal, NULL, 0);
  close(fd);
  return sent;
}
