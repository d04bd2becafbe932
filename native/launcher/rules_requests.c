#define _GNU_SOURCE 1
#include <errno.h>
#include <stdlib.h>

#include "router_jobs.h"

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
  return out->list ? request_refuse(failure, "a field that comes twice") : ranges_parse(field, size, out, failure);
}

static bool take_pin(const struct field *field, struct rules_request *request, struct failure *failure) {
  if (request->rules.pin_count == LAUNCHER_MAX_PINS) return request_refuse(failure, "PIN");
  return pin_parse(field, &request->pins[request->rules.pin_count++], failure);
}

static bool take_rule(const struct field *field, struct rules_request *request, struct failure *failure) {
  struct slot_rules *rules = &request->rules;
  uint64_t flag;
  switch (field->tag) {
    case TAG_ID:
      return (field_string(field, request->id, sizeof request->id) && id_valid(request->id)) || request_refuse(failure, "ID");
    case TAG_ALLOW4:
      return take_ranges(field, ADDRESS4_SIZE, &rules->allow4, failure);
    case TAG_ALLOW6:
      return take_ranges(field, ADDRESS6_SIZE, &rules->allow6, failure);
    case TAG_NAMED4:
      return take_ranges(field, ADDRESS4_SIZE, &rules->named4, failure);
    case TAG_NAMED6:
      return take_ranges(field, ADDRESS6_SIZE, &rules->named6, failure);
    case TAG_BY_NAME:
      if (!field_in_range(field, 0, 1, &flag)) return request_refuse(failure, "BY_NAME");
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
  if (reader.malformed || !request->id[0]) return request_refuse(failure, "ID");
  if (frame->type == MESSAGE_PIN && (request->rules.pin_count == 0 || !only_pins(&request->rules)))
    return request_refuse(failure, "PIN");
  int slot = plugged_slot(server, request->id, failure);
  if (slot < 0) return false;
  struct rules *table = &server->network.rules;
  return frame->type == MESSAGE_PIN
             ? slot_pin(table, (unsigned)slot, request->pins, request->rules.pin_count, failure)
             : slot_set_rules(table, (unsigned)slot, &request->rules, failure);
}

/* RULES and PIN take a fraction of a millisecond: a worker would take longer to fork. */
bool request_rules(struct server *server, struct connection *connection, const struct frame *frame,
                  struct failure *failure) {
  struct rules_request *request = calloc(1, sizeof *request);
  if (!request) return request_no_memory(failure);
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
