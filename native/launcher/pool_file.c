#define _GNU_SOURCE 1
#include "pool_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "btrfs.h"
#include "operations.h"

#define UNFINISHED POOL_IMAGE ".new"

enum { IMAGE_FD = 3 };
static const uint64_t MIB = 1 << 20;
/* What the file takes at first, and at least each time it grows. */
static const uint64_t STEP = (uint64_t)4 << 30;
/* Left to the host. */
static const uint64_t RESERVE = (uint64_t)1 << 30;

bool pool_file_exists(const struct host *host) {
  return faccessat(host->data, POOL_IMAGE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

const char *pool_mkfs(void) {
  static const char *const candidates[] = {"/usr/sbin/mkfs.btrfs", "/sbin/mkfs.btrfs", "/usr/bin/mkfs.btrfs"};
  for (size_t i = 0; i < countof(candidates); i++)
    if (access(candidates[i], X_OK) == 0) return candidates[i];
  return NULL;
}

/* Bytes that the host can spare, in whole MiB. */
static uint64_t host_room(const struct host *host) {
  struct statvfs info;
  cleanup_fd int dir = open_beneath(host->data, ".", O_RDONLY | O_DIRECTORY, 0);
  if (dir < 0 || fstatvfs(dir, &info) < 0) return 0;
  uint64_t free = info.f_bavail * info.f_frsize;
  return free > RESERVE ? (free - RESERVE) / MIB * MIB : 0;
}

static uint64_t least(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* Room that is the pool's from now on, so that the host cannot run out of it beneath the file system. */
static bool allocate(int file, uint64_t from, uint64_t to) {
  if (fallocate(file, 0, (off_t)from, (off_t)(to - from)) == 0) return true;
  if (errno == EOPNOTSUPP) return ftruncate(file, (off_t)to) == 0;
  int error = errno;
  if (ftruncate(file, (off_t)from) < 0) log_line("pool: %s", strerror(errno));
  errno = error;
  return false;
}

/* In the child. The file is named by its descriptor: its directory may be another user's. */
static void exec_mkfs(const char *program, int file, int output) {
  int null = open("/dev/null", O_RDWR);
  if (null < 0 || dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0 || dup2(file, IMAGE_FD) < 0 ||
      close_range(IMAGE_FD + 1, ~0u, 0) < 0)
    _exit(126);
  /* -K: no discard. One copy of the metadata: below is one file, which the host keeps as safe as any. */
  execle(program, "mkfs.btrfs", "-q", "-K", "-m", "single", "-d", "single", "-L", "caisson", "/proc/self/fd/3",
         (char *)NULL, (char *[]){NULL});
  _exit(127);
}

static void read_output(int fd, char *out, size_t size) {
  size_t used = 0;
  ssize_t got;
  while ((got = read(fd, out + used, size - 1 - used)) > 0)
    if ((used += (size_t)got) == size - 1) used = 0;
  out[used] = 0;
  for (char *at = out; *at; at++)
    if (*at == '\n') *at = ' ';
}

static bool make_filesystem(int file, struct failure *failure) {
  const char *program = pool_mkfs();
  int ends[2];
  char output[400];
  int status = -1;
  if (!program) return fail(failure, ENOENT, "pool", "mkfs.btrfs is not installed (package btrfs-progs)");
  if (pipe2(ends, O_CLOEXEC) < 0) return fail(failure, errno, "pool", "%s", strerror(errno));
  pid_t child = fork();
  if (child == 0) exec_mkfs(program, file, ends[1]);
  close(ends[1]);
  read_output(ends[0], output, sizeof output);
  close(ends[0]);
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  return fail(failure, EIO, "pool", "%s failed: %s", program, output);
}

static int make_file(const struct host *host, uint64_t max, struct failure *failure) {
  uint64_t size = least(least(max, STEP), host_room(host)) / MIB * MIB;
  if (size < POOL_MIN_BYTES) {
    fail(failure, ENOSPC, "pool", "%s has no room for a pool of %lu MiB", host->data_dir, (unsigned long)(POOL_MIN_BYTES / MIB));
    return -1;
  }
  /* One that a killed worker has left. */
  (void)unlinkat(host->data, UNFINISHED, 0);
  int file = openat(host->data, UNFINISHED, O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0 || !allocate(file, 0, size)) fail(failure, errno, "pool", UNFINISHED ": %s", strerror(errno));
  if (!failure->error && make_filesystem(file, failure) &&
      (fsync(file) < 0 || renameat2(host->data, UNFINISHED, host->data, POOL_IMAGE, RENAME_NOREPLACE) < 0))
    fail(failure, errno, "pool", POOL_IMAGE ": %s", strerror(errno));
  if (!failure->error) return file;
  (void)unlinkat(host->data, UNFINISHED, 0);
  close_fd(&file);
  return -1;
}

/* The data directory may be the server's, which must not have the kernel read a file system of its own making. */
static bool is_ours(int file) {
  struct stat info;
  return fstat(file, &info) == 0 && S_ISREG(info.st_mode) && info.st_uid == 0 && info.st_nlink == 1 &&
         (info.st_mode & 0077) == 0;
}

static int open_file(const struct host *host, struct failure *failure) {
  int file = open_beneath(host->data, POOL_IMAGE, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
  if (file < 0) fail(failure, errno, "pool", POOL_IMAGE ": %s", strerror(errno));
  if (file < 0 || is_ours(file)) return file;
  fail(failure, EPERM, "pool", POOL_IMAGE " is not a file that root alone can write");
  close_fd(&file);
  return -1;
}

int pool_file_open(const struct host *host, uint64_t max, struct failure *failure) {
  return pool_file_exists(host) ? open_file(host, failure) : make_file(host, max, failure);
}

bool operation_grow(const struct host *host, uint64_t max, struct failure *failure) {
  struct stat info;
  struct loop loop;
  cleanup_fd int file = open_file(host, failure);
  if (file < 0) return false;
  if (fstat(file, &info) < 0 || !loop_find(file, &loop))
    return fail(failure, ENODEV, "pool", POOL_IMAGE " stands behind no loop device");
  uint64_t size = (uint64_t)info.st_size;
  uint64_t step = size / 4 > STEP ? size / 4 : STEP;
  uint64_t wanted = least(least(max, size + step), size + host_room(host)) / MIB * MIB;
  bool ok = wanted > size || fail(failure, ENOSPC, "pool", "%s has no room left", host->data_dir);
  ok = ok && ((allocate(file, size, wanted) && loop_resize(&loop) && btrfs_resize(host->pool.dir)) ||
              fail(failure, errno, "pool", "growing: %s", strerror(errno)));
  close_fd(&loop.fd);
  return ok;
}
