import { type Client, Sandbox, SandboxError } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FAILPOINTS, type Failpoint } from '../../packages/server/src/failpoint.ts'
import { cannotRun, leftovers, until, untilNone } from '../crash/host.ts'
import { TestServer } from '../fixture.ts'

/** What a client is told whose server dies. */
const GONE = ['connection_lost', 'server_unreachable'] as const

type Depth = 'memory' | 'filesystem' | 'workspace'

/** Steps that are gone through by a pause, or a resume, of each depth. */
const STEPS: [Failpoint, Depth][] = [
  ...at('pause', 'memory', ['stopped', 'trimmed']),
  ...at('pause', 'filesystem', ['frozen', 'trimmed']),
  ...at('pause', 'workspace', ['frozen']),
  ...at('resume', 'memory', []),
  ...at('resume', 'workspace', []),
]

function at(step: 'pause' | 'resume', depth: Depth, without: string[]): [Failpoint, Depth][] {
  const names = FAILPOINTS.filter((name) => name.startsWith(`${step}:`))
  return names.filter((name) => !without.includes(name.split(':')[1]!)).map((name) => [name, depth])
}

describe.skipIf(cannotRun !== null)('a server that dies while it pauses or resumes', () => {
  let server: TestServer
  let client: Client
  beforeAll(async () => {
    server = await TestServer.start({ env: { CAISSON_DUMP_AFTER: '2s' } })
    client = server.client()
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  /** The next server dies at `failpoint`; `work` drives it there. Then comes one that does not. */
  async function crash(failpoint: Failpoint, work: () => Promise<unknown>): Promise<void> {
    await server.kill9()
    await server.up({ failpoint })
    const answer = work().catch((error) => {
      if (!GONE.some((code) => SandboxError.is(error, code))) throw error
    })
    await Promise.race([server.died(), answer.then(() => server.died())])
    await answer
    await server.up()
  }

  test.each(STEPS)('at %s of depth %s loses nothing and leaves nothing behind', async (failpoint, depth) => {
    await using box = await Sandbox.create({ client })
    await box.sh('mkdir -p workspace; echo kept > workspace/kept; echo side > side')
    const counter = await box.start(['sh', '-c', 'while :; do echo .; sleep 0.02; done'])
    if (failpoint.startsWith('resume:')) {
      await box.pause({ depth })
      await crash(failpoint, () => box.resume())
    } else await crash(failpoint, () => box.pause({ depth }))

    expect((await box.sh('cat workspace/kept')).stdout).toBe('kept\n')
    const { pause } = (await box.refresh()).info
    expect(pause).toBeNull()
    const { state, ending } = await client.call('getExecution', { execution: counter.id })
    // Processes are ended by a pause of the files, once it has come so far, and by nothing else.
    if (depth === 'memory' || failpoint === 'pause:recorded') {
      expect({ state, ending }).toEqual({ state: 'running', ending: null })
      const { outputBytes } = await client.call('getExecution', { execution: counter.id })
      await until('it goes on', async () => {
        const now = await client.call('getExecution', { execution: counter.id })
        return now.outputBytes > outputBytes
      })
    } else expect({ state, ending }).toEqual({ state: 'ended', ending: 'sandbox-ended' })
    const side = (await box.sh('cat side')).exitCode
    const trimmed = depth === 'workspace' && failpoint !== 'pause:recorded'
    expect(side).toBe(trimmed ? 1 : 0)
    await untilNone('nothing is left behind', () => leftovers(server, [box.id]))
  })

  const DUMPS = FAILPOINTS.filter((name) => name.startsWith('dump:'))
  test.for(DUMPS)('at %s, while memory goes to disk, loses nothing', async (failpoint, { skip }) => {
    const { memoryPause } = await client.call('getServer')
    skip(memoryPause !== 'disk', 'this server cannot put memory on disk; "caisson doctor" says why')
    await using box = await Sandbox.create({ client })
    const counter = await box.start(['sh', '-c', 'while :; do echo .; sleep 0.02; done'])
    await box.pause({ depth: 'memory' })
    await crash(failpoint, async () => {})
    await box.resume()
    const { outputBytes } = await client.call('getExecution', { execution: counter.id })
    await until('it goes on', async () => {
      const now = await client.call('getExecution', { execution: counter.id })
      return now.outputBytes > outputBytes
    })
    await untilNone('nothing is left behind', () => leftovers(server, [box.id]))
  })

  test('when it has recorded a session, the session is there', async () => {
    await crash('session:recorded', () => client.call('createSession', { name: 'chat' }))
    const session = await client.call('getSession', { session: 'chat' })
    expect(session.status).toBe('recorded')
    const box = await Sandbox.connect(session.sandboxId, { client })
    expect((await box.sh('cat /etc/hostname')).exitCode).toBe(0)
    await client.call('deleteSession', { session: 'chat' })
    await untilNone('nothing is left behind', () => leftovers(server, []))
  })
})
