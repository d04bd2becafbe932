#define _GNU_SOURCE 1
#include "loop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ATTACH_TRIES = 64, SECTOR = 4096 };

static bool open_device(unsigned number, struct loop *loop) {
  snprintf(loop->path, sizeof loop->path, "/dev/loop%u", number);
  loop->fd = open(loop->path, O_RDWR | O_CLOEXEC);
  return loop->fd >= 0;
}

/* An open device cannot be taken from its file by itself any more, so that the answer stays true. */
static bool has_file(const struct loop *loop, const struct stat *file) {
  struct loop_info64 info;
  return ioctl(loop->fd, LOOP_GET_STATUS64, &info) == 0 && info.lo_device == file->st_dev &&
         info.lo_inode == file->st_ino;
}

bool loop_find(int file, struct loop *loop) {
  struct stat info;
  DIR *stream = fstat(file, &info) == 0 ? opendir("/sys/block") : NULL;
  bool found = false;
  for (struct dirent *entry; stream && !found && (entry = readdir(stream));) {
    unsigned number;
    char path[64];
    if (sscanf(entry->d_name, "loop%u", &number) != 1) continue;
    snprintf(path, sizeof path, "/sys/block/loop%u/loop", number);
    if (access(path, F_OK) < 0 || !open_device(number, loop)) continue;
    found = has_file(loop, &info);
    if (!found) close_fd(&loop->fd);
  }
  if (stream) closedir(stream);
  return found;
}

static bool configure(int file, struct loop *loop) {
  struct loop_config config = {
      .fd = (uint32_t)file, .block_size = SECTOR, .info = {.lo_flags = LO_FLAGS_AUTOCLEAR}};
  if (ioctl(loop->fd, LOOP_CONFIGURE, &config) == 0) return true;
  close_fd(&loop->fd);
  return false;
}

bool loop_attach(int file, struct loop *loop, struct failure *failure) {
  if (loop_find(file, loop)) return true;
  cleanup_fd int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
  if (control < 0) return fail(failure, errno, "pool", "/dev/loop-control: %s", strerror(errno));
  for (int i = 0; i < ATTACH_TRIES; i++) {
    int number = ioctl(control, LOOP_CTL_GET_FREE);
    if (number < 0) break;
    if (!open_device((unsigned)number, loop)) break;
    if (configure(file, loop)) return true;
    /* Somebody else was faster. */
    if (errno != EBUSY) break;
  }
  return fail(failure, errno, "pool", "a loop device cannot be had: %s", strerror(errno));
}

bool loop_resize(const struct loop *loop) { return ioctl(loop->fd, LOOP_SET_CAPACITY, 0) == 0; }
