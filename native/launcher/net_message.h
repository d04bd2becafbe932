/* Netlink requests: built one behind the other, sent in one call, each answer read. */
#ifndef CAISSON_LAUNCHER_NET_MESSAGE_H
#define CAISSON_LAUNCHER_NET_MESSAGE_H

#include "util.h"

struct nlmsghdr;

/* Requests that go to the kernel together. Errors stick: batch_send tells the first one. */
struct batch {
  int socket;
  size_t count;
  /* What each request does, for the failure's text; and an error that is as good as success. */
  struct {
    const char *step;
    int tolerated;
  } requests[24];
  size_t length;
  bool failed;
  uint8_t data[4096] __attribute__((aligned(4)));
};

/* A route socket of the calling process' network namespace. -1 with a failure. */
int route_socket(struct failure *failure);

struct batch batch_on(int socket);
/* Begins a request whose fixed part is `body`; `tolerated` is an errno or 0. @returns what batch_end takes. */
size_t batch_begin(struct batch *batch, uint16_t type, uint16_t flags, const void *body, size_t size,
                   const char *step, int tolerated);
void batch_end(struct batch *batch, size_t start);
/* Adds an attribute; one that holds others is ended by batch_end_nested with what this returned. */
size_t batch_attribute(struct batch *batch, uint16_t type, const void *data, size_t size);
void batch_u32(struct batch *batch, uint16_t type, uint32_t value);
void batch_text(struct batch *batch, uint16_t type, const char *text);
void batch_end_nested(struct batch *batch, size_t start);
/* Sends what was gathered, in order, and reads every answer. */
bool batch_send(struct batch *batch, struct failure *failure);

typedef void (*message_visitor)(void *context, const struct nlmsghdr *header);
/* Sends the batch's one request, which is a question, and visits what answers it. `dump`: a list. */
bool batch_ask(struct batch *batch, bool dump, message_visitor visit, void *context, struct failure *failure);
/* Copies an attribute behind a message's fixed part of `size` bytes; false when it is absent or larger than `room`. */
bool message_attribute(const struct nlmsghdr *header, size_t size, uint16_t type, void *out, size_t room);

#endif
