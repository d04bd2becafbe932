#include "frame.h"

#include <stdlib.h>
#include <string.h>

#include "protocol.gen.h"

uint32_t load_u32(const uint8_t *at) {
  return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint64_t load_u64(const uint8_t *at) { return (uint64_t)load_u32(at) | (uint64_t)load_u32(at + 4) << 32; }

static void store_u32(uint8_t *at, uint32_t value) {
  for (int i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

void store_u64(uint8_t *at, uint64_t value) {
  store_u32(at, (uint32_t)value);
  store_u32(at + 4, (uint32_t)(value >> 32));
}

void frame_put_header(uint8_t *at, uint32_t length, uint32_t stream, uint8_t type, uint8_t flags) {
  store_u32(at, length);
  store_u32(at + 4, stream);
  at[8] = type;
  at[9] = flags;
  at[10] = at[11] = 0;
}

int frame_parse(const uint8_t *data, size_t size, struct frame *out, size_t *used) {
  if (size < LIMIT_HEADER) return 0;
  uint32_t length = load_u32(data);
  if (length > LIMIT_MAX_PAYLOAD || data[10] || data[11]) return -1;
  if (size - LIMIT_HEADER < length) return 0;
  *out = (struct frame){.stream = load_u32(data + 4),
                        .type = data[8],
                        .flags = data[9],
                        .length = length,
                        .payload = data + LIMIT_HEADER};
  *used = LIMIT_HEADER + (size_t)length;
  return 1;
}

struct field_reader field_reader(const struct frame *frame) {
  return (struct field_reader){.at = frame->payload, .left = frame->length};
}

bool field_next(struct field_reader *reader, struct field *out) {
  if (reader->left == 0 || reader->malformed) return false;
  if (reader->left < 5 || load_u32(reader->at + 1) > reader->left - 5) {
    reader->malformed = true;
    return false;
  }
  *out = (struct field){.tag = reader->at[0], .length = load_u32(reader->at + 1), .data = reader->at + 5};
  reader->at += 5 + (size_t)out->length;
  reader->left -= 5 + (size_t)out->length;
  return true;
}

bool field_u64(const struct field *field, uint64_t *out) {
  if (field->length != 8) return false;
  *out = load_u64(field->data);
  return true;
}

bool field_string(const struct field *field, char *out, size_t size) {
  if (field->length >= size || memchr(field->data, 0, field->length)) return false;
  memcpy(out, field->data, field->length);
  out[field->length] = 0;
  return true;
}

void writer_free(struct writer *writer) {
  free(writer->data);
  *writer = (struct writer){0};
}

static uint8_t *writer_reserve(struct writer *writer, size_t size) {
  if (writer->failed) return NULL;
  if (writer->capacity - writer->length < size) {
    size_t capacity = writer->capacity ? writer->capacity : 256;
    while (capacity - writer->length < size) capacity *= 2;
    uint8_t *data = realloc(writer->data, capacity);
    if (!data) {
      writer->failed = true;
      return NULL;
    }
    writer->data = data;
    writer->capacity = capacity;
  }
  uint8_t *at = writer->data + writer->length;
  writer->length += size;
  return at;
}

void writer_begin(struct writer *writer, uint8_t type, uint8_t flags, uint32_t stream) {
  writer->frame_start = writer->length;
  uint8_t *at = writer_reserve(writer, LIMIT_HEADER);
  if (!at) return;
  frame_put_header(at, 0, stream, type, flags);
}

void writer_raw(struct writer *writer, const void *data, size_t size) {
  uint8_t *at = writer_reserve(writer, size);
  if (at && size) memcpy(at, data, size);
}

void writer_raw_u64(struct writer *writer, uint64_t value) {
  uint8_t *at = writer_reserve(writer, 8);
  if (at) store_u64(at, value);
}

void writer_bytes(struct writer *writer, uint8_t tag, const void *data, size_t size) {
  if (size > LIMIT_MAX_PAYLOAD) {
    writer->failed = true;
    return;
  }
  uint8_t *at = writer_reserve(writer, 5 + size);
  if (!at) return;
  at[0] = tag;
  store_u32(at + 1, (uint32_t)size);
  if (size) memcpy(at + 5, data, size);
}

void writer_string(struct writer *writer, uint8_t tag, const char *text) {
  writer_bytes(writer, tag, text, strlen(text));
}

void writer_u64(struct writer *writer, uint8_t tag, uint64_t value) {
  uint8_t bytes[8];
  store_u64(bytes, value);
  writer_bytes(writer, tag, bytes, sizeof bytes);
}

bool writer_end(struct writer *writer) {
  size_t length = writer->length - writer->frame_start;
  if (!writer->failed && length - LIMIT_HEADER <= LIMIT_MAX_PAYLOAD) {
    store_u32(writer->data + writer->frame_start, (uint32_t)(length - LIMIT_HEADER));
    return true;
  }
  writer->length = writer->frame_start;
  writer->failed = false;
  return false;
}
