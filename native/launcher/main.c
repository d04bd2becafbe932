/* The launcher: the only part of Caisson that is root. README.md beside this file says what it does and refuses. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent_socket.h"
#include "criu.h"
#include "dump.h"
#include "freezer.h"
#include "hook.h"
#include "server.h"

/* sysexits(3): 64 wrong usage, 69 the host lacks something, 75 another launcher runs. */
enum { EXIT_USAGE = 64, EXIT_UNAVAILABLE = 69, EXIT_RUNNING = 75 };

static void usage(void) {
  fprintf(stderr, "usage: launcher --socket PATH --data-dir PATH --images-dir PATH --agent PATH --crun PATH\n"
                  "                --seccomp PATH --instance NAME [--criu PATH] [--allow-uid N]\n"
                  "Paths are absolute. The server starts the launcher; see native/launcher/README.md.\n");
  exit(EXIT_USAGE);
}

static void parse_arguments(int count, char **values, struct host *host) {
  const struct {
    const char *name;
    const char **target;
    bool path;
  } options[] = {{"--socket", &host->socket_path, true},   {"--data-dir", &host->data_dir, true},
                 {"--images-dir", &host->images_dir, true},
                 {"--agent", &host->agent_path, true},     {"--crun", &host->crun_path, true},
                 {"--seccomp", &host->seccomp_path, true}, {"--instance", &host->instance, false},
                 {"--criu", &host->criu_path, true}};
  for (int i = 1; i < count; i += 2) {
    if (i + 1 == count) usage();
    bool known = false;
    for (size_t j = 0; j < countof(options); j++) {
      if (strcmp(values[i], options[j].name) != 0) continue;
      if (options[j].path && values[i + 1][0] != '/') usage();
      *options[j].target = values[i + 1];
      known = true;
    }
    if (strcmp(values[i], "--allow-uid") == 0) {
      char *end;
      unsigned long uid = strtoul(values[i + 1], &end, 10);
      if (*end || end == values[i + 1] || uid >= LAUNCHER_ID_COUNT) usage();
      host->allow_uid = (uid_t)uid;
      known = true;
    }
    if (!known) usage();
  }
  for (size_t j = 0; j < countof(options); j++)
    if (!*options[j].target && options[j].target != &host->criu_path) usage();
  if (!id_valid(host->instance)) usage();
}

static int take_lock(const struct host *host, const char *name, int operation) {
  int fd = openat(host->run, name, O_CREAT | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd >= 0 && flock(fd, operation) == 0) return fd;
  int error = errno;
  if (fd >= 0) close(fd);
  errno = error;
  return -1;
}

/* Two locks: the first says that a launcher lives; workers hold the second until the last of them is done, so that a
   launcher that replaces a killed one sees finished work only. */
static void take_locks(struct server *server, struct host *host) {
  server->lock = take_lock(server->host, "launcher.lock", LOCK_EX | LOCK_NB);
  if (server->lock < 0) {
    log_line("another launcher serves this data directory");
    exit(errno == EWOULDBLOCK ? EXIT_RUNNING : EXIT_UNAVAILABLE);
  }
  host->work_lock = take_lock(host, "launcher.work.lock", LOCK_EX);
  if (host->work_lock < 0) {
    log_line("launcher.work.lock: %s", strerror(errno));
    exit(EXIT_UNAVAILABLE);
  }
}

static int open_signals(void) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_SETMASK, &set, NULL);
  return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Takes the descriptors that are allowed. @returns for how many sandboxes they last. */
static size_t raise_descriptors(void) {
  enum { OWN_DESCRIPTORS = 256 };
  struct rlimit limit = {.rlim_max = 1024};
  (void)getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  /* Up to its own hard limit a process may always go. */
  (void)setrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur > 2 * OWN_DESCRIPTORS ? limit.rlim_cur - OWN_DESCRIPTORS : OWN_DESCRIPTORS;
}

/* A worker that was killed may have left an agent without its socket; one that is frozen gets it when it is thawed. */
static void mend_agents(const struct server *server) {
  for (const struct sandbox *at = server->sandboxes.first; at; at = at->next) {
    struct failure failure = {0};
    if (at->pidfd >= 0 && !freezer_is_frozen(&server->host->cgroups, at->id) &&
        !agent_socket_mend(server->host, at->id, at->pidfd, &failure))
      log_line("%s: %s", at->id, failure.text);
  }
}

int main(int count, char **values) {
  const char *action = getenv(HOOK_ACTION);
  if (action) return hook_run(action);
  static struct host host = {.data = -1, .images = -1, .run = -1, .sandboxes = -1, .trash = -1, .agent = -1,
                             .dumps = -1, .work_lock = -1, .pool = {.dir = -1, .roots = -1, .saves = -1, .volumes = -1}};
  static struct server server = {
      .host = &host, .network = {.namespace = -1, .holder = -1, .links = -1, .packets = -1, .rules = {.fd = -1}}};
  struct failure failure = {0};
  parse_arguments(count, values, &host);
  umask(022);
  server.max_sandboxes = raise_descriptors();
  if (chdir("/") < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 || clearenv() != 0)
    fail(&failure, errno, "process", "%s", strerror(errno));
  server.signals = open_signals();
  if (!failure.error && host_open(&host, &failure)) {
    take_locks(&server, &host);
    criu_probe(&host);
    if (dumps_recover(&host, &failure) && sandboxes_recover(&server.sandboxes, &host.cgroups, &failure)) {
      mend_agents(&server);
      server_recover_network(&server);
      server.listener = connections_listen(&host, &failure);
    }
  }
  if (failure.error) {
    log_line("%s: %s", failure.step, failure.text);
    return EXIT_UNAVAILABLE;
  }
  server_run(&server);
  /* Sandboxes that have a network keep it. */
  struct holder holder = {.pid = server.network.holder_pid, .namespace = server.network.namespace};
  if (!network_in_use(&server.network) && (holder.pid || router_traces(&host)) &&
      !router_remove(&host, &holder, &failure))
    log_line("%s: %s", failure.step, failure.text);
  (void)unlink(host.socket_path);
  cgroups_close(&host.cgroups);
  return 0;
}
