/* The file that a pool lives in. */
#ifndef CAISSON_LAUNCHER_POOL_FILE_H
#define CAISSON_LAUNCHER_POOL_FILE_H

#include "host.h"
#include "loop.h"

#define POOL_IMAGE "pool.img"

bool pool_file_exists(const struct host *host);
/* Opens it, and makes it with a file system when it is not there. -1 with a failure. */
int pool_file_open(const struct host *host, uint64_t max, struct failure *failure);
/* The program that makes the file system; NULL when it is not installed. */
const char *pool_mkfs(void);

#endif
