#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "net_list.h"
#include "net_table.h"
#include "server.h"

/* A client that does not read is told of no packets beyond this. */
enum { MAX_EVENT_BACKLOG = 1024 * 1024 };

static const uint64_t MAX_RATE = (uint64_t)1 << 40;

static bool refuse(struct failure *failure, const char *what) {
  return fail(failure, EINVAL, "request", "%s is missing or not valid", what);
}

static bool no_memory(struct failure *failure) {
  return fail(failure, ENOMEM, "request", "the launcher has no memory left");
}

static bool take_number(const struct field *field, uint64_t least, uint64_t most, uint64_t *out) {
  return field_u64(field, out) && *out >= least && *out <= most;
}

/* Jobs that nobody asked for have no origin. */
static struct job *add_router_job(struct server *server, enum job_kind kind, struct origin origin) {
  struct job *job = job_new(kind, origin);
  if (!job) return NULL;
  job->plug.router = server->network.namespace;
  job->holder = server->network.holder_pid;
  job->plug.numbers = server->network.numbers;
  jobs_add(&server->jobs, job);
  return job;
}

static bool network(struct server *server, const struct frame *frame, struct origin origin, struct failure *failure) {
  struct router_settings *settings = calloc(1, sizeof *settings);
  if (!settings) return no_memory(failure);
  struct job *job = router_settings_parse(frame, settings, failure) ? add_router_job(server, JOB_NETWORK, origin) : NULL;
  if (job) {
    job->settings = settings;
    return true;
  }
  router_settings_free(settings);
  free(settings);
  return no_memory(failure);
}

static bool parse_plug(const struct frame *frame, struct plug *plug, struct failure *failure) {
  struct field_reader reader = field_reader(frame);
  struct field field;
  while (field_next(&reader, &field)) {
    bool valid = false;
    if (field.tag == TAG_ID) valid = field_string(&field, plug->id, sizeof plug->id) && id_valid(plug->id);
    if (field.tag == TAG_UPLOAD) valid = take_number(&field, 1, MAX_RATE, &plug->upload);
    if (field.tag == TAG_DOWNLOAD) valid = take_number(&field, 1, MAX_RATE, &plug->download);
    if (field.tag == TAG_CONNECTIONS) valid = take_number(&field, 1, UINT32_MAX, &plug->connections);
    if (!valid) return fail(failure, EINVAL, "request", "field %d is not known or not valid", field.tag);
  }
  return (plug->id[0] && !reader.malformed) || refuse(failure, "ID");
}

static void grow(struct server *server) {
  struct network *at = &server->network;
  if (at->growing || !network_short(at)) return;
  struct job *job = add_router_job(server, JOB_BLOCK, (struct origin){0});
  if (!job) return;
  job->block = at->ready / TABLE_BLOCK;
  at->growing = true;
}

/* The slot that the sandbox has, or is about to lose, or a new one. */
static int slot_for(struct network *at, const char *id, struct failure *failure) {
  int slot = network_slot(at, id);
  if (slot < 0) slot = network_take(at, id);
  if (slot < 0) fail(failure, ENOSPC, "request", "all %d slots of the router are taken", LAUNCHER_MAX_SLOTS);
  if (slot >= 0 && at->slots[slot].state == SLOT_UNPLUGGING) at->slots[slot].state = SLOT_PLUGGING;
  return slot;
}

static bool plug(struct server *server, const struct frame *frame, struct origin origin, struct failure *failure) {
  struct plug wanted = {0};
  if (!parse_plug(frame, &wanted, failure)) return false;
  const struct sandbox *sandbox = sandboxes_find(&server->sandboxes, wanted.id);
  if (!sandbox || sandbox->state != STATE_RUNNING)
    return fail(failure, ESRCH, "request", "sandbox %s does not run", wanted.id);
  if (server->network.namespace < 0) return fail(failure, ENOTCONN, "request", "there is no router: NETWORK comes first");
  int slot = slot_for(&server->network, wanted.id, failure);
  if (slot < 0) return false;
  struct job *job = add_router_job(server, JOB_PLUG, origin);
  if (!job) {
    if (server->network.slots[slot].state == SLOT_PLUGGING) network_free(&server->network, (unsigned)slot);
    return no_memory(failure);
  }
  wanted.router = job->plug.router;
  wanted.numbers = job->plug.numbers;
  wanted.slot = (unsigned)slot;
  wanted.pid = sandbox->pid;
  /* Its own: the sandbox's may be closed, and its number another's, before a worker begins. */
  wanted.pidfd = fcntl(sandbox->pidfd, F_DUPFD_CLOEXEC, 0);
  job->plug = wanted;
  grow(server);
  return true;
}

static bool unplug_slot(struct server *server, unsigned slot, bool ended, struct origin origin) {
  struct job *job = add_router_job(server, JOB_UNPLUG, origin);
  if (!job) return false;
  job->plug.slot = slot;
  job->plug.ended = ended;
  server->network.slots[slot].state = SLOT_UNPLUGGING;
  return true;
}

static bool unplug(struct server *server, struct connection *connection, const struct frame *frame,
                   struct origin origin, struct failure *failure) {
  char id[LAUNCHER_MAX_ID + 1];
  if (!parse_id(frame, id, failure)) return false;
  int slot = network_slot(&server->network, id);
  if (slot >= 0) return unplug_slot(server, (unsigned)slot, false, origin) || no_memory(failure);
  writer_begin(&connection->output, MESSAGE_OK, 0, frame->stream);
  writer_end(&connection->output);
  return true;
}

static int plugged_slot(const struct server *server, const char *id, struct failure *failure) {
  int slot = network_slot(&server->network, id);
  if (slot >= 0 && server->network.slots[slot].state == SLOT_PLUGGED) return slot;
  fail(failure, ENOTCONN, "request", "sandbox %s has no network", id);
  return -1;
}

struct rules_request {
  char id[LAUNCHER_MAX_ID + 1];
  struct slot_rules rules;
  struct pin pins[LAUNCHER_MAX_PINS];
};

static bool take_ranges(const struct field *field, size_t size, struct ranges *out, struct failure *failure) {
  return out->list ? refuse(failure, "a field that comes twice") : ranges_parse(field, size, out, failure);
}

static bool take_pin(const struct field *field, struct rules_request *request, struct failure *failure) {
  if (request->rules.pin_count == LAUNCHER_MAX_PINS) return refuse(failure, "PIN");
  return pin_parse(field, &request->pins[request->rules.pin_count++], failure);
}

static bool take_rule(const struct field *field, struct rules_request *request, struct failure *failure) {
  struct slot_rules *rules = &request->rules;
  uint64_t flag;
  switch (field->tag) {
    case TAG_ID:
      return (field_string(field, request->id, sizeof request->id) && id_valid(request->id)) || refuse(failure, "ID");
    case TAG_ALLOW4:
      return take_ranges(field, ADDRESS4_SIZE, &rules->allow4, failure);
    case TAG_ALLOW6:
      return take_ranges(field, ADDRESS6_SIZE, &rules->allow6, failure);
    case TAG_NAMED4:
      return take_ranges(field, ADDRESS4_SIZE, &rules->named4, failure);
    case TAG_NAMED6:
      return take_ranges(field, ADDRESS6_SIZE, &rules->named6, failure);
    case TAG_BY_NAME:
      if (!take_number(field, 0, 1, &flag)) return refuse(failure, "BY_NAME");
      rules->by_name = flag;
      return true;
    case TAG_PIN:
      return take_pin(field, request, failure);
    default:
      return fail(failure, EINVAL, "request", "field %d is not known", field->tag);
  }
}

static bool only_pins(const struct slot_rules *rules) {
  return !rules->allow4.list && !rules->allow6.list && !rules->named4.list && !rules->named6.list && !rules->by_name;
}

static bool apply_rules(struct server *server, const struct frame *frame, struct rules_request *request,
                        struct failure *failure) {
  struct field_reader reader = field_reader(frame);
  struct field field;
  request->rules.pins = request->pins;
  while (field_next(&reader, &field))
    if (!take_rule(&field, request, failure)) return false;
  if (reader.malformed || !request->id[0]) return refuse(failure, "ID");
  if (frame->type == MESSAGE_PIN && (request->rules.pin_count == 0 || !only_pins(&request->rules)))
    return refuse(failure, "PIN");
  int slot = plugged_slot(server, request->id, failure);
  if (slot < 0) return false;
  struct rules *table = &server->network.rules;
  return frame->type == MESSAGE_PIN
             ? slot_pin(table, (unsigned)slot, request->pins, request->rules.pin_count, failure)
             : slot_set_rules(table, (unsigned)slot, &request->rules, failure);
}

/* RULES and PIN take a fraction of a millisecond: a worker would take longer to fork. */
static bool rules(struct server *server, struct connection *connection, const struct frame *frame,
                  struct failure *failure) {
  struct rules_request *request = calloc(1, sizeof *request);
  if (!request) return no_memory(failure);
  bool ok = apply_rules(server, frame, request, failure);
  ranges_free(&request->rules.allow4);
  ranges_free(&request->rules.allow6);
  ranges_free(&request->rules.named4);
  ranges_free(&request->rules.named6);
  free(request);
  if (!ok) return false;
  writer_begin(&connection->output, MESSAGE_OK, 0, frame->stream);
  writer_end(&connection->output);
  return true;
}

struct traffic_reply {
  const struct network *network;
  struct writer *output;
  uint32_t stream;
};

/* What the router has received on a sandbox's interface, the sandbox has sent. */
static void write_traffic(void *context, unsigned index, uint64_t received, uint64_t sent) {
  const struct traffic_reply *reply = context;
  int slot = net_slot_of(index);
  if (slot < 0 || reply->network->slots[slot].state != SLOT_PLUGGED) return;
  writer_begin(reply->output, MESSAGE_PLUGGED, 0, reply->stream);
  writer_string(reply->output, TAG_ID, reply->network->slots[slot].id);
  write_addresses(reply->output, &reply->network->numbers, (unsigned)slot);
  writer_u64(reply->output, TAG_UP, received);
  writer_u64(reply->output, TAG_DOWN, sent);
  writer_end(reply->output);
}

static bool traffic(struct server *server, struct connection *connection, uint32_t stream, struct failure *failure) {
  struct traffic_reply reply = {.network = &server->network, .output = &connection->output, .stream = stream};
  if (server->network.namespace >= 0 && !traffic_visit(server->network.links, write_traffic, &reply, failure))
    return false;
  writer_begin(&connection->output, MESSAGE_OK, 0, stream);
  writer_end(&connection->output);
  return true;
}

static bool owner(struct server *server, const struct frame *frame, struct origin origin, struct failure *failure) {
  struct field_reader reader = field_reader(frame);
  struct field field;
  struct owner_question question = {0};
  char id[LAUNCHER_MAX_ID + 1] = "";
  while (field_next(&reader, &field)) {
    bool valid = false;
    if (field.tag == TAG_ID) valid = field_string(&field, id, sizeof id) && id_valid(id);
    if (field.tag == TAG_PROTOCOL) valid = field_u64(&field, &question.protocol);
    if (field.tag == TAG_PORT) valid = field_u64(&field, &question.port);
    if (!valid) return fail(failure, EINVAL, "request", "field %d is not known or not valid", field.tag);
  }
  if (reader.malformed || !id[0]) return refuse(failure, "ID");
  struct job *job = job_new(JOB_OWNER, origin);
  if (!job) return no_memory(failure);
  memcpy(job->name, id, sizeof id);
  job->question = question;
  jobs_add(&server->jobs, job);
  return true;
}

bool server_network_request(struct server *server, struct connection *connection, const struct frame *frame,
                            struct failure *failure) {
  struct origin origin = {.connection = connection->serial, .stream = frame->stream};
  switch (frame->type) {
    case MESSAGE_NETWORK:
      return network(server, frame, origin, failure);
    case MESSAGE_PLUG:
      return plug(server, frame, origin, failure);
    case MESSAGE_UNPLUG:
      return unplug(server, connection, frame, origin, failure);
    case MESSAGE_RULES:
    case MESSAGE_PIN:
      return rules(server, connection, frame, failure);
    case MESSAGE_TRAFFIC:
      return traffic(server, connection, frame->stream, failure);
    case MESSAGE_OWNER:
      return owner(server, frame, origin, failure);
    default:
      return fail(failure, ENOSYS, "request", "message %d is not known", frame->type);
  }
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
  if (ok) grow(server);
}

static void plug_answered(struct server *server, const struct job *job, bool ok) {
  struct slot *slot = &server->network.slots[job->plug.slot];
  if (slot->state != SLOT_PLUGGING) return;
  if (ok) slot->state = SLOT_PLUGGED;
  /* What a killed worker has left is removed; after a failure there is nothing but the slot's own traces. */
  if (!ok && !unplug_slot(server, job->plug.slot, false, (struct origin){0})) network_free(&server->network, job->plug.slot);
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

void server_release_slot(struct server *server, const char *id) {
  int slot = network_slot(&server->network, id);
  if (slot >= 0 && !unplug_slot(server, (unsigned)slot, true, (struct origin){0})) log_line("slot %d is lost", slot);
}

void server_recover_network(struct server *server) {
  network_recover(&server->network, server->host, &server->sandboxes);
  server->jobs.ready_slots = server->network.ready;
  for (unsigned i = 0; i < server->network.used; i++)
    if (server->network.slots[i].state == SLOT_UNPLUGGING) unplug_slot(server, i, false, (struct origin){0});
}

void server_holder_ended(struct server *server) {
  close_fd(&server->network.holder);
  server->network.holder_pid = 0;
  /* Its namespace is held here as well: another holder takes it over. */
  if (!server->ending) add_router_job(server, JOB_NETWORK, (struct origin){0});
}

static void tell_packet(void *context, unsigned index, unsigned kind, const uint8_t *data, size_t length) {
  struct server *server = context;
  int slot = net_slot_of(index);
  if (slot < 0 || server->network.slots[slot].state != SLOT_PLUGGED) return;
  for (size_t i = 0; i < server->connections.count; i++) {
    struct connection *connection = &server->connections.list[i];
    if (connection->output.length - connection->sent > MAX_EVENT_BACKLOG) continue;
    writer_begin(&connection->output, MESSAGE_PACKET, 0, 0);
    writer_string(&connection->output, TAG_ID, server->network.slots[slot].id);
    writer_u64(&connection->output, TAG_KIND, kind);
    writer_bytes(&connection->output, TAG_DATA, data, length);
    writer_end(&connection->output);
  }
}

void server_read_packets(struct server *server) {
  struct failure failure = {0};
  uint64_t lost = 0;
  if (packets_read(server->network.packets, tell_packet, server, &lost, &failure)) return;
  log_line("packets: %s", failure.text);
  close_fd(&server->network.packets);
}
