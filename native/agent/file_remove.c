#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "connection.h"
#include "directory.h"
#include "files.h"
#include "path.h"
#include "request.h"
#include "util.h"

#define OPERATIONS_PER_TURN 256
/* Directories open at once. A deeper one is first moved up to the top, so that no tree is too deep. */
#define MAX_DEPTH 32
/* Times a directory is read again because it filled up while it was being emptied. */
#define MAX_REWINDS 16

struct level {
  char name[NAME_MAX + 1]; /* in the directory above */
  struct directory directory;
  int rewinds;
};

struct removal {
  struct request request;
  struct user user;
  struct place place; /* of the top */
  dev_t device;
  int depth; /* levels in use; 0: the top itself is next */
  struct level *levels[MAX_DEPTH];
  unsigned long long moved;
};

static void level_free(struct level **level) {
  if (*level) close_fd(&(*level)->directory.fd);
  free(*level);
  *level = NULL;
}

static void release(struct request *request) {
  struct removal *removal = (struct removal *)request;
  for (int i = 0; i < removal->depth; i++) level_free(&removal->levels[i]);
  place_close(&removal->place);
}

static int top_directory(const struct removal *removal) {
  return removal->depth ? removal->levels[removal->depth - 1]->directory.fd : removal->place.directory;
}

/* Opens a directory to empty it: no link, and not the root of another mount. */
static int open_level(struct removal *removal, const char *name) {
  struct stat info;
  int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  int fd = open_in(top_directory(removal), name, flags, RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
  if (fd < 0) return -1;
  /* For kernels without openat2; the others have refused already. */
  int error = fstat(fd, &info) ? errno : removal->device && info.st_dev != removal->device ? EXDEV : 0;
  if (!error) {
    removal->device = info.st_dev;
    return fd;
  }
  close(fd);
  errno = error;
  return -1;
}

static int enter(struct removal *removal, const char *name) {
  int fd = open_level(removal, name);
  if (fd < 0) return errno == ENOENT ? 0 : errno == EXDEV ? EBUSY : errno;
  struct level *level = calloc(1, sizeof *level);
  if (!level) {
    close(fd);
    return ENOMEM;
  }
  snprintf(level->name, sizeof level->name, "%s", name);
  directory_init(&level->directory, fd);
  removal->levels[removal->depth++] = level;
  return 0;
}

/* Moves a directory that lies too deep beside the contents of the top; a later reading finds it there. */
static int move_up(struct removal *removal, const char *name) {
  char up[64];
  uint64_t random;
  random_bytes(&random, sizeof random);
  snprintf(up, sizeof up, ".caisson-%016llx-%llu", (unsigned long long)random, removal->moved++);
  struct level *top = removal->levels[0];
  if (renameat(top_directory(removal), name, top->directory.fd, up)) return errno == ENOENT ? 0 : errno;
  top->rewinds = 0;
  return 0;
}

static int remove_directory(struct removal *removal, const char *name) {
  if (!unlinkat(top_directory(removal), name, AT_REMOVEDIR) || errno == ENOENT) return 0;
  if (errno != ENOTEMPTY && errno != EEXIST) return errno;
  return removal->depth < MAX_DEPTH ? enter(removal, name) : move_up(removal, name);
}

static int remove_entry(struct removal *removal, const char *name, uint8_t type) {
  if (type == DT_DIR) return remove_directory(removal, name);
  if (!unlinkat(top_directory(removal), name, 0) || errno == ENOENT) return 0;
  if (errno != EISDIR) return errno;
  return remove_directory(removal, name);
}

/* The deepest directory has been read to its end: it goes, unless something came in meanwhile. */
static int leave(struct removal *removal) {
  struct level *level = removal->levels[removal->depth - 1];
  if (level->directory.error) return level->directory.error;
  int parent = removal->depth > 1 ? removal->levels[removal->depth - 2]->directory.fd : removal->place.directory;
  if (unlinkat(parent, level->name, AT_REMOVEDIR) && errno != ENOENT) {
    if ((errno != ENOTEMPTY && errno != EEXIST) || level->rewinds++ == MAX_REWINDS) return errno;
    directory_rewind(&level->directory);
    return 0;
  }
  level_free(&removal->levels[--removal->depth]);
  return 0;
}

static int remove_next(struct removal *removal) {
  const struct entry *entry = directory_next(&removal->levels[removal->depth - 1]->directory);
  return entry ? remove_entry(removal, entry->name, entry->type) : leave(removal);
}

static enum turn step(struct task *task) {
  struct removal *removal = (struct removal *)request_of_task(task);
  int error = credentials_enter(&removal->user);
  for (int i = 0; !error && removal->depth && i < OPERATIONS_PER_TURN; i++) error = remove_next(removal);
  credentials_leave();
  if (!error && removal->depth) return TURN_AGAIN;
  if (error)
    send_error(removal->request.stream, error, "remove %s", removal->place.name);
  else
    send_empty(FRAME_OK, removal->request.stream);
  request_end(&removal->request);
  return TURN_DONE;
}

/* Removes what goes in one call; `more` when it is a directory whose contents have to go first. */
static int remove_at_once(const struct file_plan *plan, const struct place *place, bool *more) {
  *more = false;
  /* The path names a directory from within, or the root: not a name that could be taken away. */
  if (!strcmp(place->name, ".")) return EBUSY;
  if (!unlinkat(place->directory, place->name, 0)) return 0;
  if (errno != EISDIR) return errno;
  if (!unlinkat(place->directory, place->name, AT_REMOVEDIR)) return 0;
  *more = plan->recursive && (errno == ENOTEMPTY || errno == EEXIST);
  return *more ? 0 : errno;
}

static int start_removal(const struct frame *frame, const struct user *user, struct place *place) {
  struct removal *removal = request_new(sizeof *removal, frame->stream, step, release);
  if (!removal) return errno;
  removal->user = *user;
  removal->place = *place;
  place->directory = -1;
  int error = enter(removal, removal->place.name);
  if (error)
    request_end(&removal->request);
  else
    task_queue_worker(&removal->request.task);
  return error;
}

void file_remove(const struct frame *frame) {
  struct file_plan plan;
  struct user user;
  struct place place;
  bool more = false;
  if (!file_begin(frame, "remove", &plan, &user)) return;
  int error = place_open(plan.path, &user, *plan.resume, &place);
  if (!error && *plan.resume) temporary_name(place.name, place.name, plan.resume);
  if (!error) error = remove_at_once(&plan, &place, &more);
  if (!error && more) error = start_removal(frame, &user, &place);
  place_close(&place);
  credentials_leave();
  if (error)
    send_error(frame->stream, error, "remove %s", plan.path);
  else if (!more)
    send_empty(FRAME_OK, frame->stream);
}
