import { Sandbox } from 'caisson'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { TestServer } from '../fixture.ts'
import { agentPid, cannotRun, until } from './host.ts'

/** An agent that is there and does not answer, as one that was stopped from outside, or starved. */
describe.skipIf(cannotRun !== null)('an agent that is stopped', () => {
  let server: TestServer
  let box: Sandbox
  let agent: number

  beforeAll(async () => {
    server = await TestServer.start({ config: { agentDeadlineMs: 700 } })
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })
  beforeEach(async () => {
    box = await Sandbox.create({ client: server.client() })
    agent = agentPid(server, box.id)
  })
  afterEach(async () => {
    await box.delete()
  })

  const stop = () => process.kill(agent, 'SIGSTOP')
  const resume = () => process.kill(agent, 'SIGCONT')
  const health = async (state: 'ok' | 'unresponsive') =>
    await until(`it is ${state}`, async () => (await box.refresh()).info.health === state)

  test('fails calls in time, is told, and recovers', async () => {
    const before = await box.start(['sh', '-c', 'echo begun; cat; exit 6'], { stdin: true })
    stop()
    await expect(box.exec(['sleep', '1000'])).rejects.toMatchObject({ code: 'agent_lost' })
    await expect(box.files.stat('/')).rejects.toMatchObject({ code: 'agent_lost' })
    await expect(box.files.write('/tmp/no', 'no')).rejects.toMatchObject({ code: 'agent_lost' })
    await expect(before.kill('SIGTERM')).rejects.toMatchObject({ code: 'agent_lost' })
    await health('unresponsive')
    await expect(box.exec(['true'])).rejects.toMatchObject({ code: 'agent_lost' })
    resume()
    await health('ok')
    // Nobody was told of it, so it does not go on.
    await until('it is ended', async () => (await box.sh('pgrep -x sleep')).stdout === '')
    await before.stdin.write('ok')
    await before.stdin.end()
    // A kill that failed for its caller may have reached it.
    expect(['exited', 'cancelled']).toContain((await before.wait()).ending)
    expect((await box.refresh()).info.status).toBe('idle')
  })

  test('does not lose a command that waits for it', async () => {
    stop()
    await expect(box.exec(['true'])).rejects.toMatchObject({ code: 'agent_lost' })
    const waiting = box.sh('echo late; exit 4').catch((error) => error)
    resume()
    const result = await waiting
    // Its deadline may come first; then it must not have run.
    if (result.code === 'agent_lost') return
    expect(result).toMatchObject({ stdout: 'late\n', exitCode: 4, ending: 'exited' })
  })

  test('does not hold up the end of its sandbox, nor commands that wait', async () => {
    const running = box.sh('sleep 1000')
    await until('it runs', async () => (await box.executions())[0]?.state === 'running')
    stop()
    const waiting = box.exec(['true']).catch((error) => error)
    await until('it waits', async () => (await box.executions()).length === 2)
    await box.delete()
    expect(await running).toMatchObject({ ending: 'sandbox-ended', exitCode: null })
    expect(['agent_lost', 'sandbox_ended']).toContain((await waiting).code)
  })

  test('holds up no start of a server, and is found when it goes on', async () => {
    const execution = await box.start(['sh', '-c', 'cat; exit 8'], { stdin: true })
    stop()
    await server.kill9()
    await server.up()
    expect((await box.refresh()).info).toMatchObject({ status: 'running', health: 'unresponsive' })
    await expect(box.exec(['true'])).rejects.toMatchObject({ code: 'agent_lost' })
    resume()
    await health('ok')
    await execution.stdin.write('found')
    await execution.stdin.end()
    expect(await execution.wait()).toMatchObject({ stdout: 'found', exitCode: 8 })
  })

  test('does not let a command outlive its timeout for ever', async () => {
    const execution = await box.start(['sleep', '1000'], { timeout: 300 })
    stop()
    await health('unresponsive')
    resume()
    expect(await execution.wait()).toMatchObject({ ending: 'execution-timeout', exitCode: null })
  })
})
