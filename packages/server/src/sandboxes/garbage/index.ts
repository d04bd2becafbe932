import type { Context } from '../context.ts'
import { findVolumes } from '../volumes/garbage.ts'
import type { Garbage } from './garbage.ts'
import { findImages } from './images.ts'
import { findLayers } from './layers.ts'
import { findDumps, findOutputs, findRoots } from './leftovers.ts'
import { findSaves } from './saves.ts'

/**
 * What nothing needs. Each kind looks at what there is first and then at the records, and whatever is about to be made or
 * used is recorded or held before: so nothing that appears meanwhile is taken for garbage.
 */
export async function findGarbage(context: Context): Promise<Garbage[]> {
  return [
    ...(await findImages(context)),
    ...(await findLayers(context)),
    ...(await findSaves(context)),
    ...(await findDumps(context)),
    ...(await findRoots(context)),
    ...(await findOutputs(context)),
    ...(await findVolumes(context)),
  ]
}
