/* Generated from packages/server/src/runtime/oci/profile.ts by "npm run gen". Do not edit. */
#ifndef CAISSON_PROFILE_GEN_H
#define CAISSON_PROFILE_GEN_H

#include <sys/resource.h>

static const char *const PROFILE_CAPABILITIES[] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
};

static const char *const PROFILE_MASKED_PATHS[] = {
    "/proc/acpi",
    "/proc/asound",
    "/proc/buddyinfo",
    "/proc/bus",
    "/proc/config.gz",
    "/proc/consoles",
    "/proc/devices",
    "/proc/diskstats",
    "/proc/dma",
    "/proc/driver",
    "/proc/fs",
    "/proc/interrupts",
    "/proc/iomem",
    "/proc/ioports",
    "/proc/irq",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/key-users",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/latency_stats",
    "/proc/misc",
    "/proc/modules",
    "/proc/mtrr",
    "/proc/pagetypeinfo",
    "/proc/partitions",
    "/proc/pressure",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/slabinfo",
    "/proc/softirqs",
    "/proc/swaps",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/vmallocinfo",
    "/proc/zoneinfo",
};

static const char *const PROFILE_READONLY_PATHS[] = {
    "/proc/sys",
};

static const struct {
  const char *name;
  int resource;
  rlim_t soft;
  rlim_t hard;
} PROFILE_RLIMITS[] = {
    {"RLIMIT_NOFILE", RLIMIT_NOFILE, 1024, 524288},
    {"RLIMIT_CORE", RLIMIT_CORE, 1, 1},
};

#endif
