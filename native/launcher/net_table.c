#define _GNU_SOURCE 1
#include "net_table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "launcher.gen.h"
#include "net_elements.h"
#include "net_nft.h"
#include "net_packets.h"
#include "reserved.gen.h"

/* Packets a second that are told of, for each interface; the rest is counted by nobody. */
#define TOLD_REFUSED "limit rate 20/second burst 40 packets"
#define TOLD_NEW "limit rate 50/second burst 100 packets"

/* What the mark of a packet means while it is judged; it is 0 again when it leaves. */
enum { MARK_ALLOWED = 1, MARK_DOOR = 2, MARK_UNNAMED = 3, MARK_RESERVED = 4 };

struct addresses {
  char host4[INET_ADDRSTRLEN];
  char self4[INET_ADDRSTRLEN];
  char host6[INET6_ADDRSTRLEN];
  char self6[INET6_ADDRSTRLEN];
};

static void line(struct text *out, const char *words) { text_printf(out, "  %s\n", words); }

static void lines(struct text *out, const char *const *list, size_t count) {
  for (size_t i = 0; i < count; i++) line(out, list[i]);
}

static void filled_set(struct text *out, const char *declaration, const char *const *elements, size_t count) {
  text_printf(out, "  set %s elements = { ", declaration);
  for (size_t i = 0; i < count; i++) text_printf(out, "%s%s", i ? ", " : "", elements[i]);
  text_printf(out, " } }\n");
}

static void put_sets(struct text *out) {
  static const char *const sets[] = {
      "set permit4 { type ipv4_addr; flags interval; }",
      "set permit6 { type ipv6_addr; flags interval; }",
      /* Permits of exactly one address: only these open a metadata service. */
      "set opened4 { type ipv4_addr; }",
      "set opened6 { type ipv6_addr; }",
      "set host4 { type ipv4_addr; }",
      "set host6 { type ipv6_addr; }",
      "set source4 { type ifname . ipv4_addr; }",
      "set source6 { type ifname . ipv6_addr; }",
      /* The mark that flows get which an interface's rules in force allow; only those go on unjudged. */
      "map generation { type ifname : mark; }",
      "set current { type ifname . mark; }",
      "map slots { type ifname : verdict; }",
      "map diverts { type ifname : verdict; }",
      "set ported { type inet_proto; elements = { tcp, udp }; }",
      /* Where a name decides, nothing may hide it: HTTP and TLS past the proxies, QUIC, DNS over TLS and QUIC. */
      "set by_name { type inet_proto . inet_service; "
      "elements = { tcp . 80, tcp . 443, udp . 443, tcp . 853, udp . 853 }; }",
      "set told { type ifname; size 4096; flags dynamic,timeout; timeout 1m; }",
      "set told_new { type ifname; size 4096; flags dynamic,timeout; timeout 1m; }",
  };
  filled_set(out, "never4 { type ipv4_addr; flags interval;", RESERVED4, countof(RESERVED4));
  filled_set(out, "never6 { type ipv6_addr; flags interval;", RESERVED6, countof(RESERVED6));
  filled_set(out, "metadata4 { type ipv4_addr;", METADATA4, countof(METADATA4));
  filled_set(out, "metadata6 { type ipv6_addr;", METADATA6, countof(METADATA6));
  lines(out, sets, countof(sets));
}

/* Before connections are looked at, so that a forged packet reaches none of another sandbox's. Answers to neighbour
   discovery are let in from link-local addresses, which lead nowhere. */
static void put_arrive(struct text *out) {
  static const char *const chain[] = {
      "chain arrive {",
      "  type filter hook prerouting priority raw; policy drop;",
      "  iifname { \"up\", \"lo\" } accept",
      "  iifname . ip saddr @source4 accept",
      "  iifname . ip6 saddr @source6 accept",
      "  ip6 saddr fe80::/10 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept",
      "}",
  };
  lines(out, chain, countof(chain));
}

static void put_reserved(struct text *out) {
  static const char *const tests[] = {
      "ip daddr @host4",
      "ip6 daddr @host6",
      "ip daddr @metadata4 ip daddr != @opened4",
      "ip6 daddr @metadata6 ip6 daddr != @opened6",
      "ip daddr @never4 ip daddr != @permit4",
      "ip6 daddr @never6 ip6 daddr != @permit6",
  };
  line(out, "chain reserved {");
  for (size_t i = 0; i < countof(tests); i++)
    text_printf(out, "    %s meta mark set %d\n", tests[i], MARK_RESERVED);
  line(out, "}");
}

static void put_door(struct text *out, const struct table_plan *plan, const struct addresses *at,
                     const char *protocol, unsigned port, unsigned door) {
  text_printf(out, "    meta nfproto ipv4 %s dport %u dnat ip to %s:%u\n", protocol, port, at->host4, door);
  if (!plan->ipv6) return;
  text_printf(out, "    meta nfproto ipv6 %s dport %u dnat ip6 to [%s]:%u\n", protocol, port, at->host6, door);
}

/* Nothing reserved is diverted: it is refused where it was meant to go. */
static void put_divert(struct text *out, const struct table_plan *plan, const struct addresses *at) {
  line(out, "chain doors {");
  put_door(out, plan, at, "tcp", 80, DOOR_HTTP);
  put_door(out, plan, at, "tcp", 443, DOOR_TLS);
  line(out, "}");
  line(out, "chain divert {");
  line(out, "  type nat hook prerouting priority dstnat; policy accept;");
  line(out, "  iifname { \"up\", \"lo\" } accept");
  put_door(out, plan, at, "udp", 53, DOOR_DNS);
  put_door(out, plan, at, "tcp", 53, DOOR_DNS);
  line(out, "  meta l4proto != tcp accept");
  line(out, "  th dport != { 80, 443 } accept");
  line(out, "  meta mark set 0");
  line(out, "  jump reserved");
  line(out, "  meta mark 0 iifname vmap @diverts");
  line(out, "}");
}

static void put_refusal(struct text *out, const char *chain, unsigned kind, const char *before) {
  text_printf(out, "  chain %s {\n%s", chain, before);
  text_printf(out, "    update @told { iifname " TOLD_REFUSED " } log group %u snaplen %d\n", kind, PACKET_SNAPLEN);
  line(out, "  goto turn_away");
  line(out, "}");
}

static void put_verdicts(struct text *out) {
  line(out, "chain turn_away {");
  line(out, "  meta l4proto tcp reject with tcp reset");
  line(out, "  reject with icmpx admin-prohibited");
  line(out, "}");
  put_refusal(out, "refuse", PACKET_KIND_REFUSED, "");
  put_refusal(out, "crowded", PACKET_KIND_CONNECTIONS, "");
  /* A connection that went straight to a web server before names decided. */
  put_refusal(out, "unnamed", PACKET_KIND_BY_NAME, "    tcp dport { 80, 443 } goto refuse\n");
  text_printf(out, "  map verdicts { type mark : verdict; elements = { 0 : goto refuse, %d : goto unnamed }; }\n",
              MARK_UNNAMED);
  line(out, "chain pass {");
  text_printf(out, "    meta mark %d ct mark 0 update @told_new { iifname " TOLD_NEW " } log group %d snaplen %d\n",
              MARK_ALLOWED, PACKET_KIND_NEW, PACKET_SNAPLEN);
  line(out, "  meta mark set 0");
  /* A slot without rules has no generation. */
  line(out, "  ct mark set iifname map @generation accept");
  line(out, "  goto refuse");
  line(out, "}");
}

/* Of TCP, answers pass although the rules have changed: they are acknowledged, and that is judged. An answer that
   opens a connection is none. Of anything else, the sandbox must first speak again. */
static void put_forward(struct text *out) {
  static const char *const chains[] = {
      "chain inward {",
      "  oifname . ct mark @current ct state established,related accept",
      "  ct direction reply ct state established ct mark != 0 tcp flags & (syn | ack) != syn accept",
      "  drop",
      "}",
      "chain forward {",
      "  type filter hook forward priority filter; policy drop;",
      "  ct state invalid drop",
      "  iifname \"up\" goto inward",
      "  oifname != \"up\" goto refuse",
      "  iifname . ct mark @current ct state established,related accept",
      "  meta mark set 0",
      "  ct status dnat iifname vmap @slots",
      "  jump reserved",
      "  meta mark 0 iifname vmap @slots",
      "  goto refuse",
      "}",
      "chain input {",
      "  type filter hook input priority filter; policy drop;",
      "  ip6 hoplimit 255 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept",
      "  iifname { \"up\", \"lo\" } drop",
      "  meta pkttype != host drop",
      "  goto refuse",
      "}",
  };
  lines(out, chains, countof(chains));
}

static void put_leave(struct text *out, const struct table_plan *plan, const struct addresses *at) {
  line(out, "chain leave {");
  line(out, "  type nat hook postrouting priority srcnat; policy accept;");
  line(out, "  oifname != \"up\" accept");
  line(out, "  ct status dnat accept");
  text_printf(out, "    ip daddr != %s ip saddr != %s masquerade\n", at->host4, at->self4);
  if (plan->ipv6) text_printf(out, "    ip6 daddr != %s ip6 saddr != %s masquerade\n", at->host6, at->self6);
  line(out, "}");
}

static void put_slot_sets(struct text *out, unsigned n) {
  /* Allowed ranges; those that an entry names; addresses of names with a port; the connections. */
  text_printf(out, "  set a%u { type ipv4_addr; flags interval; }\n  set b%u { type ipv6_addr; flags interval; }\n", n,
              n);
  text_printf(out, "  set e%u { type ipv4_addr; flags interval; }\n  set f%u { type ipv6_addr; flags interval; }\n", n,
              n);
  text_printf(out, "  set p%u { type ipv4_addr . inet_service; size 8192; flags timeout; }\n", n);
  text_printf(out, "  set q%u { type ipv6_addr . inet_service; size 8192; flags timeout; }\n", n);
  text_printf(out, "  set c%u { type ifname; size 2; flags dynamic; ct count over 1; }\n", n);
}

/* Later words win: an address of a name that was opened with a port passes, and what a door has taken does. */
static void put_slot_chain(struct text *out, unsigned n) {
  text_printf(out, "  chain s%u {\n", n);
  text_printf(out, "    ip daddr @a%u meta mark set %d\n    ip6 daddr @b%u meta mark set %d\n", n, MARK_ALLOWED, n,
              MARK_ALLOWED);
  text_printf(out, "    meta mark %d meta l4proto . th dport @by_name ip daddr != @e%u meta mark set %d\n",
              MARK_ALLOWED, n, MARK_UNNAMED);
  text_printf(out, "    meta mark %d meta l4proto . th dport @by_name ip6 daddr != @f%u meta mark set %d\n",
              MARK_ALLOWED, n, MARK_UNNAMED);
  text_printf(out, "    meta l4proto @ported ip daddr . th dport @p%u meta mark set %d\n", n, MARK_ALLOWED);
  text_printf(out, "    meta l4proto @ported ip6 daddr . th dport @q%u meta mark set %d\n", n, MARK_ALLOWED);
  text_printf(out, "    ct status dnat meta mark set %d\n", MARK_DOOR);
  line(out, "  meta mark vmap @verdicts");
  text_printf(out, "    ct mark 0 iifname @c%u goto crowded\n", n);
  line(out, "  goto pass");
  line(out, "}");
}

static void put_slot(struct text *out, unsigned n) {
  put_slot_sets(out, n);
  text_printf(out, "  chain d%u {\n    ip daddr @e%u accept\n    ip6 daddr @f%u accept\n    goto doors\n  }\n", n, n,
              n);
  put_slot_chain(out, n);
}

static void put_block(struct text *out, unsigned block) {
  unsigned first = block * TABLE_BLOCK;
  text_printf(out, "table inet " TABLE_NAME " {\n");
  for (unsigned n = first; n < first + TABLE_BLOCK; n++) put_slot(out, n);
  text_printf(out, "}\n");
  for (unsigned n = first; n < first + TABLE_BLOCK; n++) {
    text_printf(out, "add element inet " TABLE_NAME " slots { \"s%u\" : goto s%u }\n", n, n);
    text_printf(out, "add element inet " TABLE_NAME " diverts { \"s%u\" : goto d%u }\n", n, n);
  }
}

static void put_frame(struct text *out, const struct table_plan *plan) {
  struct addresses at;
  inet_ntop(AF_INET, plan->host4, at.host4, sizeof at.host4);
  inet_ntop(AF_INET, plan->self4, at.self4, sizeof at.self4);
  inet_ntop(AF_INET6, plan->host6, at.host6, sizeof at.host6);
  inet_ntop(AF_INET6, plan->self6, at.self6, sizeof at.self6);
  put_sets(out);
  put_arrive(out);
  put_reserved(out);
  put_divert(out, plan, &at);
  put_verdicts(out);
  put_forward(out);
  put_leave(out, plan, &at);
}

/* FNV-1a: the name of a set that only a table of exactly this text has. */
static void made_name(const struct text *text, char *out, size_t size) {
  uint64_t hash = 14695981039346656037u;
  for (size_t i = 0; i < text->length; i++) hash = (hash ^ (uint8_t)text->data[i]) * 1099511628211u;
  snprintf(out, size, "made_%016" PRIx64, hash);
}

static bool has_set(const char *name, bool *found, struct failure *failure) {
  struct rules rules;
  if (!rules_open(&rules, failure)) return false;
  bool ok = rules_has_set(&rules, name, found, failure);
  rules_close(&rules);
  return ok;
}

bool table_load(const struct table_plan *plan, bool *fresh, struct failure *failure) {
  struct text body = {0};
  struct text all = {0};
  char made[32];
  bool there = false;
  put_frame(&body, plan);
  put_block(&all, 0);
  text_append(&body, all.data, all.failed ? 0 : all.length);
  bool ok = !body.failed && !all.failed;
  text_free(&all);
  if (!ok) fail(failure, ENOMEM, "table", "the launcher has no memory left");
  if (ok) made_name(&body, made, sizeof made);
  ok = ok && has_set(made, &there, failure);
  if (ok && !there) {
    struct text text = {0};
    /* Added first, so that there is one to delete. */
    text_printf(&text, "add table inet " TABLE_NAME "\ndelete table inet " TABLE_NAME "\n");
    text_printf(&text, "table inet " TABLE_NAME " {\n  set %s { type mark; }\n", made);
    put_frame(&text, plan);
    text_printf(&text, "}\n");
    put_block(&text, 0);
    ok = nft_run(&text, "table", failure);
    text_free(&text);
  }
  text_free(&body);
  *fresh = ok && !there;
  return ok;
}

bool table_add_block(unsigned block, struct failure *failure) {
  char first[16];
  bool there;
  snprintf(first, sizeof first, "a%u", block * TABLE_BLOCK);
  if (block >= TABLE_MAX_BLOCKS) return fail(failure, EINVAL, "table", "there is no block %u", block);
  if (!has_set(first, &there, failure)) return false;
  if (there) return true;
  struct text text = {0};
  put_block(&text, block);
  bool ok = nft_run(&text, "table", failure);
  text_free(&text);
  return ok;
}
