#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "connection.h"
#include "files.h"
#include "path.h"
#include "request.h"
#include "util.h"

struct reader {
  struct request request;
  int fd;
  uint64_t position; /* in the file */
  uint64_t left;
  uint64_t sent, acknowledged; /* in the transfer */
};

static void release(struct request *request) { close_fd(&((struct reader *)request)->fd); }

/* One chunk a turn, while the host has acknowledged enough. */
static enum turn step(struct task *task) {
  static uint8_t chunk[LIMIT_MAX_CHUNK];
  struct reader *reader = (struct reader *)request_of_task(task);
  if (reader->sent - reader->acknowledged > LIMIT_WINDOW - LIMIT_MAX_CHUNK) return TURN_DONE;
  size_t size = reader->left < sizeof chunk ? (size_t)reader->left : sizeof chunk;
  ssize_t got = pread(reader->fd, chunk, size, (off_t)reader->position);
  if (got < 0 && errno == EINTR) return TURN_AGAIN;
  if (got <= 0) {
    if (got < 0)
      send_error(reader->request.stream, errno, "read");
    else
      send_empty(FRAME_END, reader->request.stream);
    request_end(&reader->request);
    return TURN_DONE;
  }
  struct iovec pieces[2] = {{chunk, (size_t)got}, {NULL, 0}};
  send_bulk(FRAME_DATA, 0, reader->request.stream, reader->sent, pieces, 1);
  reader->sent += (uint64_t)got;
  reader->position += (uint64_t)got;
  reader->left -= (uint64_t)got;
  return TURN_AGAIN;
}

static void acknowledge(struct request *request, const struct frame *frame) {
  struct reader *reader = (struct reader *)request;
  uint64_t offset;
  const uint8_t *data;
  size_t size;
  if (!bulk_parse(frame, &offset, &data, &size) || size || offset > reader->sent) {
    connection_break();
    return;
  }
  if (offset > reader->acknowledged) reader->acknowledged = offset;
  task_queue_sender(&request->task);
}

/* Opens a regular file for reading; nothing that could make the agent wait. */
static int open_regular(const struct file_plan *plan, const struct user *user, struct stat *info, int *fd) {
  struct place place;
  *fd = -1;
  info->st_mode = S_IFREG;
  int error = place_open(plan->path, user, true, &place);
  if (!error && *plan->resume) temporary_name(place.name, place.name, plan->resume);
  if (!error && fstatat(place.directory, place.name, info, AT_SYMLINK_NOFOLLOW)) error = errno;
  if (!error && !S_ISREG(info->st_mode)) error = EINVAL;
  if (!error) {
    *fd = open_in(place.directory, place.name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC, 0);
    /* Asked again of what was opened, because it may have been exchanged in between. */
    if (*fd < 0 || fstat(*fd, info)) error = errno;
  }
  if (!error && !S_ISREG(info->st_mode)) error = EINVAL;
  if (!error && is_own_proc_file(*fd)) error = EACCES;
  if (error) close_fd(fd);
  place_close(&place);
  return error;
}

void file_read(const struct frame *frame) {
  struct file_plan plan;
  struct user user;
  struct stat info;
  int fd;
  if (!file_begin(frame, "read", &plan, &user)) return;
  int error = open_regular(&plan, &user, &info, &fd);
  credentials_leave();
  struct reader *reader = error ? NULL : request_new(sizeof *reader, frame->stream, step, release);
  if (!reader) {
    if (!error) error = errno;
    close_fd(&fd);
    const char *type = S_ISREG(info.st_mode) ? "" : file_type_name(info.st_mode);
    send_error(frame->stream, error, *type ? "read %s: it is %s" : "read %s%s", plan.path, type);
    return;
  }
  reader->fd = fd;
  reader->position = plan.offset;
  reader->left = plan.length;
  reader->request.acknowledge = acknowledge;
  send_stat(frame->stream, &info, -1, NULL);
  task_queue_sender(&reader->request.task);
}
