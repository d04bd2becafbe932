import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { aCheckpoint, aLayer, aSandbox, aSnapshot } from '../state/fixtures.ts'
import { collectGarbage, collectHourly } from './gc.ts'
import { type Server, until, World } from './world.test-kit.ts'

const DAY_MS = 86_400_000

let world: World
let server: Server
beforeEach(async () => {
  world = await World.make()
  server = await world.server()
})
afterEach(() => world[Symbol.asyncDispose]())

const collect = (dryRun = false) => collectGarbage(server.context, { dryRun })
/** What is removed, as `kind id`. */
const collected = async (dryRun = false) =>
  (await collect(dryRun)).removed.map(({ kind, id }) => `${kind} ${id}`).sort()

async function saveOf(sandbox: string, ...saves: string[]): Promise<void> {
  for (const save of saves) await world.layers.saves.save(sandbox, save)
}

async function running(): Promise<string> {
  return (await server.useCases.createSandbox({})).sandbox.id
}

test('nothing is garbage on a server that has only what it needs', async () => {
  const id = await running()
  await saveOf(id, 'sav_point', 'sav_snap', 'sav_below', 'sav_layer', 'sav_base', 'sav_beneath')
  await world.store.checkpoints.insert(aCheckpoint(id, { save: 'sav_point', layers: ['sav_beneath'] }))
  await world.store.snapshots.insert(aSnapshot({ save: 'sav_snap', layers: ['sav_below'] }))
  await world.store.layers.insert(aLayer({ save: 'sav_layer', usedAt: Date.now() }))
  await world.store.sandboxes.update(id, { base: 'sav_base' })
  expect(await collect()).toEqual({ dryRun: false, freedBytes: 0, removed: [] })
  expect(world.layers.saved.size).toBe(6)
  expect(await world.layers.list()).toEqual([id])
})

test('saves that no record names go, and those that are held stay until they are let go', async () => {
  const id = await running()
  await saveOf(id, 'sav_held', 'sav_free')
  server.context.heldSaves.set('sav_held', 1)
  expect(await collected()).toEqual(['saved sav_free'])
  expect([...world.layers.saved.keys()]).toEqual(['sav_held'])
  server.context.heldSaves.delete('sav_held')
  expect(await collected()).toEqual(['saved sav_held'])
})

test('a dry run tells the same and removes nothing', async () => {
  const id = await running()
  await saveOf(id, 'sav_free')
  const told = await collect(true)
  expect(told.dryRun).toBe(true)
  expect([...world.layers.saved.keys()]).toEqual(['sav_free'])
  expect((await collect()).removed).toEqual(told.removed)
  expect(world.layers.saved.size).toBe(0)
})

test('a save that a record comes to name before its turn stays', async () => {
  const id = await running()
  await saveOf(id, 'sav_1', 'sav_2')
  const { remove } = world.layers.saves
  world.layers.saves.remove = async (save) => {
    const other = save === 'sav_1' ? 'sav_2' : 'sav_1'
    await world.store.snapshots.insert(aSnapshot({ save: other }))
    return remove(save)
  }
  expect((await collect()).removed).toHaveLength(1)
  expect(world.layers.saved.size).toBe(1)
})

test('packages go when nobody has asked for them in a long time and nothing lies on them', async () => {
  const id = await running()
  await saveOf(id, 'sav_old', 'sav_new', 'sav_used', 'sav_under')
  const old = Date.now() - 8 * DAY_MS
  for (const [save, usedAt] of [
    ['sav_old', old],
    ['sav_new', old + 2 * DAY_MS],
    ['sav_used', old],
    ['sav_under', old],
  ] as const)
    await world.store.layers.insert(aLayer({ digest: save, save, usedAt }))
  await world.store.sandboxes.update(id, { layers: ['sav_used'] })
  await world.store.checkpoints.insert(aCheckpoint(id, { save: 'sav_used', layers: ['sav_under'] }))
  expect(await collected()).toEqual(['layer sav_old'])
  expect((await world.store.layers.list()).map(({ save }) => save).sort()).toEqual([
    'sav_new',
    'sav_under',
    'sav_used',
  ])
  expect([...world.layers.saved.keys()]).not.toContain('sav_old')
})

test('dumps of sandboxes that are not paused go', async () => {
  const { memory } = server.context.driver
  const [paused, other] = [await running(), await running()]
  for (const id of [paused, other]) {
    await memory?.freeze(id)
    await memory?.dump(id, id.replace('sbx', 'dmp'), false)
    await memory?.thaw(id)
  }
  await world.store.sandboxes.update(paused, { state: 'paused' })
  expect(await collected()).toEqual([`memory ${other.replace('sbx', 'dmp')}`])
  expect(await memory?.listDumps()).toEqual([paused.replace('sbx', 'dmp')])
  await world.store.sandboxes.update(paused, { state: 'ready' })
})

test('roots go without a record that lives, and never beneath processes', async () => {
  const id = await running()
  const empty = { image: null, layers: [], from: null, diskBytes: null }
  const creating = aSandbox({ state: 'creating' })
  const ended = aSandbox({ state: 'terminated', endedAt: 1 })
  for (const record of [creating, ended]) {
    await world.store.sandboxes.insert(record)
    await world.layers.prepare(record.id, empty)
  }
  await world.layers.prepare('sbx_unknown', empty)
  const limits = { memoryBytes: 1, cpuMillis: 1, pids: 1 }
  const root = await world.layers.prepare('sbx_runs', empty)
  await server.context.driver.start({ id: 'sbx_runs', hostname: 'x', idBase: 1, root, limits })
  expect(await collected()).toEqual([`root ${ended.id}`, 'root sbx_unknown'].sort())
  expect((await world.layers.list()).sort()).toEqual([id, creating.id, 'sbx_runs'].sort())
})

test('output that no record knows goes', async () => {
  const id = await running()
  const execution = await server.useCases.startExecution(id, { argv: ['echo', 'kept'] })
  const directory = join(server.context.config.dataDir, 'executions')
  for (const name of ['exe_lost.out', 'exe_lost.index', 'exe_half.index'])
    await writeFile(join(directory, name), '')
  expect(await collected()).toEqual(['output exe_half', 'output exe_lost'])
  const output = await server.useCases.readOutput(execution.id, { offset: 0 }, true)
  let text = ''
  for await (const { data } of output.chunks) text += Buffer.from(data).toString()
  expect(text).toBe('kept\n')
  expect(await collected()).toEqual([])
})

test('a failure is told by a collection that somebody asked for, and only logged by the hourly one', async () => {
  const broken = Promise.reject(new Error('no such disk'))
  broken.catch(() => {})
  world.layers.list = () => broken
  await expect(collect()).rejects.toThrow('no such disk')
  const logged: unknown[] = []
  server.context.log.error = (facts: unknown) => void logged.push(facts)
  const stop = collectHourly(server.context)
  await until(() => logged.length > 0)
  stop()
})

test('disk usage tells what each thing holds', async () => {
  const id = await running()
  await saveOf(id, 'sav_1')
  expect(await server.useCases.getDiskUsage()).toMatchObject({
    storage: 'memory',
    pool: null,
    sandboxes: [{ id, bytes: 0 }],
    saved: { count: 1, bytes: 0 },
  })
})
