#define _GNU_SOURCE 1
#include "config.h"

#include <stdio.h>
#include <sys/resource.h>

#include "profile.gen.h"
#include "volumes.h"

enum { SHM_BYTES = 64 * 1024 * 1024 };

static void list(struct text *out, const char *key, const char *const *values, size_t count) {
  text_printf(out, ",\"%s\":[", key);
  for (size_t i = 0; i < count; i++) {
    if (i) text_printf(out, ",");
    text_json(out, values[i]);
  }
  text_printf(out, "]");
}

static void process(struct text *out) {
  text_printf(out,
              "\"process\":{\"terminal\":false,\"user\":{\"uid\":0,\"gid\":0},\"cwd\":\"/\","
              "\"args\":[\"/.caisson/agent\",\"--listen-fd\",\"3\"],"
              "\"env\":[\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\"],"
              /* sudo needs set-user-id programs; the capability bounding set and the user namespace bound them. */
              "\"noNewPrivileges\":false,\"capabilities\":{\"inheritable\":[],\"ambient\":[]");
  list(out, "bounding", PROFILE_CAPABILITIES, countof(PROFILE_CAPABILITIES));
  list(out, "permitted", PROFILE_CAPABILITIES, countof(PROFILE_CAPABILITIES));
  list(out, "effective", PROFILE_CAPABILITIES, countof(PROFILE_CAPABILITIES));
  text_printf(out, "},\"rlimits\":[");
  for (size_t i = 0; i < countof(PROFILE_RLIMITS); i++) {
    struct rlimit own = {.rlim_max = RLIM_INFINITY};
    (void)getrlimit((unsigned)PROFILE_RLIMITS[i].resource, &own);
    rlim_t hard = PROFILE_RLIMITS[i].hard < own.rlim_max ? PROFILE_RLIMITS[i].hard : own.rlim_max;
    rlim_t soft = PROFILE_RLIMITS[i].soft < hard ? PROFILE_RLIMITS[i].soft : hard;
    text_printf(out, "%s{\"type\":\"%s\",\"soft\":%lu,\"hard\":%lu}", i ? "," : "", PROFILE_RLIMITS[i].name, soft,
                hard);
  }
  text_printf(out, "]}");
}

static void mount_entry(struct text *out, const char *target, const char *type, const char *options) {
  text_printf(out, ",{\"destination\":\"%s\",\"type\":\"%s\",\"source\":\"%s\",\"options\":[%s]}", target, type,
              type, options);
}

/* Half of the memory at most: what fills it is charged to the sandbox, which must still be able to start programs. */
static uint64_t shm_bytes(const struct plan *plan) {
  uint64_t half = plan->limits.memory_bytes / 2;
  return half < SHM_BYTES ? half : SHM_BYTES;
}

/* Nothing in a volume is a device or gives rights, whoever has written it. */
static void volumes(struct text *out, const struct host *host, const struct plan *plan) {
  for (size_t i = 0; i < plan->volume_count; i++) {
    char name[32];
    volume_source(name, sizeof name, i);
    text_printf(out, ",{\"destination\":");
    text_json(out, plan->volumes[i].path);
    text_printf(out, ",\"type\":\"bind\",\"source\":\"%s/%s\",\"options\":[\"bind\",\"nosuid\",\"nodev\",\"%s\"]}",
                host->staging, name, plan->volumes[i].read_only ? "ro" : "rw");
  }
}

static void mounts(struct text *out, const struct host *host, const struct plan *plan) {
  char shm[128];
  snprintf(shm, sizeof shm, "\"nosuid\",\"noexec\",\"nodev\",\"mode=1777\",\"size=%lu\"", (unsigned long)shm_bytes(plan));

  text_printf(out, ",\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\","
                   "\"options\":[\"nosuid\",\"noexec\",\"nodev\"]}");
  /* Always a fresh /dev: crun up to 1.29.1 opens files of an image's own /dev (CVE-2026-88264, -88265). */
  mount_entry(out, "/dev", "tmpfs", "\"nosuid\",\"noexec\",\"mode=755\",\"size=64k\"");
  mount_entry(out, "/dev/pts", "devpts",
              "\"nosuid\",\"noexec\",\"newinstance\",\"ptmxmode=0666\",\"mode=0620\",\"gid=5\"");
  mount_entry(out, "/dev/shm", "tmpfs", shm);
  mount_entry(out, "/dev/mqueue", "mqueue", "\"nosuid\",\"noexec\",\"nodev\"");
  /* No sysfs: it shows the host's devices and firmware tables. */
  mount_entry(out, "/sys", "tmpfs", "\"ro\",\"nosuid\",\"noexec\",\"nodev\",\"mode=555\",\"size=4k\"");
  text_printf(out,
              ",{\"destination\":\"/.caisson/agent\",\"type\":\"bind\",\"source\":\"%s/agent\","
              "\"options\":[\"bind\",\"ro\",\"nosuid\",\"nodev\"]}",
              host->staging);
  volumes(out, host, plan);
  text_printf(out, "]");
}

static void isolation(struct text *out, const struct plan *plan) {
  static const char *const maps[] = {"uidMappings", "gidMappings"};
  static const char *const namespaces[] = {"pid", "ipc", "uts", "mount", "network", "user", "cgroup"};
  text_printf(out, ",\"linux\":{\"namespaces\":[");
  for (size_t i = 0; i < countof(namespaces); i++)
    text_printf(out, "%s{\"type\":\"%s\"}", i ? "," : "", namespaces[i]);
  text_printf(out, "]");
  for (size_t i = 0; i < countof(maps); i++)
    text_printf(out, ",\"%s\":[{\"containerID\":0,\"hostID\":%u,\"size\":%d}]", maps[i], plan->id_base,
                LAUNCHER_ID_COUNT);
  list(out, "maskedPaths", PROFILE_MASKED_PATHS, countof(PROFILE_MASKED_PATHS));
  list(out, "readonlyPaths", PROFILE_READONLY_PATHS, countof(PROFILE_READONLY_PATHS));
  text_printf(out, "}");
}

void config_compose(const struct host *host, const struct plan *plan, struct text *config) {
  text_printf(config, "{\"ociVersion\":\"1.0.0\",");
  process(config);
  text_printf(config, ",\"root\":{\"path\":\"%s/root\"},\"hostname\":", host->staging);
  text_json(config, plan->hostname);
  mounts(config, host, plan);
  isolation(config, plan);
  /* Compiled once when the project is built; from a profile crun 1.8 would compile it at every start (20 ms). */
  text_printf(config, ",\"annotations\":{\"run.oci.seccomp_bpf_data\":\"");
  text_append(config, host->seccomp.data, host->seccomp.length);
  text_printf(config, "\"}}");
}
