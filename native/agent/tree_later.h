/* Modes and times of directories that a tree made, given when everything is in them: they would forbid it, or change. */
#ifndef CAISSON_TREE_LATER_H
#define CAISSON_TREE_LATER_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "plan.h"

struct tree_later {
  struct tree_later *next;
  mode_t mode;
  bool with_mtime;
  struct timespec mtime;
  char name[];
};

struct tree_laters {
  struct tree_later *first; /* the last one made, so that what lies deeper comes first */
  size_t memory;
  bool all; /* each directory is remembered, as many as an exact tree may have */
};

/* The mode to make the directory with: one that its owner can write into until the end, when that can be remembered. */
mode_t tree_later_add(struct tree_laters *laters, const struct entry_plan *entry, mode_t mode);
/* Forgets the first one. */
void tree_later_pop(struct tree_laters *laters);
/* Gives the first one, called `last` in the open directory `parent`, what it is to have. 0 or errno. */
int tree_later_apply(const struct tree_later *later, int parent, const char *last);
void tree_laters_free(struct tree_laters *laters);

#endif
