#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "connection.h"
#include "path.h"
#include "protocol.gen.h"
#include "util.h"
#include "xattrs.h"

bool file_begin(const struct frame *frame, const char *operation, struct file_plan *plan, struct user *user) {
  int error = file_plan_parse(frame, plan);
  if (!error && !plan->path[0] && frame->type != FRAME_TREE_WRITE) error = ENOENT;
  if (error == PLAN_MALFORMED) {
    connection_break();
    return false;
  }
  if (error) {
    send_error(frame->stream, error, "%s: invalid arguments", operation);
    return false;
  }
  error = user_find(plan->user, user);
  if (!error) error = credentials_enter(user);
  if (error) send_error(frame->stream, error, "user %s", plan->user);
  return !error;
}

int file_own(const struct file_plan *plan, struct user *user) {
  bool asked = plan->uid != (uid_t)-1 && plan->gid != (gid_t)-1;
  if (!asked) return plan->uid == (uid_t)-1 && plan->gid == (gid_t)-1 ? 0 : EINVAL;
  if (geteuid() != 0) return plan->uid == geteuid() && plan->gid == getegid() ? 0 : EPERM;
  if (user->uid != 0) return EPERM;
  user->owning = true;
  user->owner = plan->uid;
  user->owner_group = plan->gid;
  return credentials_enter(user);
}

static void answer(const struct frame *frame, int error, const char *operation, const struct file_plan *plan) {
  if (error)
    send_error(frame->stream, error, "%s %s", operation, plan->path);
  else
    send_empty(FRAME_OK, frame->stream);
}

static void write_link(struct writer *writer, int directory, const char *name) {
  char target[LIMIT_MAX_PATH];
  ssize_t length = readlinkat(directory, name, target, sizeof target);
  if (length >= 0) writer_bytes(writer, FIELD_LINK, target, (size_t)length);
}

void write_stat(struct writer *writer, const struct stat *info, int directory, const char *name,
                const struct tables *tables) {
  char owner[MAX_USER_SPEC];
  int64_t modified = (int64_t)info->st_mtim.tv_sec * 1000000000 + info->st_mtim.tv_nsec;
  writer_u64(writer, FIELD_FILE_TYPE, info->st_mode & S_IFMT);
  writer_u64(writer, FIELD_MODE, info->st_mode & 07777);
  writer_u64(writer, FIELD_UID, info->st_uid);
  writer_u64(writer, FIELD_GID, info->st_gid);
  writer_u64(writer, FIELD_SIZE, (uint64_t)info->st_size);
  writer_u64(writer, FIELD_MTIME_NS, (uint64_t)modified);
  if (tables_user_name(tables, info->st_uid, owner, sizeof owner)) writer_string(writer, FIELD_OWNER, owner);
  if (tables_group_name(tables, info->st_gid, owner, sizeof owner)) writer_string(writer, FIELD_GROUP, owner);
  if (name && S_ISLNK(info->st_mode)) write_link(writer, directory, name);
}

void send_stat(uint32_t stream, const struct stat *info, int directory, const char *name) {
  struct tables tables;
  tables_load(&tables);
  write_stat(send_begin(FRAME_OK, stream), info, directory, name, &tables);
  send_end();
  tables_free(&tables);
}

static void send_description(uint32_t stream, const struct stat *info, const struct place *place, bool attributes) {
  struct tables tables;
  tables_load(&tables);
  struct writer *writer = send_begin(FRAME_OK, stream);
  write_stat(writer, info, place->directory, place->name, &tables);
  if (attributes) xattrs_describe(writer, info, place->directory, place->name);
  send_end();
  tables_free(&tables);
}

void file_stat(const struct frame *frame) {
  struct file_plan plan;
  struct user user;
  struct place place;
  struct stat info;
  if (!file_begin(frame, "stat", &plan, &user)) return;
  int error = place_open(plan.path, &user, plan.follow, &place);
  if (!error && fstatat(place.directory, place.name, &info, AT_SYMLINK_NOFOLLOW)) error = errno;
  if (error)
    answer(frame, error, "stat", &plan);
  else
    send_description(frame->stream, &info, &place, plan.attributes);
  place_close(&place);
  credentials_leave();
}

/* The answer that file_mkdir is building; full when another path would not fit into a frame. */
static struct writer *created_in;

static void add_created(const char *path) {
  if (created_in->length - created_in->frame_start + LIMIT_MAX_PATH + sizeof(struct user) < LIMIT_MAX_PAYLOAD)
    writer_string(created_in, FIELD_CREATED, path);
}

static int make_one(const struct file_plan *plan, const struct user *user, mode_t mode) {
  struct place place;
  int error = place_open(plan->path, user, false, &place);
  if (!error && mkdirat(place.directory, place.name, mode)) error = errno;
  place_close(&place);
  if (!error) add_created(plan->path);
  return error;
}

void file_mkdir(const struct frame *frame) {
  struct file_plan plan;
  struct user user;
  if (!file_begin(frame, "mkdir", &plan, &user)) return;
  mode_t mode = plan.mode < 0 ? 0755 : (mode_t)plan.mode;
  created_in = send_begin(FRAME_OK, frame->stream);
  int error = file_own(&plan, &user);
  if (!error)
    error = plan.parents ? path_make(plan.path, &user, true, mode, add_created) : make_one(&plan, &user, mode);
  credentials_leave();
  if (!error) {
    send_end();
    return;
  }
  created_in->length = created_in->frame_start;
  answer(frame, error, "mkdir", &plan);
}

void file_rename(const struct frame *frame) {
  struct file_plan plan;
  struct user user;
  struct place from, to = {.directory = -1};
  if (!file_begin(frame, "rename", &plan, &user)) return;
  int error = place_open(plan.path, &user, false, &from);
  if (!error) error = plan.target[0] ? place_open(plan.target, &user, false, &to) : ENOENT;
  if (!error && renameat(from.directory, from.name, to.directory, to.name)) error = errno;
  place_close(&from);
  place_close(&to);
  credentials_leave();
  answer(frame, error, "rename", &plan);
}

void file_chmod(const struct frame *frame) {
  struct file_plan plan;
  struct user user;
  struct place place;
  if (!file_begin(frame, "chmod", &plan, &user)) return;
  int error = place_open(plan.path, &user, true, &place);
  if (!error && plan.mode < 0) error = EINVAL;
  if (!error && fchmodat(place.directory, place.name, (mode_t)plan.mode, 0)) error = errno;
  place_close(&place);
  credentials_leave();
  answer(frame, error, "chmod", &plan);
}

void file_chown(const struct frame *frame) {
  struct file_plan plan;
  struct user user;
  struct place place;
  if (!file_begin(frame, "chown", &plan, &user)) return;
  int error = place_open(plan.path, &user, true, &place);
  if (!error && fchownat(place.directory, place.name, plan.uid, plan.gid, AT_SYMLINK_NOFOLLOW)) error = errno;
  place_close(&place);
  credentials_leave();
  answer(frame, error, "chown", &plan);
}

static int change_attributes(const struct frame *frame, const struct place *place, struct stat *info) {
  if (fstatat(place->directory, place->name, info, AT_SYMLINK_NOFOLLOW)) return errno;
  int error = xattrs_check(frame);
  if (error) return error;
  if (!S_ISREG(info->st_mode) && !S_ISDIR(info->st_mode)) return EINVAL;
  int fd = xattr_open(place->directory, place->name);
  if (fd < 0) return errno;
  error = is_own_proc_file(fd) ? EACCES : xattrs_apply(fd, frame);
  close_fd(&fd);
  return error;
}

void file_attributes(const struct frame *frame) {
  struct file_plan plan;
  struct user user;
  struct place place;
  struct stat info = {.st_mode = S_IFREG};
  if (!file_begin(frame, "set attributes", &plan, &user)) return;
  int error = place_open(plan.path, &user, true, &place);
  if (!error) error = change_attributes(frame, &place, &info);
  place_close(&place);
  credentials_leave();
  if (error == EINVAL && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
    send_error(frame->stream, error, "set attributes of %s: it is %s", plan.path, file_type_name(info.st_mode));
  else
    answer(frame, error, "set attributes of", &plan);
}
