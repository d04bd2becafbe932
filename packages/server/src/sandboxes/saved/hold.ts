import type { Context } from '../context.ts'

/**
 * Keeps saves, or dumps, from being collected while no record names them, or while their record may go: until it is
 * disposed. Whoever reads a save's name from a record holds it before the next wait. null holds nothing.
 */
export function holdSave({ heldSaves }: Pick<Context, 'heldSaves'>, ...saves: (string | null)[]): Disposable {
  const held = saves.filter((save) => save !== null)
  for (const save of held) heldSaves.set(save, (heldSaves.get(save) ?? 0) + 1)
  return {
    [Symbol.dispose]() {
      for (const save of held.splice(0)) {
        const left = (heldSaves.get(save) ?? 0) - 1
        if (left > 0) heldSaves.set(save, left)
        else heldSaves.delete(save)
      }
    },
  }
}

type Needed = Pick<Context, 'store' | 'layers' | 'images' | 'heldSaves' | 'log'>

/** See {@link removeSavesIfUnnamed}. */
export function removeSaveIfUnnamed(context: Needed, save: string): Promise<void> {
  return removeSavesIfUnnamed(context, [save])
}

/**
 * Removes those saves that no record names any more and nobody holds. What is held now is left to garbage collection,
 * and so is what cannot be removed: the records are gone, which is what the caller was asked for.
 */
export async function removeSavesIfUnnamed(context: Needed, saves: string[]): Promise<void> {
  const { store, layers, images, heldSaves, log } = context
  // Looked at before the records are read as well as after: a holder names the save in a record and then lets go.
  const free = saves.filter((save) => !heldSaves.has(save))
  if (free.length === 0 || layers.saves === undefined) return
  try {
    const named = new Set([...(await store.namedSaves()), ...(await images.saves())])
    for (const save of free) if (!named.has(save) && !heldSaves.has(save)) await layers.saves.remove(save)
  } catch (err) {
    log.warn({ saves: free, err }, 'saves that nobody needs could not be removed and are left to gc')
  }
}
