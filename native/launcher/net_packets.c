#define _GNU_SOURCE 1
#include "net_packets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

#include "launcher.gen.h"

enum { RECEIVE_BUFFER = 1 << 20, READS_AT_ONCE = 16, DATAGRAM_SIZE = 65536 };
/* The kernel gathers packets until there are so many, or so many hundredths of a second have passed. */
enum { GATHERED_PACKETS = 32, GATHERED_CENTISECONDS = 2 };

static const size_t HEADER = sizeof(struct nlattr);

struct setting {
  struct nlmsghdr header;
  struct nfgenmsg body;
  struct nlattr attribute;
  uint8_t value[8];
};

struct answer {
  struct nlmsghdr header;
  struct nlmsgerr error;
};

/* Packets of a group that is bound already may come first: nobody waits for them yet. */
static bool accepted(int fd) {
  for (;;) {
    struct answer answer;
    ssize_t got = recv(fd, &answer, sizeof answer, 0);
    if (got < 0 && errno == ENOBUFS) continue;
    if (got < (ssize_t)sizeof answer) return false;
    if (answer.header.nlmsg_type != NLMSG_ERROR) continue;
    errno = -answer.error.error;
    return errno == 0;
  }
}

/* The group's number is the kind of its packets. */
static bool set(int fd, uint16_t group, uint16_t type, const void *value, size_t size) {
  struct setting setting = {
      .header = {.nlmsg_len = (uint32_t)(offsetof(struct setting, value) + NLMSG_ALIGN(size)),
                 .nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG,
                 .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
      .body = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(group)},
      .attribute = {.nla_len = (uint16_t)(HEADER + size), .nla_type = type}};
  memcpy(setting.value, value, size);
  return send(fd, &setting, setting.header.nlmsg_len, 0) >= 0 && accepted(fd);
}

static bool join(int fd, uint16_t group) {
  struct nfulnl_msg_config_cmd bind_group = {.command = NFULNL_CFG_CMD_BIND};
  struct nfulnl_msg_config_mode mode = {.copy_range = htonl(PACKET_SNAPLEN), .copy_mode = NFULNL_COPY_PACKET};
  uint32_t timeout = htonl(GATHERED_CENTISECONDS);
  uint32_t threshold = htonl(GATHERED_PACKETS);
  return set(fd, group, NFULA_CFG_CMD, &bind_group, sizeof bind_group) &&
         set(fd, group, NFULA_CFG_MODE, &mode, sizeof mode) &&
         set(fd, group, NFULA_CFG_TIMEOUT, &timeout, sizeof timeout) &&
         set(fd, group, NFULA_CFG_QTHRESH, &threshold, sizeof threshold);
}

static bool join_all(int fd) {
  static const uint16_t kinds[] = {PACKET_KIND_REFUSED, PACKET_KIND_CONNECTIONS, PACKET_KIND_BY_NAME,
                                   PACKET_KIND_NEW};
  for (size_t i = 0; i < countof(kinds); i++)
    if (!join(fd, kinds[i])) return false;
  return true;
}

int packets_open(struct failure *failure) {
  int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
  int size = RECEIVE_BUFFER;
  struct sockaddr_nl address = {.nl_family = AF_NETLINK};
  /* With a smaller one, more is lost of a burst, and counted. */
  if (fd >= 0) (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
  if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
      connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
      join_all(fd) &&
      fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
    return fd;
  fail(failure, errno, "packets", "%s", strerror(errno));
  close_fd(&fd);
  return -1;
}

static void read_packet(const struct nlmsghdr *header, packet_handler *handler, void *context) {
  const struct nfgenmsg *body = NLMSG_DATA(header);
  const uint8_t *at = (const uint8_t *)body + NLMSG_ALIGN(sizeof *body);
  size_t left = NLMSG_PAYLOAD(header, sizeof *body);
  uint32_t interface = 0;
  const uint8_t *data = NULL;
  size_t length = 0;
  while (left >= HEADER) {
    const struct nlattr *attribute = (const void *)at;
    size_t size = attribute->nla_len;
    if (size < HEADER || size > left) return;
    if (attribute->nla_type == NFULA_IFINDEX_INDEV && size == HEADER + sizeof interface)
      memcpy(&interface, at + HEADER, sizeof interface);
    if (attribute->nla_type == NFULA_PAYLOAD) {
      data = at + HEADER;
      length = size - HEADER;
    }
    size = NLMSG_ALIGN(size) < left ? NLMSG_ALIGN(size) : left;
    at += size;
    left -= size;
  }
  if (!data || !interface) return;
  handler(context, ntohl(interface), ntohs(body->res_id), data, length < PACKET_SNAPLEN ? length : PACKET_SNAPLEN);
}

bool packets_read(int fd, packet_handler *handler, void *context, uint64_t *lost, struct failure *failure) {
  static uint8_t buffer[DATAGRAM_SIZE] __attribute__((aligned(4)));
  for (int reads = 0; reads < READS_AT_ONCE; reads++) {
    ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got < 0 && errno == ENOBUFS) ++*lost;
    if (got < 0 && (errno == ENOBUFS || errno == EINTR)) continue;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return true;
    if (got <= 0) return fail(failure, errno, "packets", "%s", strerror(errno));
    size_t left = (size_t)got;
    for (struct nlmsghdr *at = (void *)buffer; NLMSG_OK(at, left); at = NLMSG_NEXT(at, left))
      if (at->nlmsg_type == (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET)) read_packet(at, handler, context);
  }
  return true;
}
