#define _GNU_SOURCE 1
#include "externals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define AGENT_TARGET "/.caisson/agent"

struct mount_line {
  char root[256];
  char target[256];
  char options[256];
  char type[64];
  char source[64];
};

/* "36 35 98:0 /root /target rw,noatime master:1 - type source options", with any number of fields before the hyphen. */
static bool parse(const char *line, struct mount_line *out) {
  const char *rest = strstr(line, " - ");
  return sscanf(line, "%*s %*s %*s %255s %255s %255s", out->root, out->target, out->options) == 3 && rest &&
         sscanf(rest, " - %63s %63s", out->type, out->source) == 2;
}

/* NULL: criu knows itself what to do with it. Masks hide files by a null device, and directories by an empty one. */
static const char *key_of(const struct mount_line *mount) {
  if (strcmp(mount->type, "tmpfs") != 0) return NULL;
  if (strncmp(mount->target, "/dev/", 5) == 0 && strcmp(mount->source, "caisson") == 0) return mount->target + 5;
  if (strcmp(mount->target, AGENT_TARGET) == 0) return "agent";
  bool read_only = strncmp(mount->options, "ro", 2) == 0;
  if (!read_only && strncmp(mount->target, "/proc/", 6) != 0) return NULL;
  return strcmp(mount->root, "/") == 0 ? "empty" : "mask";
}

bool externals_of_dump(struct criu *criu, pid_t init, struct failure *failure) {
  char path[64];
  char line[4096];
  snprintf(path, sizeof path, "/proc/%d/mountinfo", init);
  FILE *stream = fopen(path, "re");
  if (!stream) return fail(failure, errno, "dump", "%s: %s", path, strerror(errno));
  while (fgets(line, sizeof line, stream)) {
    struct mount_line mount;
    const char *key = parse(line, &mount) ? key_of(&mount) : NULL;
    if (!key) continue;
    criu_add(criu, "--external");
    criu_add(criu, "mnt[%s]:%s", mount.target, key);
  }
  fclose(stream);
  return true;
}

bool externals_make(struct failure *failure) {
  cleanup_fd int mask = open("mask", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444);
  /* With no more flags than what they stand for had: criu adds those. */
  if (mask >= 0 && mount("dev/null", "mask", NULL, MS_BIND, NULL) == 0 &&
      mount(NULL, "mask", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC, NULL) == 0 &&
      mkdir("empty", 0755) == 0 && mount("caisson", "empty", "tmpfs", MS_RDONLY, "mode=555,size=4k") == 0)
    return true;
  return fail(failure, errno, "restore", "masks: %s", strerror(errno));
}

void externals_of_restore(struct criu *criu, const struct host *host) {
  static const char *const keys[] = {"agent", "mask", "empty"};
  static const char *const devices[] = {"null", "zero", "full", "random", "urandom", "tty"};
  for (size_t i = 0; i < countof(keys); i++) {
    criu_add(criu, "--external");
    criu_add(criu, "mnt[%s]:%s/%s", keys[i], host->staging, keys[i]);
  }
  for (size_t i = 0; i < countof(devices); i++) {
    criu_add(criu, "--external");
    criu_add(criu, "mnt[%s]:%s/dev/%s", devices[i], host->staging, devices[i]);
  }
}
