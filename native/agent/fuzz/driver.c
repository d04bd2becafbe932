/*
 * Stands in for libFuzzer where there is only gcc: mutates seeds for -max_total_time seconds (default 20). It knows
 * nothing of coverage. -seed=N repeats a run; the input that broke the target is printed in hex.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "frame.h"
#include "protocol.gen.h"

#define MAX_INPUT 4096
#define MAX_CORPUS 64
#define MAX_MUTATIONS 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void __asan_set_death_callback(void (*callback)(void));

struct input {
  size_t size;
  uint8_t bytes[MAX_INPUT];
};

static struct input corpus[MAX_CORPUS];
static size_t corpus_size;
static struct input current;
static uint64_t state;

/* xorshift64*: small, and the same everywhere. */
static uint64_t draw(void) {
  state ^= state >> 12;
  state ^= state << 25;
  state ^= state >> 27;
  return state * UINT64_C(2685821657736338717);
}

static size_t below(size_t bound) { return bound ? (size_t)(draw() % bound) : 0; }

static void print_current(void) {
  fprintf(stderr, "input of %zu bytes: ", current.size);
  for (size_t i = 0; i < current.size; i++) fprintf(stderr, "%02x", current.bytes[i]);
  fputc('\n', stderr);
}

static void add_seed(const void *bytes, size_t size) {
  struct input *seed = &corpus[corpus_size++];
  seed->size = size < MAX_INPUT ? size : MAX_INPUT;
  memcpy(seed->bytes, bytes, seed->size);
}

static void seed_request(uint8_t type) {
  struct writer writer = {0};
  writer_begin(&writer, type, 0, 7);
  for (uint8_t tag = FIELD_ID; tag <= FIELD_PORT; tag++) {
    if (tag % 2)
      writer_string(&writer, tag, tag == FIELD_ARG ? "/bin/sh" : "KEY=value");
    else
      writer_u64(&writer, tag, tag);
  }
  writer_end(&writer);
  writer_begin(&writer, FRAME_STDIN, 0, 7);
  writer_raw_u64(&writer, 5);
  writer_raw(&writer, "bytes", 5);
  writer_end(&writer);
  add_seed(writer.data, writer.length);
  writer_free(&writer);
}

static void seed_start(void) {
  struct writer writer = {0};
  writer_begin(&writer, FRAME_START, 0, 1);
  writer_string(&writer, FIELD_ID, "id");
  writer_string(&writer, FIELD_ARG, "sh");
  writer_string(&writer, FIELD_ARG, "-c");
  writer_string(&writer, FIELD_ENV, "A=b");
  writer_string(&writer, FIELD_CWD, "/");
  writer_string(&writer, FIELD_USER, "agent");
  writer_u64(&writer, FIELD_TTY_COLS, 80);
  writer_end(&writer);
  add_seed(writer.data, writer.length);
  /* The payload alone. */
  add_seed(writer.data + LIMIT_HEADER, writer.length - LIMIT_HEADER);
  writer_free(&writer);
}

static void seed_tree(void) {
  struct writer writer = {0};
  writer_begin(&writer, FRAME_TREE_WRITE, 0, 3);
  writer_string(&writer, FIELD_PATH, "base");
  writer_string(&writer, FIELD_RESUME, "upload-1");
  writer_u64(&writer, FIELD_DEPTH, 1);
  writer_u64(&writer, FIELD_CONTENT, 1);
  writer_u64(&writer, FIELD_PORT, 8080);
  writer_end(&writer);
  writer_begin(&writer, FRAME_ENTRY, 0, 3);
  writer_string(&writer, FIELD_NAME, "a/../b");
  writer_u64(&writer, FIELD_FILE_TYPE, 0100000);
  writer_u64(&writer, FIELD_MODE, 0755);
  writer_u64(&writer, FIELD_MTIME_NS, UINT64_MAX);
  writer_u64(&writer, FIELD_SIZE, 3);
  writer_string(&writer, FIELD_LINK, "to");
  writer_end(&writer);
  add_seed(writer.data, writer.length);
  writer_free(&writer);
}

static void make_seeds(void) {
  static const char passwd[] = "root:x:0:0:root:/root:/bin/bash\nagent:x:1000:1000::/home/agent:/bin/sh\n";
  static const char group[] = "root:x:0:\nagent:x:1000:root,agent\nb:x:12:agent\n";
  seed_start();
  seed_request(FRAME_FILE_WRITE);
  seed_request(FRAME_SIGNAL);
  seed_tree();
  add_seed(passwd, sizeof passwd - 1);
  add_seed(group, sizeof group - 1);
  add_seed("", 0);
}

static void insert(const uint8_t *bytes, size_t size) {
  size_t at = below(current.size + 1);
  if (current.size + size > MAX_INPUT) return;
  memmove(current.bytes + at + size, current.bytes + at, current.size - at);
  memcpy(current.bytes + at, bytes, size);
  current.size += size;
}

static void erase(void) {
  size_t at = below(current.size), size = below(current.size - at + 1);
  memmove(current.bytes + at, current.bytes + at + size, current.size - at - size);
  current.size -= size;
}

static void overwrite_number(void) {
  static const uint32_t odd[] = {0, 1, 4, 5, 8, 9, 255, 256, 65535, 65536, 262144, 262145, 0x7fffffff, 0xffffffff};
  uint32_t value = odd[below(sizeof odd / sizeof *odd)];
  if (current.size < 4) return;
  size_t at = below(current.size - 3);
  for (int i = 0; i < 4; i++) current.bytes[at + (size_t)i] = (uint8_t)(value >> (8 * i));
}

static void mutate(void) {
  const struct input *other = &corpus[below(corpus_size)];
  uint8_t bytes[16];
  switch (below(6)) {
    case 0:
      if (current.size) current.bytes[below(current.size)] ^= (uint8_t)(1U << below(8));
      break;
    case 1:
      if (current.size) current.bytes[below(current.size)] = (uint8_t)draw();
      break;
    case 2: overwrite_number(); break;
    case 3: erase(); break;
    case 4:
      for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)draw();
      insert(bytes, below(sizeof bytes));
      break;
    default: {
      size_t at = below(other->size);
      insert(other->bytes + at, below(other->size - at + 1));
    }
  }
}

static long option(int argc, char **argv, const char *name, long otherwise) {
  size_t length = strlen(name);
  for (int i = 1; i < argc; i++)
    if (!strncmp(argv[i], name, length)) return atol(argv[i] + length);
  return otherwise;
}

int main(int argc, char **argv) {
  time_t end = time(NULL) + option(argc, argv, "-max_total_time=", 20);
  long seed = option(argc, argv, "-seed=", (long)time(NULL));
  state = (uint64_t)seed * 2 + 1;
  __asan_set_death_callback(print_current);
  make_seeds();
  printf("fuzzing with -seed=%ld\n", seed);
  unsigned long long runs = 0;
  size_t seeds = corpus_size;
  for (; runs % 1024 || time(NULL) < end; runs++) {
    current = corpus[below(corpus_size)];
    for (size_t i = below(MAX_MUTATIONS + 1); i; i--) mutate();
    /* A copy of the exact size on the heap, so that one byte too far is seen. */
    uint8_t *exact = malloc(current.size ? current.size : 1);
    if (!exact) return 1;
    memcpy(exact, current.bytes, current.size);
    LLVMFuzzerTestOneInput(exact, current.size);
    free(exact);
    /* Some mutants become seeds, so that changes add up. */
    if (!below(4096)) corpus[corpus_size < MAX_CORPUS ? corpus_size++ : seeds + below(MAX_CORPUS - seeds)] = current;
  }
  printf("%llu runs\n", runs);
  return 0;
}
