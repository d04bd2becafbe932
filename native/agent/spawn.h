/* From a plan to a running child with its pipes or its terminal. */
#ifndef CAISSON_SPAWN_H
#define CAISSON_SPAWN_H

#include <sys/types.h>

#include "plan.h"

/* Environment variable that holds the id of the execution a process descends from. */
#define EXECUTION_MARKER "CAISSON_EXECUTION"

/* Our ends, all close-on-exec and non-blocking; -1 where there is none. */
struct spawned {
  pid_t pid;
  int failure;    /* end of file: the program runs; otherwise one struct spawn_failure */
  int input;
  int outputs[2]; /* stdout or the terminal; stderr */
};

/* `what` begins with the step that failed: user, cwd, exec or start. */
struct spawn_failure {
  int error;
  char what[256];
};

/* Remembers limits that the agent raises for itself and its children should not see. */
void spawn_init(void);
/* NULL, or what failed, with errno. */
const char *spawn(struct start_plan *plan, const struct user *user, struct spawned *out);

#endif
