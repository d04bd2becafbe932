import { describe, expect } from 'vitest'
import { ATTACKERS, attempt, cannotRun, shell, test } from './world.ts'

const TERMINAL = `import fcntl, errno
def outcome(request):
  try: fcntl.ioctl(0, request, b'x'); return 'ok'
  except OSError as error: return errno.errorcode[error.errno]
print('TIOCSTI %s, TIOCGWINSZ %s' % (outcome(0x5412), outcome(0x5413)))`

describe.skipIf(cannotRun).each(ATTACKERS)('the kernel, attacked by %s', (who) => {
  const root = who === 'root'

  test('nothing is mounted, and no namespace is made or entered', async ({ box }) => {
    expect(
      await attempt(box, who, {
        mount: "call('mount', b'none', b'/tmp', b'tmpfs', 0, None)",
        'bind mount': "call('mount', b'/etc', b'/mnt', None, 4096, None)",
        'remount /proc/sys': "call('mount', None, b'/proc/sys', None, 32 | 4096, None)",
        'uncover a masked path': "call('umount2', b'/proc/kcore', 2)",
        'detach /proc': "call('umount2', b'/proc', 2)",
        fsopen: "syscall('fsopen', b'tmpfs', 0)",
        open_tree: "syscall('open_tree', -100, b'/', 1)",
        move_mount: "syscall('move_mount', -100, b'/proc', -100, b'/mnt', 0)",
        mount_setattr: "syscall('mount_setattr', -100, b'/proc/sys', 0, bytes(32), 32)",
        pivot_root: "syscall('pivot_root', b'/', b'/tmp')",
        'user namespace': "call('unshare', NEWUSER)",
        'mount namespace': "call('unshare', NEWNS)",
        'user and mount namespace': "call('unshare', NEWUSER | NEWNS)",
        'pid namespace': "call('unshare', NEWPID)",
        'network namespace': "call('unshare', NEWNET)",
        'host name namespace': "call('unshare', NEWUTS)",
        'IPC namespace': "call('unshare', NEWIPC)",
        'cgroup namespace': "call('unshare', NEWCGROUP)",
        'clone into a user namespace': 'clone(NEWUSER)',
        'clone3 into a user namespace': "syscall('clone3', struct.pack('11Q', NEWUSER, *[0]*10), 88)",
        'setns by /proc/self/ns': "call('setns', os.open('/proc/self/ns/mnt', os.O_RDONLY), 0)",
        'setns by /proc/1/ns': "call('setns', os.open('/proc/1/ns/mnt', os.O_RDONLY), 0)",
        'setns by a pidfd': "call('setns', syscall('pidfd_open', os.getppid(), 0), NEWNS)",
        'control: plain clone': 'clone(0)',
        'control: unshare files': "call('unshare', 0x400)",
      }),
    ).toEqual({
      mount: 'EPERM',
      'bind mount': 'EPERM',
      'remount /proc/sys': 'EPERM',
      'uncover a masked path': 'EPERM',
      'detach /proc': 'EPERM',
      fsopen: 'EPERM',
      open_tree: 'EPERM',
      move_mount: 'EPERM',
      mount_setattr: 'EPERM',
      pivot_root: 'EPERM',
      'user namespace': 'EPERM',
      'mount namespace': 'EPERM',
      'user and mount namespace': 'EPERM',
      'pid namespace': 'EPERM',
      'network namespace': 'EPERM',
      'host name namespace': 'EPERM',
      'IPC namespace': 'EPERM',
      'cgroup namespace': 'EPERM',
      'clone into a user namespace': 'EPERM',
      'clone3 into a user namespace': 'ENOSYS',
      'setns by /proc/self/ns': 'EPERM',
      'setns by /proc/1/ns': 'EACCES',
      'setns by a pidfd': 'EPERM',
      'control: plain clone': 'ok',
      'control: unshare files': 'ok',
    })
  })

  test('interfaces with a history of escapes are closed', async ({ box }) => {
    expect(
      await attempt(box, who, {
        keyctl: "syscall('keyctl', 0, -3, 0)",
        add_key: "syscall('add_key', b'user', b'name', b'x', 1, -2)",
        bpf: "syscall('bpf', 0, bytes(72), 72)",
        userfaultfd: "syscall('userfaultfd', 1)",
        perf_event_open: "syscall('perf_event_open', bytes([1,0,0,0,120]) + bytes(115), 0, -1, -1, 0)",
        io_uring_setup: "syscall('io_uring_setup', 1, ctypes.create_string_buffer(120))",
        'open by handle': "open_by_handle('/etc/passwd')",
        kexec_load: "syscall('kexec_load', 0, 0, None, 0)",
        init_module: "syscall('init_module', b'', 0, b'')",
        syslog: "syscall('syslog', 3, ctypes.create_string_buffer(16), 16)",
        reboot: "call('reboot', 0)",
        swapon: "call('swapon', b'/tmp/swap', 0)",
        acct: "call('acct', b'/tmp/acct')",
        'set the clock': 'time.clock_settime(time.CLOCK_REALTIME, time.time())',
        'set the host name': "socket.sethostname('evil')",
        'control: read the clock': 'time.clock_gettime(time.CLOCK_REALTIME)',
      }),
    ).toEqual({
      keyctl: 'EPERM',
      add_key: 'EPERM',
      bpf: 'EPERM',
      userfaultfd: 'EPERM',
      perf_event_open: 'EPERM',
      io_uring_setup: 'EPERM',
      'open by handle': 'EPERM',
      kexec_load: 'EPERM',
      init_module: 'EPERM',
      syslog: 'EPERM',
      reboot: 'EPERM',
      swapon: 'EPERM',
      acct: 'EPERM',
      'set the clock': 'EPERM',
      'set the host name': 'EPERM',
      'control: read the clock': 'ok',
    })
  })

  test('sockets are unix, IPv4, IPv6 and route netlink only', async ({ box }) => {
    const open = (family: string, type: string, protocol = 0) =>
      `socket.socket(${family}, ${type}, ${protocol})`
    expect(
      await attempt(box, who, {
        raw: open('socket.AF_INET', 'socket.SOCK_RAW', 1),
        'raw IPv6': open('socket.AF_INET6', 'socket.SOCK_RAW', 58),
        packet: open('socket.AF_PACKET', 'socket.SOCK_RAW', 768),
        vsock: open('socket.AF_VSOCK', 'socket.SOCK_STREAM'),
        'crypto API': open('socket.AF_ALG', 'socket.SOCK_SEQPACKET'),
        bluetooth: open('31', 'socket.SOCK_RAW'),
        tipc: open('30', 'socket.SOCK_DGRAM'),
        xdp: open('44', 'socket.SOCK_RAW'),
        sctp: open('socket.AF_INET', 'socket.SOCK_STREAM', 132),
        'audit netlink': open('socket.AF_NETLINK', 'socket.SOCK_RAW', 9),
        'netfilter netlink': open('socket.AF_NETLINK', 'socket.SOCK_RAW', 12),
        'uevent netlink': open('socket.AF_NETLINK', 'socket.SOCK_RAW', 15),
        'control: unix': open('socket.AF_UNIX', 'socket.SOCK_STREAM'),
        'control: TCP': open('socket.AF_INET', 'socket.SOCK_STREAM'),
        'control: UDP over IPv6': open('socket.AF_INET6', 'socket.SOCK_DGRAM'),
        'control: route netlink': open('socket.AF_NETLINK', 'socket.SOCK_RAW', 0),
      }),
    ).toEqual({
      raw: 'EAFNOSUPPORT',
      'raw IPv6': 'EAFNOSUPPORT',
      packet: 'EAFNOSUPPORT',
      vsock: 'EAFNOSUPPORT',
      'crypto API': 'EAFNOSUPPORT',
      bluetooth: 'EAFNOSUPPORT',
      tipc: 'EAFNOSUPPORT',
      xdp: 'EAFNOSUPPORT',
      sctp: 'EAFNOSUPPORT',
      'audit netlink': 'EAFNOSUPPORT',
      'netfilter netlink': 'EAFNOSUPPORT',
      'uevent netlink': 'EAFNOSUPPORT',
      'control: unix': 'ok',
      'control: TCP': 'ok',
      'control: UDP over IPv6': 'ok',
      'control: route netlink': 'ok',
    })
  })

  test('no device can be made', async ({ box }) => {
    expect(
      await attempt(box, who, {
        disk: `os.mknod('/tmp/disk-${who}', stat.S_IFBLK | 0o600, os.makedev(8, 0))`,
        memory: `os.mknod('/tmp/mem-${who}', stat.S_IFCHR | 0o600, os.makedev(1, 1))`,
        'in /dev': `os.mknod('/dev/kmsg', stat.S_IFCHR | 0o600, os.makedev(1, 11))`,
        'control: FIFO': `os.mknod('/tmp/fifo-${who}', stat.S_IFIFO | 0o600)`,
      }),
    ).toEqual({
      disk: 'EPERM',
      memory: 'EPERM',
      'in /dev': root ? 'EPERM' : 'EACCES',
      'control: FIFO': 'ok',
    })
  })

  test('settings of the host are not written', async ({ box }) => {
    const outcomes = await attempt(box, who, {
      core_pattern: "write('/proc/sys/kernel/core_pattern', '|/tmp/evil')",
      modprobe: "write('/proc/sys/kernel/modprobe', '/tmp/evil')",
      hostname: "write('/proc/sys/kernel/hostname', 'evil')",
      drop_caches: "write('/proc/sys/vm/drop_caches', '1')",
      binfmt: "write('/proc/sys/fs/binfmt_misc/register', ':evil:M::x::/tmp/evil:')",
      'sysrq-trigger': "write('/proc/sysrq-trigger', 'h')",
      'interrupt routing': "write('/proc/irq/default_smp_affinity', '1')",
      release_agent: "write('/sys/fs/cgroup/release_agent', '/tmp/evil')",
      uevent_helper: "write('/sys/kernel/uevent_helper', '/tmp/evil')",
      'through a magic link': "write('/proc/self/root/proc/sys/kernel/core_pattern', '|/tmp/evil')",
      'the agent’s program': "write('/.caisson/agent', 'evil')",
      'a new file in /sys': "open('/sys/evil', 'w')",
      kcore: "read('/proc/kcore')",
      'control: an own file': `open('/tmp/own-${who}', 'w').write('x') and write('/tmp/own-${who}')`,
    })
    const { kcore, 'control: an own file': control, ...refused } = outcomes
    expect(control).toBe('ok')
    expect(['empty', 'ENOENT', 'EACCES', 'EPERM']).toContain(kcore)
    for (const [name, outcome] of Object.entries(refused))
      expect(['EROFS', 'EACCES', 'EPERM', 'ENOENT', 'ETXTBSY'], `${name}: ${outcome}`).toContain(outcome)
  })

  test('what can be opened for writing below /proc and /sys is no more than a null device', async ({
    box,
  }) => {
    const { found } = await attempt(box, who, { found: "writable('/proc', '/sys', '/home/agent')" })
    const paths: string[] = JSON.parse(found)
    expect(paths).toContain('/home/agent/.profile')
    expect(paths.filter((path) => !path.startsWith('/home/agent/'))).toEqual(['null device'])
  })

  test('a terminal takes no typed input from its programs', async ({ box }) => {
    const argv = [...(root ? ['sudo', '-n'] : []), 'python3', '-c', TERMINAL]
    const { stdout } = await box.exec(argv, { tty: { cols: 80, rows: 24 } })
    expect(stdout.trim()).toBe('TIOCSTI EPERM, TIOCGWINSZ ok')
  })
})

describe.skipIf(cannotRun)('disks', () => {
  test('there is no block device, and debugfs opens none', async ({ box }) => {
    expect(await shell(box, 'find / -xdev -type b; find /dev -type b', { user: 'root' })).toBe('')
    const { exitCode, output } = await box.sh(
      'for disk in $(awk "NR > 2 {print \\$4}" /proc/partitions) vda sda nvme0n1; do debugfs -R "ls /" /dev/$disk; done; exit 3',
      { user: 'root' },
    )
    expect(exitCode).toBe(3)
    expect(output).not.toContain('lost+found')
    expect(output).toMatch(/No such file or directory/)
    // The same program reads a file system that is the sandbox's own.
    const own = 'truncate -s 1M /tmp/own.img && mke2fs -q /tmp/own.img && debugfs -R "ls /" /tmp/own.img 2>&1'
    expect(await shell(box, own, { user: 'root' })).toContain('lost+found')
  })
})
