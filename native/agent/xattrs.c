#include "xattrs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "path.h"
#include "protocol.gen.h"

#define OPEN_ANY (O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC)

bool xattr_is_users(const char *name) { return !strncmp(name, "user.", 5) && name[5]; }

int xattr_open(int directory, const char *name) { return open_in(directory, name, OPEN_ANY, 0); }

/* Adds one attribute, whose name is in `field` already; false when it has no room. */
static bool add(struct writer *writer, int fd, char *field, size_t *room) {
  size_t name = strlen(field) + 1;
  if (name > *room) return false;
  ssize_t size = fgetxattr(fd, field, field + name, *room - name);
  if (size < 0) return errno == ENODATA;
  writer_bytes(writer, FIELD_XATTR, field, name + (size_t)size);
  *room -= name + (size_t)size;
  return true;
}

void xattrs_add(struct writer *writer, int fd, bool (*kept)(const char *), uint64_t *skipped) {
  static char names[XATTR_LIST_MAX], field[XATTR_NAME_MAX + 1 + LIMIT_MAX_XATTRS];
  size_t room = LIMIT_MAX_XATTRS;
  ssize_t size = flistxattr(fd, names, sizeof names);
  if (size < 0) *skipped += errno != ENOTSUP;
  for (ssize_t at = 0; at < size; at += (ssize_t)strlen(names + at) + 1) {
    if (!kept(names + at)) continue;
    strcpy(field, names + at);
    *skipped += !add(writer, fd, field, &room);
  }
}

/* The name that a field begins with; false when it is none. */
static bool take_name(const struct field *field, char name[XATTR_NAME_MAX + 1]) {
  const uint8_t *end = memchr(field->data, 0, field->length);
  size_t length = end ? (size_t)(end - field->data) : field->length;
  if (length > XATTR_NAME_MAX || (field->tag == FIELD_XATTR) != (end != NULL)) return false;
  memcpy(name, field->data, length);
  name[length] = 0;
  return true;
}

int xattr_set(int fd, const struct field *field, bool (*kept)(const char *)) {
  char name[XATTR_NAME_MAX + 1];
  if (!take_name(field, name) || !kept(name)) return EINVAL;
  size_t before = strlen(name) + 1;
  return fsetxattr(fd, name, field->data + before, field->length - before, 0) ? errno : 0;
}

/* Nothing is told of a link that leads nowhere, or where the user may not go. */
static void add_resolved(struct writer *writer, int directory, const char *name) {
  char link[32], path[LIMIT_MAX_PATH];
  struct stat info;
  int fd = open_in(directory, name, O_PATH | O_CLOEXEC, 0);
  if (fd < 0) return;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path);
  if (length > 0 && (size_t)length < sizeof path && *path == '/' && !fstat(fd, &info)) {
    writer_bytes(writer, FIELD_RESOLVED, path, (size_t)length);
    writer_u64(writer, FIELD_RESOLVED_TYPE, info.st_mode & S_IFMT);
    writer_u64(writer, FIELD_RESOLVED_MODE, info.st_mode & 07777);
  }
  close(fd);
}

void xattrs_describe(struct writer *writer, const struct stat *info, int directory, const char *name) {
  uint64_t skipped = 0;
  if (S_ISLNK(info->st_mode)) add_resolved(writer, directory, name);
  if (!S_ISREG(info->st_mode) && !S_ISDIR(info->st_mode)) return;
  int fd = xattr_open(directory, name);
  if (fd < 0) {
    skipped = 1;
  } else {
    xattrs_add(writer, fd, xattr_is_users, &skipped);
    close(fd);
  }
  writer_u64(writer, FIELD_SKIPPED, skipped);
}

static bool is_ours(const struct field *field) { return field->tag == FIELD_XATTR || field->tag == FIELD_REMOVED; }

bool xattrs_any(const struct frame *frame) {
  struct field_reader reader = field_reader(frame);
  for (struct field field; field_next(&reader, &field);)
    if (is_ours(&field)) return true;
  return false;
}

int xattrs_check(const struct frame *frame) {
  char name[XATTR_NAME_MAX + 1];
  size_t room = LIMIT_MAX_XATTRS;
  struct field_reader reader = field_reader(frame);
  for (struct field field; field_next(&reader, &field);) {
    if (!is_ours(&field)) continue;
    if (!take_name(&field, name) || !xattr_is_users(name)) return EINVAL;
    if (field.length > room) return E2BIG;
    room -= field.length;
  }
  return 0;
}

static int remove_one(int fd, const struct field *field) {
  char name[XATTR_NAME_MAX + 1];
  if (!take_name(field, name)) return EINVAL;
  return fremovexattr(fd, name) && errno != ENODATA ? errno : 0;
}

int xattrs_apply(int fd, const struct frame *frame) {
  int error = 0;
  struct field_reader reader = field_reader(frame);
  for (struct field field; !error && field_next(&reader, &field);)
    if (field.tag == FIELD_XATTR) error = xattr_set(fd, &field, xattr_is_users);
  reader = field_reader(frame);
  for (struct field field; !error && field_next(&reader, &field);)
    if (field.tag == FIELD_REMOVED) error = remove_one(fd, &field);
  return error;
}
