#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <sys/syscall.h>
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
static bool nothing_to_do(const struct user *user) {
  return geteuid() != 0 || (user->uid == 0 && user->gid == 0 && !user->owning);
}

static bool set_ids(uid_t uid, gid_t gid) {
  setfsgid(gid);
  setfsuid(uid);
  /* These two calls cannot report failure; asked for an impossible id they answer with the one in force. */
  return setfsuid((uid_t)-1) == (int)uid && setfsgid((gid_t)-1) == (int)gid;
}

/* The capabilities over files that setfsuid(2) takes away with root's number; giving the number back gives them back. */
#define FILE_CAPABILITIES \
  (1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH | 1u << CAP_FOWNER | 1u << CAP_FSETID)

static int keep_rights(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
  if (syscall(SYS_capget, &header, data)) return errno;
  data[0].effective |= data[0].permitted & FILE_CAPABILITIES;
  return syscall(SYS_capset, &header, data) ? errno : 0;
}

/* Made by its owner from the start, a file is never found by others as root's, and needs no change of owner later. */
static int enter_owning(const struct user *user) {
  int error = set_ids(user->owner, user->owner_group) ? keep_rights() : EPERM;
  if (error) credentials_leave();
  return error;
}

int credentials_enter(const struct user *user) {
  if (nothing_to_do(user)) return 0;
  if (user->owning) return enter_owning(user);
  if (setgroups(user->group_count, user->groups)) return errno;
  if (set_ids(user->uid, user->gid)) return 0;
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
