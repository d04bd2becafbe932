/* Mounts of a sandbox that come from outside it: a dump names them, a restore brings others in their place. */
#ifndef CAISSON_LAUNCHER_EXTERNALS_H
#define CAISSON_LAUNCHER_EXTERNALS_H

#include "criu.h"

/* Names those that the init of a sandbox has. */
bool externals_of_dump(struct criu *criu, pid_t init, struct failure *failure);
/* Makes, in the staging directory, those that a start of crun has not: files and directories that hide something. */
bool externals_make(struct failure *failure);
/* Brings all of them. */
void externals_of_restore(struct criu *criu, const struct host *host);

#endif
