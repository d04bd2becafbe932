#define _GNU_SOURCE 1
#include "loopback.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <string.h>
#include <unistd.h>

#include "net_numbers.h"
#include "net_sockets.h"

enum { LOOPBACK_INDEX = 1, MAX_ADDRESSES = 64 };

static void list_one(const struct ifaddrs *at, struct text *out) {
  char text[INET6_ADDRSTRLEN];
  int family = at->ifa_addr ? at->ifa_addr->sa_family : AF_UNSPEC;
  if (family == AF_INET) {
    const struct in_addr *own = &((const struct sockaddr_in *)(const void *)at->ifa_addr)->sin_addr;
    if (ntohl(own->s_addr) >> 24 != IN_LOOPBACKNET && inet_ntop(family, own, text, sizeof text)) text_printf(out, "%s ", text);
  } else if (family == AF_INET6) {
    const struct in6_addr *own = &((const struct sockaddr_in6 *)(const void *)at->ifa_addr)->sin6_addr;
    if (!IN6_IS_ADDR_LOOPBACK(own) && !IN6_IS_ADDR_LINKLOCAL(own) && inet_ntop(family, own, text, sizeof text))
      text_printf(out, "%s ", text);
  }
}

void loopback_list(struct text *out) {
  struct ifaddrs *all = NULL;
  int count = 0;
  text_append(out, "", 0);
  if (getifaddrs(&all) < 0) return;
  for (const struct ifaddrs *at = all; at && count < MAX_ADDRESSES; at = at->ifa_next, count++) list_one(at, out);
  freeifaddrs(all);
}

static bool parse(const char *word, size_t length, struct net_address *address) {
  char text[INET6_ADDRSTRLEN];
  if (length == 0 || length >= sizeof text) return false;
  memcpy(text, word, length);
  text[length] = 0;
  *address = (struct net_address){.family = AF_INET, .prefix = 32};
  if (inet_pton(AF_INET, text, address->bytes) == 1) return true;
  *address = (struct net_address){.family = AF_INET6, .prefix = 128};
  return inet_pton(AF_INET6, text, address->bytes) == 1;
}

typedef bool (*visitor)(int socket, const struct net_address *address, struct failure *failure);

static bool each(const char *addresses, visitor visit, int socket, struct failure *failure) {
  for (const char *at = addresses; *at; at += *at == ' ') {
    struct net_address address;
    size_t length = strcspn(at, " ");
    if (parse(at, length, &address) && !visit(socket, &address, failure)) return false;
    at += length;
  }
  return true;
}

static bool take(int socket, const struct net_address *address, struct failure *failure) {
  struct batch batch = batch_on(socket);
  struct net_address all = net_any(address->family);
  link_add_address(&batch, LOOPBACK_INDEX, address);
  link_add_route(&batch, LOOPBACK_INDEX, &all, NULL, false);
  return batch_send(&batch, failure);
}

bool loopback_take(const char *addresses, struct failure *failure) {
  cleanup_fd int socket = route_socket(failure);
  struct batch batch = batch_on(socket);
  link_set_up(&batch, LOOPBACK_INDEX);
  return socket >= 0 && batch_send(&batch, failure) && each(addresses, take, socket, failure);
}

static bool release(int socket, const struct net_address *address, struct failure *failure) {
  struct batch batch = batch_on(socket);
  struct net_address all = net_any(address->family);
  sockets_end(address);
  link_delete_route(&batch, LOOPBACK_INDEX, &all);
  link_delete_address(&batch, LOOPBACK_INDEX, address);
  return batch_send(&batch, failure);
}

bool loopback_release(const char *addresses, struct failure *failure) {
  cleanup_fd int socket = route_socket(failure);
  return socket >= 0 && each(addresses, release, socket, failure);
}
