/* Changes to elements of the router's sets and maps: gathered, then made in one nf_tables transaction. */
#ifndef CAISSON_LAUNCHER_NET_ELEMENTS_H
#define CAISSON_LAUNCHER_NET_ELEMENTS_H

#include "net_rules.h"

/* Name and family of the router's table. */
#define TABLE_NAME "caisson"

struct element {
  const void *key;
  size_t key_size;
  /* The key is the first address that is no longer in the interval that the element before began. */
  bool interval_end;
  /* Of a map: what the key stands for. */
  const uint32_t *mark;
  /* 0: for good. */
  uint64_t timeout_msec;
  /* More connections than this match; 0: the element has no such condition. */
  uint32_t connections;
};

/* Requests of one transaction. Errors stick: change_commit tells the first one. Starts as {0}; change_free in the end. */
struct change {
  uint8_t *data;
  size_t length;
  size_t capacity;
  size_t message;
  size_t elements;
  size_t count;
  bool failed;
  struct step {
    const char *verb;
    char set[24];
  } steps[160];
};

/* Elements of `set` follow, each by change_element, until the next call of another function. */
void change_add(struct change *change, const char *set);
void change_remove(struct change *change, const char *set);
void change_element(struct change *change, const struct element *element);
/* Removes every element. */
void change_flush(struct change *change, const char *set);
/* Makes all of it or nothing. Afterwards the change is empty, and may be used again. */
bool change_commit(struct change *change, struct rules *rules, struct failure *failure);
void change_free(struct change *change);

struct found {
  bool found;
  uint32_t mark;
  /* Until it times out. */
  uint64_t left_msec;
};
/* Asks for one element by its key. */
bool element_find(struct rules *rules, const char *set, const void *key, size_t size, struct found *out,
                  struct failure *failure);
/* Forgets every connection whose mark has `bits` under `mask`. */
bool connections_forget(struct rules *rules, uint32_t bits, uint32_t mask, struct failure *failure);

#endif
