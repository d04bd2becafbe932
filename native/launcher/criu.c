#define _GNU_SOURCE 1
#include "criu.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hook.h"

static bool at_least(int major, int minor, int wanted_major, int wanted_minor) {
  return major > wanted_major || (major == wanted_major && minor >= wanted_minor);
}

/* Linux 6.16 refuses a question about TCP sockets that criu before 4.2 asks. */
static bool new_enough(int major, int minor) {
  struct utsname kernel;
  int of_kernel[2] = {0, 0};
  if (uname(&kernel) == 0) (void)sscanf(kernel.release, "%d.%d", &of_kernel[0], &of_kernel[1]);
  return at_least(major, minor, 4, at_least(of_kernel[0], of_kernel[1], 6, 16) ? 2 : 0);
}

/* What it says about its version. */
static bool ask_version(const char *path, char *out, size_t size) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return false;
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    execle(path, "criu", "--version", (char *)NULL, (char *[]){"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL});
    _exit(127);
  }
  close(ends[1]);
  ssize_t got = child < 0 ? -1 : read(ends[0], out, size - 1);
  close(ends[0]);
  while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR) continue;
  out[got > 0 ? got : 0] = 0;
  out[strcspn(out, "\n")] = 0;
  return got > 0;
}

void criu_probe(struct host *host) {
  char said[128];
  int major = 0;
  int minor = 0;
  if (!host->criu_path || access(host->criu_path, X_OK) < 0)
    snprintf(host->no_dumps, sizeof host->no_dumps, "criu is not installed");
  else if (!ask_version(host->criu_path, said, sizeof said) || sscanf(said, "Version: %d.%d", &major, &minor) != 2)
    snprintf(host->no_dumps, sizeof host->no_dumps, "criu cannot be run");
  else if (!new_enough(major, minor))
    snprintf(host->no_dumps, sizeof host->no_dumps, "criu %d.%d is too old for this kernel", major, minor);
}

static void append(char **list, size_t capacity, size_t *count, bool *failed, const char *format, va_list arguments) {
  char *text = NULL;
  /* The list ends with a null pointer. */
  if (*count + 1 >= capacity || vasprintf(&text, format, arguments) < 0) {
    *failed = true;
    return;
  }
  list[(*count)++] = text;
}

void criu_add(struct criu *criu, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  append(criu->values, countof(criu->values), &criu->count, &criu->failed, format, arguments);
  va_end(arguments);
}

void criu_set(struct criu *criu, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  append(criu->settings, countof(criu->settings), &criu->setting_count, &criu->failed, format, arguments);
  va_end(arguments);
}

void criu_begin(struct criu *criu, const struct host *host, const char *action, const char *images) {
  static const char *const common[] = {"-v1",           "--manage-cgroups=ignore", "--empty-ns", "net", "--tcp-established",
                                       "--file-locks", "--link-remap"};
  criu_set(criu, "PATH=/usr/sbin:/usr/bin:/sbin:/bin");
  criu_add(criu, "%s", host->criu_path);
  criu_add(criu, "%s", action);
  criu_add(criu, "-D");
  criu_add(criu, "%s", images);
  criu_add(criu, "-o");
  criu_add(criu, "%s.log", action);
  for (size_t i = 0; i < countof(common); i++) criu_add(criu, "%s", common[i]);
  /* This very program, even when its file has been replaced since: main.c sees by its environment that it is the hook. */
  criu_add(criu, "--action-script");
  criu_add(criu, "/proc/%d/exe", getpid());
}

void criu_exec(const struct criu *criu, int keep) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  setpgid(0, 0);
  for (int fd = 0; fd < 3; fd++)
    if (null < 0 || dup2(null, fd) < 0) _exit(102);
  if (keep >= 0 && keep != 3 && dup2(keep, 3) < 0) _exit(102);
  if (keep == 3 && fcntl(3, F_SETFD, 0) < 0) _exit(102);
  if (close_range(keep < 0 ? 3 : 4, ~0u, 0) < 0) _exit(102);
  execve(criu->values[0], criu->values, criu->settings);
  _exit(103);
}

/* Of what is no reason for anything. */
static bool harmless(const char *line) {
  static const char *const known[] = {"rlimit:", "tun: Unable", "temporary directory: Value too large", "Unable to interrupt",
                                      "already assigned", "cgroupd:"};
  for (size_t i = 0; i < countof(known); i++)
    if (strstr(line, known[i])) return true;
  return false;
}

/* What the first words of criu mean to somebody who does not know it. */
static const char *explain(const char *line) {
  static const struct {
    const char *word;
    const char *meaning;
  } known[] = {{"Unseizable", "a process is traced by another, as by a debugger"},
               {"Timeout reached", "a process cannot be stopped"},
               {"in-flight socket", "a connection over a unix socket has data and was not accepted yet"},
               {"mqueue", "it uses POSIX message queues"},
               {"ghost file", "a deleted file that is still open is larger than 64 MiB"},
               {"PIDFD_THREAD", "it holds a descriptor of a thread"},
               {"fsnotify", "it watches a file that cannot be found again"},
               {"Unix socket", "a socket leads out of the sandbox"},
               {"bad size", "a file that is open has changed since"},
               {"No space left", "the disk is full"}};
  for (size_t i = 0; i < countof(known); i++)
    if (strstr(line, known[i].word)) return known[i].meaning;
  return NULL;
}

/* Finds the first error of a log; `line` becomes what comes after its origin. */
static bool first_error(int images, const char *log, char *line, size_t size) {
  int fd = openat(images, log, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  FILE *stream = fd < 0 ? NULL : fdopen(fd, "r");
  bool found = false;
  if (!stream) {
    close_fd(&fd);
    return false;
  }
  while (!found && fgets(line, (int)size, stream)) found = strstr(line, "Error (") && !harmless(line);
  fclose(stream);
  if (!found) return false;
  line[strcspn(line, "\n")] = 0;
  char *text = strstr(strstr(line, "Error ("), "): ");
  if (text) memmove(line, text + 3, strlen(text + 3) + 1);
  return true;
}

static bool tell(int status, int images, const char *step, const char *log, struct failure *failure) {
  char line[512];
  if (read_file_at(images, HOOK_REASON, line, sizeof line) > 0) return fail(failure, EIO, step, "%s", line);
  if (!first_error(images, log, line, sizeof line))
    return fail(failure, EIO, step, "criu ended with status %#x and did not say why", (unsigned)status);
  const char *meaning = explain(line);
  if (meaning) return fail(failure, EOPNOTSUPP, step, "%s (criu: %s)", meaning, line);
  return fail(failure, EOPNOTSUPP, step, "criu: %s", line);
}

bool criu_wait(pid_t pid, int timeout_msec, const char *step, int images, const char *log, struct failure *failure) {
  cleanup_fd int fd = pidfd_open(pid, 0);
  struct pollfd ended = {.fd = fd, .events = POLLIN};
  bool late = poll(&ended, 1, timeout_msec) == 0;
  /* Its children too: it is the leader of their group. */
  if (late) (void)kill(-pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  if (late) return fail(failure, ETIMEDOUT, step, "criu took longer than %d seconds", timeout_msec / 1000);
  return (WIFEXITED(status) && WEXITSTATUS(status) == 0) || tell(status, images, step, log, failure);
}
