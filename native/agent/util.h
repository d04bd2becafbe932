#ifndef CAISSON_UTIL_H
#define CAISSON_UTIL_H

#include <stdbool.h>
#include <stddef.h>

/* Prints what failed with errno's text on stderr and ends the agent; only for what nothing can go on without. */
_Noreturn void die(const char *what);
/* Fills with random bytes. */
void random_bytes(void *out, size_t size);
void set_nonblocking(int fd);
void close_fd(int *fd);

#endif
