#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "util.h"

/* Left free for a new connection and for file requests. */
#define SPARE_DESCRIPTORS 64
/* Where the child keeps the pipe that tells of failures, above its three streams. */
#define FAILURE_FD 3
/* Workloads are chosen by the out-of-memory killer long before the agent is. */
#define OOM_SCORE "500"
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

extern char **environ;
static struct rlimit file_limit;

void spawn_init(void) {
  if (getrlimit(RLIMIT_NOFILE, &file_limit)) die("getrlimit");
  struct rlimit raised = {.rlim_cur = file_limit.rlim_max, .rlim_max = file_limit.rlim_max};
  /* Failure leaves the lower limit, which is then reported by what runs into it. */
  setrlimit(RLIMIT_NOFILE, &raised);
}

/* The child's three streams and the failure pipe; theirs[i] becomes its descriptor i. */
struct streams {
  int ours[4];
  int theirs[4];
};

static void streams_close(int *ends) {
  for (int i = 0; i < 4; i++) close_fd(&ends[i]);
}

static bool make_pipe(struct streams *streams, int index, bool we_write) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC)) return false;
  streams->ours[index] = ends[we_write ? 1 : 0];
  streams->theirs[index] = ends[we_write ? 0 : 1];
  set_nonblocking(streams->ours[index]);
  struct rlimit now;
  if (getrlimit(RLIMIT_NOFILE, &now) || (rlim_t)streams->theirs[index] + SPARE_DESCRIPTORS < now.rlim_cur)
    return true;
  errno = EMFILE;
  return false;
}

static bool make_pipes(const struct start_plan *plan, struct streams *streams) {
  if (plan->with_stdin && !make_pipe(streams, 0, true)) return false;
  return make_pipe(streams, 1, false) && make_pipe(streams, 2, false);
}

/* By ioctl where the kernel can: a path could have been put there by anybody who is root in the sandbox. */
static int open_terminal_peer(int master) {
  int flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
  int peer = ioctl(master, TIOCGPTPEER, flags);
  if (peer >= 0 || (errno != ENOTTY && errno != EINVAL)) return peer;
  int number;
  char path[32];
  if (ioctl(master, TIOCGPTN, &number)) return -1;
  snprintf(path, sizeof path, "/dev/pts/%d", number);
  return open(path, flags);
}

static bool make_terminal(const struct start_plan *plan, const struct user *user, struct streams *streams) {
  int unlock = 0;
  struct termios settings;
  int master = streams->ours[1] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
  if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock)) return false;
  int peer = streams->theirs[1] = open_terminal_peer(master);
  if (peer < 0 || ioctl(master, TIOCSWINSZ, &plan->size) || tcgetattr(peer, &settings)) return false;
  settings.c_iflag |= IUTF8;
  if (tcsetattr(peer, TCSANOW, &settings)) return false;
  /* So that the user's programs can open their own terminal again; an agent that is not root made it as them. */
  if (geteuid() == 0 && fchown(peer, user->uid, (gid_t)-1)) return false;
  streams->ours[0] = fcntl(master, F_DUPFD_CLOEXEC, 0);
  streams->theirs[0] = fcntl(peer, F_DUPFD_CLOEXEC, 0);
  streams->theirs[2] = fcntl(peer, F_DUPFD_CLOEXEC, 0);
  return streams->ours[0] >= 0 && streams->theirs[0] >= 0 && streams->theirs[2] >= 0;
}

/* Index of the variable, env_count when there is none. */
static size_t env_find(const struct start_plan *plan, const char *name) {
  size_t length = strlen(name), i = 0;
  while (i < plan->env_count && (strncmp(plan->envp[i], name, length) || plan->envp[i][length] != '=')) i++;
  return i;
}

#define ENV_TEXT 1280

/* The text lasts until the next start. */
static void env_set(struct start_plan *plan, int slot, const char *name, const char *value) {
  static char texts[ENV_EXTRA][ENV_TEXT];
  snprintf(texts[slot], sizeof texts[slot], "%s=%s", name, value);
  size_t index = env_find(plan, name);
  plan->envp[index] = texts[slot];
  if (index == plan->env_count) plan->env_count++;
}

static void env_default(struct start_plan *plan, int slot, const char *name, const char *value) {
  if (env_find(plan, name) == plan->env_count) env_set(plan, slot, name, value);
}

static void env_complete(struct start_plan *plan, const struct user *user) {
  env_default(plan, 0, "HOME", user->home);
  env_default(plan, 1, "USER", user->name);
  env_default(plan, 2, "LOGNAME", user->name);
  env_default(plan, 3, "SHELL", user->shell);
  env_default(plan, 4, "PATH", DEFAULT_PATH);
  /* Tells the tree walk whose descendant a process is that has left its session. */
  env_set(plan, 5, EXECUTION_MARKER, plan->id);
}

static _Noreturn void child_fail(const char *step, const char *on, int error) {
  struct spawn_failure failure = {.error = error};
  snprintf(failure.what, sizeof failure.what, *on ? "%s %s" : "%s", step, on);
  /* When nobody reads it any more, nobody needs to know. */
  if (write(FAILURE_FD, &failure, sizeof failure) < 0) _exit(126);
  _exit(127);
}

static void child_streams(const struct streams *streams, bool tty) {
  int null = -1;
  if (streams->theirs[0] < 0) null = open("/dev/null", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  /* All are above 2 here, so none of the first three overwrites another; the failure pipe moves last. */
  for (int i = 0; i < 3; i++) {
    int fd = streams->theirs[i] < 0 ? null : streams->theirs[i];
    if (fd >= 0) dup2(fd, i);
  }
  if (streams->theirs[3] != FAILURE_FD) dup3(streams->theirs[3], FAILURE_FD, O_CLOEXEC);
  /* Failure is harmless: everything the agent opens is close-on-exec. */
  syscall(SYS_close_range, FAILURE_FD + 1, ~0U, 0);
  if (!tty && streams->theirs[0] < 0 && null < 0) child_fail("start", "/dev/null", errno);
  if (tty && ioctl(0, TIOCSCTTY, 0)) child_fail("start", "terminal", errno);
}

static void child_limits(void) {
  setrlimit(RLIMIT_NOFILE, &file_limit);
  umask(022);
  /* Writing to its own /proc needs a dumpable process where the agent is not root; there it isolates nothing. */
  if (geteuid() != 0) prctl(PR_SET_DUMPABLE, 1);
  int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  /* Without it the kernel picks by size alone, as it does everywhere. */
  if (fd >= 0 && write(fd, OOM_SCORE, sizeof OOM_SCORE - 1) < 0) errno = 0;
  close_fd(&fd);
}

static void child_directory(const struct start_plan *plan, const struct user *user) {
  /* env_complete has seen to it that there is one. */
  const char *home = plan->envp[env_find(plan, "HOME")] + strlen("HOME=");
  bool at_home = !chdir(*home ? home : user->home);
  if (!at_home && chdir("/")) child_fail("cwd", "/", errno);
  if (*plan->cwd && chdir(plan->cwd)) child_fail("cwd", plan->cwd, errno);
}

static _Noreturn void child(const struct start_plan *plan, const struct user *user, const struct streams *streams) {
  for (int signal_number = 1; signal_number < NSIG; signal_number++) signal(signal_number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  setsid();
  child_streams(streams, plan->tty);
  child_limits();
  int error = credentials_become(user);
  if (error) child_fail("user", user->name, error);
  child_directory(plan, user);
  environ = plan->envp;
  execvp(plan->argv[0], plan->argv);
  child_fail("exec", plan->argv[0], errno);
}

const char *spawn(struct start_plan *plan, const struct user *user, struct spawned *out) {
  struct streams streams = {{-1, -1, -1, -1}, {-1, -1, -1, -1}};
  const char *failed = NULL;
  if (!make_pipe(&streams, 3, false)) failed = "start: pipe";
  else if (plan->tty && !make_terminal(plan, user, &streams)) failed = "pty";
  else if (!plan->tty && !make_pipes(plan, &streams)) failed = "start: pipe";
  env_complete(plan, user);
  pid_t pid = failed ? -1 : fork();
  if (pid == 0) child(plan, user, &streams);
  if (pid < 0 && !failed) failed = "start: fork";
  int error = errno;
  streams_close(streams.theirs);
  if (failed) streams_close(streams.ours);
  errno = error;
  *out = (struct spawned){pid, streams.ours[3], streams.ours[0], {streams.ours[1], streams.ours[2]}};
  return failed;
}
