/* Signals to everything an execution has started, also what has left its process group or its session. */
#ifndef CAISSON_TREE_H
#define CAISSON_TREE_H

#include "execution.h"

/* Answers on the execution's stream; SIGKILL after several turns, once nothing is left. */
void tree_signal(struct execution *execution, int signal);
/* To what is left of the process group after its leader ended; 0 or errno. */
int tree_signal_group(const struct execution *execution, int signal);
enum turn tree_kill_step(struct task *task);
/* Kills every descendant of the agent and waits for it, within bounds. */
void tree_end_all(void);

#endif
