/* A file as a block device. */
#ifndef CAISSON_LAUNCHER_LOOP_H
#define CAISSON_LAUNCHER_LOOP_H

#include "util.h"

struct loop {
  int fd;
  char path[32];
};

/* The device that the file stands behind, which is a new one unless there is one: two devices over one file would
   destroy what is in it. It goes by itself once nobody holds it, neither by descriptor nor by a mount. */
bool loop_attach(int file, struct loop *loop, struct failure *failure);
/* The device that has the file; false when there is none. */
bool loop_find(int file, struct loop *loop);
/* Takes the file's new size over. False with errno. */
bool loop_resize(const struct loop *loop);

#endif
