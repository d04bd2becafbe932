#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "connection.h"
#include "files.h"
#include "path.h"
#include "util.h"
#include "watch_told.h"
#include "watcher.h"

#define EVENTS                                                                                            \
  (IN_CREATE | IN_MODIFY | IN_ATTRIB | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | \
   IN_ONLYDIR | IN_EXCL_UNLINK)

/* One kernel queue for all watches, because a host allows few of them; there is one only while somebody watches. */
static struct source queue = {.fd = -1};
static struct task reading;

/* What was read from the queue at once. */
static struct {
  _Alignas(struct inotify_event) char bytes[8192];
  size_t length;
} batch;

static const struct inotify_event *event_at(size_t at) { return (const void *)(batch.bytes + at); }
static size_t size_of(const struct inotify_event *event) { return sizeof *event + event->len; }

int watch_kernel_add(int fd) {
  char path[32];
  snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  return inotify_add_watch(queue.fd, path, EVENTS);
}

/* One that the kernel has removed already is not there any more. */
void watch_kernel_remove(int number) { inotify_rm_watch(queue.fd, number); }

static bool hidden(const struct inotify_event *event) { return is_temporary_name(event->name); }

/* Of the last rename that began at a hidden name: what it makes appear has been written already. */
static uint32_t whole_cookie;

/* The other half of a rename, between the offsets; NULL when it was not read in the same batch. */
static const struct inotify_event *find_half(size_t from, size_t to, uint32_t half, uint32_t cookie) {
  for (size_t at = from; at < to; at += size_of(event_at(at)))
    if ((event_at(at)->mask & half) && event_at(at)->cookie == cookie) return event_at(at);
  return NULL;
}

/* Where the other half of a rename lies for this watcher; NULL: outside, or the hidden name of an unfinished file. */
static struct watch_node *other_side(const struct watcher *watcher, const struct inotify_event *half) {
  return half && !hidden(half) ? watch_node_of(watcher, half->wd) : NULL;
}

static void renamed(struct watch_node *from, const char *name, struct watch_node *to, const char *target, bool is_dir) {
  struct watch_node *child = is_dir ? watch_node_child(from, name) : NULL;
  watcher_tell(from, CHANGE_RENAME, name, to, target, is_dir ? S_IFDIR : 0);
  if (child) watch_node_move(child, to, target);
  /* The name may have been another's by the time that it was looked at. */
  if (is_dir) watcher_appear(to, target);
}

/* A directory that was removed is reported on its own, one that went elsewhere is not. */
static void went(struct watch_node *node, const char *name, bool is_dir, bool elsewhere) {
  struct watch_node *child;
  watcher_tell(node, CHANGE_REMOVE, name, NULL, NULL, is_dir ? S_IFDIR : 0);
  while (is_dir && elsewhere && (child = watch_node_child(node, name))) watcher_drop(child);
}

static void came(struct watch_node *node, const char *name, bool is_dir, bool whole) {
  if (whole)
    watcher_tell_whole(node, name, 0);
  else
    watcher_tell(node, CHANGE_CREATE, name, NULL, NULL, is_dir ? S_IFDIR : 0);
  if (is_dir) watcher_appear(node, name);
}

/* Whether the same file is written again further on in the batch, which then tells it. */
static bool written_again(size_t after, const struct inotify_event *event) {
  for (size_t at = after; at < batch.length; at += size_of(event_at(at))) {
    const struct inotify_event *later = event_at(at);
    if (later->mask == event->mask && later->wd == event->wd && later->len && !strcmp(later->name, event->name))
      return true;
  }
  return false;
}

/* Something happened to a name in a watched directory. */
static void named(struct watch_node *node, const struct inotify_event *event, size_t at) {
  const struct watcher *watcher = node->watcher;
  size_t after = at + size_of(event);
  bool is_dir = event->mask & IN_ISDIR;
  const char *name = event->name;
  /* Whatever it was that a look has told, from here on it is another. */
  bool told = !(event->mask & (IN_MODIFY | IN_ATTRIB)) && watch_told_take(watcher->request.stream, node->number, name);
  if (event->mask & IN_MOVED_FROM) {
    const struct inotify_event *half = find_half(after, batch.length, IN_MOVED_TO, event->cookie);
    struct watch_node *to = other_side(watcher, half);
    if (hidden(event)) {
      whole_cookie = event->cookie;
      return;
    }
    if (to) renamed(node, name, to, half->name, is_dir);
    else went(node, name, is_dir, true);
    return;
  }
  if (hidden(event)) return;
  if (event->mask & IN_MOVED_TO) {
    bool whole = !is_dir && event->cookie == whole_cookie;
    if (!other_side(watcher, find_half(0, at, IN_MOVED_FROM, event->cookie)) && !told) came(node, name, is_dir, whole);
  } else if (event->mask & IN_CREATE) {
    if (!told) came(node, name, is_dir, false);
  } else if (event->mask & IN_DELETE) {
    went(node, name, is_dir, false);
  } else if (event->mask & IN_MODIFY) {
    if (!written_again(after, event)) watcher_tell(node, CHANGE_WRITE, name, NULL, NULL, 0);
  } else if (event->mask & IN_ATTRIB) {
    watcher_tell(node, CHANGE_CHMOD, name, NULL, NULL, is_dir ? S_IFDIR : 0);
  }
}

/* Something happened to a watched directory itself; what is not about the top, its parent tells. */
static void itself(struct watch_node *node, uint32_t mask) {
  bool top = !node->parent;
  if (top && (mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)))
    node->watcher->ended = true;
  else if (top && (mask & IN_ATTRIB))
    watcher_tell(node, CHANGE_CHMOD, "", NULL, NULL, S_IFDIR);
  else if (mask & IN_IGNORED)
    watcher_drop(node);
}

static void serve(const struct inotify_event *event, size_t at) {
  if (event->mask & IN_Q_OVERFLOW)
    for (struct watcher *watcher = watchers; watcher; watcher = watcher->next) watcher_restart(watcher);
  /* Serving a node changes only nodes of the same watcher, and that has no other one of this number. */
  for (struct watch_node *node = watch_node_next(NULL, event->wd), *next; node; node = next) {
    next = watch_node_next(node, event->wd);
    if (node->watcher->ended) continue;
    if (event->len)
      named(node, event, at);
    else
      itself(node, event->mask);
  }
}

/* A batch a turn, while the host takes what it is told; else the kernel's queue runs over, which is told. */
static enum turn read_queue(struct task *task) {
  (void)task;
  ssize_t got = read(queue.fd, batch.bytes, sizeof batch.bytes);
  if (got <= 0) {
    watch_told_clear();
    source_want(&queue, EPOLLIN);
    return TURN_DONE;
  }
  batch.length = (size_t)got;
  for (size_t at = 0; at < batch.length; at += size_of(event_at(at))) serve(event_at(at), at);
  watchers_reap();
  return queue.fd < 0 ? TURN_DONE : TURN_AGAIN;
}

static void ready(struct source *source, uint32_t events) {
  (void)events;
  source_want(source, 0);
  task_queue_sender(&reading);
}

static int open_queue(void) {
  if (queue.fd >= 0) return 0;
  int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return errno;
  source_init(&queue, fd, ready);
  source_want(&queue, EPOLLIN);
  task_init(&reading, read_queue);
  return 0;
}

static void release(struct request *request) {
  struct watcher *watcher = (struct watcher *)request;
  if (watcher->top) watcher_drop(watcher->top);
  close_fd(&watcher->directory.fd);
  if (watcher->previous)
    watcher->previous->next = watcher->next;
  else
    watchers = watcher->next;
  if (watcher->next) watcher->next->previous = watcher->previous;
  if (watchers) return;
  task_remove(&reading);
  watch_told_clear();
  source_close(&queue);
}

/* Finds the directory and what it is really called, for it is opened by that name again. */
static int open_top(struct watcher *watcher, const char *path, int *fd) {
  struct place place;
  char link[32];
  int error = place_open(path, &watcher->user, true, &place);
  if (error) return error;
  *fd = open_in(place.directory, place.name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
  if (*fd < 0) error = errno;
  place_close(&place);
  if (error) return error;
  snprintf(link, sizeof link, "/proc/self/fd/%d", *fd);
  ssize_t length = readlink(link, watcher->path, sizeof watcher->path);
  if (length < 0) return errno;
  if ((size_t)length >= sizeof watcher->path) return ENAMETOOLONG;
  watcher->path[length] = 0;
  return 0;
}

static int start(struct watcher *watcher, const struct file_plan *plan) {
  int fd = -1;
  int error = open_top(watcher, plan->path, &fd);
  if (!error) error = open_queue();
  if (!error) error = watcher_add(watcher, fd, NULL, "", LOOK_QUIETLY);
  close_fd(&fd);
  if (!error) task_queue_sender(&watcher->request.task);
  return error;
}

void file_watch(const struct frame *frame) {
  struct file_plan plan;
  struct user user;
  if (!file_begin(frame, "watch", &plan, &user)) return;
  struct watcher *watcher = request_new(sizeof *watcher, frame->stream, watcher_look, release);
  int error = watcher ? 0 : errno;
  if (watcher) {
    watcher->user = user;
    watcher->recursive = plan.recursive;
    watcher->directory.fd = -1;
    watcher->next = watchers;
    if (watchers) watchers->previous = watcher;
    watchers = watcher;
    error = start(watcher, &plan);
  }
  credentials_leave();
  if (!error) return;
  send_error(frame->stream, error, "watch %s", plan.path);
  if (watcher) request_end(&watcher->request);
}
