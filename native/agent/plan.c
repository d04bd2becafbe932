#include "plan.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Copies text into a fixed buffer; `too_long` is the errno for text that does not fit. */
static int take_text(const struct field *field, char *out, size_t size, int too_long) {
  if (field_string(field, out, size)) return 0;
  return field->length >= size ? too_long : EINVAL;
}

static int take_number(const struct field *field, uint64_t most, uint64_t *out) {
  if (!field_u64(field, out)) return PLAN_MALFORMED;
  return *out > most ? EINVAL : 0;
}

static int take_flag(const struct field *field, bool *out) {
  uint64_t value = 0;
  int error = take_number(field, 1, &value);
  *out = value;
  return error;
}

static int take_size(const struct field *field, unsigned short *out) {
  uint64_t value = 0;
  int error = take_number(field, UINT16_MAX, &value);
  *out = (unsigned short)value;
  return error;
}

static int start_field(const struct field *field, struct start_plan *plan) {
  switch (field->tag) {
    case FIELD_ID: return take_text(field, plan->id, sizeof plan->id, EINVAL);
    case FIELD_USER: return take_text(field, plan->user, sizeof plan->user, EINVAL);
    case FIELD_CWD: return take_text(field, plan->cwd, sizeof plan->cwd, ENAMETOOLONG);
    case FIELD_STDIN: return take_flag(field, &plan->with_stdin);
    case FIELD_OFFSET: return take_number(field, UINT64_MAX, &plan->offset);
    case FIELD_TTY_COLS: plan->tty = true; return take_size(field, &plan->size.ws_col);
    case FIELD_TTY_ROWS: plan->tty = true; return take_size(field, &plan->size.ws_row);
    case FIELD_ARG: return memchr(field->data, 0, field->length) ? EINVAL : 0;
    /* An entry without "=" is no variable, and exec would pass it on all the same. */
    case FIELD_ENV:
      return memchr(field->data, 0, field->length) || !memchr(field->data, '=', field->length) ? EINVAL : 0;
    default: return 0;
  }
}

/* Lays argv, envp and their texts out in one piece of memory. */
static int copy_strings(const struct frame *frame, size_t arguments, size_t variables, size_t bytes,
                        struct start_plan *plan) {
  size_t pointers = arguments + 1 + variables + ENV_EXTRA + 1;
  plan->memory = calloc(1, pointers * sizeof(char *) + bytes);
  if (!plan->memory) return ENOMEM;
  plan->argv = plan->memory;
  plan->envp = plan->argv + arguments + 1;
  plan->env_count = variables;
  char *text = (char *)(plan->argv + pointers);
  char **argument = plan->argv, **variable = plan->envp;
  struct field_reader reader = field_reader(frame);
  for (struct field field; field_next(&reader, &field);) {
    if (field.tag != FIELD_ARG && field.tag != FIELD_ENV) continue;
    *(field.tag == FIELD_ARG ? argument++ : variable++) = text;
    memcpy(text, field.data, field.length);
    text += field.length + 1;
  }
  return 0;
}

int start_plan_parse(const struct frame *frame, struct start_plan *plan) {
  *plan = (struct start_plan){0};
  size_t arguments = 0, variables = 0, bytes = 0;
  struct field_reader reader = field_reader(frame);
  int error = 0;
  for (struct field field; field_next(&reader, &field) && error != PLAN_MALFORMED;) {
    int found = start_field(&field, plan);
    if (!error || found == PLAN_MALFORMED) error = found;
    if (field.tag != FIELD_ARG && field.tag != FIELD_ENV) continue;
    *(field.tag == FIELD_ARG ? &arguments : &variables) += 1;
    bytes += field.length + 1;
  }
  if (reader.malformed) return PLAN_MALFORMED;
  if (error) return error;
  if (arguments + variables > LIMIT_MAX_STRINGS) return E2BIG;
  if (!arguments || !plan->id[0]) return EINVAL;
  return copy_strings(frame, arguments, variables, bytes, plan);
}

void start_plan_free(struct start_plan *plan) {
  free(plan->memory);
  *plan = (struct start_plan){0};
}

int attach_plan_parse(const struct frame *frame, struct attach_plan *plan) {
  *plan = (struct attach_plan){0};
  struct field_reader reader = field_reader(frame);
  int error = 0;
  for (struct field field; !error && field_next(&reader, &field);) {
    if (field.tag == FIELD_ID) error = take_text(&field, plan->id, sizeof plan->id, EINVAL);
    if (field.tag == FIELD_OFFSET) error = take_number(&field, UINT64_MAX, &plan->offset);
  }
  return reader.malformed ? PLAN_MALFORMED : error;
}

int signal_plan_parse(const struct frame *frame, struct signal_plan *plan) {
  uint64_t signal = 0, scope = 0;
  struct field_reader reader = field_reader(frame);
  int error = 0;
  for (struct field field; !error && field_next(&reader, &field);) {
    if (field.tag == FIELD_SIGNAL) error = take_number(&field, (uint64_t)SIGRTMAX, &signal);
    if (field.tag == FIELD_SCOPE) error = take_number(&field, 2, &scope);
  }
  *plan = (struct signal_plan){.signal = (int)signal, .scope = (int)scope};
  if (reader.malformed) return PLAN_MALFORMED;
  return error ? error : signal ? 0 : EINVAL;
}

int resize_plan_parse(const struct frame *frame, struct winsize *size) {
  *size = (struct winsize){0};
  struct field_reader reader = field_reader(frame);
  int error = 0;
  for (struct field field; !error && field_next(&reader, &field);) {
    if (field.tag == FIELD_TTY_COLS) error = take_size(&field, &size->ws_col);
    if (field.tag == FIELD_TTY_ROWS) error = take_size(&field, &size->ws_row);
  }
  return reader.malformed ? PLAN_MALFORMED : error;
}

/* The name becomes part of a file's. */
static int take_resume(const struct field *field, char out[LIMIT_MAX_ID + 1]) {
  int error = take_text(field, out, LIMIT_MAX_ID + 1, EINVAL);
  if (error) return error;
  for (const char *at = out; *at; at++)
    if (!isalnum((unsigned char)*at) && *at != '_' && *at != '-') return EINVAL;
  return *out ? 0 : EINVAL;
}

static int file_field(const struct field *field, struct file_plan *plan) {
  uint64_t value = 0;
  int error;
  switch (field->tag) {
    case FIELD_PATH: return take_text(field, plan->path, sizeof plan->path, ENAMETOOLONG);
    case FIELD_TARGET: return take_text(field, plan->target, sizeof plan->target, ENAMETOOLONG);
    case FIELD_USER: return take_text(field, plan->user, sizeof plan->user, EINVAL);
    case FIELD_RESUME: return take_resume(field, plan->resume);
    case FIELD_OFFSET: plan->with_offset = true; return take_number(field, INT64_MAX, &plan->offset);
    case FIELD_LENGTH: return take_number(field, UINT64_MAX, &plan->length);
    case FIELD_SIZE: return take_number(field, INT64_MAX, &plan->size);
    case FIELD_DEPTH: return take_number(field, UINT64_MAX, &plan->depth);
    case FIELD_MODE: error = take_number(field, 07777, &value); plan->mode = (int)value; return error;
    case FIELD_UID: error = take_number(field, UINT32_MAX - 1, &value); plan->uid = (uid_t)value; return error;
    case FIELD_GID: error = take_number(field, UINT32_MAX - 1, &value); plan->gid = (gid_t)value; return error;
    case FIELD_PARENTS: return take_flag(field, &plan->parents);
    case FIELD_RECURSIVE: return take_flag(field, &plan->recursive);
    case FIELD_FOLLOW: return take_flag(field, &plan->follow);
    case FIELD_CONTENT: return take_flag(field, &plan->content);
    case FIELD_EXACT: return take_flag(field, &plan->exact);
    case FIELD_ATTRIBUTES: return take_flag(field, &plan->attributes);
    default: return 0;
  }
}

int file_plan_parse(const struct frame *frame, struct file_plan *plan) {
  *plan = (struct file_plan){.length = UINT64_MAX,
                             .size = UINT64_MAX,
                             .depth = UINT64_MAX,
                             .mode = -1,
                             .uid = (uid_t)-1,
                             .gid = (gid_t)-1};
  struct field_reader reader = field_reader(frame);
  int error = 0;
  for (struct field field; field_next(&reader, &field) && error != PLAN_MALFORMED;) {
    int found = file_field(&field, plan);
    if (!error || found == PLAN_MALFORMED) error = found;
  }
  return reader.malformed ? PLAN_MALFORMED : error;
}

/* Rounds towards the past, also before 1970. */
static struct timespec time_of(int64_t nanoseconds) {
  int64_t seconds = nanoseconds / 1000000000, rest = nanoseconds % 1000000000;
  if (rest < 0) seconds--, rest += 1000000000;
  return (struct timespec){.tv_sec = seconds, .tv_nsec = rest};
}

static int entry_field(const struct field *field, struct entry_plan *plan) {
  uint64_t value = 0;
  int error;
  switch (field->tag) {
    case FIELD_NAME: return take_text(field, plan->name, sizeof plan->name, ENAMETOOLONG);
    case FIELD_LINK: return take_text(field, plan->link, sizeof plan->link, ENAMETOOLONG);
    case FIELD_TARGET: return take_text(field, plan->target, sizeof plan->target, ENAMETOOLONG);
    case FIELD_UID: error = take_number(field, UINT32_MAX - 1, &value); plan->uid = (uid_t)value; return error;
    case FIELD_GID: error = take_number(field, UINT32_MAX - 1, &value); plan->gid = (gid_t)value; return error;
    case FIELD_FILE_TYPE: error = take_number(field, S_IFMT, &value); plan->type = (mode_t)value; return error;
    case FIELD_MODE: error = take_number(field, 07777, &value); plan->mode = (int)value; return error;
    case FIELD_SIZE: return take_number(field, INT64_MAX, &plan->size);
    case FIELD_MTIME_NS:
      error = take_number(field, UINT64_MAX, &value);
      plan->mtime = time_of((int64_t)value);
      plan->with_mtime = true;
      return error;
    default: return 0;
  }
}

int entry_plan_parse(const struct frame *frame, struct entry_plan *plan) {
  *plan = (struct entry_plan){.mode = -1, .uid = (uid_t)-1, .gid = (gid_t)-1};
  struct field_reader reader = field_reader(frame);
  int error = 0;
  for (struct field field; field_next(&reader, &field) && error != PLAN_MALFORMED;) {
    int found = entry_field(&field, plan);
    if (!error || found == PLAN_MALFORMED) error = found;
  }
  return reader.malformed ? PLAN_MALFORMED : error;
}

int dial_plan_parse(const struct frame *frame, uint16_t *port) {
  uint64_t value = 0;
  struct field_reader reader = field_reader(frame);
  int error = 0;
  for (struct field field; !error && field_next(&reader, &field);)
    if (field.tag == FIELD_PORT) error = take_number(&field, UINT16_MAX, &value);
  *port = (uint16_t)value;
  if (reader.malformed) return PLAN_MALFORMED;
  return error ? error : value ? 0 : EINVAL;
}

bool bulk_parse(const struct frame *frame, uint64_t *offset, const uint8_t **data, size_t *size) {
  if (frame->length < sizeof *offset || frame->length > sizeof *offset + LIMIT_MAX_CHUNK) return false;
  *offset = load_u64(frame->payload);
  *data = frame->payload + sizeof *offset;
  *size = frame->length - sizeof *offset;
  return true;
}
