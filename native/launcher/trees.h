/* Trees that guests have written: nothing follows a link or leaves the file system. */
#ifndef CAISSON_LAUNCHER_TREES_H
#define CAISSON_LAUNCHER_TREES_H

#include "util.h"

/* Deletes `name` beneath the open directory `parent`, at any depth. Nothing to do when absent. */
bool tree_delete(int parent, const char *name, struct failure *failure);

#endif
