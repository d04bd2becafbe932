import { run, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { agentPid, cannotRun, until } from '../crash/host.ts'
import { TestServer } from '../fixture.ts'

/** How executions and sandboxes end: told by evidence, and an exit code only where a program has exited. */

const CODES = [0, 1, 2, 7, 42, 64, 100, 124, 125, 126, 127, 128, 129, 130, 137, 139, 143, 200, 254, 255]
const SIGNALS = 'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM XCPU SYS'.split(' ')

describe.skipIf(cannotRun !== null)('an execution', () => {
  let server: TestServer
  let box: Sandbox

  beforeAll(async () => {
    server = await TestServer.start({ config: { killGraceMs: 300 } })
    box = await Sandbox.create({ client: server.client(), resources: { memory: '128Mi' } })
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  test.each(CODES)('that exits with %i has that exit code', async (code) => {
    const result = await box.sh(`exit ${code}`)
    expect(result).toMatchObject({ ending: 'exited', exitCode: code, signal: null, message: null })
  })

  test.each(SIGNALS)('that SIG%s ends has no exit code', async (name) => {
    // Without the limit the kernel would write a core file for some of these.
    const result = await box.sh(`ulimit -c 0; kill -${name} $$`)
    expect(result).toMatchObject({ ending: 'signalled', exitCode: null, signal: `SIG${name}` })
    expect(result.message).toContain(`SIG${name}`)
  })

  test('whose child was ended by a signal has the exit code of its shell', async () => {
    expect(await box.sh('sh -c "kill -KILL \\$\\$"; exit $?')).toMatchObject({
      ending: 'exited',
      exitCode: 137,
      signal: null,
    })
  })

  test('that uses up the memory ends out-of-memory, and the agent survives', async () => {
    const agent = agentPid(server, box.id)
    const result = await box.python('x = bytearray(512 << 20)')
    expect(result).toMatchObject({ ending: 'out-of-memory', exitCode: null, signal: 'SIGKILL' })
    expect(result.oomKills).toBeGreaterThan(0)
    expect(result.message).toContain('memory')
    expect(agentPid(server, box.id)).toBe(agent)
    expect(await box.sh('echo fine')).toMatchObject({ ending: 'exited', exitCode: 0, oomKills: 0 })
  })

  test('whose child uses up the memory exits, and says what was killed', async () => {
    const result = await box.sh('python3 -c "x = bytearray(512 << 20)"; echo "child: $?"; exit 3')
    expect(result).toMatchObject({ ending: 'exited', exitCode: 3, stdout: 'child: 137\n' })
    expect(result.oomKills).toBeGreaterThan(0)
    expect(result.message).toContain('memory')
  })

  test('that is killed after a memory kill of another one is not out of memory', async () => {
    await box.python('x = bytearray(512 << 20)')
    expect(await box.sh('kill -KILL $$')).toMatchObject({ ending: 'signalled', signal: 'SIGKILL' })
  })

  test('that takes too long ends by its timeout, with all its processes', async () => {
    const result = await box.sh('sleep 7001 & sleep 7002', { timeout: 200 })
    expect(result).toMatchObject({ ending: 'execution-timeout', exitCode: null, signal: 'SIGTERM' })
    expect(result.message).toContain('200 ms')
    expect((await box.sh('pgrep -f "sleep 700[12]"')).stdout).toBe('')
  })

  test('that takes too long and ignores SIGTERM is killed', async () => {
    const script = 'trap "" TERM; echo begun; while :; do sleep 0.05; done'
    const result = await box.sh(script, { timeout: 200 })
    expect(result).toMatchObject({ ending: 'execution-timeout', exitCode: null, signal: 'SIGKILL' })
    expect(result.stdout).toBe('begun\n')
  })

  test('that takes too long and exits by itself on SIGTERM was ended by its timeout', async () => {
    const result = await box.sh('trap "exit 0" TERM; while :; do sleep 0.05; done', { timeout: 200 })
    expect(result).toMatchObject({ ending: 'execution-timeout', exitCode: null })
  })

  test('that ends in time is not touched by its timeout', async () => {
    expect(await box.sh('exit 5', { timeout: 60_000 })).toMatchObject({ ending: 'exited', exitCode: 5 })
  })

  test('has its timeout also when the server dies meanwhile', async () => {
    const execution = await box.start(['sleep', '1000'], { timeout: 1500 })
    await server.kill9()
    await server.up()
    expect(await execution.wait()).toMatchObject({ ending: 'execution-timeout', exitCode: null })
  })

  test.each(['SIGTERM', 'SIGKILL', 'SIGINT'])('that is killed with %s is cancelled', async (signal) => {
    const execution = await box.start(['sleep', '1000'])
    await execution.kill(signal)
    expect(await execution.wait()).toMatchObject({ ending: 'cancelled', exitCode: null, signal })
  })

  test('that is asked to end and exits by itself has exited', async () => {
    const execution = await box.start([
      'sh',
      '-c',
      'trap "exit 9" TERM; echo ready; while :; do sleep 0.05; done',
    ])
    await until('it is ready', async () => (await execution.refresh()).outputBytes > 0)
    await execution.kill('SIGTERM', 'leader')
    expect(await execution.wait()).toMatchObject({ ending: 'exited', exitCode: 9, signal: null })
  })

  test('that leaves a process behind which holds its output ends all the same', async () => {
    const result = await box.sh('echo out; sleep 7003 & exit 2')
    expect(result).toMatchObject({ ending: 'exited', exitCode: 2, stdout: 'out\n' })
    expect((await box.sh('pkill -x sleep && echo it ran')).stdout).toBe('it ran\n')
  })

  test('that was running when its sandbox was deleted ended with the sandbox', async () => {
    const other = (await Sandbox.create({ client: server.client() })).keep()
    const running = other.sh('echo begun; sleep 1000')
    await until('it runs', async () => (await other.executions())[0]?.outputBytes === 6)
    await other.delete()
    expect(await running).toMatchObject({ ending: 'sandbox-ended', exitCode: null, stdout: 'begun\n' })
    const [kept] = await other.executions()
    expect(kept).toMatchObject({ state: 'ended', ending: 'sandbox-ended', exitCode: null })
  })

  test('has an exit code if and only if it has exited', async () => {
    const client = server.client()
    const { sandboxes } = await client.call('listSandboxes', { all: true })
    for (const { id } of sandboxes) {
      for (let offset = 0; ; offset += 100) {
        const { executions } = await client.call('listExecutions', { id, limit: 100, offset })
        if (executions.length === 0) break
        for (const one of executions) {
          expect(one.state).toBe('ended')
          expect(one.exitCode !== null).toBe(one.ending === 'exited')
        }
      }
    }
  })
})

describe.skipIf(cannotRun !== null)('a sandbox', () => {
  let server: TestServer

  beforeAll(async () => {
    server = await TestServer.start({ config: { killGraceMs: 300 } })
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  const ended = (box: Sandbox) =>
    until('it has ended', async () => (await box.refresh()).info.endedAt !== null)

  test('in which nothing runs ends by its idle timeout', async () => {
    const box = (await Sandbox.create({ client: server.client(), idleTimeout: 300 })).keep()
    await box.exec(['true'])
    await ended(box)
    expect(box.info).toMatchObject({ status: 'terminated', ending: { reason: 'idle-timeout' } })
    await expect(box.exec(['true'])).rejects.toMatchObject({ code: 'sandbox_ended' })
  })

  test('in which something runs is not idle', async () => {
    const box = (await Sandbox.create({ client: server.client(), idleTimeout: 200 })).keep()
    expect(await box.sh('sleep 1; echo done')).toMatchObject({ stdout: 'done\n', exitCode: 0 })
    await ended(box)
    expect(box.info.ending?.reason).toBe('idle-timeout')
  })

  test('whose file was read is idle again afterwards', async () => {
    const box = (await Sandbox.create({ client: server.client(), idleTimeout: 300 })).keep()
    await box.files.read('/etc/hostname')
    await ended(box)
    expect(box.info.ending?.reason).toBe('idle-timeout')
  })

  test('ends when its time to live is over, whatever runs', async () => {
    const box = (await Sandbox.create({ client: server.client(), ttl: 700 })).keep()
    const result = await box.sh('sleep 1000')
    expect(result).toMatchObject({ ending: 'sandbox-ended', exitCode: null })
    await ended(box)
    expect(box.info).toMatchObject({ status: 'terminated', ending: { reason: 'expired' } })
  })

  test('whose time was over while there was no server ends at the next start', async () => {
    const box = (await Sandbox.create({ client: server.client(), ttl: 500 })).keep()
    await server.kill9()
    await until('its time is over', () => Date.now() > Date.parse(box.info.expiresAt!))
    await server.up()
    await ended(box)
    expect(box.info.ending?.reason).toBe('expired')
  })

  test('that was made for one command ends with it', async () => {
    const client = server.client()
    const result = await run(['sh', '-c', 'exit 11'], { client })
    expect(result).toMatchObject({ ending: 'exited', exitCode: 11 })
    const box = await Sandbox.connect(result.execution.sandboxId, { client })
    await ended(box)
    expect(box.info.ending?.reason).toBe('completed')
  })

  test('of a run ends when its client leaves', async () => {
    const client = server.client()
    const leave = new AbortController()
    let id = ''
    const running = run(['sleep', '1000'], {
      client,
      signal: leave.signal,
      onStarted: (execution) => {
        id = execution.sandboxId
        leave.abort()
      },
    })
    await expect(running).rejects.toMatchObject({ code: 'aborted' })
    const box = await Sandbox.connect(id, { client })
    await ended(box)
    expect((await box.executions())[0]).toMatchObject({ state: 'ended', exitCode: null })
  })

  test('goes on with its command when the client leaves', async () => {
    const client = server.client()
    await using box = await Sandbox.create({ client })
    const own = server.client()
    const leave = new AbortController()
    const stream = await own.stream(
      'exec',
      { id: box.id, argv: ['sh', '-c', 'echo begun; cat; echo ended; exit 4'], stdin: true },
      { signal: leave.signal },
    )
    for await (const records of stream) if (records.some(({ type }) => type === 'output')) break
    leave.abort()
    const [info] = await box.executions()
    expect(info?.state).toBe('running')
    const execution = await box.attach(info!.id)
    await execution.stdin.end()
    expect(await execution.wait()).toMatchObject({ exitCode: 4, stdout: 'begun\nended\n' })
  })
})
