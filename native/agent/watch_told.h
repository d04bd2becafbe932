/*
 * What a look into a new directory has told as created. The kernel's own report of it may still be in the queue and
 * would tell it twice.
 */
#ifndef CAISSON_WATCH_TOLD_H
#define CAISSON_WATCH_TOLD_H

#include <stdbool.h>
#include <stdint.h>

void watch_told_add(uint32_t stream, int number, const char *name);
/* Whether it was told by a look; asked once, for afterwards it may be created anew. */
bool watch_told_take(uint32_t stream, int number, const char *name);
/* The kernel's queue is empty. */
void watch_told_clear(void);

#endif
