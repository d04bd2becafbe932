/* What of a dump says whose it is: the ids and the name of its sandbox. */
#ifndef CAISSON_LAUNCHER_IDENTITY_H
#define CAISSON_LAUNCHER_IDENTITY_H

#include "plan.h"

/* Whether the image `name` is one of those. */
bool identity_has(const char *name);
/* Writes the image `name` of the dump `from` to `to`, as that of the sandbox of this plan. */
bool identity_write(int from, int to, const char *name, const struct plan *plan, struct failure *failure);

#endif
