import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FAILPOINTS } from '../../packages/server/src/failpoint.ts'
import { untilNone } from '../crash/host.ts'
import type { TestServer } from '../fixture.ts'
import {
  begin,
  build,
  cannotBuild,
  crash,
  ended,
  nothingIsOrphaned,
  putFiles,
  startBuilding,
  text,
} from './world.ts'

describe.skipIf(cannotBuild !== null)('a server that dies at', () => {
  let server: TestServer
  let client: Client

  beforeAll(async () => {
    server = await startBuilding()
    client = server.client()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  const input = (mark: string) => ({
    from: { runtime: 'base' },
    steps: [{ type: 'run' as const, command: `echo ${mark} > ~/mark` }],
    startCommand: 'exec sleep 1000',
    readyCommand: 'true',
  })
  const at = [
    ...FAILPOINTS.filter((name) => name.startsWith('build:')),
    'layer:saved',
    'layer:recorded',
    'start:launched',
    'create:connected',
  ]

  test.each(at)('%s has built the template, or says that it has not', async (failpoint) => {
    const name = failpoint.replace(':', '-')
    let id = ''
    await crash(server, failpoint, async () => {
      id = (await client.call('createTemplate', { name })).build.id
      await client.call('startBuild', { build: id, ...input(name) })
    })
    const after = await ended(client, id)
    if (failpoint === 'build:ready') expect(after).toMatchObject({ status: 'ready', reason: null })
    else expect(after).toMatchObject({ status: 'failed', reason: { message: 'The server was restarted.' } })
    const { tags } = await client.call('getTemplate', { template: name })
    expect(tags.map(({ buildId }) => buildId)).toEqual(failpoint === 'build:ready' ? [id] : [])
    await nothingIsOrphaned(server, client, { living: true })
    expect((await build(client, name, input(name))).reason).toBeNull()
    await using box = await Sandbox.create({ client, template: name })
    expect(await text(box, 'cat ~/mark')).toBe(name)
  })

  test('build-files:written has the files, or nothing of them', async () => {
    const hash = 'c'.repeat(64)
    await crash(server, 'build-files:written', () => putFiles(client, hash, Buffer.from('bytes')))
    expect(await client.call('hasBuildFiles', { hash })).toEqual({ present: false })
    const directory = join(server.dataDir, 'build-files')
    await untilNone('what was cut off is removed', () => readdirSync(directory))
    await putFiles(client, hash, Buffer.from('bytes'))
    expect(readdirSync(directory)).toEqual([hash])
  })

  test('any moment of two builds leaves nothing behind', async () => {
    for (const ms of [50, 150, 300]) {
      const steps = [
        { type: 'run' as const, command: 'sleep 0.1; echo x', force: true },
        { type: 'run' as const, command: 'sleep 30' },
      ]
      const builds = await Promise.all(
        ['p', 'q', 'r'].map((name) => begin(client, name, { from: { runtime: 'base' }, steps })),
      )
      await new Promise((resolve) => setTimeout(resolve, ms))
      await server.kill9()
      await server.up()
      for (const { id } of builds)
        expect(await ended(client, id)).toMatchObject({
          status: 'failed',
          reason: { message: 'The server was restarted.' },
        })
      await nothingIsOrphaned(server, client, { living: true })
    }
  })
})
