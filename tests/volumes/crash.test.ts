import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FAILPOINTS } from '../../packages/server/src/failpoint.ts'
import type { TestServer } from '../fixture.ts'
import { cannotSave, crash, nothingIsOrphaned, startSaving, text } from '../saved/world.ts'

const at = (step: string) => FAILPOINTS.filter((name) => name.startsWith(`${step}:`))

describe.skipIf(cannotSave !== null)('a server that dies at', () => {
  let server: TestServer
  let client: Client

  beforeAll(async () => {
    server = await startSaving()
    client = server.client()
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  const names = async () => (await client.volumes.list({ sort: 'name' })).map(({ name }) => name)

  test.each(at('volume').filter((name) => name !== 'volume:forgotten'))(
    '%s has made the volume, or nothing',
    async (failpoint) => {
      await crash(server, failpoint, (signal) => client.volumes.create({ name: 'data' }, { signal }))
      await nothingIsOrphaned(server, client, { living: true })
      expect(await names()).toEqual(failpoint === 'volume:recorded' ? ['data'] : [])
      if (failpoint !== 'volume:recorded') await client.volumes.create({ name: 'data' })
      await client.volumes.files('data').write('/f', 'x')
      expect(await client.volumes.files('data').readText('/f')).toBe('x')
      await client.volumes.delete('data')
      await nothingIsOrphaned(server, client, { living: true })
    },
  )

  test('volume:forgotten has deleted it', async () => {
    await client.volumes.create({ name: 'data' })
    await client.volumes.files('data').write('/f', 'x')
    await crash(server, 'volume:forgotten', (signal) => client.volumes.delete('data', { signal }))
    await nothingIsOrphaned(server, client, { living: true })
    expect(await names()).toEqual([])
    await client.volumes.create({ name: 'data' })
    expect(await client.volumes.files('data').list()).toEqual([])
    await client.volumes.delete('data')
  })

  test.each(at('create'))(
    '%s on the way to the content of a volume loses nothing of it',
    async (failpoint) => {
      await client.volumes.create({ name: 'data' })
      await client.volumes.files('data').write('/kept', 'kept')
      const write = (signal: AbortSignal) => client.volumes.files('data').write('/f', 'x', { signal })
      await crash(server, failpoint, write)
      await nothingIsOrphaned(server, client, { living: true })
      expect(await client.volumes.files('data').readText('/kept')).toBe('kept')
      await write(new AbortController().signal)
      await client.volumes.delete('data')
      await nothingIsOrphaned(server, client, { living: true })
    },
  )

  test('any time finds a sandbox that runs with its volume', async () => {
    await client.volumes.create({ name: 'data' })
    await using box = await Sandbox.create({ client, volumes: [{ volume: 'data', path: '/data' }] })
    await text(box, 'echo 1 > /data/f')
    await server.kill9()
    await server.up()
    await text(box, 'echo 2 >> /data/f')
    expect(await client.volumes.files('data').readText('/f')).toBe('1\n2\n')
    const inUse = expect(client.volumes.delete('data')).rejects
    await inUse.toMatchObject({ code: 'volume_in_use', details: { sandboxes: [box.id] } })
  })
})
