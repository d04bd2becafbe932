/* Programs that the host started: their streams, what became of them, and the table of those held. */
#ifndef CAISSON_EXECUTION_H
#define CAISSON_EXECUTION_H

#include <sys/resource.h>

#include "frame.h"
#include "input.h"
#include "loop.h"
#include "output.h"
#include "protocol.gen.h"

enum execution_state { EXECUTION_STARTING, EXECUTION_RUNNING, EXECUTION_ENDED };

struct execution {
  struct execution *previous, *next;
  char id[LIMIT_MAX_ID + 1];
  uint32_t stream; /* 0: the host does not follow it now */
  enum execution_state state;
  pid_t pid; /* of the leader; also its process group and session */
  bool tty;

  struct source failure; /* closed by a successful exec, else tells what failed */
  struct source outputs[2]; /* stdout or the terminal; stderr */
  struct output output;
  struct input input;

  int status; /* as of wait4 */
  uint64_t cpu_usec, max_rss;
  uint64_t end_offset; /* output that had come when the leader ended */
  bool exit_sent, closed_sent;

  struct task sender;
  struct task killer; /* an operation on the whole tree, under way */
  int kill_rounds;
  bool kill_found, kill_stopped;
};

/* Requests of the host; they answer by themselves. */
void execution_start(const struct frame *frame);
void execution_attach(const struct frame *frame);
void execution_stdin(struct execution *execution, const struct frame *frame);
void execution_stdin_close(struct execution *execution);
void execution_signal(struct execution *execution, const struct frame *frame);
void execution_resize(struct execution *execution, const struct frame *frame);
void execution_acknowledge(struct execution *execution, const struct frame *frame);
void execution_forget(struct execution *execution);

struct execution *execution_of_stream(uint32_t stream);
void executions_write_ids(struct writer *writer);
/* The connection is gone; the programs go on. */
void executions_detach(void);
/* The process `pid` was reaped. */
void execution_ended(pid_t pid, int status, const struct rusage *usage);

#endif
