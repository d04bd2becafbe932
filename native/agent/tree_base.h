/* Where the names of a written tree lead: the directory they are resolved from, and the one written to last. */
#ifndef CAISSON_TREE_BASE_H
#define CAISSON_TREE_BASE_H

#include "frame.h"
#include "path.h"
#include "protocol.gen.h"

struct tree_base {
  int fd;                     /* O_PATH; -1: there is no home to begin at */
  bool beneath;               /* nothing may lead out of it */
  bool is_root;               /* links are followed as if it were the root, and no mount is entered */
  char path[LIMIT_MAX_PATH * 2]; /* absolute */
  int parent;                 /* O_PATH; -1: none yet */
  char parent_path[LIMIT_MAX_PATH];
  struct writer created; /* a field per directory that was made, as many as fit */
};

/*
 * `path` "": names are paths of their own, relative ones from the user's home. The user's credentials must be in force.
 * 0 or errno.
 */
int tree_base_open(struct tree_base *base, const char *path, const struct user *user);
void tree_base_close(struct tree_base *base);
/* What is wrong with a name that must stay beneath; NULL when nothing is. */
const char *tree_base_refusal(const struct tree_base *base, const char *name);
/*
 * Makes the directory that holds `name`'s last component the current parent, missing ones included, and copies that
 * component: "." when the name has none of its own. 0 or errno.
 */
int tree_base_enter(struct tree_base *base, const char *name, char last[NAME_MAX + 1]);
/* A link was made or replaced: what was resolved before may lead elsewhere now. */
void tree_base_forget(struct tree_base *base);
/* Makes `name` a directory, unless it is one. The parent must have been entered. 0 or errno. */
int tree_base_mkdir(struct tree_base *base, const char *name, const char *last, mode_t mode, bool *made);

#endif
