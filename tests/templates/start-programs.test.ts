import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { json } from 'node:stream/consumers'
import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { untilNone } from '../crash/host.ts'
import type { TestServer } from '../fixture.ts'
import { build, cannotBuild, crash, nothingIsOrphaned, startBuilding, text } from './world.ts'

const base = { runtime: 'base' }

/** Counts its starts in a file, is ready a moment later, and goes on. */
const PROGRAM = `
echo start >> ~/starts
echo "waiting for $WHO"; sleep 0.3
exec sleep 4321`
const READY = 'echo looking; pgrep -f "^sleep 4321" > /dev/null'
const RUNS = `pgrep -fc '^sleep 4321'`

describe.skipIf(cannotBuild !== null)('the start program of a template', () => {
  let server: TestServer
  let client: Client

  beforeAll(async () => {
    server = await startBuilding()
    client = server.client()
    const steps = [{ type: 'env' as const, env: { WHO: 'nobody' } }]
    const built = await build(client, 'served', {
      from: base,
      steps,
      startCommand: PROGRAM,
      readyCommand: READY,
    })
    expect(built.reason).toBeNull()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  // How it goes on as it was kept is in tests/saved/processes.test.ts.
  const make = (more = {}) => Sandbox.create({ client, template: 'served', processes: false, ...more })
  const starts = (box: Sandbox) => text(box, 'grep -c start ~/starts')

  test('runs when a sandbox is made, and is ready by then', async () => {
    await using box = await make()
    // Once in the build, once in here.
    expect(await text(box, RUNS)).toBe('1')
    expect(await starts(box)).toBe('2')
    const { jobs } = await client.call('listJobs', { id: box.id })
    expect(jobs).toMatchObject([{ tag: 'start', status: 'running' }])
    expect(await client.call('getSandbox', { id: box.id })).toMatchObject({
      startCommand: PROGRAM,
      executionCount: 2,
    })
  })

  test('is a stage of the create', async () => {
    const sent = request({
      ...{ socketPath: server.socketPath, method: 'POST', path: '/v1/sandboxes' },
      headers: { 'content-type': 'application/json' },
    })
    sent.end(JSON.stringify({ template: 'served', processes: false }))
    const [answer] = (await once(sent, 'response')) as [IncomingMessage]
    expect(answer.headers['server-timing']).toMatch(/\bstart;dur=\d/)
    const { id } = (await json(answer)) as { id: string }
    await client.call('deleteSandbox', { id })
  })

  test('does not keep a sandbox from being idle', async () => {
    await using box = await make({ idleTimeout: '1s' })
    expect(await client.call('getSandbox', { id: box.id })).toMatchObject({ status: 'idle' })
    await untilNone('it has ended', async () => {
      const { ending } = await client.call('getSandbox', { id: box.id })
      return ending?.reason === 'idle-timeout' ? [] : ['it runs']
    })
  })

  test('starts anew where its processes have ended, and goes on where they have not', async () => {
    await using box = await make()
    await client.call('createCheckpoint', { id: box.id, name: 'then' })
    await box.pause({ depth: 'memory' })
    expect([await text(box, RUNS), await starts(box)]).toEqual(['1', '2'])
    await box.pause({ depth: 'filesystem' })
    expect([await text(box, RUNS), await starts(box)]).toEqual(['1', '3'])
    const { jobs } = await client.call('listJobs', { id: box.id })
    expect(jobs.map(({ status }) => status)).toEqual(['running', 'failed'])
    await client.call('restoreCheckpoint', { id: box.id, checkpoint: 'then' })
    expect([await text(box, RUNS), await starts(box)]).toEqual(['1', '3'])
  })

  test('runs in copies and in what is made of snapshots', async () => {
    await using box = await make()
    const [copy] = await box.fork({ count: 1 })
    await using forked = copy!
    expect([await text(forked, RUNS), await starts(forked)]).toEqual(['1', '3'])
    await client.call('createSnapshot', { id: box.id, name: 'of-served' })
    await using third = await Sandbox.create({ client, snapshot: 'of-served', env: { WHO: 'me' } })
    expect([await text(third, RUNS), await starts(third)]).toEqual(['1', '3'])
  })

  test('comes along in a file of a snapshot', async () => {
    await using box = await make()
    await client.call('createSnapshot', { id: box.id, name: 'as-a-file' })
    const exported = await client.snapshots.export('as-a-file')
    const imported = await client.snapshots.import(exported, { name: 'from-a-file' })
    await using other = await Sandbox.create({ client, snapshot: imported.id, env: { WHO: 'me' } })
    expect([await text(other, RUNS), await starts(other)]).toEqual(['1', '3'])
    expect(await client.call('getSandbox', { id: other.id })).toMatchObject({ startCommand: PROGRAM })
  })

  test('goes on when the server is restarted', async () => {
    await using box = await make()
    await server.restart()
    expect([await text(box, RUNS), await starts(box)]).toEqual(['1', '2'])
    const { jobs } = await client.call('listJobs', { id: box.id })
    expect(jobs).toMatchObject([{ tag: 'start', status: 'running' }])
    await client.call('stopJob', { id: box.id, job: jobs[0]!.id })
    expect(await text(box, `${RUNS} || true`)).toBe('0')
  })

  test('that fails, or is not ready, fails the create with what it printed', async () => {
    const steps = [{ type: 'run' as const, command: 'touch /tmp/may-start' }]
    const startCommand =
      'test -e /tmp/may-start || { echo cannot open the door >&2; exit 3; }; exec sleep 4321'
    await build(client, 'broken', {
      from: base,
      steps,
      startCommand,
      readyCommand: 'pgrep -f "^sleep 4321" >/dev/null',
    })
    const files = [{ path: '/tmp/rm.sh', content: 'x', encoding: 'utf8' as const }]
    await using fine = await Sandbox.create({ client, template: 'broken', files })
    await text(fine, 'rm /tmp/may-start')
    await client.call('createSnapshot', { id: fine.id, name: 'of-broken' })
    await expect(Sandbox.create({ client, snapshot: 'of-broken' })).rejects.toMatchObject({
      code: 'create_failed',
      details: {
        stage: 'start',
        reason:
          'the start program ended with exit code 3 before it was ready; it printed: cannot open the door',
      },
    })
    await fine.pause({ depth: 'filesystem' })
    await expect(fine.resume()).rejects.toMatchObject({
      code: 'resume_failed',
      message: expect.stringContaining('cannot open the door'),
    })
    expect(await client.call('getSandbox', { id: fine.id })).toMatchObject({ status: 'suspended' })
    await fine.delete()
    await nothingIsOrphaned(server, client, { living: true })
  })

  test('that fails at the end of its build fails that', async () => {
    const failed = await build(client, 'never', {
      from: base,
      startCommand: 'echo no; exit 9',
      readyCommand: 'false',
    })
    expect(failed).toMatchObject({
      status: 'failed',
      reason: {
        step: null,
        message:
          'The template was built, but the start program ended with exit code 9 before it was ready; it printed: no.',
      },
    })
    const waited = await build(client, 'waited', {
      from: base,
      readyCommand: 'echo x >> /tmp/tries; test $(wc -l < /tmp/tries) -ge 3',
    })
    expect(waited.status).toBe('ready')
    await using box = await Sandbox.create({ client, template: 'waited' })
    expect(await text(box, 'wc -l < /tmp/tries')).toBe('3')
  })

  test('a server that dies while it is awaited leaves nothing, and a repeat succeeds', async () => {
    const create = (signal?: AbortSignal) =>
      client.call(
        'createSandbox',
        { template: 'served', processes: false, name: 'again' },
        { idempotencyKey: 'k', ...(signal && { signal }) },
      )
    expect(await crash(server, 'start:launched', create)).toBeNull()
    await nothingIsOrphaned(server, client, { living: true })
    const { id } = await create()
    const box = await Sandbox.connect(id, { client })
    expect(await starts(box)).toBe('2')
    await box.pause({ depth: 'filesystem' })
    await crash(server, 'start:launched', (signal) => client.call('resumeSandbox', { id }, { signal }))
    expect(await client.call('getSandbox', { id })).toMatchObject({ status: 'suspended' })
    expect(await text(box, RUNS)).toBe('1')
    await box.delete()
    await nothingIsOrphaned(server, client, { living: true })
  })
})
