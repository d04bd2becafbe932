#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

void die(const char *what) {
  fprintf(stderr, "caisson-agent: %s: %s\n", what, strerror(errno));
  exit(1);
}

void random_bytes(void *out, size_t size) {
  unsigned char *at = out;
  while (size) {
    ssize_t got = getrandom(at, size, 0);
    if (got < 0 && errno != EINTR) die("getrandom");
    if (got <= 0) continue;
    at += got;
    size -= (size_t)got;
  }
}

void set_nonblocking(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK)) die("fcntl");
}

void close_fd(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}
