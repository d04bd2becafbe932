#include "reaper.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "connection.h"
#include "execution.h"
#include "loop.h"
#include "tree.h"
#include "util.h"

/* A fork bomb makes children faster than they can be taken; the others get their turn all the same. */
#define PER_TURN 256

static bool leave_on_sigterm;

static enum turn reap(struct task *task) {
  (void)task;
  for (int i = 0; i < PER_TURN; i++) {
    int status;
    struct rusage usage;
    pid_t pid = wait4(-1, &status, WNOHANG, &usage);
    if (pid <= 0) return TURN_DONE;
    execution_ended(pid, status, &usage);
  }
  return TURN_AGAIN;
}

static struct task reaper = {.run = reap};

/* Whoever is in our pid namespace has a number in it, and nobody can send a signal in the name of another. */
static bool from_outside(const struct signalfd_siginfo *info) { return info->ssi_code == SI_USER && info->ssi_pid == 0; }

static void signal_ready(struct source *source, uint32_t events) {
  (void)events;
  struct signalfd_siginfo info;
  while (read(source->fd, &info, sizeof info) == (ssize_t)sizeof info) {
    if (info.ssi_signo == SIGTERM && leave_on_sigterm) {
      tree_end_all();
      exit(0);
    }
    if (info.ssi_signo == SIGTERM && from_outside(&info)) connection_told();
  }
  task_queue_worker(&reaper);
}

static bool is_ignored(int number) {
  switch (number) {
    case SIGCHLD: /* taken by signalfd; ignoring it would lose exit statuses */
    case SIGKILL:
    case SIGSTOP:
    case SIGSEGV: /* a broken agent ends */
    case SIGBUS:
    case SIGILL:
    case SIGFPE:
    case SIGABRT: return false;
    default: return true;
  }
}

void reaper_init(bool ends_on_sigterm) {
  static struct source signals;
  leave_on_sigterm = ends_on_sigterm;
  for (int number = 1; number < NSIG; number++)
    /* Refused only for the numbers that the C library keeps to itself. */
    if (is_ignored(number)) signal(number, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGTERM);
  if (sigprocmask(SIG_BLOCK, &set, NULL)) die("sigprocmask");
  int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (fd < 0) die("signalfd");
  source_init(&signals, fd, signal_ready);
  source_want(&signals, EPOLLIN);
}
