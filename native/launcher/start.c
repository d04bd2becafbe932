#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent_socket.h"
#include "config.h"
#include "dump.h"
#include "mounts.h"
#include "operations.h"
#include "quota.h"
#include "restore.h"
#include "volumes.h"

enum { RUNTIME_TIMEOUT_MSEC = 60000 };

struct stages {
  struct writer *reply;
  uint64_t since;
};

static void stage_done(struct stages *stages, const char *name) {
  char line[64];
  uint64_t now = now_usec();
  snprintf(line, sizeof line, "%s\t%lu", name, (unsigned long)(now - stages->since));
  writer_string(stages->reply, TAG_STAGE, line);
  stages->since = now;
}

static bool write_bundle(const struct host *host, const struct plan *plan, struct failure *failure) {
  struct text config = {0};
  config_compose(host, plan, &config);
  cleanup_fd int fd = open("bundle/config.json", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  bool written = !config.failed && fd >= 0 && write_all(fd, config.data, config.length);
  int error = config.failed ? ENOMEM : errno;
  text_free(&config);
  return written || fail(failure, error, "bundle", "%s", strerror(error));
}

/* In the child: becomes the runtime, inside the sandbox's groups, holding nothing but the socket. */
static void exec_runtime(const struct host *host, const struct plan *plan, int socket) {
  struct failure failure = {0};
  if (!cgroups_join(&host->cgroups, plan->id, &failure)) _exit(101);
  /* crun gives the three to container root, so they must not be the host's. */
  int null = open("null", O_RDWR);
  for (int fd = 0; fd < AGENT_FD; fd++)
    if (null < 0 || dup2(null, fd) < 0) _exit(102);
  if (socket == AGENT_FD ? fcntl(socket, F_SETFD, 0) < 0 : dup2(socket, AGENT_FD) < 0) _exit(102);
  if (close_range(AGENT_FD + 1, ~0u, 0) < 0) _exit(102);
  char state[64];
  char bundle[64];
  char pid_file[64];
  char log[64];
  snprintf(state, sizeof state, "%s/state", host->staging);
  snprintf(bundle, sizeof bundle, "%s/bundle", host->staging);
  snprintf(pid_file, sizeof pid_file, "%s/bundle/pid", host->staging);
  snprintf(log, sizeof log, "%s/bundle/log", host->staging);
  execle(host->crun_path, "crun", "--cgroup-manager=disabled", "--root", state, "--log", log, "run", "--detach",
         "--preserve-fds", "1", "--pid-file", pid_file, "--bundle", bundle, plan->id, (char *)NULL,
         (char *[]){"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL});
  _exit(103);
}

static int wait_runtime(pid_t pid) {
  cleanup_fd int fd = pidfd_open(pid, 0);
  struct pollfd ended = {.fd = fd, .events = POLLIN};
  if (poll(&ended, 1, RUNTIME_TIMEOUT_MSEC) == 0) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  return status;
}

static bool run_runtime(const struct host *host, const struct plan *plan, int socket, struct failure *failure) {
  pid_t child = cgroups_fork(&host->cgroups, plan->id);
  if (child < 0) return fail(failure, errno, "runtime", "fork: %s", strerror(errno));
  if (child == 0) exec_runtime(host, plan, socket);
  int status = wait_runtime(child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
  char log[512] = "";
  (void)read_file_at(AT_FDCWD, "bundle/log", log, sizeof log);
  log[strcspn(log, "\n")] = 0;
  if (WIFSIGNALED(status))
    return fail(failure, ECHILD, "runtime", "crun was killed by signal %d%s%s", WTERMSIG(status),
                log[0] ? ": " : "", log);
  return fail(failure, ECHILD, "runtime", "crun exited with %d: %s", WEXITSTATUS(status), log);
}

static pid_t read_init(void) {
  char text[32];
  int pid = 0;
  bool found = read_file_at(AT_FDCWD, "bundle/pid", text, sizeof text) > 0 && sscanf(text, "%d", &pid) == 1 && pid > 1;
  return found ? pid : 0;
}

static bool report_init(pid_t pid, struct writer *reply, struct failure *failure) {
  uint64_t start_time = pid ? process_start_time(pid) : 0;
  if (!start_time) return fail(failure, ESRCH, "agent", "it ended at once");
  writer_u64(reply, TAG_PID, (uint64_t)pid);
  writer_u64(reply, TAG_START_TIME, start_time);
  return true;
}

/* What starting anew and going on from a dump have in common; `dump` is -1 for the former. */
static bool assemble(const struct host *host, const struct plan *plan, int dump, struct failure *failure) {
  struct layers layers;
  return layers_open(host, plan, &layers, failure) && mounts_enter(host, failure) &&
         (dump < 0 || restore_prepare(host, plan, dump, &layers, failure)) && mounts_assemble(plan, &layers, failure) &&
         mounts_write_names(plan, failure) && volumes_make_targets(plan, failure);
}

static bool make_groups(const struct host *host, const struct plan *plan, int dump, struct failure *failure) {
  struct limits limits = plan->limits;
  if (dump >= 0) limits.pids += RESTORE_PIDS;
  return cgroups_create(&host->cgroups, plan->id, &limits, failure);
}

static bool run_anew(const struct host *host, const struct plan *plan, struct failure *failure) {
  int socket = agent_socket_listen(host, plan->id, failure);
  return !failure->error && write_bundle(host, plan, failure) && run_runtime(host, plan, socket, failure);
}

static bool run_on(const struct host *host, const struct plan *plan, int dump, struct failure *failure) {
  return dump_begin_start(host, plan->id, failure) && restore_run(host, plan, dump, failure) &&
         restore_finish(host, plan, dump, read_init(), failure);
}

static bool start(const struct host *host, const struct plan *plan, struct writer *reply, struct failure *failure) {
  struct stages stages = {.reply = reply, .since = now_usec()};
  cleanup_fd int dump = plan->dump[0] ? restore_open(host, plan, failure) : -1;
  cleanup_quota int lifted = -1;
  if (failure->error) return false;
  if (plan->root_kind == ROOT_POOL) quota_lift(&host->pool, plan->id, &lifted);
  if (!assemble(host, plan, dump, failure)) return false;
  stage_done(&stages, "mounts");
  if (!make_groups(host, plan, dump, failure)) return false;
  stage_done(&stages, "cgroup");
  if (dump < 0 ? !run_anew(host, plan, failure) : !run_on(host, plan, dump, failure)) return false;
  quota_settle(&lifted);
  if (!report_init(read_init(), reply, failure)) return false;
  stage_done(&stages, dump < 0 ? "runtime" : "restore");
  return true;
}

bool operation_start(const struct host *host, const struct plan *plan, struct writer *reply,
                     struct failure *failure) {
  if (start(host, plan, reply, failure)) return true;
  /* The mounts go with this process; the first failure is the one to report. */
  struct failure ignored = {0};
  if (!operation_clean(host, plan->id, &ignored)) log_line("%s: %s: %s", plan->id, ignored.step, ignored.text);
  return false;
}

bool operation_clean(const struct host *host, const char *id, struct failure *failure) {
  char name[LAUNCHER_MAX_ID + 8];
  snprintf(name, sizeof name, "%s.sock", id);
  if (unlinkat(host->run, name, 0) < 0 && errno != ENOENT)
    return fail(failure, errno, "socket", "%s: %s", name, strerror(errno));
  return cgroups_remove(&host->cgroups, id, failure) && dump_end_start(host, id, failure);
}
