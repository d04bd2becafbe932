#define _GNU_SOURCE 1
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool fail(struct failure *failure, int error, const char *step, const char *format, ...) {
  if (failure->error) return false;
  failure->error = error ? error : EIO;
  snprintf(failure->step, sizeof failure->step, "%s", step);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(failure->text, sizeof failure->text, format, arguments);
  va_end(arguments);
  return false;
}

static bool text_reserve(struct text *text, size_t size) {
  if (text->failed) return false;
  if (text->capacity - text->length > size) return true;
  size_t capacity = text->capacity ? text->capacity : 1024;
  while (capacity - text->length <= size) capacity *= 2;
  char *data = realloc(text->data, capacity);
  if (!data) {
    text->failed = true;
    return false;
  }
  text->data = data;
  text->capacity = capacity;
  return true;
}

void text_append(struct text *text, const char *bytes, size_t size) {
  if (!text_reserve(text, size)) return;
  memcpy(text->data + text->length, bytes, size);
  text->length += size;
  text->data[text->length] = 0;
}

void text_printf(struct text *text, const char *format, ...) {
  char line[4096];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (length < 0 || (size_t)length >= sizeof line) {
    text->failed = true;
    return;
  }
  text_append(text, line, (size_t)length);
}

void text_json(struct text *text, const char *value) {
  text_append(text, "\"", 1);
  for (const char *at = value; *at; at++) {
    unsigned char byte = (unsigned char)*at;
    if (byte == '"' || byte == '\\' || byte < 0x20 || byte == 0x7f)
      text_printf(text, "\\u%04x", byte);
    else
      text_append(text, at, 1);
  }
  text_append(text, "\"", 1);
}

void text_base64(struct text *text, const uint8_t *bytes, size_t size) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t at = 0; at < size; at += 3) {
    size_t have = size - at < 3 ? size - at : 3;
    uint32_t group = (uint32_t)bytes[at] << 16;
    if (have > 1) group |= (uint32_t)bytes[at + 1] << 8;
    if (have > 2) group |= bytes[at + 2];
    char out[4] = {digits[group >> 18], digits[group >> 12 & 63], '=', '='};
    if (have > 1) out[2] = digits[group >> 6 & 63];
    if (have > 2) out[3] = digits[group & 63];
    text_append(text, out, sizeof out);
  }
}

void text_free(struct text *text) {
  free(text->data);
  *text = (struct text){0};
}

void close_fd(int *fd) {
  int error = errno;
  if (*fd >= 0) close(*fd);
  *fd = -1;
  errno = error;
}

uint64_t now_usec(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

ssize_t read_file_at(int dir, const char *path, char *out, size_t size) {
  cleanup_fd int fd = openat(dir, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return -1;
  size_t length = 0;
  while (length < size - 1) {
    ssize_t got = read(fd, out + length, size - 1 - length);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    length += (size_t)got;
  }
  out[length] = 0;
  return (ssize_t)length;
}

bool write_file_at(int dir, const char *path, const char *value) {
  cleanup_fd int fd = openat(dir, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return false;
  size_t size = strlen(value);
  ssize_t written;
  do written = write(fd, value, size);
  while (written < 0 && errno == EINTR);
  return written == (ssize_t)size;
}

bool write_all(int fd, const void *data, size_t size) {
  const uint8_t *at = data;
  while (size > 0) {
    ssize_t written = write(fd, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    at += written;
    size -= (size_t)written;
  }
  return true;
}

void log_line(const char *format, ...) {
  char line[1024];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  fprintf(stderr, "launcher: %s\n", line);
}

uint64_t process_start_time(pid_t pid) {
  char path[64];
  char stat[1024];
  snprintf(path, sizeof path, "/proc/%d/stat", pid);
  if (read_file_at(AT_FDCWD, path, stat, sizeof stat) < 0) return 0;
  /* The name, field 2, may hold spaces and parentheses: count from its last closing one. */
  char *at = strrchr(stat, ')');
  for (int field = 2; at && field < 22; field++) {
    at = strchr(at + 1, ' ');
  }
  return at ? strtoull(at + 1, NULL, 10) : 0;
}
