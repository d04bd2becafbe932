#define _GNU_SOURCE 1
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "launcher.gen.h"
#include "net_rules.h"

enum { MAX_PIN_SECONDS = 86400, PIN_HEADER_SIZE = 6 };

bool ranges_parse(const struct field *field, size_t size, struct ranges *out, struct failure *failure) {
  *out = (struct ranges){0};
  size_t count = field->length / (2 * size);
  if (field->length % (2 * size) || count > LAUNCHER_MAX_RANGES)
    return fail(failure, EINVAL, "ranges", "%u bytes are no list of ranges", field->length);
  if (!count) return true;
  out->list = calloc(count, sizeof *out->list);
  if (!out->list) return fail(failure, ENOMEM, "ranges", "the launcher has no memory left");
  for (const uint8_t *at = field->data; out->count < count; at += 2 * size, out->count++) {
    struct range *range = &out->list[out->count];
    memcpy(range->first, at, size);
    memcpy(range->last, at + size, size);
    bool after = out->count == 0 || memcmp(range[-1].last, range->first, size) < 0;
    if (!after || memcmp(range->first, range->last, size) > 0)
      return fail(failure, EINVAL, "ranges", "range %zu is empty or not behind the one before", out->count);
  }
  return true;
}

static bool append(struct ranges *ranges, const struct range *range) {
  struct range *list = reallocarray(ranges->list, ranges->count + 1, sizeof *list);
  if (!list) return false;
  ranges->list = list;
  list[ranges->count++] = *range;
  return true;
}

/* False when bits beyond the prefix are set. */
static bool spread(struct range *range, size_t size, unsigned prefix) {
  memcpy(range->last, range->first, size);
  for (unsigned bit = prefix; bit < size * 8; bit++) {
    uint8_t mask = (uint8_t)(0x80u >> bit % 8);
    if (range->first[bit / 8] & mask) return false;
    range->last[bit / 8] |= mask;
  }
  return true;
}

/* One to three digits; UINT_MAX for anything else. */
static unsigned parse_prefix(const char *text) {
  size_t length = strlen(text);
  if (length < 1 || length > 3 || strspn(text, "0123456789") != length) return ~0u;
  return (unsigned)strtoul(text, NULL, 10);
}

bool ranges_add_text(const char *text, struct ranges *list4, struct ranges *list6, struct failure *failure) {
  char address[INET6_ADDRSTRLEN];
  struct range range = {0};
  size_t length = strcspn(text, "/");
  if (length >= sizeof address) return fail(failure, EINVAL, "range", "too long");
  memcpy(address, text, length);
  address[length] = 0;
  bool ipv6 = strchr(address, ':') != NULL;
  size_t size = ipv6 ? ADDRESS6_SIZE : ADDRESS4_SIZE;
  unsigned prefix = text[length] ? parse_prefix(text + length + 1) : (unsigned)size * 8;
  if (inet_pton(ipv6 ? AF_INET6 : AF_INET, address, range.first) != 1 || prefix > size * 8 ||
      !spread(&range, size, prefix))
    return fail(failure, EINVAL, "range", "neither an address nor a range");
  return append(ipv6 ? list6 : list4, &range) || fail(failure, ENOMEM, "range", "the launcher has no memory left");
}

void ranges_free(struct ranges *ranges) {
  free(ranges->list);
  *ranges = (struct ranges){0};
}

bool pin_parse(const struct field *field, struct pin *out, struct failure *failure) {
  size_t size = field->length - PIN_HEADER_SIZE;
  if (field->length < PIN_HEADER_SIZE || (size != ADDRESS4_SIZE && size != ADDRESS6_SIZE))
    return fail(failure, EINVAL, "pin", "%u bytes are no pin", field->length);
  *out = (struct pin){.seconds = load_u32(field->data),
                      .port = (uint16_t)(field->data[4] | field->data[5] << 8),
                      .ipv6 = size == ADDRESS6_SIZE};
  memcpy(out->address, field->data + PIN_HEADER_SIZE, size);
  if (out->port && out->seconds && out->seconds <= MAX_PIN_SECONDS) return true;
  return fail(failure, EINVAL, "pin", "port %u for %u seconds", out->port, out->seconds);
}
