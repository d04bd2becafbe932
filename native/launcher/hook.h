/* What is done at certain moments of a dump or a restore: criu runs the launcher's program then, as its "action script". */
#ifndef CAISSON_LAUNCHER_HOOK_H
#define CAISSON_LAUNCHER_HOOK_H

/* Set by criu. */
#define HOOK_ACTION "CRTOOLS_SCRIPT_ACTION"
#define HOOK_INIT "CRTOOLS_INIT_PID"
/* Set by us. Directories are open ones of the worker that waits, as /proc/<pid>/fd/<n>. */
#define HOOK_DUMPS "CAISSON_DUMPS"
#define HOOK_DUMP "CAISSON_DUMP"
/* Present: the dump must survive a power cut. */
#define HOOK_DURABLE "CAISSON_DURABLE"
/* The root to save, and as what. */
#define HOOK_ROOT "CAISSON_ROOT"
#define HOOK_SAVES "CAISSON_SAVES"
#define HOOK_SAVE "CAISSON_SAVE"
/* Addresses that processes may have bound sockets to, separated by spaces. */
#define HOOK_ADDRESSES "CAISSON_ADDRESSES"
/* Where, beside the images, the hook says why it failed. */
#define HOOK_REASON "hook.reason"
/* While a dump is being written its name ends so. No id has a full stop. */
#define DUMP_UNFINISHED ".part"

/* @returns the exit status; criu fails when it is not 0. */
int hook_run(const char *action);

#endif
