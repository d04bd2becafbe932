#ifndef CAISSON_DISPATCH_H
#define CAISSON_DISPATCH_H

#include "frame.h"

/* Serves one frame from the host. What breaks the protocol breaks the connection. */
void dispatch(const struct frame *frame);
/* The frames that were read at once have been dispatched, and their bytes go. */
void dispatch_settle(void);

#endif
