/* A stretch of a byte stream, from offset `start` to offset `end`, in a buffer of LIMIT_WINDOW bytes. */
#ifndef CAISSON_RING_H
#define CAISSON_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct ring {
  uint8_t *data; /* NULL until the first byte; `extra` bytes for the owner follow the LIMIT_WINDOW */
  uint64_t base; /* offset that lies at data[0]; moves to `end` whenever the ring is empty, so small use stays on one page */
  uint64_t start, end;
};

/* Maps the buffer unless it is there; false when memory is short. */
bool ring_open(struct ring *ring, size_t extra);
void ring_close(struct ring *ring, size_t extra);
size_t ring_room(const struct ring *ring);
/* Up to `max` free bytes as one or two pieces; returns how many pieces. Filled bytes count after ring_grow. */
int ring_free_pieces(struct ring *ring, size_t max, struct iovec pieces[2]);
void ring_grow(struct ring *ring, size_t size);
/* The `size` bytes at `offset`, which must be in the ring. */
int ring_data_pieces(const struct ring *ring, uint64_t offset, size_t size, struct iovec pieces[2]);
/* Copies bytes in, for which there must be room. */
void ring_put(struct ring *ring, const uint8_t *data, size_t size);
/* Forgets what is below `offset`. */
void ring_release(struct ring *ring, uint64_t offset);

#endif
