/* The launcher's loop: requests in, workers out, answers and events back. */
#ifndef CAISSON_LAUNCHER_SERVER_H
#define CAISSON_LAUNCHER_SERVER_H

#include "connections.h"
#include "host.h"
#include "jobs.h"
#include "network.h"
#include "sandboxes.h"

/* How the pool's file grows. */
struct growth {
  /* The size that it may reach; 0 while there is no pool. */
  uint64_t max;
  bool under_way;
  /* When the pool is looked at again. */
  uint64_t next_usec;
};

struct server {
  struct host *host;
  struct connections connections;
  struct sandboxes sandboxes;
  struct jobs jobs;
  struct network network;
  struct growth growth;
  int listener;
  int signals;
  /* Held by this process alone; workers let go of it. */
  int lock;
  /* A descriptor each. */
  size_t max_sandboxes;
  bool ending;
};

/* Runs until SHUTDOWN or SIGTERM. */
void server_run(struct server *server);

/* requests.c: answers one frame of a client. */
void server_request(struct server *server, struct connection *connection, const struct frame *frame);
void server_greet(struct server *server, struct connection *connection);
/* Acts on a sandbox that is ended and wanted gone. */
void server_continue_delete(struct server *server, struct sandbox *sandbox);
/* A worker's answer is whole, or the worker died without one. */
void server_job_answered(struct server *server, struct job *job);
void server_announce_end(struct server *server, const struct sandbox *sandbox);

/* network_requests.c, router_jobs.c: requests about networks, and what follows from answers to them. */
bool server_network_request(struct server *server, struct connection *connection, const struct frame *frame,
                            struct failure *failure);
/* False with a failure that becomes the answer instead. */
bool server_network_answered(struct server *server, struct job *job, const struct frame *frame,
                             struct failure *failure);
/* The sandbox is gone: its slot becomes free. */
void server_release_slot(struct server *server, const char *id);
/* Finds the router of an earlier launcher, and clears slots whose sandbox is gone. */
void server_recover_network(struct server *server);
void server_holder_ended(struct server *server);
void server_read_packets(struct server *server);

/* pool_requests.c: requests about the pool, roots, dumps and the freezer. */
bool server_takes_pool_request(const struct frame *frame);
bool server_pool_request(struct server *server, struct connection *connection, const struct frame *frame,
                         struct failure *failure);
/* False with a failure that becomes the answer instead. */
bool server_pool_answered(struct server *server, struct job *job, const struct frame *frame, struct failure *failure);
/* Has the pool grow when it is time. @returns after how many milliseconds to look again, -1: never. */
int server_grow_pool(struct server *server);

#endif
