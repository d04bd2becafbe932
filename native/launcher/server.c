#define _GNU_SOURCE 1
#include "server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* What stands behind one descriptor of a poll. */
struct watch {
  enum { WATCH_LISTENER, WATCH_SIGNALS, WATCH_HOLDER, WATCH_PACKETS, WATCH_CONNECTION, WATCH_JOB, WATCH_SANDBOX } kind;
  void *subject;
  uint64_t serial;
};

struct watches {
  struct pollfd *fds;
  struct watch *list;
  size_t count;
  size_t capacity;
};

static void watch(struct watches *watches, int fd, short events, struct watch what) {
  if (watches->count == watches->capacity) {
    size_t capacity = watches->capacity ? watches->capacity * 2 : 64;
    struct pollfd *fds = realloc(watches->fds, capacity * sizeof *fds);
    if (fds) watches->fds = fds;
    struct watch *list = fds ? realloc(watches->list, capacity * sizeof *list) : NULL;
    /* Not watched in this round: the next one tries again. */
    if (!list) return;
    watches->list = list;
    watches->capacity = capacity;
  }
  watches->fds[watches->count] = (struct pollfd){.fd = fd, .events = events};
  watches->list[watches->count++] = what;
}

static void watch_all(struct server *server, struct watches *watches) {
  watches->count = 0;
  watch(watches, server->listener, POLLIN, (struct watch){.kind = WATCH_LISTENER});
  watch(watches, server->signals, POLLIN, (struct watch){.kind = WATCH_SIGNALS});
  if (server->network.holder >= 0)
    watch(watches, server->network.holder, POLLIN, (struct watch){.kind = WATCH_HOLDER});
  if (server->network.packets >= 0)
    watch(watches, server->network.packets, POLLIN, (struct watch){.kind = WATCH_PACKETS});
  for (size_t i = 0; i < server->connections.count; i++) {
    struct connection *at = &server->connections.list[i];
    watch(watches, at->fd, at->output.length ? POLLIN | POLLOUT : POLLIN,
          (struct watch){.kind = WATCH_CONNECTION, .serial = at->serial});
  }
  for (size_t i = 0; i < server->jobs.running_count; i++)
    if (server->jobs.running[i]->pipe >= 0)
      watch(watches, server->jobs.running[i]->pipe, POLLIN,
            (struct watch){.kind = WATCH_JOB, .subject = server->jobs.running[i]});
  for (struct sandbox *at = server->sandboxes.first; at; at = at->next)
    if (at->pidfd >= 0) watch(watches, at->pidfd, POLLIN, (struct watch){.kind = WATCH_SANDBOX, .subject = at});
}

static void on_frame(void *context, struct connection *connection, const struct frame *frame) {
  server_request(context, connection, frame);
}

static void on_connection(struct server *server, uint64_t serial, short events) {
  for (size_t i = 0; i < server->connections.count; i++) {
    struct connection *at = &server->connections.list[i];
    if (at->serial != serial) continue;
    bool alive = !(events & (POLLIN | POLLHUP | POLLERR)) || connection_read(at, on_frame, server);
    if (!alive) connections_close(&server->connections, i);
    return;
  }
}

/* Collects the answer; at its end the client has it, even if the worker goes on. */
static void on_job(struct server *server, struct job *job) {
  uint8_t bytes[8192];
  ssize_t got;
  while ((got = read(job->pipe, bytes, sizeof bytes)) > 0) writer_raw(&job->answer, bytes, (size_t)got);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  close_fd(&job->pipe);
  server_job_answered(server, job);
}

static void on_sandbox(struct server *server, struct sandbox *sandbox) {
  sandbox_ended(sandbox);
  if (!sandbox->dumping) server_announce_end(server, sandbox);
  server_continue_delete(server, sandbox);
}

static void reap_workers(struct server *server) {
  struct jobs *jobs = &server->jobs;
  for (size_t i = 0; i < jobs->running_count;) {
    struct job *job = jobs->running[i];
    if (waitpid(job->pid, NULL, WNOHANG) != job->pid) {
      i++;
      continue;
    }
    if (job->pipe >= 0) on_job(server, job);
    jobs->running[i] = jobs->running[--jobs->running_count];
    job_free(job);
  }
}

static bool is_known_child(const struct server *server, pid_t pid) {
  for (size_t i = 0; i < server->jobs.running_count; i++)
    if (server->jobs.running[i]->pid == pid) return true;
  for (const struct sandbox *at = server->sandboxes.first; at; at = at->next)
    if (at->pidfd >= 0 && at->pid == pid) return true;
  return false;
}

/* Orphans of workers. During a start one of them may be an init that is not known yet, whose pid must not be freed. */
static void reap_orphans(const struct server *server) {
  if (jobs_starting(&server->jobs)) return;
  siginfo_t info;
  for (;;) {
    info.si_pid = 0;
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || !info.si_pid) return;
    if (is_known_child(server, info.si_pid)) return;
    (void)waitpid(info.si_pid, NULL, WNOHANG);
  }
}

static void on_signal(struct server *server) {
  struct signalfd_siginfo info;
  while (read(server->signals, &info, sizeof info) == sizeof info)
    if (info.ssi_signo == SIGTERM) server->ending = true;
}

/* A worker keeps nothing of its parent that could tell a client that the launcher still lives. */
static void become_worker(void *context) {
  struct server *server = context;
  close_fd(&server->listener);
  close_fd(&server->lock);
  for (size_t i = 0; i < server->connections.count; i++) close_fd(&server->connections.list[i].fd);
}

static void run_jobs(struct server *server) {
  struct job *job;
  while ((job = jobs_next(&server->jobs))) {
    if (jobs_run(&server->jobs, job, server->host, become_worker, server)) continue;
    log_line("no worker could be made: %d", errno);
    server_job_answered(server, job);
    job_free(job);
  }
}

static void dispatch(struct server *server, const struct watch *what, short events) {
  switch (what->kind) {
    case WATCH_LISTENER: {
      struct connection *made = connections_accept(&server->connections, server->listener, server->host->allow_uid);
      if (made) server_greet(server, made);
      break;
    }
    case WATCH_SIGNALS:
      on_signal(server);
      break;
    case WATCH_HOLDER:
      server_holder_ended(server);
      break;
    case WATCH_PACKETS:
      server_read_packets(server);
      break;
    case WATCH_CONNECTION:
      on_connection(server, what->serial, events);
      break;
    case WATCH_JOB:
      on_job(server, what->subject);
      break;
    case WATCH_SANDBOX:
      on_sandbox(server, what->subject);
      break;
  }
}

static void flush_connections(struct server *server) {
  for (size_t i = server->connections.count; i-- > 0;)
    if (!connection_flush(&server->connections.list[i])) connections_close(&server->connections, i);
}

static bool idle(const struct server *server) {
  return server->jobs.running_count == 0 && server->jobs.waiting_count == 0;
}

void server_run(struct server *server) {
  struct watches watches = {0};
  while (!server->ending || !idle(server)) {
    watch_all(server, &watches);
    if (poll(watches.fds, watches.count, server_grow_pool(server)) < 0) continue;
    /* Sandboxes come last in the list: a job's answer, which may drop its sandbox, ends the round for them. */
    for (size_t i = 0; i < watches.count; i++) {
      if (!watches.fds[i].revents) continue;
      dispatch(server, &watches.list[i], watches.fds[i].revents);
      if (watches.list[i].kind == WATCH_JOB) break;
    }
    reap_workers(server);
    reap_orphans(server);
    run_jobs(server);
    flush_connections(server);
  }
  free(watches.fds);
  free(watches.list);
}
