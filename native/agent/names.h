/* The names of one directory, in order. However many there are, no single step takes long. */
#ifndef CAISSON_NAMES_H
#define CAISSON_NAMES_H

#include <stddef.h>
#include <stdint.h>

struct names {
  char *text;
  size_t text_length, text_capacity;
  uint32_t *at; /* where in the text each begins, in sorted runs */
  size_t count, capacity;
  uint32_t *heads; /* how much of each run is taken */
  size_t left;
};

/* 0; ENOMEM; E2BIG when the names of all directories that are being read would take too much memory. */
int names_add(struct names *names, const char *name);
/* All are added. 0 or ENOMEM. */
int names_seal(struct names *names);
/* The next in order; NULL at the end. */
const char *names_next(struct names *names);
void names_free(struct names *names);

#endif
