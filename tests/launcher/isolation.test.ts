import { readdir, readFile, readlink, stat } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CAPABILITIES, MASKED_PATHS } from '../../packages/server/src/runtime/oci/profile.ts'
import { cannotRun, World } from './fixture.ts'

describe.skipIf(cannotRun)('isolation of an oci sandbox', () => {
  let world: World
  let id: string
  let nullBefore: { uid: number; mode: number }
  beforeAll(async () => {
    world = await World.make()
    nullBefore = await stat('/dev/null')
    id = (await world.start()).id
  })
  afterAll(() => world[Symbol.asyncDispose]())

  const status = async (user: string) =>
    new Map(
      (await world.ask(id, `${user}cat /proc/self/status`))
        .split('\n')
        .map((line) => line.split(':\t') as [string, string]),
    )

  const COMMON = {
    mount: 'EPERM',
    umount: 'EPERM',
    remount: 'EPERM',
    mknod: 'EPERM',
    mkfifo: 'ok',
    sethostname: 'EPERM',
    'unshare-user': 'EPERM',
    'unshare-mount': 'EPERM',
    'unshare-files': 'ok',
    'clone-user': 'EPERM',
    'clone-plain': 'ok',
    clone3: 'ENOSYS',
    setns: 'EPERM',
    keyctl: 'EPERM',
    add_key: 'EPERM',
    bpf: 'EPERM',
    userfaultfd: 'EPERM',
    perf_event_open: 'EPERM',
    io_uring_setup: 'EPERM',
    open_by_handle_at: 'EPERM',
    kexec_load: 'EPERM',
    init_module: 'EPERM',
    syslog: 'EPERM',
    settimeofday: 'EPERM',
    'not-a-call': 'ENOSYS',
    tiocsti: 'EPERM',
    'tiocsti-high-bits': 'EPERM',
    fionread: 'ok',
    'personality-query': 'ok',
    'personality-no-aslr': 'EPERM',
    'ptrace-init': 'EPERM',
    'socket-unix': 'ok',
    'socket-inet': 'ok',
    'socket-inet6': 'ok',
    'socket-netlink-route': 'ok',
    'socket-netlink-audit': 'EAFNOSUPPORT',
    'socket-cloexec': 'ok',
    'socket-sctp': 'EAFNOSUPPORT',
    'socket-dccp': 'EAFNOSUPPORT',
    'socketpair-unix': 'ok',
    'socketpair-tipc': 'EAFNOSUPPORT',
    'socket-raw': 'EAFNOSUPPORT',
    'socket-packet': 'EAFNOSUPPORT',
    'socket-alg': 'EAFNOSUPPORT',
    'socket-vsock': 'EAFNOSUPPORT',
  }

  test.each([
    ['container root', ''],
    ['an ordinary user', 'as 1000 '],
  ])('system calls of %s follow the profile', async (_, user) => {
    const answer = await world.ask(id, `${user}syscalls`)
    const results = Object.fromEntries(
      answer
        .trim()
        .split('\n')
        .map((line) => line.split(' ')),
    )
    if (user) expect(results).toMatchObject({ ...COMMON, mkfifo: 'EEXIST', chroot: 'EPERM' })
    else expect(results).toMatchObject({ ...COMMON, chroot: 'ok' })
  })

  test('capabilities are those of the profile, none inherited or ambient', async () => {
    const root = await status('')
    const bits = (mask: string) => BigInt(`0x${mask}`).toString(2).replaceAll('0', '').length
    expect(bits(root.get('CapBnd')!)).toBe(CAPABILITIES.length)
    expect(root.get('CapEff')).toBe(root.get('CapBnd'))
    expect([root.get('CapInh'), root.get('CapAmb')].map((mask) => BigInt(`0x${mask}`))).toEqual([0n, 0n])
    expect(root.get('Seccomp')).toBe('2')
    expect(BigInt(`0x${(await status('as 1000 ')).get('CapEff')}`)).toBe(0n)
  })

  test('only the standard streams and the agent’s socket are inherited', async () => {
    const { pid } = (await world.launcher.list()).find((sandbox) => sandbox.id === id)!
    const open = await readdir(`/proc/${pid}/fd`)
    const targets = await Promise.all(
      open.map(async (fd) => `${fd} ${await readlink(`/proc/${pid}/fd/${fd}`)}`),
    )
    expect(targets.map((line) => line.replace(/\d+\]$/, ']'))).toEqual([
      '0 /dev/null',
      '1 /dev/null',
      '2 /dev/null',
      '3 socket:[]',
    ])
  })

  test('a sandbox has namespaces of its own', async () => {
    for (const name of ['pid', 'mnt', 'ipc', 'uts', 'net', 'user', 'cgroup']) {
      const pid = (await world.launcher.list()).find((sandbox) => sandbox.id === id)!.pid
      const [inside, outside] = [await stat(`/proc/${pid}/ns/${name}`), await stat(`/proc/self/ns/${name}`)]
      expect(inside.ino, name).not.toBe(outside.ino)
    }
  })

  test('mounts name no directory of the host', async () => {
    const mounts = await world.ask(id, 'cat /proc/self/mountinfo')
    expect(mounts).not.toContain(world.dataDir)
    expect(mounts).not.toContain('caisson-launcher')
    expect(mounts).toMatch(/ \/ \/ \S+ - overlay caisson /)
    const kinds = new Set(
      mounts
        .trim()
        .split('\n')
        .map((line) => line.split(' - ')[1]!.split(' ')[0]),
    )
    expect([...kinds].toSorted()).toEqual(['devpts', 'mqueue', 'overlay', 'proc', 'tmpfs'])
  })

  test.each(MASKED_PATHS.map((row) => row.name))('%s is empty or absent', async (path) => {
    expect(await world.ask(id, `cat ${path}`)).toMatch(/^(|ENOENT\n|EISDIR\n|EACCES\n)$/)
  })

  test.each([
    '/proc/sysrq-trigger',
    '/proc/kcore',
    '/proc/sys/kernel/core_pattern',
    '/proc/sys/vm/drop_caches',
    '/sys/fs/cgroup/release_agent',
    '/sys/kernel/uevent_helper',
    '/proc/1/mem',
    '/.caisson/agent',
  ])('%s cannot be written by container root', async (path) => {
    expect(await world.ask(id, `write ${path}`)).not.toBe('write ok\n')
  })

  test('/sys is empty and the network is a loopback', async () => {
    expect(await world.ask(id, 'ls /sys')).toBe('')
    const devices = await world.ask(id, 'cat /proc/net/dev')
    expect(
      devices
        .trim()
        .split('\n')
        .slice(2)
        .map((line) => line.trim().split(':')[0]),
    ).toEqual(['lo'])
  })

  test('the agent’s memory and files are closed to users', async () => {
    expect(await world.ask(id, 'as 1000 cat /proc/1/environ')).toBe('EACCES\n')
    expect(await world.ask(id, 'as 1000 ls /proc/1/fd')).toBe('EACCES\n')
    expect(await world.ask(id, 'write /proc/1/mem')).toBe('write EACCES\n')
    expect(await world.ask(id, 'as 1000 cat /proc/1/mem')).toBe('EACCES\n')
  })

  test('processes of the host cannot be seen', async () => {
    const seen = (await world.ask(id, 'ls /proc')).split('\n').filter((name) => /^\d+$/.test(name))
    expect(seen.length).toBeLessThan(4)
    expect(await world.ask(id, 'cat /proc/self/cgroup')).not.toMatch(/:\/./m)
  })

  test('host files that the runtime touches keep their owner', async () => {
    const { uid, mode } = await stat('/dev/null')
    expect({ uid, mode }).toEqual({ uid: nullBefore.uid, mode: nullBefore.mode })
    expect(uid).toBe(0)
  })

  test('no core dump starts a program of the host', async () => {
    expect(await world.ask(id, 'cat /proc/self/limits')).toMatch(/Max core file size +1 +1 /)
  })

  test('two sandboxes share no host id', async () => {
    const other = await world.start()
    const maps = await Promise.all([id, other.id].map((one) => world.ask(one, 'cat /proc/self/uid_map')))
    const bases = maps.map((map) => Number(map.trim().split(/\s+/)[1]))
    expect(Math.abs(bases[0]! - bases[1]!)).toBeGreaterThanOrEqual(65_536)
    await world.launcher.delete(other.id)
  })

  test('a sandbox runs with no more threads or mounts of the host than before', async () => {
    const pid = await world.launcher.pid()
    expect(await readdir(`/proc/${pid}/task`)).toHaveLength(1)
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain('overlay caisson')
  })
})
