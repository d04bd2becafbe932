#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

#include "connection.h"
#include "files.h"
#include "path.h"
#include "request.h"
#include "util.h"
#include "xattrs.h"

#define MAX_PIECES 64

struct upload {
  struct request request;
  struct user user;
  struct place place;          /* of the file to replace */
  char temporary[NAME_MAX + 1]; /* beside it; "" when there is none to remove */
  bool resumable; /* the temporary file stays until it is complete */
  int fd;
  uint64_t written, size; /* size: of a resumable upload when it is complete */
  uint64_t acknowledged;
  mode_t mode;
  uid_t owner; /* whose file root replaces; -1: nobody's */
  gid_t group;
};

/* What has come in a turn for one upload goes into its file by one call: a page that two calls share costs twice. */
static struct {
  struct upload *upload;
  struct iovec pieces[MAX_PIECES]; /* of frames that the connection still holds */
  int count;
  size_t size;
} gathered;

static void gather_none(void) {
  gathered.upload = NULL;
  gathered.count = 0;
  gathered.size = 0;
}

static void release(struct request *request) {
  struct upload *upload = (struct upload *)request;
  if (gathered.upload == upload) gather_none();
  /* Given back by hand: a child between fork and exec still holds the descriptor, and with it the lock. */
  if (upload->resumable && upload->fd >= 0) flock(upload->fd, LOCK_UN);
  close_fd(&upload->fd);
  if (upload->resumable) upload->temporary[0] = 0;
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

/* Takes what is written off the front of the pieces. */
static void advance(struct iovec **pieces, int *count, size_t done) {
  while (*count && done >= (*pieces)->iov_len) {
    done -= (*pieces)->iov_len;
    ++*pieces;
    --*count;
  }
  if (!*count) return;
  (*pieces)->iov_base = (uint8_t *)(*pieces)->iov_base + done;
  (*pieces)->iov_len -= done;
}

/* False when that failed and ended the upload. */
static bool write_gathered(void) {
  struct upload *upload = gathered.upload;
  struct iovec *pieces = gathered.pieces;
  int count = gathered.count;
  gather_none();
  while (count) {
    ssize_t done = writev(upload->fd, pieces, count);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) {
      fail(upload, done < 0 ? errno : EIO);
      return false;
    }
    upload->written += (uint64_t)done;
    advance(&pieces, &count, (size_t)done);
  }
  return true;
}

void file_write_settle(void) { write_gathered(); }

static void receive(struct request *request, const struct frame *frame) {
  struct upload *upload = (struct upload *)request;
  uint64_t offset;
  const uint8_t *data;
  size_t size;
  bool same = gathered.upload == upload;
  if ((!same || gathered.count == MAX_PIECES) && !write_gathered() && same) return;
  if (!bulk_parse(frame, &offset, &data, &size) || offset != upload->written + gathered.size) {
    connection_break();
    return;
  }
  task_queue_worker(&request->task);
  if (!size) return;
  gathered.upload = upload;
  gathered.pieces[gathered.count++] = (struct iovec){(void *)(uintptr_t)data, size};
  gathered.size += size;
}

static void acknowledge(struct upload *upload) {
  if (upload->acknowledged == upload->written) return;
  upload->acknowledged = upload->written;
  send_ack(upload->request.stream, upload->written);
}

/* One answer to all that came in a turn: each frame's own would wake the server for nothing. */
static enum turn acknowledge_turn(struct task *task) {
  acknowledge((struct upload *)request_of_task(task));
  return TURN_DONE;
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

static void send_offset(const struct upload *upload) {
  writer_u64(send_begin(FRAME_OK, upload->request.stream), FIELD_OFFSET, upload->written);
  send_end();
}

static void finish(struct request *request) {
  struct upload *upload = (struct upload *)request;
  struct stat info;
  if (gathered.upload == upload && !write_gathered()) return;
  acknowledge(upload);
  if (upload->resumable && upload->written != upload->size) {
    send_offset(upload);
    request_end(request);
    return;
  }
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
  /* Bits that lend rights are not passed on to another owner. */
  if (plan->mode < 0) upload->mode = old->st_mode & (upload->user.owning ? 0777 : 07777);
  if (geteuid() == 0 && upload->user.uid == 0 && !upload->user.owning) {
    upload->owner = old->st_uid;
    upload->group = old->st_gid;
  }
  return 0;
}

static int make_temporary(struct upload *upload) {
  uint64_t random;
  char ending[17];
  random_bytes(&random, sizeof random);
  snprintf(ending, sizeof ending, "%016llx", (unsigned long long)random);
  temporary_name(upload->temporary, upload->place.name, ending);
  upload->fd = openat(upload->place.directory, upload->temporary,
                      O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);
  if (upload->fd >= 0) return 0;
  upload->temporary[0] = 0;
  return errno;
}

/*
 * Opens what was received earlier, or begins: the user's own file and no other's, written by one request at a time.
 * ERANGE when it does not reach up to the offset.
 */
static int open_resumable(struct upload *upload, const struct file_plan *plan) {
  struct stat info;
  temporary_name(upload->temporary, upload->place.name, plan->resume);
  int flags = O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (plan->offset ? 0 : O_CREAT);
  upload->fd = openat(upload->place.directory, upload->temporary, flags, 0600);
  if (upload->fd < 0) return plan->offset && errno == ENOENT ? ERANGE : errno;
  if (fstat(upload->fd, &info)) return errno;
  if (!S_ISREG(info.st_mode) || info.st_uid != upload->user.uid || info.st_nlink != 1) return EEXIST;
  if (flock(upload->fd, LOCK_EX | LOCK_NB)) return errno == EWOULDBLOCK ? EBUSY : errno;
  upload->size = plan->size;
  upload->written = (uint64_t)info.st_size;
  if (plan->offset > upload->written) return ERANGE;
  if (plan->with_offset) upload->written = plan->offset;
  upload->acknowledged = upload->written;
  if (ftruncate(upload->fd, (off_t)upload->written) || lseek(upload->fd, 0, SEEK_END) < 0) return errno;
  return 0;
}

static int open_upload(struct upload *upload, const struct file_plan *plan, const struct frame *frame,
                       struct stat *old) {
  int error = upload->resumable && (upload->user.owning || xattrs_any(frame)) ? EINVAL : xattrs_check(frame);
  if (!error) error = plan->parents ? path_make(plan->path, &upload->user, false, 0755, NULL) : 0;
  if (!error) error = place_open(plan->path, &upload->user, true, &upload->place);
  if (!error) error = look_at_old(upload, plan, old);
  if (error) return error;
  if (upload->resumable) return open_resumable(upload, plan);
  error = make_temporary(upload);
  return error ? error : xattrs_apply(upload->fd, frame);
}

static void refuse(const struct upload *upload, int error, const char *path, mode_t old) {
  uint32_t stream = upload->request.stream;
  if (error == ERANGE)
    send_error(stream, EINVAL, "write %s: the upload holds %llu bytes", path, (unsigned long long)upload->written);
  else if (error == EINVAL && !S_ISREG(old))
    send_error(stream, error, "write %s: it is %s", path, file_type_name(old));
  else
    send_error(stream, error, "write %s", path);
}

void file_write(const struct frame *frame) {
  struct file_plan plan;
  struct user user;
  struct stat old;
  if (!file_begin(frame, "write", &plan, &user)) return;
  struct upload *upload = request_new(sizeof *upload, frame->stream, acknowledge_turn, release);
  if (!upload) {
    int error = errno;
    credentials_leave();
    send_error(frame->stream, error, "write %s", plan.path);
    return;
  }
  upload->fd = upload->place.directory = -1;
  upload->request.data = receive;
  upload->request.end = finish;
  upload->resumable = *plan.resume;
  old.st_mode = S_IFREG;
  int error = file_own(&plan, &user);
  upload->user = user;
  if (!error) error = open_upload(upload, &plan, frame, &old);
  credentials_leave();
  if (error) {
    refuse(upload, error, plan.path, old.st_mode);
    request_end(&upload->request);
  } else if (upload->resumable) {
    send_offset(upload);
  } else {
    send_empty(FRAME_OK, frame->stream);
  }
}
