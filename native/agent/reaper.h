#ifndef CAISSON_REAPER_H
#define CAISSON_REAPER_H

#include <stdbool.h>

/* Takes ended children, adopted ones included, and, unless the agent is PID 1, ends it and all of them on SIGTERM. */
void reaper_init(bool ends_on_sigterm);

#endif
