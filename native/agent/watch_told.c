#include "watch_told.h"

#include <stddef.h>

/* Above this, the oldest are forgotten, and at worst told twice. */
#define MAX_TOLD 1024

static uint64_t told[MAX_TOLD];
static size_t count, oldest;

/* FNV-1a; never 0, which marks a free place. */
static uint64_t hash(uint32_t stream, int number, const char *name) {
  uint64_t value = UINT64_C(14695981039346656037);
  value = (value ^ stream) * UINT64_C(1099511628211);
  value = (value ^ (uint32_t)number) * UINT64_C(1099511628211);
  for (; *name; name++) value = (value ^ (uint8_t)*name) * UINT64_C(1099511628211);
  return value ? value : 1;
}

void watch_told_add(uint32_t stream, int number, const char *name) {
  uint64_t value = hash(stream, number, name);
  if (count < MAX_TOLD)
    told[count++] = value;
  else
    told[oldest++ % MAX_TOLD] = value;
}

bool watch_told_take(uint32_t stream, int number, const char *name) {
  if (!count) return false;
  uint64_t value = hash(stream, number, name);
  for (size_t i = 0; i < count; i++) {
    if (told[i] != value) continue;
    told[i] = 0;
    return true;
  }
  return false;
}

void watch_told_clear(void) { count = oldest = 0; }
