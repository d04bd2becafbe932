import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FAILPOINTS } from '../../packages/server/src/failpoint.ts'
import { leftovers, untilNone } from '../crash/host.ts'
import type { TestServer } from '../fixture.ts'
import { cannotSave, crash, garbage, startSaving, text } from '../saved/world.ts'

const at = (step: string) => FAILPOINTS.filter((name) => name.startsWith(`${step}:`))

describe.skipIf(cannotSave !== null)('a server that dies at', () => {
  let server: TestServer
  let client: Client

  beforeAll(async () => {
    server = await startSaving()
    client = server.client()
  })
  afterAll(() => server?.[Symbol.asyncDispose]())

  /** Every server collects garbage when it starts. */
  async function nothingIsOrphaned(): Promise<void> {
    await untilNone('nothing is left behind', async () => {
      const { sandboxes } = await client.call('listSandboxes')
      const known = sandboxes.map(({ id }) => id)
      return [...leftovers(server, known), ...(await garbage(client))]
    })
  }

  const names = async () => (await client.volumes.list({ sort: 'name' })).map(({ name }) => name)

  test.each(at('volume').filter((name) => name !== 'volume:forgotten'))(
    '%s has made the volume, or nothing',
    async (failpoint) => {
      await crash(server, failpoint, (signal) => client.volumes.create({ name: 'data' }, { signal }))
      await nothingIsOrphaned()
      expect(await names()).toEqual(failpoint === 'volume:recorded' ? ['data'] : [])
      if (failpoint !== 'volume:recorded') await client.volumes.create({ name: 'data' })
      await client.volumes.files('data').write('/f', 'x')
      expect(await client.volumes.files('data').readText('/f')).toBe('x')
      await client.volumes.delete('data')
      await nothingIsOrphaned()
    },
  )

  test('volume:forgotten has deleted it', async () => {
    await client.volumes.create({ name: 'data' })
    await client.volumes.files('data').write('/f', 'x')
    await crash(server, 'volume:forgotten', (signal) => client.volumes.delete('data', { signal }))
    await nothingIsOrphaned()
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
      await nothingIsOrphaned()
      expect(await client.volumes.files('data').readText('/kept')).toBe('kept')
      await write(new AbortController().signal)
      await client.volumes.delete('data')
      await nothingIsOrphaned()
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
