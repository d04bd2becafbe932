#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "net_list.h"
#include "router_jobs.h"

/* A client that does not read is told of no packets beyond this. */
enum { MAX_EVENT_BACKLOG = 1024 * 1024 };

static const uint64_t MAX_RATE = (uint64_t)1 << 40;

static bool network(struct server *server, const struct frame *frame, struct origin origin, struct failure *failure) {
  struct router_settings *settings = calloc(1, sizeof *settings);
  if (!settings) return request_no_memory(failure);
  struct job *job = router_settings_parse(frame, settings, failure) ? router_job(server, JOB_NETWORK, origin) : NULL;
  if (job) {
    job->settings = settings;
    return true;
  }
  router_settings_free(settings);
  free(settings);
  return request_no_memory(failure);
}

static bool parse_plug(const struct frame *frame, struct plug *plug, struct failure *failure) {
  struct field_reader reader = field_reader(frame);
  struct field field;
  while (field_next(&reader, &field)) {
    bool valid = false;
    if (field.tag == TAG_ID) valid = field_string(&field, plug->id, sizeof plug->id) && id_valid(plug->id);
    if (field.tag == TAG_UPLOAD) valid = field_in_range(&field, 1, MAX_RATE, &plug->upload);
    if (field.tag == TAG_DOWNLOAD) valid = field_in_range(&field, 1, MAX_RATE, &plug->download);
    if (field.tag == TAG_CONNECTIONS) valid = field_in_range(&field, 1, UINT32_MAX, &plug->connections);
    if (!valid) return fail(failure, EINVAL, "request", "field %d is not known or not valid", field.tag);
  }
  return (plug->id[0] && !reader.malformed) || request_refuse(failure, "ID");
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
  struct job *job = router_job(server, JOB_PLUG, origin);
  if (!job) {
    if (server->network.slots[slot].state == SLOT_PLUGGING) network_free(&server->network, (unsigned)slot);
    return request_no_memory(failure);
  }
  wanted.router = job->plug.router;
  wanted.numbers = job->plug.numbers;
  wanted.slot = (unsigned)slot;
  wanted.pid = sandbox->pid;
  /* Its own: the sandbox's may be closed, and its number another's, before a worker begins. */
  wanted.pidfd = fcntl(sandbox->pidfd, F_DUPFD_CLOEXEC, 0);
  job->plug = wanted;
  router_grow(server);
  return true;
}

static bool unplug(struct server *server, struct connection *connection, const struct frame *frame,
                   struct origin origin, struct failure *failure) {
  char id[LAUNCHER_MAX_ID + 1];
  if (!parse_id(frame, id, failure)) return false;
  int slot = network_slot(&server->network, id);
  if (slot >= 0) return router_unplug(server, (unsigned)slot, origin) || request_no_memory(failure);
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

/* Of one sandbox when the request names it: a list of all takes longer with each of them. */
static bool traffic(struct server *server, struct connection *connection, const struct frame *frame,
                    struct failure *failure) {
  struct network *network = &server->network;
  struct traffic_reply reply = {.network = network, .output = &connection->output, .stream = frame->stream};
  char id[LAUNCHER_MAX_ID + 1];
  if (frame->length > 0 && !parse_id(frame, id, failure)) return false;
  int slot = frame->length > 0 ? network_slot(network, id) : 0;
  bool plugged = network->namespace >= 0 && slot >= 0;
  unsigned index = frame->length > 0 ? NET_SLOT_INDEX + (unsigned)slot : 0;
  struct failure gone = {0};
  if (plugged && !traffic_visit(network->links, index, write_traffic, &reply, &gone) && gone.error != ENODEV)
    return fail(failure, gone.error, gone.step, "%s", gone.text);
  writer_begin(&connection->output, MESSAGE_OK, 0, frame->stream);
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
  if (reader.malformed || !id[0]) return request_refuse(failure, "ID");
  struct job *job = job_new(JOB_OWNER, origin);
  if (!job) return request_no_memory(failure);
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
      return request_rules(server, connection, frame, failure);
    case MESSAGE_TRAFFIC:
      return traffic(server, connection, frame, failure);
    case MESSAGE_OWNER:
      return owner(server, frame, origin, failure);
    default:
      return fail(failure, ENOSYS, "request", "message %d is not known", frame->type);
  }
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
