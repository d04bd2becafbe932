import { LIVE_STATES } from '../../core/lifecycle.ts'
import type { Context } from '../context.ts'
import type { Garbage } from './garbage.ts'
import { allBuilt, allSnapshots } from './pages.ts'
import { removeFree } from './saves.ts'

/** Images that have been replaced and that no sandbox, snapshot or template was made from. */
export async function findImages(context: Context): Promise<Garbage[]> {
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

/** Digests of images that sandboxes, snapshots and templates were made from. */
export async function usedDigests(context: Context): Promise<Set<string>> {
  const sandboxes = await context.store.sandboxes.inStates(LIVE_STATES)
  const snapshots = await allSnapshots(context)
  const built = await allBuilt(context)
  const digests = [...sandboxes, ...snapshots, ...built].map(({ imageDigest }) => imageDigest)
  return new Set(digests.filter((digest) => digest !== null))
}
