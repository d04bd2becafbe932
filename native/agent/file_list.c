#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "connection.h"
#include "directory.h"
#include "files.h"
#include "path.h"
#include "request.h"
#include "util.h"
#include "xattrs.h"

#define ENTRIES_PER_TURN 64

struct listing {
  struct request request;
  struct user user;
  struct tables tables;
  struct directory directory;
  bool attributes;
};

static void release(struct request *request) {
  struct listing *listing = (struct listing *)request;
  close_fd(&listing->directory.fd);
  tables_free(&listing->tables);
}

static void send_entry(const struct listing *listing, const char *name) {
  struct stat info;
  /* Gone since it was read, like one that was never there. */
  if (fstatat(listing->directory.fd, name, &info, AT_SYMLINK_NOFOLLOW)) return;
  struct writer *writer = send_begin(FRAME_ENTRY, listing->request.stream);
  writer_string(writer, FIELD_NAME, name);
  write_stat(writer, &info, listing->directory.fd, name, &listing->tables);
  if (listing->attributes) xattrs_describe(writer, &info, listing->directory.fd, name);
  send_end();
}

static enum turn finish(struct listing *listing, int error) {
  if (error)
    send_error(listing->request.stream, error, "list");
  else
    send_empty(FRAME_END, listing->request.stream);
  request_end(&listing->request);
  return TURN_DONE;
}

static enum turn step(struct task *task) {
  struct listing *listing = (struct listing *)request_of_task(task);
  int error = credentials_enter(&listing->user);
  if (error) return finish(listing, error);
  const struct entry *entry = NULL;
  for (int i = 0; i < ENTRIES_PER_TURN && (entry = directory_next(&listing->directory)); i++)
    send_entry(listing, entry->name);
  credentials_leave();
  return entry ? TURN_AGAIN : finish(listing, listing->directory.error);
}

void file_list(const struct frame *frame) {
  struct file_plan plan;
  struct user user;
  struct place place;
  if (!file_begin(frame, "list", &plan, &user)) return;
  int error = place_open(plan.path, &user, true, &place);
  int fd = -1;
  if (!error) fd = open_in(place.directory, place.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
  if (!error && fd < 0) error = errno;
  place_close(&place);
  credentials_leave();
  struct listing *listing = error ? NULL : request_new(sizeof *listing, frame->stream, step, release);
  if (!listing) {
    send_error(frame->stream, error ? error : errno, "list %s", plan.path);
    close_fd(&fd);
    return;
  }
  listing->user = user;
  listing->attributes = plan.attributes;
  directory_init(&listing->directory, fd);
  tables_load(&listing->tables);
  task_queue_sender(&listing->request.task);
}
