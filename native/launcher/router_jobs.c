#define _GNU_SOURCE 1
#include "router_jobs.h"

#include <errno.h>
#include <fcntl.h>

#include "net_table.h"

bool request_no_memory(struct failure *failure) {
  return fail(failure, ENOMEM, "request", "the launcher has no memory left");
}

struct job *router_job(struct server *server, enum job_kind kind, struct origin origin) {
  struct job *job = job_new(kind, origin);
  if (!job) return NULL;
  job->plug.router = server->network.namespace;
  job->holder = server->network.holder_pid;
  job->plug.numbers = server->network.numbers;
  jobs_add(&server->jobs, job);
  return job;
}

void router_grow(struct server *server) {
  struct network *at = &server->network;
  if (at->growing || !network_short(at)) return;
  struct job *job = router_job(server, JOB_BLOCK, (struct origin){0});
  if (!job) return;
  job->block = at->ready / TABLE_BLOCK;
  at->growing = true;
}

bool router_unplug(struct server *server, unsigned slot, struct origin origin) {
  struct job *job = router_job(server, JOB_UNPLUG, origin);
  if (!job) return false;
  const struct sandbox *sandbox = sandboxes_find(&server->sandboxes, server->network.slots[slot].id);
  job->plug.slot = slot;
  if (sandbox && sandbox->state == STATE_RUNNING) {
    job->plug.pid = sandbox->pid;
    job->plug.pidfd = fcntl(sandbox->pidfd, F_DUPFD_CLOEXEC, 0);
  }
  server->network.slots[slot].state = SLOT_UNPLUGGING;
  return true;
}

/* What a made or mended router is, by the answer of its maker. */
static bool adopt(struct server *server, const struct frame *frame, struct failure *failure) {
  struct numbers numbers = {0};
  char text[INET6_ADDRSTRLEN] = "";
  uint64_t holder = 0;
  struct field_reader reader = field_reader(frame);
  struct field field;
  while (field_next(&reader, &field)) {
    if (field.tag == TAG_PID) field_u64(&field, &holder);
    if (field.tag == TAG_ADDRESS4) field_string(&field, text, sizeof text);
    if (field.tag == TAG_ADDRESS6) numbers.v6 = true;
  }
  int block = net_block_of_text(text);
  if (block < 0) return fail(failure, EPROTO, "router", "the worker named no address");
  numbers.block = (unsigned)block;
  if (!network_adopt(&server->network, server->host, (pid_t)holder, &numbers, failure)) return false;
  server->jobs.ready_slots = server->network.ready;
  return true;
}

static void block_answered(struct server *server, bool ok) {
  struct network *at = &server->network;
  at->growing = false;
  if (ok) at->ready += TABLE_BLOCK;
  if (at->ready > LAUNCHER_MAX_SLOTS) at->ready = LAUNCHER_MAX_SLOTS;
  server->jobs.ready_slots = at->ready;
  struct job *waiting;
  while (!ok && (waiting = jobs_take_unready(&server->jobs))) {
    server_job_answered(server, waiting);
    job_free(waiting);
  }
  if (ok) router_grow(server);
}

static void plug_answered(struct server *server, const struct job *job, bool ok) {
  struct slot *slot = &server->network.slots[job->plug.slot];
  if (slot->state != SLOT_PLUGGING) return;
  if (ok) slot->state = SLOT_PLUGGED;
  /* What a killed worker has left is removed; after a failure there is nothing but the slot's own traces. */
  if (!ok && !router_unplug(server, job->plug.slot, (struct origin){0})) network_free(&server->network, job->plug.slot);
}

bool server_network_answered(struct server *server, struct job *job, const struct frame *frame,
                             struct failure *failure) {
  bool ok = frame->type == MESSAGE_OK;
  if (job->kind == JOB_NETWORK) return !ok || adopt(server, frame, failure);
  if (job->kind == JOB_BLOCK) block_answered(server, ok);
  if (job->kind == JOB_PLUG) plug_answered(server, job, ok);
  if (job->kind == JOB_UNPLUG && server->network.slots[job->plug.slot].state == SLOT_UNPLUGGING)
    network_free(&server->network, job->plug.slot);
  if (!ok && !job->origin.connection) log_line("router: what was to be done by itself failed (%d)", job->kind);
  return true;
}

/* The kernel takes the interface of an ended sandbox away by itself; what was allowed in its slot goes here. */
static bool close_slot(struct server *server, unsigned slot) {
  const struct numbers *numbers = &server->network.numbers;
  struct net_address own4 = net_sandbox4(numbers, slot);
  struct net_address own6 = net_sandbox6(numbers, slot);
  struct failure failure = {0};
  if (slot_close(&server->network.rules, slot, own4.bytes, numbers->v6 ? own6.bytes : NULL, &failure)) return true;
  log_line("slot %u: %s: %s", slot, failure.step, failure.text);
  return false;
}

void server_release_slot(struct server *server, const char *id) {
  int slot = network_slot(&server->network, id);
  if (slot < 0) return;
  bool idle = server->network.slots[slot].state == SLOT_PLUGGED && !jobs_slot_busy(&server->jobs, (unsigned)slot);
  /* Here and not in a worker: a worker's end waits until the kernel has freed what it removed. */
  if (idle && close_slot(server, (unsigned)slot))
    network_free(&server->network, (unsigned)slot);
  else if (!router_unplug(server, (unsigned)slot, (struct origin){0}))
    log_line("slot %d is lost", slot);
}

void server_recover_network(struct server *server) {
  network_recover(&server->network, server->host, &server->sandboxes);
  server->jobs.ready_slots = server->network.ready;
  for (unsigned i = 0; i < server->network.used; i++)
    if (server->network.slots[i].state == SLOT_UNPLUGGING) router_unplug(server, i, (struct origin){0});
}

void server_holder_ended(struct server *server) {
  close_fd(&server->network.holder);
  server->network.holder_pid = 0;
  /* Its namespace is held here as well: another holder takes it over. */
  if (!server->ending) router_job(server, JOB_NETWORK, (struct origin){0});
}
