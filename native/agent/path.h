/* Paths of requests, resolved as the requesting user, whose credentials must be in force. */
#ifndef CAISSON_PATH_H
#define CAISSON_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "users.h"

/* A name in an open directory; "." is the directory itself. */
struct place {
  int directory; /* O_PATH */
  char name[NAME_MAX + 1];
};

/*
 * Finds where `path` (relative: to the user's home) leads; its last component need not exist. With `follow`, symbolic
 * links in the last component are followed, to a name that is no link. 0 or errno; undone by place_close.
 */
int place_open(const char *path, const struct user *user, bool follow, struct place *out);
void place_close(struct place *place);

/* As openat(2), never through /proc's magic links, which would lead to the agent's own files; `resolve` as openat2. */
int open_in(int directory, const char *name, int flags, uint64_t resolve);
/*
 * As open_in, to what lies beneath `base` and nowhere else: a path that leads out is EXDEV. A kernel without openat2
 * follows no links at all on the way.
 */
int open_beneath(int base, const char *path, int flags, uint64_t resolve);
/* The hidden name, beside `name` (`out` may be the same), of what is unfinished; `ending` has LIMIT_MAX_ID at most. */
void temporary_name(char out[NAME_MAX + 1], const char *name, const char *ending);
bool is_temporary_name(const char *name);
/* Makes the missing directories of `path`, all of them or all but the last; calls `made` with each. 0 or errno. */
int path_make(const char *path, const struct user *user, bool last_too, mode_t mode, void (*made)(const char *path));
/* "a directory", "a FIFO" … */
const char *file_type_name(mode_t mode);
/* Whether the open file is one of the agent's own below /proc. */
bool is_own_proc_file(int fd);

#endif
