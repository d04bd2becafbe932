#define _GNU_SOURCE 1
#include "worker.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "freezer.h"
#include "net_owner.h"

static void answer(int pipe, struct writer *reply, bool ok, uint32_t stream, const struct failure *failure) {
  if (!ok) {
    reply->length = 0;
    writer_begin(reply, MESSAGE_ERROR, 0, stream);
    writer_u64(reply, TAG_ERRNO, (uint64_t)failure->error);
    writer_string(reply, TAG_STEP, failure->step);
    writer_string(reply, TAG_TEXT, failure->text);
  }
  if (writer_end(reply) && !write_all(pipe, reply->data, reply->length)) log_line("the launcher is gone");
  close(pipe);
}

static bool remove_tree(const struct job *job, const struct host *host, int pipe, struct writer *reply,
                        struct failure *failure) {
  if (path_beneath(job->name, "trash")) {
    bool ok = operation_delete_tree(host, job->name, failure);
    answer(pipe, reply, ok, job->origin.stream, failure);
    return ok;
  }
  char name[64];
  char path[96] = "trash/";
  bool ok = operation_discard(host, job->name, name, sizeof name, failure);
  answer(pipe, reply, ok, job->origin.stream, failure);
  if (!ok || !name[0]) return ok;
  strcat(path, name);
  if (operation_delete_tree(host, path, failure)) return true;
  log_line("%s: %s: %s", job->name, failure->step, failure->text);
  return false;
}

/* Items come before the answer, in frames of their own. */
static bool list_pool(const struct job *job, const struct host *host, int pipe, struct writer *reply,
                      struct failure *failure) {
  reply->length = 0;
  bool ok = operation_list_pool(host, job->origin.stream, reply, failure);
  writer_begin(reply, MESSAGE_OK, 0, job->origin.stream);
  answer(pipe, reply, ok, job->origin.stream, failure);
  return ok;
}

/* What concerns the pool, its roots and saves, and the freezer. */
static bool work_on_state(const struct job *job, const struct host *host, struct writer *reply,
                          struct failure *failure) {
  switch (job->kind) {
    case JOB_POOL:
      return operation_pool(host, job->request->max, reply, failure);
    case JOB_GROW:
      return operation_grow(host, job->request->max, failure);
    case JOB_MAKE_ROOT:
      return operation_make_root(host, job->request, failure);
    case JOB_SAVE:
      return operation_save(host, job->request, failure);
    case JOB_MAKE_VOLUME:
      return operation_make_volume(host, job->request, failure);
    case JOB_REPLACE_ROOT:
      return operation_replace_root(host, job->request, failure);
    case JOB_REMOVE_FROM_POOL:
      return operation_remove_from_pool(host, job->request, failure);
    case JOB_KEEP_ONLY:
      return operation_keep_only(host, job->request, failure);
    case JOB_MEASURE:
      return operation_measure(host, job->request, reply, failure);
    case JOB_FREEZE:
      return freezer_freeze(&host->cgroups, job->name, failure);
    case JOB_THAW:
      return operation_thaw(host, job->name, failure);
    case JOB_DUMP:
      return operation_dump(host, job->request, reply, failure);
    default:
      return fail(failure, ENOSYS, "request", "there is no such work");
  }
}

bool worker_run(const struct job *job, const struct host *host, int pipe) {
  struct failure failure = {0};
  struct writer reply = {0};
  bool ok = true;
  writer_begin(&reply, MESSAGE_OK, 0, job->origin.stream);
  switch (job->kind) {
    case JOB_REMOVE_TREE:
      return remove_tree(job, host, pipe, &reply, &failure);
    case JOB_START:
      ok = operation_start(host, job->plan, &reply, &failure);
      break;
    case JOB_CLEAN:
      ok = operation_clean(host, job->name, &failure);
      break;
    case JOB_MAKE_DIRS:
      ok = operation_make_dirs(host, job->name, &failure);
      break;
    case JOB_CHECK:
      operation_check(host, &reply);
      break;
    case JOB_NETWORK:
      ok = operation_network(host, &(struct holder){.pid = job->holder, .namespace = job->plug.router},
                             job->settings, &reply, &failure);
      break;
    case JOB_BLOCK:
      ok = operation_block(job->plug.router, job->block, &failure);
      break;
    case JOB_PLUG:
      ok = operation_plug(host, &job->plug, &reply, &failure);
      break;
    case JOB_UNPLUG:
      ok = operation_unplug(&job->plug, &failure);
      break;
    case JOB_OWNER:
      ok = operation_owner(&host->cgroups, job->name, job->question.protocol, job->question.port, &reply, &failure);
      break;
    case JOB_LIST_POOL:
      return list_pool(job, host, pipe, &reply, &failure);
    default:
      ok = work_on_state(job, host, &reply, &failure);
      break;
  }
  answer(pipe, &reply, ok, job->origin.stream, &failure);
  return ok;
}
