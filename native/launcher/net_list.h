/* What the kernel lists of a network namespace: links, addresses, routes, traffic. */
#ifndef CAISSON_LAUNCHER_NET_LIST_H
#define CAISSON_LAUNCHER_NET_LIST_H

#include "net_link.h"

struct link_info {
  unsigned index;
  char name[IFNAMSIZ];
  char alias[128];
  /* The id that this namespace has for the peer's; -1 when there is none. */
  int peer_namespace;
  /* Takes packets: until the kernel has come to see that the other end is up as well, it drops them. */
  bool running;
};
/* False with ENODEV in the failure when there is no such interface. */
bool link_find(int socket, const char *name, struct link_info *out, struct failure *failure);
/* Waits until an interface takes packets: what is sent earlier would be repeated after a second. */
bool link_await(int socket, const char *name, struct failure *failure);
/* The id that the socket's namespace has for another; -1 when it has none. */
int link_namespace_id(int socket, int namespace);

/* Each of these visits what the kernel lists. */
bool links_visit(int socket, void (*visit)(void *context, const struct link_info *link), void *context,
                 struct failure *failure);
bool addresses_visit(int socket, void (*visit)(void *context, unsigned index, const struct net_address *address),
                     void *context, struct failure *failure);
/* Destinations of routes of all tables, default routes left out. */
bool routes_visit(int socket, void (*visit)(void *context, const struct net_address *to), void *context,
                  struct failure *failure);
/* Of one interface, or of all (index 0). */
bool traffic_visit(int socket, unsigned index,
                   void (*visit)(void *context, unsigned index, uint64_t received, uint64_t sent), void *context,
                   struct failure *failure);

#endif
