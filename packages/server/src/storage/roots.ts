import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { SandboxError } from '@caisson/protocol/errors'
import type { Layers, WantedRoot } from './layers.ts'

/** Where every root lies, beneath the data directory. */
export const ROOTS = 'sandboxes'

const ID = /^[a-z0-9_]{1,64}$/

/**
 * @returns the root's directory, relative to the data directory.
 * @throws RangeError for an id that could mean another path.
 */
export function rootDirectory(id: string): string {
  if (!ID.test(id)) throw new RangeError(`"${id}" is not a sandbox id`)
  return join(ROOTS, id)
}

/** What lies beneath a root of its own writes, topmost first; none without an image and layers. */
export function lowersOf({ image, layers }: Pick<WantedRoot, 'image' | 'layers'>): string[] {
  const saves = [...layers, ...(image?.layers ?? [])].map((save) => `saves/${save}`)
  return image === null ? saves : [...saves, image.rootfs]
}

/** @throws SandboxError `not_supported` for what this storage cannot give a root */
export function refuseUnable(
  { name, quota, saves }: Pick<Layers, 'name' | 'quota' | 'saves'>,
  wanted: WantedRoot,
): void {
  const needsSaves = wanted.from !== null || lowersOf(wanted).some((lower) => lower.startsWith('saves/'))
  if (saves === undefined && needsSaves)
    throw unable('a sandbox on saved files', `the ${name} storage keeps none; set "storage" to "btrfs"`)
  if (!quota && wanted.diskBytes !== null) throw unable('a limit of disk', `the ${name} storage has no quota`)
}

/**
 * @throws RangeError for a volume's id that could mean another path; SandboxError `not_supported` for a limit that
 *   nothing would enforce
 */
export function refuseUnableVolume(
  { name, quota }: Pick<Layers, 'name' | 'quota'>,
  volume: string,
  limitBytes: number | null,
): void {
  if (!ID.test(volume)) throw new RangeError(`"${volume}" is not the id of a volume`)
  if (!quota && limitBytes !== null) throw unable('a limit of a volume', `the ${name} storage has no quota`)
}

function unable(what: string, reason: string): SandboxError {
  return new SandboxError('not_supported', { what, reason })
}

export async function openRoots(dataDir: string): Promise<void> {
  await mkdir(join(dataDir, ROOTS), { recursive: true, mode: 0o700 })
}

/** @returns the ids of all roots on disk, half-made ones too. */
export async function listRoots(dataDir: string): Promise<string[]> {
  const entries = await readdir(join(dataDir, ROOTS), { withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
}
