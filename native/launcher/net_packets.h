/* The first packets that the router's table tells of: refused ones, and the first of each new connection. The table
   bounds their number per interface. */
#ifndef CAISSON_LAUNCHER_NET_PACKETS_H
#define CAISSON_LAUNCHER_NET_PACKETS_H

#include "util.h"

enum { PACKET_SNAPLEN = 128 };

/* `kind` is a PACKET_KIND_… of launcher.gen.h; `data` the beginning of an IP packet, a guest's bytes, at most PACKET_SNAPLEN. */
typedef void packet_handler(void *context, unsigned ifindex, unsigned kind, const uint8_t *data, size_t length);

/* Opens a non-blocking socket in the CURRENT network namespace, for poll; -1 with a failure. */
int packets_open(struct failure *failure);
/* Hands over what has come, a bounded number a call. `*lost` grows when the kernel had to drop some, which is no error. */
bool packets_read(int fd, packet_handler *handler, void *context, uint64_t *lost, struct failure *failure);

#endif
