import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Client, type Execution, Sandbox, SandboxError } from 'caisson'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { cannotRun, isAlive, launcherPid, leftovers, pidsOf, until, untilNone } from '../crash/host.ts'
import { textOf } from '../executions/raw.ts'
import { TestServer } from '../fixture.ts'

const PROGRAM = readFileSync(new URL('kept.py', import.meta.url), 'utf8')
const COUNT = ['sh', '-c', 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done']
/** Stops its own child as a debugger does. */
const TRACED = `
import ctypes, os, time
libc = ctypes.CDLL(None, use_errno=True)
child = os.fork()
if child == 0:
    time.sleep(1000)
print(libc.ptrace(16, child, None, None), flush=True)
os.waitpid(child, 0)
time.sleep(1000)`
/** Becomes a program that is in no file. */
const HIDDEN = `
import os
file = os.memfd_create("hidden")
os.write(file, open("/bin/sleep", "rb").read())
print("runs", flush=True)
os.execve(file, ["sleep", "1000"], {})`

describe.skipIf(cannotRun !== null)('memory on disk', () => {
  let server: TestServer
  let client: Client
  let cannot: string | null = null

  beforeAll(async () => {
    server = await TestServer.start({ env: { CAISSON_DUMP_AFTER: '100ms', CAISSON_POOL_SIZE: '1Gi' } })
    client = server.client()
    const { memoryPause } = await client.call('getServer')
    if (memoryPause !== 'disk') cannot = 'this server cannot put memory on disk; "caisson doctor" says why'
  })
  afterAll(() => server?.[Symbol.asyncDispose]())
  beforeEach((context) => {
    if (cannot !== null) context.skip(cannot)
  })

  const dumps = () => readdirSync(join(server.dataDir, 'dumps'))
  const outputOf = async (execution: Execution) =>
    (await client.call('getExecution', { execution: execution.id })).outputBytes

  const saidBy = (execution: Execution) =>
    textOf(server, `/v1/executions/${execution.id}/logs`).then(({ text }) => text)

  async function goesOn(execution: Execution): Promise<void> {
    const before = await outputOf(execution)
    await until('it goes on', async () => (await outputOf(execution)) > before)
  }

  async function suspend(box: Sandbox): Promise<void> {
    await box.pause({ depth: 'memory' })
    await until('its memory is on disk', async () => (await box.refresh()).info.pause?.memory === 'disk')
    expect(box.info.status).toBe('suspended')
    expect(pidsOf(server, box.id)).toEqual([])
  }

  /** Ends what counts, and looks at all that it has said. */
  async function expectWhole(counter: Execution): Promise<void> {
    await counter.kill()
    const numbers = (await counter.wait()).stdout.trim().split('\n').map(Number)
    expect(numbers).toEqual(numbers.map((_, index) => index + 1))
  }

  async function failureOf(box: Sandbox): Promise<string> {
    const { events } = await client.call('listEvents', { id: box.id })
    const failed = events.find(({ type }) => type === 'pause:failed')
    return String((failed?.payload as { reason?: string } | undefined)?.reason)
  }

  test('everything that a program holds is as it was, again and again', async () => {
    await using box = await Sandbox.create({ client })
    await box.files.write('/tmp/kept.py', PROGRAM)
    const program = await box.start(['python3', '/tmp/kept.py', '50'])
    const daemon = await box.sh(
      'setsid sh -c "while :; do date > ~/beat; sleep 0.1; done" > /dev/null 2>&1 & echo started',
    )
    expect(daemon.exitCode).toBe(0)
    const counter = await box.start(COUNT)
    await goesOn(program)
    for (let round = 0; round < 3; round++) {
      await suspend(box)
      await box.resume()
      expect(dumps()).toEqual([])
      await goesOn(program)
      await goesOn(counter)
    }
    await box.sh('rm ~/beat; until [ -s ~/beat ]; do sleep 0.05; done')
    await program.kill()
    const said = (await program.wait()).stdout.trim().split('\n')
    expect(new Set(said)).toEqual(new Set(['all right']))
    await expectWhole(counter)
  })

  test('a terminal is as it was left, and so is what runs in tmux', async () => {
    await using box = await Sandbox.create({ client })
    const terminal = await box.terminal({ command: ['bash', '--norc'], cols: 101, rows: 33 })
    await terminal.write('kept=here; cd /tmp; true kept-is-set\n')
    await until('it has taken it', async () => (await saidBy(terminal.execution)).includes('kept-is-set'))
    const tmux = await box.sh(
      'tmux new-session -d -s kept "read line; echo got $line > /tmp/got; sleep 1000"',
    )
    expect(tmux.exitCode).toBe(0)
    await suspend(box)
    await terminal.write('echo "<$kept $PWD $(stty size)>" > /tmp/said; exit\n')
    expect((await terminal.wait()).exitCode).toBe(0)
    expect((await box.sh('cat /tmp/said')).stdout).toBe('<here /tmp 33 101>\n')
    await box.sh('tmux send-keys -t kept word Enter; until [ -s /tmp/got ]; do sleep 0.05; done')
    expect((await box.sh('cat /tmp/got')).stdout).toContain('got')
  })

  test.each([
    ['a program that is traced', TRACED, '0', 'traced'],
    ['a program that is in no file', HIDDEN, 'runs', 'in no file'],
  ])('%s keeps it in RAM, and nothing happens to it', async (_, source, first, reason) => {
    await using box = await Sandbox.create({ client })
    const odd = await box.start(['python3', '-c', source])
    await until('it is there', async () => (await saidBy(odd)).trim() === first)
    const counter = await box.start(COUNT)
    await goesOn(counter)
    await box.pause({ depth: 'memory' })
    await until('it was tried', async () => (await failureOf(box)) !== 'undefined')
    expect(await failureOf(box)).toContain(reason)
    expect((await box.refresh()).info).toMatchObject({ status: 'paused', pause: { memory: 'ram' } })
    expect(dumps()).toEqual([])
    await box.resume()
    await goesOn(counter)
    await expectWhole(counter)
    expect((await client.call('getExecution', { execution: odd.id })).state).toBe('running')
  })

  test('nothing is lost when the launcher dies on the way to disk or back', async () => {
    for (const delay of [0, 60, 120, 200]) {
      await using box = await Sandbox.create({ client })
      const counter = await box.start(COUNT)
      await goesOn(counter)
      await box.pause({ depth: 'memory' })
      await until('it is being put on disk', () => dumps().length > 0)
      await sleep(delay)
      await killLauncher()
      // What was asked of it as it died has failed, and changed nothing.
      await until('it is resumed', () =>
        box.resume().then(
          () => true,
          (error) => !SandboxError.is(error, 'resume_failed'),
        ),
      )
      await goesOn(counter)
      await suspend(box)
      const resumed = box.resume().catch(() => null)
      await sleep(delay)
      await killLauncher()
      await resumed
      await box.sh('true')
      await goesOn(counter)
      await expectWhole(counter)
    }
    await untilNone('nothing is left behind', () => [...leftovers(server, []), ...dumps()])
  })

  async function killLauncher(): Promise<void> {
    const pid = launcherPid(server)
    process.kill(pid, 'SIGKILL')
    await until('its end', () => !isAlive(pid))
  }

  test('it outlasts everything that runs on the host', async () => {
    await using box = await Sandbox.create({ client })
    const counter = await box.start(COUNT)
    await goesOn(counter)
    await suspend(box)
    await killLauncher()
    await server.kill9()
    await server.up()
    await box.resume()
    await goesOn(counter)
    await expectWhole(counter)
  })

  test('it goes with its sandbox', async () => {
    const box = (await Sandbox.create({ client })).keep()
    await suspend(box)
    expect(dumps()).toHaveLength(1)
    await box.delete()
    await untilNone('nothing is left behind', () => [...leftovers(server, []), ...dumps()])
  })

  test('five copies go on, each as somebody else, with what they held', async () => {
    await using box = await Sandbox.create({ client })
    await box.files.write('/tmp/kept.py', PROGRAM)
    const program = await box.start(['sh', '-c', 'python3 /tmp/kept.py 10 >> /tmp/said'])
    await box.sh('until [ -s /tmp/said ]; do sleep 0.05; done')
    const forks = await box.fork({ count: 5, memory: true })
    try {
      const identities = new Set<string>()
      for (const one of [box, ...forks]) {
        const { stdout } = await one.sh(
          ': > /tmp/said; until [ -s /tmp/said ]; do sleep 0.05; done; sort -u /tmp/said',
        )
        expect(stdout).toBe('all right\n')
        identities.add((await one.sh('hostname; cat /etc/machine-id /etc/hostname')).stdout)
        expect((await one.sh('ls ~ | grep link_remap')).stdout).toBe('')
      }
      expect(identities.size).toBe(6)
    } finally {
      await Promise.all(forks.map((fork) => fork.delete()))
    }
    expect((await client.call('getExecution', { execution: program.id })).state).toBe('running')
    expect(existsSync(join(server.dataDir, 'dumps')) && dumps()).toEqual([])
  })
})
