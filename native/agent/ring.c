#include "ring.h"

#include <string.h>
#include <sys/mman.h>

#include "protocol.gen.h"

bool ring_open(struct ring *ring, size_t extra) {
  if (ring->data) return true;
  void *data =
      mmap(NULL, LIMIT_WINDOW + extra, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) return false;
  ring->data = data;
  return true;
}

void ring_close(struct ring *ring, size_t extra) {
  if (ring->data) munmap(ring->data, LIMIT_WINDOW + extra);
  ring->data = NULL;
}

size_t ring_room(const struct ring *ring) { return LIMIT_WINDOW - (size_t)(ring->end - ring->start); }

static int pieces_at(const struct ring *ring, uint64_t offset, size_t size, struct iovec pieces[2]) {
  size_t at = (size_t)((offset - ring->base) % LIMIT_WINDOW);
  size_t first = size < LIMIT_WINDOW - at ? size : LIMIT_WINDOW - at;
  pieces[0] = (struct iovec){ring->data + at, first};
  pieces[1] = (struct iovec){ring->data, size - first};
  return size > first ? 2 : 1;
}

int ring_free_pieces(struct ring *ring, size_t max, struct iovec pieces[2]) {
  size_t room = ring_room(ring);
  return pieces_at(ring, ring->end, room < max ? room : max, pieces);
}

void ring_grow(struct ring *ring, size_t size) { ring->end += size; }

int ring_data_pieces(const struct ring *ring, uint64_t offset, size_t size, struct iovec pieces[2]) {
  return pieces_at(ring, offset, size, pieces);
}

void ring_put(struct ring *ring, const uint8_t *data, size_t size) {
  struct iovec pieces[2];
  int count = ring_free_pieces(ring, size, pieces);
  for (int i = 0; i < count; i++) {
    memcpy(pieces[i].iov_base, data, pieces[i].iov_len);
    data += pieces[i].iov_len;
  }
  ring_grow(ring, size);
}

void ring_release(struct ring *ring, uint64_t offset) {
  if (offset > ring->start) ring->start = offset;
  if (ring->start == ring->end) ring->base = ring->end;
}
