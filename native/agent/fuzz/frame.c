/* Fuzz target: everything that turns bytes from outside into frames, plans and users. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "plan.h"

/* Reads every byte of a text, so that the sanitizer sees one that is not terminated. */
static void touch(const char *text) {
  if (strlen(text) > LIMIT_MAX_PAYLOAD) abort();
}

static void parse_start(const struct frame *frame) {
  struct start_plan plan;
  if (!start_plan_parse(frame, &plan)) {
    size_t variables = 0;
    for (char **argument = plan.argv; *argument; argument++) touch(*argument);
    for (char **variable = plan.envp; *variable; variable++, variables++) touch(*variable);
    if (!plan.argv[0] || variables != plan.env_count) abort();
    touch(plan.id);
    touch(plan.user);
    touch(plan.cwd);
  }
  start_plan_free(&plan);
}

static void parse_entry(const struct frame *frame) {
  struct entry_plan entry;
  if (entry_plan_parse(frame, &entry)) return;
  touch(entry.name);
  touch(entry.link);
  if (entry.mode > 07777 || entry.size > INT64_MAX) abort();
  if (entry.mtime.tv_nsec < 0 || entry.mtime.tv_nsec >= 1000000000) abort();
}

static void parse_payload(const struct frame *frame) {
  struct attach_plan attach;
  struct signal_plan signal;
  struct file_plan file;
  struct winsize size;
  uint16_t port;
  uint64_t offset;
  const uint8_t *data;
  size_t length;
  parse_start(frame);
  parse_entry(frame);
  if (!attach_plan_parse(frame, &attach)) touch(attach.id);
  if (!signal_plan_parse(frame, &signal) && (signal.signal < 1 || signal.scope > 2)) abort();
  if (!file_plan_parse(frame, &file)) {
    touch(file.path);
    touch(file.target);
    touch(file.user);
    touch(file.resume);
    if (strpbrk(file.resume, "/.")) abort();
    if (file.mode > 07777 || file.offset > INT64_MAX) abort();
  }
  if (!dial_plan_parse(frame, &port) && !port) abort();
  resize_plan_parse(frame, &size);
  if (bulk_parse(frame, &offset, &data, &length) && length && data + length != frame->payload + frame->length) abort();
}

/* The bytes as /etc/passwd and /etc/group of a hostile image. */
static void find_users(const uint8_t *data, size_t size) {
  static const char *const specs[] = {"agent", "1000", "0", "a:b", "1:2", "root:agent", ":", ""};
  struct tables tables = {.passwd = (char *)(uintptr_t)data, .passwd_size = size};
  tables.group = tables.passwd;
  tables.group_size = size;
  char name[MAX_USER_SPEC];
  for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
    struct user user;
    if (tables_find(&tables, specs[i], &user)) continue;
    touch(user.name);
    touch(user.home);
    touch(user.shell);
    if (user.home[0] != '/' || user.group_count > MAX_GROUPS) abort();
  }
  if (tables_user_name(&tables, 1000, name, sizeof name)) touch(name);
  if (tables_group_name(&tables, 1000, name, sizeof name)) touch(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  size_t at = 0, used = 0;
  struct frame frame;
  while (frame_parse(data + at, size - at, &frame, &used) > 0) {
    if (used > size - at || frame.length > LIMIT_MAX_PAYLOAD) abort();
    parse_payload(&frame);
    at += used;
  }
  /* The whole input as one payload too: fields are reached without guessing a header. */
  frame = (struct frame){.length = (uint32_t)size, .payload = data};
  if (size <= LIMIT_MAX_PAYLOAD) parse_payload(&frame);
  find_users(data, size);
  return 0;
}
