#include "connection.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dispatch.h"
#include "execution.h"
#include "listener.h"
#include "loop.h"
#include "protocol.gen.h"
#include "request.h"
#include "util.h"

#define IN_SIZE (LIMIT_HEADER + LIMIT_MAX_PAYLOAD)
/* Above this, nothing more is produced for the host until it has taken what there is. */
#define OUT_CLEAR (2 * LIMIT_MAX_CHUNK)
/* Above this, no more requests are read: the host sends them but does not read the answers. */
#define OUT_FULL (1 << 20)
/* Bulk frames up to this size are copied and leave with the others of the turn in one write. */
#define SMALL_BULK 4096
/* A larger buffer is given back when it is empty. */
#define OUT_KEEP (128 << 10)

static uint8_t nonce[16];

static struct source host = {.fd = -1};
static bool broken;
static bool blocked; /* the socket took less than it was given */
static struct writer out;
static size_t out_at; /* bytes of `out` that are written */
static uint8_t *in;
static size_t in_length;

static void host_close(void) {
  source_close(&host);
  broken = blocked = false;
  writer_free(&out);
  out_at = 0;
  in_length = 0;
  /* Gives the pages back; when that fails they merely stay resident. */
  madvise(in, IN_SIZE, MADV_DONTNEED);
  executions_detach();
  requests_cancel();
}

bool connection_clear(void) {
  return host.fd >= 0 && !blocked && !broken && out.length - out_at <= OUT_CLEAR;
}

void connection_break(void) { broken = true; }

/* Takes note that `size` more bytes of `out` are written. */
static void out_consume(size_t size) {
  out_at += size;
  /* Moved down, or a buffer that is never quite empty would grow for ever. */
  if (out_at < out.length && out_at < OUT_CLEAR) return;
  out.length -= out_at;
  if (out.length) memmove(out.data, out.data + out_at, out.length);
  out_at = 0;
  if (out.length) return;
  if (out.capacity > OUT_KEEP) writer_free(&out);
}

/* Writes what is collected and the given pieces; returns how many bytes of the pieces were written. */
static size_t host_write(struct iovec *pieces, int count) {
  size_t waiting = out.length - out_at;
  struct iovec all[4] = {{waiting ? out.data + out_at : NULL, waiting}};
  for (int i = 0; i < count; i++) all[i + 1] = pieces[i];
  struct msghdr message = {.msg_iov = all, .msg_iovlen = (size_t)count + 1};
  size_t size = waiting + pieces_size(pieces, count);
  ssize_t sent = sendmsg(host.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0 && errno != EAGAIN && errno != EINTR) broken = true;
  if (sent < 0) sent = 0;
  blocked = (size_t)sent < size;
  size_t from_out = (size_t)sent < waiting ? (size_t)sent : waiting;
  if (from_out) out_consume(from_out);
  return (size_t)sent - from_out;
}

static void host_interest(void) {
  uint32_t events = out.length - out_at > OUT_FULL ? 0 : EPOLLIN;
  source_want(&host, events | (blocked ? (uint32_t)EPOLLOUT : 0));
}

void connection_settle(void) {
  if (host.fd >= 0 && !broken && !blocked && out.length > out_at) host_write(NULL, 0);
  if (host.fd >= 0 && broken) host_close();
  if (host.fd >= 0) host_interest();
}

static void serve_frames(void) {
  size_t at = 0;
  struct frame frame;
  size_t used;
  int result = 0;
  while (!broken && (result = frame_parse(in + at, in_length - at, &frame, &used)) > 0) {
    dispatch(&frame);
    at += used;
  }
  if (result < 0) broken = true;
  dispatch_settle();
  in_length -= at;
  if (at && in_length) memmove(in, in + at, in_length);
}

static void host_ready(struct source *source, uint32_t events) {
  if (events & EPOLLOUT) blocked = false;
  if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
  /* There is always room: the buffer holds the largest frame, and whole frames have been served. */
  ssize_t got = read(source->fd, in + in_length, IN_SIZE - in_length);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    broken = true;
    return;
  }
  in_length += (size_t)got;
  serve_frames();
}

static void send_hello(void) {
  struct writer *writer = send_begin(FRAME_HELLO, 0);
  writer_u64(writer, FIELD_GENERATION, PROTOCOL_GENERATION);
  writer_bytes(writer, FIELD_NONCE, nonce, sizeof nonce);
  executions_write_ids(writer);
  send_end();
}

static void host_comes(void) {
  int fd = listener_accept();
  if (fd < 0 && (errno == EMFILE || errno == ENFILE) && host.fd >= 0) {
    /* The old connection gives up its descriptors, and those of its requests, to the new one. */
    host_close();
    fd = listener_accept();
  }
  if (fd < 0) return;
  if (host.fd >= 0) host_close();
  source_init(&host, fd, host_ready);
  broken = blocked = false;
  send_hello();
  connection_settle();
}

void connection_listen(int fd, bool same_user) {
  random_bytes(nonce, sizeof nonce);
  in = mmap(NULL, IN_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (in == MAP_FAILED) die("mmap");
  listener_open(fd, same_user, host_comes);
}

void connection_told(void) {
  if (listener_told() && host.fd >= 0) host_close();
}

struct writer *send_begin(uint8_t type, uint32_t stream) {
  writer_begin(&out, type, 0, stream);
  return &out;
}

void send_end(void) {
  if (!writer_end(&out)) broken = true;
  if (host.fd < 0) out.length = 0;
}

void send_empty(uint8_t type, uint32_t stream) {
  send_begin(type, stream);
  send_end();
}

void send_ack(uint32_t stream, uint64_t offset) {
  writer_raw_u64(send_begin(FRAME_ACK, stream), offset);
  send_end();
}

void send_error(uint32_t stream, int error, const char *format, ...) {
  char message[512];
  va_list arguments;
  va_start(arguments, format);
  /* A message that does not fit is cut. */
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  struct writer *writer = send_begin(FRAME_ERROR, stream);
  writer_u64(writer, FIELD_ERRNO, (uint64_t)error);
  writer_string(writer, FIELD_MESSAGE, message);
  send_end();
}

size_t pieces_size(const struct iovec *pieces, int count) {
  size_t size = 0;
  for (int i = 0; i < count; i++) size += pieces[i].iov_len;
  return size;
}

/* Copies what is left of the pieces after `skip` bytes, so that the rest of a frame follows its beginning. */
static void out_keep(struct iovec *pieces, int count, size_t skip) {
  for (int i = 0; i < count; i++) {
    size_t cut = skip < pieces[i].iov_len ? skip : pieces[i].iov_len;
    writer_raw(&out, (uint8_t *)pieces[i].iov_base + cut, pieces[i].iov_len - cut);
    skip -= cut;
  }
  if (out.failed) broken = true;
}

void send_bulk(uint8_t type, uint8_t flags, uint32_t stream, uint64_t offset, struct iovec pieces[2], int count) {
  uint8_t head[LIMIT_HEADER + sizeof offset];
  size_t size = pieces_size(pieces, count);
  frame_put_header(head, (uint32_t)(sizeof offset + size), stream, type, flags);
  store_u64(head + LIMIT_HEADER, offset);
  struct iovec all[3] = {{head, sizeof head}, pieces[0], count > 1 ? pieces[1] : (struct iovec){0}};
  size_t written = size <= SMALL_BULK || blocked ? 0 : host_write(all, count + 1);
  out_keep(all, count + 1, written);
}
