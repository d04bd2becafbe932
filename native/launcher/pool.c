#define _GNU_SOURCE 1
#include "pool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "btrfs.h"
#include "operations.h"
#include "pool_file.h"
#include "trees.h"

static bool broken(struct failure *failure, const char *what) {
  return fail(failure, errno, "pool", "%s: %s", what, strerror(errno));
}

bool pool_exists(const struct host *host) {
  if (host->pool.kind != POOL_CLOSED || faccessat(host->data, POOL_IMAGE, F_OK, AT_SYMLINK_NOFOLLOW) == 0) return true;
  cleanup_fd int dir = open_beneath(host->data, "pool", O_RDONLY | O_DIRECTORY, 0);
  return dir >= 0 && btrfs_is(dir);
}

/* Of a worker that died between mounting and answering, the mount is left. */
static bool is_mounted(const struct host *host, int dir) {
  struct stat data;
  struct stat info;
  return fstat(host->data, &data) == 0 && fstat(dir, &info) == 0 && data.st_dev != info.st_dev && btrfs_is(dir);
}

static bool mount_file(const struct host *host, int dir, uint64_t max, struct failure *failure) {
  struct loop loop;
  if (is_mounted(host, dir)) return true;
  cleanup_fd int file = pool_file_open(host, max, failure);
  if (file < 0 || !loop_attach(file, &loop, failure)) return false;
  char target[32];
  snprintf(target, sizeof target, "/proc/self/fd/%d", dir);
  /* Discards would punch holes into the file, and its room would no longer be the pool's. */
  /* A device that an earlier launcher has left may not have learnt that the file has grown. */
  if (!loop_resize(&loop)) log_line("pool: %s: %s", loop.path, strerror(errno));
  bool ok = mount(loop.path, target, "btrfs", MS_NOATIME | MS_NODEV, "nodiscard") == 0 ||
            broken(failure, "mounting " POOL_IMAGE);
  close_fd(&loop.fd);
  return ok;
}

/* What is no id is the half of something that a killed worker was making. */
static bool remove_leftovers(int dir, struct failure *failure) {
  int fd = open_beneath(dir, ".", O_RDONLY | O_DIRECTORY, 0);
  DIR *stream = fd < 0 ? NULL : fdopendir(fd);
  if (!stream) return broken(failure, "leftovers");
  for (struct dirent *entry; (entry = readdir(stream)) && !failure->error;) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || id_valid(entry->d_name)) continue;
    if (!btrfs_destroy(dir, entry->d_name)) tree_delete(dir, entry->d_name, failure);
  }
  closedir(stream);
  return failure->error == 0;
}

void pool_unfinished(char *out, const char *id) { snprintf(out, POOL_UNFINISHED_SIZE, "new-%s", id); }

bool pool_destroy(int parent, const char *name) { return btrfs_destroy(parent, name) || errno == ENOENT; }

static int open_part(int pool, const char *name) {
  if (mkdirat(pool, name, 0700) < 0 && errno != EEXIST) return -1;
  return open_beneath(pool, name, O_RDONLY | O_DIRECTORY, 0);
}

static bool open_parts(const struct host *host, struct pool *pool) {
  pool->dir = open_beneath(host->data, "pool", O_RDONLY | O_DIRECTORY, 0);
  pool->roots = pool->dir < 0 ? -1 : open_part(pool->dir, "sandboxes");
  pool->saves = pool->dir < 0 ? -1 : open_part(pool->dir, "saves");
  pool->volumes = pool->dir < 0 ? -1 : open_part(pool->dir, "volumes");
  return pool->roots >= 0 && pool->saves >= 0 && pool->volumes >= 0;
}

/* A file system that is not the pool's alone keeps the quotas that it has: switching them on cannot be undone. */
static bool prepare_file(const struct pool *pool, struct failure *failure) {
  enum quotas quotas;
  /* A worker that died while the file grew may have left the file system smaller. */
  if (!btrfs_resize(pool->dir)) return broken(failure, "size");
  if (!btrfs_quotas(pool->dir, &quotas)) return broken(failure, "quotas");
  if (quotas == QUOTAS_OFF && !btrfs_enable_simple_quotas(pool->dir))
    log_line("pool: the kernel has no simple quotas (Linux 6.7): %s", strerror(errno));
  return true;
}

static bool open_pool(const struct host *host, uint64_t max, struct pool *pool, struct failure *failure) {
  if (mkdirat(host->data, "pool", 0700) < 0 && errno != EEXIST) return broken(failure, "pool");
  cleanup_fd int dir = open_beneath(host->data, "pool", O_RDONLY | O_DIRECTORY, 0);
  if (dir < 0) return broken(failure, "pool");
  bool own = pool_file_exists(host) || !btrfs_is(dir);
  pool->kind = own ? POOL_FILE : POOL_FILESYSTEM;
  if (own && !mount_file(host, dir, max, failure)) return false;
  if (!open_parts(host, pool) || fchmod(pool->dir, 0700) < 0) return broken(failure, "pool");
  if (own && !prepare_file(pool, failure)) return false;
  return remove_leftovers(pool->roots, failure) && remove_leftovers(pool->saves, failure) &&
         remove_leftovers(pool->volumes, failure);
}

bool operation_pool(const struct host *host, uint64_t max, struct writer *reply, struct failure *failure) {
  struct pool pool = host->pool;
  struct statfs info;
  enum quotas quotas;
  if (pool.kind == POOL_CLOSED && !open_pool(host, max, &pool, failure)) return false;
  if (fstatfs(pool.dir, &info) < 0 || !btrfs_quotas(pool.dir, &quotas)) return broken(failure, "pool");
  uint64_t block = (uint64_t)info.f_bsize;
  uint64_t size = info.f_blocks * block;
  writer_u64(reply, TAG_KIND, pool.kind);
  writer_u64(reply, TAG_SIZE, size);
  writer_u64(reply, TAG_USED, (info.f_blocks - info.f_bfree) * block + btrfs_promised(pool.dir));
  writer_u64(reply, TAG_MAX, pool.kind == POOL_FILE && max > size ? max : size);
  writer_u64(reply, TAG_QUOTAS, quotas == QUOTAS_SIMPLE);
  return true;
}

bool pool_adopt(struct host *host, enum pool_kind kind, struct failure *failure) {
  if (host->pool.kind != POOL_CLOSED) return true;
  struct pool pool = {.kind = kind, .dir = -1, .roots = -1, .saves = -1, .volumes = -1};
  if (!open_parts(host, &pool)) return broken(failure, "pool");
  host->pool = pool;
  return true;
}

bool pool_short(const struct pool *pool, uint64_t max) {
  static const uint64_t least = (uint64_t)1 << 30;
  struct statfs info;
  if (pool->kind != POOL_FILE || fstatfs(pool->dir, &info) < 0) return false;
  uint64_t block = (uint64_t)info.f_bsize;
  uint64_t size = info.f_blocks * block;
  uint64_t wanted = size / 8 > least ? size / 8 : least;
  return size < max && info.f_bavail * block < wanted + btrfs_promised(pool->dir);
}
