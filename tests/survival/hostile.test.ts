import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isAlive, pidsOf, until, untilNone } from '../crash/host.ts'
import type { TestServer } from '../fixture.ts'
import { cannotSave, startSaving, text } from '../saved/world.ts'
import { nothingIsOrphaned } from './world.ts'

/** What of the host a walk out of a sandbox would hit first. */
const HOST_FILES = ['/etc/passwd', '/etc/hostname', '/etc/shadow']
const hostState = () =>
  HOST_FILES.map((path) => createHash('sha256').update(readFileSync(path)).digest('hex'))

/** Each process forks for ever, and outlives what it is refused. */
const FORK_BOMB = `
import os, time
while True:
    try: os.fork()
    except OSError: time.sleep(0.01)
`

/** Makes a chain of directories that no path can name, and a name as long as a name can be, in the directory of argv 1. */
const ABYSS = `
import os, sys
os.makedirs(sys.argv[1], exist_ok=True)
os.chdir(sys.argv[1])
open('n' * 255, 'w').write('long')
for _ in range(5000):
    os.mkdir('d')
    os.chdir('d')
open('bottom', 'w').write('deep')`

/** Says what is at the bottom of it. */
const FATHOM = `
import os, sys
os.chdir(sys.argv[1])
print(open('n' * 255).read())
depth = 0
while os.path.isdir('d'):
    os.chdir('d')
    depth += 1
print(depth, open('bottom').read())`

/** As many names as argv 2 says for a few files. */
const LINKS = `
import os, sys
os.makedirs(sys.argv[1], exist_ok=True)
os.chdir(sys.argv[1])
for n in range(int(sys.argv[2])):
    first = f'first{n // 20000}'
    if n % 20000 == 0: open(first, 'w').write('x' * 10)
    os.link(first, f'l{n}')`

/** Each file is whole before the counter tells of it. */
const WRITER = `
import itertools, os
os.makedirs('/home/agent/written', exist_ok=True)
os.chdir('/home/agent/written')
for n in itertools.count(1):
    with open(f'f{n}', 'w') as file: file.write(f'{n}\\n' * (n % 3000 + 1))
    with open('../counter.new', 'w') as file: file.write(str(n))
    os.rename('../counter.new', '../counter')`

/** Says how far the counter had come, or what is not as it must be. */
const CHECK = `
import os
n = int(open('/home/agent/counter').read())
for i in range(1, n + 1):
    if open(f'/home/agent/written/f{i}').read() != f'{i}\\n' * (i % 3000 + 1): print('wrong', i)
if len(os.listdir('/home/agent/written')) > n + 1: print('more than', n)
print(n)`

describe.skipIf(cannotSave !== null)('a hostile guest', () => {
  let server: TestServer
  let client: Client
  let host: string[]

  beforeAll(async () => {
    server = await startSaving()
    client = server.client()
    host = hostState()
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  const python = async (box: Sandbox, script: string, ...args: string[]) => {
    const { exitCode, stdout, stderr } = await box.exec(['python3', '-c', script, ...args])
    expect(exitCode, stderr).toBe(0)
    return stdout.trim()
  }

  test.each([
    ['the workspace, to /etc', 'rm -rf ~/workspace; ln -s /etc ~/workspace'],
    ['the workspace, upwards', 'rm -rf ~/workspace; ln -s ../../../../../.. ~/workspace'],
    [
      'the home, to /etc',
      'sudo mv /home/agent /home/gone; sudo ln -s /etc /home/agent; sudo mkdir /etc/workspace',
    ],
    ['/home, to the root', 'sudo mkdir -p /agent/workspace; sudo mv /home /gone; sudo ln -s / /home'],
    ['the workspace, a file', 'rm -rf ~/workspace; echo x > ~/workspace'],
    ['the workspace, a pipe', 'rm -rf ~/workspace; mkfifo ~/workspace'],
    [
      'the workspace, which nobody may enter',
      'mkdir -p ~/workspace/in; chmod 000 ~/workspace/in ~/workspace',
    ],
  ])('that makes a trap of %s, hits itself alone when it is paused to the workspace', async (_, script) => {
    await using neighbour = await Sandbox.create({ client })
    await text(neighbour, 'mkdir ~/workspace; echo mine > ~/workspace/mine')
    await using box = await Sandbox.create({ client })
    await box.sh(`cd /; ${script}; sudo sh -c 'echo changed > /etc/motd'`)
    await box.pause({ depth: 'workspace' })
    expect(hostState()).toEqual(host)
    expect((await box.exec(['cat', '/etc/motd'], { cwd: '/' })).stdout).not.toContain('changed')
    expect(await text(neighbour, 'cat ~/workspace/mine; head -1 /etc/passwd')).toContain('mine\nroot:')
    await box.exec(['true'], { cwd: '/' })
    await box.pause({ depth: 'workspace' })
    await box.delete()
    await neighbour.delete()
    await nothingIsOrphaned(server, client)
  })

  test('keeps 100 000 names of few files, and loses those outside the workspace', async () => {
    await using box = await Sandbox.create({ client })
    await python(box, LINKS, '/home/agent/workspace/links', '50000')
    await python(box, LINKS, '/home/agent/links', '50000')
    await box.checkpoints.create('linked')
    await box.pause({ depth: 'workspace' })
    const count = 'ls -U ~/workspace/links | wc -l; stat -c %h ~/workspace/links/first0; ls ~'
    expect(await text(box, count)).toBe('50003\n20001\nworkspace')
    await box.checkpoints.restore('linked')
    expect(await text(box, 'ls -U ~/links | wc -l')).toBe('50003')
    await box.delete()
    await nothingIsOrphaned(server, client)
  })

  test('digs no deeper than it is removed, copied and counted', async () => {
    await using box = await Sandbox.create({ client })
    await python(box, ABYSS, '/home/agent/workspace')
    await python(box, ABYSS, '/home/agent/outside')
    await box.checkpoints.create('deep')
    const [fork] = await box.fork()
    expect(await python(fork!, FATHOM, '/home/agent/outside')).toBe('long\n5000 deep')
    await fork!.delete()
    await box.pause({ depth: 'workspace' })
    expect(await text(box, 'ls ~')).toBe('workspace')
    expect(await python(box, FATHOM, '/home/agent/workspace')).toBe('long\n5000 deep')
    await expect
      .poll(async () => (await box.checkpoints.list())[0]?.fileCount, { timeout: 20_000 })
      .toBeGreaterThan(10_000)
    await box.delete()
    await nothingIsOrphaned(server, client)
  })

  test('cannot write what only the host may: flags, devices, attributes of the overlay, mounts', async () => {
    await using box = await Sandbox.create({ client })
    await text(box, 'mkdir ~/workspace')
    const tries = [
      'mknod ~/workspace/device c 1 3',
      'mknod ~/workspace/whiteout c 0 0',
      `python3 -c "import os; os.setxattr('/home/agent/workspace', 'trusted.overlay.opaque', b'y')"`,
      `python3 -c "import os; os.setxattr('/home/agent/workspace', 'trusted.overlay.redirect', b'/etc')"`,
      'mount -t tmpfs none ~/workspace',
      'mount --bind /etc ~/workspace',
    ]
    const asRoot = async (command: string) =>
      (await box.exec(['sudo', 'sh', '-c', command.replaceAll('~', '/home/agent')])).exitCode
    for (const command of tries) expect(await asRoot(command), command).not.toBe(0)
    expect(await asRoot(`mkfifo ~/workspace/pipe; python3 -c "import os; os.listxattr('/')"`)).toBe(0)
  })

  test('may keep what is its own: owners, modes, attributes, files that cannot be changed', async () => {
    await using box = await Sandbox.create({ client })
    await text(
      box,
      `mkdir ~/workspace && cd ~/workspace && echo x > a && sudo chown 12345:54321 a && sudo chmod 4711 a
       echo y > b && sudo chattr +i b 2>/dev/null || true
       python3 -c "import os; os.setxattr('b', 'user.note', b'kept')" 2>/dev/null || true
       mkdir c && sudo chown 65535 c && sudo chmod 1000 c`,
    )
    const state = `cd ~/workspace && sudo stat -c '%n %u %g %a' a b c && python3 -c "import os; print(os.listxattr('b'))"`
    const before = await text(box, state)
    await box.pause({ depth: 'workspace' })
    expect(await text(box, state)).toBe(before)
    expect(before).toContain('a 12345 54321 4711')
    await box.delete()
    await nothingIsOrphaned(server, client)
  })

  test('that has filled its disk is paused, resumed, saved, copied and deleted like any other', async () => {
    await using neighbour = await Sandbox.create({ client })
    await using box = await Sandbox.create({ client, resources: { disk: '64Mi' } })
    const fill = await box.sh('mkdir ~/workspace; head -c 200M /dev/urandom > ~/workspace/full')
    expect(fill.exitCode).not.toBe(0)
    expect(fill.stderr).toMatch(/quota|space/i)
    // Of small files, too, until nothing goes in any more.
    await box.sh('i=0; while echo $i > ~/s$i; do i=$((i+1)); done 2>/dev/null')
    const size = await text(box, 'stat -c %s ~/workspace/full')
    await box.checkpoints.create('full')
    await client.call('createSnapshot', { id: box.id, name: 'full' })
    const [fork] = await box.fork()
    await box.pause({ depth: 'memory' })
    await box.resume()
    await box.pause({ depth: 'filesystem' })
    expect(await text(box, 'stat -c %s ~/workspace/full')).toBe(size)
    expect(await text(fork!, 'stat -c %s ~/workspace/full')).toBe(size)
    await box.checkpoints.restore('full')
    await box.pause({ depth: 'workspace' })
    expect(await text(box, 'ls ~; stat -c %s ~/workspace/full')).toBe(`workspace\n${size}`)
    await text(box, 'rm ~/workspace/full; head -c 10M /dev/zero > ~/workspace/again')
    await using made = await Sandbox.create({ client, snapshot: 'full' })
    expect(await text(made, 'stat -c %s ~/workspace/full')).toBe(size)
    expect(await text(neighbour, 'head -c 10M /dev/zero > ~/mine; stat -c %s ~/mine')).toBe(`${10 * 2 ** 20}`)
    await client.call('deleteSnapshot', { snapshot: 'full' })
    for (const one of [box, fork!, made, neighbour]) await one.delete()
    await client.call('collectGarbage', {})
    await nothingIsOrphaned(server, client)
  })

  test('that forks without end is frozen all the same, and dies', async () => {
    await using box = await Sandbox.create({ client, resources: { pids: 200 } })
    await box.start(['python3', '-c', FORK_BOMB])
    await until('it has many processes', () => pidsOf(server, box.id).length > 100)
    for (let round = 0; round < 5; round++) {
      await box.pause({ depth: 'memory' })
      const used = async () => (await client.call('getUsage', { id: box.id })).cpuUsec
      const before = await used()
      await sleep(100)
      expect(await used()).toBe(before)
      await box.resume()
    }
    await box.checkpoints.create('bomb')
    await box.pause({ depth: 'memory' })
    await box.delete()
    await nothingIsOrphaned(server, client)
  })

  test('whose frozen processes are killed from outside loses its memory, and no file', async () => {
    await using box = await Sandbox.create({ client })
    await text(box, 'echo kept > ~/kept; echo ram > /dev/shm/ram')
    const running = await box.start(['sleep', '1000'])
    await box.pause({ depth: 'memory' })
    const pids = pidsOf(server, box.id)
    expect(pids.length).toBeGreaterThan(1)
    for (const pid of pids) process.kill(pid, 'SIGKILL')
    // On cgroup v1 they end when they are thawed, which the resume does.
    await box.resume().catch((error) => expect(error).toMatchObject({ code: 'resume_failed' }))
    await untilNone('they have ended', () => pids.filter(isAlive).map(String))
    await until('it is told', async () => {
      return (await client.call('listEvents', { id: box.id, type: 'memory:lost' })).total === 1
    })
    expect(await text(box, 'cat ~/kept; ls /dev/shm')).toBe('kept')
    const { ending } = await client.call('getExecution', { execution: running.id })
    expect(ending).toBe('host-lost')
  })

  test('with processes that are stopped, traced, or asleep in the kernel, is frozen and saved', async () => {
    await using box = await Sandbox.create({ client })
    const stopped = await box.start(['sh', '-c', 'kill -STOP $$; echo went on; exit 5'])
    const traced = await box.start([
      'python3',
      '-c',
      `import ctypes, os, time
libc = ctypes.CDLL(None, use_errno=True)
child = os.fork()
if child == 0:
    libc.ptrace(0, 0, 0, 0)
    os.kill(os.getpid(), 19)
    os._exit(6)
os.waitpid(child, 0x40000000)
print('traced', flush=True)
time.sleep(1000)`,
    ])
    await box.start(['sh', '-c', 'mkfifo /tmp/pipe; cat < /tmp/pipe'])
    await until(
      'it is traced',
      async () => (await client.call('getExecution', { execution: traced.id })).outputBytes > 0,
    )
    for (let round = 0; round < 3; round++) {
      await box.checkpoints.create()
      await box.pause({ depth: 'memory' })
      expect((await box.refresh()).info.status).toBe('paused')
      await box.resume()
    }
    const state = () => client.call('getExecution', { execution: stopped.id })
    expect(await state()).toMatchObject({ state: 'running' })
    await text(box, `kill -CONT $(pgrep -f 'went on')`)
    expect(await (await box.attach(stopped.id)).wait()).toMatchObject({ stdout: 'went on\n', exitCode: 5 })
  })

  test('that writes while it is saved fifty times is whole in every copy', { timeout: 240_000 }, async () => {
    await using box = await Sandbox.create({ client })
    await box.start(['python3', '-c', WRITER])
    await text(box, 'until [ -s ~/counter ]; do sleep 0.01; done')
    for (let copy = 0; copy < 50; copy++)
      await client.call('createSnapshot', { id: box.id, name: `c${copy}` })
    await box.delete()
    let last = 0
    for (let copy = 0; copy < 50; copy++) {
      await using made = await Sandbox.create({ client, snapshot: `c${copy}` })
      const said = await python(made, CHECK)
      expect(said, `copy ${copy}`).toMatch(/^\d+$/)
      expect(Number(said)).toBeGreaterThanOrEqual(last)
      last = Number(said)
      await client.call('deleteSnapshot', { snapshot: `c${copy}` })
    }
    expect(last).toBeGreaterThan(50)
    await nothingIsOrphaned(server, client)
  })
})
