#define _GNU_SOURCE 1
#include "plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host.h"
#include "volumes.h"

static const uint64_t MAX_CPU_MILLIS = 1024 * 1000;
static const uint64_t MAX_PIDS = 1024 * 1024;
static const uint64_t MAX_MEMORY = (uint64_t)1 << 46;

bool request_refuse(struct failure *failure, const char *what) {
  return fail(failure, EINVAL, "request", "%s is missing or not valid", what);
}

static bool take_lower(const struct field *field, struct plan *plan) {
  if (plan->lower_count == LAUNCHER_MAX_LOWERS) return false;
  char *path = plan->lowers[plan->lower_count++];
  if (!field_string(field, path, LAUNCHER_MAX_PATH + 1) || !path_valid(path) || !strchr(path, '/')) return false;
  return path_beneath(path, "images") || (path_beneath(path, "saves") && id_valid(strchr(path, '/') + 1));
}

/* One beneath another would be looked up in what other sandboxes write. */
static bool is_apart(const struct plan *plan, const char *path) {
  for (size_t i = 0; i < plan->volume_count; i++)
    if (path_beneath(path, plan->volumes[i].path) || path_beneath(plan->volumes[i].path, path)) return false;
  return true;
}

/* "<volume>\t<ro or rw>\t<path>" */
static bool take_volume(const struct field *field, struct plan *plan) {
  char line[LAUNCHER_MAX_ID + 4 + LAUNCHER_MAX_PATH + 1];
  if (plan->volume_count == LAUNCHER_MAX_VOLUMES || !field_string(field, line, sizeof line)) return false;
  char *path = line;
  const char *volume = strsep(&path, "\t");
  const char *mode = path ? strsep(&path, "\t") : NULL;
  struct volume_mount *next = &plan->volumes[plan->volume_count];
  if (!path || !id_valid(volume) || (strcmp(mode, "ro") != 0 && strcmp(mode, "rw") != 0)) return false;
  if (!volume_target_valid(path) || !is_apart(plan, path)) return false;
  snprintf(next->volume, sizeof next->volume, "%s", volume);
  snprintf(next->path, sizeof next->path, "%s", path);
  next->read_only = strcmp(mode, "ro") == 0;
  plan->volume_count++;
  return true;
}

bool field_in_range(const struct field *field, uint64_t least, uint64_t most, uint64_t *out) {
  return field_u64(field, out) && *out >= least && *out <= most;
}

static bool take_field(const struct field *field, struct plan *plan, struct failure *failure) {
  uint64_t base;
  switch (field->tag) {
    case TAG_ID:
      return (field_string(field, plan->id, sizeof plan->id) && id_valid(plan->id)) || request_refuse(failure, "ID");
    case TAG_HOSTNAME:
      return (field_string(field, plan->hostname, sizeof plan->hostname) && hostname_valid(plan->hostname)) ||
             request_refuse(failure, "HOSTNAME");
    case TAG_ID_BASE:
      /* Never ids that the host itself gives to people and services. */
      if (!field_in_range(field, LAUNCHER_ID_COUNT, UINT32_MAX - LAUNCHER_ID_COUNT, &base))
        return request_refuse(failure, "ID_BASE");
      plan->id_base = (uint32_t)base;
      return true;
    case TAG_ROOT_KIND:
      return field_in_range(field, ROOT_OVERLAY, ROOT_POOL, &plan->root_kind) || request_refuse(failure, "ROOT_KIND");
    case TAG_LOWER:
      return take_lower(field, plan) || request_refuse(failure, "LOWER");
    case TAG_VOLUME_MOUNT:
      return take_volume(field, plan) || request_refuse(failure, "VOLUME_MOUNT");
    case TAG_DUMP:
      return (field_string(field, plan->dump, sizeof plan->dump) && id_valid(plan->dump)) || request_refuse(failure, "DUMP");
    case TAG_MEMORY:
      return field_in_range(field, LAUNCHER_MIN_MEMORY, MAX_MEMORY, &plan->limits.memory_bytes) ||
             request_refuse(failure, "MEMORY");
    case TAG_CPU:
      return field_in_range(field, 10, MAX_CPU_MILLIS, &plan->limits.cpu_millis) || request_refuse(failure, "CPU");
    case TAG_PIDS:
      return field_in_range(field, 8, MAX_PIDS, &plan->limits.pids) || request_refuse(failure, "PIDS");
    default:
      /* A plan is taken as a whole: what is not understood would be a wish ignored. */
      return fail(failure, EINVAL, "request", "field %d is not known", field->tag);
  }
}

bool plan_parse(const struct frame *frame, struct plan *plan, struct failure *failure) {
  struct field_reader reader = field_reader(frame);
  struct field field;
  while (field_next(&reader, &field))
    if (!take_field(&field, plan, failure)) return false;
  if (reader.malformed) return request_refuse(failure, "the last field");
  if (!plan->id[0]) return request_refuse(failure, "ID");
  if (!plan->hostname[0]) return request_refuse(failure, "HOSTNAME");
  if (!plan->id_base) return request_refuse(failure, "ID_BASE");
  if (!plan->root_kind) return request_refuse(failure, "ROOT_KIND");
  /* A root of the pool may do without: then it is all there is. */
  if (plan->root_kind != ROOT_POOL && (plan->root_kind == ROOT_OVERLAY) != (plan->lower_count > 0))
    return request_refuse(failure, "LOWER");
  if (plan->dump[0] && plan->volume_count > 0) return fail(failure, EINVAL, "request", "a dump has no volumes");
  if (!plan->limits.memory_bytes) return request_refuse(failure, "MEMORY");
  if (!plan->limits.cpu_millis) return request_refuse(failure, "CPU");
  if (!plan->limits.pids) return request_refuse(failure, "PIDS");
  return true;
}

bool plan_needs_pool(const struct plan *plan) {
  bool needs = plan->root_kind == ROOT_POOL || plan->volume_count > 0;
  for (size_t i = 0; i < plan->lower_count; i++) needs = needs || path_beneath(plan->lowers[i], "saves");
  return needs;
}

bool plan_has_volume(const struct plan *plan, const char *volume) {
  for (size_t i = 0; i < plan->volume_count; i++)
    if (strcmp(plan->volumes[i].volume, volume) == 0) return true;
  return false;
}

static bool only_string(const struct frame *frame, uint8_t tag, char *out, size_t size) {
  struct field_reader reader = field_reader(frame);
  struct field field;
  return field_next(&reader, &field) && field.tag == tag && field_string(&field, out, size) &&
         !field_next(&reader, &field) && !reader.malformed;
}

bool parse_id(const struct frame *frame, char *id, struct failure *failure) {
  return (only_string(frame, TAG_ID, id, LAUNCHER_MAX_ID + 1) && id_valid(id)) || request_refuse(failure, "ID");
}

bool parse_tree(const struct frame *frame, char *path, struct failure *failure) {
  if (!only_string(frame, TAG_PATH, path, LAUNCHER_MAX_PATH + 1) || !path_valid(path)) return request_refuse(failure, "PATH");
  bool allowed = path_beneath(path, "trash") || (path_beneath(path, "sandboxes") && strchr(path, '/'));
  return allowed || request_refuse(failure, "PATH");
}
