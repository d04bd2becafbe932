/* Requests on files. Each parses, becomes the user, acts, and answers by itself. */
#ifndef CAISSON_FILES_H
#define CAISSON_FILES_H

#include <sys/stat.h>

#include "frame.h"
#include "plan.h"
#include "users.h"

/* Parses the frame, finds the user and takes their credentials on; false when it has answered with an error instead. */
bool file_begin(const struct frame *frame, const char *operation, struct file_plan *plan, struct user *user);

/* Puts the fields of a stat into the frame that is being written; `target` of a link when `name` is given. */
struct writer;
void write_stat(struct writer *writer, const struct stat *info, int directory, const char *name,
                const struct tables *tables);
/* Gives what the user makes from here on to the owner that was asked for, if one was. 0 or errno. */
int file_own(const struct file_plan *plan, struct user *user);
/* OK with a stat. */
void send_stat(uint32_t stream, const struct stat *info, int directory, const char *name);

void file_stat(const struct frame *frame);
void file_mkdir(const struct frame *frame);
void file_rename(const struct frame *frame);
void file_chmod(const struct frame *frame);
void file_chown(const struct frame *frame);
void file_read(const struct frame *frame);
void file_write(const struct frame *frame);
/* The frames that were read at once have been served, and what they carried is needed no more. */
void file_write_settle(void);
void file_list(const struct frame *frame);
void file_remove(const struct frame *frame);
void file_write_tree(const struct frame *frame);
void file_read_tree(const struct frame *frame);
void file_watch(const struct frame *frame);
void file_attributes(const struct frame *frame);

#endif
