#include "watcher.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connection.h"
#include "path.h"
#include "util.h"
#include "watch_told.h"

#define ENTRIES_PER_TURN 64
/* Turns in a row in which a directory is not where it was last, before everything is looked at anew. */
#define MAX_STALE 1000
#define FOUND (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct watcher *watchers;

void watcher_tell(const struct watch_node *node, int change, const char *name, const struct watch_node *to,
                  const char *target, unsigned type) {
  char paths[2][LIMIT_MAX_PATH];
  const struct watcher *watcher = node->watcher;
  const char *path = watch_node_path(node, "", name, paths[0], sizeof paths[0]);
  const char *now = to ? watch_node_path(to, "", target, paths[1], sizeof paths[1]) : NULL;
  /* A path that is too long for any request is nobody's loss. */
  if (!watcher->started || !path || (to && !now)) return;
  struct writer *writer = send_begin(FRAME_EVENT, watcher->request.stream);
  writer_u64(writer, FIELD_CHANGE, (uint64_t)change);
  if (change != CHANGE_OVERFLOW) writer_string(writer, FIELD_NAME, path);
  if (now) writer_string(writer, FIELD_TARGET, now);
  if (type) writer_u64(writer, FIELD_FILE_TYPE, type);
  send_end();
}

void watcher_tell_whole(const struct watch_node *node, const char *name, unsigned type) {
  char path[LIMIT_MAX_PATH];
  const char *at = watch_node_path(node, "", name, path, sizeof path);
  if (!node->watcher->started || !at) return;
  struct writer *writer = send_begin(FRAME_EVENT, node->watcher->request.stream);
  writer_u64(writer, FIELD_CHANGE, CHANGE_CREATE);
  writer_string(writer, FIELD_NAME, at);
  if (type) writer_u64(writer, FIELD_FILE_TYPE, type);
  writer_u64(writer, FIELD_CONTENT, 1);
  send_end();
}

static void queue_look(struct watch_node *node, enum watch_look look) {
  struct watcher *watcher = node->watcher;
  task_queue_sender(&watcher->request.task);
  if (!node->next_pending || node->look < look) node->look = look;
  if (node->next_pending) return;
  struct watch_node *first = watcher->pending;
  node->next_pending = first ? first : node;
  node->previous_pending = first ? first->previous_pending : node;
  node->previous_pending->next_pending = node;
  node->next_pending->previous_pending = node;
  if (!first) watcher->pending = node;
}

static void unqueue(struct watch_node *node) {
  struct watcher *watcher = node->watcher;
  if (!node->next_pending) return;
  if (watcher->pending == node) watcher->pending = node->next_pending == node ? NULL : node->next_pending;
  node->previous_pending->next_pending = node->next_pending;
  node->next_pending->previous_pending = node->previous_pending;
  node->next_pending = node->previous_pending = NULL;
}

static void stop_looking(struct watcher *watcher) {
  close_fd(&watcher->directory.fd);
  watcher->looked_into = NULL;
}

static void drop_one(struct watch_node *node) {
  struct watcher *watcher = node->watcher;
  int number = node->number;
  unqueue(node);
  if (watcher->looked_into == node) stop_looking(watcher);
  if (watcher->top == node) watcher->top = NULL;
  watcher->count--;
  if (watch_node_free(node)) watch_kernel_remove(number);
}

void watcher_drop(struct watch_node *node) {
  /* Bottom up and without recursion: trees are as deep as the workload makes them. */
  for (struct watch_node *at = node;;) {
    while (at->children) at = at->children;
    struct watch_node *above = at->parent;
    bool done = at == node;
    drop_one(at);
    if (done) return;
    at = above;
  }
}

/* More than can be watched: told once, until everything is looked at anew. */
static void overfull(struct watcher *watcher) {
  if (watcher->full) return;
  watcher->full = watcher->lost = true;
  task_queue_sender(&watcher->request.task);
}

int watcher_add(struct watcher *watcher, int fd, struct watch_node *parent, const char *name, enum watch_look look) {
  int number = watch_kernel_add(fd);
  if (number < 0) return errno;
  struct watch_node *known = watch_node_of(watcher, number);
  if (known) {
    /* It was renamed, and the report of that is still to come; or it is mounted in two places. */
    if (known->parent != parent || strcmp(known->name, name)) watch_node_move(known, parent, name);
    return 0;
  }
  struct watch_node *node = watch_node_new(watcher, parent, name, number);
  if (!node) {
    if (!watch_node_next(NULL, number)) watch_kernel_remove(number);
    return ENOMEM;
  }
  watcher->count++;
  if (!parent) watcher->top = node;
  if (watcher->recursive) queue_look(node, look);
  return 0;
}

/* Watches a directory that was found in an open one. One that cannot be read, or is another mount, is left out. */
static void add_found(struct watch_node *parent, int directory, const char *name, enum watch_look look) {
  struct watcher *watcher = parent->watcher;
  int fd = open_in(directory, name, FOUND, RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
  if (fd < 0) return;
  int error = watcher->count < LIMIT_MAX_WATCHES ? watcher_add(watcher, fd, parent, name, look) : ENOSPC;
  close(fd);
  if (error == ENOSPC || error == ENOMEM) overfull(watcher);
}

/*
 * Opens a watched directory by the path that is known of it. ESTALE when that leads elsewhere now: one above it was
 * renamed, and the report of that is still in the queue.
 */
static int open_node(const struct watch_node *node) {
  char path[LIMIT_MAX_PATH];
  const char *at = watch_node_path(node, node->watcher->path, "", path, sizeof path);
  errno = ENAMETOOLONG;
  int fd = at ? open_in(AT_FDCWD, at, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, RESOLVE_NO_SYMLINKS) : -1;
  int number = fd < 0 ? -1 : watch_kernel_add(fd);
  if (number == node->number) return fd;
  bool moved = number >= 0 || errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
  if (number >= 0 && !watch_node_next(NULL, number)) watch_kernel_remove(number);
  close_fd(&fd);
  if (moved) errno = ESTALE;
  return -1;
}

void watcher_appear(struct watch_node *parent, const char *name) {
  struct watcher *watcher = parent->watcher;
  if (!watcher->recursive || credentials_enter(&watcher->user)) return;
  int fd = open_node(parent);
  if (fd >= 0)
    add_found(parent, fd, name, watcher->started ? LOOK_NEW : LOOK_QUIETLY);
  else if (errno == ESTALE)
    queue_look(parent, watcher->started ? LOOK_MISSED : LOOK_QUIETLY);
  close_fd(&fd);
  credentials_leave();
}

void watcher_restart(struct watcher *watcher) {
  watcher->lost = true;
  watcher->full = false;
  watcher->stale = 0;
  stop_looking(watcher);
  while (watcher->top && watcher->top->children) watcher_drop(watcher->top->children);
  if (watcher->top && watcher->recursive) queue_look(watcher->top, LOOK_QUIETLY);
  task_queue_sender(&watcher->request.task);
}

static unsigned type_of(uint8_t type) {
  switch (type) {
    case DT_REG: return S_IFREG;
    case DT_DIR: return S_IFDIR;
    case DT_LNK: return S_IFLNK;
    default: return 0;
  }
}

static bool has_content(const struct watcher *watcher, const struct entry *entry) {
  struct stat info;
  return entry->type == DT_REG && !fstatat(watcher->directory.fd, entry->name, &info, AT_SYMLINK_NOFOLLOW) &&
         S_ISREG(info.st_mode) && info.st_size;
}

static void found(struct watcher *watcher, const struct entry *entry) {
  struct watch_node *node = watcher->looked_into;
  bool directory = entry->type == DT_DIR || entry->type == DT_UNKNOWN;
  if (is_temporary_name(entry->name)) return;
  if (watcher->look == LOOK_NEW) {
    if (has_content(watcher, entry))
      watcher_tell_whole(node, entry->name, S_IFREG);
    else
      watcher_tell(node, CHANGE_CREATE, entry->name, NULL, NULL, type_of(entry->type));
    watch_told_add(watcher->request.stream, node->number, entry->name);
  }
  enum watch_look below = watcher->look == LOOK_QUIETLY ? LOOK_QUIETLY : LOOK_NEW;
  if (directory) add_found(node, watcher->directory.fd, entry->name, below);
}

/* False when its directory is not where it was last; the report of where it is now has yet to be read. */
static bool next_look(struct watcher *watcher) {
  struct watch_node *node = watcher->pending;
  int fd = open_node(node);
  bool stale = fd < 0 && errno == ESTALE;
  unqueue(node);
  watcher->stale = stale ? watcher->stale + 1 : 0;
  if (stale) queue_look(node, node->look);
  /* Nobody tells when a directory above the top is renamed. */
  if (stale && node == watcher->top) watcher->ended = true;
  if (watcher->stale > MAX_STALE) watcher_restart(watcher);
  /* Without a descriptor for another reason it is closed to the user meanwhile. */
  if (fd < 0) return !stale;
  watcher->looked_into = node;
  watcher->look = node->look;
  directory_init(&watcher->directory, fd);
  return true;
}

static void looked_at_all(struct watcher *watcher) {
  if (!watcher->started) send_empty(FRAME_OK, watcher->request.stream);
  watcher->started = true;
  if (watcher->lost && watcher->top) watcher_tell(watcher->top, CHANGE_OVERFLOW, "", NULL, NULL, 0);
  watcher->lost = false;
}

/* A bounded number of entries, fewer when it has to `wait`. 0 or errno. */
static int look(struct watcher *watcher, bool *wait) {
  int error = credentials_enter(&watcher->user);
  for (int i = 0; !error && !*wait && i < ENTRIES_PER_TURN && (watcher->looked_into || watcher->pending); i++) {
    const struct entry *entry = NULL;
    if (!watcher->looked_into)
      *wait = !next_look(watcher);
    else if ((entry = directory_next(&watcher->directory)))
      found(watcher, entry);
    else
      stop_looking(watcher);
  }
  credentials_leave();
  return error;
}

enum turn watcher_look(struct task *task) {
  struct watcher *watcher = (struct watcher *)request_of_task(task);
  bool wait = false;
  int error = look(watcher, &wait);
  if (error) {
    send_error(watcher->request.stream, error, "watch %s", watcher->path);
    request_end(&watcher->request);
    return TURN_DONE;
  }
  if (watcher->ended) {
    watchers_reap();
    return TURN_DONE;
  }
  if (watcher->looked_into || watcher->pending) return wait ? TURN_LATER : TURN_AGAIN;
  looked_at_all(watcher);
  return TURN_DONE;
}

void watchers_reap(void) {
  for (struct watcher *watcher = watchers, *next; watcher; watcher = next) {
    uint32_t stream = watcher->request.stream;
    next = watcher->next;
    if (!watcher->ended) continue;
    if (watcher->started) {
      watcher_tell(watcher->top, CHANGE_REMOVE, "", NULL, NULL, S_IFDIR);
      send_empty(FRAME_END, stream);
    } else {
      send_error(stream, ENOENT, "watch %s", watcher->path);
    }
    request_end(&watcher->request);
  }
}
