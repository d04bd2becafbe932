#include "directory.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void directory_init(struct directory *directory, int fd) {
  directory->fd = fd;
  directory->error = 0;
  directory->at = directory->length = 0;
}

const struct entry *directory_next(struct directory *directory) {
  for (;;) {
    if (directory->at == directory->length) {
      long got = syscall(SYS_getdents64, directory->fd, directory->buffer, sizeof directory->buffer);
      if (got < 0) directory->error = errno;
      if (got <= 0) return NULL;
      directory->at = 0;
      directory->length = (size_t)got;
    }
    const struct entry *entry = (const void *)(directory->buffer + directory->at);
    directory->at += entry->size;
    if (strcmp(entry->name, ".") && strcmp(entry->name, "..")) return entry;
  }
}

void directory_rewind(struct directory *directory) {
  directory->at = directory->length = 0;
  /* A directory can always be read from its start. */
  lseek(directory->fd, 0, SEEK_SET);
}
