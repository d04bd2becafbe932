/* Requests about networks that need a worker, and those that do not. */
#ifndef CAISSON_LAUNCHER_ROUTER_JOBS_H
#define CAISSON_LAUNCHER_ROUTER_JOBS_H

#include "server.h"

bool request_no_memory(struct failure *failure);
/* Queues a job that knows the router. Jobs that nobody asked for have no origin. NULL when memory runs out. */
struct job *router_job(struct server *server, enum job_kind kind, struct origin origin);
/* Queues the next block of slots when few are left. */
void router_grow(struct server *server);
/* Queues the removal of a slot's interface, after which the slot is free. */
bool router_unplug(struct server *server, unsigned slot, struct origin origin);
/* RULES and PIN. */
bool request_rules(struct server *server, struct connection *connection, const struct frame *frame,
                   struct failure *failure);

#endif
