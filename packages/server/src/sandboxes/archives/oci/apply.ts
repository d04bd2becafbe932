import { SandboxError } from '@caisson/protocol/errors'
import type { GuestFiles } from '../../../guest/guest.ts'
import { isMounted } from '../own-files.ts'
import type { OciImage } from './image.ts'
import { entriesOf, type ImageBudget, planLayer } from './layer.ts'
import type { ImageStore } from './store.ts'

/** What an image's files lost on their way into a sandbox. */
export interface Lost {
  devices: number
  attributes: number
}

/** Writes the layers of an image, one above the other, into a sandbox that has nothing else. @throws as its parts */
export async function applyLayers(
  files: GuestFiles,
  store: ImageStore,
  { layers }: OciImage,
  budget: ImageBudget,
  progress: (step: string) => void,
  signal?: AbortSignal,
): Promise<Lost> {
  const lost: Lost = { devices: 0, attributes: 0 }
  const directories = new Set<number>()
  for (const [at, layer] of layers.entries()) {
    progress(`layer ${at + 1} of ${layers.length}`)
    const { removed, emptied } = await planLayer(store, layer, budget, directories)
    if (at > 0) {
      for (const path of emptied) await empty(files, path, signal)
      for (const path of removed) await remove(files, path, signal)
    }
    const entries = entriesOf(store, layer, () => lost.devices++)
    lost.attributes += (await files.writeExactly('/', entries, signal)).lost
  }
  return lost
}

/** @param path of a directory, without a slash at its beginning; empty: the root */
async function empty(files: GuestFiles, path: string, signal?: AbortSignal): Promise<void> {
  const prefix = path === '' ? '' : `${text(path)}/`
  const entries = await files.list(`/${prefix}`, {}, signal).catch(unlessAbsent)
  for (const { name } of entries ?? [])
    if (!isMounted(`${prefix}${name}`)) await files.remove(`/${prefix}${name}`, { recursive: true }, signal)
}

async function remove(files: GuestFiles, path: string, signal?: AbortSignal): Promise<void> {
  await files.remove(`/${text(path)}`, { recursive: true }, signal).catch(unlessAbsent)
}

/** A layer may remove what those below it do not have. */
function unlessAbsent(error: unknown): undefined {
  if (SandboxError.is(error, 'file_not_found') || SandboxError.is(error, 'file_wrong_type')) return undefined
  throw error
}

function text(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('utf8')
}
