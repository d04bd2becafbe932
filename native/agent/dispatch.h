#ifndef CAISSON_DISPATCH_H
#define CAISSON_DISPATCH_H

#include "frame.h"

/* Serves one frame from the host. What breaks the protocol breaks the connection. */
void dispatch(const struct frame *frame);

#endif
