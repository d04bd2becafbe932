#define _GNU_SOURCE 1
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "btrfs.h"
#include "measure.h"
#include "operations.h"
#include "quota.h"

static int open_subvolume(int parent, const char *name) {
  return open_beneath(parent, name, O_RDONLY | O_DIRECTORY, 0);
}

static bool fill(int root, uint64_t quota) {
  if (!quota_set(root, quota)) return false;
  if (mkdirat(root, "upper", 0755) < 0 && errno != EEXIST) return false;
  if (mkdirat(root, "work", 0700) < 0 && errno != EEXIST) return false;
  return fchmod(root, 0700) == 0;
}

/* Makes a whole root under its unfinished name. */
static bool make(const struct pool *pool, const char *name, const char *from, uint64_t quota) {
  cleanup_fd int save = from[0] ? open_subvolume(pool->saves, from) : -1;
  if (from[0] && save < 0) return false;
  if (!pool_destroy(pool->roots, name)) return false;
  if (!(from[0] ? btrfs_snapshot(pool->roots, name, save, false) : btrfs_create(pool->roots, name))) return false;
  cleanup_fd int root = open_subvolume(pool->roots, name);
  if (root >= 0 && fill(root, quota)) return true;
  int error = errno;
  (void)btrfs_destroy(pool->roots, name);
  errno = error;
  return false;
}

static bool broken(struct failure *failure, const char *what, const char *id) {
  return fail(failure, errno, what, "%s: %s", id, strerror(errno));
}

bool operation_make_root(const struct host *host, const struct pool_request *request, struct failure *failure) {
  const struct pool *pool = &host->pool;
  char name[POOL_UNFINISHED_SIZE];
  pool_unfinished(name, request->id);
  if (!quota_kept(pool, request->quota, failure)) return false;
  if (faccessat(pool->roots, request->id, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
    return fail(failure, EEXIST, "root", "%s exists", request->id);
  if (!make(pool, name, request->from, request->quota)) return broken(failure, "root", request->id);
  if (renameat2(pool->roots, name, pool->roots, request->id, RENAME_NOREPLACE) == 0) return true;
  broken(failure, "root", request->id);
  (void)btrfs_destroy(pool->roots, name);
  return false;
}

bool operation_replace_root(const struct host *host, const struct pool_request *request, struct failure *failure) {
  const struct pool *pool = &host->pool;
  char name[POOL_UNFINISHED_SIZE];
  pool_unfinished(name, request->id);
  if (!quota_kept(pool, request->quota, failure)) return false;
  if (!make(pool, name, request->from, request->quota)) return broken(failure, "root", request->id);
  /* In one step, so that at every moment the id names the old root or the new one. */
  bool replaced = renameat2(pool->roots, name, pool->roots, request->id, RENAME_EXCHANGE) == 0 ||
                  (errno == ENOENT && renameat2(pool->roots, name, pool->roots, request->id, RENAME_NOREPLACE) == 0) ||
                  broken(failure, "root", request->id);
  if (!pool_destroy(pool->roots, name)) log_line("%s: %s", name, strerror(errno));
  return replaced;
}

bool operation_save(const struct host *host, const struct pool_request *request, struct failure *failure) {
  cleanup_fd int root = open_subvolume(host->pool.roots, request->id);
  if (root < 0) return broken(failure, "save", request->id);
  return btrfs_snapshot(host->pool.saves, request->save, root, true) || broken(failure, "save", request->save);
}

bool operation_remove_from_pool(const struct host *host, const struct pool_request *request, struct failure *failure) {
  const struct pool *pool = &host->pool;
  bool root = request->id[0] != 0;
  bool volume = request->volume[0] != 0;
  const char *name = root ? request->id : volume ? request->volume : request->save;
  return pool_destroy(root ? pool->roots : volume ? pool->volumes : pool->saves, name) ||
         broken(failure, "remove", name);
}

bool operation_measure(const struct host *host, const struct pool_request *request, struct writer *reply,
                       struct failure *failure) {
  struct measure measure = {0};
  cleanup_fd int save = open_subvolume(host->pool.saves, request->save);
  if (save < 0) return broken(failure, "measure", request->save);
  if (!measure_tree(save, "upper", &measure)) return broken(failure, "measure", request->save);
  writer_u64(reply, TAG_BYTES, measure.bytes);
  writer_u64(reply, TAG_FILES, measure.entries);
  return true;
}

struct usage {
  uint64_t id;
  uint64_t bytes;
};

struct usages {
  struct usage *list;
  size_t count;
  size_t capacity;
};

/* Ascending: so the tree gives them. */
static void add_usage(uint64_t id, uint64_t bytes, void *context) {
  struct usages *usages = context;
  if (usages->count == usages->capacity) {
    size_t capacity = usages->capacity ? usages->capacity * 2 : 256;
    struct usage *list = realloc(usages->list, capacity * sizeof *list);
    if (!list) return;
    usages->list = list;
    usages->capacity = capacity;
  }
  usages->list[usages->count++] = (struct usage){.id = id, .bytes = bytes};
}

static int by_id(const void *a, const void *b) {
  uint64_t left = ((const struct usage *)a)->id;
  uint64_t right = ((const struct usage *)b)->id;
  return left < right ? -1 : left > right;
}

static uint64_t usage_of(const struct usages *usages, int parent, const char *name) {
  cleanup_fd int subvolume = open_subvolume(parent, name);
  struct usage key = {.id = subvolume < 0 ? 0 : btrfs_id(subvolume)};
  const struct usage *found =
      usages->count ? bsearch(&key, usages->list, usages->count, sizeof key, by_id) : NULL;
  return found ? found->bytes : 0;
}

static void entry(struct writer *reply, uint32_t stream, uint8_t tag, const char *name, uint64_t bytes) {
  writer_begin(reply, MESSAGE_ENTRY, 0, stream);
  writer_string(reply, tag, name);
  writer_u64(reply, TAG_BYTES, bytes);
  writer_end(reply);
}

static DIR *open_list(int dir) {
  int fd = open_beneath(dir, ".", O_RDONLY | O_DIRECTORY, 0);
  DIR *stream = fd < 0 ? NULL : fdopendir(fd);
  if (!stream) close_fd(&fd);
  return stream;
}

static bool list_part(int dir, uint8_t tag, const struct usages *usages, uint32_t stream, struct writer *reply) {
  DIR *list = open_list(dir);
  if (!list) return false;
  for (struct dirent *at; (at = readdir(list));)
    if (id_valid(at->d_name)) entry(reply, stream, tag, at->d_name, usage_of(usages, dir, at->d_name));
  closedir(list);
  return true;
}

static uint64_t dump_bytes(int dumps, const char *name) {
  struct measure measure = {0};
  return measure_tree(dumps, name, &measure) ? measure.bytes : 0;
}

static bool list_dumps(const struct host *host, uint32_t stream, struct writer *reply) {
  DIR *list = open_list(host->dumps);
  if (!list) return false;
  for (struct dirent *at; (at = readdir(list));)
    if (id_valid(at->d_name)) entry(reply, stream, TAG_DUMP, at->d_name, dump_bytes(host->dumps, at->d_name));
  closedir(list);
  return true;
}

static bool list_pool(const struct pool *pool, uint32_t stream, struct writer *reply) {
  struct usages usages = {0};
  bool ok = btrfs_commit(pool->dir) && btrfs_each_usage(pool->dir, add_usage, &usages) &&
            list_part(pool->roots, TAG_ID, &usages, stream, reply) &&
            list_part(pool->saves, TAG_SAVE, &usages, stream, reply) &&
            list_part(pool->volumes, TAG_VOLUME, &usages, stream, reply);
  free(usages.list);
  return ok;
}

bool operation_list_pool(const struct host *host, uint32_t stream, struct writer *reply, struct failure *failure) {
  if (host->pool.kind != POOL_CLOSED && !list_pool(&host->pool, stream, reply)) return broken(failure, "list", "pool");
  return list_dumps(host, stream, reply) || broken(failure, "list", "dumps");
}
