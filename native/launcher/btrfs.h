/* Subvolumes, quotas and size of a btrfs, by ioctl. What returns a bool leaves the reason in errno. */
#ifndef CAISSON_LAUNCHER_BTRFS_H
#define CAISSON_LAUNCHER_BTRFS_H

#include <stdbool.h>
#include <stdint.h>

/* Names are single path parts beneath the open directory `parent`; other descriptors are subvolumes. */
bool btrfs_create(int parent, const char *name);
/* In constant time, with everything that has been written to `from`. */
bool btrfs_snapshot(int parent, const char *name, int from, bool read_only);
/* In constant time; the room is given back in the background. */
bool btrfs_destroy(int parent, const char *name);
/* Bytes; 0 is no limit. Copies inherit none. */
bool btrfs_limit(int subvolume, uint64_t bytes);
/* 0 with errno. */
uint64_t btrfs_id(int subvolume);

enum quotas { QUOTAS_OFF, QUOTAS_CLASSIC, QUOTAS_SIMPLE };
bool btrfs_quotas(int dir, enum quotas *quotas);
bool btrfs_enable_simple_quotas(int dir);
typedef void (*usage_visitor)(uint64_t id, uint64_t bytes, void *context);
/* Visits the bytes that each subvolume holds for itself, as of the last commit. */
bool btrfs_each_usage(int dir, usage_visitor visit, void *context);
/* Writes what is known so far to disk, and with it the usage. */
bool btrfs_commit(int dir);

/* Bytes that were promised to writers and show in no statistics until they are on disk, which may take half a minute. */
uint64_t btrfs_promised(int dir);

bool btrfs_is(int dir);
/* Takes all of the device. */
bool btrfs_resize(int dir);

#endif
