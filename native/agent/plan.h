/* Requests parsed into plans: everything checked and copied before anything is done. Pure, and fuzzed. */
#ifndef CAISSON_PLAN_H
#define CAISSON_PLAN_H

#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/types.h>
#include <time.h>

#include "frame.h"
#include "protocol.gen.h"
#include "users.h"

/* Parsers return 0, an errno to answer with, or this: the frame breaks the protocol. */
#define PLAN_MALFORMED (-1)

/* Spare places at the end of envp, for what the agent adds. */
#define ENV_EXTRA 8

struct start_plan {
  char id[LIMIT_MAX_ID + 1];
  char user[MAX_USER_SPEC];
  char cwd[LIMIT_MAX_PATH];
  bool with_stdin;
  bool tty;
  struct winsize size;
  uint64_t offset;
  char **argv;
  char **envp;
  size_t env_count;
  void *memory;
};

int start_plan_parse(const struct frame *frame, struct start_plan *plan);
void start_plan_free(struct start_plan *plan);

struct attach_plan {
  char id[LIMIT_MAX_ID + 1];
  uint64_t offset;
};

int attach_plan_parse(const struct frame *frame, struct attach_plan *plan);

struct signal_plan {
  int signal;
  int scope;
};

int signal_plan_parse(const struct frame *frame, struct signal_plan *plan);
int resize_plan_parse(const struct frame *frame, struct winsize *size);

struct file_plan {
  char path[LIMIT_MAX_PATH]; /* "" when absent */
  char target[LIMIT_MAX_PATH];
  char user[MAX_USER_SPEC];
  char resume[LIMIT_MAX_ID + 1]; /* "" when absent */
  bool with_offset;
  uint64_t offset, length, size; /* length and size: UINT64_MAX when absent */
  uint64_t depth;                /* UINT64_MAX when absent */
  int mode;                /* -1 when absent */
  uid_t uid;               /* -1 when absent, as chown wants it */
  gid_t gid;
  bool parents, recursive, follow, content, exact, attributes;
};

int file_plan_parse(const struct frame *frame, struct file_plan *plan);

/* What the host sends to be made in a tree. */
struct entry_plan {
  char name[LIMIT_MAX_PATH]; /* "" when absent */
  char link[LIMIT_MAX_PATH];
  char target[LIMIT_MAX_PATH]; /* "" when absent */
  uid_t uid;                   /* -1 when absent, as chown wants it */
  gid_t gid;
  mode_t type; /* S_IF… */
  int mode;    /* -1 when absent */
  bool with_mtime;
  struct timespec mtime;
  uint64_t size;
};

int entry_plan_parse(const struct frame *frame, struct entry_plan *plan);

int dial_plan_parse(const struct frame *frame, uint16_t *port);

/* Offset and bytes of a bulk frame or an ack; false when it is out of bounds. */
bool bulk_parse(const struct frame *frame, uint64_t *offset, const uint8_t **data, size_t *size);

#endif
