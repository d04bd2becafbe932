#include "output.h"

#include <errno.h>

#include "protocol.gen.h"

/* Bounds memory when stdout and stderr alternate byte by byte; a full table stops reading as a full ring does. */
#define MAX_MARKS 4096
#define MARKS_SIZE (MAX_MARKS * sizeof(uint64_t))

/* A mark is the run's end offset, with its lowest bit telling stderr. */
static uint64_t *mark_at(const struct output *output, uint32_t index) {
  uint64_t *table = (uint64_t *)(void *)(output->ring.data + LIMIT_WINDOW);
  return &table[(output->first_mark + index) % MAX_MARKS];
}

static uint64_t mark_end(const struct output *output, uint32_t index) { return *mark_at(output, index) >> 1; }

void output_close(struct output *output) { ring_close(&output->ring, MARKS_SIZE); }

size_t output_room(const struct output *output) {
  return output->marks == MAX_MARKS ? 0 : ring_room(&output->ring);
}

static void mark_grow(struct output *output, bool is_stderr) {
  uint64_t mark = output->ring.end << 1 | is_stderr;
  bool extends = output->marks && (*mark_at(output, output->marks - 1) & 1) == is_stderr;
  if (!extends) output->marks++;
  *mark_at(output, output->marks - 1) = mark;
}

ssize_t output_read(struct output *output, int fd, bool is_stderr) {
  if (!output_room(output) || !ring_open(&output->ring, MARKS_SIZE)) {
    errno = EAGAIN;
    return -1;
  }
  struct iovec pieces[2];
  int count = ring_free_pieces(&output->ring, LIMIT_MAX_CHUNK, pieces);
  ssize_t got = readv(fd, pieces, count);
  if (got > 0) {
    ring_grow(&output->ring, (size_t)got);
    mark_grow(output, is_stderr);
  }
  return got;
}

/* The first mark whose run reaches past `offset`. */
static uint32_t mark_of(const struct output *output, uint64_t offset) {
  uint32_t low = 0, high = output->marks;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (mark_end(output, middle) > offset)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

int output_unsent(const struct output *output, struct iovec pieces[2], bool *is_stderr) {
  if (output->sent == output->ring.end) return 0;
  uint32_t mark = mark_of(output, output->sent);
  uint64_t size = mark_end(output, mark) - output->sent;
  if (size > LIMIT_MAX_CHUNK) size = LIMIT_MAX_CHUNK;
  *is_stderr = *mark_at(output, mark) & 1;
  return ring_data_pieces(&output->ring, output->sent, (size_t)size, pieces);
}

bool output_acknowledge(struct output *output, uint64_t offset) {
  if (offset > output->sent) return false;
  ring_release(&output->ring, offset);
  while (output->marks && mark_end(output, 0) <= output->ring.start) {
    output->first_mark = (output->first_mark + 1) % MAX_MARKS;
    output->marks--;
  }
  if (!output->marks) output->first_mark = 0;
  return true;
}
