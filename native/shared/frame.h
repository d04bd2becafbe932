/* Frames and fields of the agent protocol and of the launcher's; packages/protocol/src/frames.ts is their manual. */
#ifndef CAISSON_FRAME_H
#define CAISSON_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame {
  uint32_t stream;
  uint8_t type;
  uint8_t flags;
  uint32_t length;
  const uint8_t *payload; /* points into the parsed buffer */
};

/* Parses one frame at `data`. 1: a whole frame, `*used` bytes long; 0: more bytes are needed; -1: not a frame. */
int frame_parse(const uint8_t *data, size_t size, struct frame *out, size_t *used);

/* Writes the LIMIT_HEADER bytes of a header, for payloads that are sent from where they are. */
void frame_put_header(uint8_t *at, uint32_t length, uint32_t stream, uint8_t type, uint8_t flags);

/* One field of a payload; `data` is not NUL-terminated and may hold any bytes. */
struct field {
  uint8_t tag;
  uint32_t length;
  const uint8_t *data;
};

struct field_reader {
  const uint8_t *at;
  size_t left;
  bool malformed; /* a field reached past the payload */
};

struct field_reader field_reader(const struct frame *frame);
bool field_next(struct field_reader *reader, struct field *out);
/* False unless the field is exactly eight bytes. */
bool field_u64(const struct field *field, uint64_t *out);
/* Copies the field as a C string into `out`; false when it has a NUL byte or does not fit with its terminator. */
bool field_string(const struct field *field, char *out, size_t size);

/* Builds frames at the end of a growing buffer. `failed` sticks when memory runs out or a limit is passed. */
struct writer {
  uint8_t *data;
  size_t length;
  size_t capacity;
  size_t frame_start;
  bool failed;
};

void writer_free(struct writer *writer);
void writer_begin(struct writer *writer, uint8_t type, uint8_t flags, uint32_t stream);
void writer_raw(struct writer *writer, const void *data, size_t size);
void writer_raw_u64(struct writer *writer, uint64_t value);
void writer_bytes(struct writer *writer, uint8_t tag, const void *data, size_t size);
void writer_string(struct writer *writer, uint8_t tag, const char *text);
void writer_u64(struct writer *writer, uint8_t tag, uint64_t value);
/* Fills in the header's length; false, with the frame taken back, when the writer failed. */
bool writer_end(struct writer *writer);

uint32_t load_u32(const uint8_t *at);
uint64_t load_u64(const uint8_t *at);
void store_u64(uint8_t *at, uint64_t value);

#endif
