#include "watch_nodes.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024

static struct watch_node *buckets[BUCKETS];

static struct watch_node **bucket_of(int number) { return &buckets[(unsigned)number % BUCKETS]; }

static void attach(struct watch_node *node, struct watch_node *parent) {
  node->parent = parent;
  node->previous = NULL;
  node->next = parent ? parent->children : NULL;
  if (node->next) node->next->previous = node;
  if (parent) parent->children = node;
}

static void detach(struct watch_node *node) {
  if (node->previous)
    node->previous->next = node->next;
  else if (node->parent)
    node->parent->children = node->next;
  if (node->next) node->next->previous = node->previous;
}

struct watch_node *watch_node_new(struct watcher *watcher, struct watch_node *parent, const char *name, int number) {
  struct watch_node *node = calloc(1, sizeof *node);
  char *copy = strdup(name);
  if (!node || !copy) {
    free(node);
    free(copy);
    return NULL;
  }
  node->watcher = watcher;
  node->name = copy;
  node->number = number;
  node->next_in_bucket = *bucket_of(number);
  *bucket_of(number) = node;
  attach(node, parent);
  return node;
}

bool watch_node_free(struct watch_node *node) {
  struct watch_node **link = bucket_of(node->number);
  while (*link != node) link = &(*link)->next_in_bucket;
  *link = node->next_in_bucket;
  detach(node);
  bool last = !watch_node_next(NULL, node->number);
  free(node->name);
  free(node);
  return last;
}

bool watch_node_move(struct watch_node *node, struct watch_node *parent, const char *name) {
  for (const struct watch_node *above = parent; above; above = above->parent)
    if (above == node) return false;
  char *copy = strdup(name);
  if (!copy) return false;
  free(node->name);
  node->name = copy;
  detach(node);
  attach(node, parent);
  return true;
}

struct watch_node *watch_node_child(const struct watch_node *node, const char *name) {
  struct watch_node *child = node->children;
  while (child && strcmp(child->name, name)) child = child->next;
  return child;
}

struct watch_node *watch_node_next(const struct watch_node *node, int number) {
  struct watch_node *next = node ? node->next_in_bucket : *bucket_of(number);
  while (next && next->number != number) next = next->next_in_bucket;
  return next;
}

struct watch_node *watch_node_of(const struct watcher *watcher, int number) {
  struct watch_node *node = watch_node_next(NULL, number);
  while (node && node->watcher != watcher) node = watch_node_next(node, number);
  return node;
}

/* Puts `text` in front of what begins at `at`, with a slash between; NULL when there is no room. */
static char *prepend(char *out, char *at, const char *text) {
  size_t length = strlen(text), slash = *at && length;
  if ((size_t)(at - out) < length + slash) return NULL;
  if (slash) *--at = '/';
  at -= length;
  memcpy(at, text, length);
  return at;
}

char *watch_node_path(const struct watch_node *node, const char *prefix, const char *name, char *out, size_t size) {
  char *at = out + size - 1;
  *at = 0;
  at = prepend(out, at, name);
  for (; at && node; node = node->parent) at = prepend(out, at, node->name);
  return at ? prepend(out, at, prefix) : NULL;
}
