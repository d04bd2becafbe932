#define _GNU_SOURCE 1
#include "jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker.h"

struct job *job_new(enum job_kind kind, struct origin origin) {
  struct job *job = calloc(1, sizeof *job);
  if (!job) return NULL;
  job->kind = kind;
  job->origin = origin;
  job->pipe = -1;
  job->plug.pidfd = -1;
  return job;
}

void job_free(struct job *job) {
  close_fd(&job->pipe);
  close_fd(&job->plug.pidfd);
  writer_free(&job->answer);
  if (job->settings) router_settings_free(job->settings);
  free(job->settings);
  free(job->plan);
  free(job->request);
  free(job);
}

void jobs_add(struct jobs *jobs, struct job *job) {
  if (!jobs->waiting) jobs->waiting_end = &jobs->waiting;
  *jobs->waiting_end = job;
  jobs->waiting_end = &job->next;
  jobs->waiting_count++;
}

static size_t running_of(const struct jobs *jobs, enum job_kind kind) {
  size_t count = 0;
  for (size_t i = 0; i < jobs->running_count; i++) count += jobs->running[i]->kind == kind;
  return count;
}

bool jobs_starting(const struct jobs *jobs) { return running_of(jobs, JOB_START) > 0; }

static bool uses_slot(const struct job *job) { return job->kind == JOB_PLUG || job->kind == JOB_UNPLUG; }

bool jobs_slot_busy(const struct jobs *jobs, unsigned slot) {
  for (size_t i = 0; i < jobs->running_count; i++)
    if (uses_slot(jobs->running[i]) && jobs->running[i]->plug.slot == slot) return true;
  for (const struct job *at = jobs->waiting; at; at = at->next)
    if (uses_slot(at) && at->plug.slot == slot) return true;
  return false;
}

/* What is done to one slot is done in order, and nothing overtakes a NETWORK. */
static bool slot_busy(const struct jobs *jobs, const struct job *job) {
  for (size_t i = 0; i < jobs->running_count; i++)
    if (uses_slot(jobs->running[i]) && jobs->running[i]->plug.slot == job->plug.slot) return true;
  for (const struct job *at = jobs->waiting; at != job; at = at->next)
    if (at->kind == JOB_NETWORK || (uses_slot(at) && at->plug.slot == job->plug.slot)) return true;
  return false;
}

/* NETWORK has the router to itself; a block is added by one at a time. */
static bool router_busy(const struct jobs *jobs, const struct job *job) {
  bool shared = job->kind != JOB_NETWORK;
  if (running_of(jobs, JOB_NETWORK) > 0 || (!uses_slot(job) && running_of(jobs, JOB_BLOCK) > 0)) return true;
  return !shared && running_of(jobs, JOB_PLUG) + running_of(jobs, JOB_UNPLUG) > 0;
}

/* What is done to one sandbox's root, to its processes as a whole, to one save or to one volume, is done in order. A
   worker counts until it is gone, because what it has mounted goes with it. */
static bool has_subject(const struct job *job) {
  switch (job->kind) {
    case JOB_START:
    case JOB_CLEAN:
    case JOB_MAKE_ROOT:
    case JOB_SAVE:
    case JOB_MAKE_VOLUME:
    case JOB_REPLACE_ROOT:
    case JOB_REMOVE_FROM_POOL:
    case JOB_KEEP_ONLY:
    case JOB_MEASURE:
    case JOB_FREEZE:
    case JOB_THAW:
    case JOB_DUMP:
      return true;
    default:
      return false;
  }
}

static bool subject_busy(const struct jobs *jobs, const char *name, const struct job *until) {
  for (size_t i = 0; i < jobs->running_count; i++)
    if (has_subject(jobs->running[i]) && strcmp(jobs->running[i]->name, name) == 0) return true;
  for (const struct job *at = jobs->waiting; at != until; at = at->next)
    if (has_subject(at) && strcmp(at->name, name) == 0) return true;
  return false;
}

bool jobs_subject_busy(const struct jobs *jobs, const char *id) { return subject_busy(jobs, id, NULL); }

static bool starts_with_volume(const struct job *job, const char *volume) {
  return job->kind == JOB_START && plan_has_volume(job->plan, volume);
}

const char *jobs_start_with_volume(const struct jobs *jobs, const char *volume) {
  for (size_t i = 0; i < jobs->running_count; i++)
    if (jobs->running[i]->pipe >= 0 && starts_with_volume(jobs->running[i], volume)) return jobs->running[i]->name;
  for (const struct job *at = jobs->waiting; at; at = at->next)
    if (starts_with_volume(at, volume)) return at->name;
  return NULL;
}

/* A start waits until its volumes are whole or gone, and what is done to a volume until no worker has it mounted. */
static bool volumes_busy(const struct jobs *jobs, const struct job *job) {
  for (size_t i = 0; job->kind == JOB_START && i < job->plan->volume_count; i++)
    if (subject_busy(jobs, job->plan->volumes[i].volume, job)) return true;
  for (size_t i = 0; i < jobs->running_count; i++)
    if (starts_with_volume(jobs->running[i], job->name)) return true;
  return false;
}

static bool may_run(const struct jobs *jobs, const struct job *job) {
  switch (job->kind) {
    case JOB_REMOVE_TREE:
      return running_of(jobs, JOB_REMOVE_TREE) < LAUNCHER_MAX_REMOVERS;
    case JOB_PLUG:
      if (job->plug.slot >= jobs->ready_slots) return false;
      return !router_busy(jobs, job) && !slot_busy(jobs, job);
    case JOB_UNPLUG:
      return !router_busy(jobs, job) && !slot_busy(jobs, job);
    case JOB_NETWORK:
    case JOB_BLOCK:
      return !router_busy(jobs, job);
    case JOB_POOL:
    case JOB_GROW:
      return running_of(jobs, JOB_POOL) + running_of(jobs, JOB_GROW) == 0;
    default:
      return !has_subject(job) || (!subject_busy(jobs, job->name, job) && !volumes_busy(jobs, job));
  }
}

static struct job *take(struct jobs *jobs, struct job **link) {
  struct job *job = *link;
  *link = job->next;
  if (jobs->waiting_end == &job->next) jobs->waiting_end = link;
  job->next = NULL;
  jobs->waiting_count--;
  return job;
}

struct job *jobs_next(struct jobs *jobs) {
  if (jobs->running_count == LAUNCHER_MAX_WORKERS) return NULL;
  for (struct job **link = &jobs->waiting; *link; link = &(*link)->next)
    if (may_run(jobs, *link)) return take(jobs, link);
  return NULL;
}

struct job *jobs_take_unready(struct jobs *jobs) {
  for (struct job **link = &jobs->waiting; *link; link = &(*link)->next)
    if ((*link)->kind == JOB_PLUG && (*link)->plug.slot >= jobs->ready_slots) return take(jobs, link);
  return NULL;
}

bool jobs_run(struct jobs *jobs, struct job *job, const struct host *host, void (*in_child)(void *),
              void *context) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return false;
  pid_t pid = fork();
  if (pid == 0) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    close(ends[0]);
    in_child(context);
    _exit(worker_run(job, host, ends[1]) ? 0 : 1);
  }
  close_fd(&ends[1]);
  if (pid < 0) {
    close_fd(&ends[0]);
    return false;
  }
  (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
  job->pid = pid;
  job->pipe = ends[0];
  jobs->running[jobs->running_count++] = job;
  return true;
}
