#define _GNU_SOURCE 1
#include "measure.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host.h"

/* A directory on the way down: the names of its directories that are still to be visited, one after the other. */
struct level {
  struct level *above;
  char *names;
  size_t length;
  size_t capacity;
  size_t at;
  dev_t device;
  ino_t inode;
};

/* Inodes with several names that have been counted: open addressing, 0 is empty. */
struct inodes {
  uint64_t *slots;
  size_t capacity;
  size_t count;
};

struct walk {
  /* The directory that is being visited; only one is open, so that no depth is too deep. */
  int fd;
  struct level *level;
  struct inodes seen;
  struct measure *measure;
};

static bool place(struct inodes *set, uint64_t inode) {
  size_t at = (size_t)(inode * 0x9e3779b97f4a7c15u) & (set->capacity - 1);
  for (; set->slots[at]; at = (at + 1) & (set->capacity - 1))
    if (set->slots[at] == inode) return false;
  set->slots[at] = inode;
  set->count++;
  return true;
}

static bool grow(struct inodes *set) {
  struct inodes larger = {.capacity = set->capacity ? set->capacity * 2 : 1024};
  larger.slots = calloc(larger.capacity, sizeof *larger.slots);
  if (!larger.slots) return false;
  for (size_t i = 0; i < set->capacity; i++)
    if (set->slots[i]) place(&larger, set->slots[i]);
  free(set->slots);
  *set = larger;
  return true;
}

/* False when memory runs out. */
static bool count_file(struct walk *walk, const struct stat *info) {
  bool first = true;
  if (info->st_nlink > 1) {
    if (walk->seen.count * 2 >= walk->seen.capacity && !grow(&walk->seen)) return false;
    first = place(&walk->seen, info->st_ino);
  }
  if (first) walk->measure->bytes += (uint64_t)info->st_size;
  return true;
}

static bool remember(struct level *level, const char *name) {
  size_t size = strlen(name) + 1;
  if (level->length + size > level->capacity) {
    size_t capacity = (level->capacity + size) * 2;
    char *names = realloc(level->names, capacity);
    if (!names) return false;
    level->names = names;
    level->capacity = capacity;
  }
  memcpy(level->names + level->length, name, size);
  level->length += size;
  return true;
}

static bool count_entry(struct walk *walk, int dir, const char *name) {
  struct stat info;
  if (fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) < 0) return false;
  walk->measure->entries++;
  if (S_ISREG(info.st_mode)) return count_file(walk, &info);
  return !S_ISDIR(info.st_mode) || remember(walk->level, name);
}

static bool count_entries(struct walk *walk) {
  int fd = fcntl(walk->fd, F_DUPFD_CLOEXEC, 0);
  DIR *stream = fd < 0 ? NULL : fdopendir(fd);
  if (!stream) {
    close_fd(&fd);
    return false;
  }
  bool ok = true;
  for (struct dirent *entry; ok && (entry = readdir(stream));)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      ok = count_entry(walk, dirfd(stream), entry->d_name);
  closedir(stream);
  return ok;
}

/* Goes into a directory beneath the one that is open, and counts what it has. */
static bool enter(struct walk *walk, const char *name) {
  struct stat info;
  struct level *level = calloc(1, sizeof *level);
  int fd = level ? open_beneath(walk->fd, name, O_RDONLY | O_DIRECTORY, RESOLVE_NO_XDEV) : -1;
  if (fd < 0 || fstat(fd, &info) < 0) {
    close_fd(&fd);
    free(level);
    return false;
  }
  close_fd(&walk->fd);
  walk->fd = fd;
  *level = (struct level){.above = walk->level, .device = info.st_dev, .inode = info.st_ino};
  walk->level = level;
  return count_entries(walk);
}

static void drop(struct walk *walk) {
  struct level *level = walk->level;
  walk->level = level->above;
  free(level->names);
  free(level);
}

/* Back to the directory above, and nowhere else. */
static bool leave(struct walk *walk) {
  struct stat info;
  drop(walk);
  if (!walk->level) return true;
  int fd = openat(walk->fd, "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  close_fd(&walk->fd);
  walk->fd = fd;
  if (fd < 0 || fstat(fd, &info) < 0) return false;
  errno = ESTALE;
  return info.st_dev == walk->level->device && info.st_ino == walk->level->inode;
}

static bool step(struct walk *walk) {
  struct level *level = walk->level;
  if (level->at == level->length) return leave(walk);
  const char *name = level->names + level->at;
  level->at += strlen(name) + 1;
  return enter(walk, name);
}

bool measure_tree(int parent, const char *name, struct measure *measure) {
  struct walk walk = {.fd = fcntl(parent, F_DUPFD_CLOEXEC, 0), .measure = measure};
  bool ok = walk.fd >= 0 && enter(&walk, name);
  while (ok && walk.level) ok = step(&walk);
  int error = errno;
  while (walk.level) drop(&walk);
  free(walk.seen.slots);
  close_fd(&walk.fd);
  errno = error;
  return ok;
}
