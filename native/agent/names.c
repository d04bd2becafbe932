#include "names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Sorted at once; the runs are merged as they are taken. */
#define RUN 4096
/* For the names of all directories of all requests: some million of them. */
#define MAX_MEMORY (64u << 20)

static size_t memory;

static int grow(void *array, size_t *capacity, size_t element, size_t needed) {
  if (needed <= *capacity) return 0;
  size_t more = *capacity ? *capacity : 64;
  while (more < needed) more *= 2;
  if (memory + (more - *capacity) * element > MAX_MEMORY) return E2BIG;
  void *larger = realloc(*(void **)array, more * element);
  if (!larger) return ENOMEM;
  memory += (more - *capacity) * element;
  *(void **)array = larger;
  *capacity = more;
  return 0;
}

static int compare(const void *left, const void *right, void *text) {
  return strcmp((char *)text + *(const uint32_t *)left, (char *)text + *(const uint32_t *)right);
}

static void sort_last_run(struct names *names) {
  size_t start = (names->count - 1) / RUN * RUN;
  qsort_r(names->at + start, names->count - start, sizeof *names->at, compare, names->text);
}

int names_add(struct names *names, const char *name) {
  size_t size = strlen(name) + 1;
  int error = grow(&names->text, &names->text_capacity, 1, names->text_length + size);
  if (!error) error = grow(&names->at, &names->capacity, sizeof *names->at, names->count + 1);
  if (error) return error;
  memcpy(names->text + names->text_length, name, size);
  names->at[names->count++] = (uint32_t)names->text_length;
  names->text_length += size;
  if (names->count % RUN == 0) sort_last_run(names);
  return 0;
}

int names_seal(struct names *names) {
  if (names->count % RUN) sort_last_run(names);
  names->left = names->count;
  names->heads = calloc(names->count / RUN + 1, sizeof *names->heads);
  return names->heads ? 0 : ENOMEM;
}

/* The first name that is left of a run; NULL when there is none. */
static const char *head(const struct names *names, size_t run) {
  size_t index = run * RUN + names->heads[run];
  return names->heads[run] < RUN && index < names->count ? names->text + names->at[index] : NULL;
}

const char *names_next(struct names *names) {
  const char *least = NULL;
  size_t of = 0;
  for (size_t run = 0; run * RUN < names->count; run++) {
    const char *name = head(names, run);
    if (!name || (least && strcmp(name, least) >= 0)) continue;
    least = name;
    of = run;
  }
  if (!least) return NULL;
  names->heads[of]++;
  names->left--;
  return least;
}

void names_free(struct names *names) {
  memory -= names->text_capacity + names->capacity * sizeof *names->at;
  free(names->text);
  free(names->at);
  free(names->heads);
  *names = (struct names){0};
}
