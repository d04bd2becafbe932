#include "tree_later.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "path.h"

/* For each request: some ten thousand directories. Those above it get their mode at once, and no time. */
#define MAX_MEMORY (1u << 20)
#define MAX_MEMORY_OF_ALL (1u << 26)

mode_t tree_later_add(struct tree_laters *laters, const struct entry_plan *entry, mode_t mode) {
  size_t size = sizeof(struct tree_later) + strlen(entry->name) + 1;
  if (!laters->all && !entry->with_mtime && (mode | S_IRWXU) == mode) return mode;
  struct tree_later *later = laters->memory + size <= (laters->all ? MAX_MEMORY_OF_ALL : MAX_MEMORY) ? malloc(size) : NULL;
  if (!later) return mode;
  later->mode = mode;
  later->with_mtime = entry->with_mtime;
  later->mtime = entry->mtime;
  strcpy(later->name, entry->name);
  later->next = laters->first;
  laters->first = later;
  laters->memory += size;
  return mode | S_IRWXU;
}

void tree_later_pop(struct tree_laters *laters) {
  struct tree_later *later = laters->first;
  laters->first = later->next;
  laters->memory -= sizeof *later + strlen(later->name) + 1;
  free(later);
}

int tree_later_apply(const struct tree_later *later, int parent, const char *last) {
  const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, later->mtime};
  int fd = open_in(parent, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
  if (fd < 0) return errno;
  bool done = (!later->with_mtime || !futimens(fd, times)) && !fchmod(fd, later->mode);
  int error = done ? 0 : errno;
  close(fd);
  return error;
}

void tree_laters_free(struct tree_laters *laters) {
  while (laters->first) tree_later_pop(laters);
}
