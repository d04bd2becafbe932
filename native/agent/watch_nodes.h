/* The directories that are watched: a tree per request, and a table from the kernel's watch numbers to them. */
#ifndef CAISSON_WATCH_NODES_H
#define CAISSON_WATCH_NODES_H

#include <stdbool.h>
#include <stddef.h>

struct watcher;

enum watch_look {
  LOOK_QUIETLY, /* for directories to watch */
  LOOK_MISSED,  /* the same, and what is in those that were not watched is news */
  LOOK_NEW,     /* everything found is news */
};

struct watch_node {
  struct watcher *watcher;
  struct watch_node *parent; /* NULL: the top */
  struct watch_node *children;
  struct watch_node *previous, *next; /* siblings */
  struct watch_node *next_in_bucket;
  struct watch_node *previous_pending, *next_pending; /* in a ring of those to look into; NULL: not in one */
  int number; /* the kernel's; watchers that watch the same directory share it */
  enum watch_look look; /* what for, when it is pending */
  char *name; /* in the parent; "" for the top */
};

/* NULL when memory is short. */
struct watch_node *watch_node_new(struct watcher *watcher, struct watch_node *parent, const char *name, int number);
/* Frees a node without children; returns whether nobody is left who watches its directory. */
bool watch_node_free(struct watch_node *node);
/* Gives it another place; false, with nothing changed, when memory is short or it would come to lie in itself. */
bool watch_node_move(struct watch_node *node, struct watch_node *parent, const char *name);
struct watch_node *watch_node_child(const struct watch_node *node, const char *name);
/* The next node of a watch number, the first after NULL. */
struct watch_node *watch_node_next(const struct watch_node *node, int number);
/* A watcher's node of that number. */
struct watch_node *watch_node_of(const struct watcher *watcher, int number);
/* Path of `name` in the node's directory behind `prefix`, joined by slashes; NULL when `size` is too small for it. */
char *watch_node_path(const struct watch_node *node, const char *prefix, const char *name, char *out, size_t size);

#endif
