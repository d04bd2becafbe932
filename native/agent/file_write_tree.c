#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connection.h"
#include "exact.h"
#include "files.h"
#include "request.h"
#include "tree_base.h"
#include "tree_later.h"
#include "util.h"

#define FILE_MODE 0644
#define DIRECTORY_MODE 0755
/* What an archive may ask for: no set-id bits. */
#define MODE_BITS 01777
#define ACK_EVERY (LIMIT_WINDOW / 4)
#define DIRECTORIES_PER_TURN 256

struct tree_writer {
  struct request request;
  struct user user;
  struct tree_base base;
  struct tree_laters laters;
  struct entry_plan entry;
  struct exact_xattrs xattrs; /* of the entry */
  bool exact;
  uint64_t lost;
  char last[NAME_MAX + 1];      /* of the entry's name, in the base's parent */
  char temporary[NAME_MAX + 1]; /* "" when there is none to remove */
  char ending[LIMIT_MAX_ID + 1];
  int fd; /* of the temporary file; -1 before its first bytes */
  bool in_file;
  uint64_t left; /* bytes of the file that are to come */
  uint64_t received, acknowledged;
  uint64_t entries, bytes;
};

static void drop_temporary(struct tree_writer *writer) {
  close_fd(&writer->fd);
  /* The user made it and may remove it; if they cannot any more, there is nobody to ask. */
  if (*writer->temporary && !credentials_enter(&writer->user)) {
    unlinkat(writer->base.parent, writer->temporary, 0);
    credentials_leave();
  }
  writer->temporary[0] = 0;
}

static void release(struct request *request) {
  struct tree_writer *writer = (struct tree_writer *)request;
  drop_temporary(writer);
  tree_base_close(&writer->base);
  tree_laters_free(&writer->laters);
  exact_free(&writer->xattrs);
}

static void fail(struct tree_writer *writer, int error, const char *why) {
  char message[512];
  snprintf(message, sizeof message, "write %.400s%s%s", writer->entry.name, why ? ": " : "", why ? why : "");
  struct writer *out = send_begin(FRAME_ERROR, writer->request.stream);
  writer_u64(out, FIELD_ERRNO, (uint64_t)error);
  writer_string(out, FIELD_MESSAGE, message);
  writer_string(out, FIELD_NAME, writer->entry.name);
  writer_u64(out, FIELD_COUNT, writer->entries);
  send_end();
  request_end(&writer->request);
}

/* What is acknowledged is on its way to the files; the host can always send more, for the window is four times this. */
static void acknowledge(struct tree_writer *writer) {
  if (writer->received - writer->acknowledged < ACK_EVERY) return;
  writer->acknowledged = writer->received;
  send_ack(writer->request.stream, writer->received);
}

/* A link in the place of a file is written through where each name is a path of its own. */
static int follow(struct tree_writer *writer) {
  struct place place;
  int error = place_open(writer->entry.name, &writer->user, true, &place);
  if (error) return error;
  tree_base_forget(&writer->base);
  writer->base.parent = place.directory;
  /* No name has this parent: the next one is resolved anew. */
  writer->base.parent_path[0] = '\n';
  writer->base.parent_path[1] = 0;
  memcpy(writer->last, place.name, sizeof writer->last);
  return 0;
}

/* What is there already decides the mode when none was asked for, and whose the file is where root replaces one. */
static int look_at_old(struct tree_writer *writer, struct stat *old) {
  bool own_paths = !writer->base.beneath;
  old->st_mode = 0;
  if (!own_paths && writer->entry.mode >= 0) return 0;
  for (bool followed = false;; followed = true) {
    if (fstatat(writer->base.parent, writer->last, old, AT_SYMLINK_NOFOLLOW)) {
      old->st_mode = 0;
      return errno == ENOENT ? 0 : errno;
    }
    if (!own_paths || followed || !S_ISLNK(old->st_mode)) break;
    int error = follow(writer);
    if (error) return error;
  }
  return S_ISDIR(old->st_mode) ? EISDIR : own_paths && !S_ISREG(old->st_mode) ? EINVAL : 0;
}

static int open_file(struct tree_writer *writer) {
  struct stat old;
  int error = tree_base_enter(&writer->base, writer->entry.name, writer->last);
  if (!error && !strcmp(writer->last, ".")) error = EISDIR;
  if (!error) error = look_at_old(writer, &old);
  if (error) return error;
  mode_t mode = writer->entry.mode >= 0 ? (mode_t)writer->entry.mode : FILE_MODE;
  if (writer->entry.mode < 0 && S_ISREG(old.st_mode)) mode = old.st_mode;
  temporary_name(writer->temporary, writer->last, writer->ending);
  int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC;
  writer->fd = openat(writer->base.parent, writer->temporary, flags, writer->exact ? S_IRUSR | S_IWUSR : mode & MODE_BITS);
  if (writer->fd < 0) {
    writer->temporary[0] = 0;
    return errno;
  }
  bool keeps_owner = geteuid() == 0 && writer->user.uid == 0 && !writer->base.beneath && old.st_mode;
  if (keeps_owner && old.st_uid != 0 && fchown(writer->fd, old.st_uid, old.st_gid)) return errno;
  return 0;
}

/* The file is complete: gives it its time and its name. */
static int publish(struct tree_writer *writer) {
  const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, writer->entry.mtime};
  int error = writer->exact ? exact_apply(writer->fd, &writer->entry, &writer->xattrs, &writer->lost) : 0;
  if (error) return error;
  if (writer->entry.with_mtime && futimens(writer->fd, times)) return errno;
  int parent = writer->base.parent;
  if (renameat(parent, writer->temporary, parent, writer->last)) return errno;
  writer->temporary[0] = 0;
  close_fd(&writer->fd);
  writer->in_file = false;
  writer->entries++;
  writer->bytes += writer->entry.size;
  return 0;
}

static int write_all(struct tree_writer *writer, const uint8_t *data, size_t size) {
  writer->left -= size;
  while (size) {
    ssize_t done = write(writer->fd, data, size);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return done < 0 ? errno : EIO;
    data += done;
    size -= (size_t)done;
  }
  return 0;
}

/* Credentials are taken on for the first and the last bytes of a file, which mostly are the same. */
static int take_data(struct tree_writer *writer, const uint8_t *data, size_t size) {
  bool named = writer->fd < 0 || size == writer->left;
  int error = named ? credentials_enter(&writer->user) : 0;
  if (error) return error;
  if (writer->fd < 0) error = open_file(writer);
  if (!error) error = write_all(writer, data, size);
  if (!error && !writer->left) error = publish(writer);
  if (named) credentials_leave();
  return error;
}

static void receive_data(struct request *request, const struct frame *frame) {
  struct tree_writer *writer = (struct tree_writer *)request;
  uint64_t offset;
  const uint8_t *data;
  size_t size;
  if (!bulk_parse(frame, &offset, &data, &size) || offset != writer->received || !writer->in_file ||
      size > writer->left) {
    connection_break();
    return;
  }
  writer->received += size;
  int error = take_data(writer, data, size);
  if (error)
    fail(writer, error, NULL);
  else
    acknowledge(writer);
}

static int make_special(const struct tree_writer *writer) {
  const struct entry_plan *entry = &writer->entry;
  int parent = writer->base.parent;
  if (S_ISLNK(entry->type)) return symlinkat(entry->link, parent, writer->temporary) ? errno : 0;
  mode_t mode = entry->mode >= 0 ? (mode_t)entry->mode : FILE_MODE;
  return mkfifoat(parent, writer->temporary, 0) || fchmodat(parent, writer->temporary, mode, 0) ? errno : 0;
}

/* A link or a FIFO. */
static int make_link(struct tree_writer *writer) {
  int parent = writer->base.parent;
  const struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, writer->entry.mtime};
  temporary_name(writer->temporary, writer->last, writer->ending);
  int error = make_special(writer);
  if (error) writer->temporary[0] = 0;
  if (!error && writer->exact) error = exact_own(parent, writer->temporary, &writer->entry);
  if (!error && writer->entry.with_mtime && utimensat(parent, writer->temporary, times, AT_SYMLINK_NOFOLLOW))
    error = errno;
  if (!error && renameat(parent, writer->temporary, parent, writer->last)) error = errno;
  if (error) return error;
  writer->temporary[0] = 0;
  tree_base_forget(&writer->base);
  return 0;
}

static int make_directory(struct tree_writer *writer) {
  if (writer->exact) {
    tree_later_add(&writer->laters, &writer->entry, writer->entry.mode < 0 ? DIRECTORY_MODE : (mode_t)writer->entry.mode);
    return exact_directory(writer->base.parent, writer->last, &writer->entry, &writer->xattrs, &writer->lost);
  }
  bool made;
  mode_t mode = (writer->entry.mode < 0 ? DIRECTORY_MODE : (mode_t)writer->entry.mode) & MODE_BITS;
  struct tree_later *before = writer->laters.first;
  mode = tree_later_add(&writer->laters, &writer->entry, mode);
  int error = tree_base_mkdir(&writer->base, writer->entry.name, writer->last, mode, &made);
  if (!made && writer->laters.first != before) tree_later_pop(&writer->laters);
  return error;
}

/* An entry without bytes is made at once. */
static int make_entry(struct tree_writer *writer) {
  if (S_ISREG(writer->entry.type) && !*writer->entry.target) return take_data(writer, NULL, 0);
  int error = credentials_enter(&writer->user);
  if (error) return error;
  bool linked = *writer->entry.target;
  error = linked ? exact_link(&writer->base, &writer->entry, writer->last, writer->ending)
                 : tree_base_enter(&writer->base, writer->entry.name, writer->last);
  if (!error && !linked && !S_ISDIR(writer->entry.type)) error = strcmp(writer->last, ".") ? make_link(writer) : EISDIR;
  if (!error && !linked && S_ISDIR(writer->entry.type)) error = make_directory(writer);
  credentials_leave();
  if (!error) writer->entries++;
  return error;
}

static const char *refusal(const struct tree_writer *writer) {
  const struct entry_plan *entry = &writer->entry;
  const char *why = tree_base_refusal(&writer->base, entry->name);
  if (why) return why;
  if (*entry->target) return writer->exact ? tree_base_refusal(&writer->base, entry->target) : "it is a hard link";
  if (S_ISFIFO(entry->type) && writer->exact) return NULL;
  if (S_ISLNK(entry->type)) return *entry->link ? NULL : "the link points nowhere";
  return S_ISREG(entry->type) || S_ISDIR(entry->type) ? NULL : file_type_name(entry->type);
}

static void receive_entry(struct request *request, const struct frame *frame) {
  struct tree_writer *writer = (struct tree_writer *)request;
  int error = writer->in_file ? PLAN_MALFORMED : entry_plan_parse(frame, &writer->entry);
  if (error == PLAN_MALFORMED) {
    connection_break();
    return;
  }
  writer->received += frame->length;
  const char *why = error ? "invalid arguments" : refusal(writer);
  if (why && !error) error = EINVAL;
  if (!error && writer->exact) error = exact_keep(&writer->xattrs, frame);
  writer->in_file = !error && S_ISREG(writer->entry.type) && !*writer->entry.target;
  writer->left = writer->in_file ? writer->entry.size : 0;
  if (!error && !writer->left) error = make_entry(writer);
  if (error)
    fail(writer, error, why);
  else
    acknowledge(writer);
}

static void answer(struct tree_writer *writer) {
  struct writer *out = send_begin(FRAME_OK, writer->request.stream);
  writer_u64(out, FIELD_COUNT, writer->entries);
  writer_u64(out, FIELD_SIZE, writer->bytes);
  if (writer->exact) writer_u64(out, FIELD_SKIPPED, writer->lost);
  writer_raw(out, writer->base.created.data, writer->base.created.length);
  send_end();
  request_end(&writer->request);
}

/* The next directory that waits for its mode and time; one that is gone meanwhile needs none. */
static int complete_directory(struct tree_writer *writer) {
  const struct tree_later *later = writer->laters.first;
  snprintf(writer->entry.name, sizeof writer->entry.name, "%s", later->name);
  int error = tree_base_enter(&writer->base, later->name, writer->last);
  if (!error) error = tree_later_apply(later, writer->base.parent, writer->last);
  tree_later_pop(&writer->laters);
  return error == ENOENT || error == ENOTDIR || error == ELOOP ? 0 : error;
}

static enum turn complete(struct task *task) {
  struct tree_writer *writer = (struct tree_writer *)request_of_task(task);
  int error = credentials_enter(&writer->user);
  for (int i = 0; !error && writer->laters.first && i < DIRECTORIES_PER_TURN; i++) error = complete_directory(writer);
  credentials_leave();
  if (!error && writer->laters.first) return TURN_AGAIN;
  if (error)
    fail(writer, error, NULL);
  else
    answer(writer);
  return TURN_DONE;
}

static void finish(struct request *request) {
  struct tree_writer *writer = (struct tree_writer *)request;
  if (writer->in_file) {
    fail(writer, EINVAL, "the file is not complete");
    return;
  }
  /* The host has nothing more to say. */
  request->entry = NULL;
  request->data = NULL;
  request->end = NULL;
  if (writer->laters.first)
    task_queue_worker(&request->task);
  else
    answer(writer);
}

void file_write_tree(const struct frame *frame) {
  struct file_plan plan;
  struct user user;
  if (!file_begin(frame, "write tree", &plan, &user)) return;
  struct tree_writer *writer = request_new(sizeof *writer, frame->stream, complete, release);
  int error = writer ? 0 : errno;
  if (writer) {
    uint64_t random;
    random_bytes(&random, sizeof random);
    snprintf(writer->ending, sizeof writer->ending, "%016llx", (unsigned long long)random);
    writer->fd = -1;
    writer->user = user;
    writer->request.entry = receive_entry;
    writer->request.data = receive_data;
    writer->request.end = finish;
    writer->exact = writer->base.is_root = writer->laters.all = plan.exact;
    error = tree_base_open(&writer->base, plan.path, &user);
    if (!error && plan.exact && (user.uid != 0 || !*plan.path)) error = EPERM;
  }
  credentials_leave();
  if (!error) {
    send_empty(FRAME_OK, frame->stream);
    return;
  }
  send_error(frame->stream, error, "write tree %s", plan.path);
  if (writer) request_end(&writer->request);
}
