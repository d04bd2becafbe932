#define _GNU_SOURCE 1
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dump.h"
#include "router_jobs.h"
#include "volumes.h"

enum {
  HAS_ID = 1,
  HAS_SAVE = 2,
  HAS_FROM = 4,
  HAS_DUMP = 8,
  HAS_PATH = 16,
  HAS_QUOTA = 32,
  HAS_MAX = 64,
  HAS_OPAQUE = 128,
  HAS_END = 256,
  HAS_VOLUME = 512
};
/* What is left when the pool begins to grow lasts for some of these, at the speed of memory. */
enum { LOOK_MSEC = 100, NO_ROOM_MSEC = 30000 };

static const uint64_t MAX_BYTES = (uint64_t)1 << 50;

/* What a request needs and may have besides; and whether its sandbox must not run, or the pool must be open. */
static const struct kind {
  uint8_t message;
  enum job_kind job;
  unsigned needed;
  unsigned allowed;
  bool idle;
  bool pool;
} KINDS[] = {
    {MESSAGE_POOL, JOB_POOL, HAS_MAX, 0, false, false},
    {MESSAGE_MAKE_ROOT, JOB_MAKE_ROOT, HAS_ID, HAS_FROM | HAS_QUOTA, true, true},
    {MESSAGE_SAVE, JOB_SAVE, HAS_ID | HAS_SAVE, 0, false, true},
    {MESSAGE_REPLACE_ROOT, JOB_REPLACE_ROOT, HAS_ID | HAS_FROM, HAS_QUOTA, true, true},
    {MESSAGE_MAKE_VOLUME, JOB_MAKE_VOLUME, HAS_VOLUME, HAS_QUOTA, false, true},
    /* One of the three. */
    {MESSAGE_REMOVE_FROM_POOL, JOB_REMOVE_FROM_POOL, 0, HAS_ID | HAS_SAVE | HAS_VOLUME, true, true},
    {MESSAGE_KEEP_ONLY, JOB_KEEP_ONLY, HAS_ID | HAS_PATH, HAS_OPAQUE, true, false},
    {MESSAGE_LIST_POOL, JOB_LIST_POOL, 0, 0, false, false},
    {MESSAGE_MEASURE, JOB_MEASURE, HAS_SAVE, 0, false, true},
    {MESSAGE_FREEZE, JOB_FREEZE, HAS_ID, 0, false, false},
    {MESSAGE_THAW, JOB_THAW, HAS_ID, 0, false, false},
    {MESSAGE_DUMP, JOB_DUMP, HAS_ID | HAS_DUMP, HAS_END | HAS_SAVE, false, false},
    {MESSAGE_REMOVE_DUMP, JOB_REMOVE_TREE, HAS_DUMP, 0, false, false},
};

static const struct kind *find_kind(uint8_t message) {
  for (size_t i = 0; i < countof(KINDS); i++)
    if (KINDS[i].message == message) return &KINDS[i];
  return NULL;
}

bool server_takes_pool_request(const struct frame *frame) { return find_kind(frame->type) != NULL; }

static unsigned take_id(const struct field *field, char *out, unsigned bit) {
  return field_string(field, out, LAUNCHER_MAX_ID + 1) && id_valid(out) ? bit : 0;
}

/* The bit of the field, 0 when it is not valid or not one of these. */
static unsigned take_field(const struct field *field, struct pool_request *request) {
  switch (field->tag) {
    case TAG_ID:
      return take_id(field, request->id, HAS_ID);
    case TAG_SAVE:
      return take_id(field, request->save, HAS_SAVE);
    case TAG_FROM:
      return take_id(field, request->from, HAS_FROM);
    case TAG_DUMP:
      return take_id(field, request->dump, HAS_DUMP);
    case TAG_VOLUME:
      return take_id(field, request->volume, HAS_VOLUME);
    case TAG_PATH:
      return field_string(field, request->path, sizeof request->path) && path_valid(request->path) ? HAS_PATH : 0;
    case TAG_QUOTA:
      return field_in_range(field, 1, MAX_BYTES, &request->quota) ? HAS_QUOTA : 0;
    case TAG_MAX:
      return field_in_range(field, POOL_MIN_BYTES, MAX_BYTES, &request->max) ? HAS_MAX : 0;
    case TAG_END:
      return field_in_range(field, 1, 1, &request->end) ? HAS_END : 0;
    case TAG_OPAQUE:
      return field_in_range(field, 1, 1, &request->opaque) ? HAS_OPAQUE : 0;
    default:
      return 0;
  }
}

static bool parse(const struct frame *frame, const struct kind *kind, struct pool_request *request,
                  struct failure *failure) {
  struct field_reader reader = field_reader(frame);
  struct field field;
  unsigned has = 0;
  while (field_next(&reader, &field)) {
    unsigned bit = take_field(&field, request);
    if (!(bit & (kind->needed | kind->allowed)) || has & bit)
      return fail(failure, EINVAL, "request", "field %d is not known, not valid or there twice", field.tag);
    has |= bit;
  }
  bool one = kind->message != MESSAGE_REMOVE_FROM_POOL || has == HAS_ID || has == HAS_SAVE || has == HAS_VOLUME;
  return (!reader.malformed && (has & kind->needed) == kind->needed && one) || request_refuse(failure, "a field");
}

/* Its files would vanish beneath those that use them. */
static bool volume_free(const struct server *server, const char *volume, struct failure *failure) {
  const char *user = NULL;
  for (const struct sandbox *at = server->sandboxes.first; at && !user; at = at->next)
    if (at->pidfd >= 0 && volume_is_mounted(at->pid, volume)) user = at->id;
  if (!user) user = jobs_start_with_volume(&server->jobs, volume);
  return !user || fail(failure, EBUSY, "remove", "sandbox %s has the volume %s", user, volume);
}

static bool may_proceed(const struct server *server, const struct kind *kind, const struct pool_request *request,
                        struct failure *failure) {
  const struct sandbox *sandbox = request->id[0] ? sandboxes_find(&server->sandboxes, request->id) : NULL;
  bool closed = server->host->pool.kind == POOL_CLOSED;
  if (closed && (kind->pool || (kind->job == JOB_LIST_POOL && pool_exists(server->host))))
    return fail(failure, ENOTCONN, "request", "the pool is not open: POOL comes first");
  if (kind->idle && sandbox && sandbox->state != STATE_ENDED)
    return fail(failure, EBUSY, "request", "sandbox %s has not ended", request->id);
  if (kind->job == JOB_REMOVE_FROM_POOL && request->volume[0] && !volume_free(server, request->volume, failure))
    return false;
  if (kind->job == JOB_DUMP && request->save[0] && closed)
    return fail(failure, ENOTCONN, "request", "the pool is not open: POOL comes first");
  if ((kind->job == JOB_FREEZE || kind->job == JOB_DUMP) && (!sandbox || sandbox->state != STATE_RUNNING))
    return fail(failure, ESRCH, "request", "sandbox %s does not run", request->id);
  return true;
}

static void name_job(struct job *job, const struct pool_request *request) {
  if (job->kind == JOB_REMOVE_TREE)
    snprintf(job->name, sizeof job->name, "dumps/%s", request->dump);
  else
    snprintf(job->name, sizeof job->name, "%s%s%s", request->id, request->id[0] ? "" : request->save, request->volume);
}

/* Not by way of a worker, which would take longer than all the rest of a resumption. */
static bool thaw_now(struct server *server, struct connection *connection, const struct frame *frame, const char *id,
                     struct failure *failure) {
  const struct sandbox *sandbox = sandboxes_find(&server->sandboxes, id);
  if (!sandbox_thaw(server->host, id, sandbox ? sandbox->pidfd : -1, failure)) return false;
  writer_begin(&connection->output, MESSAGE_OK, 0, frame->stream);
  writer_end(&connection->output);
  return true;
}

bool server_pool_request(struct server *server, struct connection *connection, const struct frame *frame,
                         struct failure *failure) {
  const struct kind *kind = find_kind(frame->type);
  struct pool_request *request = calloc(1, sizeof *request);
  if (!request) return request_no_memory(failure);
  bool ok = parse(frame, kind, request, failure) && may_proceed(server, kind, request, failure);
  if (ok && kind->job == JOB_THAW && !jobs_subject_busy(&server->jobs, request->id)) {
    ok = thaw_now(server, connection, frame, request->id, failure);
    free(request);
    return ok;
  }
  struct job *job =
      ok ? job_new(kind->job, (struct origin){.connection = connection->serial, .stream = frame->stream}) : NULL;
  if (!job) {
    free(request);
    return request_no_memory(failure);
  }
  name_job(job, request);
  job->request = request;
  struct sandbox *sandbox = job->kind == JOB_DUMP ? sandboxes_find(&server->sandboxes, request->id) : NULL;
  if (sandbox) sandbox->dumping = request->end;
  jobs_add(&server->jobs, job);
  return true;
}

static bool opened(struct server *server, const struct job *job, const struct frame *frame, struct failure *failure) {
  uint64_t kind = POOL_CLOSED;
  struct field_reader reader = field_reader(frame);
  struct field field;
  while (field_next(&reader, &field))
    if (field.tag == TAG_KIND) field_u64(&field, &kind);
  if (!pool_adopt(server->host, (enum pool_kind)kind, failure)) return false;
  server->growth.max = job->request->max;
  return true;
}

bool server_pool_answered(struct server *server, struct job *job, const struct frame *frame, struct failure *failure) {
  bool ok = frame->type == MESSAGE_OK;
  if (job->kind == JOB_POOL && ok) return opened(server, job, frame, failure);
  if (job->kind != JOB_GROW) return true;
  server->growth.under_way = false;
  /* The pool goes on with the room that it has. */
  if (!ok) server->growth.next_usec = now_usec() + NO_ROOM_MSEC * 1000;
  return true;
}

static void add_growth(struct server *server) {
  struct job *job = job_new(JOB_GROW, (struct origin){0});
  if (job) job->request = calloc(1, sizeof *job->request);
  if (!job || !job->request) {
    free(job);
    return;
  }
  job->request->max = server->growth.max;
  server->growth.under_way = true;
  jobs_add(&server->jobs, job);
}

int server_grow_pool(struct server *server) {
  struct growth *growth = &server->growth;
  if (growth->max == 0 || server->host->pool.kind != POOL_FILE || server->ending) return -1;
  uint64_t now = now_usec();
  if (growth->under_way) return LOOK_MSEC;
  if (now >= growth->next_usec) {
    growth->next_usec = now + LOOK_MSEC * 1000;
    if (pool_short(&server->host->pool, growth->max)) add_growth(server);
  }
  return growth->under_way ? 0 : LOOK_MSEC;
}
