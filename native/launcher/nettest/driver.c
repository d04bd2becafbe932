/* Drives net_table, net_rules and net_packets from lines on standard input, in the network namespace that it is
   started in; tests/launcher/table.test.ts says what for. Every line is answered by one: "ok …" or "error …". */
#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../launcher.gen.h"
#include "../net_packets.h"
#include "../net_rules.h"
#include "../net_table.h"

enum { MAX_WORDS = 4096, MAX_TEST_PINS = 256 };

struct driver {
  struct rules rules;
  int packets;
  uint64_t lost;
  char *words[MAX_WORDS];
  size_t count;
};

static const char *word(const struct driver *driver, size_t index) {
  return index < driver->count ? driver->words[index] : "";
}

static unsigned number(const struct driver *driver, size_t index) {
  return (unsigned)strtoul(word(driver, index), NULL, 10);
}

static size_t parse_address(const char *text, uint8_t *out) {
  if (inet_pton(AF_INET, text, out) == 1) return ADDRESS4_SIZE;
  return inet_pton(AF_INET6, text, out) == 1 ? ADDRESS6_SIZE : 0;
}

/* "-" is no address. */
static const uint8_t *optional_address(const char *text, uint8_t *out) {
  return parse_address(text, out) ? out : NULL;
}

static bool load(struct driver *driver, struct failure *failure) {
  struct table_plan plan = {0};
  bool fresh;
  parse_address(word(driver, 1), plan.host4);
  parse_address(word(driver, 2), plan.self4);
  plan.ipv6 = driver->count > 3;
  parse_address(word(driver, 3), plan.host6);
  parse_address(word(driver, 4), plan.self6);
  if (!table_load(&plan, &fresh, failure)) return false;
  printf("ok %s\n", fresh ? "fresh" : "there");
  return true;
}

static bool count_blocks(struct driver *driver, struct failure *failure) {
  unsigned count;
  if (!rules_blocks(&driver->rules, &count, failure)) return false;
  printf("ok %u\n", count);
  return true;
}

static bool settings(struct driver *driver, struct failure *failure) {
  struct ranges permit4 = {0}, permit6 = {0}, host4 = {0}, host6 = {0};
  bool ok = true;
  for (size_t i = 1; ok && i < driver->count; i++) {
    bool host = strncmp(word(driver, i), "host=", 5) == 0;
    ok = ranges_add_text(strchr(word(driver, i), '=') + 1, host ? &host4 : &permit4, host ? &host6 : &permit6,
                         failure);
  }
  ok = ok && rules_settings(&driver->rules, &permit4, &permit6, &host4, &host6, failure);
  ranges_free(&permit4);
  ranges_free(&permit6);
  ranges_free(&host4);
  ranges_free(&host6);
  return ok;
}

static bool open_or_close(struct driver *driver, struct failure *failure) {
  uint8_t source4[ADDRESS4_SIZE];
  uint8_t source6[ADDRESS6_SIZE];
  parse_address(word(driver, 2), source4);
  const uint8_t *six = optional_address(word(driver, 3), source6);
  if (strcmp(word(driver, 0), "open") == 0)
    return slot_open(&driver->rules, number(driver, 1), source4, six, number(driver, 4), failure);
  return slot_close(&driver->rules, number(driver, 1), source4, six, failure);
}

/* "first-last,first-last" as the bytes of a field. */
static bool parse_ranges(char *text, size_t size, struct ranges *out, struct failure *failure) {
  static uint8_t bytes[(LAUNCHER_MAX_RANGES + 1) * 2 * ADDRESS6_SIZE];
  struct field field = {.data = bytes};
  ranges_free(out);
  for (char *save, *range = strtok_r(text, ",", &save); range; range = strtok_r(NULL, ",", &save)) {
    char *dash = strchr(range, '-');
    if (dash) *dash = 0;
    if (field.length + 2 * size > sizeof bytes) break;
    if (parse_address(range, bytes + field.length) != size ||
        parse_address(dash ? dash + 1 : range, bytes + field.length + size) != size)
      return fail(failure, EINVAL, "test", "%s is no address of the family", range);
    field.length += (uint32_t)(2 * size);
  }
  return ranges_parse(&field, size, out, failure);
}

/* "address@port@seconds" as the bytes of a field. */
static bool parse_pin(char *text, struct pin *out, struct failure *failure) {
  uint8_t bytes[32];
  char *port = strchr(text, '@');
  char *seconds = port ? strchr(port + 1, '@') : NULL;
  if (!port || !seconds) return fail(failure, EINVAL, "test", "%s is no pin", text);
  *port = 0;
  uint32_t lasts = (uint32_t)strtoul(seconds + 1, NULL, 10);
  uint16_t at = (uint16_t)strtoul(port + 1, NULL, 10);
  memcpy(bytes, &lasts, sizeof lasts);
  memcpy(bytes + 4, &at, sizeof at);
  size_t size = parse_address(text, bytes + 6);
  struct field field = {.length = (uint32_t)(6 + size), .data = bytes};
  return pin_parse(&field, out, failure);
}

static bool set_rules(struct driver *driver, struct failure *failure) {
  struct slot_rules rules = {0};
  static struct pin pins[MAX_TEST_PINS];
  bool ok = true;
  for (size_t i = 2; ok && i < driver->count; i++) {
    char *value = strchr(driver->words[i], '=');
    if (value) *value++ = 0;
    const char *name = driver->words[i];
    if (strcmp(name, "by-name") == 0) rules.by_name = true;
    else if (strcmp(name, "pin") == 0 && rules.pin_count < MAX_TEST_PINS)
      ok = parse_pin(value, &pins[rules.pin_count++], failure);
    else if (strcmp(name, "allow4") == 0) ok = parse_ranges(value, ADDRESS4_SIZE, &rules.allow4, failure);
    else if (strcmp(name, "allow6") == 0) ok = parse_ranges(value, ADDRESS6_SIZE, &rules.allow6, failure);
    else if (strcmp(name, "named4") == 0) ok = parse_ranges(value, ADDRESS4_SIZE, &rules.named4, failure);
    else if (strcmp(name, "named6") == 0) ok = parse_ranges(value, ADDRESS6_SIZE, &rules.named6, failure);
    else ok = fail(failure, EINVAL, "test", "no word %s", name);
  }
  rules.pins = pins;
  ok = ok && slot_set_rules(&driver->rules, number(driver, 1), &rules, failure);
  ranges_free(&rules.allow4);
  ranges_free(&rules.allow6);
  ranges_free(&rules.named4);
  ranges_free(&rules.named6);
  return ok;
}

static bool pin(struct driver *driver, struct failure *failure) {
  static struct pin pins[MAX_TEST_PINS];
  size_t count = 0;
  for (size_t i = 2; i < driver->count && count < MAX_TEST_PINS; i++)
    if (!parse_pin(driver->words[i], &pins[count++], failure)) return false;
  return slot_pin(&driver->rules, number(driver, 1), pins, count, failure);
}

static void print_packet(void *context, unsigned ifindex, unsigned kind, const uint8_t *data, size_t length) {
  (void)context;
  printf(" %u:%u:", ifindex, kind);
  for (size_t i = 0; i < length; i++) printf("%02x", data[i]);
}

/* What has come within so many milliseconds. */
static bool packets(struct driver *driver, struct failure *failure) {
  uint64_t end = now_usec() + number(driver, 1) * 1000u;
  printf("ok");
  while (now_usec() < end) {
    struct pollfd readable = {.fd = driver->packets, .events = POLLIN};
    if (poll(&readable, 1, 10) > 0 && !packets_read(driver->packets, print_packet, NULL, &driver->lost, failure))
      break;
  }
  printf("\n");
  failure->error = 0;
  return true;
}

/* Rules of 100 ranges for so many slots, so often; the median and the 99th hundredth in microseconds. */
static int compare(const void *one, const void *other) {
  uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
  return a < b ? -1 : a > b;
}

static bool measure(struct driver *driver, struct failure *failure) {
  unsigned slots = number(driver, 1), ranges = number(driver, 2), rounds = number(driver, 3);
  struct slot_rules rules = {.allow4 = {calloc(ranges, sizeof(struct range)), ranges}};
  uint64_t *times = calloc(rounds, sizeof *times);
  bool ok = rules.allow4.list && times;
  for (unsigned i = 0; ok && i < rounds; i++) {
    for (unsigned r = 0; r < ranges; r++) {
      uint8_t first[] = {20, (uint8_t)(r + i), (uint8_t)i, 0};
      memcpy(rules.allow4.list[r].first, first, sizeof first);
      memcpy(rules.allow4.list[r].last, first, sizeof first);
      rules.allow4.list[r].first[1] = rules.allow4.list[r].last[1] = (uint8_t)(r % 200);
      rules.allow4.list[r].first[2] = rules.allow4.list[r].last[2] = (uint8_t)(r / 200);
      rules.allow4.list[r].last[3] = 9;
    }
    uint64_t start = now_usec();
    ok = slot_set_rules(&driver->rules, i % slots, &rules, failure);
    times[i] = now_usec() - start;
  }
  if (ok) qsort(times, rounds, sizeof *times, compare);
  if (ok) printf("ok %llu %llu\n", (unsigned long long)times[rounds / 2], (unsigned long long)times[rounds * 99 / 100]);
  free(times);
  ranges_free(&rules.allow4);
  return ok;
}

static bool add_block(struct driver *driver, struct failure *failure) {
  return table_add_block(number(driver, 1), failure);
}

static bool limit(struct driver *driver, struct failure *failure) {
  return slot_limit(&driver->rules, number(driver, 1), number(driver, 2), failure);
}

static const struct command {
  const char *name;
  bool (*run)(struct driver *driver, struct failure *failure);
  /* Prints its own answer. */
  bool answers;
} COMMANDS[] = {{"load", load, true},         {"block", add_block, false},      {"blocks", count_blocks, true},
                {"settings", settings, false}, {"open", open_or_close, false},  {"close", open_or_close, false},
                {"limit", limit, false},       {"rules", set_rules, false},      {"pin", pin, false},
                {"packets", packets, true},    {"measure", measure, true}};

static void obey(struct driver *driver, char *line) {
  struct failure failure = {0};
  driver->count = 0;
  for (char *save, *at = strtok_r(line, " \n", &save); at && driver->count < MAX_WORDS; at = strtok_r(NULL, " \n", &save))
    driver->words[driver->count++] = at;
  const struct command *command = NULL;
  for (size_t i = 0; i < countof(COMMANDS); i++)
    if (strcmp(COMMANDS[i].name, word(driver, 0)) == 0) command = &COMMANDS[i];
  if (!command) fail(&failure, EINVAL, "test", "no command %s", word(driver, 0));
  else if (command->run(driver, &failure) && !command->answers) printf("ok\n");
  if (failure.error) printf("error %d %s: %s\n", failure.error, failure.step, failure.text);
  fflush(stdout);
}

int main(void) {
  struct driver driver = {.packets = -1};
  struct failure failure = {0};
  char *line = NULL;
  size_t size = 0;
  if (!rules_open(&driver.rules, &failure) || (driver.packets = packets_open(&failure)) < 0) {
    fprintf(stderr, "%s: %s\n", failure.step, failure.text);
    return 1;
  }
  while (getline(&line, &size, stdin) > 0) obey(&driver, line);
  free(line);
  close_fd(&driver.packets);
  rules_close(&driver.rules);
  return 0;
}
