import { readFileSync, writeFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FAILPOINTS, type Failpoint } from '../../packages/server/src/failpoint.ts'
import { until } from '../crash/host.ts'
import type { TestServer } from '../fixture.ts'
import { builders, cannotBuild, Registry } from '../runtimes/world.ts'
import { cannotSave, crash, startSaving, text } from '../saved/world.ts'
import { nothingIsOrphaned } from './world.ts'

const tests = resolve(import.meta.dirname, '..')
const at = (step: string) => FAILPOINTS.filter((name) => name.startsWith(`${step}:`))

test('every place where a server can be made to die is in some test', async () => {
  let sources = ''
  for await (const path of glob('**/*.test.ts', { cwd: tests }))
    sources += readFileSync(join(tests, path), 'utf8')
  const isWalked = (name: Failpoint) => {
    const step = name.split(':')[0]
    return [`'${name}'`, `at('${step}'`, `startsWith('${step}:')`].some((use) => sources.includes(use))
  }
  expect(FAILPOINTS.filter((name) => !isWalked(name))).toEqual([])
})

describe.skipIf(cannotSave !== null)('a server that dies at', () => {
  let server: TestServer
  let client: Client

  beforeAll(async () => {
    server = await startSaving({ env: { CAISSON_DUMP_AFTER: '1s' } })
    client = server.client()
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  const PAUSES = ['memory', 'filesystem', 'workspace'] as const
  const DELETIONS = at('delete').flatMap((failpoint) => PAUSES.map((depth) => [failpoint, depth] as const))

  test.each(DELETIONS)('%s finishes the deletion of one paused to its %s', async (failpoint, depth) => {
    const box = (await Sandbox.create({ client, name: 'doomed' })).keep()
    await text(box, 'mkdir -p ~/workspace; echo x > ~/workspace/x; ln ~/workspace/x ~/y')
    const running = await box.start(['sleep', '1000'])
    await box.checkpoints.create('a')
    await box.checkpoints.create('b')
    await box.pause({ depth })
    await crash(server, failpoint, (signal) => client.call('deleteSandbox', { id: box.id }, { signal }))
    expect((await box.refresh()).info).toMatchObject({
      status: 'terminated',
      ending: { reason: 'deleted' },
      pause: null,
    })
    expect(await client.call('getExecution', { execution: running.id })).toMatchObject({
      state: 'ended',
      ending: 'sandbox-ended',
    })
    await nothingIsOrphaned(server, client)
    expect((await client.call('getDiskUsage')).saved.count).toBe(0)
  })

  test.for(at('delete'))(
    '%s finishes the deletion of one whose memory is on disk',
    async (failpoint, { skip }) => {
      const { memoryPause } = await client.call('getServer')
      skip(memoryPause !== 'disk', 'this server cannot put memory on disk; "caisson doctor" says why')
      const box = (await Sandbox.create({ client })).keep()
      await box.start(['sleep', '1000'])
      await box.pause({ depth: 'memory' })
      await until('its memory is on disk', async () => (await box.refresh()).info.pause?.memory === 'disk')
      await crash(server, failpoint, (signal) => client.call('deleteSandbox', { id: box.id }, { signal }))
      expect((await box.refresh()).info).toMatchObject({ status: 'terminated', pause: null })
      await nothingIsOrphaned(server, client)
    },
  )

  test.each(at('delete'))(
    '%s finishes the deletion of a session that was never started',
    async (failpoint) => {
      const session = await client.call('createSession', { name: 'doomed' })
      await crash(server, failpoint, (signal) =>
        client.call('deleteSession', { session: session.id }, { signal }),
      )
      expect((await client.call('getSession', { session: session.id })).status).toBe('deleted')
      expect((await client.call('getSandbox', { id: session.sandboxId })).status).toBe('terminated')
      await nothingIsOrphaned(server, client)
      const again = await client.call('createSession', { name: 'doomed' })
      await client.call('deleteSession', { session: again.id })
    },
  )

  test.each(at('snapshot'))(
    '%s keeps what was made of a snapshot, and what it lies on',
    async (failpoint) => {
      await using box = await Sandbox.create({ client })
      await text(box, 'echo base > ~/base')
      await client.call('createSnapshot', { id: box.id, name: 'base' })
      await using made = await Sandbox.create({ client, snapshot: 'base' })
      // From here on the snapshot's save lies beneath it as a layer.
      await made.pause({ depth: 'workspace' })
      await client.call('createSnapshot', { id: made.id, name: 'above' })
      const work =
        failpoint === 'snapshot:deleted'
          ? (signal: AbortSignal) => client.call('deleteSnapshot', { snapshot: 'base' }, { signal })
          : (signal: AbortSignal) => client.call('createSnapshot', { id: made.id, name: 'more' }, { signal })
      await crash(server, failpoint, work)
      await nothingIsOrphaned(server, client)
      expect(await text(made, 'cat ~/base')).toBe('base')
      await using other = await Sandbox.create({ client, snapshot: 'above' })
      expect(await text(other, 'cat ~/base')).toBe('base')
      for (const { id } of (await client.call('listSnapshots')).snapshots)
        await client.call('deleteSnapshot', { snapshot: id })
    },
  )

  test('gc:removed goes on with the collection at its next start', async () => {
    await using box = await Sandbox.create({ client })
    await text(box, 'echo kept > ~/kept')
    await box.checkpoints.create('kept')
    await server.kill9()
    // Output that no execution has, as a server leaves it that dies while it forgets.
    for (const name of ['a', 'b', 'c'])
      writeFileSync(join(server.dataDir, 'executions', `exe_${name}.out`), 'x')
    // It collects when it starts, be it before it is ready or after.
    await server.up({ failpoint: 'gc:removed' }).catch(() => {})
    await server.died()
    await server.up()
    await nothingIsOrphaned(server, client)
    await box.checkpoints.restore('kept')
    expect(await text(box, 'cat ~/kept')).toBe('kept')
  })
})

describe.skipIf(cannotBuild)('a server that dies while packages are installed, at', () => {
  /** Stands for npm. */
  const NPM = '#!/bin/sh\nmkdir -p /usr/local/share/npm; echo installed > /usr/local/share/npm/it\n'
  let registry: Registry
  let server: TestServer
  let client: Client

  beforeAll(async () => {
    registry = await Registry.start()
    await registry.recipe('npm', [['test', '-x', '/usr/local/bin/npm']])
    await registry.publish('npm', '11.0.0', NPM)
    server = await registry.server()
    client = server.client()
    await client.runtimes.build('npm')
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
    await registry?.[Symbol.asyncDispose]()
  })

  test.each(at('layer'))(
    '%s leaves no builder and no half layer, and a repeat succeeds',
    async (failpoint) => {
      const packages = [failpoint.replace(':', '-')]
      const create = (signal?: AbortSignal) =>
        client.call('createSandbox', { runtime: 'npm', packages }, { idempotencyKey: failpoint, signal })
      await crash(server, failpoint, create)
      await nothingIsOrphaned(server, client)
      expect(await builders(server)).toBe(0)
      const box = await Sandbox.connect((await create()).id, { client })
      expect(await text(box, 'cat /usr/local/share/npm/it')).toBe('installed')
      await box.delete()
      await nothingIsOrphaned(server, client)
    },
  )

  test.each(at('layer'))('%s of a runtime leaves nothing half, and a repeat succeeds', async (failpoint) => {
    const name = failpoint.replace(':', '-')
    await registry.recipe(name)
    await registry.publish(name, '1.0.0', '#!/bin/sh\necho built\n')
    await crash(server, failpoint, () => client.runtimes.build(name))
    await nothingIsOrphaned(server, client)
    expect(await builders(server)).toBe(0)
    await client.runtimes.build(name)
    await using box = await Sandbox.create({ client, runtime: name })
    expect(await text(box, name)).toBe('built')
  })
})
