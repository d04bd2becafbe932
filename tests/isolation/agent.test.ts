import { setTimeout as sleep } from 'node:timers/promises'
import { type ExecResult, Sandbox, type SandboxError } from 'caisson'
import { afterAll, beforeAll, describe, expect } from 'vitest'
import { TestServer } from '../fixture.ts'
import { ATTACKERS, attempt, cannotRun, codeOf, shell, test } from './world.ts'

const works = async (box: Sandbox) => expect(await shell(box, 'echo works')).toBe('works')

/** No process of it is worth killing as much as the agent. */
const MANY_SMALL_HOGS = `import os, time
open('/proc/self/oom_score_adj', 'w').write('0')
for _ in range(32):
  if os.fork() == 0:
    held = os.urandom(6 << 20)
    time.sleep(1000)
os.wait()`

describe.skipIf(cannotRun).each(ATTACKERS)('the agent, attacked by %s', (who) => {
  test('is not traced, read or written', async ({ box }) => {
    const outcomes = await attempt(box, who, {
      'ptrace attach': 'attach(1, PTRACE_ATTACH)',
      'ptrace seize': 'attach(1, PTRACE_SEIZE)',
      'read memory': "os.pread(os.open('/proc/1/mem', os.O_RDONLY), 1, 0x400000)",
      'write memory': "os.open('/proc/1/mem', os.O_RDWR)",
      process_vm_readv: 'peek(1)',
      'take its socket': 'take_fd(1, 3)',
      environment: "read('/proc/1/environ')",
      maps: "read('/proc/1/maps')",
      stack: "read('/proc/1/stack')",
      syscall: "read('/proc/1/syscall')",
      'its descriptors': "os.readlink('/proc/1/fd/3')",
      'open its descriptor': "os.open('/proc/1/fd/0', os.O_RDONLY)",
      'its root': "os.listdir('/proc/1/root')",
      'its directory': "os.listdir('/proc/1/cwd')",
      'its program': "os.readlink('/proc/1/exe')",
      namespaces: "os.readlink('/proc/1/ns/mnt')",
      map_files: "os.listdir('/proc/1/map_files')",
      'control: trace an own child': 'attach(child(), PTRACE_SEIZE)',
      'control: read an own child': 'peek(child())',
      'control: take a socket of an own child': 'take_fd(child(), 1)',
      'control: own environment': "read('/proc/self/environ')",
      'control: own descriptors': "os.listdir('/proc/self/fd') and None",
    })
    for (const [name, outcome] of Object.entries(outcomes)) {
      if (name.startsWith('control: ')) expect(outcome, name).toBe('ok')
      else expect(['EPERM', 'EACCES'], `${name}: ${outcome}`).toContain(outcome)
    }
    await works(box)
  })

  test('is not signalled', async ({ box }) => {
    const before = await shell(box, 'stat -c %Y /proc/1; cut -d" " -f22 /proc/1/stat')
    await attempt(box, who, {
      'every signal': '[os.kill(1, number) for number in range(1, 65) if number not in (32, 33)]',
      'by pidfd': '[signal_by_pidfd(1, number) for number in (9, 19, 15, 6, 11)]',
    })
    expect(
      await shell(box, 'kill -9 1; kill -STOP 1; kill -9 $$ || true; echo unreached', { user: who }).catch(
        (error) => error.result.signal,
      ),
    ).toBe('SIGKILL')
    expect(await shell(box, 'stat -c %Y /proc/1; cut -d" " -f22 /proc/1/stat')).toBe(before)
    expect((await shell(box, 'grep State /proc/1/status')).split('\t')[1]).not.toMatch(/^[TtZ]/)
  })

  test('survives that everything else is killed', async ({ box }) => {
    const sleeping = await box.start(['sleep', '1000'])
    // The shell is no exception for kill -1 as it is for the kernel's own: it dies as well.
    await box.sh('kill -9 -1', { user: who })
    expect((await sleeping.wait()).signal).toBe('SIGKILL')
    await works(box)
    expect((await box.refresh()).info.health).toBe('ok')
  })

  test('cannot be connected to', async ({ box }) => {
    const outcomes = await attempt(box, who, {
      'by a path': "[open(p) for p in ('/.caisson/agent.sock', '/run/agent.sock')]",
      'listening sockets': "open('/proc/net/unix').read().count('\\n') - 1 and 'seen'",
      'a connection of ours': `(lambda a: (a.bind('\\0own-${who}'), open('/proc/net/unix').read().count('own-${who}') and 'seen'))(socket.socket(socket.AF_UNIX))[1]`,
    })
    expect(outcomes).toEqual({
      'by a path': 'ENOENT',
      'listening sockets': 'ok',
      'a connection of ours': 'seen',
    })
  })
})

describe.skipIf(cannotRun)('root that turns on its own agent', () => {
  let server: TestServer
  let neighbour: Sandbox
  beforeAll(async () => {
    server = await TestServer.start({ config: { agentDeadlineMs: 1000 } })
    neighbour = await Sandbox.create({ client: server.client() })
  })
  afterAll(() => server[Symbol.asyncDispose]())

  /** How a command ends, or the error that it ends with. */
  const endingOf = (command: Promise<ExecResult>) =>
    command.then(
      (result) => `${result.ending} ${result.signal ?? result.exitCode}`,
      (error: SandboxError) => error.code,
    )

  test.each([
    ['descriptors', 'nofile=1:1', 'cannot_start'],
    ['processes', 'nproc=0:0', 'cannot_start'],
    ['address space', 'as=1:1', 'signalled SIGSEGV'],
  ])('by taking its %s harms its own sandbox only, and no call hangs', async (_, limit, expected) => {
    await using box = await Sandbox.create({ client: server.client() })
    expect(await endingOf(box.exec(['true']))).toBe('exited 0')
    await shell(box, `prlimit --pid 1 --${limit}`, { user: 'root' })
    expect(await endingOf(box.exec(['true']))).toBe(expected)
    expect(await codeOf(box.files.write('/tmp/a', 'x'))).not.toBe('internal')
    await works(neighbour)
    await box.delete()
    expect(box.info.status).toBe('terminated')
  })

  test('by offering it to the out-of-memory killer ends its own sandbox, which says so', async () => {
    await using box = await Sandbox.create({ client: server.client(), resources: { memory: '64Mi' } })
    await shell(box, 'echo 1000 > /proc/1/oom_score_adj', { user: 'root' })
    const ending = await endingOf(box.python(MANY_SMALL_HOGS))
    expect(ending).toMatch(/^(agent-lost|out-of-memory|sandbox-ended) null$|^(agent_lost|sandbox_ended)$/)
    while ((await box.refresh()).info.status === 'stopping') await sleep(10)
    expect(box.info.status).toMatch(/^(terminated|failed)$/)
    expect(box.info.ending!.reason).toMatch(/^(agent-lost|out-of-memory)$/)
    expect(await codeOf(box.exec(['true']))).toBe('sandbox_ended')
    await works(neighbour)
  })

  test('by putting a FIFO and an endless device in place of its tables of users does not make it wait', async () => {
    await using box = await Sandbox.create({ client: server.client() })
    await shell(box, 'rm /etc/passwd /etc/group; mkfifo /etc/passwd; ln -s /dev/zero /etc/group', {
      user: '0',
    })
    expect(await endingOf(box.exec(['true'], { user: 'agent' }))).toBe('cannot_start')
    expect((await box.exec(['id', '-u'], { user: '1000', cwd: '/' })).stdout).toBe('1000\n')
  })
})
