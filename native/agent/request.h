/* Requests that take more than one turn: transfers, listings, removals. They end with their connection. */
#ifndef CAISSON_REQUEST_H
#define CAISSON_REQUEST_H

#include "frame.h"
#include "loop.h"

/* First member of each kind of request. */
struct request {
  struct request *previous, *next;
  uint32_t stream;
  struct task task;
  void (*release)(struct request *request); /* gives back what the request holds, temporary files included */
  /* What the host may send on; NULL where it has nothing to say. */
  void (*data)(struct request *request, const struct frame *frame);
  void (*entry)(struct request *request, const struct frame *frame);
  void (*end)(struct request *request);
  void (*acknowledge)(struct request *request, const struct frame *frame);
};

/* A zeroed request of `size` bytes; NULL with errno EAGAIN when there are too many, or ENOMEM. */
void *request_new(size_t size, uint32_t stream, enum turn (*run)(struct task *), void (*release)(struct request *));
/* Releases and frees. The answer is the caller's. */
void request_end(struct request *request);
struct request *request_of_stream(uint32_t stream);
struct request *request_of_task(struct task *task);
/* Ends them all. */
void requests_cancel(void);

#endif
