import type { Context } from '../context.ts'
import type { Garbage } from './garbage.ts'

/** Saves that no record names. */
export async function findSaves(context: Context): Promise<Garbage[]> {
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
export async function removeFree(context: Context, saves: string[]): Promise<string[]> {
  const free = await freeOf(context, saves)
  for (const save of free) await context.layers.saves?.remove(save)
  return free
}

export async function bytesOfSaves({ layers }: Context): Promise<Map<string, number>> {
  return layers.saves === undefined ? new Map() : ((await layers.usage?.())?.saves ?? new Map())
}
