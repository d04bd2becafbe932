#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "connection.h"
#include "files.h"
#include "path.h"
#include "request.h"
#include "util.h"

/* The whole name has to fit with its random ending. */
#define KEPT_NAME 200

struct upload {
  struct request request;
  struct user user;
  struct place place;          /* of the file to replace */
  char temporary[NAME_MAX + 1]; /* beside it; "" when there is none to remove */
  int fd;
  uint64_t written;
  mode_t mode;
  uid_t owner; /* whose file root replaces; -1: nobody's */
  gid_t group;
};

static void release(struct request *request) {
  struct upload *upload = (struct upload *)request;
  close_fd(&upload->fd);
  /* The user made the file and may remove it; if they cannot any more, there is nobody to ask. */
  if (*upload->temporary && !credentials_enter(&upload->user)) {
    unlinkat(upload->place.directory, upload->temporary, 0);
    credentials_leave();
  }
  place_close(&upload->place);
}

static void fail(struct upload *upload, int error) {
  send_error(upload->request.stream, error, "write %s", upload->place.name);
  request_end(&upload->request);
}

static void receive(struct request *request, const struct frame *frame) {
  struct upload *upload = (struct upload *)request;
  uint64_t offset;
  const uint8_t *data;
  size_t size;
  if (!bulk_parse(frame, &offset, &data, &size) || offset != upload->written) {
    connection_break();
    return;
  }
  while (size) {
    ssize_t done = write(upload->fd, data, size);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) {
      fail(upload, done < 0 ? errno : EIO);
      return;
    }
    data += done;
    size -= (size_t)done;
    upload->written += (uint64_t)done;
  }
  send_ack(request->stream, upload->written);
}

/* Gives the temporary file its owner, mode and name. The owner goes first, because changing it clears set-id bits. */
static int publish(struct upload *upload, struct stat *info) {
  int error = credentials_enter(&upload->user);
  if (error) return error;
  struct place *place = &upload->place;
  bool owned = upload->owner != (uid_t)-1;
  if ((owned && fchown(upload->fd, upload->owner, upload->group)) || fchmod(upload->fd, upload->mode) ||
      fstat(upload->fd, info) || renameat(place->directory, upload->temporary, place->directory, place->name))
    error = errno;
  else
    upload->temporary[0] = 0;
  credentials_leave();
  return error;
}

static void finish(struct request *request) {
  struct upload *upload = (struct upload *)request;
  struct stat info;
  int error = publish(upload, &info);
  if (error) {
    fail(upload, error);
    return;
  }
  send_stat(request->stream, &info, -1, NULL);
  request_end(request);
}

/* What is there already decides mode and owner, and whether it may be replaced at all. */
static int look_at_old(struct upload *upload, const struct file_plan *plan, struct stat *old) {
  old->st_mode = S_IFREG;
  upload->mode = plan->mode < 0 ? 0644 : (mode_t)plan->mode;
  upload->owner = (uid_t)-1;
  if (fstatat(upload->place.directory, upload->place.name, old, AT_SYMLINK_NOFOLLOW))
    return errno == ENOENT ? 0 : errno;
  if (S_ISDIR(old->st_mode)) return EISDIR;
  if (!S_ISREG(old->st_mode)) return EINVAL;
  if (plan->mode < 0) upload->mode = old->st_mode & 07777;
  if (geteuid() == 0 && upload->user.uid == 0) {
    upload->owner = old->st_uid;
    upload->group = old->st_gid;
  }
  return 0;
}

static int make_temporary(struct upload *upload) {
  uint64_t random;
  random_bytes(&random, sizeof random);
  snprintf(upload->temporary, sizeof upload->temporary, ".%.*s.caisson-%016llx", KEPT_NAME, upload->place.name,
           (unsigned long long)random);
  upload->fd = openat(upload->place.directory, upload->temporary,
                      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);
  if (upload->fd >= 0) return 0;
  upload->temporary[0] = 0;
  return errno;
}

static int open_upload(struct upload *upload, const struct file_plan *plan, struct stat *old) {
  old->st_mode = S_IFREG;
  int error = plan->parents ? path_make(plan->path, &upload->user, false, 0755, NULL) : 0;
  if (!error) error = place_open(plan->path, &upload->user, true, &upload->place);
  if (!error) error = look_at_old(upload, plan, old);
  return error ? error : make_temporary(upload);
}

static enum turn no_step(struct task *task) {
  (void)task;
  return TURN_DONE;
}

void file_write(const struct frame *frame) {
  struct file_plan plan;
  struct user user;
  struct stat old;
  if (!file_begin(frame, "write", &plan, &user)) return;
  struct upload *upload = request_new(sizeof *upload, frame->stream, no_step, release);
  if (!upload) {
    int error = errno;
    credentials_leave();
    send_error(frame->stream, error, "write %s", plan.path);
    return;
  }
  upload->user = user;
  upload->fd = upload->place.directory = -1;
  upload->request.data = receive;
  upload->request.end = finish;
  int error = open_upload(upload, &plan, &old);
  credentials_leave();
  if (!error) {
    send_empty(FRAME_OK, frame->stream);
    return;
  }
  const char *type = error == EINVAL ? file_type_name(old.st_mode) : "";
  send_error(frame->stream, error, *type ? "write %s: it is %s" : "write %s%s", plan.path, type);
  request_end(&upload->request);
}
