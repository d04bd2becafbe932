/*
 * Compiles the system call profile to a seccomp filter for this machine's architecture, once, when the project is
 * built: `seccomp-compile > seccomp.bpf`. The profile is packages/server/src/runtime/oci/seccomp.json.
 *
 * The rules of one system call are tried in order; the first whose conditions hold decides. Arguments are compared
 * by their low 32 bits, because that is what the kernel reads of every argument that the profile looks at.
 */
#define _GNU_SOURCE 1
#include <errno.h>
#include <linux/audit.h>
#include <linux/btrfs.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined __x86_64__
#define ARCHITECTURE AUDIT_ARCH_X86_64
#define FIRST_FOREIGN_NUMBER 0x40000000u /* x32 */
#elif defined __aarch64__
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#define FIRST_FOREIGN_NUMBER 0x40000000u
#else
#error "this architecture has no seccomp profile yet"
#endif

enum { MAX_VALUES = 8, MAX_CONDITIONS = 3, MAX_RULES = 1024 };

/* OP_NOT_OF_TYPE: of an ioctl, by which the kernel knows whose it is. */
enum op { OP_UNUSED, OP_IN, OP_NOT, OP_NONE, OP_NOT_OF_TYPE };

struct condition {
  enum op op;
  unsigned index;
  size_t count;
  unsigned values[MAX_VALUES];
};

struct rule {
  const char *name;
  unsigned number;
  /* 0 allows. */
  unsigned error;
  /* Follows conditional rules of the same call. */
  bool otherwise;
  struct condition conditions[MAX_CONDITIONS];
};

#include "rules.gen.h"

enum { RULE_COUNT = sizeof RULES / sizeof RULES[0] };

/* The rules of one system call, or, with count 0, a run of calls that are not listed. */
struct segment {
  unsigned first;
  const struct rule *rules[8];
  size_t count;
};

static struct sock_filter program[BPF_MAXINSNS];
static size_t length;
static struct segment segments[2 * MAX_RULES];
static size_t segment_count;

static void die(const char *what, const char *name) {
  fprintf(stderr, "seccomp-compile: %s: %s\n", what, name);
  exit(1);
}

static size_t emit(unsigned code, unsigned value, size_t jump_true, size_t jump_false) {
  if (length == BPF_MAXINSNS) die("the profile is too long", "filter");
  if (jump_true > 255 || jump_false > 255) die("a jump is too far", "filter");
  program[length] = (struct sock_filter){.code = (unsigned short)code,
                                         .jt = (unsigned char)jump_true,
                                         .jf = (unsigned char)jump_false,
                                         .k = value};
  return length++;
}

static void emit_return(unsigned error) {
  emit(BPF_RET | BPF_K, error ? SECCOMP_RET_ERRNO | error : SECCOMP_RET_ALLOW, 0, 0);
}

/* A jump out of a rule whose condition fails; its distance is known when the rule is complete. */
struct failing {
  size_t at;
  bool when_false;
};

static void emit_condition(const struct condition *condition, struct failing *failing, size_t *failing_count) {
  emit(BPF_LD | BPF_W | BPF_ABS, (unsigned)offsetof(struct seccomp_data, args) + 8 * condition->index, 0, 0);
  bool of_type = condition->op == OP_NOT_OF_TYPE;
  if (of_type) emit(BPF_ALU | BPF_AND | BPF_K, _IOC_TYPEMASK << _IOC_TYPESHIFT, 0, 0);
  for (size_t i = 0; i < condition->count; i++) {
    unsigned value = of_type ? condition->values[i] << _IOC_TYPESHIFT : condition->values[i];
    bool last = i + 1 == condition->count;
    if (condition->op == OP_IN) {
      size_t at = emit(BPF_JMP | BPF_JEQ | BPF_K, value, condition->count - 1 - i, 0);
      if (last) failing[(*failing_count)++] = (struct failing){at, true};
    } else {
      size_t at = emit(BPF_JMP | (condition->op == OP_NONE ? BPF_JSET : BPF_JEQ) | BPF_K, value, 0, 0);
      failing[(*failing_count)++] = (struct failing){at, false};
    }
  }
}

static void emit_rule(const struct rule *rule) {
  struct failing failing[MAX_CONDITIONS * MAX_VALUES];
  size_t count = 0;
  for (size_t i = 0; i < MAX_CONDITIONS; i++)
    if (rule->conditions[i].op != OP_UNUSED) emit_condition(&rule->conditions[i], failing, &count);
  emit_return(rule->error);
  for (size_t i = 0; i < count; i++) {
    unsigned char distance = (unsigned char)(length - failing[i].at - 1);
    if (failing[i].when_false)
      program[failing[i].at].jf = distance;
    else
      program[failing[i].at].jt = distance;
  }
}

static void emit_segment(const struct segment *segment) {
  for (size_t i = 0; i < segment->count; i++) emit_rule(segment->rules[i]);
  bool decided = segment->count > 0 && segment->rules[segment->count - 1]->conditions[0].op == OP_UNUSED;
  if (!decided) emit_return(DEFAULT_ERRNO);
}

/* A binary search over the system call numbers. */
static void emit_search(size_t first, size_t count) {
  if (count == 1) {
    emit_segment(&segments[first]);
    return;
  }
  size_t half = count / 2;
  emit(BPF_JMP | BPF_JGE | BPF_K, segments[first + half].first, 0, 1);
  size_t jump = emit(BPF_JMP | BPF_JA, 0, 0, 0);
  emit_search(first, half);
  program[jump].k = (unsigned)(length - jump - 1);
  emit_search(first + half, count - half);
}

static bool same_decision(const struct segment *a, const struct segment *b) {
  if (a->count == 0 || b->count == 0) return a->count == b->count;
  const struct rule *x = a->rules[0];
  const struct rule *y = b->rules[0];
  return a->count == 1 && b->count == 1 && x->conditions[0].op == OP_UNUSED &&
         y->conditions[0].op == OP_UNUSED && x->error == y->error;
}

static void add_segment(const struct segment *segment) {
  if (segment_count > 0 && same_decision(&segments[segment_count - 1], segment)) return;
  segments[segment_count++] = *segment;
}

static void collect_rules(unsigned number, struct segment *segment) {
  *segment = (struct segment){.first = number};
  for (size_t i = 0; i < RULE_COUNT; i++) {
    const struct rule *rule = &RULES[i];
    if (rule->number != number) continue;
    bool conditional = rule->conditions[0].op != OP_UNUSED;
    if (segment->count == 8 || (segment->count > 0 && !conditional && !rule->otherwise) ||
        (segment->count == 0 && rule->otherwise))
      die("contradicting rows", rule->name);
    segment->rules[segment->count++] = rule;
  }
}

static void build_segments(void) {
  unsigned highest = 0;
  for (size_t i = 0; i < RULE_COUNT; i++)
    if (RULES[i].number > highest) highest = RULES[i].number;
  for (unsigned number = 0; number <= highest + 1; number++) {
    struct segment segment;
    collect_rules(number, &segment);
    add_segment(&segment);
  }
}

int main(void) {
  build_segments();
  emit(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
  emit(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0);
  /* 32-bit programs would have other numbers for the same calls. */
  emit(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
  emit(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
  emit(BPF_JMP | BPF_JGE | BPF_K, FIRST_FOREIGN_NUMBER, 0, 1);
  emit_return(ENOSYS);
  emit_search(0, segment_count);
  size_t size = length * sizeof program[0];
  if (fwrite(program, 1, size, stdout) != size || fflush(stdout) != 0) die("cannot write", strerror(errno));
  return 0;
}
