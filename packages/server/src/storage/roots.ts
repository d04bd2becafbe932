import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Where every root lies, beneath the data directory. */
export const ROOTS = 'sandboxes'

/**
 * @returns the root's directory, relative to the data directory.
 * @throws RangeError for an id that could mean another path.
 */
export function rootDirectory(id: string): string {
  if (!/^[a-z0-9_]{1,64}$/.test(id)) throw new RangeError(`"${id}" is not a sandbox id`)
  return join(ROOTS, id)
}

export async function openRoots(dataDir: string): Promise<void> {
  await mkdir(join(dataDir, ROOTS), { recursive: true, mode: 0o700 })
}

/** @returns the ids of all roots on disk, half-made ones too. */
export async function listRoots(dataDir: string): Promise<string[]> {
  const entries = await readdir(join(dataDir, ROOTS), { withFileTypes: true })
  return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name)
}
