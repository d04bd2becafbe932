#define _GNU_SOURCE 1
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "freezer.h"
#include "server.h"

static void refuse(struct connection *connection, uint32_t stream, const struct failure *failure) {
  struct writer *output = &connection->output;
  writer_begin(output, MESSAGE_ERROR, 0, stream);
  writer_u64(output, TAG_ERRNO, (uint64_t)failure->error);
  writer_string(output, TAG_STEP, failure->step);
  writer_string(output, TAG_TEXT, failure->text);
  writer_end(output);
}

static void refuse_memory(struct connection *connection, uint32_t stream) {
  struct failure failure = {0};
  fail(&failure, ENOMEM, "request", "the launcher has no memory left");
  refuse(connection, stream, &failure);
}

static void accept_request(struct connection *connection, uint32_t stream) {
  writer_begin(&connection->output, MESSAGE_OK, 0, stream);
  writer_end(&connection->output);
}

void server_greet(struct server *server, struct connection *connection) {
  static const enum controller all[] = {CONTROLLER_MEMORY, CONTROLLER_CPU, CONTROLLER_PIDS, CONTROLLER_CPUACCT};
  struct writer *output = &connection->output;
  writer_begin(output, MESSAGE_HELLO, 0, 0);
  writer_u64(output, TAG_GENERATION, LAUNCHER_GENERATION);
  writer_u64(output, TAG_PID, (uint64_t)getpid());
  for (size_t i = 0; i < server->host->cgroups.count; i++)
    for (size_t j = 0; j < countof(all); j++) {
      const struct hierarchy *at = &server->host->cgroups.list[i];
      char line[600];
      if (!(at->controllers & all[j])) continue;
      snprintf(line, sizeof line, "%s\t%d\t%s", controller_name(all[j]), at->v2 ? 2 : 1, at->path);
      writer_string(output, TAG_CGROUP, line);
    }
  check_memory(server->host, output);
  writer_end(output);
}

static void describe(const struct server *server, struct writer *output, uint8_t type, uint32_t stream,
                     const struct sandbox *sandbox) {
  writer_begin(output, type, 0, stream);
  writer_string(output, TAG_ID, sandbox->id);
  writer_u64(output, TAG_STATE, (uint64_t)sandbox->state);
  if (sandbox->pidfd >= 0) {
    writer_u64(output, TAG_PID, (uint64_t)sandbox->pid);
    writer_u64(output, TAG_START_TIME, sandbox->start_time);
    if (freezer_is_frozen(&server->host->cgroups, sandbox->id)) writer_u64(output, TAG_FROZEN, 1);
  }
  if (sandbox->status_known) writer_u64(output, TAG_WAIT_STATUS, (uint64_t)sandbox->wait_status);
  writer_end(output);
}

void server_announce_end(struct server *server, const struct sandbox *sandbox) {
  for (size_t i = 0; i < server->connections.count; i++)
    describe(server, &server->connections.list[i].output, MESSAGE_ENDED, 0, sandbox);
}

static void list(struct server *server, struct connection *connection, uint32_t stream) {
  for (const struct sandbox *at = server->sandboxes.first; at; at = at->next)
    describe(server, &connection->output, MESSAGE_SANDBOX, stream, at);
  accept_request(connection, stream);
}

static bool add_job(struct server *server, enum job_kind kind, struct origin origin, const char *name,
                    struct plan *plan) {
  struct job *job = job_new(kind, origin);
  if (!job) return false;
  snprintf(job->name, sizeof job->name, "%s", name);
  job->plan = plan;
  jobs_add(&server->jobs, job);
  return true;
}

static bool start(struct server *server, const struct frame *frame, struct origin origin, struct failure *failure) {
  struct plan *plan = calloc(1, sizeof *plan);
  if (!plan) return fail(failure, ENOMEM, "request", "the launcher has no memory left");
  bool ok = plan_parse(frame, plan, failure);
  if (ok && sandboxes_find(&server->sandboxes, plan->id))
    ok = fail(failure, EEXIST, "request", "sandbox %s exists", plan->id);
  if (ok && server->sandboxes.count >= server->max_sandboxes)
    ok = fail(failure, EMFILE, "request", "the launcher can hold %zu sandboxes", server->max_sandboxes);
  if (ok && plan_needs_pool(plan) && server->host->pool.kind == POOL_CLOSED)
    ok = fail(failure, ENOTCONN, "request", "the pool is not open: POOL comes first");
  /* Here, and not in the job, whose descriptors would be its own. */
  ok = ok && cgroups_ensure(&server->host->cgroups, failure);
  struct sandbox *sandbox = ok ? sandboxes_add(&server->sandboxes, plan->id, STATE_STARTING) : NULL;
  if (sandbox && add_job(server, JOB_START, origin, plan->id, plan)) return true;
  if (sandbox) sandboxes_drop(&server->sandboxes, sandbox);
  free(plan);
  return fail(failure, ENOMEM, "request", "the launcher has no memory left");
}

void server_continue_delete(struct server *server, struct sandbox *sandbox) {
  if (!sandbox->delete_wanted || sandbox->cleaning) return;
  if (sandbox->state == STATE_RUNNING) {
    sandbox_kill(sandbox);
    freezer_release(&server->host->cgroups, sandbox->id);
  }
  if (sandbox->state != STATE_ENDED) return;
  sandbox->cleaning = add_job(server, JOB_CLEAN, (struct origin){0}, sandbox->id, NULL);
}

static bool delete(struct server *server, const struct frame *frame, struct origin origin, struct failure *failure) {
  char id[LAUNCHER_MAX_ID + 1];
  if (!parse_id(frame, id, failure)) return false;
  struct sandbox *sandbox = sandboxes_find(&server->sandboxes, id);
  /* An id that is not known may still have left something behind, so it is cleaned like any other. */
  if (!sandbox) sandbox = sandboxes_add(&server->sandboxes, id, STATE_ENDED);
  if (sandbox && sandbox->waiter_count >= LAUNCHER_MAX_REQUESTS)
    return fail(failure, EAGAIN, "request", "%d requests are waiting", LAUNCHER_MAX_REQUESTS);
  if (!sandbox || !sandbox_add_waiter(sandbox, origin))
    return fail(failure, ENOMEM, "request", "the launcher has no memory left");
  sandbox->delete_wanted = true;
  server_continue_delete(server, sandbox);
  return true;
}

/* A tree is busy while a sandbox's mounts use it. */
static bool tree_free(struct server *server, const char *path, struct failure *failure) {
  char id[LAUNCHER_MAX_PATH + 1];
  if (!path_beneath(path, "sandboxes")) return true;
  snprintf(id, sizeof id, "%s", path + strlen("sandboxes/"));
  id[strcspn(id, "/")] = 0;
  const struct sandbox *sandbox = sandboxes_find(&server->sandboxes, id);
  if (!sandbox || sandbox->state == STATE_ENDED) return true;
  return fail(failure, EBUSY, "remove", "sandbox %s has not ended", id);
}

static bool remove_tree(struct server *server, const struct frame *frame, struct origin origin,
                        struct failure *failure) {
  char path[LAUNCHER_MAX_PATH + 1];
  if (!parse_tree(frame, path, failure) || !tree_free(server, path, failure)) return false;
  return add_job(server, JOB_REMOVE_TREE, origin, path, NULL) ||
         fail(failure, ENOMEM, "request", "the launcher has no memory left");
}

static bool make_dirs(struct server *server, const struct frame *frame, struct origin origin,
                      struct failure *failure) {
  char id[LAUNCHER_MAX_ID + 1];
  if (!parse_id(frame, id, failure)) return false;
  return add_job(server, JOB_MAKE_DIRS, origin, id, NULL) ||
         fail(failure, ENOMEM, "request", "the launcher has no memory left");
}

void server_request(struct server *server, struct connection *connection, const struct frame *frame) {
  struct origin origin = {.connection = connection->serial, .stream = frame->stream};
  struct failure failure = {0};
  bool ok = true;
  if (server->ending)
    ok = fail(&failure, ESHUTDOWN, "request", "the launcher is ending");
  else if (server->jobs.waiting_count >= LAUNCHER_MAX_REQUESTS)
    ok = fail(&failure, EAGAIN, "request", "%d requests are waiting", LAUNCHER_MAX_REQUESTS);
  else
    switch (frame->type) {
      case MESSAGE_START:
        ok = start(server, frame, origin, &failure);
        break;
      case MESSAGE_DELETE:
        ok = delete(server, frame, origin, &failure);
        break;
      case MESSAGE_LIST:
        list(server, connection, frame->stream);
        break;
      case MESSAGE_MAKE_DIRS:
        ok = make_dirs(server, frame, origin, &failure);
        break;
      case MESSAGE_REMOVE_TREE:
        ok = remove_tree(server, frame, origin, &failure);
        break;
      case MESSAGE_CHECK:
        ok = add_job(server, JOB_CHECK, origin, "", NULL);
        break;
      case MESSAGE_SHUTDOWN:
        server->ending = true;
        accept_request(connection, frame->stream);
        break;
      default:
        ok = server_takes_pool_request(frame) ? server_pool_request(server, connection, frame, &failure)
                                              : server_network_request(server, connection, frame, &failure);
    }
  if (!ok && failure.error) refuse(connection, frame->stream, &failure);
  if (!ok && !failure.error) refuse_memory(connection, frame->stream);
}

static void start_answered(struct server *server, struct sandbox *sandbox, const struct frame *frame) {
  uint64_t pid = 0;
  uint64_t start_time = 0;
  struct field_reader reader = field_reader(frame);
  struct field field;
  while (frame->type == MESSAGE_OK && field_next(&reader, &field)) {
    if (field.tag == TAG_PID) field_u64(&field, &pid);
    if (field.tag == TAG_START_TIME) field_u64(&field, &start_time);
  }
  sandbox->state = STATE_ENDED;
  if (pid) sandbox_started(sandbox, (pid_t)pid, start_time);
  if (sandbox->state == STATE_ENDED && pid) server_announce_end(server, sandbox);
  if (!pid && !sandbox->delete_wanted)
    sandboxes_drop(&server->sandboxes, sandbox);
  else
    server_continue_delete(server, sandbox);
}

static void clean_answered(struct server *server, struct sandbox *sandbox, const struct frame *frame) {
  sandbox->cleaning = false;
  sandbox->delete_wanted = false;
  for (size_t i = 0; i < sandbox->waiter_count; i++) {
    struct origin *waiter = &sandbox->waiters[i];
    struct connection *connection = connections_find(&server->connections, waiter->connection);
    if (!connection) continue;
    writer_begin(&connection->output, frame->type, 0, waiter->stream);
    writer_raw(&connection->output, frame->payload, frame->length);
    writer_end(&connection->output);
  }
  sandbox->waiter_count = 0;
  if (frame->type != MESSAGE_OK) return;
  server_release_slot(server, sandbox->id);
  sandboxes_drop(&server->sandboxes, sandbox);
}

/* The processes are gone, and that is no end of the sandbox; or they are not, or have ended by themselves meanwhile. */
static void dump_answered(struct server *server, struct sandbox *sandbox, const struct frame *frame) {
  sandbox->dumping = false;
  if (frame->type != MESSAGE_OK) {
    if (sandbox->state == STATE_ENDED) server_announce_end(server, sandbox);
    return;
  }
  if (sandbox->pidfd >= 0) sandbox_ended(sandbox);
  if (sandbox->delete_wanted) {
    server_continue_delete(server, sandbox);
    return;
  }
  server_release_slot(server, sandbox->id);
  sandboxes_drop(&server->sandboxes, sandbox);
}

/* Puts an ERROR in the place of a worker's answer. */
static void answer_instead(struct job *job, const struct failure *failure) {
  writer_free(&job->answer);
  writer_begin(&job->answer, MESSAGE_ERROR, 0, job->origin.stream);
  writer_u64(&job->answer, TAG_ERRNO, (uint64_t)failure->error);
  writer_string(&job->answer, TAG_STEP, failure->step);
  writer_string(&job->answer, TAG_TEXT, failure->text);
  writer_end(&job->answer);
}

/* The last frame; items may come before it. False when the answer is not whole. */
static bool parse_answer(const struct job *job, struct frame *frame) {
  size_t used = 0;
  size_t at = 0;
  do {
    if (frame_parse(job->answer.data + at, job->answer.length - at, frame, &used) != 1) return false;
    at += used;
  } while (at < job->answer.length);
  return frame->type == MESSAGE_OK || frame->type == MESSAGE_ERROR;
}

void server_job_answered(struct server *server, struct job *job) {
  struct frame frame;
  struct failure failure = {0};
  bool died = !parse_answer(job, &frame);
  /* A worker that died has answered nothing: say so in its place. */
  if (died) {
    fail(&failure, ECHILD, "worker", "the worker was killed");
    answer_instead(job, &failure);
    if (!parse_answer(job, &frame)) return;
  }
  if (!server_network_answered(server, job, &frame, &failure) ||
      !server_pool_answered(server, job, &frame, &failure)) {
    answer_instead(job, &failure);
    if (!parse_answer(job, &frame)) return;
  }
  struct sandbox *sandbox = sandboxes_find(&server->sandboxes, job->name);
  struct connection *connection = connections_find(&server->connections, job->origin.connection);
  if (connection) writer_raw(&connection->output, job->answer.data, job->answer.length);
  /* What a killed start has left behind is removed without being asked. */
  if (job->kind == JOB_START && sandbox && died) sandbox->delete_wanted = true;
  if (job->kind == JOB_START && sandbox) start_answered(server, sandbox, &frame);
  if (job->kind == JOB_DUMP && job->request->end && sandbox) dump_answered(server, sandbox, &frame);
  if (job->kind == JOB_CLEAN && sandbox) clean_answered(server, sandbox, &frame);
}
