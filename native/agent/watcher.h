/* One request that watches: its directories, and the look into those that are new. */
#ifndef CAISSON_WATCHER_H
#define CAISSON_WATCHER_H

#include "directory.h"
#include "protocol.gen.h"
#include "request.h"
#include "users.h"
#include "watch_nodes.h"

struct watcher {
  struct request request;
  struct watcher *previous, *next; /* of all */
  struct user user;
  bool recursive;
  bool started; /* OK was sent: from here on changes are told */
  bool lost;    /* something was not told: overflow follows the look that is under way */
  bool full;    /* that there are too many directories was told */
  bool ended;   /* the top is gone, or where nobody can tell */
  char path[LIMIT_MAX_PATH]; /* of the top, absolute and without links */
  struct watch_node *top;
  size_t count; /* nodes */
  struct watch_node *pending; /* ring of nodes to look into, the first one */
  struct watch_node *looked_into;
  enum watch_look look;       /* at that node */
  struct directory directory; /* of that node */
  int stale;                  /* looks in a row at directories that are not where they were last */
};

extern struct watcher *watchers;

/* Watches the open directory as `name` in `parent` (NULL: as the top). 0 or errno. */
int watcher_add(struct watcher *watcher, int fd, struct watch_node *parent, const char *name,
                enum watch_look look);
/* A directory is there now with that name: watches it and what is in it. */
void watcher_appear(struct watch_node *parent, const char *name);
/* Gives up a directory and those below it. */
void watcher_drop(struct watch_node *node);
/* Everything may be different from what was told. */
void watcher_restart(struct watcher *watcher);
/* Tells `change` of `name` in the node's directory; `to` and `target` are where a renamed one is now. */
void watcher_tell(const struct watch_node *node, int change, const char *name, const struct watch_node *to,
                  const char *target, unsigned type);
/* Tells that a name came whose contents have been written already; type: S_IF…, 0 when it is not known. */
void watcher_tell_whole(const struct watch_node *node, const char *name, unsigned type);
/* Answers and frees those whose top is gone. */
void watchers_reap(void);

/* Looks into pending directories, a bounded number of entries a turn; answers OK after the first look. */
enum turn watcher_look(struct task *task);

/* The kernel's watch number for the open directory; -1 with errno. */
int watch_kernel_add(int fd);
void watch_kernel_remove(int number);

#endif
