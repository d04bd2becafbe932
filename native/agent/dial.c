#include "dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "connection.h"
#include "plan.h"
#include "request.h"
#include "ring.h"
#include "util.h"

struct dialled {
  struct request request;
  struct source source;
  uint16_t port;
  int family; /* that is being tried, or has answered */
  int refused; /* what IPv4 answered */
  bool connected;
  struct ring ring;  /* from the host: start = given to the socket, end = received */
  uint64_t kept;     /* acknowledged to the host */
  bool host_ended;   /* nothing more comes from the host; the socket is told behind the last byte */
  bool host_done;    /* it was told */
  uint64_t sent, acknowledged; /* to the host */
  bool socket_ended; /* nothing more comes from the socket, and the host was told */
  bool waiting;      /* for bytes from the socket */
};

static void release(struct request *request) {
  struct dialled *dialled = (struct dialled *)request;
  const struct linger reset = {.l_onoff = 1, .l_linger = 0};
  /* Given up in the middle: the peer is not to take it for the end. */
  if (dialled->source.fd >= 0 && !(dialled->host_done && dialled->socket_ended))
    setsockopt(dialled->source.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  source_close(&dialled->source);
  ring_close(&dialled->ring, 0);
}

static void fail(struct dialled *dialled, int error) {
  send_error(dialled->request.stream, error, "dial port %u", dialled->port);
  request_end(&dialled->request);
}

static void interest(struct dialled *dialled) {
  bool writing = !dialled->connected || dialled->ring.start < dialled->ring.end;
  source_want(&dialled->source, (dialled->waiting ? (uint32_t)EPOLLIN : 0) | (writing ? (uint32_t)EPOLLOUT : 0));
}

static bool over(const struct dialled *dialled) { return dialled->host_done && dialled->socket_ended; }

static void acknowledge_host(struct dialled *dialled) {
  uint64_t taken = dialled->ring.start;
  if (taken == dialled->kept || (taken < dialled->ring.end && taken - dialled->kept < LIMIT_WINDOW / 4)) return;
  dialled->kept = taken;
  send_ack(dialled->request.stream, taken);
}

/* Bytes the socket took; -1: it failed. */
static ssize_t push(struct dialled *dialled, struct iovec *pieces, int count) {
  struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)count};
  ssize_t sent = sendmsg(dialled->source.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : sent;
}

/* Gives the socket what it takes, and the end behind the last byte. 0 or errno. */
static int flush(struct dialled *dialled) {
  struct ring *ring = &dialled->ring;
  while (ring->start < ring->end) {
    struct iovec pieces[2];
    int count = ring_data_pieces(ring, ring->start, (size_t)(ring->end - ring->start), pieces);
    ssize_t sent = push(dialled, pieces, count);
    if (sent < 0) return errno;
    if (!sent) break;
    ring_release(ring, ring->start + (uint64_t)sent);
  }
  acknowledge_host(dialled);
  if (!dialled->host_ended || dialled->host_done || ring->start < ring->end) return 0;
  dialled->host_done = true;
  /* ENOTCONN: the peer has reset it meanwhile, which reading tells. */
  return shutdown(dialled->source.fd, SHUT_WR) && errno != ENOTCONN ? errno : 0;
}

/* Goes on after something was written; the request may be gone behind it. */
static void settle(struct dialled *dialled, int error) {
  if (error)
    fail(dialled, error);
  else if (over(dialled))
    request_end(&dialled->request);
  else
    interest(dialled);
}

/* Sends the host what has come, a chunk a turn, while it has acknowledged enough. */
static enum turn step(struct task *task) {
  static uint8_t chunk[LIMIT_MAX_CHUNK];
  struct dialled *dialled = (struct dialled *)request_of_task(task);
  if (dialled->socket_ended || dialled->sent - dialled->acknowledged > LIMIT_WINDOW - LIMIT_MAX_CHUNK) return TURN_DONE;
  ssize_t got = recv(dialled->source.fd, chunk, sizeof chunk, MSG_DONTWAIT);
  if (got > 0) {
    struct iovec pieces[2] = {{chunk, (size_t)got}, {NULL, 0}};
    send_bulk(FRAME_DATA, 0, dialled->request.stream, dialled->sent, pieces, 1);
    dialled->sent += (uint64_t)got;
    return TURN_AGAIN;
  }
  if (got < 0 && errno != EAGAIN && errno != EINTR) {
    fail(dialled, errno);
    return TURN_DONE;
  }
  if (got == 0) {
    send_empty(FRAME_END, dialled->request.stream);
    dialled->socket_ended = true;
  }
  dialled->waiting = got < 0;
  settle(dialled, 0);
  return TURN_DONE;
}

static void try_connect(struct dialled *dialled);

static void connected(struct dialled *dialled) {
  int on = 1;
  /* Without it small writes wait for each other; merely slower. */
  setsockopt(dialled->source.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  dialled->connected = true;
  send_empty(FRAME_OK, dialled->request.stream);
  task_queue_sender(&dialled->request.task);
  interest(dialled);
}

static void refuse(struct dialled *dialled, int error) {
  source_close(&dialled->source);
  if (dialled->family == AF_INET6) {
    /* Where there is no IPv6 at all, what IPv4 answered says more. */
    fail(dialled, error == ECONNREFUSED ? error : dialled->refused);
    return;
  }
  dialled->refused = error;
  dialled->family = AF_INET6;
  try_connect(dialled);
}

static void ready(struct source *source, uint32_t events) {
  struct dialled *dialled = (struct dialled *)(void *)((char *)source - offsetof(struct dialled, source));
  if (!dialled->connected) {
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(source->fd, SOL_SOCKET, SO_ERROR, &error, &size)) error = errno;
    if (error)
      refuse(dialled, error);
    else
      connected(dialled);
    return;
  }
  if (dialled->waiting && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
    dialled->waiting = false;
    task_queue_sender(&dialled->request.task);
  }
  settle(dialled, flush(dialled));
}

static void try_connect(struct dialled *dialled) {
  struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(dialled->port)};
  struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(dialled->port)};
  four.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  six.sin6_addr = in6addr_loopback;
  bool first = dialled->family == AF_INET;
  const struct sockaddr *address = first ? (const void *)&four : (const void *)&six;
  socklen_t size = first ? sizeof four : sizeof six;
  int fd = socket(dialled->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  source_init(&dialled->source, fd, ready);
  if (fd < 0)
    refuse(dialled, errno);
  else if (!connect(fd, address, size))
    connected(dialled);
  else if (errno == EINPROGRESS)
    interest(dialled);
  else
    refuse(dialled, errno);
}

static void receive(struct request *request, const struct frame *frame) {
  struct dialled *dialled = (struct dialled *)request;
  struct ring *ring = &dialled->ring;
  uint64_t offset;
  const uint8_t *data;
  size_t size;
  if (!bulk_parse(frame, &offset, &data, &size) || offset != ring->end || dialled->host_ended ||
      size > LIMIT_WINDOW - (ring->end - dialled->kept)) {
    connection_break();
    return;
  }
  if (dialled->connected && ring->start == ring->end) {
    struct iovec piece = {(void *)(uintptr_t)data, size};
    ssize_t sent = push(dialled, &piece, 1);
    if (sent < 0) {
      fail(dialled, errno);
      return;
    }
    ring_grow(ring, (size_t)sent);
    ring_release(ring, ring->end);
    data += sent;
    size -= (size_t)sent;
  }
  if (size && !ring_open(ring, 0)) {
    fail(dialled, ENOMEM);
    return;
  }
  if (size) ring_put(ring, data, size);
  acknowledge_host(dialled);
  interest(dialled);
}

static void host_end(struct request *request) {
  struct dialled *dialled = (struct dialled *)request;
  dialled->host_ended = true;
  if (dialled->connected) settle(dialled, flush(dialled));
}

static void acknowledge(struct request *request, const struct frame *frame) {
  struct dialled *dialled = (struct dialled *)request;
  uint64_t offset;
  const uint8_t *data;
  size_t size;
  if (!bulk_parse(frame, &offset, &data, &size) || size || offset > dialled->sent) {
    connection_break();
    return;
  }
  if (offset > dialled->acknowledged) dialled->acknowledged = offset;
  if (dialled->connected && !dialled->waiting) task_queue_sender(&request->task);
}

void dial(const struct frame *frame) {
  uint16_t port;
  int error = dial_plan_parse(frame, &port);
  if (error == PLAN_MALFORMED) {
    connection_break();
    return;
  }
  struct dialled *dialled = error ? NULL : request_new(sizeof *dialled, frame->stream, step, release);
  if (!dialled) {
    send_error(frame->stream, error ? error : errno, "dial port %u", port);
    return;
  }
  dialled->port = port;
  dialled->family = AF_INET;
  dialled->request.data = receive;
  dialled->request.end = host_end;
  dialled->request.acknowledge = acknowledge;
  try_connect(dialled);
}
