/* Addresses that a sandbox has had: processes that come from a dump find them at its loopback interface for a moment,
   because a socket that is bound to one could not be made otherwise. */
#ifndef CAISSON_LAUNCHER_LOOPBACK_H
#define CAISSON_LAUNCHER_LOOPBACK_H

#include "util.h"

/* All that the calling process' network namespace has, and sockets that are left of networks that it has had, separated
   by spaces; not the loopback's own. */
void loopback_list(struct text *out);
/* Makes the loopback interface ready, with these addresses and a way to everywhere. */
bool loopback_take(const char *addresses, struct failure *failure);
/* Takes them away again; connections from them, which nobody will ever answer, end. */
bool loopback_release(const char *addresses, struct failure *failure);

#endif
