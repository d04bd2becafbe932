import { parseDuration } from '../../core/duration.ts'
import { LIVE_STATES } from '../../core/lifecycle.ts'
import type { LayerRecord } from '../../core/records.ts'
import type { Context } from '../context.ts'
import type { Garbage } from './garbage.ts'
import { allBuilt, allCheckpoints, allSnapshots } from './pages.ts'
import { bytesOfSaves, removeFree } from './saves.ts'

/** Installed packages that no sandbox has asked for in a long time. */
export async function findLayers(context: Context): Promise<Garbage[]> {
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
  for (const built of await allBuilt(context)) note(built.layers)
  return used
}
