/* Times programs from a process that stays small: a fork costs more the larger the forking process is, and the
 * benchmark itself is large. With arguments it first takes a mount namespace of its own, mounts an overlay there (lower,
 * upper, work, target) and unmounts what the fifth names, if there is one; all of that ends with it.
 *
 * A line of stdin is a command, its fields separated by 0x1f: "d<path>" makes a directory and "w<path>=<value>" writes
 * a file, in order and within the time; "g<path>" is the v2 cgroup in which the child begins; "t<path>" has the child
 * write "0" there; "a<word>" is a word of its command line. The answer is a line: nanoseconds and the wait status.
 * Exit status 2: a command that is not understood. */
#define _GNU_SOURCE 1
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_FIELDS = 256, MAX_LINE = 65536 };

struct command {
  char *fields[MAX_FIELDS];
  size_t count;
};

static uint64_t now_nsec(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void die(const char *what) {
  fprintf(stderr, "timer: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void write_file(const char *path, const char *value) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, value, strlen(value)) < 0) die(path);
  close(fd);
}

static void mount_overlay(char **directories) {
  char options[4096];
  snprintf(options, sizeof options, "lowerdir=%s,upperdir=%s,workdir=%s", directories[0], directories[1],
           directories[2]);
  if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) die("mount namespace");
  if (mount("caisson-bench", directories[3], "overlay", 0, options) < 0) die("overlay");
}

static void parse(char *line, struct command *command) {
  command->count = 0;
  for (char *save, *at = strtok_r(line, "\x1f\n", &save); at; at = strtok_r(NULL, "\x1f\n", &save)) {
    if (command->count == MAX_FIELDS) exit(2);
    command->fields[command->count++] = at;
  }
}

static void prepare(const struct command *command) {
  for (size_t i = 0; i < command->count; i++) {
    char *field = command->fields[i];
    if (field[0] == 'd' && mkdir(field + 1, 0755) < 0) die(field + 1);
    if (field[0] != 'w') continue;
    char *value = strchr(field, '=');
    if (!value) exit(2);
    *value++ = 0;
    write_file(field + 1, value);
  }
}

static pid_t begin(const struct command *command) {
  for (size_t i = 0; i < command->count; i++) {
    if (command->fields[i][0] != 'g') continue;
    int group = open(command->fields[i] + 1, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (group < 0) die(command->fields[i] + 1);
    struct clone_args arguments = {
        .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)(unsigned)group};
    pid_t child = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
    close(group);
    return child;
  }
  return fork();
}

static void become(const struct command *command, int output) {
  char *words[MAX_FIELDS + 1];
  size_t count = 0;
  for (size_t i = 0; i < command->count; i++) {
    char *field = command->fields[i];
    if (field[0] == 't') write_file(field + 1, "0");
    if (field[0] == 'a') words[count++] = field + 1;
  }
  words[count] = NULL;
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (dup2(output, fd) < 0) die("dup2");
  if (count > 0) execvp(words[0], words);
  die("exec");
}

/* What a program that failed has said. */
static void show(int output) {
  char text[4096];
  ssize_t length = pread(output, text, sizeof text, 0);
  if (length > 0) fwrite(text, 1, (size_t)length, stderr);
}

int main(int argc, char **argv) {
  static char line[MAX_LINE];
  struct command command;
  if (argc > 4) mount_overlay(argv + 1);
  if (argc > 5 && umount2(argv[5], MNT_DETACH) < 0) die(argv[5]);
  while (fgets(line, sizeof line, stdin)) {
    parse(line, &command);
    /* Not our own streams nor /dev/null: crun gives its standard streams to the root of the container. */
    int output = memfd_create("output", MFD_CLOEXEC);
    if (output < 0) die("memfd_create");
    uint64_t since = now_nsec();
    prepare(&command);
    pid_t child = begin(&command);
    if (child < 0) die("fork");
    if (child == 0) become(&command, output);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    printf("%llu %d\n", (unsigned long long)(now_nsec() - since), status);
    fflush(stdout);
    if (status != 0) show(output);
    close(output);
  }
  return 0;
}
