/* Stops all processes of a sandbox where they are, and lets them go on. */
#ifndef CAISSON_LAUNCHER_FREEZER_H
#define CAISSON_LAUNCHER_FREEZER_H

#include "cgroup.h"

/* The hierarchy that can; NULL when there is none. */
const struct hierarchy *freezer_find(const struct cgroups *cgroups);
/* Returns when no process of the sandbox runs. A failure leaves them running. */
bool freezer_freeze(const struct cgroups *cgroups, const char *id, struct failure *failure);
/* Nothing to do for a sandbox that is not frozen or not there. */
bool freezer_thaw(const struct cgroups *cgroups, const char *id, struct failure *failure);
bool freezer_is_frozen(const struct cgroups *cgroups, const char *id);
/* Lets what was killed while it was frozen end; v2 does so by itself. */
void freezer_release(const struct cgroups *cgroups, const char *id);

#endif
