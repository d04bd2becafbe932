#include "execution.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "connection.h"
#include "discard.h"
#include "plan.h"
#include "spawn.h"
#include "tree.h"

static struct execution *table;
static size_t table_size;

static struct execution *find(const char *id) {
  for (struct execution *execution = table; execution; execution = execution->next)
    if (!strcmp(execution->id, id)) return execution;
  return NULL;
}

struct execution *execution_of_stream(uint32_t stream) {
  for (struct execution *execution = table; execution; execution = execution->next)
    if (execution->stream == stream) return execution;
  return NULL;
}

void executions_write_ids(struct writer *writer) {
  for (struct execution *execution = table; execution; execution = execution->next)
    writer_string(writer, FIELD_EXECUTION, execution->id);
}

static void table_add(struct execution *execution) {
  execution->next = table;
  if (table) table->previous = execution;
  table = execution;
  table_size++;
}

static void table_remove(struct execution *execution) {
  if (execution->previous)
    execution->previous->next = execution->next;
  else
    table = execution->next;
  if (execution->next) execution->next->previous = execution->previous;
  table_size--;
}

static bool all_read(const struct execution *execution) {
  return execution->outputs[0].fd < 0 && execution->outputs[1].fd < 0;
}

/* Reads from the program only while there is room, so that a program without a reader blocks and nothing is lost. */
static void watch_outputs(struct execution *execution) {
  uint32_t events = output_room(&execution->output) ? EPOLLIN : 0;
  for (int i = 0; i < 2; i++) source_want(&execution->outputs[i], events);
}

static bool read_chunk(struct execution *execution, int index) {
  struct source *source = &execution->outputs[index];
  if (source->fd < 0) return false;
  ssize_t got = output_read(&execution->output, source->fd, index == 1);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  /* A terminal says EIO, not end of file, once nobody has it open. */
  if (got <= 0) source_close(source);
  return got > 0;
}

static void output_ready(struct execution *execution, int index) {
  read_chunk(execution, index);
  watch_outputs(execution);
  task_queue_sender(&execution->sender);
}

#define OWNER(pointer, member) ((struct execution *)(void *)((char *)(pointer) - offsetof(struct execution, member)))

static void stdout_ready(struct source *source, uint32_t events) {
  (void)events;
  output_ready(OWNER(source, outputs[0]), 0);
}

static void stderr_ready(struct source *source, uint32_t events) {
  (void)events;
  output_ready(OWNER(source, outputs[1]), 1);
}

static void acknowledge_input(struct execution *execution) {
  if (!execution->stream || !input_ack_due(&execution->input)) return;
  execution->input.acknowledged = execution->input.ring.start;
  send_ack(execution->stream, execution->input.acknowledged);
}

static void stdin_ready(struct source *source, uint32_t events) {
  (void)events;
  struct execution *execution = OWNER(source, input.source);
  input_flush(&execution->input);
  acknowledge_input(execution);
}

static void send_started(struct execution *execution) {
  struct writer *writer = send_begin(FRAME_STARTED, execution->stream);
  writer_u64(writer, FIELD_PID, (uint64_t)execution->pid);
  writer_u64(writer, FIELD_OFFSET, execution->input.ring.end);
  send_end();
}

static void send_exit(struct execution *execution) {
  struct writer *writer = send_begin(FRAME_EXIT, execution->stream);
  if (WIFSIGNALED(execution->status))
    writer_u64(writer, FIELD_SIGNAL, (uint64_t)WTERMSIG(execution->status));
  else
    writer_u64(writer, FIELD_EXIT_CODE, (uint64_t)WEXITSTATUS(execution->status));
  writer_u64(writer, FIELD_CPU_USEC, execution->cpu_usec);
  writer_u64(writer, FIELD_MAX_RSS, execution->max_rss);
  send_end();
  execution->exit_sent = true;
}

static void send_closed(struct execution *execution) {
  writer_u64(send_begin(FRAME_OUTPUT_CLOSED, execution->stream), FIELD_OFFSET, execution->output.ring.end);
  send_end();
  execution->closed_sent = true;
}

static enum turn send_next(struct task *task) {
  struct execution *execution = OWNER(task, sender);
  struct output *output = &execution->output;
  if (!execution->stream || execution->state == EXECUTION_STARTING) return TURN_DONE;
  struct iovec pieces[2];
  bool is_stderr;
  int count = output_unsent(output, pieces, &is_stderr);
  if (count) {
    uint8_t flags = is_stderr ? FLAG_STDERR : 0;
    send_bulk(FRAME_OUTPUT, flags, execution->stream, output->sent, pieces, count);
    output->sent += pieces_size(pieces, count);
  }
  bool ended = execution->state == EXECUTION_ENDED && output->sent >= execution->end_offset;
  if (ended && !execution->exit_sent) send_exit(execution);
  if (output->sent < output->ring.end) return TURN_AGAIN;
  if (all_read(execution) && !execution->closed_sent) send_closed(execution);
  return TURN_DONE;
}

static void execution_free(struct execution *execution) {
  table_remove(execution);
  task_remove(&execution->sender);
  task_remove(&execution->killer);
  source_close(&execution->failure);
  input_close(&execution->input);
  for (int i = 0; i < 2; i++) source_close(&execution->outputs[i]);
  output_close(&execution->output);
  free(execution);
}

/* The child has reached exec, or told why not: then the execution is gone, and the answer is false. */
static bool learn_start(struct execution *execution) {
  struct spawn_failure failure;
  ssize_t got = read(execution->failure.fd, &failure, sizeof failure);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  source_close(&execution->failure);
  if (got == (ssize_t)sizeof failure) {
    failure.what[sizeof failure.what - 1] = 0;
    if (execution->stream) send_error(execution->stream, failure.error, "%s", failure.what);
    execution_free(execution);
    return false;
  }
  execution->state = EXECUTION_RUNNING;
  if (execution->stream) send_started(execution);
  task_queue_sender(&execution->sender);
  return true;
}

static void failure_ready(struct source *source, uint32_t events) {
  (void)events;
  learn_start(OWNER(source, failure));
}

static void follow(struct execution *execution, uint32_t stream, uint64_t offset) {
  if (offset > execution->output.ring.end) {
    send_error(stream, EINVAL, "attach: the output ends before that offset");
    return;
  }
  execution->stream = stream;
  execution->exit_sent = execution->closed_sent = false;
  execution->output.sent = execution->output.ring.end;
  output_acknowledge(&execution->output, offset);
  execution->output.sent = execution->output.ring.start;
  watch_outputs(execution);
  if (execution->state == EXECUTION_STARTING) return;
  send_started(execution);
  execution->input.acknowledged = execution->input.ring.start;
  if (execution->input.acknowledged) send_ack(stream, execution->input.acknowledged);
  task_queue_sender(&execution->sender);
}

static struct execution *execution_new(const struct start_plan *plan, uint32_t stream) {
  struct execution *execution = calloc(1, sizeof *execution);
  if (!execution) return NULL;
  memcpy(execution->id, plan->id, sizeof execution->id);
  execution->stream = stream;
  execution->tty = execution->input.tty = plan->tty;
  task_init(&execution->sender, send_next);
  task_init(&execution->killer, tree_kill_step);
  return execution;
}

static void adopt(struct execution *execution, const struct spawned *spawned) {
  execution->pid = spawned->pid;
  source_init(&execution->failure, spawned->failure, failure_ready);
  source_init(&execution->input.source, spawned->input, stdin_ready);
  source_init(&execution->outputs[0], spawned->outputs[0], stdout_ready);
  source_init(&execution->outputs[1], spawned->outputs[1], stderr_ready);
  table_add(execution);
  source_want(&execution->failure, EPOLLIN);
  watch_outputs(execution);
}

static void start_new(struct start_plan *plan, uint32_t stream) {
  struct user user;
  int error = user_find(plan->user, &user);
  if (error) {
    send_error(stream, error, "user %s", plan->user);
    return;
  }
  struct execution *execution = table_size < LIMIT_MAX_EXECUTIONS ? execution_new(plan, stream) : NULL;
  if (!execution) {
    send_error(stream, EAGAIN, "start: too many executions are held");
    return;
  }
  struct spawned spawned;
  const char *failed = spawn(plan, &user, &spawned);
  if (failed) {
    send_error(stream, errno, "%s", failed);
    free(execution);
    return;
  }
  adopt(execution, &spawned);
}

void execution_start(const struct frame *frame) {
  struct start_plan plan;
  int error = start_plan_parse(frame, &plan);
  if (error == PLAN_MALFORMED) {
    connection_break();
    return;
  }
  struct execution *held = error ? NULL : find(plan.id);
  if (error)
    send_error(frame->stream, error, "start: invalid arguments");
  else if (held)
    follow(held, frame->stream, plan.offset);
  else
    start_new(&plan, frame->stream);
  start_plan_free(&plan);
}

void execution_attach(const struct frame *frame) {
  struct attach_plan plan;
  int error = attach_plan_parse(frame, &plan);
  struct execution *execution = error ? NULL : find(plan.id);
  if (error == PLAN_MALFORMED)
    connection_break();
  else if (!execution)
    send_error(frame->stream, error ? error : ENOENT, "attach %s", plan.id);
  else
    follow(execution, frame->stream, plan.offset);
}

void execution_stdin(struct execution *execution, const struct frame *frame) {
  uint64_t offset;
  const uint8_t *data;
  size_t size;
  if (!bulk_parse(frame, &offset, &data, &size) || !input_receive(&execution->input, offset, data, size))
    connection_break();
  acknowledge_input(execution);
}

void execution_stdin_close(struct execution *execution) {
  input_end(&execution->input);
  acknowledge_input(execution);
}

void execution_signal(struct execution *execution, const struct frame *frame) {
  struct signal_plan plan;
  int error = signal_plan_parse(frame, &plan);
  if (error == PLAN_MALFORMED) {
    connection_break();
    return;
  }
  bool alive = execution->state != EXECUTION_ENDED;
  if (!error && plan.scope == 2) {
    tree_signal(execution, plan.signal);
    return;
  }
  if (!error && plan.scope == 1 && !alive)
    error = tree_signal_group(execution, plan.signal);
  else if (!error && !alive)
    error = ESRCH;
  /* Before exec the group may not exist yet; the leader is all there is. */
  else if (!error && kill(plan.scope && execution->state == EXECUTION_RUNNING ? -execution->pid : execution->pid, plan.signal))
    error = errno;
  if (error)
    send_error(frame->stream, error, "signal");
  else
    send_empty(FRAME_OK, frame->stream);
}

void execution_resize(struct execution *execution, const struct frame *frame) {
  struct winsize size;
  int error = resize_plan_parse(frame, &size);
  if (error == PLAN_MALFORMED) connection_break();
  /* Fails only once the terminal is gone, when its size no longer matters. */
  if (!error && execution->tty && execution->outputs[0].fd >= 0) ioctl(execution->outputs[0].fd, TIOCSWINSZ, &size);
}

void execution_acknowledge(struct execution *execution, const struct frame *frame) {
  uint64_t offset;
  const uint8_t *data;
  size_t size;
  bool valid = bulk_parse(frame, &offset, &data, &size) && !size;
  if (!valid || !output_acknowledge(&execution->output, offset)) {
    connection_break();
    return;
  }
  if (all_read(execution) && execution->output.ring.start == execution->output.ring.end)
    output_close(&execution->output);
  watch_outputs(execution);
}

void execution_forget(struct execution *execution) {
  for (int i = 0; i < 2; i++) discard_rest(&execution->outputs[i]);
  execution_free(execution);
}

void executions_detach(void) {
  for (struct execution *execution = table; execution; execution = execution->next) {
    execution->stream = 0;
    task_remove(&execution->sender);
  }
}

void execution_ended(pid_t pid, int status, const struct rusage *usage) {
  struct execution *execution = table;
  while (execution && (execution->pid != pid || execution->state == EXECUTION_ENDED)) execution = execution->next;
  if (!execution) return;
  execution->status = status;
  execution->cpu_usec = (uint64_t)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * 1000000 +
                        (uint64_t)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec);
  execution->max_rss = (uint64_t)usage->ru_maxrss * 1024;
  /* The pipe is at its end by now and tells whether there was a program at all. */
  if (execution->state == EXECUTION_STARTING && !learn_start(execution)) return;
  execution->state = EXECUTION_ENDED;
  /* What the program wrote before it ended goes out before its end does, as far as there is room. */
  for (int i = 0; i < 2; i++)
    while (read_chunk(execution, i)) continue;
  execution->end_offset = execution->output.ring.end;
  watch_outputs(execution);
  task_queue_sender(&execution->sender);
}
