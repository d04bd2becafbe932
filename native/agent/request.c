#include "request.h"

#include <errno.h>
#include <stdlib.h>

#include "protocol.gen.h"

static struct request *table;
static size_t table_size;

void *request_new(size_t size, uint32_t stream, enum turn (*run)(struct task *), void (*release)(struct request *)) {
  if (table_size >= LIMIT_MAX_REQUESTS) {
    errno = EAGAIN;
    return NULL;
  }
  struct request *request = calloc(1, size);
  if (!request) return NULL;
  request->stream = stream;
  request->release = release;
  task_init(&request->task, run);
  request->next = table;
  if (table) table->previous = request;
  table = request;
  table_size++;
  return request;
}

void request_end(struct request *request) {
  if (request->previous)
    request->previous->next = request->next;
  else
    table = request->next;
  if (request->next) request->next->previous = request->previous;
  table_size--;
  task_remove(&request->task);
  request->release(request);
  free(request);
}

struct request *request_of_stream(uint32_t stream) {
  for (struct request *request = table; request; request = request->next)
    if (request->stream == stream) return request;
  return NULL;
}

struct request *request_of_task(struct task *task) {
  return (struct request *)(void *)((char *)task - offsetof(struct request, task));
}

void requests_cancel(void) {
  while (table) request_end(table);
}
