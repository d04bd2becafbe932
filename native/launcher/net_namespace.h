/* Network namespaces: entering them, their settings, and the process that holds the router's. */
#ifndef CAISSON_LAUNCHER_NET_NAMESPACE_H
#define CAISSON_LAUNCHER_NET_NAMESPACE_H

#include "host.h"

/* A process that does nothing but keep the router's namespace: it survives the launcher. */
struct holder {
  pid_t pid;
  /* -1: there is none. */
  int namespace;
  bool made;
};

/* The namespace of a process that `pidfd` keeps from being another one. -1 with errno. */
int namespace_of(pid_t pid, int pidfd);
/* Whether two descriptors are of the same namespace. */
bool namespace_same(int one, int other);
/* Enters a network namespace. */
bool namespace_enter(int namespace, struct failure *failure);
/* Writes a setting below /proc/sys/net of the network namespace that the caller is in. */
bool namespace_set(const char *name, const char *value, struct failure *failure);
/* Reads one that is a number; -1 when there is no such setting. */
long namespace_get(const char *name);

/* The holder that run/router tells of, if it is one: no word of that file is believed, for the server may write it. */
struct holder holder_find(const struct host *host);
/* Writes a holder down in run/router, where a later launcher finds it. */
bool holder_remember(const struct host *host, pid_t pid, struct failure *failure);
/* Forks a holder of `namespace`, or of a new one for -1, and remembers it in run/router. */
bool holder_make(const struct host *host, int namespace, struct holder *out, struct failure *failure);
/* Ends it and waits until it has ended; its namespace goes when nothing else holds it. */
void holder_end(const struct host *host, const struct holder *holder);

#endif
