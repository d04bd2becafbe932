#include "discard.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "protocol.gen.h"

static void discard_ready(struct source *source, uint32_t events) {
  (void)events;
  static char nowhere[LIMIT_MAX_CHUNK];
  ssize_t got = read(source->fd, nowhere, sizeof nowhere);
  if (got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR))) return;
  source_close(source);
  free(source);
}

void discard_rest(struct source *source) {
  if (source->fd < 0) return;
  struct source *rest = malloc(sizeof *rest);
  if (!rest) return;
  int fd = source_release(source);
  source_init(rest, fd, discard_ready);
  source_want(rest, EPOLLIN);
}
