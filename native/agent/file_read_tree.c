#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connection.h"
#include "directory.h"
#include "exact.h"
#include "files.h"
#include "names.h"
#include "path.h"
#include "request.h"
#include "util.h"
#include "xattrs.h"

/* Small steps (an entry, a piece of a listing) that one turn may take. */
#define STEPS_PER_TURN 64
#define NAMES_PER_STEP 256
#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* A directory whose entries are being told. Only the deepest is open; the others are found again by their path. */
struct level {
  struct level *above;
  struct names names;
  size_t path_length;
};

struct tree_reader {
  struct request request;
  struct user user;
  struct tables tables;
  uint64_t depth, most; /* levels there are, and may be */
  bool content, exact, attributes;
  int root;
  dev_t device;
  struct level *level;        /* the deepest; NULL: nothing is left */
  struct directory directory; /* of that level; fd -1: to be opened again */
  bool listing;               /* its names are still being collected */
  char path[LIMIT_MAX_PATH];  /* of the level and, behind it, the entry */
  int file;                   /* -1, or what bytes are sent from */
  uint64_t left, position;
  uint64_t sent, acknowledged;
  uint64_t skipped;
};

static void level_free(struct tree_reader *reader) {
  struct level *level = reader->level;
  reader->level = level->above;
  reader->depth--;
  names_free(&level->names);
  free(level);
}

static void release(struct request *request) {
  struct tree_reader *reader = (struct tree_reader *)request;
  while (reader->level) level_free(reader);
  close_fd(&reader->root);
  close_fd(&reader->directory.fd);
  close_fd(&reader->file);
  tables_free(&reader->tables);
}

static void send_entry(struct tree_reader *reader, const struct stat *info, const char *name) {
  struct writer *writer = send_begin(FRAME_ENTRY, reader->request.stream);
  writer_string(writer, FIELD_NAME, reader->path);
  write_stat(writer, info, reader->directory.fd, name, &reader->tables);
  if (reader->exact && name) exact_describe(writer, info, reader->directory.fd, name, &reader->skipped);
  if (reader->attributes && name) xattrs_describe(writer, info, reader->directory.fd, name);
  if (!writer->failed) reader->sent += writer->length - writer->frame_start - LIMIT_HEADER;
  send_end();
}

/* The next bytes of the file; zeros where it has become shorter than was promised. */
static void send_file(struct tree_reader *reader) {
  static uint8_t chunk[LIMIT_MAX_CHUNK];
  size_t size = reader->left < sizeof chunk ? (size_t)reader->left : sizeof chunk;
  ssize_t got = reader->file < 0 ? 0 : pread(reader->file, chunk, size, (off_t)reader->position);
  if (got < 0 && errno == EINTR) return;
  if (got <= 0) {
    if (reader->file >= 0) reader->skipped++;
    close_fd(&reader->file);
    memset(chunk, 0, size);
    got = (ssize_t)size;
  }
  struct iovec pieces[2] = {{chunk, (size_t)got}, {NULL, 0}};
  send_bulk(FRAME_DATA, 0, reader->request.stream, reader->sent, pieces, 1);
  reader->sent += (uint64_t)got;
  reader->position += (uint64_t)got;
  reader->left -= (uint64_t)got;
  if (!reader->left) close_fd(&reader->file);
}

/* Takes the open directory over as the deepest level. */
static int push_level(struct tree_reader *reader, int fd) {
  struct level *level = calloc(1, sizeof *level);
  if (!level) {
    close(fd);
    return ENOMEM;
  }
  level->above = reader->level;
  level->path_length = strlen(reader->path);
  reader->level = level;
  reader->depth++;
  close_fd(&reader->directory.fd);
  directory_init(&reader->directory, fd);
  reader->listing = true;
  return 0;
}

/* Goes into the directory that was just told, unless it is another mount or as deep as was asked for. */
static int enter(struct tree_reader *reader, const char *name) {
  struct stat info;
  if (reader->depth >= reader->most) return 0;
  int fd = open_in(reader->directory.fd, name, OPEN_DIRECTORY, RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
  if (fd < 0) {
    reader->skipped += errno != EXDEV && errno != ENOENT;
    return 0;
  }
  if (!fstat(fd, &info) && info.st_dev == reader->device) return push_level(reader, fd);
  close(fd);
  return 0;
}

/* Collects some names; the directory stays open for what is asked about them. */
static int list(struct tree_reader *reader) {
  for (int i = 0; i < NAMES_PER_STEP; i++) {
    const struct entry *entry = directory_next(&reader->directory);
    if (!entry) {
      reader->skipped += reader->directory.error != 0;
      reader->listing = false;
      return names_seal(&reader->level->names);
    }
    int error = names_add(&reader->level->names, entry->name);
    if (error) return error;
  }
  return 0;
}

/* Opens a regular file to send; false when it is passed over. */
static bool open_file(struct tree_reader *reader, int directory, const char *name, struct stat *info) {
  int fd = open_in(directory, name, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC, 0);
  bool gone = fd < 0 && errno == ENOENT;
  /* Asked again of what was opened, because it may have been exchanged in between. */
  if (fd >= 0 && !fstat(fd, info) && S_ISREG(info->st_mode) && !is_own_proc_file(fd)) {
    reader->file = fd;
    reader->left = (uint64_t)info->st_size;
    reader->position = 0;
    if (!reader->left) close_fd(&reader->file);
    return true;
  }
  close_fd(&fd);
  reader->skipped += !gone;
  return false;
}

static int tell(struct tree_reader *reader, const char *name) {
  struct stat info;
  int directory = reader->directory.fd;
  if (fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW)) {
    /* Gone since it was read, like one that was never there. */
    reader->skipped += errno != ENOENT;
    return 0;
  }
  if (reader->content) {
    bool kept = S_ISREG(info.st_mode) || S_ISDIR(info.st_mode) || S_ISLNK(info.st_mode) ||
                (reader->exact && S_ISFIFO(info.st_mode));
    reader->skipped += !kept;
    if (!kept || (S_ISREG(info.st_mode) && !open_file(reader, directory, name, &info))) return 0;
  }
  send_entry(reader, &info, name);
  return S_ISDIR(info.st_mode) ? enter(reader, name) : 0;
}

/* Opens the level's directory again after one below it was told. */
static bool reopen(struct tree_reader *reader) {
  if (reader->directory.fd >= 0) return true;
  const char *path = *reader->path ? reader->path : ".";
  int fd = open_beneath(reader->root, path, OPEN_DIRECTORY, RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
  directory_init(&reader->directory, fd);
  return fd >= 0;
}

static int next_entry(struct tree_reader *reader) {
  struct level *level = reader->level;
  reader->path[level->path_length] = 0;
  /* A directory that is not found again takes with it what was left in it. */
  bool found = !level->names.left || reopen(reader);
  if (!found) reader->skipped += level->names.left;
  const char *name = found ? names_next(&level->names) : NULL;
  if (!name) {
    close_fd(&reader->directory.fd);
    level_free(reader);
    return 0;
  }
  size_t room = sizeof reader->path - level->path_length;
  int length = snprintf(reader->path + level->path_length, room, level->path_length ? "/%s" : "%s", name);
  if ((size_t)length < room) return tell(reader, name);
  reader->skipped++;
  return 0;
}

static enum turn finish(struct tree_reader *reader, int error) {
  if (error) {
    send_error(reader->request.stream, error, "read tree %s", reader->path);
  } else {
    writer_u64(send_begin(FRAME_END, reader->request.stream), FIELD_SKIPPED, reader->skipped);
    send_end();
  }
  request_end(&reader->request);
  return TURN_DONE;
}

static bool may_send(const struct tree_reader *reader, uint64_t began) {
  return reader->sent - began < LIMIT_MAX_CHUNK && connection_clear() &&
         reader->sent - reader->acknowledged <= LIMIT_WINDOW - LIMIT_MAX_CHUNK;
}

static enum turn step(struct task *task) {
  struct tree_reader *reader = (struct tree_reader *)request_of_task(task);
  uint64_t began = reader->sent;
  int error = credentials_enter(&reader->user);
  for (int i = 0; !error && i < STEPS_PER_TURN && may_send(reader, began); i++) {
    if (reader->left) send_file(reader);
    else if (!reader->level) break;
    else if (reader->listing) error = list(reader);
    else error = next_entry(reader);
  }
  credentials_leave();
  if (error || (!reader->level && !reader->left)) return finish(reader, error);
  return reader->sent - reader->acknowledged > LIMIT_WINDOW - LIMIT_MAX_CHUNK ? TURN_DONE : TURN_AGAIN;
}

static void acknowledge(struct request *request, const struct frame *frame) {
  struct tree_reader *reader = (struct tree_reader *)request;
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

/* Finds what the path leads to and opens it: a directory as the first level, a file when its bytes are wanted. */
static int open_top(struct tree_reader *reader, const struct file_plan *plan, struct place *place, struct stat *info) {
  int error = place_open(plan->path, &reader->user, true, place);
  if (!error && fstatat(place->directory, place->name, info, AT_SYMLINK_NOFOLLOW)) error = errno;
  if (error) return error;
  if (S_ISREG(info->st_mode)) {
    snprintf(reader->path, sizeof reader->path, "%s", place->name);
    if (reader->content && !open_file(reader, place->directory, place->name, info)) return EACCES;
    return 0;
  }
  if (!S_ISDIR(info->st_mode)) return EINVAL;
  reader->root = open_in(place->directory, place->name, OPEN_DIRECTORY, 0);
  if (reader->root < 0 || fstat(reader->root, info)) return errno;
  reader->device = info->st_dev;
  int fd = fcntl(reader->root, F_DUPFD_CLOEXEC, 0);
  return fd < 0 ? errno : push_level(reader, fd);
}

static int start(struct tree_reader *reader, const struct file_plan *plan, const struct user *user) {
  struct place place;
  struct stat info;
  reader->user = *user;
  reader->root = reader->file = reader->directory.fd = -1;
  reader->most = plan->depth;
  reader->content = plan->content;
  reader->exact = plan->exact;
  reader->attributes = plan->attributes && !plan->exact;
  reader->request.acknowledge = acknowledge;
  info.st_mode = S_IFREG;
  tables_load(&reader->tables);
  int error = open_top(reader, plan, &place, &info);
  place_close(&place);
  if (error) {
    const char *type = error == EINVAL && !S_ISREG(info.st_mode) ? file_type_name(info.st_mode) : "";
    send_error(reader->request.stream, error, *type ? "read tree %s: it is %s" : "read tree %s%s", plan->path, type);
    return error;
  }
  send_stat(reader->request.stream, &info, -1, NULL);
  if (S_ISREG(info.st_mode)) send_entry(reader, &info, NULL);
  return 0;
}

void file_read_tree(const struct frame *frame) {
  struct file_plan plan;
  struct user user;
  if (!file_begin(frame, "read tree", &plan, &user)) return;
  struct tree_reader *reader = request_new(sizeof *reader, frame->stream, step, release);
  if (!reader) {
    int error = errno;
    credentials_leave();
    send_error(frame->stream, error, "read tree %s", plan.path);
    return;
  }
  int error = start(reader, &plan, &user);
  credentials_leave();
  if (error)
    request_end(&reader->request);
  else
    task_queue_sender(&reader->request.task);
}
