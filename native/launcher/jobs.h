/* Requests that need a worker, in order of arrival, and the workers that run. */
#ifndef CAISSON_LAUNCHER_JOBS_H
#define CAISSON_LAUNCHER_JOBS_H

#include "../shared/frame.h"
#include "host.h"
#include "net_plug.h"
#include "net_router.h"
#include "operations.h"
#include "plan.h"
#include "sandboxes.h"

enum job_kind {
  JOB_START,
  JOB_CLEAN,
  JOB_MAKE_DIRS,
  JOB_REMOVE_TREE,
  JOB_CHECK,
  JOB_NETWORK,
  JOB_BLOCK,
  JOB_PLUG,
  JOB_UNPLUG,
  JOB_OWNER,
  JOB_POOL,
  JOB_GROW,
  JOB_MAKE_ROOT,
  JOB_SAVE,
  JOB_MAKE_VOLUME,
  JOB_REPLACE_ROOT,
  JOB_REMOVE_FROM_POOL,
  JOB_KEEP_ONLY,
  JOB_LIST_POOL,
  JOB_MEASURE,
  JOB_FREEZE,
  JOB_THAW,
  JOB_DUMP
};

struct owner_question {
  uint64_t protocol;
  uint64_t port;
};

struct job {
  struct job *next;
  enum job_kind kind;
  struct origin origin;
  /* START */
  struct plan *plan;
  /* REMOVE_TREE: the path; of all that concerns one sandbox or save, its id. */
  char name[LAUNCHER_MAX_PATH + 1];
  /* NETWORK: NULL leaves the settings that are in force; and who holds the router, 0: nobody. */
  struct router_settings *settings;
  pid_t holder;
  /* PLUG, UNPLUG; of NETWORK and BLOCK the router alone. */
  struct plug plug;
  /* BLOCK */
  unsigned block;
  /* OWNER */
  struct owner_question question;
  /* POOL to MEASURE, GROW. */
  struct pool_request *request;

  /* Of a running job. */
  pid_t pid;
  /* Read end of the worker's answer; -1 when it has been read to its end. */
  int pipe;
  struct writer answer;
};

struct jobs {
  struct job *waiting;
  struct job **waiting_end;
  size_t waiting_count;
  struct job *running[LAUNCHER_MAX_WORKERS];
  size_t running_count;
  /* Slots that the router's table has room for: a PLUG into a later one waits. */
  unsigned ready_slots;
};

struct job *job_new(enum job_kind kind, struct origin origin);
void job_free(struct job *job);
void jobs_add(struct jobs *jobs, struct job *job);
/* The next job that may run now, taken from the queue; NULL when there is none. */
struct job *jobs_next(struct jobs *jobs);
/* Runs a job in a worker. False with errno when it could not be forked. */
bool jobs_run(struct jobs *jobs, struct job *job, const struct host *host, void (*in_child)(void *), void *context);
/* Takes out a PLUG that waits for a slot that will not come; NULL when there is none. */
struct job *jobs_take_unready(struct jobs *jobs);
/* Whether anything is being done, or will be, to a slot. */
bool jobs_slot_busy(const struct jobs *jobs, unsigned slot);
/* Whether anything is being done, or will be, to what a root, save or volume of this id is. */
bool jobs_subject_busy(const struct jobs *jobs, const char *id);
/* The sandbox of a START that has this volume and is not answered yet; NULL: there is none. */
const char *jobs_start_with_volume(const struct jobs *jobs, const char *volume);
/* Whether a START is under way: its init may be a child that nobody knows yet. */
bool jobs_starting(const struct jobs *jobs);

#endif
