#ifndef CAISSON_DISCARD_H
#define CAISSON_DISCARD_H

#include "loop.h"

/* Takes the descriptor over and reads it to its end, so that whoever still writes to it lives on undisturbed. */
void discard_rest(struct source *source);

#endif
