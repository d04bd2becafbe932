#define _GNU_SOURCE 1
#include "agent_socket.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* An agent that computes for others takes a signal at its next turn. */
enum { GIVE_UP_USEC = 3000000, PAUSE_USEC = 200, BACKLOG = 8 };

/* Made with the server's ids, so that it alone may connect even when it is not root. */
static bool bind_listen(const struct host *host, const char *id, int fd, struct failure *failure) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s.sock", host->run, id);
  char *name = strrchr(address.sun_path, '/') + 1;
  if (unlinkat(host->run, name, 0) < 0 && errno != ENOENT)
    fail(failure, errno, "socket", "%s: %s", name, strerror(errno));
  mode_t mask = umask(0177);
  setfsgid(host->allow_uid);
  setfsuid(host->allow_uid);
  bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, BACKLOG) == 0;
  int error = errno;
  setfsuid(0);
  setfsgid(0);
  umask(mask);
  return bound || fail(failure, error, "socket", "%s: %s", name, strerror(error));
}

int agent_socket_listen(const struct host *host, const char *id, struct failure *failure) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  bind_listen(host, id, fd, failure);
  return fd;
}

static int take(int pidfd) { return (int)syscall(SYS_pidfd_getfd, pidfd, AGENT_FD, 0); }

/* 1, 0, or -1 when it is no socket of an agent. */
static int listens(int fd) {
  int domain = 0;
  int listening = 0;
  socklen_t size = sizeof domain;
  if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 || domain != AF_UNIX) return -1;
  size = sizeof listening;
  return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0 ? -1 : listening != 0;
}

static int agent_listens(int pidfd) {
  cleanup_fd int fd = take(pidfd);
  return listens(fd);
}

bool agent_socket_give_up(int pidfd, struct failure *failure) {
  int state = agent_listens(pidfd);
  if (state == 1 && pidfd_send_signal(pidfd, SIGTERM, NULL, 0) < 0)
    return fail(failure, errno, "agent", "%s", strerror(errno));
  for (uint64_t until = now_usec() + GIVE_UP_USEC; state == 1 && now_usec() < until;) {
    nanosleep(&(struct timespec){.tv_nsec = PAUSE_USEC * 1000}, NULL);
    state = agent_listens(pidfd);
  }
  if (state == 0) return true;
  return fail(failure, ETIMEDOUT, "agent", "the agent does not give up its socket: it is of an earlier version, or hangs");
}

bool agent_socket_mend(const struct host *host, const char *id, int pidfd, struct failure *failure) {
  cleanup_fd int fd = take(pidfd);
  int state = listens(fd);
  if (state < 0) return fail(failure, errno, "agent", "%s has no agent", id);
  if (state == 1) return true;
  if (!bind_listen(host, id, fd, failure)) return false;
  return pidfd_send_signal(pidfd, SIGTERM, NULL, 0) == 0 || fail(failure, errno, "agent", "%s", strerror(errno));
}
