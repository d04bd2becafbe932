#include "listener.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"

static struct source listener = {.fd = -1};
static bool take_same_user;
static void (*come)(void);

static void listener_ready(struct source *source, uint32_t events) {
  (void)source;
  (void)events;
  come();
}

void listener_open(int fd, bool same_user, void (*ready)(void)) {
  take_same_user = same_user;
  come = ready;
  source_init(&listener, fd, listener_ready);
  source_want(&listener, EPOLLIN);
}

static bool peer_allowed(int fd) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size)) return false;
  return take_same_user ? peer.uid == geteuid() : peer.pid == 0;
}

int listener_accept(void) {
  int fd = accept4(listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0 || peer_allowed(fd)) return fd;
  close(fd);
  errno = EPERM;
  return -1;
}

static bool listens(void) {
  int listening = 0;
  socklen_t size = sizeof listening;
  return getsockopt(listener.fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening;
}

static bool give_up(void) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return false;
  source_want(&listener, 0);
  bool replaced = dup3(fd, listener.fd, O_CLOEXEC) >= 0;
  close(fd);
  if (!replaced) source_want(&listener, EPOLLIN);
  /* What comes back from disk belongs to the host's user namespace, and could not be put on disk a second time. */
  if (replaced) prctl(PR_SET_DUMPABLE, 1);
  return replaced;
}

bool listener_told(void) {
  if (!listens()) return false;
  if (listener.events) return give_up();
  prctl(PR_SET_DUMPABLE, 0);
  source_want(&listener, EPOLLIN);
  return false;
}
