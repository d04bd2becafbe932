/* Addresses that a sandbox has had: processes that come from a dump find them at its loopback interface for a moment,
   because a socket that is bound to one could not be made otherwise. */
#ifndef CAISSON_LAUNCHER_LOOPBACK_H
#define CAISSON_LAUNCHER_LOOPBACK_H

#include "util.h"

/* All that the calling process' network namespace has, but for the loopback's own, separated by spaces. */
void loopback_list(struct text *out);
/* Makes the loopback interface ready, with these addresses and a way to everywhere. */
bool loopback_take(const char *addresses, struct failure *failure);
/* Takes them away again; connections from them, which nobody will ever answer, end. */
bool loopback_release(const char *addresses, struct failure *failure);

#endif
