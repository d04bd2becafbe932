/* The one epoll loop: sources that become ready, and tasks that move a bounded amount of work per turn. */
#ifndef CAISSON_LOOP_H
#define CAISSON_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct source {
  int fd; /* -1: closed */
  uint32_t events;
  void (*ready)(struct source *source, uint32_t events);
};

void source_init(struct source *source, int fd, void (*ready)(struct source *, uint32_t));
/* Watches for `events`; 0 takes the source out, because epoll reports EPOLLHUP even to who waits for nothing. */
void source_want(struct source *source, uint32_t events);
/* Takes the source out, events already reported included, and closes its descriptor. Harmless when closed. */
void source_close(struct source *source);
/* As source_close, but hands the descriptor over instead of closing it. */
int source_release(struct source *source);

enum turn {
  TURN_DONE,  /* nothing left; the task may have freed itself */
  TURN_AGAIN, /* more to do at once, after the others had their turn */
  TURN_LATER, /* more to do, a moment later */
};

struct task {
  struct task *previous, *next;
  enum turn (*run)(struct task *task);
};

void task_init(struct task *task, enum turn (*run)(struct task *));
/* Queues the task unless it is queued. Senders run only while the connection takes bytes, workers always. */
void task_queue_sender(struct task *task);
void task_queue_worker(struct task *task);
void task_remove(struct task *task);

void loop_init(void);
/* One turn: waits when there is nothing to do, serves ready sources, gives every queued task one run. */
void loop_turn(void);

#endif
