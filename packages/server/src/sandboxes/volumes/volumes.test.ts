import { SandboxError } from '@caisson/protocol/errors'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createSandbox } from '../create-sandbox.ts'
import { collectGarbage } from '../gc.ts'
import { type Server, until, World } from '../world.test-kit.ts'
import { endKeepers } from './keeper.ts'
import { resolveVolumes } from './mounts.ts'

let world: World
let server: Server
beforeEach(async () => {
  world = await World.make()
  server = await world.server()
})
afterEach(() => world[Symbol.asyncDispose]())

const page = { sort: 'created', direction: 'asc', limit: 50, offset: 0 } as const
const bytes = (text: string) =>
  (async function* () {
    yield Buffer.from(text)
  })()
const put = (volume: string, path: string, text: string, more: object = {}) =>
  server.useCases.writeVolumeFile(volume, { path, parents: true, ...more }, bytes(text))
const keepers = () => [...server.context.live.values()].filter(({ record }) => record.internal === 'volume')

async function read(volume: string, path: string): Promise<string> {
  const { data } = await server.useCases.readVolumeFile(volume, { path, offset: 0, length: undefined })
  const pieces: Uint8Array[] = []
  for await (const piece of data) pieces.push(Uint8Array.from(piece))
  return Buffer.concat(pieces).toString()
}

test('a volume is created, found by id and name, listed and deleted', async () => {
  const { useCases, context } = server
  const made = await useCases.createVolume({ name: 'data', metadata: { a: 'b' } })
  expect(made).toMatchObject({
    name: 'data',
    metadata: { a: 'b' },
    limitBytes: null,
    usedBytes: 0,
    mounts: [],
  })
  expect(await useCases.getVolume('data')).toEqual(made)
  expect(await useCases.getVolume(made.id)).toEqual(made)
  expect(await useCases.listVolumes(page)).toEqual({ volumes: [made], total: 1 })
  const taken = expect(useCases.createVolume({ name: 'data' })).rejects
  await taken.toMatchObject({ code: 'volume_exists' })
  expect([...(await context.layers.volumes!.list()).keys()]).toEqual([made.id])
  await useCases.deleteVolume('data')
  expect(await context.layers.volumes!.list()).toEqual(new Map())
  for (const gone of [useCases.getVolume(made.id), useCases.deleteVolume('data')])
    await expect(gone).rejects.toMatchObject({ code: 'volume_not_found' })
})

test('of two that are created at once with one name, one is refused and leaves nothing', async () => {
  const { useCases, context } = server
  const results = await Promise.allSettled([1, 2, 3].map(() => useCases.createVolume({ name: 'data' })))
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  expect((await context.layers.volumes!.list()).size).toBe(1)
})

test('a size is refused where there are no quotas', async () => {
  const refused = server.useCases.createVolume({ name: 'data', size: '1Gi' })
  await expect(refused).rejects.toMatchObject({ code: 'not_supported', details: { what: 'size' } })
})

test('without storage or a driver for them, volumes are refused with the reason', async () => {
  const { context } = server
  const refusal = { code: 'not_supported', details: { what: 'volumes' } }
  const on = async (change: object) => {
    const changed = { ...context, ...change }
    using holds = new DisposableStack()
    const asked = resolveVolumes(changed, [{ volume: 'data', path: '/data' }], holds)
    await expect(asked).rejects.toMatchObject(refusal)
    expect(await resolveVolumes(changed, [], holds)).toEqual([])
  }
  const { volumes: _, ...layers } = context.layers
  await on({ layers })
  const { volumes: __, ...driver } = context.driver
  await on({ driver })
})

test.each<[string, string?]>([
  ['/proc'],
  ['/proc/x'],
  ['/sys/fs'],
  ['/dev'],
  ['/.caisson'],
  ['/a/../etc'],
  ['/./a'],
  ['/'],
  [''],
  ['data'],
  ['/data/'],
  ['/a//b'],
  ['/a\0b'],
  ['a name that is too long', `/${'x'.repeat(256)}`],
  ['a path that is too long', `/${'a/'.repeat(600)}b`],
])('a volume is not mounted at %s', async (what, path = what) => {
  const { id } = await server.useCases.createVolume({ name: 'data' })
  using holds = new DisposableStack()
  const refused = resolveVolumes(server.context, [{ volume: id, path }], holds)
  await expect(refused).rejects.toMatchObject({ code: 'invalid_request' })
})

test('volumes are not mounted twice at a path, nor beneath one another', async () => {
  await server.useCases.createVolume({ name: 'data' })
  for (const [one, other] of [
    ['/data', '/data'],
    ['/data', '/data/x'],
    ['/data/x', '/data'],
  ] as const) {
    using holds = new DisposableStack()
    const asked = [one, other].map((path) => ({ volume: 'data', path }))
    const refused = resolveVolumes(server.context, asked, holds)
    await expect(refused).rejects.toMatchObject({ code: 'invalid_request' })
  }
  using holds = new DisposableStack()
  const beside = ['/data', '/database'].map((path) => ({ volume: 'data', path }))
  expect(await resolveVolumes(server.context, beside, holds)).toHaveLength(2)
})

test('a sandbox has its volumes, and they cannot be deleted before it has ended', async () => {
  const { useCases, context } = server
  const { id } = await useCases.createVolume({ name: 'data' })
  const volumes = [{ volume: 'data', path: '/data', readOnly: true }]
  const { sandbox } = await useCases.createSandbox({ name: 'web', volumes })
  const mount = { volumeId: id, name: 'data', path: '/data', readOnly: true }
  expect(sandbox.volumes).toEqual([mount])
  expect((await useCases.getVolume(id)).mounts).toEqual([
    { sandboxId: sandbox.id, path: '/data', readOnly: true },
  ])
  const inUse = { code: 'volume_in_use', details: { volume: 'data', sandboxes: ['web'] } }
  await expect(useCases.deleteVolume(id)).rejects.toMatchObject(inUse)
  await useCases.pauseSandbox(sandbox.id, {})
  await expect(useCases.deleteVolume(id)).rejects.toMatchObject(inUse)
  await useCases.deleteSandbox(sandbox.id)
  await useCases.deleteVolume(id)
  const unknown = createSandbox(context, { volumes })
  await expect(unknown).rejects.toMatchObject({ code: 'volume_not_found' })
})

test('a volume is deleted or taken for a sandbox, never both', async () => {
  const { useCases, context } = server
  for (let round = 0; round < 10; round++) {
    const { id } = await useCases.createVolume({ name: `data-${round}` })
    const create = useCases.createSandbox({ volumes: [{ volume: id, path: '/data' }] })
    for (let step = 0; step < round; step++) await Promise.resolve()
    const [created, deleted] = await Promise.allSettled([create, useCases.deleteVolume(id)])
    expect(created.status).not.toBe(deleted.status)
    expect((await context.layers.volumes!.list()).has(id)).toBe(created.status === 'fulfilled')
  }
})

test('what is held for a sandbox that is to be created is not deleted', async () => {
  const { useCases, context } = server
  const { id } = await useCases.createVolume({ name: 'data' })
  {
    using holds = new DisposableStack()
    await resolveVolumes(context, [{ volume: id, path: '/data' }], holds)
    await expect(useCases.deleteVolume(id)).rejects.toMatchObject({ code: 'volume_in_use' })
  }
  await useCases.deleteVolume(id)
})

test('files are written, read, listed, changed and removed without a sandbox of one’s own', async () => {
  const { useCases } = server
  const { id } = await useCases.createVolume({ name: 'data' })
  const written = await put('data', 'a/b/c.txt', 'hello', { mode: 0o600 })
  expect(written).toMatchObject({ name: 'c.txt', path: '/a/b/c.txt', type: 'file', size: 5, mode: 0o600 })
  expect(await read(id, '/a/b/../b/c.txt')).toBe('hello')
  const stat = await useCases.statVolumeFile(id, '/a//b/')
  expect(stat).toMatchObject({ name: 'b', path: '/a/b', type: 'directory', uid: 1000, gid: 1000 })
  const all = await useCases.listVolumeFiles(id, { path: '/', depth: 9 })
  expect(all.map(({ path, name }) => [path, name])).toEqual([
    ['/a', 'a'],
    ['/a/b', 'b'],
    ['/a/b/c.txt', 'c.txt'],
  ])
  expect(await useCases.listVolumeFiles(id, { path: '/a/', depth: 1 })).toMatchObject([{ path: '/a/b' }])
  expect(await useCases.measureVolume(id)).toEqual({ files: 1, bytes: 5 })
  const changed = await useCases.changeVolumeFile(id, { path: '/a/b/c.txt', mode: 0o640, gid: 0 })
  expect(changed).toMatchObject({ mode: 0o640, uid: 1000, gid: 0 })
  const made = await useCases.makeVolumeDirectory(id, { path: '/x', parents: false, mode: 0o700, uid: 0 })
  expect(made).toMatchObject({ path: '/x', mode: 0o700, uid: 0, gid: 1000 })
  const full = useCases.removeVolumeFile(id, { path: '/a', recursive: false })
  await expect(full).rejects.toMatchObject({ code: 'directory_not_empty', details: { path: '/a' } })
  await useCases.removeVolumeFile(id, { path: '/a', recursive: true })
  const gone = useCases.statVolumeFile(id, '/a')
  await expect(gone).rejects.toMatchObject({ code: 'file_not_found', details: { path: '/a' } })
  expect(keepers()).toHaveLength(1)
})

test('no path leaves the volume', async () => {
  const { useCases } = server
  await useCases.createVolume({ name: 'data' })
  await put('data', '../../../etc/passwd', 'mine')
  expect(await read('data', '/etc/passwd')).toBe('mine')
  expect(await read('data', '/x/../../etc/passwd')).toBe('mine')
  const root = useCases.removeVolumeFile('data', { path: '/..', recursive: true })
  await expect(root).rejects.toMatchObject({ code: 'invalid_request' })
  for (const path of ['/a\0b', `/${'x/'.repeat(2100)}`])
    await expect(useCases.statVolumeFile('data', path)).rejects.toMatchObject({ code: 'invalid_request' })
})

test('an exclusive write never replaces a file, however many come at once', async () => {
  await server.useCases.createVolume({ name: 'data' })
  const writes = ['one', 'two', 'three'].map((text) => put('data', '/f', text, { exclusive: true }))
  const results = await Promise.allSettled(writes)
  const refused = results.filter((result) => result.status === 'rejected')
  expect(refused).toHaveLength(2)
  for (const { reason } of refused)
    expect(reason).toMatchObject({ code: 'file_exists', details: { path: '/f' } })
  await put('data', '/f', 'replaced')
  expect(await read('data', '/f')).toBe('replaced')
  const missing = put('data', '/no/f', 'x', { parents: false })
  await expect(missing).rejects.toMatchObject({ code: 'file_not_found', details: { path: '/no/f' } })
})

test('first uses at once share one keeper, and volumes have one each', async () => {
  const { useCases } = server
  for (const name of ['a', 'b']) await useCases.createVolume({ name })
  await Promise.all(['a', 'b', 'a', 'b', 'a'].map((name) => put(name, '/f', name)))
  expect(keepers()).toHaveLength(2)
  expect(await read('a', '/f')).toBe('a')
  expect(await read('b', '/f')).toBe('b')
})

test('a keeper is a sandbox that nobody sees, without a network, and ends with its volume', async () => {
  const { useCases, context } = server
  await useCases.createVolume({ name: 'data' })
  await put('data', '/f', 'x')
  const [keeper] = keepers()
  expect(keeper!.record).toMatchObject({
    internal: 'volume',
    network: null,
    ports: [],
    idleTimeoutMs: 60_000,
    onTimeout: 'kill',
  })
  expect((await useCases.getVolume('data')).mounts).toEqual([])
  await useCases.deleteVolume('data')
  expect(keepers()).toEqual([])
  expect(context.live.size).toBe(0)
  expect((await context.store.sandboxes.get(keeper!.id))?.state).toBe('terminated')
})

test('a keeper that has ended is replaced at the next use', async () => {
  const { useCases, context } = server
  await useCases.createVolume({ name: 'data' })
  await put('data', '/f', 'x')
  const [first] = keepers()
  world.host.end(first!.id, 'SIGKILL')
  await until(() => !context.live.has(first!.id))
  await put('data', '/g', 'y')
  expect(keepers()).toHaveLength(1)
  expect(keepers()[0]!.id).not.toBe(first!.id)
})

test('keepers are bounded: the one idle longest makes room', async () => {
  const { useCases } = server
  const names = Array.from({ length: 18 }, (_, index) => `data-${index}`)
  for (const name of names) {
    await useCases.createVolume({ name })
    await put(name, '/f', name)
  }
  expect(keepers()).toHaveLength(16)
  for (const name of names) expect(await read(name, '/f')).toBe(name)
  expect(keepers()).toHaveLength(16)
})

test('keepers that are busy stay, and one more is refused', async () => {
  const { useCases } = server
  const busy = await Promise.all(
    Array.from({ length: 16 }, async (_, index) => {
      const name = `data-${index}`
      await useCases.createVolume({ name })
      await put(name, '/f', 'x')
      return useCases.readVolumeFile(name, { path: '/f', offset: 0, length: undefined })
    }),
  )
  await useCases.createVolume({ name: 'more' })
  await expect(put('more', '/f', 'x')).rejects.toMatchObject({ code: 'too_many' })
  for await (const _ of busy[0]!.data);
  await put('more', '/f', 'x')
  for (const { data } of busy.slice(1)) for await (const _ of data);
})

test('keepers end when the server stops, and a server that was killed ends those that it finds', async () => {
  const { useCases } = server
  for (const name of ['a', 'b']) {
    await useCases.createVolume({ name })
    await put(name, '/f', name)
  }
  const [a, b] = keepers().map(({ id }) => id)
  server.die()
  const second = await world.server()
  for (const id of [a!, b!]) {
    expect(second.context.live.has(id)).toBe(false)
    expect((await world.store.sandboxes.get(id))?.state).toBe('terminated')
  }
  server = second
  expect(await read('a', '/f')).toBe('a')
  expect(keepers()).toHaveLength(1)
  await endKeepers(second.context)
  expect(keepers()).toEqual([])
  expect(world.host.sandboxes.size).toBe(0)
})

test('files that no volume has are collected, and others are not', async () => {
  const { useCases, context } = server
  const { id } = await useCases.createVolume({ name: 'data' })
  await context.layers.volumes!.create('vol_aaaaaaaaaaaaaaaaaaaa', null)
  const volumesOf = async (dryRun: boolean) =>
    (await collectGarbage(context, { dryRun })).removed.filter(({ kind }) => kind === 'volume')
  const expected = [expect.objectContaining({ id: 'vol_aaaaaaaaaaaaaaaaaaaa' })]
  expect(await volumesOf(true)).toEqual(expected)
  expect(await volumesOf(false)).toEqual(expected)
  expect([...(await context.layers.volumes!.list()).keys()]).toEqual([id])
  expect(await volumesOf(false)).toEqual([])
})

test('a volume whose files are lost is told in the log, and stays', async () => {
  const { useCases, context } = server
  const { id } = await useCases.createVolume({ name: 'data' })
  await context.layers.volumes!.remove(id)
  const told = vi.spyOn(context.log, 'error')
  expect((await collectGarbage(context, { dryRun: false })).removed).toEqual([])
  expect(told).toHaveBeenCalledWith(
    { volume: id, name: 'data' },
    expect.stringContaining('not in the storage'),
  )
  expect(await useCases.getVolume('data')).toMatchObject({ id, usedBytes: null })
})

test('what cannot be removed at once is collected later', async () => {
  const { useCases, context } = server
  const { id } = await useCases.createVolume({ name: 'data' })
  const volumes = context.layers.volumes!
  const remove = volumes.remove
  volumes.remove = async () => Promise.reject(new Error('busy'))
  await useCases.deleteVolume(id)
  expect((await volumes.list()).has(id)).toBe(true)
  volumes.remove = remove
  await collectGarbage(context, { dryRun: false })
  expect(await volumes.list()).toEqual(new Map())
})

test('an unknown volume has no content, and no keeper is started for it', async () => {
  const asked = server.useCases.statVolumeFile('none', '/')
  await expect(asked).rejects.toSatisfy((error) => SandboxError.is(error, 'volume_not_found'))
  expect(server.context.live.size).toBe(0)
})
