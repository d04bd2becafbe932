#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <unistd.h>

#include "users.h"
#include "util.h"

static gid_t own_groups[MAX_GROUPS];
static int own_group_count;

void credentials_init(void) {
  own_group_count = getgroups(MAX_GROUPS, own_groups);
  if (own_group_count < 0) die("getgroups");
}

/* An agent that is not root can only be asked for its own user; root as itself keeps what it has. */
static bool nothing_to_do(const struct user *user) { return geteuid() != 0 || (user->uid == 0 && user->gid == 0); }

int credentials_enter(const struct user *user) {
  if (nothing_to_do(user)) return 0;
  if (setgroups(user->group_count, user->groups)) return errno;
  setfsgid(user->gid);
  setfsuid(user->uid);
  /* These two calls cannot report failure; asked for an impossible id they answer with the one in force. */
  bool done = setfsuid((uid_t)-1) == (int)user->uid && setfsgid((gid_t)-1) == (int)user->gid;
  if (done) return 0;
  credentials_leave();
  return EPERM;
}

void credentials_leave(void) {
  if (geteuid() != 0) return;
  setfsuid(0);
  setfsgid(getegid());
  bool done = setfsuid((uid_t)-1) == 0 && setfsgid((gid_t)-1) == (int)getegid();
  /* Going on as somebody else would make every later answer wrong. */
  if (!done || setgroups((size_t)own_group_count, own_groups)) die("restore credentials");
}

int credentials_become(const struct user *user) {
  if (geteuid() != 0) return 0;
  if (setgroups(user->group_count, user->groups)) return errno;
  if (setresgid(user->gid, user->gid, user->gid)) return errno;
  return setresuid(user->uid, user->uid, user->uid) ? errno : 0;
}
