import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Client, Sandbox } from 'caisson'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { TestServer } from '../fixture.ts'
import { cannotSave, crash, nothingIsOrphaned, startSaving } from '../saved/world.ts'
import { layer, layout } from './image.ts'
import { exported, snapshotArchive, zstd } from './world.ts'

describe.skipIf(cannotSave !== null)('a server that dies', () => {
  let server: TestServer
  let client: Client

  beforeAll(async () => {
    server = await startSaving()
    client = server.client()
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
  })

  test.each(['snapshot:saved', 'snapshot:recorded'])(
    'at %s has imported the snapshot, or nothing',
    async (place) => {
      const file = zstd(await snapshotArchive([{ path: 'rootfs/a', text: 'a' }]))
      await crash(server, place, (signal) => client.snapshots.import(file, { signal, name: 'cut' }))
      const { snapshots } = await client.call('listSnapshots', { name: 'cut' })
      expect(snapshots.length).toBe(place === 'snapshot:recorded' ? 1 : 0)
      for (const { id } of snapshots) await client.call('deleteSnapshot', { snapshot: id })
      await nothingIsOrphaned(server, client, { living: false })
    },
  )

  test.each(['layer:saved', 'layer:recorded'])(
    'at %s has imported no image, and can again',
    async (place) => {
      const image = await layout([await layer([{ path: 'a', text: 'a' }])])
      await crash(server, place, (signal) => client.runtimes.import('cut:1', image, { signal }))
      const { runtimes } = await client.call('listRuntimes', { limit: 100 })
      expect(runtimes.filter(({ source }) => source === 'image')).toEqual([])
      expect(await readdir(join(server.dataDir, 'imports'))).toEqual([])
      await client.runtimes.import('cut:1', image)
      await client.runtimes.delete('cut:1')
      await client.call('collectGarbage', {})
      await nothingIsOrphaned(server, client, { living: false })
    },
  )

  test('in the middle of an export leaves no sandbox of it', async () => {
    const box = (await Sandbox.create({ client })).keep()
    await client.call('createSnapshot', { id: box.id, name: 'whole' })
    await box.delete()
    const reading = client.snapshots.export('whole')
    await reading.next()
    await server.kill9()
    await reading.next().catch(() => {})
    await reading.return()
    await server.up()
    await nothingIsOrphaned(server, client, { living: false })
    expect((await exported(client, 'whole')).length).toBeGreaterThan(1_000_000)
    await client.call('deleteSnapshot', { snapshot: 'whole' })
  })

  test('and left an archive that it was receiving removes it at its next start', async () => {
    await server.stop()
    const left = join(server.dataDir, 'imports/tmp_left')
    await mkdir(left, { recursive: true })
    await writeFile(join(left, 'archive.tar'), 'x')
    await server.up()
    expect(await readdir(join(server.dataDir, 'imports'))).toEqual([])
  })
})
