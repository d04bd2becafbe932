/* What the host sends to one execution's stdin: queued, written as the program takes it, acknowledged as it is gone. */
#ifndef CAISSON_INPUT_H
#define CAISSON_INPUT_H

#include "loop.h"
#include "ring.h"

struct input {
  struct source source; /* our end of the pipe, or a duplicate of the terminal's master; closed: bytes are dropped */
  struct ring ring;     /* start = taken by the program, end = received */
  uint64_t acknowledged;
  bool closing; /* the host has sent all; the end follows the last byte */
  bool tty;
  bool line_open; /* the last byte was no newline, so that the terminal needs the end twice */
};

/* Takes a chunk from the host; false when it leaves a gap or overruns the window. */
bool input_receive(struct input *input, uint64_t offset, const uint8_t *data, size_t size);
void input_end(struct input *input);
/* Writes what can be written and closes a pipe that is done with. */
void input_flush(struct input *input);
/* Whether an ACK up to ring.start is worth sending. */
bool input_ack_due(const struct input *input);
void input_close(struct input *input);

#endif
