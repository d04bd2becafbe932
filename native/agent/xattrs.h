/* Extended attributes: told of files, and set. */
#ifndef CAISSON_XATTRS_H
#define CAISSON_XATTRS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "frame.h"

/* Attributes that belong to whoever may read and write the file. */
bool xattr_is_users(const char *name);

/* Opens to ask about it whatever `name` is; nothing that could make the agent wait. -1 with errno. */
int xattr_open(int directory, const char *name);
/* Adds those that `kept` chooses to the frame that is being written, and to `skipped` how many there was no room for. */
void xattrs_add(struct writer *writer, int fd, bool (*kept)(const char *name), uint64_t *skipped);
/* Sets the one of the field, name, NUL, value. 0 or errno; EINVAL when `kept` does not choose it. */
int xattr_set(int fd, const struct field *field, bool (*kept)(const char *name));

/*
 * Adds to the frame that is being written what is told when attributes were asked for: the user's own of a file or
 * directory and how many could not be told, or where a link leads.
 */
void xattrs_describe(struct writer *writer, const struct stat *info, int directory, const char *name);
/* Whether a request has XATTR or REMOVED fields. */
bool xattrs_any(const struct frame *frame);
/* Looks at the XATTR and REMOVED fields of a request. 0, EINVAL or E2BIG. */
int xattrs_check(const struct frame *frame);
/* Sets and removes what the fields of a request say, which were checked. 0 or errno. */
int xattrs_apply(int fd, const struct frame *frame);

#endif
