/* Connections of a sandbox that has lost its interface: nobody answers them any more, and they would wait for minutes. */
#ifndef CAISSON_LAUNCHER_NET_SOCKETS_H
#define CAISSON_LAUNCHER_NET_SOCKETS_H

#include "net_link.h"

/* Ends the TCP connections of the calling process' network namespace that have this address as their own: their
   programs get ECONNABORTED. Nothing happens on kernels that cannot (CONFIG_INET_DIAG_DESTROY). */
void sockets_end(const struct net_address *own);

typedef void (*address_visitor)(const struct net_address *address, void *context);
/* Visits the own address of each TCP and UDP socket of the calling process' network namespace, but for those that have
   none; the same one many times. */
void sockets_each_address(address_visitor visit, void *context);

#endif
