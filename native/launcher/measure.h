/* Counts what is in a tree that nobody changes meanwhile. */
#ifndef CAISSON_LAUNCHER_MEASURE_H
#define CAISSON_LAUNCHER_MEASURE_H

#include "util.h"

struct measure {
  /* Of regular files, by their sizes; a file with several names counts once. */
  uint64_t bytes;
  /* Everything beneath the top, by name. */
  uint64_t entries;
};

/* Follows no link, at any depth. False with errno. */
bool measure_tree(int parent, const char *name, struct measure *measure);

#endif
