/* Reading a directory by getdents64: bounded memory of our own, and a position that can be set back. */
#ifndef CAISSON_DIRECTORY_H
#define CAISSON_DIRECTORY_H

#include <stddef.h>
#include <stdint.h>

struct directory {
  int fd; /* the owner closes it */
  int error;
  size_t at, length;
  _Alignas(8) char buffer[8192];
};

/* As struct linux_dirent64. */
struct entry {
  uint64_t inode;
  int64_t offset;
  uint16_t size;
  uint8_t type; /* DT_… */
  char name[];
};

void directory_init(struct directory *directory, int fd);
/* The next entry but "." and "..", valid until the next call; NULL at the end or, with `error` set, on failure. */
const struct entry *directory_next(struct directory *directory);
void directory_rewind(struct directory *directory);

#endif
