#include "dispatch.h"

#include <errno.h>

#include "connection.h"
#include "dial.h"
#include "execution.h"
#include "files.h"
#include "protocol.gen.h"
#include "request.h"

/* Requests that open a stream. */
static void (*const openers[256])(const struct frame *) = {
    [FRAME_START] = execution_start,   [FRAME_ATTACH] = execution_attach, [FRAME_FILE_READ] = file_read,
    [FRAME_FILE_WRITE] = file_write,   [FRAME_FILE_STAT] = file_stat,     [FRAME_FILE_LIST] = file_list,
    [FRAME_FILE_MKDIR] = file_mkdir,   [FRAME_FILE_RENAME] = file_rename, [FRAME_FILE_REMOVE] = file_remove,
    [FRAME_FILE_CHMOD] = file_chmod,   [FRAME_FILE_CHOWN] = file_chown,   [FRAME_TREE_WRITE] = file_write_tree,
    [FRAME_TREE_READ] = file_read_tree, [FRAME_DIAL] = dial,             [FRAME_FILE_WATCH] = file_watch,
    [FRAME_FILE_ATTRIBUTES] = file_attributes,
};

/* The host says which generation it speaks; every generation so far can be answered in this one. */
static void hello(const struct frame *frame) {
  uint64_t generation = 0;
  struct field_reader reader = field_reader(frame);
  for (struct field field; field_next(&reader, &field);)
    if (field.tag == FIELD_GENERATION && !field_u64(&field, &generation)) reader.malformed = true;
  if (reader.malformed || !generation) connection_break();
}

static void to_execution(struct execution *execution, const struct frame *frame) {
  switch (frame->type) {
    case FRAME_STDIN: execution_stdin(execution, frame); break;
    case FRAME_STDIN_CLOSE: execution_stdin_close(execution); break;
    case FRAME_SIGNAL: execution_signal(execution, frame); break;
    case FRAME_RESIZE: execution_resize(execution, frame); break;
    case FRAME_ACK: execution_acknowledge(execution, frame); break;
    case FRAME_FORGET: execution_forget(execution); break;
    default: connection_break();
  }
}

static void to_request(struct request *request, const struct frame *frame) {
  if (frame->type == FRAME_CANCEL)
    request_end(request);
  else if (frame->type == FRAME_DATA && request->data)
    request->data(request, frame);
  else if (frame->type == FRAME_ENTRY && request->entry)
    request->entry(request, frame);
  else if (frame->type == FRAME_END && request->end)
    request->end(request);
  else if (frame->type == FRAME_ACK && request->acknowledge)
    request->acknowledge(request, frame);
  else
    connection_break();
}

/* The stream has ended, perhaps while this was on its way. */
static void to_nobody(const struct frame *frame) {
  switch (frame->type) {
    case FRAME_SIGNAL: send_error(frame->stream, ESRCH, "signal"); break;
    case FRAME_STDIN:
    case FRAME_STDIN_CLOSE:
    case FRAME_RESIZE:
    case FRAME_ACK:
    case FRAME_FORGET:
    case FRAME_DATA:
    case FRAME_ENTRY:
    case FRAME_END:
    case FRAME_CANCEL: break;
    default: send_error(frame->stream, ENOSYS, "frame type %u", frame->type);
  }
}

void dispatch(const struct frame *frame) {
  if (frame->stream == 0) {
    if (frame->type == FRAME_HELLO)
      hello(frame);
    else
      connection_break();
    return;
  }
  struct execution *execution = execution_of_stream(frame->stream);
  struct request *request = execution ? NULL : request_of_stream(frame->stream);
  if (execution)
    to_execution(execution, frame);
  else if (request)
    to_request(request, frame);
  else if (openers[frame->type])
    openers[frame->type](frame);
  else
    to_nobody(frame);
}

void dispatch_settle(void) { file_write_settle(); }
