#define _GNU_SOURCE 1
#include "quota.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

#include "btrfs.h"
#include "host.h"

#define WANTED "trusted.caisson.quota"

static const uint64_t HEADROOM = 16 << 20;

bool quota_kept(const struct pool *pool, uint64_t bytes, struct failure *failure) {
  enum quotas quotas;
  if (bytes == 0) return true;
  if (!btrfs_quotas(pool->dir, &quotas)) return fail(failure, errno, "quota", "pool: %s", strerror(errno));
  return quotas == QUOTAS_SIMPLE || fail(failure, ENOTSUP, "quota", "the pool has no simple quotas");
}

bool quota_set(int root, uint64_t bytes) {
  if (bytes == 0) return fremovexattr(root, WANTED) == 0 || errno == ENODATA;
  return fsetxattr(root, WANTED, &bytes, sizeof bytes, 0) == 0 && btrfs_limit(root, bytes);
}

static uint64_t wanted(int root) {
  uint64_t bytes;
  return fgetxattr(root, WANTED, &bytes, sizeof bytes) == sizeof bytes ? bytes : 0;
}

void quota_lift(const struct pool *pool, const char *id, int *root) {
  *root = pool->kind == POOL_CLOSED ? -1 : open_beneath(pool->roots, id, O_RDONLY | O_DIRECTORY, 0);
  uint64_t bytes = *root < 0 ? 0 : wanted(*root);
  if (bytes == 0) close_fd(root);
  if (bytes > 0 && !btrfs_limit(*root, bytes + HEADROOM)) log_line("%s: quota: %s", id, strerror(errno));
}

void quota_settle(int *root) {
  if (*root >= 0 && !btrfs_limit(*root, wanted(*root))) log_line("quota: %s", strerror(errno));
  close_fd(root);
}
