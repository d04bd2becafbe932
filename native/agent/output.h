/* The interleaved output of one execution: held until it is acknowledged, each run of bytes marked stdout or stderr. */
#ifndef CAISSON_OUTPUT_H
#define CAISSON_OUTPUT_H

#include "ring.h"

struct output {
  struct ring ring;    /* start = acknowledged, end = read from the program */
  uint64_t sent;       /* on the present connection */
  uint32_t first_mark; /* runs, oldest first, in a table behind the ring */
  uint32_t marks;
};

void output_close(struct output *output);
/* Bytes that may be read from the program now. */
size_t output_room(const struct output *output);
/* Reads at most one chunk. Bytes read; 0: end; -1: errno, EAGAIN when there is nothing or no room. */
ssize_t output_read(struct output *output, int fd, bool is_stderr);
/* The next unsent bytes of one run, at most a chunk; returns the number of pieces, 0 when all is sent. */
int output_unsent(const struct output *output, struct iovec pieces[2], bool *is_stderr);
/* False when more is acknowledged than was sent. */
bool output_acknowledge(struct output *output, uint64_t offset);

#endif
