/* Small things that every part of the launcher uses. */
#ifndef CAISSON_LAUNCHER_UTIL_H
#define CAISSON_LAUNCHER_UTIL_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define countof(array) (sizeof(array) / sizeof((array)[0]))

/* Why an operation failed: sent to the client as ERRNO, STEP and TEXT. */
struct failure {
  int error;
  char step[64];
  char text[1024];
};

/* Records a failure and returns false, so that callers can `return fail(...)`. The first failure stays. */
__attribute__((format(printf, 4, 5))) bool fail(struct failure *failure, int error, const char *step,
                                                const char *format, ...);

/* Growing text; `failed` sticks when memory runs out. */
struct text {
  char *data;
  size_t length;
  size_t capacity;
  bool failed;
};

void text_append(struct text *text, const char *bytes, size_t size);
__attribute__((format(printf, 2, 3))) void text_printf(struct text *text, const char *format, ...);
/* Appends `value` as a JSON string, with its quotes. */
void text_json(struct text *text, const char *value);
void text_base64(struct text *text, const uint8_t *bytes, size_t size);
void text_free(struct text *text);

void close_fd(int *fd);
#define cleanup_fd __attribute__((cleanup(close_fd)))

uint64_t now_usec(void);
/* Reads at most `size` - 1 bytes and terminates them. Returns the length or -1 with errno. */
ssize_t read_file_at(int dir, const char *path, char *out, size_t size);
/* Writes an existing file in one call, as cgroup files want it. */
bool write_file_at(int dir, const char *path, const char *value);
bool write_all(int fd, const void *data, size_t size);
__attribute__((format(printf, 1, 2))) void log_line(const char *format, ...);

/* Field 22 of /proc/<pid>/stat; 0 when there is no such process. */
uint64_t process_start_time(pid_t pid);

#endif
