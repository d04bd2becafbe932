/* The agent's descendants, as /proc shows them at one moment. */
#ifndef CAISSON_PROCESSES_H
#define CAISSON_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct process {
  pid_t pid, parent, group, session;
  unsigned long long started; /* tells a process from a later one of the same pid */
  char state;
  uid_t uid;
  gid_t gid;
  bool chosen;
};

struct processes {
  struct process *list;
  size_t count;
};

/* Lists the living descendants of the agent, without zombies; false when /proc cannot be read. */
bool processes_read(struct processes *out);
void processes_free(struct processes *processes);
/* Whether its initial environment holds NAME=value. False where the process hides it. */
bool process_has_variable(const struct process *process, const char *variable);
/* Signals the very process that was listed; false when it is gone. */
bool process_signal(const struct process *process, int signal);

#endif
