/**
 * What a sandbox is allowed, besides system calls (seccomp.json): data with a reason a row. `npm run gen` writes it
 * to native/launcher/profile.gen.h, because the launcher composes the runtime's configuration by itself.
 */
interface Row {
  name: string
  reason: string
}

/** The bounding set, of container root too; in the user namespace of the sandbox. Not listed is refused. */
export const CAPABILITIES: readonly Row[] = [
  { name: 'CAP_CHOWN', reason: 'package managers and tar give files to their owners' },
  { name: 'CAP_DAC_OVERRIDE', reason: 'sudo reads and writes files of every user of the sandbox' },
  { name: 'CAP_FOWNER', reason: 'package managers change modes and times of files of other users' },
  { name: 'CAP_FSETID', reason: 'dpkg keeps set-group-id bits when it writes files' },
  { name: 'CAP_KILL', reason: 'the agent signals programs of every user' },
  { name: 'CAP_SETGID', reason: 'the agent and sudo change the group' },
  { name: 'CAP_SETUID', reason: 'the agent and sudo change the user' },
  { name: 'CAP_NET_BIND_SERVICE', reason: 'servers under test bind ports below 1024 of their own loopback' },
  { name: 'CAP_SYS_CHROOT', reason: 'dpkg, sshd and build tools call chroot' },
]

/** Hidden behind an empty file or directory. */
export const MASKED_PATHS: readonly Row[] = [
  { name: '/proc/acpi', reason: 'hardware of the host' },
  { name: '/proc/asound', reason: 'hardware of the host' },
  { name: '/proc/buddyinfo', reason: 'memory of the host' },
  { name: '/proc/bus', reason: 'devices of the host, with their registers' },
  { name: '/proc/config.gz', reason: 'how the kernel was built, which tells what to attack' },
  { name: '/proc/consoles', reason: 'devices of the host' },
  { name: '/proc/devices', reason: 'drivers of the host' },
  { name: '/proc/diskstats', reason: 'disks of the host and what is done on them' },
  { name: '/proc/dma', reason: 'hardware of the host' },
  { name: '/proc/driver', reason: 'drivers of the host' },
  { name: '/proc/fs', reason: 'file systems of the host' },
  { name: '/proc/interrupts', reason: 'timing of the host, a side channel' },
  { name: '/proc/iomem', reason: 'hardware of the host' },
  { name: '/proc/ioports', reason: 'hardware of the host' },
  { name: '/proc/irq', reason: 'interrupt routing of the host' },
  { name: '/proc/kallsyms', reason: 'kernel addresses' },
  { name: '/proc/kcore', reason: 'memory of the host' },
  { name: '/proc/key-users', reason: 'keyrings of the host' },
  { name: '/proc/keys', reason: 'keyrings of the host' },
  { name: '/proc/kmsg', reason: 'kernel log of the host' },
  { name: '/proc/kpagecgroup', reason: 'memory of the host' },
  { name: '/proc/kpagecount', reason: 'memory of the host' },
  { name: '/proc/kpageflags', reason: 'memory of the host' },
  { name: '/proc/latency_stats', reason: 'processes of the host' },
  { name: '/proc/misc', reason: 'drivers of the host' },
  { name: '/proc/modules', reason: 'drivers of the host' },
  { name: '/proc/mtrr', reason: 'hardware of the host' },
  { name: '/proc/pagetypeinfo', reason: 'memory of the host' },
  { name: '/proc/partitions', reason: 'disks of the host' },
  {
    name: '/proc/pressure',
    reason: 'load of the host, a side channel; and anybody may write triggers there',
  },
  { name: '/proc/sched_debug', reason: 'processes of the host' },
  { name: '/proc/scsi', reason: 'disks of the host' },
  { name: '/proc/slabinfo', reason: 'kernel heap layout' },
  { name: '/proc/softirqs', reason: 'timing of the host, a side channel' },
  { name: '/proc/swaps', reason: 'disks and files of the host' },
  { name: '/proc/sysrq-trigger', reason: 'reboots the host' },
  { name: '/proc/timer_list', reason: 'processes of the host' },
  { name: '/proc/timer_stats', reason: 'processes of the host' },
  { name: '/proc/vmallocinfo', reason: 'kernel addresses' },
  { name: '/proc/zoneinfo', reason: 'memory of the host' },
]

export const READONLY_PATHS: readonly Row[] = [
  { name: '/proc/sys', reason: 'most settings below it are the host’s own' },
]

/** Each is lowered to the launcher's own hard limit, which a container cannot pass. */
export const RLIMITS: readonly (Row & { soft: number; hard: number })[] = [
  {
    name: 'RLIMIT_NOFILE',
    soft: 1024,
    hard: 524_288,
    reason: 'usual on Linux; programs raise it themselves',
  },
  {
    name: 'RLIMIT_CORE',
    soft: 1,
    hard: 1,
    reason:
      'no core dumps: the host’s core_pattern handler would run as host root; 1, because 0 does not stop a pipe',
  },
]
