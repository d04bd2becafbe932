import { LIVE_STATES } from '../../core/lifecycle.ts'
import type { Context } from '../context.ts'
import { dumpOf } from '../pausing/dump.ts'
import { memoryOf } from '../saved/memory.ts'
import type { Garbage } from './garbage.ts'

/** Memory on disk that no paused sandbox goes on from, and that is not of the same moment as a save that is needed. */
export async function findDumps(context: Context): Promise<Garbage[]> {
  const { memory } = context.driver
  if (memory === undefined) return []
  const listed = await memory.listDumps()
  const free = await freeDumps(context, listed)
  return free.map((dump) => ({
    kind: 'memory',
    id: dump,
    bytes: null,
    reason: 'no sandbox goes on from it',
    remove: async () => {
      if ((await freeDumps(context, [dump])).length === 0) return false
      await memory.removeDump(dump)
      return true
    },
  }))
}

async function freeDumps({ store, images, heldSaves }: Context, dumps: string[]): Promise<string[]> {
  if (dumps.length === 0) return []
  const held = new Set([...heldSaves.keys(), ...[...heldSaves.keys()].map(memoryOf)])
  const saves = new Set([...(await store.namedSaves()), ...(await images.saves())].map(memoryOf))
  const records = await store.sandboxes.inStates(LIVE_STATES)
  // A dump is named after its sandbox; whether one that is ready again needs it is its pauses' to know.
  const names = new Set(records.filter(({ state }) => state !== 'ready').map(({ id }) => dumpOf(id)))
  return dumps.filter((dump) => ![held, heldSaves, names, saves].some((keeps) => keeps.has(dump)))
}

/** Files of sandboxes that have ended, or that no record knows. */
export async function findRoots(context: Context): Promise<Garbage[]> {
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
export async function findOutputs({ outputs, store }: Context): Promise<Garbage[]> {
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
