#define _GNU_SOURCE 1
#include "net_message.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

enum { ANSWER_SIZE = 32768 };

int route_socket(struct failure *failure) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  int on = 1;
  /* Without the request in each error an answer is small, whatever was asked. */
  if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
      setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on) == 0)
    return fd;
  fail(failure, errno, "netlink", "%s", strerror(errno));
  close_fd(&fd);
  return -1;
}

struct batch batch_on(int socket) { return (struct batch){.socket = socket}; }

static void *reserve(struct batch *batch, size_t size) {
  size_t aligned = NLMSG_ALIGN(size);
  if (batch->failed || sizeof batch->data - batch->length < aligned) {
    batch->failed = true;
    return NULL;
  }
  void *at = batch->data + batch->length;
  memset(at, 0, aligned);
  batch->length += aligned;
  return at;
}

size_t batch_begin(struct batch *batch, uint16_t type, uint16_t flags, const void *body, size_t size,
                    const char *step, int tolerated) {
  size_t start = batch->length;
  struct nlmsghdr *header = reserve(batch, NLMSG_HDRLEN + size);
  if (!header || batch->count == countof(batch->requests)) {
    batch->failed = true;
    return start;
  }
  header->nlmsg_type = type;
  header->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
  header->nlmsg_seq = (uint32_t)batch->count;
  memcpy(NLMSG_DATA(header), body, size);
  batch->requests[batch->count].step = step;
  batch->requests[batch->count++].tolerated = tolerated;
  return start;
}

void batch_end(struct batch *batch, size_t start) {
  if (batch->failed) return;
  struct nlmsghdr *header = (struct nlmsghdr *)(void *)(batch->data + start);
  header->nlmsg_len = (uint32_t)(batch->length - start);
}

size_t batch_attribute(struct batch *batch, uint16_t type, const void *data, size_t size) {
  size_t start = batch->length;
  struct rtattr *at = reserve(batch, RTA_LENGTH(size));
  if (!at) return start;
  at->rta_type = type;
  at->rta_len = (uint16_t)RTA_LENGTH(size);
  if (size) memcpy(RTA_DATA(at), data, size);
  return start;
}

void batch_u32(struct batch *batch, uint16_t type, uint32_t value) {
  batch_attribute(batch, type, &value, sizeof value);
}

void batch_text(struct batch *batch, uint16_t type, const char *text) {
  batch_attribute(batch, type, text, strlen(text) + 1);
}

void batch_end_nested(struct batch *batch, size_t start) {
  if (batch->failed) return;
  struct rtattr *at = (struct rtattr *)(void *)(batch->data + start);
  at->rta_len = (uint16_t)(batch->length - start);
}

static ssize_t receive(int socket, void *buffer, size_t size) {
  ssize_t got;
  do got = recv(socket, buffer, size, 0);
  while (got < 0 && errno == EINTR);
  return got;
}

/* One answer. @returns 0 or an errno. */
static int answer_error(const struct nlmsghdr *header) {
  if (header->nlmsg_type != NLMSG_ERROR) return 0;
  const struct nlmsgerr *error = NLMSG_DATA(header);
  return -error->error;
}

bool batch_send(struct batch *batch, struct failure *failure) {
  if (batch->failed) return fail(failure, ENOBUFS, "netlink", "a request is too large");
  if (batch->count == 0) return true;
  struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
  if (sendto(batch->socket, batch->data, batch->length, 0, (struct sockaddr *)&kernel, sizeof kernel) < 0)
    return fail(failure, errno, "netlink", "%s", strerror(errno));
  uint8_t buffer[ANSWER_SIZE] __attribute__((aligned(4)));
  for (size_t answered = 0; answered < batch->count;) {
    ssize_t got = receive(batch->socket, buffer, sizeof buffer);
    if (got < 0) return fail(failure, errno, "netlink", "%s", strerror(errno));
    size_t left = (size_t)got;
    for (struct nlmsghdr *at = (void *)buffer; NLMSG_OK(at, left); at = NLMSG_NEXT(at, left), answered++) {
      int error = answer_error(at);
      if (!error || at->nlmsg_seq >= batch->count || error == batch->requests[at->nlmsg_seq].tolerated) continue;
      fail(failure, error, batch->requests[at->nlmsg_seq].step, "%s", strerror(error));
    }
  }
  batch->length = 0;
  batch->count = 0;
  return failure->error == 0;
}

bool batch_ask(struct batch *batch, bool dump, message_visitor visit, void *context, struct failure *failure) {
  struct nlmsghdr *request = (void *)batch->data;
  request->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | (dump ? NLM_F_DUMP : 0));
  if (batch->failed || send(batch->socket, batch->data, batch->length, 0) < 0)
    return fail(failure, errno, batch->requests[0].step, "%s", strerror(errno));
  uint8_t buffer[ANSWER_SIZE] __attribute__((aligned(4)));
  for (;;) {
    ssize_t got = receive(batch->socket, buffer, sizeof buffer);
    if (got < 0) return fail(failure, errno, batch->requests[0].step, "%s", strerror(errno));
    size_t left = (size_t)got;
    for (struct nlmsghdr *at = (void *)buffer; NLMSG_OK(at, left); at = NLMSG_NEXT(at, left)) {
      int error = answer_error(at);
      if (error) return fail(failure, error, batch->requests[0].step, "%s", strerror(error));
      if (at->nlmsg_type == NLMSG_DONE) return true;
      visit(context, at);
      if (!dump) return true;
    }
  }
}

bool message_attribute(const struct nlmsghdr *header, size_t size, uint16_t type, void *out, size_t room) {
  size_t left = NLMSG_PAYLOAD(header, size);
  const struct rtattr *at = (const void *)((const uint8_t *)NLMSG_DATA(header) + NLMSG_ALIGN(size));
  for (; RTA_OK(at, left); at = RTA_NEXT(at, left)) {
    if (at->rta_type != type || RTA_PAYLOAD(at) > room) continue;
    memcpy(out, RTA_DATA(at), RTA_PAYLOAD(at));
    return true;
  }
  return false;
}
