#define _GNU_SOURCE 1
#include "net_owner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "launcher.gen.h"

/* A guest decides how many sockets and descriptors there are to look through. */
enum { MAX_SOCKETS = 20000, MAX_DESCRIPTORS = 50000, PROTOCOL_TCP = 6, PROTOCOL_UDP = 17 };

/* A line of /proc/net/tcp (proc(5)): its local port in hexadecimal, and as the tenth word the inode. */
static unsigned long inode_in_line(const char *line, unsigned port) {
  unsigned local = 0;
  unsigned long inode = 0;
  int matched = sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*s %*s %*s %*s %*s %*s %*s %lu", &local, &inode);
  return matched == 2 && local == port ? inode : 0;
}

static unsigned long find_inode(pid_t member, const char *table, unsigned port) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/net/%s", member, table);
  FILE *stream = fopen(path, "re");
  if (!stream) return 0;
  char line[512];
  unsigned long inode = 0;
  for (int i = 0; !inode && i < MAX_SOCKETS && fgets(line, sizeof line, stream); i++) inode = inode_in_line(line, port);
  fclose(stream);
  return inode;
}

struct search {
  char link[64];
  int left;
  pid_t pid;
};

static void consider(pid_t pid, void *context) {
  struct search *search = context;
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/fd", pid);
  DIR *dir = search->pid || search->left <= 0 ? NULL : opendir(path);
  if (!dir) return;
  struct dirent *entry;
  while (!search->pid && search->left-- > 0 && (entry = readdir(dir))) {
    char link[64];
    ssize_t length = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);
    if (length <= 0) continue;
    link[length] = 0;
    if (strcmp(link, search->link) == 0) search->pid = pid;
  }
  closedir(dir);
}

/* The last number of "NSpid:" is the pid in the sandbox. */
static uint64_t inner_pid(pid_t pid) {
  char path[64];
  char status[4096];
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  if (read_file_at(AT_FDCWD, path, status, sizeof status) < 0) return 0;
  char *at = strstr(status, "\nNSpid:");
  uint64_t last = 0;
  for (at = at ? at + strlen("\nNSpid:") : NULL; at && *at == '\t';) last = strtoul(at + 1, &at, 10);
  return last;
}

static void tell(pid_t pid, struct writer *reply) {
  char path[64];
  char command[32];
  snprintf(path, sizeof path, "/proc/%d/comm", pid);
  uint64_t inner = inner_pid(pid);
  if (!inner || read_file_at(AT_FDCWD, path, command, sizeof command) <= 0) return;
  command[strcspn(command, "\n")] = 0;
  writer_u64(reply, TAG_PID, inner);
  writer_string(reply, TAG_COMMAND, command);
}

bool operation_owner(const struct cgroups *cgroups, const char *id, uint64_t protocol, uint64_t port,
                     struct writer *reply, struct failure *failure) {
  static const char *const tables[2][2] = {{"tcp", "tcp6"}, {"udp", "udp6"}};
  if ((protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP) || port < 1 || port > 65535)
    return fail(failure, EINVAL, "request", "PROTOCOL or PORT");
  pid_t init = cgroups_find_init(cgroups, id);
  if (!init) return true;
  unsigned long inode = 0;
  for (int i = 0; !inode && i < 2; i++) inode = find_inode(init, tables[protocol == PROTOCOL_UDP][i], (unsigned)port);
  if (!inode) return true;
  struct search search = {.left = MAX_DESCRIPTORS};
  snprintf(search.link, sizeof search.link, "socket:[%lu]", inode);
  cgroups_each(cgroups, id, consider, &search);
  if (search.pid) tell(search.pid, reply);
  return true;
}
