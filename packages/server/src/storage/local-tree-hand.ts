import { randomBytes } from 'node:crypto'
import { chmod, mkdir, rename, rm } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import type { TreeHand } from './layers.ts'

/**
 * A tree hand without the launcher: for trees that only this server's own user has written, as with the local
 * driver and in tests. Not for what a sandbox's root wrote: such a tree may nest deeper than a path can be long.
 */
export class LocalTreeHand implements TreeHand {
  readonly #data: string

  constructor(dataDir: string) {
    this.#data = dataDir
  }

  async makeSandboxDirs(id: string): Promise<void> {
    const directory = join(this.#data, 'sandboxes', id)
    await mkdir(directory, { recursive: true, mode: 0o700 })
    for (const name of ['upper', 'work']) {
      const path = join(directory, name)
      await mkdir(path, { recursive: true })
      // Becomes the sandbox's "/": its mode must not depend on the server's umask.
      await chmod(path, 0o755)
    }
  }

  async removeTree(path: string): Promise<void> {
    if (isAbsolute(path) || path.split('/').some((part) => part === '' || part === '.' || part === '..')) {
      throw new Error(`"${path}" is not a plain path beneath the data directory`)
    }
    const trash = join(this.#data, 'trash')
    await mkdir(trash, { recursive: true, mode: 0o700 })
    const target = join(trash, randomBytes(8).toString('hex'))
    try {
      await rename(join(this.#data, path), target)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      throw error
    }
    await rm(target, { recursive: true, force: true })
  }
}
