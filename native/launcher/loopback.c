#define _GNU_SOURCE 1
#include "loopback.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "net_numbers.h"
#include "net_sockets.h"

enum { LOOPBACK_INDEX = 1, MAX_ADDRESSES = 64 };

struct list {
  struct text *text;
  int count;
};

/* Once each, and none that every loopback interface has or that means nothing elsewhere. */
static void add(const struct net_address *address, void *context) {
  struct list *list = context;
  char text[INET6_ADDRSTRLEN];
  char word[INET6_ADDRSTRLEN + 2];
  const struct in6_addr *v6 = (const struct in6_addr *)(const void *)address->bytes;
  bool v4 = address->family == AF_INET;
  if (v4 ? address->bytes[0] == IN_LOOPBACKNET : IN6_IS_ADDR_LOOPBACK(v6) || IN6_IS_ADDR_LINKLOCAL(v6)) return;
  if (list->count == MAX_ADDRESSES) return;
  snprintf(word, sizeof word, " %s ", net_address_text(address, text));
  if (list->text->data && strstr(list->text->data, word)) return;
  text_append(list->text, word + (list->count ? 1 : 0), strlen(word) - (list->count ? 1 : 0));
  list->count++;
}

static void add_interface(const struct ifaddrs *at, struct list *list) {
  int family = at->ifa_addr ? at->ifa_addr->sa_family : AF_UNSPEC;
  struct net_address address = {.family = (sa_family_t)family};
  if (family == AF_INET)
    memcpy(address.bytes, &((const struct sockaddr_in *)(const void *)at->ifa_addr)->sin_addr, 4);
  else if (family == AF_INET6)
    memcpy(address.bytes, &((const struct sockaddr_in6 *)(const void *)at->ifa_addr)->sin6_addr, 16);
  else
    return;
  add(&address, list);
}

void loopback_list(struct text *out) {
  struct ifaddrs *all = NULL;
  struct list list = {.text = out};
  if (getifaddrs(&all) < 0) all = NULL;
  for (const struct ifaddrs *at = all; at; at = at->ifa_next) add_interface(at, &list);
  freeifaddrs(all);
  sockets_each_address(add, &list);
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
