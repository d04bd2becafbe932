/* What a sandbox may send to: elements of the router's table (net_table.h), changed by netlink, one transaction a call.

   Slot n is the interface `s<n>`. Its life: slot_open (refuses everything) → slot_set_rules, slot_pin, … → slot_close.
   Nothing is remembered here; what must be known is asked of the kernel. */
#ifndef CAISSON_LAUNCHER_NET_RULES_H
#define CAISSON_LAUNCHER_NET_RULES_H

#include "../shared/frame.h"
#include "util.h"

enum { ADDRESS4_SIZE = 4, ADDRESS6_SIZE = 16 };

/* Both ends included; the first 4 or all 16 bytes count. */
struct range {
  uint8_t first[ADDRESS6_SIZE];
  uint8_t last[ADDRESS6_SIZE];
};

/* Ranges of one family: ascending and disjoint, unless said otherwise. */
struct ranges {
  struct range *list;
  size_t count;
};

/* Takes a field of first and last addresses, `size` bytes each, one after the other. False, with EINVAL, unless they
   are whole, ascending, disjoint and at most LAUNCHER_MAX_RANGES. Free with ranges_free, also after a failure. */
bool ranges_parse(const struct field *field, size_t size, struct ranges *out, struct failure *failure);
/* Appends "192.0.2.0/24", "2001:db8::1" or another address or range in CIDR form to the ranges of its family, in no
   order. Bits beyond the prefix must be zero. */
bool ranges_add_text(const char *text, struct ranges *list4, struct ranges *list6, struct failure *failure);
void ranges_free(struct ranges *ranges);

/* An address that may be reached at one port of TCP and UDP for so many seconds. */
struct pin {
  uint8_t address[ADDRESS6_SIZE];
  bool ipv6;
  uint16_t port;
  uint32_t seconds;
};

/* u32 seconds, u16 port (little-endian both), 4 or 16 bytes of address; seconds are 1 to a day. */
bool pin_parse(const struct field *field, struct pin *out, struct failure *failure);

struct slot_rules {
  struct ranges allow4, allow6;
  /* Where names decide nothing although `by_name`: HTTP and TLS to them go straight. */
  struct ranges named4, named6;
  bool by_name;
  /* In force with the rules, so that open connections over a pin that stays are not cut. */
  const struct pin *pins;
  size_t pin_count;
};

struct rules {
  int fd;
  uint32_t sequence;
};

/* Opens the netlink socket in the CURRENT network namespace, which must be the router's. It then works from any. */
bool rules_open(struct rules *rules, struct failure *failure);
void rules_close(struct rules *rules);

/* How many blocks of slots the table has, from block 0 on without a gap; 0 when there is no table. */
bool rules_blocks(struct rules *rules, unsigned *count, struct failure *failure);
/* Whether the table has a set of this name; also how net_table.c finds out what is there. */
bool rules_has_set(struct rules *rules, const char *name, bool *found, struct failure *failure);

/* Replaces what the operator lets rules open (any order, may overlap) and the host's own addresses (ranges of one
   address). Open connections keep what they have until their sandbox's rules are set again, which the server does. */
bool rules_settings(struct rules *rules, const struct ranges *permit4, const struct ranges *permit6,
                    const struct ranges *host4, const struct ranges *host6, struct failure *failure);

/* Makes a slot ready for `s<slot>`, whatever was left in it: packets from `source4` and `source6` (NULL: no IPv6) are
   let in, and everything is refused until rules are set. `connections` that are open at once; 0: any number. */
bool slot_open(struct rules *rules, unsigned slot, const uint8_t *source4, const uint8_t *source6,
               uint32_t connections, struct failure *failure);
/* Another limit of an open slot; connections counted so far stay open and are not counted. */
bool slot_limit(struct rules *rules, unsigned slot, uint32_t connections, struct failure *failure);
/* Forgets everything of a slot and its connections, so that no later sandbox gets an answer to this one. Nothing to do
   for one that is empty. `source4` and `source6` (NULL: none) as they were given. */
bool slot_close(struct rules *rules, unsigned slot, const uint8_t *source4, const uint8_t *source6,
                struct failure *failure);
/* Replaces all rules and pins. Every open connection is judged by the new ones at its next packet. */
bool slot_set_rules(struct rules *rules, unsigned slot, const struct slot_rules *wanted, struct failure *failure);
/* Adds pins, or gives those that are there at least this much time. */
bool slot_pin(struct rules *rules, unsigned slot, const struct pin *pins, size_t count, struct failure *failure);

#endif
