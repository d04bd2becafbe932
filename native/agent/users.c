#include "users.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Read no further; a table of this size has some ten thousand entries. */
#define MAX_TABLE (1 << 20)
#define MAX_COLUMNS 7
#define PASSWD_COLUMNS 7
#define GROUP_COLUMNS 4

struct text {
  const char *at;
  size_t length;
};

struct row {
  struct text columns[MAX_COLUMNS];
};

static char *read_table(const char *path, size_t *size) {
  *size = 0;
  /* Non-blocking, for the sandbox may have put a FIFO there. */
  int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return NULL;
  struct stat info;
  char *text = NULL;
  if (!fstat(fd, &info) && S_ISREG(info.st_mode) && info.st_size > 0) {
    size_t limit = info.st_size < MAX_TABLE ? (size_t)info.st_size : MAX_TABLE;
    text = malloc(limit);
    ssize_t got = 1;
    while (text && *size < limit && got > 0) {
      got = read(fd, text + *size, limit - *size);
      if (got > 0) *size += (size_t)got;
    }
  }
  close(fd);
  return text;
}

void tables_load(struct tables *tables) {
  tables->passwd = read_table("/etc/passwd", &tables->passwd_size);
  tables->group = read_table("/etc/group", &tables->group_size);
}

void tables_free(struct tables *tables) {
  free(tables->passwd);
  free(tables->group);
  *tables = (struct tables){0};
}

/* Takes the next line that has `columns` columns off `rest`. */
static bool next_row(struct text *rest, int columns, struct row *row) {
  while (rest->length) {
    const char *newline = memchr(rest->at, '\n', rest->length);
    size_t length = newline ? (size_t)(newline - rest->at) : rest->length;
    struct text line = {rest->at, length};
    rest->at += length + (newline ? 1 : 0);
    rest->length -= length + (newline ? 1 : 0);
    int column = 0;
    while (column < columns) {
      const char *colon = column < columns - 1 ? memchr(line.at, ':', line.length) : NULL;
      size_t cut = colon ? (size_t)(colon - line.at) : line.length;
      row->columns[column++] = (struct text){line.at, cut};
      if (!colon) break;
      line = (struct text){colon + 1, line.length - cut - 1};
    }
    if (column == columns) return true;
  }
  return false;
}

/* All digits and an id that can be had: the highest means "unchanged" to the kernel. */
static bool parse_id(struct text text, uint32_t *out) {
  uint64_t value = 0;
  if (!text.length || text.length > 10) return false;
  for (size_t i = 0; i < text.length; i++) {
    if (text.at[i] < '0' || text.at[i] > '9') return false;
    value = value * 10 + (uint64_t)(text.at[i] - '0');
  }
  *out = (uint32_t)value;
  return value < UINT32_MAX;
}

static bool text_is(struct text text, struct text other) {
  return text.length == other.length && !memcmp(text.at, other.at, text.length);
}

static bool text_copy(struct text text, char *out, size_t size) {
  if (text.length >= size || memchr(text.at, 0, text.length)) return false;
  memcpy(out, text.at, text.length);
  out[text.length] = 0;
  return true;
}

/* The row whose column 0 is `name`, or whose column 2 is `id` when `name` is empty. */
static bool find_row(struct text table, int columns, struct text name, uint32_t id, struct row *row) {
  uint32_t number;
  while (next_row(&table, columns, row)) {
    if (!parse_id(row->columns[2], &number)) continue;
    if (name.length ? text_is(row->columns[0], name) : number == id) return true;
  }
  return false;
}

static bool in_list(struct text list, struct text name) {
  while (list.length) {
    const char *comma = memchr(list.at, ',', list.length);
    size_t length = comma ? (size_t)(comma - list.at) : list.length;
    if (text_is((struct text){list.at, length}, name)) return true;
    size_t skip = comma ? length + 1 : length;
    list = (struct text){list.at + skip, list.length - skip};
  }
  return false;
}

static void find_groups(struct text table, struct user *user) {
  struct text name = {user->name, strlen(user->name)};
  struct row row;
  uint32_t gid;
  while (user->group_count < MAX_GROUPS && next_row(&table, GROUP_COLUMNS, &row))
    if (parse_id(row.columns[2], &gid) && in_list(row.columns[3], name)) user->groups[user->group_count++] = gid;
}

static bool take_row(const struct row *row, struct user *user) {
  return parse_id(row->columns[2], &user->uid) && parse_id(row->columns[3], &user->gid) &&
         text_copy(row->columns[0], user->name, sizeof user->name) &&
         text_copy(row->columns[5], user->home, sizeof user->home) &&
         text_copy(row->columns[6], user->shell, sizeof user->shell);
}

static int find_user(struct text table, struct text spec, struct user *user) {
  static const struct text none = {"", 0};
  uint32_t id = 0;
  struct row row;
  bool numeric = parse_id(spec, &id);
  /* A name wins over a number, as in chown(1). */
  if (find_row(table, PASSWD_COLUMNS, spec, 0, &row) || (numeric && find_row(table, PASSWD_COLUMNS, none, id, &row)))
    return take_row(&row, user) ? 0 : EINVAL;
  if (!numeric) return ENOENT;
  user->uid = user->gid = id;
  snprintf(user->name, sizeof user->name, "%u", id);
  return 0;
}

static int find_group(struct text table, struct text spec, struct user *user) {
  uint32_t id;
  struct row row;
  if (find_row(table, GROUP_COLUMNS, spec, 0, &row)) return parse_id(row.columns[2], &user->gid) ? 0 : EINVAL;
  if (!parse_id(spec, &id)) return ENOENT;
  user->gid = id;
  return 0;
}

int tables_find(const struct tables *tables, const char *spec, struct user *out) {
  char own[16];
  *out = (struct user){0};
  if (!*spec) {
    snprintf(own, sizeof own, "%u", geteuid());
    spec = own;
  }
  const char *colon = strchr(spec, ':');
  struct text user = {spec, colon ? (size_t)(colon - spec) : strlen(spec)};
  struct text group_table = {tables->group, tables->group_size};
  if (!user.length || (colon && !colon[1])) return EINVAL;
  int error = find_user((struct text){tables->passwd, tables->passwd_size}, user, out);
  if (!error && colon) error = find_group(group_table, (struct text){colon + 1, strlen(colon + 1)}, out);
  if (error) return error;
  find_groups(group_table, out);
  if (out->home[0] != '/') strcpy(out->home, "/");
  if (!out->shell[0]) strcpy(out->shell, "/bin/sh");
  return 0;
}

int user_find(const char *spec, struct user *out) {
  struct tables tables;
  tables_load(&tables);
  int error = tables_find(&tables, spec, out);
  tables_free(&tables);
  if (error) return error;
  if (geteuid() != 0 && out->uid != geteuid()) return EPERM;
  /* The agent's own home may be another than its user's: without isolation it is the sandbox's directory. */
  const char *home = *spec ? NULL : getenv("HOME");
  if (home && home[0] == '/' && strlen(home) < sizeof out->home) strcpy(out->home, home);
  return 0;
}

static bool copy_name(struct text table, int columns, uint32_t id, char *out, size_t size) {
  static const struct text none = {"", 0};
  struct row row;
  return find_row(table, columns, none, id, &row) && text_copy(row.columns[0], out, size);
}

bool tables_user_name(const struct tables *tables, uid_t uid, char *out, size_t size) {
  return copy_name((struct text){tables->passwd, tables->passwd_size}, PASSWD_COLUMNS, uid, out, size);
}

bool tables_group_name(const struct tables *tables, gid_t gid, char *out, size_t size) {
  return copy_name((struct text){tables->group, tables->group_size}, GROUP_COLUMNS, gid, out, size);
}
