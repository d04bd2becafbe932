#include "exact.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "path.h"
#include "protocol.gen.h"
#include "util.h"
#include "xattrs.h"

/* Others belong to the system that the tree is on. */
static bool is_kept(const char *name) {
  return xattr_is_users(name) || !strcmp(name, "security.capability");
}

void exact_describe(struct writer *writer, const struct stat *info, int directory, const char *name, uint64_t *skipped) {
  const uint64_t identity[2] = {info->st_dev, info->st_ino};
  if (!S_ISDIR(info->st_mode) && info->st_nlink > 1) writer_bytes(writer, FIELD_FILE_ID, identity, sizeof identity);
  if (!S_ISREG(info->st_mode) && !S_ISDIR(info->st_mode)) return;
  int fd = xattr_open(directory, name);
  if (fd < 0) {
    ++*skipped;
    return;
  }
  xattrs_add(writer, fd, is_kept, skipped);
  close(fd);
}

void exact_free(struct exact_xattrs *kept) {
  free(kept->payload);
  *kept = (struct exact_xattrs){0};
}

int exact_keep(struct exact_xattrs *kept, const struct frame *frame) {
  exact_free(kept);
  if (!xattrs_any(frame)) return 0;
  kept->payload = malloc(frame->length);
  if (!kept->payload) return ENOMEM;
  memcpy(kept->payload, frame->payload, frame->length);
  kept->length = frame->length;
  return 0;
}

static int set_kept(int fd, const struct field *field, uint64_t *lost) {
  int error = xattr_set(fd, field, is_kept);
  if (error != EPERM && error != ENOTSUP) return error;
  ++*lost;
  return 0;
}

int exact_apply(int fd, const struct entry_plan *entry, const struct exact_xattrs *kept, uint64_t *lost) {
  if (fchown(fd, entry->uid, entry->gid)) return errno;
  if (entry->mode >= 0 && fchmod(fd, (mode_t)entry->mode)) return errno;
  const struct frame frame = {.payload = kept->payload, .length = kept->length};
  struct field_reader reader = field_reader(&frame);
  int error = 0;
  for (struct field field; !error && field_next(&reader, &field);)
    if (field.tag == FIELD_XATTR) error = set_kept(fd, &field, lost);
  return error;
}

int exact_own(int directory, const char *name, const struct entry_plan *entry) {
  return fchownat(directory, name, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW) ? errno : 0;
}

/* Makes room for a directory. 0 or errno. */
static int clear_place(int parent, const char *last) {
  struct stat old;
  if (fstatat(parent, last, &old, AT_SYMLINK_NOFOLLOW)) return errno == ENOENT ? 0 : errno;
  return S_ISDIR(old.st_mode) || !unlinkat(parent, last, 0) ? 0 : errno;
}

int exact_directory(int parent, const char *last, const struct entry_plan *entry, const struct exact_xattrs *kept,
                    uint64_t *lost) {
  int error = clear_place(parent, last);
  if (!error && mkdirat(parent, last, S_IRWXU) && errno != EEXIST) error = errno;
  if (error) return error;
  int fd = open_in(parent, last, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, RESOLVE_NO_XDEV);
  if (fd < 0) return errno;
  error = exact_apply(fd, entry, kept, lost);
  close(fd);
  return error;
}

int exact_link(struct tree_base *base, const struct entry_plan *entry, char last[NAME_MAX + 1], const char *ending) {
  char target[NAME_MAX + 1], temporary[NAME_MAX + 1];
  int error = tree_base_enter(base, entry->target, target);
  if (error) return error;
  int from = fcntl(base->parent, F_DUPFD_CLOEXEC, 0);
  if (from < 0) return errno;
  error = tree_base_enter(base, entry->name, last);
  if (!error) {
    temporary_name(temporary, last, ending);
    if (linkat(from, target, base->parent, temporary, 0)) error = errno;
    if (!error && renameat(base->parent, temporary, base->parent, last)) error = errno;
    /* Renaming one name of a file to another does nothing. */
    unlinkat(base->parent, temporary, 0);
  }
  close(from);
  return error;
}
