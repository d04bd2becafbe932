#define _GNU_SOURCE 1
#include "connections.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "../shared/protocol.gen.h"

/* A client that does not read its answers is dropped beyond this. */
enum { MAX_OUTPUT = 8 * 1024 * 1024, READ_SIZE = 65536 };

int connections_listen(const struct host *host, struct failure *failure) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(host->socket_path) >= sizeof address.sun_path) {
    fail(failure, ENAMETOOLONG, "socket", "%s", host->socket_path);
    return -1;
  }
  memcpy(address.sun_path, host->socket_path, strlen(host->socket_path));
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  mode_t mask = umask(0177);
  setfsgid(host->allow_uid);
  setfsuid(host->allow_uid);
  /* The lock of the data directory is held: a socket that is there is a dead launcher's. */
  (void)unlink(host->socket_path);
  bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 64) == 0;
  int error = errno;
  setfsuid(0);
  setfsgid(0);
  umask(mask);
  if (bound) return fd;
  fail(failure, error, "socket", "%s: %s", host->socket_path, strerror(error));
  return -1;
}

struct connection *connections_accept(struct connections *connections, int listener, uid_t allow_uid) {
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return NULL;
  struct ucred peer = {.uid = (uid_t)-1};
  socklen_t size = sizeof peer;
  bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
  if (!known || (peer.uid != 0 && peer.uid != allow_uid) || connections->count == LAUNCHER_MAX_CONNECTIONS) {
    log_line("a connection of uid %u was refused", peer.uid);
    close(fd);
    return NULL;
  }
  struct connection *connection = &connections->list[connections->count++];
  *connection = (struct connection){.fd = fd, .serial = ++connections->last_serial};
  return connection;
}

static bool reserve_input(struct connection *connection) {
  if (connection->input_capacity - connection->input_length >= READ_SIZE) return true;
  uint8_t *input = realloc(connection->input, connection->input_capacity + READ_SIZE);
  if (!input) return false;
  connection->input = input;
  connection->input_capacity += READ_SIZE;
  return true;
}

/* Hands over whole frames and keeps the rest, which is at most one frame: a longer one is malformed. */
static bool take_frames(struct connection *connection, frame_handler handle, void *context) {
  size_t at = 0;
  struct frame frame;
  size_t used;
  int parsed;
  while ((parsed = frame_parse(connection->input + at, connection->input_length - at, &frame, &used)) == 1) {
    handle(context, connection, &frame);
    at += used;
  }
  memmove(connection->input, connection->input + at, connection->input_length - at);
  connection->input_length -= at;
  return parsed == 0;
}

bool connection_read(struct connection *connection, frame_handler handle, void *context) {
  if (!reserve_input(connection)) return false;
  ssize_t got = read(connection->fd, connection->input + connection->input_length,
                     connection->input_capacity - connection->input_length);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  connection->input_length += (size_t)got;
  return take_frames(connection, handle, context);
}

bool connection_flush(struct connection *connection) {
  struct writer *output = &connection->output;
  while (connection->sent < output->length) {
    ssize_t written =
        send(connection->fd, output->data + connection->sent, output->length - connection->sent, MSG_NOSIGNAL);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && errno == EAGAIN) return output->length - connection->sent < MAX_OUTPUT;
    if (written < 0) return false;
    connection->sent += (size_t)written;
  }
  output->length = 0;
  connection->sent = 0;
  return !output->failed;
}

void connections_close(struct connections *connections, size_t index) {
  struct connection *connection = &connections->list[index];
  close(connection->fd);
  free(connection->input);
  writer_free(&connection->output);
  *connection = connections->list[--connections->count];
}

struct connection *connections_find(struct connections *connections, uint64_t serial) {
  for (size_t i = 0; i < connections->count; i++)
    if (connections->list[i].serial == serial) return &connections->list[i];
  return NULL;
}
