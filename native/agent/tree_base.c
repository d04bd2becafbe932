#include "tree_base.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

#define DIRECTORY (O_PATH | O_DIRECTORY | O_CLOEXEC)
#define DIRECTORY_MODE 0755
/* What the other fields of the answer need at most. */
#define ANSWER_REST 4096

static void created(struct tree_base *base, const char *name) {
  char path[sizeof base->path + LIMIT_MAX_PATH + 1];
  bool own = *name == '/';
  bool whole = own || !strcmp(base->path, "/");
  int length = snprintf(path, sizeof path, "%s%s%s", whole ? "" : base->path, own ? "" : "/", name);
  if (length >= LIMIT_MAX_PATH || base->created.length + (size_t)length > LIMIT_MAX_PAYLOAD - ANSWER_REST) return;
  writer_string(&base->created, FIELD_CREATED, path);
}

static struct tree_base *opening;

static void created_above(const char *path) { created(opening, path); }

int tree_base_open(struct tree_base *base, const char *path, const struct user *user) {
  bool own = *path == '/';
  base->parent = -1;
  base->beneath = *path;
  snprintf(base->path, sizeof base->path, "%s%s%s", own ? "" : user->home, own || !*path ? "" : "/", path);
  for (size_t end = strlen(base->path); end > 1 && base->path[end - 1] == '/';) base->path[--end] = 0;
  opening = base;
  int error = *path ? path_make(path, user, true, DIRECTORY_MODE, created_above) : 0;
  base->fd = error ? -1 : open_in(AT_FDCWD, base->path, DIRECTORY, 0);
  if (error || base->fd >= 0 || !*path) return error;
  return errno;
}

void tree_base_close(struct tree_base *base) {
  close_fd(&base->fd);
  close_fd(&base->parent);
  writer_free(&base->created);
}

const char *tree_base_refusal(const struct tree_base *base, const char *name) {
  if (!*name) return "the name is empty";
  if (!base->beneath) return NULL;
  if (*name == '/') return "the name is absolute";
  for (const char *at = name; *at; at += strspn(at, "/")) {
    size_t length = strcspn(at, "/");
    if (length == 2 && !memcmp(at, "..", 2)) return "the name has a \"..\" in it";
    at += length;
  }
  return NULL;
}

/* Opens the directory that a path, or the beginning of one, leads to; "" is the base itself. */
static int resolve(const struct tree_base *base, const char *path) {
  if (*path == '/' && !base->beneath) return open_in(AT_FDCWD, path, DIRECTORY, 0);
  if (base->fd < 0) {
    errno = ENOENT;
    return -1;
  }
  if (!*path) return fcntl(base->fd, F_DUPFD_CLOEXEC, 0);
  if (base->is_root) return open_in(base->fd, path, DIRECTORY, RESOLVE_IN_ROOT | RESOLVE_NO_XDEV);
  return base->beneath ? open_beneath(base->fd, path, DIRECTORY, 0) : open_in(base->fd, path, DIRECTORY, 0);
}

/* Opens `path` as `resolve` does, whose last component is `name` in `directory`, making that when it is missing. */
static int resolve_or_make(struct tree_base *base, int directory, const char *name, const char *path) {
  int fd = resolve(base, path);
  if (fd >= 0 || errno != ENOENT) return fd;
  if (mkdirat(directory, name, DIRECTORY_MODE)) return errno == EEXIST ? resolve(base, path) : -1;
  created(base, path);
  return resolve(base, path);
}

static int make_all(struct tree_base *base, const char *path) {
  char prefix[LIMIT_MAX_PATH];
  snprintf(prefix, sizeof prefix, "%s", path);
  int directory = resolve(base, *path == '/' ? "/" : "");
  for (size_t at = strspn(prefix, "/"); directory >= 0 && prefix[at];) {
    size_t end = at + strcspn(prefix + at, "/");
    char kept = prefix[end];
    prefix[end] = 0;
    int next = resolve_or_make(base, directory, prefix + at, prefix);
    prefix[end] = kept;
    int error = errno;
    close(directory);
    errno = error;
    directory = next;
    at = end + strspn(prefix + end, "/");
  }
  return directory;
}

int tree_base_enter(struct tree_base *base, const char *name, char last[NAME_MAX + 1]) {
  char parent[LIMIT_MAX_PATH];
  size_t end = strlen(name);
  while (end && name[end - 1] == '/') end--;
  size_t cut = end;
  while (cut && name[cut - 1] != '/') cut--;
  if (end - cut > NAME_MAX) return ENAMETOOLONG;
  snprintf(last, NAME_MAX + 1, "%.*s", (int)(end - cut), name + cut);
  bool whole = !*last || !strcmp(last, ".") || !strcmp(last, "..");
  if (whole) strcpy(last, ".");
  snprintf(parent, sizeof parent, "%.*s", (int)(whole ? strlen(name) : cut), name);
  if (base->parent >= 0 && !strcmp(parent, base->parent_path)) return 0;
  int fd = resolve(base, parent);
  if (fd < 0 && errno == ENOENT) fd = make_all(base, parent);
  if (fd < 0) return errno;
  close_fd(&base->parent);
  base->parent = fd;
  strcpy(base->parent_path, parent);
  return 0;
}

void tree_base_forget(struct tree_base *base) { close_fd(&base->parent); }

int tree_base_mkdir(struct tree_base *base, const char *name, const char *last, mode_t mode, bool *made) {
  *made = strcmp(last, ".") && !mkdirat(base->parent, last, mode);
  if (*made) {
    created(base, name);
    return 0;
  }
  if (!strcmp(last, ".")) return 0;
  int refused = errno;
  int fd = resolve(base, name);
  if (fd < 0) return refused == EEXIST ? errno : refused;
  close(fd);
  return 0;
}
