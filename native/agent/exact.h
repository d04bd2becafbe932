/* What a tree keeps beside names, modes and times when it is read and written as it is. */
#ifndef CAISSON_EXACT_H
#define CAISSON_EXACT_H

#include <limits.h>
#include <stddef.h>
#include <sys/stat.h>

#include "frame.h"
#include "plan.h"
#include "tree_base.h"

/* Adds the attributes and, where it has several names, the identity of `name` to the ENTRY that is being written. */
void exact_describe(struct writer *writer, const struct stat *info, int directory, const char *name, uint64_t *skipped);

/* The attributes of an entry that is being written, kept until its file is there. */
struct exact_xattrs {
  uint8_t *payload; /* of its frame; NULL: it has none */
  uint32_t length;
};

/* Replaces what was kept by what the frame has. 0 or errno. */
int exact_keep(struct exact_xattrs *kept, const struct frame *frame);
void exact_free(struct exact_xattrs *kept);

/* Gives an open file its owner, then its mode, then its attributes: each clears what comes later. 0 or errno. */
int exact_apply(int fd, const struct entry_plan *entry, const struct exact_xattrs *kept, uint64_t *lost);
/* The owner alone, of what cannot be opened. */
int exact_own(int directory, const char *name, const struct entry_plan *entry);

/*
 * Makes the directory `last`, in the place of what is none, or takes the one that is there. Its mode and time are the
 * caller's, at the end. 0 or errno.
 */
int exact_directory(int parent, const char *last, const struct entry_plan *entry, const struct exact_xattrs *kept,
                    uint64_t *lost);
/* Makes the entry a second name of its target; its parent is entered, `last` its own component. 0 or errno. */
int exact_link(struct tree_base *base, const struct entry_plan *entry, char last[NAME_MAX + 1], const char *ending);

#endif
