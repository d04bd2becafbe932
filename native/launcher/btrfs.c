#define _GNU_SOURCE 1
#include "btrfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/btrfs_tree.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>

#include "util.h"

/* Since Linux 6.7, later than the headers of some systems that build this. */
enum { QUOTA_CTL_ENABLE_SIMPLE = 4, STATUS_FLAG_SIMPLE = 1 << 3 };
enum { SEARCH_BYTES = 64 * 1024 };

bool btrfs_create(int parent, const char *name) {
  struct btrfs_ioctl_vol_args_v2 arguments = {0};
  snprintf(arguments.name, sizeof arguments.name, "%s", name);
  return ioctl(parent, BTRFS_IOC_SUBVOL_CREATE_V2, &arguments) == 0;
}

bool btrfs_snapshot(int parent, const char *name, int from, bool read_only) {
  struct btrfs_ioctl_vol_args_v2 arguments = {.fd = from, .flags = read_only ? BTRFS_SUBVOL_RDONLY : 0};
  snprintf(arguments.name, sizeof arguments.name, "%s", name);
  return ioctl(parent, BTRFS_IOC_SNAP_CREATE_V2, &arguments) == 0;
}

bool btrfs_destroy(int parent, const char *name) {
  struct btrfs_ioctl_vol_args arguments = {0};
  snprintf(arguments.name, sizeof arguments.name, "%s", name);
  return ioctl(parent, BTRFS_IOC_SNAP_DESTROY, &arguments) == 0;
}

bool btrfs_limit(int subvolume, uint64_t bytes) {
  struct btrfs_ioctl_qgroup_limit_args arguments = {
      .lim = {.flags = BTRFS_QGROUP_LIMIT_MAX_RFER, .max_rfer = bytes ? bytes : UINT64_MAX}};
  return ioctl(subvolume, BTRFS_IOC_QGROUP_LIMIT, &arguments) == 0;
}

uint64_t btrfs_id(int subvolume) {
  struct btrfs_ioctl_ino_lookup_args arguments = {.objectid = BTRFS_FIRST_FREE_OBJECTID};
  return ioctl(subvolume, BTRFS_IOC_INO_LOOKUP, &arguments) == 0 ? arguments.treeid : 0;
}

struct item {
  uint64_t offset;
  const uint8_t *data;
  uint32_t length;
};
typedef void (*item_visitor)(const struct item *item, void *context);

/* Visits the items of one type in the tree of quotas. False with ENOENT when there is no such tree. */
static bool each_quota_item(int dir, uint32_t type, item_visitor visit, void *context) {
  struct btrfs_ioctl_search_args_v2 *arguments = calloc(1, sizeof *arguments + SEARCH_BYTES);
  if (!arguments) return false;
  struct btrfs_ioctl_search_key *key = &arguments->key;
  bool ok = true;
  for (uint64_t next = 0;;) {
    *key = (struct btrfs_ioctl_search_key){.tree_id = BTRFS_QUOTA_TREE_OBJECTID,
                                           .min_type = type,
                                           .max_type = type,
                                           .min_offset = next,
                                           .max_offset = UINT64_MAX,
                                           .max_transid = UINT64_MAX,
                                           .nr_items = UINT32_MAX};
    arguments->buf_size = SEARCH_BYTES;
    ok = ioctl(dir, BTRFS_IOC_TREE_SEARCH_V2, arguments) == 0;
    if (!ok || key->nr_items == 0) break;
    const uint8_t *at = (const uint8_t *)arguments->buf;
    for (uint32_t i = 0; i < key->nr_items; i++) {
      struct btrfs_ioctl_search_header header;
      memcpy(&header, at, sizeof header);
      at += sizeof header;
      visit(&(struct item){.offset = header.offset, .data = at, .length = header.len}, context);
      at += header.len;
      next = header.offset;
    }
    if (next++ == UINT64_MAX) break;
  }
  int error = errno;
  free(arguments);
  errno = error;
  return ok;
}

static void take_status(const struct item *item, void *context) {
  struct btrfs_qgroup_status_item status;
  enum quotas *quotas = context;
  if (item->length < sizeof status) return;
  memcpy(&status, item->data, sizeof status);
  if (status.flags & BTRFS_QGROUP_STATUS_FLAG_ON)
    *quotas = status.flags & STATUS_FLAG_SIMPLE ? QUOTAS_SIMPLE : QUOTAS_CLASSIC;
}

bool btrfs_quotas(int dir, enum quotas *quotas) {
  *quotas = QUOTAS_OFF;
  return each_quota_item(dir, BTRFS_QGROUP_STATUS_KEY, take_status, quotas) || errno == ENOENT;
}

bool btrfs_enable_simple_quotas(int dir) {
  struct btrfs_ioctl_quota_ctl_args arguments = {.cmd = QUOTA_CTL_ENABLE_SIMPLE};
  return ioctl(dir, BTRFS_IOC_QUOTA_CTL, &arguments) == 0;
}

struct usage_search {
  usage_visitor visit;
  void *context;
};

static void take_usage(const struct item *item, void *context) {
  const struct usage_search *search = context;
  struct btrfs_qgroup_info_item info;
  if (item->length < sizeof info) return;
  memcpy(&info, item->data, sizeof info);
  search->visit(item->offset, info.excl, search->context);
}

bool btrfs_each_usage(int dir, usage_visitor visit, void *context) {
  struct usage_search search = {.visit = visit, .context = context};
  return each_quota_item(dir, BTRFS_QGROUP_INFO_KEY, take_usage, &search) || errno == ENOENT;
}

bool btrfs_commit(int dir) {
  uint64_t transaction = 0;
  return ioctl(dir, BTRFS_IOC_START_SYNC, &transaction) == 0 && ioctl(dir, BTRFS_IOC_WAIT_SYNC, &transaction) == 0;
}

static void format_uuid(char *out, size_t size, const uint8_t *id) {
  size_t used = 0;
  for (int i = 0; i < BTRFS_FSID_SIZE; i++)
    used += (size_t)snprintf(out + used, size - used, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", id[i]);
}

uint64_t btrfs_promised(int dir) {
  static const char *const parts[] = {"bytes_may_use", "bytes_reserved", "bytes_pinned"};
  struct btrfs_ioctl_fs_info_args info = {0};
  char id[40];
  uint64_t sum = 0;
  if (ioctl(dir, BTRFS_IOC_FS_INFO, &info) < 0) return 0;
  format_uuid(id, sizeof id, info.fsid);
  for (size_t i = 0; i < countof(parts); i++) {
    char path[128];
    char text[32];
    snprintf(path, sizeof path, "/sys/fs/btrfs/%s/allocation/data/%s", id, parts[i]);
    if (read_file_at(AT_FDCWD, path, text, sizeof text) > 0) sum += strtoull(text, NULL, 10);
  }
  return sum;
}

bool btrfs_is(int dir) {
  struct statfs info;
  return fstatfs(dir, &info) == 0 && info.f_type == (__typeof__(info.f_type))BTRFS_SUPER_MAGIC;
}

bool btrfs_resize(int dir) {
  struct btrfs_ioctl_vol_args arguments = {.name = "max"};
  return ioctl(dir, BTRFS_IOC_RESIZE, &arguments) == 0;
}
