/* The one connection to the host: accepted, replaced by the next, read into frames, written without blocking. */
#ifndef CAISSON_CONNECTION_H
#define CAISSON_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "frame.h"

/*
 * Serves the listening socket. Peers inside the agent's own pid namespace are refused, because the host has no pid
 * there; with `same_user`, for an agent without a namespace of its own, peers of its own user are taken.
 */
void connection_listen(int fd, bool same_user);
/* The host speaks by a signal: listener.h. Without the socket there is no connection either. */
void connection_told(void);
/* Whether bulk bytes may be sent: there is a host, and it takes what it is sent. */
bool connection_clear(void);
/* The host broke the protocol; the connection ends at the end of the turn. */
void connection_break(void);
/* Sends what was collected during the turn, closes a broken connection. */
void connection_settle(void);

/* One frame: writer_* calls between begin and end. Without a connection it goes nowhere. */
struct writer *send_begin(uint8_t type, uint32_t stream);
void send_end(void);
void send_empty(uint8_t type, uint32_t stream);
void send_ack(uint32_t stream, uint64_t offset);
__attribute__((format(printf, 3, 4))) void send_error(uint32_t stream, int error, const char *format, ...);
/* Bulk bytes in one or two pieces, at most a chunk; sent from where they are when the socket takes them. */
void send_bulk(uint8_t type, uint8_t flags, uint32_t stream, uint64_t offset, struct iovec pieces[2], int count);
size_t pieces_size(const struct iovec *pieces, int count);

#endif
