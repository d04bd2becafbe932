import { closeSync, openSync } from 'node:fs'
import { Sandbox } from 'caisson'
import { describe, expect } from 'vitest'
import { TestServer } from '../fixture.ts'
import { another, attempt, cannotRun, codeOf, shell, test } from './world.ts'

/** Leaves something in every place that processes of one machine share; one line per place. */
const LEAVE = `import ctypes, os, socket, sys, time
libc = ctypes.CDLL(None, use_errno=True)
open('/tmp/shared', 'w').write('x'); open('/dev/shm/shared', 'w').write('x')
libc.shmget(7003, 4096, 0o1666); libc.msgget(7003, 0o1666)
libc.mq_open(b'/shared', os.O_CREAT | os.O_RDWR, 0o666, None)
abstract = socket.socket(socket.AF_UNIX); abstract.bind('\\0shared'); abstract.listen()
tcp = socket.create_server(('127.0.0.1', 7003)); tcp6 = socket.create_server(('::1', 7003), family=socket.AF_INET6)
print('left', flush=True); time.sleep(1000)`

/** Looks for what LEAVE left. */
const FIND = {
  file: "os.stat('/tmp/shared') and None",
  '/dev/shm': "os.stat('/dev/shm/shared') and None",
  'System V memory': "call('shmget', 7003, 4096, 0o666)",
  'System V queue': "call('msgget', 7003, 0o666)",
  'POSIX queue': "call('mq_open', b'/shared', os.O_RDWR)",
  'abstract socket': "socket.socket(socket.AF_UNIX).connect('\\0shared')",
  'TCP port': "socket.create_connection(('127.0.0.1', 7003))",
  'TCP port over IPv6': "socket.create_connection(('::1', 7003))",
  process:
    "[1 for p in os.listdir('/proc') if p.isdigit() and b'neigh' b'bour' in open('/proc/%s/cmdline' % p, 'rb').read()] and 'seen' or os.stat('/none')",
}

/** Names the devices that anybody opens, until it is /dev/full. */
const WATCH_DEVICES = `import ctypes, os, struct
libc, names, name = ctypes.CDLL(None), {}, ''
fd = libc.inotify_init1(0)
for name in ('null', 'zero', 'full', 'random', 'urandom', 'tty'):
  names[libc.inotify_add_watch(fd, b'/dev/' + name.encode(), 0x20)] = name
print('watching')
while name != 'full':
  name = names[struct.unpack('i12x', os.read(fd, 16))[0]]
  print(name)`

const LOCK_DEVICE = `import fcntl, time
device = open('/dev/null')
fcntl.flock(device, fcntl.LOCK_EX)
print('locked')
time.sleep(1000)`

const TRY_LOCK = { lock: "fcntl.flock(os.open('/dev/null', os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)" }

describe.skipIf(cannotRun)('two sandboxes', () => {
  test('share no file, no memory, no queue, no socket and no process', async ({ box }) => {
    await using other = await another(box)
    const left = await box.start(['python3', '-u', '-c', LEAVE, 'neighbour'])
    for await (const _ of left) break
    const same = await attempt(box, 'root', FIND)
    expect(new Set(Object.values(same))).toEqual(new Set(['ok', 'seen']))
    expect(await attempt(other, 'root', FIND)).toEqual({
      file: 'ENOENT',
      '/dev/shm': 'ENOENT',
      'System V memory': 'ENOENT',
      'System V queue': 'ENOENT',
      'POSIX queue': 'ENOENT',
      'abstract socket': 'ECONNREFUSED',
      'TCP port': 'ECONNREFUSED',
      'TCP port over IPv6': 'ECONNREFUSED',
      process: 'ENOENT',
    })
    await left.kill()
  })

  test('and the host do not notice when one uses its devices', async ({ box }) => {
    await using other = await another(box)
    const watching = await box.start(['python3', '-u', '-c', WATCH_DEVICES])
    for await (const _ of watching) break
    await shell(other, 'for name in null zero random urandom; do head -c 1 /dev/$name; done > /dev/null')
    for (const name of ['null', 'zero', 'urandom']) closeSync(openSync(`/dev/${name}`, 'r'))
    await shell(box, 'exec 9< /dev/full')
    // The control: it sees the stdin of that command, and what it opens.
    expect((await watching.wait()).output).toBe('watching\nnull\nfull\n')
  })

  test('have no locks in common, not on devices either', async ({ box }) => {
    await using other = await another(box)
    const locking = await box.start(['python3', '-u', '-c', LOCK_DEVICE])
    for await (const _ of locking) break
    expect((await attempt(box, 'agent', TRY_LOCK)).lock).toBe('EAGAIN')
    expect((await attempt(other, 'agent', TRY_LOCK)).lock).toBe('ok')
    await locking.kill()
  })

  test('share no identity: host name, randomness, machine id, keys', async ({ box }) => {
    await using other = await another(box)
    const both = async (script: string) => [await shell(box, script), await shell(other, script)]
    for (const script of [
      'hostname',
      'head -c 32 /dev/urandom | base64',
      'head -c 32 /dev/random | base64',
      'cat /proc/sys/kernel/random/uuid',
      'echo $CAISSON_SANDBOX',
      'readlink /proc/self/ns/user',
      'cat /etc/machine-id',
    ]) {
      const [one, two] = await both(script)
      expect(one, script).not.toBe(two)
      expect(one, script).not.toBe('')
    }
    const secrets = 'cat /var/lib/dbus/machine-id 2>/dev/null; ls -d /etc/ssh/ssh_host_* 2>/dev/null; true'
    expect(await both(secrets)).toEqual(['', ''])
    const keys =
      'find / -xdev \\( -name random-seed -o -path "*/private/*" -o -name "id_*" -path "*/.ssh/*" \\)'
    expect(await shell(box, keys, { user: 'root' })).toBe('')
    // The program that would make such keys works.
    expect(await shell(box, 'ssh-keygen -q -t ed25519 -N "" -f /tmp/key && wc -l < /tmp/key.pub')).toBe('1')
  })
})

describe.skipIf(cannotRun)('an id', () => {
  test('can be neither guessed nor counted', async ({ server, box }) => {
    const started = await Promise.all(Array.from({ length: 20 }, () => box.start(['true'])))
    await using other = await Sandbox.create({ client: server.client() })
    const ids = [box.id, other.id, ...started.map((execution) => execution.id)]
    for (const id of ids) expect(id).toMatch(/^(sbx|exe)_[a-z2-7]{20}$/)
    const random = ids.map((id) => id.slice(4))
    expect(new Set(random.map((text) => text.slice(0, 6))).size).toBe(ids.length)
    // In the order in which they were given out they are not sorted, as ids with a clock or a counter would be.
    expect(random.slice(2)).not.toEqual(random.slice(2).toSorted())
  })

  test('of another server’s sandbox looks like one that never was', async ({ server, box }) => {
    await using elsewhere = await TestServer.start()
    const client = elsewhere.client()
    const unknown = `sbx_${'a'.repeat(20)}`
    const shown = async (id: string, ask: (id: string) => Promise<unknown>) =>
      ask(id).then(
        () => 'ok',
        (error) => JSON.stringify(error).replaceAll(id, '<id>'),
      )
    for (const ask of [
      (id: string) => client.call('getSandbox', { id }),
      (id: string) => client.call('deleteSandbox', { id }),
      (id: string) => client.call('listFiles', { id, path: '/' }),
      (id: string) => client.call('startExecution', { id, argv: ['true'] }),
    ]) {
      expect(await shown(box.id, ask)).toBe(await shown(unknown, ask))
      expect(await shown(box.id, ask)).toContain('sandbox_not_found')
    }
    expect(await codeOf(server.client().call('getSandbox', { id: box.id }))).toBe('ok')
  })

  test('tells nobody without a key whether it exists', async () => {
    const port = 20_000 + (process.pid % 20_000)
    await using server = await TestServer.start({ listen: `127.0.0.1:${port}` })
    const admin = server.client()
    await using box = await Sandbox.create({ client: admin })
    const { key: secret } = await admin.call('createKey', { name: 'reader', scopes: ['read'] })
    const ask = async (method: string, id: string, key?: string) => {
      const headers = key ? { authorization: `Bearer ${key}` } : {}
      const response = await fetch(`http://127.0.0.1:${port}/v1/sandboxes/${id}`, { method, headers })
      return `${response.status} ${(await response.text()).replaceAll(id, '<id>')}`
    }
    const unknown = `sbx_${'a'.repeat(20)}`
    for (const [method, key] of [
      ['GET', undefined],
      ['DELETE', undefined],
      ['GET', 'csk_wrong'],
      ['DELETE', secret],
    ] as const)
      expect(await ask(method, box.id, key)).toBe(await ask(method, unknown, key))
    expect(await ask('GET', box.id, secret)).toMatch(/^200 /)
    expect(await ask('GET', unknown, secret)).toMatch(/^404 /)
  })
})
