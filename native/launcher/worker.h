/* What a worker does, in a process of its own. */
#ifndef CAISSON_LAUNCHER_WORKER_H
#define CAISSON_LAUNCHER_WORKER_H

#include "jobs.h"

/* Does the job and writes its answer, which may be before the work's end. Closes the pipe. */
bool worker_run(const struct job *job, const struct host *host, int pipe);

#endif
