#define _GNU_SOURCE 1
#include "identity.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/*
 * An image with one entry: u32 IMAGE_COMMON, u32 of its own kind, u32 size, that many bytes of protobuf; little endian.
 *   userns-<n>.img  uid_map = 1, gid_map = 2, both { first = 1, lower_first = 2, count = 3 }
 *   utsns-<n>.img   nodename = 1, domainname = 2
 * Both are composed anew, because nothing else is in them.
 */
enum { IMAGE_COMMON = 0x54564319, IMAGE_USERNS = 0x55474906, IMAGE_UTSNS = 0x54473203, HEADER_SIZE = 12 };
enum { WIRE_NUMBER = 0, WIRE_BYTES = 2 };

struct message {
  uint8_t data[256];
  size_t length;
};

static void put_number(struct message *message, uint32_t value) {
  for (; value > 127; value >>= 7) message->data[message->length++] = (uint8_t)(value | 128);
  message->data[message->length++] = (uint8_t)value;
}

static void put_field(struct message *message, unsigned field, uint32_t value) {
  put_number(message, field << 3 | WIRE_NUMBER);
  put_number(message, value);
}

static void put_bytes(struct message *message, unsigned field, const void *data, size_t size) {
  put_number(message, field << 3 | WIRE_BYTES);
  put_number(message, (uint32_t)size);
  memcpy(message->data + message->length, data, size);
  message->length += size;
}

static struct message user_namespace_of(const struct plan *plan) {
  struct message extent = {.length = 0};
  struct message all = {.length = 0};
  put_field(&extent, 1, 0);
  put_field(&extent, 2, plan->id_base);
  put_field(&extent, 3, LAUNCHER_ID_COUNT);
  for (unsigned map = 1; map <= 2; map++) put_bytes(&all, map, extent.data, extent.length);
  return all;
}

/* The domain is what the kernel begins with. */
static struct message names_of(const struct plan *plan) {
  struct message all = {.length = 0};
  put_bytes(&all, 1, plan->hostname, strlen(plan->hostname));
  put_bytes(&all, 2, "(none)", strlen("(none)"));
  return all;
}

static bool is_users(const char *name) { return strncmp(name, "userns-", strlen("userns-")) == 0; }

bool identity_has(const char *name) { return is_users(name) || strncmp(name, "utsns-", strlen("utsns-")) == 0; }

bool identity_write(int from, int to, const char *name, const struct plan *plan, struct failure *failure) {
  uint32_t kind = is_users(name) ? IMAGE_USERNS : IMAGE_UTSNS;
  struct message message = is_users(name) ? user_namespace_of(plan) : names_of(plan);
  uint32_t header[HEADER_SIZE / sizeof(uint32_t)] = {0};
  cleanup_fd int old = openat(from, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (old < 0) return fail(failure, errno, "restore", "%s: %s", name, strerror(errno));
  if (read(old, header, sizeof header) != (ssize_t)sizeof header || header[0] != IMAGE_COMMON || header[1] != kind)
    return fail(failure, EINVAL, "restore", "%s is not what criu is known to write", name);
  header[2] = (uint32_t)message.length;
  cleanup_fd int new = openat(to, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  bool written = new >= 0 && write_all(new, header, sizeof header) && write_all(new, message.data, message.length);
  return written || fail(failure, errno, "restore", "%s: %s", name, strerror(errno));
}
