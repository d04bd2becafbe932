#define _GNU_SOURCE 1
#include "dump.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent_socket.h"
#include "btrfs.h"
#include "criu.h"
#include "externals.h"
#include "freezer.h"
#include "hook.h"
#include "loopback.h"
#include "measure.h"
#include "net_namespace.h"
#include "operations.h"
#include "quota.h"
#include "trees.h"
#include "volumes.h"

/* The server gives up after two minutes. */
enum { DUMP_TIMEOUT_MSEC = 100000, END_TIMEOUT_MSEC = 10000 };
enum { PART_SIZE = LAUNCHER_MAX_ID + 8 };
#define STARTING ".start"

static bool broken(struct failure *failure, const char *what) {
  return fail(failure, errno, "dump", "%s: %s", what, strerror(errno));
}

/* The init of a sandbox that runs, held so that its number means nobody else. */
static int hold_init(const struct host *host, const char *id, pid_t *pid, struct failure *failure) {
  *pid = cgroups_find_init(&host->cgroups, id);
  int fd = *pid ? pidfd_open(*pid, 0) : -1;
  if (fd < 0 || !cgroups_contains(&host->cgroups, id, *pid)) {
    close_fd(&fd);
    fail(failure, ESRCH, "dump", "sandbox %s does not run", id);
  }
  return fd;
}

static void start_name(char *out, const char *id) { snprintf(out, PART_SIZE, "%s" STARTING, id); }

bool dump_begin_start(const struct host *host, const char *id, struct failure *failure) {
  char name[PART_SIZE];
  start_name(name, id);
  cleanup_fd int fd = openat(host->dumps, name, O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
  return fd >= 0 || broken(failure, name);
}

bool dump_end_start(const struct host *host, const char *id, struct failure *failure) {
  char name[PART_SIZE];
  start_name(name, id);
  return unlinkat(host->dumps, name, 0) == 0 || errno == ENOENT || broken(failure, name);
}

static bool recover_one(const struct host *host, char *name, struct failure *failure) {
  char *end = strrchr(name, '.');
  if (end && strcmp(end, STARTING) == 0) {
    *end = 0;
    if (id_valid(name) && !cgroups_remove(&host->cgroups, name, failure)) return false;
    *end = '.';
  }
  return tree_delete(host->dumps, name, failure);
}

bool dumps_recover(const struct host *host, struct failure *failure) {
  int fd = openat(host->dumps, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *stream = fd < 0 ? NULL : fdopendir(fd);
  if (!stream) return broken(failure, "dumps");
  for (struct dirent *entry; (entry = readdir(stream)) && !failure->error;)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && !id_valid(entry->d_name))
      recover_one(host, entry->d_name, failure);
  closedir(stream);
  return failure->error == 0;
}

bool sandbox_thaw(const struct host *host, const char *id, int pidfd, struct failure *failure) {
  struct failure mute = {0};
  /* Whoever waits for the sandbox is better off with one that goes on without an agent. */
  if (pidfd >= 0 && !agent_socket_mend(host, id, pidfd, &mute)) log_line("%s: %s", id, mute.text);
  return freezer_thaw(&host->cgroups, id, failure);
}

bool operation_thaw(const struct host *host, const char *id, struct failure *failure) {
  struct failure gone = {0};
  pid_t pid;
  cleanup_fd int init = hold_init(host, id, &pid, &gone);
  return sandbox_thaw(host, id, init, failure);
}

/* What criu notices too late, or tells in words that nobody understands. */
static void look_at(pid_t pid, void *context) {
  struct failure *failure = context;
  char path[64];
  char text[4096];
  snprintf(path, sizeof path, "/proc/%d/exe", pid);
  ssize_t length = readlink(path, text, sizeof text - 1);
  text[length > 0 ? length : 0] = 0;
  if (strncmp(text, "/memfd:", strlen("/memfd:")) == 0)
    fail(failure, EOPNOTSUPP, "dump", "a program runs that is in no file (process %d)", pid);
  snprintf(path, sizeof path, "/proc/%d/status", pid);
  if (read_file_at(AT_FDCWD, path, text, sizeof text) <= 0) return;
  const char *tracer = strstr(text, "\nTracerPid:\t");
  if (tracer && strncmp(tracer, "\nTracerPid:\t0\n", strlen("\nTracerPid:\t0\n")) != 0)
    fail(failure, EOPNOTSUPP, "dump", "a process is traced by another, as by a debugger (process %d)", pid);
}

/* Frozen, only a thread whose child has not yet become another program is in these states, the second of them for an
   instant: nobody can attach to it. */
static bool waits_for_child(const char *thread) {
  char text[1024];
  if (read_file_at(AT_FDCWD, thread, text, sizeof text) <= 0) return false;
  const char *name_end = strrchr(text, ')');
  return name_end && name_end[1] == ' ' && (name_end[2] == 'D' || name_end[2] == 'R');
}

static void look_for_starting(pid_t pid, void *context) {
  bool *starting = context;
  char path[300];
  snprintf(path, sizeof path, "/proc/%d/task", pid);
  DIR *threads = opendir(path);
  for (struct dirent *entry; threads && !*starting && (entry = readdir(threads));) {
    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/proc/%d/task/%.20s/stat", pid, entry->d_name);
    *starting = waits_for_child(path);
  }
  if (threads) closedir(threads);
}

/* Freezes at a moment when no program is just being started. Leaves it frozen whatever happens. */
static bool freeze_between(const struct host *host, const char *id, struct failure *failure) {
  enum { ATTEMPTS = 60, LEAST_USEC = 500, MOST_USEC = 40000 };
  for (unsigned pause = LEAST_USEC, i = 0; i < ATTEMPTS; i++) {
    bool starting = false;
    if (!freezer_freeze(&host->cgroups, id, failure)) return false;
    cgroups_each(&host->cgroups, id, look_for_starting, &starting);
    if (!starting) return true;
    if (!freezer_thaw(&host->cgroups, id, failure)) return false;
    usleep(pause);
    if (pause < MOST_USEC) pause *= 2;
  }
  return freezer_freeze(&host->cgroups, id, failure) && fail(failure, EAGAIN, "dump", "it starts programs all the time");
}

static bool write_note(int images, const char *name, const char *text, struct failure *failure) {
  cleanup_fd int fd = openat(images, name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  return (fd >= 0 && write_all(fd, text, strlen(text))) || broken(failure, name);
}

static bool note_addresses(const struct host *host, pid_t pid, int init, int images, struct failure *failure) {
  struct text addresses = {0};
  cleanup_fd int namespace = namespace_of(pid, init);
  if (namespace < 0) return fail(failure, ESRCH, "dump", "the sandbox has ended");
  if (!namespace_enter(namespace, failure)) return false;
  loopback_list(&addresses);
  bool ok = namespace_enter(host->network_namespace, failure) &&
            write_note(images, DUMP_ADDRESSES, addresses.data ? addresses.data : "", failure);
  text_free(&addresses);
  return ok;
}

/* Processes hold on to the program that they run, byte by byte: a later launcher may bring another agent. */
static bool copy_agent(pid_t pid, int images, struct failure *failure) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/exe", pid);
  cleanup_fd int from = open(path, O_RDONLY | O_CLOEXEC);
  cleanup_fd int to = openat(images, DUMP_AGENT, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0500);
  ssize_t copied = from < 0 || to < 0 ? -1 : 1;
  while (copied > 0) copied = sendfile(to, from, NULL, 1 << 20);
  return copied == 0 || broken(failure, DUMP_AGENT);
}

/* Where files are looked for that somebody watches by inotify: the kernel tells no names. */
static void add_scans(struct criu *criu, pid_t pid) {
  enum { MAX_SCANS = 40 };
  static const char *const never[] = {"proc", "sys", "dev", ".caisson", "home", "tmp"};
  char path[64];
  int count = 0;
  criu_add(criu, "--force-irmap");
  criu_add(criu, "--irmap-scan-path=/home");
  criu_add(criu, "--irmap-scan-path=/tmp");
  snprintf(path, sizeof path, "/proc/%d/root", pid);
  DIR *root = opendir(path);
  for (struct dirent *entry; root && count < MAX_SCANS && (entry = readdir(root));) {
    bool skip = entry->d_type != DT_DIR || entry->d_name[0] == '.';
    for (size_t i = 0; i < countof(never); i++) skip = skip || strcmp(entry->d_name, never[i]) == 0;
    if (skip) continue;
    criu_add(criu, "--irmap-scan-path=/%s", entry->d_name);
    count++;
  }
  if (root) closedir(root);
}

static void set_hook(struct criu *criu, const struct host *host, const struct pool_request *request, int root) {
  criu_set(criu, HOOK_DUMPS "=/proc/%d/fd/%d", getpid(), host->dumps);
  criu_set(criu, HOOK_DUMP "=%s", request->dump);
  if (request->end) criu_set(criu, HOOK_DURABLE "=1");
  if (!request->save[0]) return;
  criu_set(criu, HOOK_ROOT "=/proc/%d/fd/%d", getpid(), root);
  criu_set(criu, HOOK_SAVES "=/proc/%d/fd/%d", getpid(), host->pool.saves);
  criu_set(criu, HOOK_SAVE "=%s", request->save);
}

/* The host's mounts, where the groups are that the launcher does not see, and nothing of criu's is seen by others. */
static bool leave_for_host(const struct host *host) {
  return setns(host->mount_namespace, CLONE_NEWNS) == 0 && unshare(CLONE_NEWNS) == 0 &&
         mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static bool run(const struct host *host, const struct pool_request *request, pid_t init, int images, int root,
                struct failure *failure) {
  struct criu criu = {0};
  char directory[32];
  snprintf(directory, sizeof directory, "/proc/%d/fd/%d", getpid(), images);
  criu_begin(&criu, host, "dump", directory);
  criu_add(&criu, "-t");
  criu_add(&criu, "%d", init);
  /* Frozen by us already, it stays so; not told of it, criu would wait for ever. */
  criu_add(&criu, "--freeze-cgroup");
  criu_add(&criu, "%s/%s", freezer_find(&host->cgroups)->path, request->id);
  criu_add(&criu, "--network-lock");
  criu_add(&criu, "skip");
  criu_add(&criu, "--skip-in-flight");
  criu_add(&criu, "--ghost-limit");
  criu_add(&criu, CRIU_GHOST_BYTES);
  criu_add(&criu, "--timeout");
  criu_add(&criu, "3");
  if (!request->end) criu_add(&criu, "--leave-running");
  add_scans(&criu, init);
  if (!externals_of_dump(&criu, init, failure)) return false;
  set_hook(&criu, host, request, root);
  if (criu.failed) return fail(failure, E2BIG, "dump", "the sandbox has too many mounts");
  pid_t child = fork();
  if (child < 0) return broken(failure, "fork");
  if (child == 0) {
    if (!leave_for_host(host)) _exit(104);
    criu_exec(&criu, host->work_lock);
  }
  return criu_wait(child, DUMP_TIMEOUT_MSEC, "dump", images, "dump.log", failure);
}

static bool prepare(const struct host *host, const char *id, pid_t pid, int init, int images, struct failure *failure) {
  if (!freezer_is_frozen(&host->cgroups, id)) return fail(failure, EINVAL, "dump", "sandbox %s is not frozen", id);
  cgroups_each(&host->cgroups, id, look_at, failure);
  if (failure->error) return false;
  /* For the one signal that the agent has to take. */
  bool given = freezer_thaw(&host->cgroups, id, failure) && agent_socket_give_up(init, failure);
  struct failure frozen = {0};
  if (!freeze_between(host, id, &frozen)) return fail(failure, frozen.error, frozen.step, "%s", frozen.text);
  return given && note_addresses(host, pid, init, images, failure) && copy_agent(pid, images, failure);
}

static int make_part(const struct host *host, const char *dump, char *part, struct failure *failure) {
  snprintf(part, PART_SIZE, "%s" DUMP_UNFINISHED, dump);
  if (faccessat(host->dumps, dump, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
    fail(failure, EEXIST, "dump", "%s exists", dump);
    return -1;
  }
  if (!tree_delete(host->dumps, part, failure)) return -1;
  int fd = mkdirat(host->dumps, part, 0700) == 0 ? open_beneath(host->dumps, part, O_RDONLY | O_DIRECTORY, 0) : -1;
  if (fd < 0) broken(failure, part);
  return fd;
}

/* The dump is there, whatever happens from now on; what is left of the sandbox goes. */
static bool finish(const struct host *host, const struct pool_request *request, int init, struct writer *reply,
                   struct failure *failure) {
  struct measure measure = {0};
  struct pollfd ended = {.fd = init, .events = POLLIN};
  if (!measure_tree(host->dumps, request->dump, &measure)) return broken(failure, request->dump);
  writer_u64(reply, TAG_BYTES, measure.bytes);
  if (!request->end) return true;
  if (poll(&ended, 1, END_TIMEOUT_MSEC) == 0) log_line("%s: its init outlives its dump", request->id);
  return operation_clean(host, request->id, failure);
}

static bool write_dump(const struct host *host, const struct pool_request *request, pid_t pid, int init,
                       struct failure *failure) {
  char part[PART_SIZE];
  struct failure ignored = {0};
  cleanup_quota int lifted = -1;
  quota_lift(&host->pool, request->id, &lifted);
  cleanup_fd int images = make_part(host, request->dump, part, failure);
  if (images < 0) return false;
  cleanup_fd int root = request->save[0] ? open_beneath(host->pool.roots, request->id, O_RDONLY | O_DIRECTORY, 0) : -1;
  if (request->save[0] && root < 0) broken(failure, "its files");
  if (!failure->error && prepare(host, request->id, pid, init, images, failure) &&
      run(host, request, pid, images, root, failure))
    return true;
  if (!tree_delete(host->dumps, part, &ignored) || !tree_delete(host->dumps, request->dump, &ignored))
    log_line("%s: %s", part, ignored.text);
  return false;
}

bool operation_dump(const struct host *host, const struct pool_request *request, struct writer *reply,
                    struct failure *failure) {
  pid_t pid;
  if (host->no_dumps[0]) return fail(failure, ENOTSUP, "dump", "%s", host->no_dumps);
  cleanup_fd int init = hold_init(host, request->id, &pid, failure);
  if (init < 0) return false;
  /* Others go on writing there, and what memory holds of its files would no longer be true. */
  if (volume_is_mounted(pid, NULL))
    return fail(failure, EOPNOTSUPP, "dump", "it has a volume, which others may change meanwhile");
  if (write_dump(host, request, pid, init, failure)) return finish(host, request, init, reply, failure);
  return false;
}
