#include "input.h"

#include <errno.h>
#include <sys/epoll.h>
#include <termios.h>
#include <unistd.h>

#include "protocol.gen.h"

/* Nobody will read any more: what is queued, and what comes, counts as taken. */
static void drop(struct input *input) {
  source_close(&input->source);
  ring_release(&input->ring, input->ring.end);
  ring_close(&input->ring, 0);
}

void input_close(struct input *input) { drop(input); }

/* Writes to the program as far as it takes it; returns the bytes written. */
static size_t push(struct input *input, const struct iovec *pieces, int count) {
  ssize_t written = writev(input->source.fd, pieces, count);
  if (written >= 0) return (size_t)written;
  if (errno != EAGAIN && errno != EINTR) drop(input);
  return 0;
}

static void finish(struct input *input) {
  struct termios settings;
  if (!input->tty || tcgetattr(input->source.fd, &settings)) {
    drop(input);
    return;
  }
  /* A first end of file only hands over an unfinished line; the terminal itself stays open for its output. */
  char ends[2] = {(char)settings.c_cc[VEOF], (char)settings.c_cc[VEOF]};
  size_t count = input->line_open ? 2 : 1;
  if (write(input->source.fd, ends, count) > 0 || errno != EAGAIN) input->closing = false;
}

void input_flush(struct input *input) {
  struct ring *ring = &input->ring;
  while (input->source.fd >= 0 && ring->start < ring->end) {
    struct iovec pieces[2];
    int count = ring_data_pieces(ring, ring->start, (size_t)(ring->end - ring->start), pieces);
    size_t written = push(input, pieces, count);
    if (!written) break;
    ring_release(ring, ring->start + written);
  }
  if (input->source.fd < 0) return;
  if (ring->start == ring->end && input->closing) finish(input);
  source_want(&input->source, ring->start < ring->end || input->closing ? EPOLLOUT : 0);
}

bool input_receive(struct input *input, uint64_t offset, const uint8_t *data, size_t size) {
  struct ring *ring = &input->ring;
  if (offset > ring->end || (size && offset + size < offset)) return false;
  /* Sent again after a reconnection: what was received is skipped. */
  uint64_t known = ring->end - offset;
  if (known >= size) return true;
  data += known;
  size -= (size_t)known;
  if (size > LIMIT_WINDOW - (ring->end - input->acknowledged)) return false;
  if (input->source.fd < 0 || input->closing) {
    ring_grow(ring, size);
    ring_release(ring, ring->end);
    return true;
  }
  input->line_open = data[size - 1] != '\n';
  if (ring->start == ring->end) {
    struct iovec piece = {(void *)(uintptr_t)data, size};
    size_t written = push(input, &piece, 1);
    ring_grow(ring, written);
    ring_release(ring, ring->end);
    data += written;
    size -= written;
  }
  if (!size) return true;
  if (input->source.fd < 0 || !ring_open(ring, 0)) {
    drop(input);
    ring_grow(ring, size);
    ring_release(ring, ring->end);
    return true;
  }
  ring_put(ring, data, size);
  source_want(&input->source, EPOLLOUT);
  return true;
}

void input_end(struct input *input) {
  if (input->source.fd < 0) return;
  input->closing = true;
  input_flush(input);
}

bool input_ack_due(const struct input *input) {
  uint64_t taken = input->ring.start;
  /* A terminal's echo speaks for itself: an answer to every key would wake the server twice. */
  bool drained = taken == input->ring.end && !input->tty;
  return taken > input->acknowledged && (drained || taken - input->acknowledged >= LIMIT_WINDOW / 4);
}
