import { Sandbox } from 'caisson'
import { describe, expect } from 'vitest'
import { test } from '../fixture.ts'
import { agentPid, cannotRun, isAlive, launcherPid, leftovers, until, untilNone } from './host.ts'

const ROUNDS = 20

/** Numbered lines on both streams, as fast as a few MB a second, until it is told to stop; then their number. */
const WRITER = `
import os, sys, time
n = 0
while not os.path.exists('/tmp/stop'):
    for stream in (1, 2, 1):
        os.write(stream, b''.join(b'%012d\\n' % i for i in range(n, n + 200)))
        n += 200
    time.sleep(0.002)
os.write(1, b'total %d\\n' % n)
sys.exit(42)
`

/** What the writer must have written, by stream. */
function written(total: number): { stdout: string; stderr: string } {
  const streams = { stdout: '', stderr: '' }
  for (let block = 0; block * 200 < total; block++) {
    const lines = Array.from(
      { length: 200 },
      (_, line) => `${String(block * 200 + line).padStart(12, '0')}\n`,
    )
    streams[block % 3 === 1 ? 'stderr' : 'stdout'] += lines.join('')
  }
  streams.stdout += `total ${total}\n`
  return streams
}

describe.skipIf(cannotRun !== null)('SIGKILL', () => {
  test(`to the server, ${ROUNDS} times during output, loses and repeats no byte`, async ({ server }) => {
    const client = server.client()
    await using box = await Sandbox.create({ client })
    const execution = await box.start(['python3', '-c', WRITER])
    // A client that follows all the time, reconnecting as it has to.
    let received = 0
    const following = execution.wait({
      onOutput: ({ data }) => {
        received += data.length
      },
    })
    following.catch(() => {})
    for (let round = 0; round < ROUNDS; round++) {
      const more = received + Math.floor(Math.random() * 300_000)
      await until('more output', () => received > more)
      await server.kill9()
      await server.up()
    }
    await box.files.write('/tmp/stop', '')
    const result = await following
    expect(result).toMatchObject({ ending: 'exited', exitCode: 42, outputTruncated: false })
    const total = Number(/total (\d+)\n$/.exec(result.stdout)?.[1])
    const expected = written(total)
    expect(result.stdout === expected.stdout).toBe(true)
    expect(result.stderr === expected.stderr).toBe(true)
    const again = await (await box.attach(execution.id)).wait()
    expect(again.output === result.output).toBe(true)
  })

  test('to the launcher hurts no sandbox, and the next one finds all of them', async ({ server }) => {
    const client = server.client()
    await using box = await Sandbox.create({ client })
    const before = await box.start(['sh', '-c', 'cat; exit 9'], { stdin: true })
    const first = launcherPid(server)
    process.kill(first, 'SIGKILL')
    await until('its end', () => !isAlive(first))
    expect(await box.sh('echo on')).toMatchObject({ stdout: 'on\n' })
    await using other = await Sandbox.create({ client })
    expect(launcherPid(server)).not.toBe(first)
    expect((await other.exec(['true'])).exitCode).toBe(0)
    await before.stdin.end()
    expect((await before.wait()).exitCode).toBe(9)
    // The new launcher hears of the end of a sandbox that the old one had started.
    process.kill(agentPid(server, box.id), 'SIGKILL')
    await until('it is known to have failed', async () => (await box.refresh()).info.status === 'failed')
    expect(box.info.ending?.reason).toBe('agent-lost')
  })

  test('to the launcher does not prevent the end of a sandbox', async ({ server }) => {
    const box = (await Sandbox.create({ client: server.client() })).keep()
    process.kill(launcherPid(server), 'SIGKILL')
    await box.delete()
    expect(box.info.status).toBe('terminated')
    await untilNone('nothing is left behind', () => leftovers(server, []))
  })

  test('to launcher and server at once hurts no sandbox', async ({ server }) => {
    const client = server.client()
    await using box = await Sandbox.create({ client })
    const execution = await box.start(['sh', '-c', 'cat; exit 3'], { stdin: true })
    process.kill(launcherPid(server), 'SIGKILL')
    await server.kill9()
    await server.up()
    await execution.stdin.write('again')
    await execution.stdin.end()
    expect(await execution.wait()).toMatchObject({ stdout: 'again', exitCode: 3 })
    await using other = await Sandbox.create({ client })
    expect((await other.exec(['true'])).exitCode).toBe(0)
    await untilNone('nothing is left behind', () => leftovers(server, [box.id, other.id]))
  })

  test('to the agent fails the sandbox and everything in it, at once and for good', async ({ server }) => {
    const client = server.client()
    await using neighbour = await Sandbox.create({ client })
    const box = (await Sandbox.create({ client, name: 'unlucky', resources: { memory: '128Mi' } })).keep()
    // A memory kill that has been told already is no evidence about the agent.
    expect((await box.python('x = bytearray(512 << 20)')).ending).toBe('out-of-memory')
    const running = box.sh('echo begun; sleep 1000')
    const execution = await box.start(['cat'], { stdin: true })
    await until('both run', async () => (await execution.refresh()).state === 'running')
    await until('output', async () => (await box.executions()).some(({ outputBytes }) => outputBytes === 6))
    process.kill(agentPid(server, box.id), 'SIGKILL')
    expect(await running).toMatchObject({ ending: 'agent-lost', exitCode: null, stdout: 'begun\n' })
    expect(await execution.wait()).toMatchObject({ ending: 'agent-lost', exitCode: null, signal: null })
    await until('it has failed', async () => (await box.refresh()).info.status === 'failed')
    expect(box.info.ending?.reason).toBe('agent-lost')
    await expect(box.exec(['true'])).rejects.toMatchObject({ code: 'sandbox_ended' })
    await expect(box.files.read('/etc/hostname')).rejects.toMatchObject({ code: 'sandbox_ended' })
    await untilNone('nothing is left behind', () => leftovers(server, [neighbour.id]))
    expect((await neighbour.exec(['true'])).exitCode).toBe(0)
    await using again = await Sandbox.create({ client, name: 'unlucky' })
    expect(again.info.status).toBe('idle')
  })

  test('to the agent while there is no server is found at the next start', async ({ server }) => {
    const client = server.client()
    const box = (await Sandbox.create({ client })).keep()
    const execution = await box.start(['sleep', '1000'])
    const agent = agentPid(server, box.id)
    await server.kill9()
    process.kill(agent, 'SIGKILL')
    await until('its end', () => !isAlive(agent))
    await server.up()
    expect((await box.refresh()).info).toMatchObject({ status: 'failed', ending: { reason: 'agent-lost' } })
    expect(await execution.refresh()).toMatchObject({ state: 'ended', ending: 'agent-lost', exitCode: null })
    await untilNone('nothing is left behind', () => leftovers(server, []))
  })
})
