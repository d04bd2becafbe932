#define _GNU_SOURCE 1
#include "net_rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "net_elements.h"
#include "net_table.h"

/* A flow's mark: slot + 1 in the upper bits, and which of the slot's rules, one after the other, judged it. */
enum { MARK_SLOT_SHIFT = 20 };
static const uint32_t MARK_RULES = (1u << MARK_SLOT_SHIFT) - 1;

/* Keys as the table's types have them: each part fills whole words. */
struct interface {
  char name[IFNAMSIZ];
};
struct interface_mark {
  struct interface interface;
  uint32_t mark;
};
struct interface_address {
  struct interface interface;
  uint8_t address[ADDRESS6_SIZE];
};
struct address_port {
  uint8_t bytes[ADDRESS6_SIZE + sizeof(uint32_t)];
};

static struct interface interface_of(unsigned slot) {
  struct interface interface = {0};
  snprintf(interface.name, sizeof interface.name, "s%u", slot);
  return interface;
}

static const char *set_of(char *out, size_t size, char letter, unsigned slot) {
  snprintf(out, size, "%c%u", letter, slot);
  return out;
}
#define SLOT_SET(letter, slot) set_of((char[24]){0}, 24, letter, slot)

static void put_key(struct change *change, const void *key, size_t size) {
  change_element(change, &(struct element){.key = key, .key_size = size});
}

/* The address behind the range; false when there is none. */
static bool next_address(const uint8_t *last, size_t size, uint8_t *out) {
  memcpy(out, last, size);
  for (size_t i = size; i-- > 0;)
    if (++out[i]) return true;
  return false;
}

/* Ranges that touch become one: an address can not both end an interval and begin one in every kernel. */
static void add_ranges(struct change *change, const char *set, const struct ranges *ranges, size_t size) {
  if (!ranges->count) return;
  change_add(change, set);
  for (size_t i = 0; i < ranges->count; i++) {
    uint8_t end[ADDRESS6_SIZE];
    put_key(change, ranges->list[i].first, size);
    bool ends = next_address(ranges->list[i].last, size, end);
    while (ends && i + 1 < ranges->count && memcmp(end, ranges->list[i + 1].first, size) == 0)
      ends = next_address(ranges->list[++i].last, size, end);
    if (ends) change_element(change, &(struct element){.key = end, .key_size = size, .interval_end = true});
  }
}

/* The ranges are all addresses of the family. */
static void add_everything(struct change *change, const char *set, size_t size) {
  static const uint8_t none[ADDRESS6_SIZE];
  change_add(change, set);
  put_key(change, none, size);
}

static bool generation_of(struct rules *rules, unsigned slot, uint32_t *out, struct failure *failure) {
  struct interface interface = interface_of(slot);
  struct found found;
  if (!element_find(rules, "generation", &interface, sizeof interface, &found, failure)) return false;
  *out = found.mark;
  return true;
}

static void forget_generation(struct change *change, unsigned slot, uint32_t generation) {
  if (!generation) return;
  struct interface_mark key = {interface_of(slot), generation};
  change_remove(change, "generation");
  put_key(change, &key.interface, sizeof key.interface);
  change_remove(change, "current");
  put_key(change, &key, sizeof key);
}

static void add_generation(struct change *change, unsigned slot, uint32_t generation) {
  struct interface_mark key = {interface_of(slot), generation};
  change_add(change, "generation");
  change_element(change, &(struct element){
                             .key = &key.interface, .key_size = sizeof key.interface, .mark = &key.mark});
  change_add(change, "current");
  put_key(change, &key, sizeof key);
}

static uint32_t next_generation(unsigned slot, uint32_t generation) {
  uint32_t next = generation + 1;
  /* A slot begins anywhere, so that its marks are hardly ever those of whom it had before. */
  if (!generation && getrandom(&next, sizeof next, 0) != (ssize_t)sizeof next) next = 1;
  return (slot + 1) << MARK_SLOT_SHIFT | (next & MARK_RULES);
}

static void empty_rules(struct change *change, unsigned slot) {
  for (const char *letter = "abefpq"; *letter; letter++) change_flush(change, SLOT_SET(*letter, slot));
}

static void put_source(struct change *change, const char *set, unsigned slot, const uint8_t *address, size_t size) {
  struct interface_address key = {interface_of(slot), {0}};
  memcpy(key.address, address, size);
  change_add(change, set);
  put_key(change, &key, sizeof key.interface + size);
}

/* What is not there can not be removed in a transaction, unless it was added in it. */
static void remove_source(struct change *change, const char *set, unsigned slot, const uint8_t *address,
                          size_t size) {
  struct interface_address key = {interface_of(slot), {0}};
  memcpy(key.address, address, size);
  put_source(change, set, slot, address, size);
  change_remove(change, set);
  put_key(change, &key, sizeof key.interface + size);
}

static void set_limit(struct change *change, unsigned slot, uint32_t connections) {
  struct interface interface = interface_of(slot);
  change_flush(change, SLOT_SET('c', slot));
  if (!connections) return;
  change_add(change, SLOT_SET('c', slot));
  change_element(change, &(struct element){
                             .key = &interface, .key_size = sizeof interface, .connections = connections});
}

bool slot_open(struct rules *rules, unsigned slot, const uint8_t *source4, const uint8_t *source6,
               uint32_t connections, struct failure *failure) {
  struct change change = {0};
  uint32_t generation;
  if (!generation_of(rules, slot, &generation, failure)) return false;
  forget_generation(&change, slot, generation);
  empty_rules(&change, slot);
  set_limit(&change, slot, connections);
  /* Nothing is diverted before there are rules: without a generation all is refused where it was meant to go. */
  add_everything(&change, SLOT_SET('e', slot), ADDRESS4_SIZE);
  add_everything(&change, SLOT_SET('f', slot), ADDRESS6_SIZE);
  put_source(&change, "source4", slot, source4, ADDRESS4_SIZE);
  if (source6) put_source(&change, "source6", slot, source6, ADDRESS6_SIZE);
  bool ok = change_commit(&change, rules, failure);
  change_free(&change);
  return ok;
}

bool slot_limit(struct rules *rules, unsigned slot, uint32_t connections, struct failure *failure) {
  struct change change = {0};
  set_limit(&change, slot, connections);
  bool ok = change_commit(&change, rules, failure);
  change_free(&change);
  return ok;
}

bool slot_close(struct rules *rules, unsigned slot, const uint8_t *source4, const uint8_t *source6,
                struct failure *failure) {
  struct change change = {0};
  uint32_t generation;
  if (!generation_of(rules, slot, &generation, failure)) return false;
  forget_generation(&change, slot, generation);
  empty_rules(&change, slot);
  set_limit(&change, slot, 0);
  remove_source(&change, "source4", slot, source4, ADDRESS4_SIZE);
  if (source6) remove_source(&change, "source6", slot, source6, ADDRESS6_SIZE);
  bool ok = change_commit(&change, rules, failure);
  change_free(&change);
  return ok && connections_forget(rules, (slot + 1) << MARK_SLOT_SHIFT, ~MARK_RULES, failure);
}

static struct address_port key_of(const struct pin *pin, size_t *size) {
  struct address_port key = {{0}};
  size_t address = pin->ipv6 ? ADDRESS6_SIZE : ADDRESS4_SIZE;
  uint16_t port = htons(pin->port);
  memcpy(key.bytes, pin->address, address);
  memcpy(key.bytes + address, &port, sizeof port);
  *size = address + sizeof(uint32_t);
  return key;
}

static void add_pin(struct change *change, unsigned slot, const struct pin *pin) {
  size_t size;
  struct address_port key = key_of(pin, &size);
  change_add(change, SLOT_SET(pin->ipv6 ? 'q' : 'p', slot));
  change_element(change, &(struct element){
                             .key = &key, .key_size = size, .timeout_msec = (uint64_t)pin->seconds * 1000});
}

/* A pin's time is never shortened: who asked earlier was told that it lasts. */
static bool renew_pin(struct change *change, struct rules *rules, unsigned slot, const struct pin *pin,
                      struct failure *failure) {
  size_t size;
  struct address_port key = key_of(pin, &size);
  const char *set = SLOT_SET(pin->ipv6 ? 'q' : 'p', slot);
  struct found found;
  if (!element_find(rules, set, &key, size, &found, failure)) return false;
  if (found.left_msec >= (uint64_t)pin->seconds * 1000) return true;
  if (found.found) {
    /* It may time out before it is removed; adding it first makes sure that it is there. */
    add_pin(change, slot, pin);
    change_remove(change, set);
    put_key(change, &key, size);
  }
  add_pin(change, slot, pin);
  return true;
}

bool slot_pin(struct rules *rules, unsigned slot, const struct pin *pins, size_t count, struct failure *failure) {
  /* A transaction takes so many changes, of which a pin is up to three. */
  enum { PINS_AT_ONCE = 50 };
  struct change change = {0};
  bool ok = true;
  for (size_t i = 0; ok && i < count; i++) {
    ok = renew_pin(&change, rules, slot, &pins[i], failure);
    if (ok && change.count && (i + 1 == count || i % PINS_AT_ONCE == PINS_AT_ONCE - 1))
      ok = change_commit(&change, rules, failure);
  }
  change_free(&change);
  return ok;
}

bool slot_set_rules(struct rules *rules, unsigned slot, const struct slot_rules *wanted, struct failure *failure) {
  struct change change = {0};
  uint32_t generation;
  if (!generation_of(rules, slot, &generation, failure)) return false;
  empty_rules(&change, slot);
  add_ranges(&change, SLOT_SET('a', slot), &wanted->allow4, ADDRESS4_SIZE);
  add_ranges(&change, SLOT_SET('b', slot), &wanted->allow6, ADDRESS6_SIZE);
  if (wanted->by_name) {
    add_ranges(&change, SLOT_SET('e', slot), &wanted->named4, ADDRESS4_SIZE);
    add_ranges(&change, SLOT_SET('f', slot), &wanted->named6, ADDRESS6_SIZE);
  } else {
    add_everything(&change, SLOT_SET('e', slot), ADDRESS4_SIZE);
    add_everything(&change, SLOT_SET('f', slot), ADDRESS6_SIZE);
  }
  for (size_t i = 0; i < wanted->pin_count; i++) add_pin(&change, slot, &wanted->pins[i]);
  forget_generation(&change, slot, generation);
  add_generation(&change, slot, next_generation(slot, generation));
  bool ok = change_commit(&change, rules, failure);
  change_free(&change);
  return ok;
}

static int compare4(const void *one, const void *other) { return memcmp(one, other, ADDRESS4_SIZE); }
static int compare6(const void *one, const void *other) { return memcmp(one, other, ADDRESS6_SIZE); }

/* A sorted copy in which ranges that overlap are one. */
static bool merge(const struct ranges *ranges, size_t size, struct ranges *out) {
  *out = (struct ranges){.list = calloc(ranges->count + 1, sizeof *out->list)};
  if (!out->list) return false;
  if (!ranges->count) return true;
  struct range *list = out->list;
  memcpy(list, ranges->list, ranges->count * sizeof *list);
  qsort(list, ranges->count, sizeof *list, size == ADDRESS4_SIZE ? compare4 : compare6);
  for (size_t i = 1; i < ranges->count; i++) {
    struct range *last = &list[out->count];
    if (memcmp(list[i].first, last->last, size) > 0) list[++out->count] = list[i];
    else if (memcmp(list[i].last, last->last, size) > 0) memcpy(last->last, list[i].last, size);
  }
  out->count++;
  return true;
}

/* The ranges of one address, by themselves; adding one twice does no harm. */
static void add_singles(struct change *change, const char *set, const struct ranges *ranges, size_t size) {
  bool begun = false;
  for (size_t i = 0; i < ranges->count; i++) {
    if (memcmp(ranges->list[i].first, ranges->list[i].last, size) != 0) continue;
    if (!begun) change_add(change, set);
    begun = true;
    put_key(change, ranges->list[i].first, size);
  }
}

static bool add_permits(struct change *change, const struct ranges *ranges, size_t size) {
  bool ipv6 = size == ADDRESS6_SIZE;
  struct ranges merged;
  if (!merge(ranges, size, &merged)) return false;
  add_ranges(change, ipv6 ? "permit6" : "permit4", &merged, size);
  add_singles(change, ipv6 ? "opened6" : "opened4", ranges, size);
  ranges_free(&merged);
  return true;
}

bool rules_settings(struct rules *rules, const struct ranges *permit4, const struct ranges *permit6,
                    const struct ranges *host4, const struct ranges *host6, struct failure *failure) {
  static const char *const sets[] = {"permit4", "permit6", "opened4", "opened6", "host4", "host6"};
  struct change change = {0};
  for (size_t i = 0; i < countof(sets); i++) change_flush(&change, sets[i]);
  bool ok = add_permits(&change, permit4, ADDRESS4_SIZE) && add_permits(&change, permit6, ADDRESS6_SIZE);
  if (!ok) fail(failure, ENOMEM, "settings", "the launcher has no memory left");
  add_singles(&change, "host4", host4, ADDRESS4_SIZE);
  add_singles(&change, "host6", host6, ADDRESS6_SIZE);
  ok = ok && change_commit(&change, rules, failure);
  change_free(&change);
  return ok;
}

bool rules_blocks(struct rules *rules, unsigned *count, struct failure *failure) {
  bool found = true;
  *count = 0;
  while (*count < TABLE_MAX_BLOCKS) {
    if (!rules_has_set(rules, SLOT_SET('a', *count * TABLE_BLOCK), &found, failure)) return false;
    if (!found) break;
    ++*count;
  }
  return true;
}
