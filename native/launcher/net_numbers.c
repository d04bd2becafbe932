#define _GNU_SOURCE 1
#include "net_numbers.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "launcher.gen.h"

enum { FIRST_SANDBOX = 16, HOST_END = 4094, ROUTER_END = 4095, BLOCK_SIZE = 4096 };

static const uint32_t BENCHMARK = 198u << 24 | 18u << 16;

static uint32_t base(const struct numbers *numbers) { return BENCHMARK + numbers->block * BLOCK_SIZE; }

struct net_address net_block4(const struct numbers *numbers) { return net_address4(base(numbers), 20); }
struct net_address net_host4(const struct numbers *numbers) { return net_address4(base(numbers) + HOST_END, 31); }
struct net_address net_router4(const struct numbers *numbers) { return net_address4(base(numbers) + ROUTER_END, 31); }
struct net_address net_sandbox4(const struct numbers *numbers, unsigned slot) {
  return net_address4(base(numbers) + FIRST_SANDBOX + slot, 32);
}

/* fdca:1550:<block>:<subnet>::<host>: subnet 0 is the sandboxes', 1 the uplink. */
static struct net_address unique_local(const struct numbers *numbers, unsigned subnet, unsigned host, uint8_t prefix) {
  uint8_t bytes[16] = {0xfd, 0xca, 0x15, 0x50, [5] = (uint8_t)numbers->block, [7] = (uint8_t)subnet};
  bytes[14] = (uint8_t)(host >> 8);
  bytes[15] = (uint8_t)host;
  return net_address6(bytes, prefix);
}

struct net_address net_block6(const struct numbers *numbers) { return unique_local(numbers, 0, 0, 48); }
struct net_address net_host6(const struct numbers *numbers) { return unique_local(numbers, 1, 2, 127); }
struct net_address net_router6(const struct numbers *numbers) { return unique_local(numbers, 1, 3, 127); }
struct net_address net_sandbox6(const struct numbers *numbers, unsigned slot) {
  return unique_local(numbers, 0, FIRST_SANDBOX + slot, 128);
}

struct net_address net_resolver(void) {
  struct net_address address = {.family = AF_INET, .prefix = 32};
  inet_pton(AF_INET, NET_RESOLVER, address.bytes);
  return address;
}

struct net_address net_gateway6(void) {
  return net_address6((const uint8_t[16]){0xfe, 0x80, [15] = 1}, 64);
}

struct net_address net_any(sa_family_t family) { return (struct net_address){.family = family}; }

int net_block_of(const struct net_address *address) {
  uint32_t wire;
  memcpy(&wire, address->bytes, sizeof wire);
  uint32_t offset = ntohl(wire) - BENCHMARK;
  return address->family == AF_INET && offset / BLOCK_SIZE < NET_BLOCKS ? (int)(offset / BLOCK_SIZE) : -1;
}

int net_block_of_text(const char *text) {
  struct net_address address = {.family = AF_INET};
  return inet_pton(AF_INET, text, address.bytes) == 1 ? net_block_of(&address) : -1;
}

bool net_overlap(const struct net_address *one, const struct net_address *other) {
  if (one->family != other->family) return false;
  unsigned bits = one->prefix < other->prefix ? one->prefix : other->prefix;
  if (memcmp(one->bytes, other->bytes, bits / 8) != 0) return false;
  unsigned rest = bits % 8;
  return rest == 0 || (one->bytes[bits / 8] ^ other->bytes[bits / 8]) >> (8 - rest) == 0;
}

void net_uplink_name(const char *instance, char out[IFNAMSIZ]) {
  /* FNV-1a: nobody who could choose an instance gains anything by a collision, which fails. */
  uint32_t hash = 2166136261u;
  for (const char *at = instance; *at; at++) hash = (hash ^ (uint8_t)*at) * 16777619u;
  snprintf(out, IFNAMSIZ, "csn%08x", hash);
}

void net_slot_name(unsigned slot, char out[IFNAMSIZ]) { snprintf(out, IFNAMSIZ, "s%u", slot); }

int net_slot_of(unsigned index) {
  return index >= NET_SLOT_INDEX && index < NET_SLOT_INDEX + LAUNCHER_MAX_SLOTS ? (int)(index - NET_SLOT_INDEX) : -1;
}
