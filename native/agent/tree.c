#include "tree.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "connection.h"
#include "processes.h"
#include "spawn.h"

/* Turns, about a millisecond each, for stopping everything first and for waiting until it is dead. */
#define STOP_ROUNDS 100
#define KILL_ROUNDS 2000

static const struct process *process_of(const struct processes *all, pid_t pid) {
  for (size_t i = 0; i < all->count; i++)
    if (all->list[i].pid == pid) return &all->list[i];
  return NULL;
}

/* Whether it is the execution's by itself; its children are then, whatever they look like. */
static bool belongs(const struct execution *execution, bool reused, const struct process *process) {
  char marker[sizeof EXECUTION_MARKER + sizeof execution->id];
  pid_t leader = execution->pid;
  if (!reused && (process->pid == leader || process->session == leader || process->group == leader)) return true;
  snprintf(marker, sizeof marker, EXECUTION_MARKER "=%s", execution->id);
  return process_has_variable(process, marker);
}

static int choose_children(struct processes *all) {
  int chosen = 0;
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t i = 0; i < all->count; i++) {
      struct process *process = &all->list[i];
      const struct process *parent = process->chosen ? NULL : process_of(all, process->parent);
      if (!parent || !parent->chosen) continue;
      changed = process->chosen = true;
      chosen++;
    }
  }
  return chosen;
}

/* Chooses the processes of the execution; how many there are, -1 when they cannot be listed. */
static int choose(const struct execution *execution, struct processes *all) {
  if (!processes_read(all)) return -1;
  /* A pid serves again only after its session and group are empty: then those numbers mean somebody else. */
  bool reused = execution->state == EXECUTION_ENDED && process_of(all, execution->pid);
  int chosen = 0;
  for (size_t i = 0; i < all->count; i++)
    if (belongs(execution, reused, &all->list[i])) chosen += all->list[i].chosen = true;
  return chosen + choose_children(all);
}

static int send_chosen(const struct processes *all, int signal) {
  int sent = 0;
  for (size_t i = 0; i < all->count; i++)
    if (all->list[i].chosen) sent += process_signal(&all->list[i], signal);
  return sent;
}

static void answer(const struct execution *execution, int error) {
  if (error)
    send_error(execution->stream, error, "signal");
  else
    send_empty(FRAME_OK, execution->stream);
}

void tree_signal(struct execution *execution, int signal) {
  if (signal == SIGKILL) {
    execution->kill_rounds = 0;
    execution->kill_found = execution->kill_stopped = false;
    task_queue_worker(&execution->killer);
    return;
  }
  struct processes all;
  int chosen = choose(execution, &all);
  int sent = chosen > 0 ? send_chosen(&all, signal) : 0;
  processes_free(&all);
  answer(execution, chosen < 0 ? EIO : sent ? 0 : ESRCH);
}

int tree_signal_group(const struct execution *execution, int signal) {
  struct processes all;
  if (!processes_read(&all)) return EIO;
  int sent = 0;
  for (size_t i = 0; !process_of(&all, execution->pid) && i < all.count; i++)
    if (all.list[i].group == execution->pid) sent += process_signal(&all.list[i], signal);
  processes_free(&all);
  return sent ? 0 : ESRCH;
}

/* Stops those that run still; whether there were any. What is stopped cannot fork out of reach. */
static bool stop_chosen(const struct processes *all) {
  bool any = false;
  for (size_t i = 0; i < all->count; i++) {
    const struct process *process = &all->list[i];
    if (process->chosen && process->state != 'T' && process->state != 't') any |= process_signal(process, SIGSTOP);
  }
  return any;
}

static bool kill_round(struct execution *execution, const struct processes *all, int chosen) {
  execution->kill_found |= chosen > 0;
  execution->kill_rounds++;
  if (!chosen || execution->kill_rounds > KILL_ROUNDS) return false;
  if (!execution->kill_stopped && stop_chosen(all) && execution->kill_rounds <= STOP_ROUNDS) return true;
  execution->kill_stopped = true;
  send_chosen(all, SIGKILL);
  return true;
}

enum turn tree_kill_step(struct task *task) {
  struct execution *execution = (struct execution *)(void *)((char *)task - offsetof(struct execution, killer));
  struct processes all;
  int chosen = choose(execution, &all);
  bool more = chosen >= 0 && kill_round(execution, &all, chosen);
  processes_free(&all);
  if (more) return TURN_LATER;
  if (execution->stream) answer(execution, chosen < 0 ? EIO : chosen ? EBUSY : execution->kill_found ? 0 : ESRCH);
  return TURN_DONE;
}

void tree_end_all(void) {
  for (int round = 0; round < KILL_ROUNDS; round++) {
    struct processes all;
    if (!processes_read(&all)) return;
    for (size_t i = 0; i < all.count; i++) process_signal(&all.list[i], SIGKILL);
    size_t left = all.count;
    processes_free(&all);
    while (waitpid(-1, NULL, WNOHANG) > 0) continue;
    if (!left) return;
    usleep(1000);
  }
}
