#include "loop.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "connection.h"
#include "util.h"

#define BATCH 64

static int epoll = -1;
static struct epoll_event batch[BATCH];
static int batch_at, batch_end;
static struct task senders = {&senders, &senders, NULL};
static struct task workers = {&workers, &workers, NULL};
static bool sooner, later;

void loop_init(void) {
  epoll = epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) die("epoll_create1");
}

void source_init(struct source *source, int fd, void (*ready)(struct source *, uint32_t)) {
  *source = (struct source){.fd = fd, .ready = ready};
}

void source_want(struct source *source, uint32_t events) {
  if (source->fd < 0 || source->events == events) return;
  int change = !events ? EPOLL_CTL_DEL : source->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  struct epoll_event event = {.events = events, .data.ptr = source};
  /* Only want of memory makes this fail on a descriptor of ours, and then nothing could go on. */
  if (epoll_ctl(epoll, change, source->fd, &event)) die("epoll_ctl");
  source->events = events;
}

int source_release(struct source *source) {
  /* Taken out by hand: a child between fork and exec still has the descriptor, so closing ours would not do it. */
  source_want(source, 0);
  for (int i = batch_at; i < batch_end; i++)
    if (batch[i].data.ptr == source) batch[i].data.ptr = NULL;
  int fd = source->fd;
  source->fd = -1;
  return fd;
}

void source_close(struct source *source) {
  int fd = source_release(source);
  if (fd >= 0) close(fd);
}

void task_init(struct task *task, enum turn (*run)(struct task *)) { *task = (struct task){.run = run}; }

static void task_queue(struct task *queue, struct task *task) {
  if (task->next) return;
  task->next = queue;
  task->previous = queue->previous;
  task->previous->next = task;
  queue->previous = task;
}

void task_queue_sender(struct task *task) { task_queue(&senders, task); }
void task_queue_worker(struct task *task) { task_queue(&workers, task); }

void task_remove(struct task *task) {
  if (!task->next) return;
  task->previous->next = task->next;
  task->next->previous = task->previous;
  task->next = task->previous = NULL;
}

static void run_once(struct task *queue, struct task *task) {
  task_remove(task);
  enum turn turn = task->run(task);
  if (turn == TURN_DONE) return;
  if (turn == TURN_AGAIN) sooner = true;
  if (turn == TURN_LATER) later = true;
  task_queue(queue, task);
}

/* Each task that is queued now runs once; those that they queue wait for the next turn. */
static void run_queue(struct task *queue, bool (*may)(void)) {
  static struct task mark;
  task_queue(queue, &mark);
  while (queue->next != &mark && (!may || may())) run_once(queue, queue->next);
  task_remove(&mark);
}

static int wait_time(void) {
  if (sooner || (senders.next != &senders && connection_clear())) return 0;
  return later ? 1 : -1;
}

void loop_turn(void) {
  int timeout = wait_time();
  sooner = later = false;
  int count = epoll_wait(epoll, batch, BATCH, timeout);
  if (count < 0 && errno != EINTR) die("epoll_wait");
  batch_end = count < 0 ? 0 : count;
  for (batch_at = 0; batch_at < batch_end;) {
    struct epoll_event event = batch[batch_at++];
    struct source *source = event.data.ptr;
    if (source) source->ready(source, event.events);
  }
  run_queue(&workers, NULL);
  run_queue(&senders, connection_clear);
  connection_settle();
}
