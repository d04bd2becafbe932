/* The agent: PID 1 of a sandbox, or a child subreaper where the sandbox has no pid namespace. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connection.h"
#include "loop.h"
#include "protocol.gen.h"
#include "reaper.h"
#include "spawn.h"
#include "users.h"
#include "util.h"

struct options {
  int listen_fd;
  bool subreaper;
};

static _Noreturn void usage(void) {
  fputs("usage: agent --listen-fd N [--subreaper]\n       agent --version\n", stderr);
  exit(2);
}

static struct options parse_options(int argc, char **argv) {
  struct options options = {.listen_fd = -1};
  for (int i = 1; i < argc; i++) {
    if (!strcmp(argv[i], "--version")) {
      printf("caisson-agent %s, protocol generation %d\n", AGENT_VERSION, PROTOCOL_GENERATION);
      exit(0);
    }
    if (!strcmp(argv[i], "--subreaper")) {
      options.subreaper = true;
    } else if (!strcmp(argv[i], "--listen-fd") && i + 1 < argc) {
      char *end;
      long fd = strtol(argv[++i], &end, 10);
      if (*end || fd < 3 || fd > 65535) usage();
      options.listen_fd = (int)fd;
    } else {
      usage();
    }
  }
  if (options.listen_fd < 0) usage();
  return options;
}

static void check_listener(int fd) {
  int listening = 0;
  socklen_t size = sizeof listening;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size)) die("--listen-fd");
  if (!listening) {
    errno = EINVAL;
    die("--listen-fd: not a listening socket");
  }
  if (fcntl(fd, F_SETFD, FD_CLOEXEC)) die("fcntl");
  set_nonblocking(fd);
}

/* Descriptors 0 to 2 are taken from here on, so that a child's streams never collide with anything of ours. */
static void fill_streams(void) {
  int fd;
  do fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd < 3);
  if (fd < 0) die("open /dev/null");
  close(fd);
}

int main(int argc, char **argv) {
  struct options options = parse_options(argc, argv);
  fill_streams();
  check_listener(options.listen_fd);
  umask(0);
  if (prctl(PR_SET_DUMPABLE, 0)) die("prctl PR_SET_DUMPABLE");
  if (options.subreaper && prctl(PR_SET_CHILD_SUBREAPER, 1)) die("prctl PR_SET_CHILD_SUBREAPER");
  credentials_init();
  spawn_init();
  loop_init();
  reaper_init(options.subreaper);
  connection_listen(options.listen_fd, options.subreaper);
  for (;;) loop_turn();
}
