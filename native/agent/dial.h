#ifndef CAISSON_DIAL_H
#define CAISSON_DIAL_H

#include "frame.h"

/* Serves a request for a connection to a port of the sandbox's own loopback. */
void dial(const struct frame *frame);

#endif
