/* Users as the sandbox's own /etc/passwd and /etc/group name them, and acting on files as one of them. */
#ifndef CAISSON_USERS_H
#define CAISSON_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MAX_USER_SPEC 256
#define MAX_GROUPS 64

struct user {
  uid_t uid;
  gid_t gid;
  size_t group_count;
  gid_t groups[MAX_GROUPS]; /* supplementary */
  char name[MAX_USER_SPEC]; /* the uid's digits when it has no entry */
  char home[1024];
  char shell[256];
  bool owning; /* what is made belongs to `owner`, while the rights are still the user's */
  uid_t owner;
  gid_t owner_group;
};

/*
 * Finds `spec` (name, uid, name:group or uid:gid; "" is the agent's own user). 0, or errno: ENOENT when it is not
 * there, EINVAL, EPERM when the agent may not become it. A bare uid without entry has a group of the same number.
 */
int user_find(const char *spec, struct user *out);

/* The two tables as text, read once for many lookups. Missing or odd files read as empty. */
struct tables {
  char *passwd, *group;
  size_t passwd_size, group_size;
};
void tables_load(struct tables *tables);
void tables_free(struct tables *tables);
/* As user_find, without asking whether the agent may become the user. */
int tables_find(const struct tables *tables, const char *spec, struct user *out);
/* Copies the name; false when the number has none. */
bool tables_user_name(const struct tables *tables, uid_t uid, char *out, size_t size);
bool tables_group_name(const struct tables *tables, gid_t gid, char *out, size_t size);

/* Remembers the agent's own groups. */
void credentials_init(void);
/* File access from here on is the user's, and what they make their owner's; 0 or errno. Undone by credentials_leave. */
int credentials_enter(const struct user *user);
void credentials_leave(void);
/* For good, in a child about to exec; 0 or errno. */
int credentials_become(const struct user *user);

#endif
