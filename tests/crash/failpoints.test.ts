import { type Client, Sandbox, SandboxError } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FAILPOINTS, type Failpoint } from '../../packages/server/src/failpoint.ts'
import { TestServer } from '../fixture.ts'
import { cannotRun, leftovers, untilNone } from './host.ts'

/**
 * The server dies at every named step of create, exec and delete. One sandbox with a command in it lives through all of
 * this: what was acknowledged before is never lost.
 */
describe.skipIf(cannotRun !== null)('a server that dies at', () => {
  let server: TestServer
  let client: Client
  let keeper: Sandbox
  let kept: string

  beforeAll(async () => {
    server = await TestServer.start()
    client = server.client()
    keeper = (await Sandbox.create({ client, name: 'keeper' })).keep()
    const script = 'echo begun; cat; echo ended >&2; exit 5'
    kept = (await keeper.start(['sh', '-c', script], { stdin: true })).id
  })

  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  /** The next server dies at `failpoint`; `work` drives it there. Then comes one that does not. */
  async function crash<T>(
    failpoint: Failpoint,
    work: (client: Client, signal: AbortSignal) => Promise<T>,
  ): Promise<T | null> {
    await server.kill9()
    await server.up({ failpoint })
    const gone = new AbortController()
    const answer = work(client, gone.signal).catch((error) => {
      if (SandboxError.is(error, 'aborted') || SandboxError.is(error, 'connection_lost')) return null
      throw error
    })
    await Promise.race([server.died(), answer.then(() => server.died())])
    // What was answered is what the client had when the server died; it does not wait for the next one.
    gone.abort()
    const first = await answer
    await server.up()
    return first
  }

  /** Nothing is there but the sandboxes that the API tells of. */
  async function nothingIsOrphaned(): Promise<void> {
    await untilNone('nothing is left behind', async () => {
      const { sandboxes } = await client.call('listSandboxes')
      return leftovers(
        server,
        sandboxes.map(({ id }) => id),
      )
    })
  }

  async function names(): Promise<(string | null)[]> {
    const { sandboxes } = await client.call('listSandboxes', { sort: 'name', direction: 'asc' })
    return sandboxes.map(({ name }) => name)
  }

  const at = (step: string) => FAILPOINTS.filter((name) => name.startsWith(`${step}:`))

  test.each(at('create'))('%s loses nothing that it promised, and a repeat succeeds', async (failpoint) => {
    const create = (client: Client, signal?: AbortSignal) =>
      client.call('createSandbox', { name: 'made' }, { idempotencyKey: failpoint, signal })
    const first = await crash(failpoint, create)
    const after = await names()
    expect(after).toEqual(failpoint === 'create:acknowledged' ? ['keeper', 'made'] : ['keeper'])
    await nothingIsOrphaned()
    const made = await create(client)
    expect((await create(client)).id).toBe(made.id)
    if (first !== null) expect(made.id).toBe(first.id)
    const box = await Sandbox.connect('made', { client })
    expect(box.id).toBe(made.id)
    expect(await box.sh('echo works')).toMatchObject({ stdout: 'works\n', exitCode: 0 })
    await box.delete()
    await nothingIsOrphaned()
  })

  test.each(at('exec'))('%s runs the command once and keeps its output and exit code', async (failpoint) => {
    await using box = await Sandbox.create({ client })
    const argv = ['sh', '-c', 'echo x >> /tmp/ran; echo out; echo err >&2; seq 1 20000; exit 7']
    const start = (client: Client, signal?: AbortSignal) =>
      client.call('startExecution', { id: box.id, argv }, { idempotencyKey: 'first', signal })
    const first = await crash(failpoint, start)
    const again = await start(client)
    if (first !== null) expect(again.id).toBe(first.id)
    const result = await (await box.attach(again.id)).wait()
    expect(result).toMatchObject({ ending: 'exited', exitCode: 7, stderr: 'err\n', outputTruncated: false })
    const numbers = Array.from({ length: 20_000 }, (_, index) => `${index + 1}\n`).join('')
    expect(result.stdout === `out\n${numbers}`).toBe(true)
    expect(await box.sh('cat /tmp/ran')).toMatchObject({ stdout: 'x\n' })
    expect((await box.refresh()).info.status).toBe('idle')
    await nothingIsOrphaned()
  })

  test.each(at('exec'))('%s gives a command all of its input', async (failpoint) => {
    await using box = await Sandbox.create({ client })
    const input = 'hello '.repeat(5000)
    const body = { id: box.id, argv: ['cat'], input }
    const start = (client: Client, signal?: AbortSignal) =>
      client.call('startExecution', body, { idempotencyKey: 'input', signal })
    const first = await crash(failpoint, start)
    const again = await start(client)
    if (first !== null) expect(again.id).toBe(first.id)
    const result = await (await box.attach(again.id)).wait()
    expect(result).toMatchObject({ ending: 'exited', exitCode: 0 })
    expect(result.stdout === input).toBe(true)
    expect((await box.refresh()).info.status).toBe('idle')
  })

  test.each(at('delete'))('%s finishes the deletion at its next start', async (failpoint) => {
    const box = (await Sandbox.create({ client, name: 'doomed' })).keep()
    const { id } = await box.start(['sleep', '1000'])
    await crash(failpoint, (client, signal) => client.call('deleteSandbox', { id: box.id }, { signal }))
    await box.refresh()
    expect(box.info).toMatchObject({ status: 'terminated', ending: { reason: 'deleted' } })
    expect(await client.call('getExecution', { execution: id })).toMatchObject({
      state: 'ended',
      ending: 'sandbox-ended',
      exitCode: null,
    })
    expect(await names()).not.toContain('doomed')
    await nothingIsOrphaned()
    await using again = await Sandbox.create({ client, name: 'doomed' })
    expect(again.info.status).toBe('idle')
  })

  test.each(['create:acknowledged', 'exec:acknowledged', 'exec:ended'] as const)(
    '%s of a run leaves no sandbox behind',
    async (failpoint) => {
      await crash(failpoint, (client, signal) =>
        client.stream('run', { execution: { argv: ['echo', 'hi'] } }, { signal }),
      )
      expect(await names()).toEqual(['keeper'])
      await nothingIsOrphaned()
      const { sandboxes } = await client.call('listSandboxes', { all: true, mode: 'oneshot', limit: 1 })
      expect(sandboxes[0]?.ending?.reason).toBe('server-restarted')
    },
  )

  test('any of them has lost no acknowledged sandbox or command', async () => {
    expect((await keeper.refresh()).info.status).toBe('running')
    const execution = await keeper.attach(kept)
    await execution.stdin.write('still here\n')
    await execution.stdin.end()
    expect(await execution.wait()).toMatchObject({
      stdout: 'begun\nstill here\n',
      stderr: 'ended\n',
      exitCode: 5,
    })
    await keeper.delete()
    await nothingIsOrphaned()
  })
})
