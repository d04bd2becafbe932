import type { Collected } from '@caisson/protocol/resources'
import { parseDuration } from '../core/duration.ts'
import { LIVE_STATES } from '../core/lifecycle.ts'
import type { LayerRecord, SandboxRecord } from '../core/records.ts'
import type { Context } from './context.ts'

type Removed = Collected['removed'][number]

/** Something that nothing needs any more, and how it goes. */
export interface Garbage extends Removed {
  /** @returns whether it has gone: something may have come to need it since it was found. */
  remove(): Promise<boolean>
}

/**
 * What nothing needs. Each kind looks at what there is first and then at the records, and whatever is about to be made or
 * used is recorded or held before: so nothing that appears meanwhile is taken for garbage.
 */
export async function findGarbage(context: Context): Promise<Garbage[]> {
  return [
    ...(await images(context)),
    ...(await layers(context)),
    ...(await saves(context)),
    ...(await dumps(context)),
    ...(await roots(context)),
    ...(await outputs(context)),
  ]
}

/** Images that have been replaced and that no sandbox or snapshot was made from. */
async function images(context: Context): Promise<Garbage[]> {
  const { images, store } = context
  const candidates = await images.unused(new Set())
  if (candidates.length === 0) return []
  const needed = async () => new Set([...(await usedDigests(context)), ...context.heldSaves.keys()])
  const unused = await images.unused(await needed())
  return unused.map((image) => ({
    kind: 'image',
    id: `${image.runtime}@${image.digest.slice(0, 12)}`,
    bytes: null,
    reason: 'it is not in use any more',
    remove: async () => {
      if ((await needed()).has(image.digest)) return false
      await images.remove(image)
      await store.layers.remove(image.digest)
      await removeFree(context, image.saves)
      return true
    },
  }))
}

/** Digests of images that sandboxes and snapshots were made from. */
export async function usedDigests(context: Context): Promise<Set<string>> {
  const sandboxes = await context.store.sandboxes.inStates(LIVE_STATES)
  const snapshots = await allSnapshots(context)
  const digests = [...sandboxes, ...snapshots].map(({ imageDigest }) => imageDigest)
  return new Set(digests.filter((digest) => digest !== null))
}

/** Installed packages that no sandbox has asked for in a long time. */
async function layers(context: Context): Promise<Garbage[]> {
  const { store, config } = context
  const before = Date.now() - parseDuration(config.layerRetention, 'layerRetention')
  const old = (await store.layers.list()).filter(({ usedAt }) => usedAt < before)
  if (old.length === 0) return []
  const used = await usedLayers(context)
  const bytes = await bytesOfSaves(context)
  return old
    .filter(({ save }) => !used.has(save))
    .map((layer) => ({
      kind: 'layer',
      id: layer.save,
      bytes: bytes.get(layer.save) ?? null,
      reason: `no sandbox has asked for it for ${config.layerRetention}: ${layer.what}`,
      remove: () => removeLayer(context, layer),
    }))
}

async function removeLayer(context: Context, { digest, save, usedAt }: LayerRecord): Promise<boolean> {
  const now = (await context.store.layers.list()).find((layer) => layer.digest === digest)
  if (now?.usedAt !== usedAt || (await usedLayers(context)).has(save)) return false
  await context.store.layers.remove(digest)
  // Who has found the record before it went holds the save: then it stays, and goes when it is needed no more.
  await removeFree(context, [save])
  return true
}

/** Saves that lie beneath something that is there. */
async function usedLayers(context: Context): Promise<Set<string>> {
  const { store, images, heldSaves } = context
  const sandboxes = await store.sandboxes.inStates(LIVE_STATES)
  const used = new Set([...heldSaves.keys(), ...(await images.saves())])
  const note = (saves: string[]) => {
    for (const save of saves) used.add(save)
  }
  for (const record of sandboxes) {
    note([...record.layers, ...(record.restoring?.layers ?? [])])
    for (const checkpoint of await allCheckpoints(context, record)) note(checkpoint.layers)
  }
  for (const snapshot of await allSnapshots(context)) note(snapshot.layers)
  return used
}

/** Saves that no record names. */
async function saves(context: Context): Promise<Garbage[]> {
  const bytes = await bytesOfSaves(context)
  const free = await freeOf(context, [...bytes.keys()])
  return free.map((save) => ({
    kind: 'saved',
    id: save,
    bytes: bytes.get(save) ?? null,
    reason: 'no snapshot, checkpoint or sandbox needs it',
    remove: async () => (await removeFree(context, [save])).length > 0,
  }))
}

/** Which of these saves nobody holds and no record names. */
async function freeOf({ store, images, heldSaves }: Context, saves: string[]): Promise<string[]> {
  // Before the records as well as after: a holder names a save in a record and then lets go of it.
  const held = new Set(heldSaves.keys())
  const [named, ofImages] = [await store.namedSaves(), await images.saves()]
  return saves.filter((save) => ![held, heldSaves, named, ofImages].some((keeps) => keeps.has(save)))
}

/** Removes those of these saves that are free. @returns which they are. */
async function removeFree(context: Context, saves: string[]): Promise<string[]> {
  const free = await freeOf(context, saves)
  for (const save of free) await context.layers.saves?.remove(save)
  return free
}

async function bytesOfSaves({ layers }: Context): Promise<Map<string, number>> {
  return layers.saves === undefined ? new Map() : ((await layers.usage?.())?.saves ?? new Map())
}

/** Memory on disk that no paused sandbox goes on from. */
async function dumps(context: Context): Promise<Garbage[]> {
  const { memory } = context.driver
  if (memory === undefined) return []
  const listed = await memory.listDumps()
  const free = await freeDumps(context, listed)
  return free.map((dump) => ({
    kind: 'memory',
    id: dump,
    bytes: null,
    reason: 'no paused sandbox goes on from it',
    remove: async () => {
      if ((await freeDumps(context, [dump])).length === 0) return false
      await memory.removeDump(dump)
      return true
    },
  }))
}

async function freeDumps({ store, heldSaves }: Context, dumps: string[]): Promise<string[]> {
  if (dumps.length === 0) return []
  const held = new Set(heldSaves.keys())
  const records = await store.sandboxes.inStates(LIVE_STATES)
  // A dump is named after its sandbox; whether one that is ready again needs it is its pauses' to know.
  const names = new Set(records.filter(({ state }) => state !== 'ready').map(dumpOf))
  return dumps.filter((dump) => ![held, heldSaves, names].some((keeps) => keeps.has(dump)))
}

function dumpOf({ id }: Pick<SandboxRecord, 'id'>): string {
  return `dmp_${id.slice(id.indexOf('_') + 1)}`
}

/** Files of sandboxes that have ended, or that no record knows. */
async function roots(context: Context): Promise<Garbage[]> {
  const { layers } = context
  const listed = await layers.list()
  const free = await freeRoots(context, listed)
  if (free.length === 0) return []
  const bytes = (await layers.usage?.())?.roots
  return free.map((id) => ({
    kind: 'root',
    id,
    bytes: bytes?.get(id) ?? null,
    reason: 'its sandbox has ended',
    remove: async () => {
      if ((await freeRoots(context, [id])).length === 0) return false
      await layers.remove(id)
      return true
    },
  }))
}

/** Which of these roots have neither a record that lives nor a process that runs. */
async function freeRoots({ driver, store }: Context, ids: string[]): Promise<string[]> {
  const running = new Set((await driver.list()).filter((one) => one.running).map(({ id }) => id))
  const known = new Set((await store.sandboxes.inStates(LIVE_STATES)).map(({ id }) => id))
  return ids.filter((id) => !running.has(id) && !known.has(id))
}

/** Output of executions that no record knows: a record comes before its output. */
async function outputs({ outputs, store }: Context): Promise<Garbage[]> {
  const found: Garbage[] = []
  for (const id of await outputs.list()) {
    if ((await store.executions.get(id)) !== null) continue
    found.push({
      kind: 'output',
      id,
      bytes: null,
      reason: 'its command is forgotten',
      remove: async () => {
        await outputs.remove(id)
        return true
      },
    })
  }
  return found
}

const PAGE = 1000

async function allSnapshots({ store }: Context) {
  return allPages((offset) =>
    store.snapshots.list({ sort: 'created', direction: 'asc', limit: PAGE, offset }),
  )
}

async function allCheckpoints({ store }: Context, { id }: SandboxRecord) {
  return allPages((offset) =>
    store.checkpoints.list({ sandboxId: id, direction: 'asc', limit: PAGE, offset }),
  )
}

async function allPages<T>(read: (offset: number) => Promise<{ items: T[] }>): Promise<T[]> {
  const all: T[] = []
  for (;;) {
    const { items } = await read(all.length)
    all.push(...items)
    if (items.length < PAGE) return all
  }
}
