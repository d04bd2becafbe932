/* Clients of the launcher: bounded input, bounded output, no trust beyond the peer's uid. */
#ifndef CAISSON_LAUNCHER_CONNECTIONS_H
#define CAISSON_LAUNCHER_CONNECTIONS_H

#include "../shared/frame.h"
#include "host.h"
#include "launcher.gen.h"

struct connection {
  int fd;
  uint64_t serial;
  uint8_t *input;
  size_t input_length;
  size_t input_capacity;
  struct writer output;
  size_t sent;
};

struct connections {
  struct connection list[LAUNCHER_MAX_CONNECTIONS];
  size_t count;
  uint64_t last_serial;
};

typedef void (*frame_handler)(void *context, struct connection *connection, const struct frame *frame);

/* Binds the launcher's own socket. -1 with a failure. */
int connections_listen(const struct host *host, struct failure *failure);
/* Accepts one client and checks who it is; NULL when it was refused. */
struct connection *connections_accept(struct connections *connections, int listener, uid_t allow_uid);
/* False when the connection is over. */
bool connection_read(struct connection *connection, frame_handler handle, void *context);
bool connection_flush(struct connection *connection);
void connections_close(struct connections *connections, size_t index);
struct connection *connections_find(struct connections *connections, uint64_t serial);

#endif
