/* criu, the program that puts processes on disk and brings them back: how it is run, and what it says. */
#ifndef CAISSON_LAUNCHER_CRIU_H
#define CAISSON_LAUNCHER_CRIU_H

#include "host.h"

/* A command line that grows, and the environment of the hook. */
struct criu {
  char *values[512];
  size_t count;
  char *settings[12];
  size_t setting_count;
  bool failed;
};

/* Deleted files that are open are kept when they are not larger. */
#define CRIU_GHOST_BYTES "67108864"

/* Finds out whether `host` can make dumps, and why not: host->no_dumps. */
void criu_probe(struct host *host);

/* Begins a command line with what dumps and restores have in common. */
void criu_begin(struct criu *criu, const struct host *host, const char *action, const char *images);
__attribute__((format(printf, 2, 3))) void criu_add(struct criu *criu, const char *format, ...);
/* "NAME=value" for the hook. */
__attribute__((format(printf, 2, 3))) void criu_set(struct criu *criu, const char *format, ...);
/* In a forked child: becomes criu, in a process group of its own, with three null devices and nothing else but `keep`. */
_Noreturn void criu_exec(const struct criu *criu, int keep);
/* Waits for it. A failure says what its log, or the hook, says. */
bool criu_wait(pid_t pid, int timeout_msec, const char *step, int images, const char *log, struct failure *failure);

#endif
